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
    } else {
        memcpy(&v, p, n * sizeof *p);
    }
    return v;
}

static inline void simd_store(float *p, v16f v, size_t n)
{
    if (n == SIMD_WIDTH) {
        memcpy(p, &v, sizeof v);
    } else {
        memcpy(p, &v, n * sizeof *p);
    }
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
    return simd_select(x < low, low, x);
}

static inline v16f simd_min(v16f x, v16f high)
{
    return simd_select(x > high, high, x);
}

static inline v16f simd_abs(v16f x)
{
    return (v16f)((v16i)x & 0x7fffffff);
}

/* Towards zero; any value for what does not fit. */
static inline v16i simd_to_int(v16f x)
{
#if defined(__AVX512F__)
    return (v16i)_mm512_cvttps_epi32((__m512)x);
#else
    v16i r = {0};
    for (int i = 0; i < SIMD_WIDTH; i++) {
        r[i] = x[i] >= 0.0F && x[i] < 256.0F ? (int32_t)x[i] : 0;
    }
    return r;
#endif
}

static inline v16f simd_to_float(v16i x)
{
    return __builtin_convertvector(x, v16f);
}

/* table[index & 15] */
static inline v16f simd_lookup(const float table[SIMD_WIDTH], v16i index)
{
#if defined(__AVX512F__)
    return (v16f)_mm512_permutexvar_ps((__m512i)index, _mm512_loadu_ps(table));
#else
    v16f r = {0};
    for (int i = 0; i < SIMD_WIDTH; i++) {
        r[i] = table[index[i] & 15];
    }
    return r;
#endif
}

static inline float simd_sum(v16f v)
{
    float s = 0.0F;
    for (int i = 0; i < SIMD_WIDTH; i++) {
        s += v[i];
    }
    return s;
}

/* bf16: the upper half of an f32, rounded to nearest, ties to even.  A NaN stays one. */
static inline v16h simd_to_bf16(v16f v)
{
    const v16u bits = (v16u)v;
    const v16u rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const v16u quiet = (bits >> 16) | 0x40U;
    const v16u nan = (v16u)((bits & 0x7fffffffU) > 0x7f800000U);
    return __builtin_convertvector((nan & quiet) | (~nan & rounded), v16h);
}

static inline v16f simd_from_bf16(v16h h)
{
    return (v16f)(__builtin_convertvector(h, v16u) << 16);
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
