/*
 * warpgroup.cuh - device/warpgroup.cuh for the emulator.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/backend/cuda/emulator/instructions.h"

enum { WARPGROUP_SUMS = 64 };

static inline uint64_t matrix_at(const void *p, uint32_t halves, uint32_t groups)
{
    return emulator_matrix_at(p, halves, groups);
}

static inline void warpgroup_begin()
{
    emulator_warpgroup_begin();
}

static inline void warpgroup_multiply(float (&sum)[WARPGROUP_SUMS], const uint32_t (&left)[4],
                                      uint64_t right)
{
    emulator_warpgroup_multiply(sum, left, right);
}

static inline void warpgroup_commit()
{
    emulator_warpgroup_commit();
}

static inline void warpgroup_wait(float (&)[WARPGROUP_SUMS])
{
    emulator_warpgroup_wait();
}

static inline void fence_for_products()
{
    emulator_fence_for_products();
}

static inline void store_matrices_turned(void *row, const uint32_t (&from)[4])
{
    emulator_store_matrices_turned(row, from);
}

static inline void named_barrier_wait(int id, int threads)
{
    emulator_barrier_wait(id, threads);
}

static inline void named_barrier_go_on(int id, int threads)
{
    emulator_barrier_go_on(id, threads);
}

static inline void barrier_init(uint64_t *barrier, uint32_t arrivals)
{
    emulator_mbarrier_init(barrier, arrivals);
}

static inline void barrier_arrive(uint64_t *barrier)
{
    emulator_mbarrier_arrive(barrier);
}

static inline void barrier_wait(uint64_t *barrier, uint32_t time)
{
    emulator_mbarrier_wait(barrier, time);
}
