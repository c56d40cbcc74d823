/* sct_pixels.h - HU as the signed 16-bit numbers that are stored. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ret_stored[i] + intercept is hu[i] rounded to the nearest whole number, ties to even, and clamped to what
 * 16 bits hold; little endian.  |intercept| <= 32768.
 * Errors: SCTD_EINVAL (NaN; ret_stored is then undefined).
 */
SCTD_NODISCARD int sct_pixels_round(int16_t *ret_stored, const float *hu, size_t n,
                                    int32_t intercept, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
