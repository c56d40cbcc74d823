/*
 * launch.cuh - start a kernel, and the shared memory that it is given when it starts.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include <cuda_runtime_api.h>

/* What the launch says. */
template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 blocks, unsigned threads, cudaStream_t stream,
                   const A &...args)
{
    kernel<<<blocks, threads, 0, stream>>>(args...);
    return cudaGetLastError();
}

/* The same with `bytes` of shared memory for each block, which may be more than the usual 48 KiB. */
template <typename... P, typename... A>
cudaError_t launch_with_memory(void (*kernel)(P...), dim3 blocks, unsigned threads, size_t bytes,
                               cudaStream_t stream, const A &...args)
{
    const cudaError_t e =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    if (e != cudaSuccess) {
        return e;
    }
    kernel<<<blocks, threads, bytes, stream>>>(args...);
    return cudaGetLastError();
}

/* In a kernel: declare that memory, at 128 bytes. */
#define LAUNCH_MEMORY(name) extern __shared__ __align__(128) unsigned char name[]
