/*
 * commitment.h - what a request for storage commitment and its report say (PS3.4 J.3.2, J.3.3).
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/prescan.h"
#include "dicom/references.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_COMMITMENT_CLASS    "1.2.840.10008.1.20.1"
#define DICOM_COMMITMENT_INSTANCE "1.2.840.10008.1.20.1.1"

/* Action, and events (PS3.4 J.3.2.1, J.3.3.1). */
enum {
    DICOM_COMMITMENT_ACTION = 1,
    DICOM_COMMITMENT_ALL = 1,
    DICOM_COMMITMENT_FAILURES = 2,
};

/* Reasons of failure (PS3.3 C.14.1.1). */
enum dicom_commitment_reason {
    DICOM_COMMITMENT_KEPT = 0,
    DICOM_COMMITMENT_PROCESSING = 0x0110,
    DICOM_COMMITMENT_NO_SUCH_INSTANCE = 0x0112,
    DICOM_COMMITMENT_CLASS_CONFLICT = 0x0119,
};

struct dicom_commitment {
    char transaction_uid[DICOM_UID_SIZE];
    struct dicom_references references; /* of a report: those with a reason have failed */
};
void dicom_commitment_fini(struct dicom_commitment *commitment); /* leaves it empty */

/*
 * Read the data set of an N-ACTION or N-EVENT-REPORT.  Failed SOP Sequence counts in either.
 * Errors: SCTD_EDATA (damaged, no transaction, a UID that is none), SCTD_EINVAL (too many), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_commitment_read(struct dicom_commitment *ret_commitment, const void *bytes,
                                         size_t size, struct dicom_encoding encoding,
                                         struct sctd_error *err);

#ifdef __cplusplus
}
#endif
