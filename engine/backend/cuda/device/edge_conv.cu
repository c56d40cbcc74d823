/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 3x3 convolutions from one channel and to one.  A thread has eight channels, whose weights it keeps, of
 * the pixels of a run down a column; its neighbours have the pixel's other channels and the next columns, so
 * that a warp's reads and writes follow each other in memory.  Going down, each row is read once.
 */
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/item_kernel.cuh"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"

namespace
{

enum {
    THREADS = ITEM_THREADS,
    LAST_THREADS = 128,
    KERNEL = 3,
    REACH = 1,
    FIRST_RUN = 8, /* pixels of a run */
    LAST_RUN = 16,
    WARP = 32,
};

/* Where a thread's run is. */
struct run {
    uint32_t slice;
    int32_t column, row; /* the first */
    int32_t group;       /* of eight channels */
};

__device__ __forceinline__ run run_of(uint32_t item, int32_t groups, int32_t h, int32_t w,
                                      int32_t length)
{
    const body_split group = body_split_of(item, groups);
    const body_split column = body_split_of(group.high, w);
    const body_split row = body_split_of(column.high, (h + length - 1) / length);
    run r;
    r.slice = (uint32_t)row.high;
    r.row = (int32_t)row.low * length;
    r.column = (int32_t)column.low;
    r.group = (int32_t)group.low;
    return r;
}

/* How many threads it takes. */
size_t run_items(size_t pixels, int32_t groups, int32_t h, int32_t w, int32_t length)
{
    const size_t slices = pixels / ((size_t)h * (size_t)w);
    const size_t runs = (size_t)((h + length - 1) / length);
    return slices * runs * (size_t)w * (size_t)groups;
}

/* Other kernels than 3x3, and what 32 bits do not count. */
ITEM_KERNEL(first_conv_kernel, first_conv_args, first_conv_body)
ITEM_KERNEL(last_conv_kernel, last_conv_args, last_conv_body)

/* A row's three values around the run's column; zeros outside. */
__device__ __forceinline__ void load_row(float to[KERNEL], const first_conv_args &a,
                                         const float *slice, int32_t row, int32_t column)
{
    const bool inside = row >= 0 && row < a.h;
    const float *at = slice + (int64_t)row * a.w + column;
#pragma unroll
    for (int k = 0; k < KERNEL; k++) {
        const int32_t x = column + k - REACH;
        to[k] = inside && x >= 0 && x < a.w ? at[k - REACH] : 0.0F;
    }
}

template <int STORAGE>
__global__ void __launch_bounds__(THREADS, 2)
    first_conv_run_kernel(first_conv_args a, uint32_t items)
{
    const uint32_t item = blockIdx.x * THREADS + threadIdx.x;
    if (item >= items) {
        return;
    }
    a.y.type = STORAGE;
    a.kernel = KERNEL;
    const run r = run_of(item, a.y.stride / VALUE_LANES, a.h, a.w, FIRST_RUN);
    const float *slice = a.x + (size_t)r.slice * (size_t)a.h * (size_t)a.w;
    first_conv_weights weights;
    first_conv_load(&weights, &a, (size_t)r.group * VALUE_LANES);
    float under[BODY_TAPS];
    float ahead[KERNEL];
    load_row(under, a, slice, r.row - 1, r.column);
    load_row(under + KERNEL, a, slice, r.row, r.column);
    load_row(ahead, a, slice, r.row + 1, r.column);
    const int32_t end = min(r.row + FIRST_RUN, a.h);
    size_t to = ((size_t)r.slice * (size_t)a.h + (size_t)r.row) * (size_t)a.w + (size_t)r.column;
    to = to * (size_t)a.y.stride + (size_t)r.group * VALUE_LANES;
#pragma unroll 1
    for (int32_t row = r.row; row < end; row++) {
#pragma unroll
        for (int k = 0; k < KERNEL; k++) {
            under[2 * KERNEL + k] = ahead[k];
        }
        load_row(ahead, a, slice, row + 2, r.column);
        const lanes y = first_conv_lanes(&a, &weights, under);
        lanes_store(a.y.data, a.y.type, to, &y);
        to += (size_t)a.w * (size_t)a.y.stride;
#pragma unroll
        for (int k = 0; k < 2 * KERNEL; k++) {
            under[k] = under[KERNEL + k];
        }
    }
}

/* Eight channels of a pixel as they are stored. */
template <int STORAGE> struct stored {
    uint4 bits[STORAGE == VALUE_F32 ? 2 : 1];
};

/* A row's three pixels around the run's column, the thread's channels of each; zeros outside. */
template <int STORAGE>
__device__ __forceinline__ void load_row(stored<STORAGE> to[KERNEL], const last_conv_args &a,
                                         const run &r, int32_t row)
{
    const bool inside = row >= 0 && row < a.h;
    const size_t first = ((size_t)r.slice * (size_t)a.h + (size_t)max(row, 0)) * (size_t)a.w;
    const size_t channel = (size_t)r.group * VALUE_LANES;
#pragma unroll
    for (int k = 0; k < KERNEL; k++) {
        const int32_t x = r.column + k - REACH;
        to[k] = stored<STORAGE>{};
        if (inside && x >= 0 && x < a.w) {
            const size_t at =
                ((first + (size_t)x) * (size_t)a.x.stride + channel) * value_size(STORAGE);
            to[k] = *(const stored<STORAGE> *)((const unsigned char *)a.x.data + at);
        }
    }
}

/* Each row of the input is added to the three outputs that it is under; GROUPS threads share a pixel. */
template <int STORAGE, int GROUPS>
__global__ void __launch_bounds__(LAST_THREADS)
    last_conv_run_kernel(last_conv_args a, uint32_t items)
{
    const uint32_t item = blockIdx.x * LAST_THREADS + threadIdx.x;
    const int first_lane = (int)(threadIdx.x % WARP / GROUPS * GROUPS);
    a.x.stride = GROUPS * VALUE_LANES;
    const run r = run_of(min(item, items - 1), GROUPS, a.h, a.w, LAST_RUN);
    const bool writes = item < items && r.group == 0;
    const float bias = a.bias[0];
    float *to =
        a.y + ((size_t)r.slice * (size_t)a.h + (size_t)r.row) * (size_t)a.w + (size_t)r.column;
    lanes weight[BODY_TAPS];
#pragma unroll
    for (int tap = 0; tap < BODY_TAPS; tap++) {
        weight[tap] =
            lanes_load(a.weight, VALUE_F32, (size_t)((tap * GROUPS + r.group) * VALUE_LANES));
    }
    lanes above = {}; /* of the output above the row */
    lanes at = {};    /* beside it */
    stored<STORAGE> ahead[KERNEL];
    load_row(ahead, a, r, r.row - 1);
#pragma unroll 1
    for (int32_t row = r.row - 1; row <= r.row + LAST_RUN; row++) {
        lanes below = {};
        stored<STORAGE> here[KERNEL];
#pragma unroll
        for (int k = 0; k < KERNEL; k++) {
            here[k] = ahead[k];
        }
        load_row(ahead, a, r, row + 1);
#pragma unroll
        for (int k = 0; k < KERNEL; k++) {
            const lanes x = lanes_load(here[k].bits, STORAGE, 0);
            last_conv_add(&above, &x, &weight[2 * KERNEL + k]);
            last_conv_add(&at, &x, &weight[KERNEL + k]);
            last_conv_add(&below, &x, &weight[k]);
        }
        const float part = lanes_sum(&above);
        float sum = bias;
#pragma unroll
        for (int group = 0; group < GROUPS; group++) {
            sum += __shfl_sync(0xffffffffU, part, first_lane + group);
        }
        if (writes && row > r.row && row <= a.h) {
            *to = last_conv_value(&a, sum);
            to += a.w;
        }
        above = at;
        at = below;
    }
}

template <int STORAGE>
cudaError_t start_last_conv(const last_conv_args &a, uint32_t items, cudaStream_t stream)
{
    const unsigned blocks = blocks_for(items, LAST_THREADS);
    switch (a.x.stride / VALUE_LANES) {
    case 1:
        return launch(last_conv_run_kernel<STORAGE, 1>, blocks, LAST_THREADS, stream, a, items);
    case 2:
        return launch(last_conv_run_kernel<STORAGE, 2>, blocks, LAST_THREADS, stream, a, items);
    case 4:
        return launch(last_conv_run_kernel<STORAGE, 4>, blocks, LAST_THREADS, stream, a, items);
    default:
        return launch(last_conv_run_kernel<STORAGE, 8>, blocks, LAST_THREADS, stream, a, items);
    }
}

} // namespace

cudaError_t kernels_start_first_conv(const struct first_conv_args *args, size_t items,
                                     cudaStream_t stream)
{
    const int32_t groups = args->y.stride / VALUE_LANES;
    const size_t threads = run_items(items / (size_t)groups, groups, args->h, args->w, FIRST_RUN);
    const unsigned blocks = blocks_for(threads, THREADS);
    if (args->kernel != KERNEL || threads > UINT32_MAX) {
        return launch(first_conv_kernel, blocks_for(items, THREADS), THREADS, stream, *args, items);
    }
    switch (args->y.type) {
    case VALUE_F32:
        return launch(first_conv_run_kernel<VALUE_F32>, blocks, THREADS, stream, *args,
                      (uint32_t)threads);
    case VALUE_F16:
        return launch(first_conv_run_kernel<VALUE_F16>, blocks, THREADS, stream, *args,
                      (uint32_t)threads);
    default:
        return launch(first_conv_run_kernel<VALUE_BF16>, blocks, THREADS, stream, *args,
                      (uint32_t)threads);
    }
}

cudaError_t kernels_start_last_conv(const struct last_conv_args *args, size_t items,
                                    cudaStream_t stream)
{
    const int32_t groups = args->x.stride / VALUE_LANES;
    const size_t threads = run_items(items, groups, args->h, args->w, LAST_RUN);
    const bool shared = groups == 1 || groups == 2 || groups == 4 || groups == 8;
    if (args->kernel != KERNEL || !shared || threads > UINT32_MAX) {
        return launch(last_conv_kernel, blocks_for(items, THREADS), THREADS, stream, *args, items);
    }
    switch (args->x.type) {
    case VALUE_F32:
        return start_last_conv<VALUE_F32>(*args, (uint32_t)threads, stream);
    case VALUE_F16:
        return start_last_conv<VALUE_F16>(*args, (uint32_t)threads, stream);
    default:
        return start_last_conv<VALUE_BF16>(*args, (uint32_t)threads, stream);
    }
}
