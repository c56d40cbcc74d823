/*
 * simd.h - sixteen floats at a time, for kernels.c, which is compiled once per instruction set.
 *
 * The vector types are the compiler's own; only what they cannot say (fused multiply-add, table
 * lookup) has one form for AVX-512 and one for everything else.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>   // IWYU pragma: export
#include <stddef.h> // IWYU pragma: export
#include <stdint.h> // IWYU pragma: export
#include <string.h>

#if defined(__AVX512F__)
#    include <immintrin.h>
#endif

/* Wider than some instruction sets' registers: such vectors only go to inlined functions. */
#pragma GCC diagnostic ignored "-Wpsabi"

typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef uint16_t v16h __attribute__((vector_size(32)));

enum { SIMD_WIDTH = 16 };

static inline v16f simd_set(float x)
{
    return (v16f){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

/* The first n (1 ... 16) values; the rest are zero. */
static inline v16f simd_load(const float *p, size_t n)
{
    v16f v = {0};
    if (n == SIMD_WIDTH) {
        memcpy(&v, p, sizeof v);
        return v;
    }
#if defined(__AVX512F__)
    v = (v16f)_mm512_maskz_loadu_ps((__mmask16)((1U << n) - 1U), p);
#else
    memcpy(&v, p, n * sizeof *p);
#endif
    return v;
}

static inline void simd_store(float *p, v16f v, size_t n)
{
    if (n == SIMD_WIDTH) {
        memcpy(p, &v, sizeof v);
        return;
    }
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1U << n) - 1U), (__m512)v);
#else
    memcpy(p, &v, n * sizeof *p);
#endif
}

static inline v16f simd_fma(v16f a, v16f b, v16f c)
{
#if defined(__AVX512F__)
    return (v16f)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return a * b + c;
#endif
}

static inline v16f simd_select(v16i mask, v16f a, v16f b)
{
    return (v16f)((mask & (v16i)a) | (~mask & (v16i)b));
}

/* A NaN in x stays. */
static inline v16f simd_max(v16f x, v16f low)
{
#if defined(__AVX512F__)
    return (v16f)_mm512_max_ps((__m512)low, (__m512)x);
#else
    return simd_select(x < low, low, x);
#endif
}

static inline v16f simd_min(v16f x, v16f high)
{
#if defined(__AVX512F__)
    return (v16f)_mm512_min_ps((__m512)high, (__m512)x);
#else
    return simd_select(x > high, high, x);
#endif
}

static inline v16f simd_abs(v16f x)
{
    return (v16f)((v16i)x & 0x7fffffff);
}

/* table[index & 31] */
static inline v16f simd_lookup(const float table[2 * SIMD_WIDTH], v16i index)
{
#if defined(__AVX512F__)
    return (v16f)_mm512_permutex2var_ps(_mm512_loadu_ps(table), (__m512i)index,
                                        _mm512_loadu_ps(table + SIMD_WIDTH));
#else
    v16f r = {0};
    for (int i = 0; i < SIMD_WIDTH; i++) {
        r[i] = table[index[i] & 31];
    }
    return r;
#endif
}

/* The lanes from n on become zero. */
static inline v16f simd_keep(v16f v, size_t n)
{
    const v16i lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return (v16f)((lane < (int32_t)n) & (v16i)v);
}

/* Halves onto each other, whatever the instruction set. */
static inline float simd_sum(v16f v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    for (int width = SIMD_WIDTH / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            v[i] += v[i + width];
        }
    }
    return v[0];
#endif
}

/* A NaN in any lane may be lost. */
static inline float simd_largest(v16f v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#else
    for (int width = SIMD_WIDTH / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++) {
            v[i] = v[i] < v[i + width] ? v[i + width] : v[i];
        }
    }
    return v[0];
#endif
}

/*
 * bf16: the upper half of an f32, rounded to nearest, ties to even.  A NaN stays one; what is below
 * the smallest normal number, 2^-126, becomes zero, as in the processor's own conversion and in its
 * bf16 products.
 */
static inline v16h simd_to_bf16(v16f v)
{
#if defined(__AVX512BF16__)
    return (v16h)_mm512_cvtneps_pbh((__m512)v);
#else
    const v16u bits = (v16u)v;
    const v16u rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const v16u quiet = (bits >> 16) | 0x40U;
    const v16u sign = (bits >> 16) & 0x8000U;
    const v16u size = bits & 0x7fffffffU;
    const v16u nan = (v16u)(size > 0x7f800000U);
    const v16u tiny = (v16u)(size < 0x00800000U);
    return __builtin_convertvector((nan & quiet) | (tiny & sign) | (~nan & ~tiny & rounded), v16h);
#endif
}

static inline v16f simd_from_bf16(v16h h)
{
#if defined(__AVX512F__)
    return (v16f)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)h), 16);
#else
    return (v16f)(__builtin_convertvector(h, v16u) << 16);
#endif
}

static inline v16f simd_load_bf16(const uint16_t *p, size_t n)
{
    v16h h = {0};
    if (n == SIMD_WIDTH) {
        memcpy(&h, p, sizeof h);
    } else {
        memcpy(&h, p, n * sizeof *p);
    }
    return simd_from_bf16(h);
}

static inline void simd_store_bf16(uint16_t *p, v16h h, size_t n)
{
    if (n == SIMD_WIDTH) {
        memcpy(p, &h, sizeof h);
    } else {
        memcpy(p, &h, n * sizeof *p);
    }
}
