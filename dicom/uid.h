/*
 * uid.h - which texts are UIDs, and UIDs that are derived from what an object is made of.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 ... 64 characters of [0-9.], components without leading zeros, none empty (PS3.5 9.1). */
bool dicom_uid_is_valid(const char *uid);

/* "2.25." and the first 128 bits of `digest` in decimal (PS3.5 B.2); digest: 32 bytes of SHA-256. */
void dicom_uid_from_digest(char ret_uid[DICOM_UID_SIZE], const unsigned char *digest);

/* What one sCT series is made of: the same work makes the same UIDs. */
struct dicom_sct_work {
    const char *source_series_uid;
    const struct dicom_source *source; /* [n] in the volume's order */
    size_t n;
    const char *model_sha256; /* of the weights, 64 hex digits */
    const char *parameters;   /* everything else that changes the result or its grid, as text */
};

/*
 * *ret_series_uid: the Series Instance UID; ret_instance_uids: [n_instances][DICOM_UID_SIZE] SOP Instance
 * UIDs.  The source's order does not matter to the UIDs of the series, an instance's number does to its own.
 * Errors: SCTD_EINVAL (an invalid UID or hash), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_uid_for_sct(char ret_series_uid[DICOM_UID_SIZE],
                                     char (*ret_instance_uids)[DICOM_UID_SIZE], size_t n_instances,
                                     const struct dicom_sct_work *work, struct sctd_error *err);

/*
 * The series and the only instance of the page that shows what an sCT's checks found (quality_page.h): they follow
 * from the sCT's Series Instance UID alone, so that whoever knows one series knows the other.
 * Errors: SCTD_EINVAL (an invalid UID).
 */
SCTD_NODISCARD int dicom_uid_for_page(char ret_series_uid[DICOM_UID_SIZE],
                                      char ret_instance_uid[DICOM_UID_SIZE],
                                      const char *sct_series_uid, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
