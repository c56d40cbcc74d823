/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

enum { FIRST_CAPACITY = 256 };

void sctd_buf_fini(struct sctd_buf *buf)
{
    free(buf->data);
    buf->data = NULL;
    buf->size = 0;
    buf->capacity = 0;
}

/* Make room for `more` bytes and the NUL. */
static int reserve(struct sctd_buf *buf, size_t more, struct sctd_error *err)
{
    if (more > buf->max - buf->size) {
        return sctd_error(err, SCTD_EINVAL, "more than %zu bytes", buf->max);
    }
    const size_t need = buf->size + more + 1;
    if (need == 0 || need > SIZE_MAX / 2) {
        return sctd_error(err, SCTD_ENOMEM, "buffer of %zu bytes", buf->size + more);
    }
    if (need <= buf->capacity) {
        return 0;
    }
    size_t capacity = buf->capacity == 0 ? FIRST_CAPACITY : buf->capacity;
    while (capacity < need) {
        capacity *= 2;
    }
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "buffer of %zu bytes", capacity);
    }
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int sctd_buf_append(struct sctd_buf *buf, const void *bytes, size_t size, struct sctd_error *err)
{
    int r = reserve(buf, size, err);
    if (r < 0) {
        return r;
    }
    if (size > 0) {
        memcpy(buf->data + buf->size, bytes, size);
    }
    buf->size += size;
    buf->data[buf->size] = '\0';
    return 0;
}

int sctd_buf_text(struct sctd_buf *buf, const char *text, struct sctd_error *err)
{
    return sctd_buf_append(buf, text, strlen(text), err);
}

int sctd_buf_printf(struct sctd_buf *buf, struct sctd_error *err, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0) {
        return sctd_error(err, SCTD_EINVAL, "text cannot be formatted");
    }
    int r = reserve(buf, (size_t)n, err);
    if (r < 0) {
        return r;
    }
    va_start(ap, format);
    (void)vsnprintf(buf->data + buf->size, (size_t)n + 1, format, ap);
    va_end(ap);
    buf->size += (size_t)n;
    return 0;
}
