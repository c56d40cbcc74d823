/*
 * content.h - whether two files hold the same instance.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whether the data sets have the same elements with the same values.  File meta information, group
 * lengths, padding at the end of values, the lengths of sequences and the encoding (PS3.5 7) may differ.
 * Errors: SCTD_EIO, SCTD_EDATA (one cannot be read any more), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_content_is_same(bool *ret_same, const char *path, const char *other_path,
                                         struct sctd_error *err);

#ifdef __cplusplus
}
#endif
