/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/unpack.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"

#ifdef SCTD_ZLIB
#    define ZLIB_CONST // its input is const
#    include <zconf.h>
#    include <zlib.h>

/* The most that fits zlib's counters. */
static uInt limit(size_t n)
{
    return n < (size_t)INT_MAX ? (uInt)n : (uInt)INT_MAX;
}

/* The stream's end, where its checksum stands: nothing may come before it. */
static int check_end(z_stream *z, int state)
{
    unsigned char more = 0;
    z->next_out = &more;
    z->avail_out = 1;
    if (state != Z_STREAM_END) {
        state = inflate(z, Z_FINISH);
    }
    z->next_out = Z_NULL;
    return state == Z_STREAM_END && z->avail_out == 1 ? Z_STREAM_END : Z_DATA_ERROR;
}

static int unpack(void *out, size_t size, const void *in, size_t in_size, bool whole,
                  struct sctd_error *err)
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
    while (state == Z_OK && done < size && read < in_size) {
        z.avail_out = limit(size - done);
        z.avail_in = limit(in_size - read);
        const uInt out_before = z.avail_out;
        const uInt in_before = z.avail_in;
        state = inflate(&z, Z_NO_FLUSH);
        done += out_before - z.avail_out;
        read += in_before - z.avail_in;
    }
    if (whole && done == size && state != Z_MEM_ERROR) {
        z.avail_in = limit(in_size - read);
        state = check_end(&z, state);
    }
    (void)inflateEnd(&z);
    if (state == Z_MEM_ERROR) {
        return sctd_error(err, SCTD_ENOMEM, "inflate");
    }
    if (done < size || (whole && state != Z_STREAM_END)) {
        return sctd_error(err, SCTD_EDATA, "the compressed data %s after %zu of %zu bytes",
                          state == Z_DATA_ERROR ? "is damaged" : "ends", done, size);
    }
    return 0;
}

#else

/* An engine built alone, for tests/gpu/run.sh. */
static int unpack(void *out, size_t size, const void *in, size_t in_size, bool whole,
                  struct sctd_error *err)
{
    (void)out;
    (void)size;
    (void)in;
    (void)in_size;
    (void)whole;
    return sctd_error(err, SCTD_EINVAL, "compressed files need zlib, which this build lacks");
}

#endif

int unpack_prefix(void *out, size_t size, const void *in, size_t in_size, struct sctd_error *err)
{
    return unpack(out, size, in, in_size, false, err);
}

int unpack_whole(void *out, size_t size, const void *in, size_t in_size, struct sctd_error *err)
{
    return unpack(out, size, in, in_size, true, err);
}
