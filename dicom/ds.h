/* ds.h - decimal strings: the text form of geometry, at most 16 characters (PS3.5 6.2, VR DS). */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_DS_SIZE = 17 }; /* 16 characters and a NUL */

/* One value, blanks around it counted: at most 16 characters, and a number. */
bool dicom_ds_is_valid(const char *text, size_t size);

/*
 * One value of up to 64 characters with blanks around it; longer than the standard allows is read, since
 * scanners write that.
 * Errors: SCTD_EDATA (not a finite number), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_ds_parse(double *ret_value, const char *text, size_t size,
                                  struct sctd_error *err);

/*
 * The decimal of at most 16 characters nearest to `value`, without trailing zeros.
 * Errors: SCTD_EINVAL (not finite), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_ds_format(char ret_text[DICOM_DS_SIZE], double value,
                                   struct sctd_error *err);

#ifdef __cplusplus
}
#endif
