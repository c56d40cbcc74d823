/*
 * buf.h - a growing run of bytes or text with a stated maximum.
 *
 * The contents are always followed by a NUL that does not count.  A failed append leaves the buffer
 * as it was.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sctd_buf {
    char *data; /* owned; NULL while nothing was appended */
    size_t size;
    size_t capacity;
    size_t max; /* most bytes it may hold */
};

/* An empty buffer that will hold at most `max` bytes. */
static inline struct sctd_buf sctd_buf_make(size_t max)
{
    const struct sctd_buf buf = {NULL, 0, 0, max};
    return buf;
}

void sctd_buf_fini(struct sctd_buf *buf); /* frees the bytes; the buffer may be used again */

/* Errors of all: SCTD_EINVAL (beyond the maximum), SCTD_ENOMEM. */
SCTD_NODISCARD int sctd_buf_append(struct sctd_buf *buf, const void *bytes, size_t size,
                                   struct sctd_error *err);
SCTD_NODISCARD int sctd_buf_text(struct sctd_buf *buf, const char *text, struct sctd_error *err);
SCTD_PRINTF(3, 4) SCTD_NODISCARD int sctd_buf_printf(struct sctd_buf *buf, struct sctd_error *err,
                                                     const char *format, ...);

/* The contents as text; "" if empty. */
static inline const char *sctd_buf_get_text(const struct sctd_buf *buf)
{
    return buf->data == NULL ? "" : buf->data;
}

#ifdef __cplusplus
}
#endif
