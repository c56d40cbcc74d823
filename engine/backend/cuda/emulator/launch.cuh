/*
 * launch.cuh - device/launch.cuh for the emulator: the kernel has run when it returns.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include <cuda_runtime_api.h>

#include "engine/backend/cuda/emulator/instructions.h"

template <typename... P, typename... A>
cudaError_t launch_with_memory(void (*kernel)(P...), dim3 blocks, unsigned threads, size_t bytes,
                               cudaStream_t, const A &...args)
{
    const auto call = [=] { kernel(args...); };
    emulator_launch e = {};
    e.run = [](const void *arg) { (*static_cast<decltype(&call)>(arg))(); };
    e.arg = &call;
    e.arg_bytes = sizeof call;
    e.blocks = {blocks.x, blocks.y, blocks.z};
    e.threads = threads;
    e.memory_bytes = bytes;
    emulator_run(&e);
    return cudaSuccess;
}

template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 blocks, unsigned threads, cudaStream_t stream,
                   const A &...args)
{
    return launch_with_memory(kernel, blocks, threads, 0, stream, args...);
}

#define LAUNCH_MEMORY(name) unsigned char *const name = emulator_launched_memory()
