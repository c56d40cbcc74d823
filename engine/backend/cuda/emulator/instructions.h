/*
 * instructions.h - what stands in for a GPU's instructions: a kernel's threads call it, from the .cuh files here.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Threads */

struct emulator_index {
    unsigned x, y, z;
};

/* A kernel and its arguments: `run` with `arg`, of `arg_bytes`, in each thread. */
struct emulator_launch {
    void (*run)(const void *arg);
    const void *arg;
    size_t arg_bytes;
    struct emulator_index blocks;
    unsigned threads;    /* of a block */
    size_t memory_bytes; /* of shared memory, besides what the kernel declares itself */
};

void emulator_run(const struct emulator_launch *launch);

struct emulator_index emulator_thread_index(void);
struct emulator_index emulator_block_index(void);
struct emulator_index emulator_block_size(void);
struct emulator_index emulator_grid_size(void);
unsigned char *emulator_launched_memory(void);

/* Barriers and what passes between threads */

void emulator_sync_warp(void);
/* The value of lane `source`; and which lanes have the same value. */
uint32_t emulator_shuffle(uint32_t value, uint32_t source);
uint32_t emulator_match(uint32_t value);
/* Barrier `id` of the block, for so many threads; 0 is that of __syncthreads. */
void emulator_barrier_wait(int id, int threads);
void emulator_barrier_go_on(int id, int threads);
/* mbarriers; see warpgroup.cuh */
void emulator_mbarrier_init(uint64_t *at, uint32_t arrivals);
void emulator_mbarrier_arrive(uint64_t *at);
void emulator_mbarrier_wait(uint64_t *at, uint32_t time);
/* Both return what was there. */
uint32_t emulator_atomic_add(uint32_t *at, uint32_t value);
uint32_t emulator_atomic_exchange(uint32_t *at, uint32_t value);

/* Copies and matrices; see tensor_core.cuh and warpgroup.cuh */

void emulator_copy(void *to, const void *from, bool there);
void emulator_copy_commit(void);
void emulator_copy_wait(uint32_t left); /* groups */
void emulator_copy_wait_all(void);
void emulator_load_matrices(uint32_t to[4], const void *row, bool is_turned);
void emulator_store_matrices_turned(void *row, const uint32_t from[4]);
void emulator_add_product(float sum[4], const uint32_t left[4], const uint32_t right[2],
                          int type); /* enum value_type */

uint64_t emulator_matrix_at(const void *p, uint32_t halves, uint32_t groups);
void emulator_warpgroup_begin(void);
void emulator_warpgroup_multiply(float *sum, const uint32_t left[4], uint64_t right);
void emulator_warpgroup_commit(void);
void emulator_warpgroup_wait(void);
void emulator_fence_for_products(void);

#ifdef __cplusplus
}
#endif
