/*
 * mpps.h - what a modality says about the step that it performs: the series and instances it has made
 * (Modality Performed Procedure Step, PS3.4 F.7.2).
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/prescan.h"
#include "dicom/references.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_MPPS_CLASS "1.2.840.10008.3.1.2.3.3"

/* Performed Procedure Step Status (PS3.3 C.4.14). */
enum dicom_mpps_status {
    DICOM_MPPS_UNSAID, /* an update that leaves it */
    DICOM_MPPS_IN_PROGRESS,
    DICOM_MPPS_COMPLETED,
    DICOM_MPPS_DISCONTINUED,
};

struct dicom_mpps {
    enum dicom_mpps_status status;
    struct dicom_references references; /* those of a series one after another */
};
void dicom_mpps_fini(struct dicom_mpps *mpps); /* leaves it empty */

/*
 * Read the data set of an N-CREATE or N-SET.  A performed series without instances is left out.
 * Errors: SCTD_EDATA (damaged, no such status, a UID that is none), SCTD_EINVAL (too many), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_mpps_read(struct dicom_mpps *ret_mpps, const void *bytes, size_t size,
                                   struct dicom_encoding encoding, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
