/*
 * emulator.h - our CUDA kernels on the host, for tests: what a test tells the emulator.
 *
 * The kernels' own sources are compiled by the host's compiler, with the language's words and the instructions
 * of device/launch.cuh, tensor_core.cuh and warpgroup.cuh replaced; kernels.h starts them as on a GPU, and they have run
 * when it returns.  A thread of a block is a fiber.  What a kernel does wrong ends the process with a line that says what:
 * an access outside the memory that was lent or not at a multiple of its size, a race, a barrier or warp's operation that
 * not all reach, a copy that nobody waited for, and so on.  How long a kernel takes is not emulated.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kernels started from now on may read this, and write it where `is_writable`; nothing else.  Sixteen at most. */
void emulator_lend(const void *data, size_t bytes, bool is_writable);
void emulator_take_back(void);

/* In which order blocks, warps and lanes run; with 0 as they are numbered. */
void emulator_set_order(uint32_t seed);

/* Of the device, which is of compute capability 9.0; at first 132. */
void emulator_set_multiprocessors(int n);

#ifdef __cplusplus
}
#endif
