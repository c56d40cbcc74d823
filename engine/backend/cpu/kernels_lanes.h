/*
 * kernels_lanes.h - sixteen channels of a pixel: activations, and operands in every format.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/cpu/kernels.h"      // IWYU pragma: export
#include "engine/backend/cpu/kernels_math.h" // IWYU pragma: export

static inline v16f apply(enum graph_act act, v16f x)
{
    switch (act) {
    case GRAPH_ACT_GELU:
        return gelu(x);
    case GRAPH_ACT_SIGMOID:
        return sigmoid(x);
    case GRAPH_ACT_TANH:
        return hyperbolic_tangent(x);
    case GRAPH_ACT_NONE:
        break;
    }
    return x;
}

/* n (1 ... 16) channels of a pixel from c on; of a SPLIT or PAIR operand hi + lo. */
static inline v16f load(const struct operand *o, size_t pixel, size_t c, size_t n)
{
    const size_t at = pixel * o->stride + c;
    if (o->format == FORMAT_F32) {
        return simd_load((const float *)o->data + at, n);
    }
    const uint16_t *hi = (const uint16_t *)o->data + at;
    const v16f v = simd_load_bf16(hi, n);
    return o->format == FORMAT_BF16 ? v : v + simd_load_bf16(hi + o->plane, n);
}

static inline void store(const struct operand *o, size_t pixel, size_t c, v16f v, size_t n)
{
    const size_t at = pixel * o->stride + c;
    if (o->format == FORMAT_F32) {
        simd_store((float *)o->data + at, v, n);
        return;
    }
    uint16_t *out = (uint16_t *)o->data + at;
    const v16h hi = simd_to_bf16(v);
    simd_store_bf16(out, hi, n);
    if (o->format == FORMAT_SPLIT || o->format == FORMAT_PAIR) {
        simd_store_bf16(out + o->plane, simd_to_bf16(v - simd_from_bf16(hi)), n);
    }
    if (o->format == FORMAT_SPLIT) {
        simd_store_bf16(out + 2 * o->plane, hi, n);
    }
}
