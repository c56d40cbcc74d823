/*
 * item_kernel.cuh - a kernel that runs a body over its items, a thread for each.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

enum { ITEM_THREADS = 256 };

/* Blocks of so many items each that hold them all. */
static inline unsigned blocks_for(size_t items, size_t per_block)
{
    return (unsigned)((items + per_block - 1) / per_block);
}

#define ITEM_KERNEL(name, args_type, body)                                                         \
    __global__ void __launch_bounds__(ITEM_THREADS) name(const args_type a, size_t items)          \
    {                                                                                              \
        const size_t item = (size_t)blockIdx.x * ITEM_THREADS + threadIdx.x;                       \
        if (item < items) {                                                                        \
            body(&a, item);                                                                        \
        }                                                                                          \
    }
