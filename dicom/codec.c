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
    SOC = 0x4F,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    J2K_SIZ = 0xFF51,
    J2K_COD = 0xFF52,
    J2K_COC = 0xFF53,
    J2K_SOT = 0xFF90,
    J2K_SOD = 0xFF93,
    J2K_EOC = 0xFFD9,
};

enum {
    SOT_SIZE = 12,
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

/* The frame header whose marker is at p. */
static struct promise get_frame_promise(const unsigned char *p)
{
    return (struct promise){.rows = read_be(p + 5, 2),
                            .columns = read_be(p + 7, 2),
                            .components = p[9],
                            .precision = p[4]};
}

/* The one frame header before the first scan; false if it is missing, another process's, or not alone. */
static bool read_jpeg(struct promise *ret_promise, const struct dicom_code_stream *s)
{
    const unsigned char *p = s->bytes;
    const size_t n = s->size;
    bool has_frame = false;
    size_t at = 2;
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
        const bool is_frame = is_frame_header(code);
        if (is_frame && (has_frame || length < 8 || !is_expected_process(code, s))) {
            return false;
        }
        if (is_frame) {
            has_frame = true;
            *ret_promise = get_frame_promise(p + at);
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
    /* The smallest resolution comes first; of those far below the largest, precincts are few anyway. */
    for (size_t i = 0; i <= levels; i++) {
        if (FIXED + i >= size) {
            return false;
        }
        const unsigned exponents = p[FIXED + i];
        const bool is_tiny = (exponents & 0xF) < J2K_PRECINCT_EXPONENT_MIN ||
                             exponents >> 4 < J2K_PRECINCT_EXPONENT_MIN;
        if (i + 4 > levels && is_tiny) {
            return false;
        }
    }
    return true;
}

/* A walk over the markers of JPEG 2000. */
struct j2k_walk {
    struct promise *promise;
    size_t at;
    size_t tile_end; /* 0: in the main header; the stream's size if it is not told */
    bool has_size, has_style;
};

/* The marker segment of `size` bytes at w->at. */
static bool read_j2k_segment(struct j2k_walk *w, const struct dicom_code_stream *s, size_t size)
{
    const unsigned char *p = s->bytes + w->at;
    size_t part = 0;
    switch (read_be(p, 2)) {
    case J2K_SIZ:
        if (w->has_size || !read_siz(w->promise, p, size)) {
            return false;
        }
        w->has_size = true;
        return true;
    case J2K_COD:
        /* of a tile: it would go round the check of the main one */
        if (w->has_style || w->tile_end != 0 || !is_sane_cod(p, size)) {
            return false;
        }
        w->has_style = true;
        return true;
    case J2K_COC:
        return false;
    case J2K_SOT:
        if (!w->has_size || !w->has_style || size != SOT_SIZE) {
            return false;
        }
        part = read_be(p + 6, 4);
        w->tile_end = part == 0 ? s->size : w->at + part;
        return w->tile_end <= s->size && (part == 0 || part > SOT_SIZE);
    default:
        return true;
    }
}

/* The main header and the headers of all tile-parts. */
static bool read_j2k(struct promise *ret_promise, const struct dicom_code_stream *s)
{
    struct j2k_walk w = {.promise = ret_promise, .at = 2};
    while (s->size - w.at >= 4) {
        const uint32_t marker = read_be(s->bytes + w.at, 2);
        const size_t size = (size_t)read_be(s->bytes + w.at + 2, 2) + 2;
        if (marker == J2K_EOC) {
            break;
        }
        if (marker == J2K_SOD && w.tile_end > w.at) {
            w.at = w.tile_end;
            continue;
        }
        if (marker == J2K_SOD || size < 4 || size > s->size - w.at ||
            !read_j2k_segment(&w, s, size)) {
            return false;
        }
        w.at += size;
    }
    return w.tile_end != 0;
}

static bool has_start(const struct dicom_code_stream *s)
{
    const unsigned char second = s->compression == DICOM_COMPRESSION_JPEG_2000 ? SOC : SOI;
    return s->size >= 2 && s->bytes[0] == 0xFF && s->bytes[1] == second;
}

/* The marker that ends every JPEG, with what pads a fragment behind it. */
static bool has_end(const struct dicom_code_stream *s)
{
    size_t n = s->size;
    while (n > 0 && (s->bytes[n - 1] == 0 || s->bytes[n - 1] == 0xFF)) {
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

int dicom_codec_check(struct dicom_code_stream *stream, struct dicom_refusal *ret_refusal)
{
    const struct dicom_pixel_format *f = stream->format;
    struct promise promise = {0};
    stream->precision = 0;
    const bool is_j2k = stream->compression == DICOM_COMPRESSION_JPEG_2000;
    if (stream->compression == DICOM_COMPRESSION_RLE) {
        return 0; /* nothing in it tells its size */
    }
    if (!has_start(stream)) {
        return refuse(ret_refusal, "does not begin as its transfer syntax wants");
    }
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
    stream->precision = promise.precision;
    return 0;
}

int dicom_codec_decode(unsigned char *ret_samples, size_t room,
                       const struct dicom_code_stream *stream, struct dicom_refusal *ret_refusal,
                       struct sctd_error *err)
{
    struct sctd_error why = {0};
    int r = 0;
    if (stream->compression == DICOM_COMPRESSION_RLE) {
        r = dicom_codec_decode_rle(ret_samples, room, stream, &why);
    } else if (stream->compression == DICOM_COMPRESSION_JPEG_2000) {
        r = dicom_codec_decode_openjpeg(ret_samples, room, stream, &why);
    } else {
        r = dicom_codec_decode_dcmtk(ret_samples, room, stream, &why);
    }
    if (r == SCTD_ENOMEM) {
        return sctd_error(err, SCTD_ENOMEM, "%s", why.text);
    }
    return r == 0 ? 0
                  : dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                                      "a compressed frame cannot be decoded: %s", why.text);
}
