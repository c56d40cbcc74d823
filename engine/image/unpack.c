/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/unpack.h"

#include <limits.h>
#include <stddef.h>

#define ZLIB_CONST // its input is const
#include <zconf.h>
#include <zlib.h>

#include "engine/base/error.h"

/* The most that fits zlib's counters. */
static uInt limit(size_t n)
{
    return n < (size_t)INT_MAX ? (uInt)n : (uInt)INT_MAX;
}

int unpack_prefix(void *out, size_t size, const void *in, size_t in_size, struct sctd_error *err)
{
    enum { ANY_HEADER = 15 + 32 };
    z_stream z = {.next_in = Z_NULL};
    if (inflateInit2(&z, ANY_HEADER) != Z_OK) {
        return sctd_error(err, SCTD_ENOMEM, "inflate");
    }
    z.next_out = out;
    z.next_in = in;
    int state = Z_OK;
    size_t done = 0;
    size_t read = 0;
    while (state == Z_OK && done < size && (read < in_size || done == 0)) {
        z.avail_out = limit(size - done);
        z.avail_in = limit(in_size - read);
        const uInt out_before = z.avail_out;
        const uInt in_before = z.avail_in;
        state = inflate(&z, Z_NO_FLUSH);
        done += out_before - z.avail_out;
        read += in_before - z.avail_in;
        if (out_before == z.avail_out && in_before == z.avail_in) {
            break;
        }
    }
    (void)inflateEnd(&z);
    if (state == Z_MEM_ERROR) {
        return sctd_error(err, SCTD_ENOMEM, "inflate");
    }
    if (done < size) {
        return sctd_error(err, SCTD_EDATA, "the compressed data %s after %zu of %zu bytes",
                          state == Z_DATA_ERROR ? "is damaged" : "ends", done, size);
    }
    return 0;
}
