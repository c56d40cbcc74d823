/*
 * markup.h - HTML as it is written: text that is escaped, pictures in the page itself.
 *
 * Thread safety: as the buffer.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first failure sticks. */
struct markup {
    struct sctd_buf *buf; /* borrowed */
    struct sctd_error *err;
    int failed;
};

SCTD_PRINTF(2, 3) void markup_put(struct markup *m, const char *format, ...);
void markup_put_text(struct markup *m, const char *text);
/* "data:image/png;base64,..." */
void markup_put_png(struct markup *m, const unsigned char *png, size_t size);

#ifdef __cplusplus
}
#endif
