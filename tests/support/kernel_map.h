/*
 * kernel_map.h - maps in the CPU backend's formats, for the tests of its kernels.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>  // IWYU pragma: export
#include <math.h>    // IWYU pragma: export
#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export
#include <stdlib.h>  // IWYU pragma: export
#include <string.h>  // IWYU pragma: export

#include "engine/backend/cpu/kernels.h" // IWYU pragma: export
#include "engine/base/rng.h"            // IWYU pragma: export

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { GUARD = 40, FORMATS = 4 };

static const double infinite = (double)INFINITY;

static inline float *draw(size_t n, float scale, uint64_t seed)
{
    struct sctd_rng rng = {seed};
    float *values = malloc((n + 1) * sizeof *values);
    assert(values != NULL);
    for (size_t i = 0; i < n; i++) {
        values[i] = scale * sctd_rng_normal(&rng);
    }
    return values;
}

static inline float from_bits(uint32_t bits)
{
    float x = 0.0F;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t to_bits(float x)
{
    uint32_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* IEEE 754 round to nearest even of the upper half by arithmetic on values, not on bits. */
static inline uint16_t round_to_bf16(float x)
{
    if (isnan(x)) {
        return (uint16_t)(to_bits(x) >> 16 | 0x40U);
    }
    if (fabsf(x) < 0x1p-126F) {
        return signbit(x) != 0 ? 0x8000 : 0;
    }
    if (isinf(x)) {
        return (uint16_t)(to_bits(x) >> 16);
    }
    int exponent = 0;
    (void)frexp((double)x, &exponent);
    const double unit = ldexp(1.0, exponent - 8);
    const double rounded = nearbyint((double)x / unit) * unit;
    if (fabs(rounded) >= 0x1p128) {
        return signbit(x) != 0 ? 0xff80 : 0x7f80;
    }
    return (uint16_t)(to_bits((float)rounded) >> 16);
}

static inline double from_bf16(uint16_t h)
{
    return (double)from_bits((uint32_t)h << 16);
}

/* A map [pixels, channels] of a format with more values in a pixel than channels, all 0x55 bytes. */
struct map {
    struct operand operand;
    unsigned char *bytes;
    size_t pixels, size;
};

static inline size_t value_size(enum format f)
{
    return f == FORMAT_F32 ? sizeof(float) : sizeof(uint16_t);
}

static inline struct map map_new(enum format format, size_t pixels, size_t channels)
{
    const size_t one = channels + GUARD;
    const size_t stride = format == FORMAT_SPLIT ? 3 * one : one;
    struct map m = {.pixels = pixels, .size = (2 * pixels * stride + GUARD) * sizeof(float)};
    m.bytes = malloc(m.size);
    assert(m.bytes != NULL);
    memset(m.bytes, 0x55, m.size);
    m.operand = (struct operand){.data = m.bytes,
                                 .format = format,
                                 .stride = stride,
                                 .plane = format == FORMAT_PAIR ? pixels * stride : one};
    return m;
}

static inline size_t map_at(const struct map *m, size_t pixel, size_t channel)
{
    return pixel * m->operand.stride + channel;
}

static inline double map_get(const struct map *m, size_t pixel, size_t channel)
{
    const size_t at = map_at(m, pixel, channel);
    if (m->operand.format == FORMAT_F32) {
        return (double)((const float *)m->operand.data)[at];
    }
    const uint16_t *h = m->operand.data;
    const bool whole = m->operand.format == FORMAT_BF16;
    return from_bf16(h[at]) + (whole ? 0.0 : from_bf16(h[at + m->operand.plane]));
}

static inline void map_set(const struct map *m, size_t pixel, size_t channel, float value)
{
    const size_t at = map_at(m, pixel, channel);
    if (m->operand.format == FORMAT_F32) {
        ((float *)m->operand.data)[at] = value;
        return;
    }
    uint16_t *h = m->operand.data;
    h[at] = round_to_bf16(value);
    if (m->operand.format != FORMAT_BF16) {
        h[at + m->operand.plane] = round_to_bf16(value - (float)from_bf16(h[at]));
    }
    if (m->operand.format == FORMAT_SPLIT) {
        h[at + 2 * m->operand.plane] = h[at];
    }
}

/* Whether all bytes but those of [pixels, channels] are as map_new left them; spoils the map. */
static inline bool map_is_clean_outside(const struct map *m, size_t channels)
{
    const size_t planes[FORMATS] = {1, 1, 3, 2};
    const size_t value = value_size(m->operand.format);
    for (size_t plane = 0; plane < planes[m->operand.format]; plane++) {
        for (size_t p = 0; p < m->pixels; p++) {
            const size_t at = map_at(m, p, 0) + plane * m->operand.plane;
            memset(m->bytes + at * value, 0x55, channels * value);
        }
    }
    for (size_t i = 0; i < m->size; i++) {
        if (m->bytes[i] != 0x55) {
            return false;
        }
    }
    return true;
}

static inline void map_fini(struct map *m)
{
    free(m->bytes);
}

static inline void map_fill(const struct map *m, size_t channels, uint64_t seed)
{
    float *values = draw(m->pixels * channels, 1.0F, seed);
    for (size_t i = 0; i < m->pixels * channels; i++) {
        map_set(m, i / channels, i % channels, values[i]);
    }
    free(values);
}

/* What storing in a format may lose of a value. */
static inline double rounding(enum format f, double value)
{
    static const double relative[FORMATS] = {0x1p-24, 0x1p-8, 0x1p-16, 0x1p-16};
    return relative[f] * fabs(value) + 0x1p-126;
}

static inline bool near(double value, double expected, double allowed)
{
    return fabs(value - expected) <= allowed;
}
