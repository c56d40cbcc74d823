/*
 * warpgroup.cuh - the instructions of sm_90a: products by a warpgroup of four warps, and barriers in shared memory.
 *
 * Fragments and descriptors are those of the PTX ISA's wgmma.mma_async.m64n128k16 with K-major operands that are not
 * swizzled.  A warp has 16 rows of the accumulator [64][128] and of the left operand [64][16].  Its lane 4 g + t has
 * of the accumulator, in value 4 j + 2 half + i, row g + 8 half and column 8 j + 2 t + i; of the left operand pairs
 * of columns from 2 t on in rows g and g + 8, then the pairs eight columns on.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include <cuda_runtime_api.h>

enum { WARPGROUP_SUMS = 64 }; /* of a lane */

__device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/*
 * A right operand [128][16], column by column, in shared memory: eight columns' same eight rows lie together, 16 bytes
 * each; `groups` bytes on lie the next eight columns', and `halves` bytes on the next eight rows.  All at 16 bytes.
 * One more is 16 bytes further on.
 */
__device__ __forceinline__ uint64_t matrix_at(const void *p, uint32_t halves, uint32_t groups)
{
    return (uint64_t)(shared_address(p) >> 4) | (uint64_t)(halves >> 4) << 16 |
           (uint64_t)(groups >> 4) << 32;
}

/* Before the first product of a batch, and after its registers were written. */
__device__ __forceinline__ void warpgroup_begin()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* Start sum += left * right.  Nothing may touch the registers until it has been waited for. */
__device__ __forceinline__ void warpgroup_multiply(float (&sum)[WARPGROUP_SUMS],
                                                   const uint32_t (&left)[4], uint64_t right)
{
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        " %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        " %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        " %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "{%64, %65, %66, %67}, %68, 1, 1, 1, 0;"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]), "+f"(sum[4]), "+f"(sum[5]),
          "+f"(sum[6]), "+f"(sum[7]), "+f"(sum[8]), "+f"(sum[9]), "+f"(sum[10]), "+f"(sum[11]),
          "+f"(sum[12]), "+f"(sum[13]), "+f"(sum[14]), "+f"(sum[15]), "+f"(sum[16]), "+f"(sum[17]),
          "+f"(sum[18]), "+f"(sum[19]), "+f"(sum[20]), "+f"(sum[21]), "+f"(sum[22]), "+f"(sum[23]),
          "+f"(sum[24]), "+f"(sum[25]), "+f"(sum[26]), "+f"(sum[27]), "+f"(sum[28]), "+f"(sum[29]),
          "+f"(sum[30]), "+f"(sum[31]), "+f"(sum[32]), "+f"(sum[33]), "+f"(sum[34]), "+f"(sum[35]),
          "+f"(sum[36]), "+f"(sum[37]), "+f"(sum[38]), "+f"(sum[39]), "+f"(sum[40]), "+f"(sum[41]),
          "+f"(sum[42]), "+f"(sum[43]), "+f"(sum[44]), "+f"(sum[45]), "+f"(sum[46]), "+f"(sum[47]),
          "+f"(sum[48]), "+f"(sum[49]), "+f"(sum[50]), "+f"(sum[51]), "+f"(sum[52]), "+f"(sum[53]),
          "+f"(sum[54]), "+f"(sum[55]), "+f"(sum[56]), "+f"(sum[57]), "+f"(sum[58]), "+f"(sum[59]),
          "+f"(sum[60]), "+f"(sum[61]), "+f"(sum[62]), "+f"(sum[63])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right));
}

/* What was started becomes a batch. */
__device__ __forceinline__ void warpgroup_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until all batches of the warp are done. */
__device__ __forceinline__ void warpgroup_wait(float (&sum)[WARPGROUP_SUMS])
{
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
    for (int i = 0; i < WARPGROUP_SUMS; i++) {
        asm volatile("" : "+f"(sum[i])::"memory"); /* nothing reads it before */
    }
}

/* What the thread has written to shared memory, before a barrier beyond which products read it. */
__device__ __forceinline__ void fence_for_products()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* As load_matrices_turned, the other way round. */
__device__ __forceinline__ void store_matrices_turned(void *row, const uint32_t (&from)[4])
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                     shared_address(row)),
                 "r"(from[0]), "r"(from[1]), "r"(from[2]), "r"(from[3])
                 : "memory");
}

/* Barrier `id` of the block, 1 to 15: wait there until `threads` have come, of which some may go on. */
__device__ __forceinline__ void named_barrier_wait(int id, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void named_barrier_go_on(int id, int threads)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/* A barrier in shared memory that so many must arrive at each time.  One thread makes it before the others use it. */
__device__ __forceinline__ void barrier_init(uint64_t *barrier, uint32_t arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(arrivals)
                 : "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t *barrier)
{
    asm volatile("{\n\t"
                 ".reg .b64 state;\n\t"
                 "mbarrier.arrive.shared::cta.b64 state, [%0];\n\t"
                 "}" ::"r"(shared_address(barrier))
                 : "memory");
}

/* Until all have arrived for time `time`, which counts from 0; for the time after it they must not have yet. */
__device__ __forceinline__ void barrier_wait(uint64_t *barrier, uint32_t time)
{
    uint32_t done = 0;
    while (done == 0) {
        asm volatile("{\n\t"
                     ".reg .pred p;\n\t"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n\t"
                     "selp.b32 %0, 1, 0, p;\n\t"
                     "}"
                     : "=r"(done)
                     : "r"(shared_address(barrier)), "r"(time & 1U)
                     : "memory");
    }
}
