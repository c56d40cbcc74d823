/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/gzip.h"

#include <stddef.h>
#include <stdlib.h>
#include <zconf.h>
#include <zlib.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

int gzip_replace(struct sctd_buf *body, struct sctd_error *err)
{
    enum { GZIP_WINDOW = 15 + 16, MEMORY = 8, LEVEL = 4 };
    z_stream z = {.next_in = (Bytef *)body->data, .avail_in = (uInt)body->size};
    if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
        return sctd_error(err, SCTD_ENOMEM, "gzip");
    }
    const size_t most = deflateBound(&z, (uLong)body->size);
    char *data = malloc(most + 1);
    if (data == NULL) {
        (void)deflateEnd(&z);
        return sctd_error(err, SCTD_ENOMEM, "gzip of %zu bytes", body->size);
    }
    z.next_out = (Bytef *)data;
    z.avail_out = (uInt)most;
    const int end = deflate(&z, Z_FINISH);
    const size_t size = z.total_out;
    (void)deflateEnd(&z);
    if (end != Z_STREAM_END) {
        free(data);
        return sctd_error(err, SCTD_ENOMEM, "gzip of %zu bytes", body->size);
    }
    data[size] = '\0';
    free(body->data);
    body->data = data;
    body->size = size;
    body->capacity = most + 1;
    return 0;
}
