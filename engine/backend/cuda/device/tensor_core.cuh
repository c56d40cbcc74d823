/*
 * tensor_core.cuh - the instructions of tensor cores and of copies to shared memory, of sm_80 and later.
 *
 * Fragments are those of the PTX ISA's mma.m16n8k16.  Lane 4 g + t has of an accumulator [16][8] the rows g
 * (first two values) and g + 8 (last two), columns 2 t and 2 t + 1 of each; of the left operand [16][16] a
 * pair of columns from 2 t on in rows g and g + 8, then the pairs eight columns on; of the right operand
 * [16][8] rows 2 t and 2 t + 1 of column g, then the pair eight rows on.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

/* 16 bytes to shared memory, on their own; zeros instead where they are not `there`. */
__device__ __forceinline__ void copy_async(void *to, const void *from, bool there)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(to);
    const int bytes = there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(at), "l"(from),
                 "r"(bytes)
                 : "memory");
}

/* What the thread has copied since the last time becomes a group. */
__device__ __forceinline__ void copy_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until all of the thread's own groups but the last LEFT are there; those of others need a barrier besides. */
template <int LEFT> __device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

/* The same for all that the thread has copied. */
__device__ __forceinline__ void copy_async_wait_all()
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}

/* Four matrices [8][8], lane l giving the address of row l % 8 of matrix l / 8; lane 4 g + t gets columns
 * 2 t and 2 t + 1 of row g of each. */
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const void *row)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
}

/* The same, but lane 4 g + t gets rows 2 t and 2 t + 1 of column g. */
__device__ __forceinline__ void load_matrices_turned(uint32_t (&to)[4], const void *row)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
}

/* sum += left * right; the type of the operands is told by the last argument. */
__device__ __forceinline__ void add_product(float (&sum)[4], const uint32_t (&left)[4],
                                            const uint32_t *right, __half)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

__device__ __forceinline__ void add_product(float (&sum)[4], const uint32_t (&left)[4],
                                            const uint32_t *right, __nv_bfloat16)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}
