/* parse.h - numbers from text: the whole text or an error, in any locale. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Decimal, with an optional sign, no blanks.  Errors: SCTD_EINVAL saying what was read and the range. */
SCTD_NODISCARD int sctd_parse_i64(int64_t *ret_value, const char *text, int64_t min, int64_t max,
                                  struct sctd_error *err);
SCTD_NODISCARD int sctd_parse_u64(uint64_t *ret_value, const char *text, uint64_t max,
                                  struct sctd_error *err);
/* A finite number as JSON writes it. */
SCTD_NODISCARD int sctd_parse_f64(double *ret_value, const char *text, struct sctd_error *err);

/* Bytes from pairs of hex digits of either case, at most `room`; *ret_n: how many.  Errors: SCTD_EINVAL; what was
 * written to `bytes` by then means nothing. */
SCTD_NODISCARD int sctd_parse_hex(void *bytes, size_t room, const char *text, size_t *ret_n);
/* The value of a hex digit; -1: it is none. */
int sctd_hex_digit(char c);

#ifdef __cplusplus
}
#endif
