/*
 * bf16_kernel.h - round the nine weights of a 3x3 kernel to bf16 together.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h> // IWYU pragma: export

enum { BF16_KERNEL = 9 };

/*
 * Neighbouring pixels are much alike, so what matters most of the nine rounding errors is their sum: with
 * a correlation of 3/4 between neighbours, the error of the product is 3 (sum e)^2 + sum e^2.  Starting from
 * the nearest values, up to two weights are rounded the other way where that makes it smaller.
 * weight: finite.
 */
void bf16_kernel_round(uint16_t ret_weight[BF16_KERNEL], const float weight[BF16_KERNEL]);
