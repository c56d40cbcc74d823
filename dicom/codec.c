/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "dicom/refusal.h"
#include "dicom/series.h"
#include "engine/base/error.h"

/* Markers of JPEG, JPEG-LS (ITU-T T.81 B.1.1.3, T.87 C.1.1) and JPEG 2000 (T.800 A.2). */
enum {
    SOF_BASELINE = 0xC0,
    SOF_EXTENDED = 0xC1,
    SOF_LOSSLESS = 0xC3,
    SOF_JPEG_LS = 0xF7,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    J2K_SOC = 0xFF4F,
    J2K_SIZ = 0xFF51,
    J2K_COD = 0xFF52,
    J2K_COC = 0xFF53,
    J2K_SOT = 0xFF90,
    J2K_SOD = 0xFF93,
};

enum {
    RLE_HEADER_SIZE = 64,
    /* Far beyond what encoders write, and before a decoder's tables become larger than the image. */
    J2K_TILES_MAX = 4096,
    J2K_LAYERS_MAX = 256,
    J2K_PRECINCT_EXPONENT_MIN = 4,
};

/* What the header of a stream says. */
struct promise {
    int64_t rows, columns, components;
    int32_t precision; /* bits of a sample */
    bool is_signed;
};

static uint32_t read_be(const unsigned char *p, size_t size)
{
    return (uint32_t)dicom_prescan_read(p, size, true);
}

static bool is_frame_header(unsigned char code)
{
    const bool of_jpeg =
        code >= 0xC0 && code <= 0xCF && code != 0xC4 && code != 0xC8 && code != 0xCC;
    return of_jpeg || code == SOF_JPEG_LS;
}

/* Whether a process of JPEG may stand in the transfer syntax. */
static bool is_expected_process(unsigned char code, const struct dicom_code_stream *s)
{
    if (s->compression == DICOM_COMPRESSION_JPEG_LS) {
        return code == SOF_JPEG_LS;
    }
    if (strcmp(s->transfer_syntax_uid, "1.2.840.10008.1.2.4.50") == 0) {
        return code == SOF_BASELINE;
    }
    if (strcmp(s->transfer_syntax_uid, "1.2.840.10008.1.2.4.51") == 0) {
        return code == SOF_BASELINE || code == SOF_EXTENDED;
    }
    return code == SOF_LOSSLESS;
}

/* The one frame header before the first scan; false if it is missing, another process's, or not alone. */
static bool read_jpeg(struct promise *ret_promise, const struct dicom_code_stream *s)
{
    const unsigned char *p = s->bytes;
    const size_t n = s->size;
    bool has_frame = false;
    size_t at = 2;
    if (n < 2 || p[0] != 0xFF || p[1] != SOI) {
        return false;
    }
    while (n - at >= 4 && p[at] == 0xFF) {
        const unsigned char code = p[at + 1];
        if (code == 0xFF) { /* filling */
            at++;
            continue;
        }
        const size_t length = read_be(p + at + 2, 2);
        const bool is_segment = code > 0x01 && (code < 0xD0 || code > EOI);
        if (!is_segment || length < 2 || length > n - at - 2) {
            return false;
        }
        if (code == SOS) {
            return has_frame;
        }
        if (is_frame_header(code)) {
            if (has_frame || length < 8 || !is_expected_process(code, s)) {
                return false;
            }
            has_frame = true;
            *ret_promise = (struct promise){.rows = read_be(p + at + 5, 2),
                                            .columns = read_be(p + at + 7, 2),
                                            .components = p[at + 9],
                                            .precision = p[at + 4]};
        }
        at += 2 + length;
    }
    return false;
}

/* Size and components (T.800 A.5.1); `size` is that of the marker segment at p. */
static bool read_siz(struct promise *ret_promise, const unsigned char *p, size_t size)
{
    enum { FIXED = 40, OF_COMPONENT = 3 };
    if (size < FIXED + OF_COMPONENT) {
        return false;
    }
    const int64_t x1 = read_be(p + 6, 4);
    const int64_t y1 = read_be(p + 10, 4);
    const int64_t x0 = read_be(p + 14, 4);
    const int64_t y0 = read_be(p + 18, 4);
    const int64_t tile_x = read_be(p + 22, 4);
    const int64_t tile_y = read_be(p + 26, 4);
    if (tile_x < 1 || tile_y < 1 || x1 <= x0 || y1 <= y0 || p[41] != 1 || p[42] != 1) {
        return false;
    }
    /* One more in each direction for an offset of the tiles. */
    const int64_t across = (x1 - x0) / tile_x + 2;
    const int64_t down = (y1 - y0) / tile_y + 2;
    if (across > J2K_TILES_MAX || down > J2K_TILES_MAX || across * down > J2K_TILES_MAX) {
        return false;
    }
    *ret_promise = (struct promise){.rows = y1 - y0,
                                    .columns = x1 - x0,
                                    .components = read_be(p + 38, 2),
                                    .precision = (p[40] & 0x7F) + 1,
                                    .is_signed = (p[40] & 0x80) != 0};
    return true;
}

/* Coding style (T.800 A.6.1): layers and precincts of a sane number. */
static bool is_sane_cod(const unsigned char *p, size_t size)
{
    enum { FIXED = 14 };
    if (size < FIXED) {
        return false;
    }
    const uint32_t layers = read_be(p + 6, 2);
    const size_t levels = p[9];
    if (layers < 1 || layers > J2K_LAYERS_MAX) {
        return false;
    }
    if ((p[4] & 1) == 0) {
        return true;
    }
    /* The smallest resolution comes first, and has few precincts whatever their size. */
    for (size_t i = 0; i <= levels; i++) {
        if (FIXED + i >= size) {
            return false;
        }
        const unsigned exponents = p[FIXED + i];
        const bool is_tiny = (exponents & 0xF) < J2K_PRECINCT_EXPONENT_MIN ||
                             exponents >> 4 < J2K_PRECINCT_EXPONENT_MIN;
        if (i > 0 && i + 4 > levels && is_tiny) {
            return false;
        }
    }
    return true;
}

/*
 * The main header, and the headers of tile-parts as far as the walk finds them: in these a coding style of
 * their own is refused, as it would go round the check of the main one.
 */
static bool read_j2k(struct promise *ret_promise, const struct dicom_code_stream *s)
{
    const unsigned char *p = s->bytes;
    const size_t n = s->size;
    bool has_size = false;
    bool has_style = false;
    size_t at = 2;
    size_t tile_end = 0; /* 0: in the main header */
    if (n < 2 || read_be(p, 2) != J2K_SOC) {
        return false;
    }
    while (n - at >= 4) {
        const uint32_t marker = read_be(p + at, 2);
        if (marker == J2K_SOD) { /* of the last tile-part, if its end is not told */
            return tile_end == n;
        }
        const size_t length = read_be(p + at + 2, 2);
        if (length < 2 || length > n - at - 2) {
            return false;
        }
        if (marker == J2K_SIZ) {
            if (has_size || !read_siz(ret_promise, p + at, length + 2)) {
                return false;
            }
            has_size = true;
        } else if (marker == J2K_COD || marker == J2K_COC) {
            if (has_style || marker == J2K_COC || tile_end != 0 ||
                !is_sane_cod(p + at, length + 2)) {
                return false;
            }
            has_style = true;
        } else if (marker == J2K_SOT) {
            if (!has_size || !has_style || length != 10) {
                return false;
            }
            const size_t part = read_be(p + at + 6, 4);
            tile_end = part == 0 ? n : at + part;
            if (tile_end > n || (part != 0 && part < 14)) {
                return false;
            }
        }
        at += 2 + length;
        if (tile_end != 0 && tile_end != n && n - at >= 2 && read_be(p + at, 2) == J2K_SOD) {
            at = tile_end > at ? tile_end : n;
            if (n - at >= 2 && read_be(p + at, 2) == (0xFF00U | EOI)) {
                return true;
            }
        }
    }
    return false;
}

/* RLE (PS3.5 G.5): as many segments as a sample has bytes, each within the stream. */
static bool is_rle(const struct dicom_code_stream *s)
{
    const size_t segments = (size_t)s->format->bits_allocated / 8;
    if (s->size < RLE_HEADER_SIZE || dicom_prescan_read(s->bytes, 4, false) != segments) {
        return false;
    }
    uint64_t before = 0;
    for (size_t i = 0; i < segments; i++) {
        const uint64_t offset = dicom_prescan_read(s->bytes + 4 + 4 * i, 4, false);
        if (offset >= s->size || (i == 0 ? offset != RLE_HEADER_SIZE : offset <= before)) {
            return false;
        }
        before = offset;
    }
    return true;
}

/* The marker that ends every JPEG, with what pads a fragment behind it. */
static bool has_end(const struct dicom_code_stream *s)
{
    size_t n = s->size;
    while (n > 0 && s->bytes[n - 1] == 0) {
        n--;
    }
    return n >= 2 && s->bytes[n - 2] == 0xFF && s->bytes[n - 1] == EOI;
}

static int refuse(struct dicom_refusal *ret_refusal, const char *what)
{
    return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS, "a compressed frame %s",
                             what);
}

/* Whether samples of the stream fill the containers as Bits Stored and High Bit have it. */
static bool is_fitting(const struct promise *promise, const struct dicom_code_stream *s)
{
    const struct dicom_pixel_format *f = s->format;
    const int32_t bits = promise->precision;
    const bool is_j2k = s->compression == DICOM_COMPRESSION_JPEG_2000;
    if (bits < 1 || bits > f->bits_allocated ||
        (!is_j2k && (bits <= 8 ? 8 : 16) != f->bits_allocated)) {
        return false;
    }
    if (f->high_bit >= f->bits_stored && bits <= f->high_bit) {
        return false;
    }
    /* The sign must be in the stream, or in the bit where the header has it. */
    return promise->is_signed ? f->is_signed == 1 : f->is_signed == 0 || bits >= f->bits_stored;
}

int dicom_codec_check(const struct dicom_code_stream *stream, struct dicom_refusal *ret_refusal)
{
    const struct dicom_pixel_format *f = stream->format;
    struct promise promise = {0};
    if (stream->compression == DICOM_COMPRESSION_RLE) {
        return is_rle(stream) ? 0 : refuse(ret_refusal, "has no RLE header for its samples");
    }
    const bool is_j2k = stream->compression == DICOM_COMPRESSION_JPEG_2000;
    if (!has_end(stream)) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_TRUNCATED_PIXELS,
                                 "a compressed frame of %zu bytes has no end", stream->size);
    }
    if (!(is_j2k ? read_j2k(&promise, stream) : read_jpeg(&promise, stream))) {
        return refuse(ret_refusal, "has no header that its transfer syntax allows");
    }
    if (promise.components != 1) {
        return refuse(ret_refusal, "has several components and is said to be monochrome");
    }
    if (promise.rows != f->rows || promise.columns != f->columns) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                                 "a compressed frame has %lld x %lld pixels, not %d x %d",
                                 (long long)promise.columns, (long long)promise.rows, f->columns,
                                 f->rows);
    }
    if (!is_fitting(&promise, stream)) {
        return dicom_refusal_set(
            ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
            "a compressed frame has %d bits %s sign, Bits Stored is %d, Bits Allocated %d",
            promise.precision, promise.is_signed ? "with" : "without", f->bits_stored,
            f->bits_allocated);
    }
    return 0;
}

int dicom_codec_decode(unsigned char *ret_samples, size_t room,
                       const struct dicom_code_stream *stream, struct dicom_refusal *ret_refusal,
                       struct sctd_error *err)
{
    struct sctd_error why = {0};
    int r = dicom_codec_check(stream, ret_refusal);
    if (r != 0) {
        return r;
    }
    r = stream->compression == DICOM_COMPRESSION_JPEG_2000
            ? dicom_codec_decode_openjpeg(ret_samples, room, stream, &why)
            : dicom_codec_decode_dcmtk(ret_samples, room, stream, &why);
    if (r == SCTD_ENOMEM) {
        return sctd_error(err, SCTD_ENOMEM, "%s", why.text);
    }
    return r == 0 ? 0
                  : dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                                      "a compressed frame cannot be decoded: %s", why.text);
}
