/*
 * scan.h - the instances of a scanned series, for its assembly.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/instance.h"
#include "dicom/series.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_scanned {
    char *path; /* owned by the scan */
    struct dicom_instance instance;
};

size_t dicom_scan_get_instance_count(const struct dicom_scan *scan, size_t series);
/* In the order in which they were found; valid as long as the scan. */
const struct dicom_scanned *dicom_scan_get_instance(const struct dicom_scan *scan, size_t series,
                                                    size_t i);

#ifdef __cplusplus
}
#endif
