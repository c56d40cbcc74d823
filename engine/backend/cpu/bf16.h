/*
 * bf16.h - the upper half of an f32, one value at a time; vectors are in simd.h.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h> // IWYU pragma: export
#include <string.h>

/* To nearest, ties to even; x is finite. */
static inline uint16_t bf16_from(float x)
{
    uint32_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

static inline float bf16_to(uint16_t x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float value = 0.0F;
    memcpy(&value, &bits, sizeof value);
    return value;
}
