/*
 * picture.h - a picture of 8 bits as a PNG in memory: its pixels and nothing else.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct picture {
    int32_t width, height;
    int32_t channels;           /* 1: grey, 3: red, green, blue */
    const unsigned char *pixel; /* [height, width, channels] */
};

/* *ret_bytes: the caller frees it.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int picture_encode(unsigned char **ret_bytes, size_t *ret_size,
                                  const struct picture *picture, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
