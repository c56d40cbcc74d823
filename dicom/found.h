/*
 * found.h - what a PACS says of a study or series in the answer to a query (PS3.4 C.6.2).
 *
 * Read by the bounded walk of prescan.h; texts that are damaged or do not fit count as absent.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dicom/prescan.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_FOUND_TEXT_SIZE = 257, DICOM_FOUND_CODE_SIZE = 65 };

/* Texts are UTF-8, "" where the attribute is not there. */
struct dicom_found {
    char study_uid[DICOM_UID_SIZE], series_uid[DICOM_UID_SIZE]; /* valid, or "" */
    char study_date[DICOM_FOUND_CODE_SIZE];
    char accession[DICOM_FOUND_CODE_SIZE], patient_id[DICOM_FOUND_TEXT_SIZE];
    char modality[DICOM_FOUND_CODE_SIZE];
    char study_description[DICOM_FOUND_TEXT_SIZE], series_description[DICOM_FOUND_TEXT_SIZE];
    char station[DICOM_FOUND_TEXT_SIZE], protocol[DICOM_FOUND_TEXT_SIZE];
    char body_part[DICOM_FOUND_TEXT_SIZE], manufacturer[DICOM_FOUND_TEXT_SIZE];
    int32_t images; /* Number of Series Related Instances; -1: not said */
};

/* Errors: SCTD_EDATA (no sound data set, an attribute twice). */
SCTD_NODISCARD int dicom_found_read(struct dicom_found *ret_found, const void *bytes, size_t size,
                                    struct dicom_encoding encoding, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
