/*
 * value.h - how a number is stored on the device: f32, f16 or bf16; the host has the same arithmetic.
 *
 * What the kernels do to one element is written once, as CUDA_BODY functions in C that nvcc compiles for
 * the device and any C compiler for the host, where the tests run them.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stddef.h> // IWYU pragma: export
#include <stdint.h> // IWYU pragma: export
#include <string.h>

#ifdef __CUDACC__
#    include <cuda_bf16.h>
#    include <cuda_fp16.h>
#    define CUDA_BODY static __host__ __device__ __forceinline__
#else
#    define CUDA_BODY static inline __attribute__((unused))
#endif

/* Before a loop whose arrays are to stay in registers. */
#ifdef __CUDA_ARCH__
#    define CUDA_UNROLL _Pragma("unroll")
#else
#    define CUDA_UNROLL
#endif

enum value_type { VALUE_F32, VALUE_F16, VALUE_BF16 };

/* Channels are padded to a multiple of this, so that each pixel begins at 16 bytes. */
enum { VALUE_LANES = 8 };

CUDA_BODY size_t value_size(int32_t type)
{
    return type == VALUE_F32 ? 4 : 2;
}

CUDA_BODY uint32_t value_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

CUDA_BODY float value_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To the nearest, ties to even; beyond 65504 infinity.  Subnormals are kept. */
CUDA_BODY uint16_t value_to_f16(float f)
{
#ifdef __CUDA_ARCH__
    return __half_as_ushort(__float2half_rn(f));
#else
    const uint32_t bits = value_bits(f);
    const uint32_t sign = (bits >> 16) & 0x8000U;
    uint32_t x = bits & 0x7fffffffU;
    if (x >= 0x47800000U) { /* 65536 and more, or no number */
        return (uint16_t)(sign | (x > 0x7f800000U ? 0x7e00U : 0x7c00U));
    }
    if (x < 0x38800000U) { /* below 2^-14: the sum's last place is 2^-24, as a subnormal's */
        return (uint16_t)(sign | (value_bits(value_of_bits(x) + 0.5F) - 0x3f000000U));
    }
    x += 0xfffU + ((x >> 13) & 1U);
    return (uint16_t)(sign | ((x - 0x38000000U) >> 13));
#endif
}

CUDA_BODY float value_of_f16(uint16_t h)
{
#ifdef __CUDA_ARCH__
    return __half2float(__ushort_as_half(h));
#else
    const uint32_t sign = (uint32_t)(h & 0x8000U) << 16;
    const uint32_t x = h & 0x7fffU;
    if (x >= 0x7c00U) {
        return value_of_bits(sign | 0x7f800000U | (x & 0x3ffU) << 13);
    }
    if (x < 0x400U) {
        const float magnitude = (float)x * 0x1p-24F;
        return value_of_bits(sign | value_bits(magnitude));
    }
    return value_of_bits(sign | ((x << 13) + 0x38000000U));
#endif
}

CUDA_BODY uint16_t value_to_bf16(float f)
{
    const uint32_t bits = value_bits(f);
    if ((bits & 0x7fffffffU) > 0x7f800000U) {
        return (uint16_t)(bits >> 16 | 0x40U);
    }
    return (uint16_t)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

CUDA_BODY float value_of_bf16(uint16_t b)
{
    return value_of_bits((uint32_t)b << 16);
}

CUDA_BODY float value_of_16(uint16_t bits, int32_t type)
{
    return type == VALUE_F16 ? value_of_f16(bits) : value_of_bf16(bits);
}

CUDA_BODY uint16_t value_to_16(float f, int32_t type)
{
    return type == VALUE_F16 ? value_to_f16(f) : value_to_bf16(f);
}

CUDA_BODY float value_load(const void *data, int32_t type, size_t at)
{
    if (type == VALUE_F32) {
        return ((const float *)data)[at];
    }
    return value_of_16(((const uint16_t *)data)[at], type);
}

CUDA_BODY void value_store(void *data, int32_t type, size_t at, float f)
{
    if (type == VALUE_F32) {
        ((float *)data)[at] = f;
    } else {
        ((uint16_t *)data)[at] = value_to_16(f, type);
    }
}

/* Two neighbouring values of 16 bits, the first in the lower half. */
CUDA_BODY uint32_t value_to_16x2(float low, float high, int32_t type)
{
#ifdef __CUDA_ARCH__
    uint32_t bits;
    if (type == VALUE_F16) {
        const __half2 pair = __floats2half2_rn(low, high);
        memcpy(&bits, &pair, sizeof bits);
    } else {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
        memcpy(&bits, &pair, sizeof bits);
    }
    return bits;
#else
    return (uint32_t)value_to_16(low, type) | (uint32_t)value_to_16(high, type) << 16;
#endif
}

/* Eight values of neighbouring channels. */
struct lanes {
    float v[VALUE_LANES];
};

/* Where 16 bytes can be read: a GPU stops at any other place, the host only here. */
CUDA_BODY void lanes_check(const void *data, int32_t type, size_t at)
{
    assert(((uintptr_t)data + at * value_size(type)) % 16 == 0);
    (void)data;
    (void)type;
    (void)at;
}

/* at: a multiple of 8, and data lies at 16 bytes. */
CUDA_BODY struct lanes lanes_load(const void *data, int32_t type, size_t at)
{
    struct lanes x = {{0.0F}};
#ifdef __CUDA_ARCH__
    if (type == VALUE_F32) {
        const float4 *from = (const float4 *)((const float *)data + at);
        const float4 a = from[0];
        const float4 b = from[1];
        x.v[0] = a.x;
        x.v[1] = a.y;
        x.v[2] = a.z;
        x.v[3] = a.w;
        x.v[4] = b.x;
        x.v[5] = b.y;
        x.v[6] = b.z;
        x.v[7] = b.w;
        return x;
    }
    const uint4 raw = *(const uint4 *)((const uint16_t *)data + at);
    const uint32_t word[4] = {raw.x, raw.y, raw.z, raw.w};
#    pragma unroll
    for (int i = 0; i < 4; i++) {
        x.v[2 * i] = value_of_16((uint16_t)(word[i] & 0xffffU), type);
        x.v[2 * i + 1] = value_of_16((uint16_t)(word[i] >> 16), type);
    }
#else
    lanes_check(data, type, at);
    for (int i = 0; i < VALUE_LANES; i++) {
        x.v[i] = value_load(data, type, at + (size_t)i);
    }
#endif
    return x;
}

/* Added up one after the other. */
CUDA_BODY float lanes_sum(const struct lanes *x)
{
    float sum = x->v[0];
    CUDA_UNROLL
    for (int i = 1; i < VALUE_LANES; i++) {
        sum += x->v[i];
    }
    return sum;
}

CUDA_BODY void lanes_store(void *data, int32_t type, size_t at, const struct lanes *x)
{
#ifdef __CUDA_ARCH__
    if (type == VALUE_F32) {
        float4 *to = (float4 *)((float *)data + at);
        to[0] = make_float4(x->v[0], x->v[1], x->v[2], x->v[3]);
        to[1] = make_float4(x->v[4], x->v[5], x->v[6], x->v[7]);
        return;
    }
    uint32_t word[4];
#    pragma unroll
    for (int i = 0; i < 4; i++) {
        word[i] = value_to_16x2(x->v[2 * i], x->v[2 * i + 1], type);
    }
    *(uint4 *)((uint16_t *)data + at) = make_uint4(word[0], word[1], word[2], word[3]);
#else
    lanes_check(data, type, at);
    for (int i = 0; i < VALUE_LANES; i++) {
        value_store(data, type, at + (size_t)i, x->v[i]);
    }
#endif
}
