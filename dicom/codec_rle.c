/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/codec.h"
#include "dicom/instance.h"
#include "dicom/prescan.h"
#include "engine/base/error.h"

enum { HEADER_SIZE = 64, SEGMENTS_MAX = 15, LITERAL_MAX = 127, NOTHING = 128 };

/*
 * One segment (PS3.5 G.3) into every `step`-th of n bytes; false if it ends before they are complete, or if
 * more than zeros, which pad it, follow.  What a run has beyond them is left away: some encoders round up.
 */
static bool unpack(unsigned char *ret_byte, size_t n, size_t step, const unsigned char *p,
                   size_t size)
{
    size_t at = 0;
    size_t done = 0;
    while (done < n) {
        if (at == size) {
            return false;
        }
        const size_t code = p[at++];
        if (code == NOTHING) {
            continue;
        }
        const bool is_literal = code <= LITERAL_MAX;
        const size_t run = is_literal ? code + 1 : 257 - code;
        if (size - at < (is_literal ? run : 1)) {
            return false;
        }
        for (size_t i = 0; i < run && done < n; i++) {
            ret_byte[step * done++] = p[at + (is_literal ? i : 0)];
        }
        at += is_literal ? run : 1;
    }
    while (at < size && p[at] == 0) {
        at++;
    }
    return at == size;
}

/* The segments are the bytes of the samples, the most significant first (PS3.5 G.2). */
int dicom_codec_decode_rle(unsigned char *ret_samples, size_t room,
                           const struct dicom_code_stream *stream, struct sctd_error *err)
{
    const size_t n = (size_t)stream->format->rows * (size_t)stream->format->columns;
    const size_t width = (size_t)stream->format->bits_allocated / 8;
    if (stream->size < HEADER_SIZE || dicom_prescan_read(stream->bytes, 4, false) != width ||
        width > SEGMENTS_MAX || n * width > room) {
        return sctd_error(err, SCTD_EDATA, "no RLE header for samples of %zu bytes", width);
    }
    for (size_t i = 0; i < width; i++) {
        const unsigned char *entry = stream->bytes + 4 + 4 * i;
        const uint64_t begin = dicom_prescan_read(entry, 4, false);
        const uint64_t end = i + 1 < width ? dicom_prescan_read(entry + 4, 4, false) : stream->size;
        if (begin < HEADER_SIZE || begin > end || end > stream->size ||
            !unpack(ret_samples + (width - 1 - i), n, width, stream->bytes + begin,
                    (size_t)(end - begin))) {
            return sctd_error(err, SCTD_EDATA, "RLE segment %zu has not one byte for each sample",
                              i + 1);
        }
    }
    return 0;
}
