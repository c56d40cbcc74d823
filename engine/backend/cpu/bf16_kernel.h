/*
 * bf16_kernel.h - round the nine weights of a 3x3 kernel to bf16 together.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h> // IWYU pragma: export

enum { BF16_KERNEL = 9 };

/* As kernel_round.h has it.  weight: finite. */
void bf16_kernel_round(uint16_t ret_weight[BF16_KERNEL], const float weight[BF16_KERNEL]);
