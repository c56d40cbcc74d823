/*
 * language.cuh - CUDA's words and functions of its language, before the first line of a kernel's file.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include "engine/backend/cuda/emulator/instructions.h"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __forceinline__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __shared__      static
#define __forceinline__ inline
#define __launch_bounds__(...)

#define threadIdx emulator_thread_index()
#define blockIdx  emulator_block_index()
#define blockDim  emulator_block_size()
#define gridDim   emulator_grid_size()

using std::max;
using std::min;

static inline void __syncthreads()
{
    emulator_barrier_wait(0, (int)blockDim.x);
}

static inline void __syncwarp()
{
    emulator_sync_warp();
}

/* Only of whole warps. */

template <typename T> T emulator_shuffle_value(unsigned mask, T value, int source)
{
    uint32_t bits;
    static_assert(sizeof bits == sizeof value, "a register");
    std::memcpy(&bits, &value, sizeof bits);
    bits = emulator_shuffle(mask == 0xffffffffU ? bits : 0xffffffffU, (uint32_t)source);
    std::memcpy(&value, &bits, sizeof bits);
    return value;
}

template <typename T> T __shfl_sync(unsigned mask, T value, int source)
{
    return emulator_shuffle_value(mask, value, source);
}

template <typename T> T __shfl_xor_sync(unsigned mask, T value, int other)
{
    return emulator_shuffle_value(mask, value, (int)threadIdx.x ^ other);
}

static inline unsigned __match_any_sync(unsigned mask, int value)
{
    return emulator_match((uint32_t)value) & mask;
}

static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline uint32_t atomicAdd(uint32_t *at, uint32_t value)
{
    return emulator_atomic_add(at, value);
}

static inline uint32_t atomicExch(uint32_t *at, uint32_t value)
{
    return emulator_atomic_exchange(at, value);
}
