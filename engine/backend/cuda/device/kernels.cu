/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/device/kernels.h"

namespace
{

enum { THREADS = 256, WARP = 32, WARPS = THREADS / WARP, MAX_HEAD_WIDTH = 256 };

/* A thread for each item. */
#define ITEM_KERNEL(name, args_type, body)                                                         \
    __global__ void __launch_bounds__(THREADS) name(const args_type a, size_t items)               \
    {                                                                                              \
        const size_t item = (size_t)blockIdx.x * THREADS + threadIdx.x;                            \
        if (item < items) {                                                                        \
            body(&a, item);                                                                        \
        }                                                                                          \
    }

ITEM_KERNEL(convert_kernel, convert_args, convert_body)
ITEM_KERNEL(finish_kernel, finish_args, finish_body)
ITEM_KERNEL(first_conv_kernel, first_conv_args, first_conv_body)
ITEM_KERNEL(last_conv_kernel, last_conv_args, last_conv_body)
ITEM_KERNEL(plain_conv_kernel, plain_conv_args, plain_conv_body)
ITEM_KERNEL(merge_kernel, merge_args, merge_body)
ITEM_KERNEL(patchify_kernel, patchify_args, patchify_body)
ITEM_KERNEL(tokens_kernel, tokens_args, tokens_body)
ITEM_KERNEL(rope_kernel, rope_args, rope_body)
ITEM_KERNEL(pool_kernel, pool_args, pool_body)
ITEM_KERNEL(upsample_kernel, upsample_args, upsample_body)
ITEM_KERNEL(swiglu_kernel, join_args, swiglu_body)
ITEM_KERNEL(add_kernel, join_args, add_body)
ITEM_KERNEL(gate_kernel, join_args, gate_body)
ITEM_KERNEL(scale_add_kernel, join_args, scale_add_body)

/* The same sum in every lane, added in one order. */
__device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        x += __shfl_xor_sync(0xffffffffU, x, offset);
    }
    return x;
}

/* A warp for each token. */
__global__ void __launch_bounds__(THREADS) norm_kernel(const norm_args a, size_t items)
{
    const size_t item = (size_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (item >= items) { /* the whole warp */
        return;
    }
    const float mean = warp_sum(norm_sum(&a, item, lane, WARP)) / (float)a.c;
    const float squares = warp_sum(norm_square_sum(&a, item, mean, lane, WARP));
    const float mean_rate[2] = {mean, 1.0F / sqrtf(squares / (float)a.c + a.eps)};
    norm_write(&a, item, mean_rate, lane, WARP);
}

/* A warp for each query. */
__global__ void __launch_bounds__(THREADS) attention_kernel(const attention_args a, size_t items)
{
    const size_t item = (size_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (item >= items) { /* the whole warp */
        return;
    }
    const attention_at at = attention_place(&a, item);
    const float scale = 1.0F / sqrtf((float)a.width);
    attention_state state;
    float mix[MAX_HEAD_WIDTH / WARP];
    state.top = -INFINITY;
    state.sum = 0.0F;
#pragma unroll
    for (int i = 0; i < MAX_HEAD_WIDTH / WARP; i++) {
        mix[i] = 0.0F;
    }
    for (int key = 0; key < a.tokens; key++) {
        const float score = warp_sum(attention_part(&a, &at, key, lane, WARP)) * scale;
        const attention_score scored = {key, score};
        const int32_t lane_lanes[2] = {lane, WARP};
        attention_take(&a, &at, &state, mix, scored, lane_lanes);
    }
    attention_write(&a, &at, &state, mix, lane, WARP);
}

/* A block for each slice and eight channels. */
__global__ void __launch_bounds__(THREADS) mean_kernel(const mean_args a)
{
    __shared__ float part[THREADS][VALUE_LANES];
    const size_t item = blockIdx.x;
    const int thread = threadIdx.x;
    lanes sum = mean_part(&a, item, thread, THREADS);
#pragma unroll
    for (int i = 0; i < VALUE_LANES; i++) {
        part[thread][i] = sum.v[i];
    }
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) {
#pragma unroll
            for (int i = 0; i < VALUE_LANES; i++) {
                part[thread][i] += part[thread + half][i];
            }
        }
    }
    if (thread == 0) { /* wrote part[0] itself */
#pragma unroll
        for (int i = 0; i < VALUE_LANES; i++) {
            sum.v[i] = part[0][i];
        }
        mean_write(&a, item, &sum);
    }
}

unsigned blocks_for(size_t items, size_t per_block)
{
    return (unsigned)((items + per_block - 1) / per_block);
}

plain_conv_args plain_conv_of(const product_args *p)
{
    plain_conv_args a;
    a.x = p->x;
    a.weight = p->weight;
    a.finish = p->finish;
    a.h = p->h;
    a.w = p->w;
    a.kernel = p->kernel;
    return a;
}

} // namespace

cudaError_t kernels_start_finish(const finish_args *args, size_t items, cudaStream_t stream)
{
    finish_kernel<<<blocks_for(items, THREADS), THREADS, 0, stream>>>(*args, items);
    return cudaGetLastError();
}

cudaError_t kernels_start(enum step_kind kind, const union step_args *args, size_t items,
                          cudaStream_t stream)
{
    const unsigned blocks = blocks_for(items, THREADS);
    const unsigned warp_blocks = blocks_for(items, WARPS);
    switch (kind) {
    case STEP_CONVERT:
        convert_kernel<<<blocks, THREADS, 0, stream>>>(args->convert, items);
        break;
    case STEP_FIRST_CONV:
        first_conv_kernel<<<blocks, THREADS, 0, stream>>>(args->first_conv, items);
        break;
    case STEP_CONV:
        plain_conv_kernel<<<blocks, THREADS, 0, stream>>>(plain_conv_of(&args->product), items);
        break;
    case STEP_MERGE:
        merge_kernel<<<blocks, THREADS, 0, stream>>>(args->merge, items);
        break;
    case STEP_LAST_CONV:
        last_conv_kernel<<<blocks, THREADS, 0, stream>>>(args->last_conv, items);
        break;
    case STEP_ACT:
        finish_kernel<<<blocks, THREADS, 0, stream>>>(args->finish, items);
        break;
    case STEP_PATCHIFY:
        patchify_kernel<<<blocks, THREADS, 0, stream>>>(args->patchify, items);
        break;
    case STEP_TOKENS:
        tokens_kernel<<<blocks, THREADS, 0, stream>>>(args->tokens, items);
        break;
    case STEP_NORM:
        norm_kernel<<<warp_blocks, THREADS, 0, stream>>>(args->norm, items);
        break;
    case STEP_ROPE:
        rope_kernel<<<blocks, THREADS, 0, stream>>>(args->rope, items);
        break;
    case STEP_ATTENTION:
        attention_kernel<<<warp_blocks, THREADS, 0, stream>>>(args->attention, items);
        break;
    case STEP_SWIGLU:
        swiglu_kernel<<<blocks, THREADS, 0, stream>>>(args->join, items);
        break;
    case STEP_MAX_POOL:
        pool_kernel<<<blocks, THREADS, 0, stream>>>(args->pool, items);
        break;
    case STEP_UPSAMPLE:
        upsample_kernel<<<blocks, THREADS, 0, stream>>>(args->upsample, items);
        break;
    case STEP_EXPAND:
        return kernels_start_expand(&args->expand, items, stream);
    case STEP_ADD:
        add_kernel<<<blocks, THREADS, 0, stream>>>(args->join, items);
        break;
    case STEP_MEAN:
        mean_kernel<<<(unsigned)items, THREADS, 0, stream>>>(args->mean);
        break;
    case STEP_GATE:
        gate_kernel<<<blocks, THREADS, 0, stream>>>(args->join, items);
        break;
    case STEP_SCALE_ADD:
        scale_add_kernel<<<blocks, THREADS, 0, stream>>>(args->join, items);
        break;
    case STEP_LINEAR:
    case STEP_KINDS:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}
