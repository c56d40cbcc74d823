/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/device/item_kernel.cuh"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"
#include "engine/backend/cuda/device/storage.cuh"

namespace
{

enum { THREADS = ITEM_THREADS, WARP = 32, WARPS = THREADS / WARP, MAX_HEAD_WIDTH = 256 };

ITEM_KERNEL(plain_conv_kernel, plain_conv_args, plain_conv_body)
ITEM_KERNEL(merge_kernel, merge_args, merge_body)
ITEM_KERNEL(patchify_kernel, patchify_args, patchify_body)
ITEM_KERNEL(tokens_kernel, tokens_args, tokens_body)
ITEM_KERNEL(gate_kernel, join_args, gate_body)
ITEM_KERNEL(scale_add_kernel, join_args, scale_add_body)

/*
 * A thread for each item, and a kernel for each storage that all maps have, so that no value asks for its own.
 * start_NAME() chooses; the kernel for ANY_STORAGE is right for all maps and for more than 2^32 items, too.
 */
#define STORAGE_KERNEL(name, args_type, body)                                                      \
    template <int STORAGE>                                                                         \
    __global__ void __launch_bounds__(THREADS)                                                     \
        name##_kernel(args_type a, typename storage_items<STORAGE>::index items)                   \
    {                                                                                              \
        using index = typename storage_items<STORAGE>::index;                                      \
        const index item = (index)blockIdx.x * THREADS + threadIdx.x;                              \
        storage_fix<STORAGE>(&a);                                                                  \
        if (item < items) {                                                                        \
            body(&a, item);                                                                        \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    cudaError_t start_##name(const args_type &a, size_t items, cudaStream_t stream)                \
    {                                                                                              \
        const unsigned blocks = blocks_for(items, THREADS);                                        \
        switch (storage_of(a, items)) {                                                            \
        case VALUE_F32:                                                                            \
            return launch(name##_kernel<VALUE_F32>, blocks, THREADS, stream, a, (uint32_t)items);  \
        case VALUE_F16:                                                                            \
            return launch(name##_kernel<VALUE_F16>, blocks, THREADS, stream, a, (uint32_t)items);  \
        case VALUE_BF16:                                                                           \
            return launch(name##_kernel<VALUE_BF16>, blocks, THREADS, stream, a, (uint32_t)items); \
        default:                                                                                   \
            return launch(name##_kernel<ANY_STORAGE>, blocks, THREADS, stream, a, items);          \
        }                                                                                          \
    }

STORAGE_KERNEL(convert, convert_args, convert_body)
STORAGE_KERNEL(finish, finish_args, finish_body)
STORAGE_KERNEL(rope, rope_args, rope_body)
STORAGE_KERNEL(pool, pool_args, pool_body)
STORAGE_KERNEL(upsample, upsample_args, upsample_body)
STORAGE_KERNEL(swiglu, join_args, swiglu_body)
STORAGE_KERNEL(add, join_args, add_body)

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
    const float mean_rate[2] = {mean, norm_rate(&a, squares)};
    norm_write(&a, item, mean_rate, lane, WARP);
}

/* The same of f32 tokens of at most GROUPS * 256 channels, a multiple of eight, which are read once. */
template <int GROUPS, int STORAGE>
__global__ void __launch_bounds__(THREADS) norm_once_kernel(norm_args a, uint32_t items)
{
    const uint32_t item = blockIdx.x * WARPS + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (item >= items) { /* the whole warp */
        return;
    }
    a.x.type = VALUE_F32;
    a.y.type = STORAGE;
    const size_t row = norm_row(&a, item);
    lanes x[GROUPS];
    float sum = 0.0F;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const int channel = (g * WARP + lane) * VALUE_LANES;
        if (channel < a.c) {
            x[g] = lanes_load(a.x.data, a.x.type, row + (size_t)channel);
        }
    }
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const int channel = (g * WARP + lane) * VALUE_LANES;
        sum += channel < a.c ? lanes_sum(&x[g]) : 0.0F;
    }
    const float mean = warp_sum(sum) / (float)a.c;
    sum = 0.0F;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const int channel = (g * WARP + lane) * VALUE_LANES;
        sum += channel < a.c ? norm_lanes_square_sum(&x[g], VALUE_LANES, mean) : 0.0F;
    }
    const float mean_rate[2] = {mean, norm_rate(&a, warp_sum(sum))};
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const int channel = (g * WARP + lane) * VALUE_LANES;
        if (channel < a.c) {
            norm_lanes_write(&a, item, channel, &x[g], VALUE_LANES, mean_rate);
        }
    }
}

template <int GROUPS>
cudaError_t start_norm_once(const norm_args &a, uint32_t items, cudaStream_t stream)
{
    const unsigned blocks = blocks_for(items, WARPS);
    switch (a.y.type) {
    case VALUE_F32:
        return launch(norm_once_kernel<GROUPS, VALUE_F32>, blocks, THREADS, stream, a, items);
    case VALUE_F16:
        return launch(norm_once_kernel<GROUPS, VALUE_F16>, blocks, THREADS, stream, a, items);
    default:
        return launch(norm_once_kernel<GROUPS, VALUE_BF16>, blocks, THREADS, stream, a, items);
    }
}

cudaError_t start_norm(const norm_args &a, size_t items, cudaStream_t stream)
{
    const int groups = (a.c + WARP * VALUE_LANES - 1) / (WARP * VALUE_LANES);
    const bool once = a.x.type == VALUE_F32 && a.c % VALUE_LANES == 0 && items <= UINT32_MAX;
    if (once && groups == 1) {
        return start_norm_once<1>(a, (uint32_t)items, stream);
    }
    if (once && groups == 2) {
        return start_norm_once<2>(a, (uint32_t)items, stream);
    }
    if (once && groups == 3) {
        return start_norm_once<3>(a, (uint32_t)items, stream);
    }
    if (once && groups == 4) {
        return start_norm_once<4>(a, (uint32_t)items, stream);
    }
    return launch(norm_kernel, blocks_for(items, WARPS), THREADS, stream, a, items);
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
    return start_finish(*args, items, stream);
}

cudaError_t kernels_start(enum step_kind kind, const union step_args *args, size_t items,
                          cudaStream_t stream)
{
    const unsigned blocks = blocks_for(items, THREADS);
    const unsigned warp_blocks = blocks_for(items, WARPS);
    switch (kind) {
    case STEP_CONVERT:
        return start_convert(args->convert, items, stream);
    case STEP_FIRST_CONV:
        return kernels_start_first_conv(&args->first_conv, items, stream);
    case STEP_CONV:
        return launch(plain_conv_kernel, blocks, THREADS, stream, plain_conv_of(&args->product),
                      items);
    case STEP_MERGE:
        return launch(merge_kernel, blocks, THREADS, stream, args->merge, items);
    case STEP_LAST_CONV:
        return kernels_start_last_conv(&args->last_conv, items, stream);
    case STEP_ACT:
        return start_finish(args->finish, items, stream);
    case STEP_PATCHIFY:
        return launch(patchify_kernel, blocks, THREADS, stream, args->patchify, items);
    case STEP_TOKENS:
        return launch(tokens_kernel, blocks, THREADS, stream, args->tokens, items);
    case STEP_NORM:
        return start_norm(args->norm, items, stream);
    case STEP_ROPE:
        return start_rope(args->rope, items, stream);
    case STEP_ATTENTION:
        return launch(attention_kernel, warp_blocks, THREADS, stream, args->attention, items);
    case STEP_SWIGLU:
        return start_swiglu(args->join, items, stream);
    case STEP_MAX_POOL:
        return start_pool(args->pool, items, stream);
    case STEP_UPSAMPLE:
        return start_upsample(args->upsample, items, stream);
    case STEP_EXPAND:
        return kernels_start_expand(&args->expand, items, stream);
    case STEP_ADD:
        return start_add(args->join, items, stream);
    case STEP_MEAN:
        return launch(mean_kernel, (unsigned)items, THREADS, stream, args->mean);
    case STEP_GATE:
        return launch(gate_kernel, blocks, THREADS, stream, args->join, items);
    case STEP_SCALE_ADD:
        return launch(scale_add_kernel, blocks, THREADS, stream, args->join, items);
    case STEP_LINEAR:
    case STEP_KINDS:
        break;
    }
    return cudaErrorInvalidValue;
}
