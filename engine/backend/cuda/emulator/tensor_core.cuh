/*
 * tensor_core.cuh - device/tensor_core.cuh for the emulator.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "engine/backend/cuda/emulator/instructions.h"
#include "engine/backend/cuda/value.h"

static inline void copy_async(void *to, const void *from, bool there)
{
    emulator_copy(to, from, there);
}

static inline void copy_async_commit()
{
    emulator_copy_commit();
}

template <int LEFT> void copy_async_wait()
{
    emulator_copy_wait(LEFT);
}

static inline void copy_async_wait_all()
{
    emulator_copy_wait_all();
}

static inline void load_matrices(uint32_t (&to)[4], const void *row)
{
    emulator_load_matrices(to, row, false);
}

static inline void load_matrices_turned(uint32_t (&to)[4], const void *row)
{
    emulator_load_matrices(to, row, true);
}

static inline void add_product(float (&sum)[4], const uint32_t (&left)[4], const uint32_t *right,
                               __half)
{
    emulator_add_product(sum, left, right, VALUE_F16);
}

static inline void add_product(float (&sum)[4], const uint32_t (&left)[4], const uint32_t *right,
                               __nv_bfloat16)
{
    emulator_add_product(sum, left, right, VALUE_BF16);
}
