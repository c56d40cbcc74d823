/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cpu/bf16_kernel.h"

#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cpu/bf16.h"
#include "engine/backend/kernel_round.h"

_Static_assert((int)BF16_KERNEL == (int)KERNEL_ROUND, "nine weights");

static uint32_t from(float x)
{
    return bf16_from(x);
}

static float to(uint32_t bits)
{
    return bf16_to((uint16_t)bits);
}

void bf16_kernel_round(uint16_t ret_weight[BF16_KERNEL], const float weight[BF16_KERNEL])
{
    uint32_t rounded[KERNEL_ROUND];
    kernel_round(rounded, weight, from, to);
    for (size_t i = 0; i < KERNEL_ROUND; i++) {
        ret_weight[i] = (uint16_t)rounded[i];
    }
}
