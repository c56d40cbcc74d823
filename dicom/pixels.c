/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/pixels.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/codec.h"
#include "dicom/fragments.h"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "dicom/refusal.h"
#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

enum { CHUNK = 1024 /* samples that are in work at a time */ };

/* Rescaled values stay finite in a float. */
#define RESCALE_MAX 1e20

struct dicom_pixels {
    struct dicom_part10 file;
    struct dicom_instance instance;
    float *lut; /* owned; [instance.lut_entries], or NULL */
    struct dicom_fragments fragments;
    unsigned char *decoded; /* owned; room for a frame, or NULL while none was decoded */
};

/* Samples as they lie in memory, one after the other. */
struct samples {
    const unsigned char *bytes;
    int32_t bits_allocated, bits_stored, shift;
    bool is_signed, is_big_endian, is_swapped; /* swapped: bytes of 8 bits within words */
};

static size_t frame_pixels(const struct dicom_instance *instance)
{
    return (size_t)instance->format.rows * (size_t)instance->format.columns;
}

static size_t frame_bytes(const struct dicom_instance *instance)
{
    return frame_pixels(instance) * (size_t)(instance->format.bits_allocated / 8);
}

static int check_format(const struct dicom_pixel_format *f, struct dicom_refusal *ret_refusal)
{
    if (f->samples_per_pixel == DICOM_NO_NUMBER || f->photometric[0] == '\0') {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "Samples per Pixel or Photometric Interpretation is missing");
    }
    if (f->samples_per_pixel != 1 || (strcmp(f->photometric, "MONOCHROME1") != 0 &&
                                      strcmp(f->photometric, "MONOCHROME2") != 0)) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_COLOUR,
                                 "%.16s with %d samples per pixel, not monochrome", f->photometric,
                                 f->samples_per_pixel);
    }
    if (f->rows < 1 || f->columns < 1 || f->rows > UINT16_MAX || f->columns > UINT16_MAX) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "Rows or Columns is missing or impossible");
    }
    const bool whole_bytes =
        f->bits_allocated == 8 || f->bits_allocated == 16 || f->bits_allocated == 32;
    if (!whole_bytes || f->bits_stored < 1 || f->bits_stored > f->bits_allocated ||
        f->high_bit < f->bits_stored - 1 || f->high_bit >= f->bits_allocated) {
        return dicom_refusal_set(
            ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
            "Bits Allocated, Bits Stored or High Bit is missing or impossible");
    }
    if (f->is_signed != 0 && f->is_signed != 1) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "Pixel Representation is missing or impossible");
    }
    return 0;
}

static int check_lut(const struct dicom_instance *instance, struct dicom_refusal *ret_refusal)
{
    const size_t entries = (size_t)instance->lut_entries;
    const size_t size = instance->lut.size;
    const bool narrow = instance->lut_bits <= 8 && size == entries + entries % 2;
    if (instance->lut_entries < 1 || instance->lut_bits < 1 || instance->lut_bits > 16 ||
        (size != entries * 2 && !narrow)) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "the Modality LUT has %zu bytes for %zu entries of %d bits", size,
                                 entries, instance->lut_bits);
    }
    return 0;
}

static int check_extent(const struct dicom_instance *instance, struct dicom_refusal *ret_refusal)
{
    const size_t n = (size_t)instance->n_frames;
    size_t need = 0;
    if (instance->is_truncated) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_TRUNCATED_PIXELS,
                                 "the file ends within Pixel Data");
    }
    if (instance->is_encapsulated) {
        return 0;
    }
    if (__builtin_mul_overflow(frame_bytes(instance), n, &need) || instance->pixels.size < need) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_TRUNCATED_PIXELS,
                                 "Pixel Data has %zu bytes for %zu frames of %zu",
                                 instance->pixels.size, n, frame_bytes(instance));
    }
    if (instance->pixels.size > need + need % 2) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "Pixel Data has %zu bytes, %zu frames of %d x %d are %zu",
                                 instance->pixels.size, n, instance->format.columns,
                                 instance->format.rows, need);
    }
    return 0;
}

int dicom_pixels_check(const struct dicom_instance *instance, struct dicom_refusal *ret_refusal)
{
    if (!instance->has_pixels) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_TRUNCATED_PIXELS, "no Pixel Data");
    }
    int r = check_format(&instance->format, ret_refusal);
    if (r == 0 && instance->format.frame_count != instance->n_frames) {
        r = dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                              "Number of Frames is %d, and %d frames are described",
                              instance->format.frame_count, instance->n_frames);
    }
    if (r == 0 && instance->has_modality_lut) {
        r = check_lut(instance, ret_refusal);
    }
    if (r == 0 && instance->is_encapsulated != (instance->compression != DICOM_COMPRESSION_NONE)) {
        r = dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                              "Pixel Data is not kept as transfer syntax %s says",
                              instance->transfer_syntax_uid);
    }
    if (r == 0 && instance->compression == DICOM_COMPRESSION_UNKNOWN) {
        r = dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                              "transfer syntax %s cannot be decoded",
                              instance->transfer_syntax_uid);
    }
    return r != 0 ? r : check_extent(instance, ret_refusal);
}

/* The modality LUT's outputs are whole numbers without sign (PS3.3 C.11.1.1). */
static int read_lut(struct dicom_pixels *pixels, struct sctd_error *err)
{
    const struct dicom_instance *instance = &pixels->instance;
    const size_t n = (size_t)instance->lut_entries;
    const size_t width = instance->lut.size >= 2 * n ? 2 : 1;
    const unsigned char *p = pixels->file.data + instance->lut.offset;
    pixels->lut = malloc(n * sizeof *pixels->lut);
    if (pixels->lut == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a modality LUT");
    }
    for (size_t i = 0; i < n; i++) {
        /* Bytes are the halves of words, in the order of the words' bytes. */
        const size_t at = width == 2 ? 2 * i : (instance->is_big_endian ? i ^ 1U : i);
        pixels->lut[i] = (float)dicom_prescan_read(p + at, width, instance->is_big_endian);
    }
    return 0;
}

int dicom_pixels_open(struct dicom_pixels **ret_pixels, const char *path,
                      const struct dicom_instance *instance, struct dicom_refusal *ret_refusal,
                      struct sctd_error *err)
{
    sctd_auto(dicom_pixels_closep) struct dicom_pixels *pixels = calloc(1, sizeof *pixels);
    if (pixels == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a reader of pixels");
    }
    int r = dicom_part10_open(&pixels->file, path, err);
    if (r == SCTD_EIO || r == SCTD_ENOMEM) {
        return r;
    }
    if (r == 0) {
        r = dicom_instance_read(&pixels->instance, &pixels->file, err);
        if (r < 0) {
            return r;
        }
    }
    /* All that was checked is checked again by being the same. */
    const struct dicom_instance *now = &pixels->instance;
    if (r != 0 || now->is_damaged ||
        strcmp(now->sop_instance_uid, instance->sop_instance_uid) != 0 ||
        memcmp(&now->format, &instance->format, sizeof now->format) != 0 ||
        memcmp(&now->pixels, &instance->pixels, sizeof now->pixels) != 0 ||
        memcmp(&now->lut, &instance->lut, sizeof now->lut) != 0 ||
        now->lut_entries != instance->lut_entries || now->n_frames != instance->n_frames ||
        now->is_truncated != instance->is_truncated || now->compression != instance->compression) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "a file was changed while it was in use");
    }
    if (now->has_modality_lut) {
        r = read_lut(pixels, err);
        if (r < 0) {
            return r;
        }
    }
    if (now->is_encapsulated) {
        const struct dicom_encapsulated of = {.value = pixels->file.data + now->pixels.offset,
                                              .size = now->pixels.size,
                                              .n_frames = now->n_frames,
                                              .compression = now->compression};
        r = dicom_fragments_find(&pixels->fragments, &of, ret_refusal, err);
        if (r != 0) {
            return r;
        }
    }
    *ret_pixels = sctd_steal(&pixels);
    return 0;
}

void dicom_pixels_close(struct dicom_pixels *pixels)
{
    if (pixels == NULL) {
        return;
    }
    free(pixels->lut);
    free(pixels->decoded);
    dicom_fragments_fini(&pixels->fragments);
    dicom_instance_fini(&pixels->instance);
    dicom_part10_close(&pixels->file);
    free(pixels);
}

/* n samples from index `at` on, as they are in their containers. */
static void load(int32_t *restrict to, const struct samples *s, size_t at, size_t n)
{
    const size_t width = (size_t)s->bits_allocated / 8;
    const unsigned char *p = s->bytes + at * width;
    if (width == 2 && !s->is_big_endian) {
        for (size_t i = 0; i < n; i++) {
            to[i] = (int32_t)((uint32_t)p[2 * i] | (uint32_t)p[2 * i + 1] << 8);
        }
    } else if (width == 1) {
        /* a chunk begins at an even sample */
        for (size_t i = 0; i < n; i++) {
            to[i] = (int32_t)p[s->is_swapped ? i ^ 1U : i];
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = (int32_t)(uint32_t)dicom_prescan_read(p + i * width, width, s->is_big_endian);
        }
    }
}

/* Keep the stored bits, without overlays above or below them, with their sign. */
static void extract(int32_t *value, size_t n, const struct samples *s)
{
    const int up = 32 - s->bits_stored - s->shift;
    const int down = 32 - s->bits_stored;
    if (s->is_signed) {
        for (size_t i = 0; i < n; i++) {
            value[i] = (int32_t)((uint32_t)value[i] << up) >> down;
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            value[i] = (int32_t)((uint32_t)value[i] << up >> down);
        }
    }
}

/* The number that the bits of a stored value stand for: 32 bits without a sign do not fit into int32_t. */
static double number_of(int32_t value, bool is_signed)
{
    return is_signed ? (double)value : (double)(uint32_t)value;
}

static void apply_rescale(float *restrict to, const int32_t *restrict value, size_t n,
                          const struct dicom_frame *frame, bool is_signed)
{
    const double slope = isnan(frame->rescale_slope) ? 1 : frame->rescale_slope;
    const double intercept = isnan(frame->rescale_intercept) ? 0 : frame->rescale_intercept;
    if (is_signed) {
        for (size_t i = 0; i < n; i++) {
            to[i] = (float)(slope * (double)value[i] + intercept);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = (float)(slope * (double)(uint32_t)value[i] + intercept);
        }
    }
}

static void apply_lut(float *restrict to, const int32_t *restrict value, size_t n,
                      const struct dicom_pixels *pixels, bool is_signed)
{
    const double last = (double)(pixels->instance.lut_entries - 1);
    for (size_t i = 0; i < n; i++) {
        double at = number_of(value[i], is_signed) - (double)pixels->instance.lut_first;
        at = at < 0 ? 0 : (at > last ? last : at);
        to[i] = pixels->lut[(size_t)at];
    }
}

/* Padding is compared as stored (PS3.3 C.7.5.1.1.2). */
static size_t mark_padding(float *restrict to, const int32_t *restrict value, size_t n,
                           const struct dicom_pixel_format *f)
{
    const bool is_range = f->has_padding == 3;
    const double a = f->padding_value;
    const double b = is_range ? f->padding_limit : f->padding_value;
    const double low = a < b ? a : b;
    const double high = a < b ? b : a;
    size_t marked = 0;
    for (size_t i = 0; i < n; i++) {
        const double stored = number_of(value[i], f->is_signed == 1);
        if (stored >= low && stored <= high) {
            to[i] = NAN;
            marked++;
        }
    }
    return marked;
}

static size_t convert(float *to, const struct dicom_pixels *pixels, const struct samples *s,
                      const struct dicom_frame *frame)
{
    const size_t n = frame_pixels(&pixels->instance);
    const struct dicom_pixel_format *f = &pixels->instance.format;
    size_t padding = 0;
    int32_t value[CHUNK];
    for (size_t at = 0; at < n; at += CHUNK) {
        const size_t m = n - at < CHUNK ? n - at : CHUNK;
        load(value, s, at, m);
        extract(value, m, s);
        if (pixels->lut != NULL) {
            apply_lut(to + at, value, m, pixels, s->is_signed);
        } else {
            apply_rescale(to + at, value, m, frame, s->is_signed);
        }
        if ((f->has_padding & 1) != 0) {
            padding += mark_padding(to + at, value, m, f);
        }
    }
    return padding;
}

static int check_rescale(const struct dicom_frame *frame, struct dicom_refusal *ret_refusal)
{
    const double slope = frame->rescale_slope;
    const double intercept = frame->rescale_intercept;
    if ((slope >= 0 && slope <= 0) || fabs(slope) > RESCALE_MAX || fabs(intercept) > RESCALE_MAX) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "Rescale Slope is %g, Rescale Intercept is %g", slope, intercept);
    }
    return 0;
}

/* The samples of one frame as Pixel Data without compression has them. */
static int decode(struct dicom_pixels *pixels, int32_t frame, struct dicom_refusal *ret_refusal,
                  struct sctd_error *err)
{
    const struct dicom_instance *instance = &pixels->instance;
    const size_t room = frame_bytes(instance) + frame_bytes(instance) % 2;
    struct dicom_code_stream stream = {.compression = instance->compression,
                                       .transfer_syntax_uid = instance->transfer_syntax_uid,
                                       .format = &instance->format};
    int r = dicom_fragments_get(&pixels->fragments, frame, &stream.bytes, &stream.size, err);
    if (r == 0) {
        r = dicom_codec_check(&stream, ret_refusal);
    }
    if (r != 0) {
        return r;
    }
    if (pixels->decoded == NULL) {
        pixels->decoded = malloc(room);
        if (pixels->decoded == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "a frame of %zu bytes", room);
        }
    }
    return dicom_codec_decode(pixels->decoded, room, &stream, ret_refusal, err);
}

/* Pages of the file that are not needed any more. */
static void drop_frame(struct dicom_pixels *pixels, int32_t frame)
{
    const struct dicom_instance *instance = &pixels->instance;
    const size_t bytes = frame_bytes(instance);
    if (pixels->file.inflated == NULL && !instance->is_encapsulated) {
        const unsigned char *begin =
            pixels->file.data + instance->pixels.offset + (size_t)frame * bytes;
        const size_t in_map = (size_t)(begin - (const unsigned char *)pixels->file.map.data);
        sctd_map_drop(&pixels->file.map, in_map, bytes);
    }
}

int dicom_pixels_read(struct dicom_pixels *pixels, int32_t frame, float *ret_value,
                      size_t *ret_padding, struct dicom_refusal *ret_refusal,
                      struct sctd_error *err)
{
    const struct dicom_instance *instance = &pixels->instance;
    const struct dicom_pixel_format *f = &instance->format;
    int r = check_rescale(&instance->frame[frame], ret_refusal);
    if (r == 0 && instance->is_encapsulated) {
        r = decode(pixels, frame, ret_refusal, err);
    }
    if (r != 0) {
        return r;
    }
    const size_t begin = instance->pixels.offset + (size_t)frame * frame_bytes(instance);
    const bool is_plain = !instance->is_encapsulated;
    const struct samples s = {
        .bytes = is_plain ? pixels->file.data + begin : pixels->decoded,
        .bits_allocated = f->bits_allocated,
        .bits_stored = f->bits_stored,
        .shift = f->high_bit + 1 - f->bits_stored,
        .is_signed = f->is_signed == 1,
        .is_big_endian = is_plain && instance->is_big_endian,
        .is_swapped = is_plain && instance->is_big_endian && instance->has_words,
    };
    *ret_padding = convert(ret_value, pixels, &s, &instance->frame[frame]);
    drop_frame(pixels, frame);
    return 0;
}
