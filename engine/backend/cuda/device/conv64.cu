/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"
#include "engine/backend/cuda/device/tensor_core.cuh"
#include "engine/backend/cuda/device/warpgroup.cuh"

/*
 * Convolutions 3x3 of 64 channels for compute capability 9.0: outputs = weights * pixels, tap by tap, with the weights
 * in registers and the pixels in shared memory.
 *
 * An image is cut into columns of 128 pixels, and all columns' rows, one column after the other, evenly among the
 * blocks.  A block goes down its rows with the input's rows in a ring: those that are read, and some that are on
 * their way.  A row lies there as eight planes of eight channels, each [pixels][8]: a tap's products read it from one
 * pixel further on.  Where the block's rows go from one column to the next, the ring has that one's row above.
 *
 * Both warpgroups have the same 64 outputs, and each has each second row; or each has 64 outputs of every row.  They
 * take turns, so that one multiplies while the other finishes what it has multiplied.
 */

namespace
{

enum {
    WARP = 32,
    GROUP_WARPS = 4,
    GROUP = GROUP_WARPS * WARP, /* threads of a warpgroup */
    GROUPS = 2,
    THREADS = GROUPS * GROUP,
    CHANNELS = 64, /* in, and out for a warpgroup */
    PIECES = CHANNELS / VALUE_LANES,
    PIXELS = 128,
    AROUND = PIXELS + 2,
    PLANE = AROUND + 1, /* odd: eight pieces of a pixel are in banks of their own */
    KERNEL = 3,
    DEPTH = 16,               /* channels that a product adds up at once */
    STEPS = CHANNELS / DEPTH, /* of a tap */
    RING = 9,                 /* input rows in shared memory */
    AHEAD = RING - 2,         /* see start_rows */
    STEP = GROUP / PIECES,    /* pixels that a warpgroup copies at once */
    ADDS = 2,
    PAIRS = PIXELS / (2 * VALUE_LANES), /* of eight pixels */
    OWN_BARRIER = 1,                    /* and the next: of a warpgroup */
    TURN_BARRIER = OWN_BARRIER + GROUPS,
};

struct memory {
    uint16_t ring[RING][PIECES][PLANE][VALUE_LANES];
    /* What is to be added, then what is written, of each warpgroup's row: see staged. */
    uint16_t stage[GROUPS][ADDS][PIXELS][CHANNELS];
    /* A place of the ring's has been written by the warpgroup that does; or was read by both. */
    uint64_t full[RING], empty[RING];
};
static_assert(sizeof(uint16_t[RING][PIECES][PLANE][VALUE_LANES]) % 128 == 0, "stage's banks");

/* What all threads share. */
struct job {
    int tiles;  /* columns of 128 pixels in an image */
    int rows;   /* of the block */
    int places; /* input rows of the block, with those above and below */
    int group;
};

/* An output row of the block: the input rows that it is made of are at places `place` to `place` + 2. */
struct output_row {
    int place, column, row; /* column: of all images' */
};

__device__ __forceinline__ void next_row(output_row &o, int h)
{
    o.place++;
    o.row++;
    if (o.row == h) {
        o.row = 0;
        o.column++;
        o.place += 2;
    }
}

/* An input row: of each column from -1 to h, but in the block's first and last columns only what it needs. */
struct input_row {
    int place, column, row;
};

__device__ __forceinline__ void next_row(input_row &i, int h)
{
    i.place++;
    i.row++;
    if (i.row > h) {
        i.row = -1;
        i.column++;
    }
}

/* Start copying an input row, by a warpgroup. */
__device__ __forceinline__ void start_row(memory *m, const product_args &a, const job &j,
                                          const input_row &i)
{
    const int thread = (int)threadIdx.x % GROUP;
    const int piece = thread % PIECES;
    const int pixel = thread / PIECES;
    const int x = i.column % j.tiles * PIXELS + pixel - 1;
    const unsigned width = (unsigned)i.row < (unsigned)a.h ? (unsigned)a.w : 0U;
    const int64_t row = (int64_t)(i.column / j.tiles) * a.h + i.row;
    const uint16_t *from =
        (const uint16_t *)a.x.data + (row * a.w + x) * CHANNELS + piece * VALUE_LANES;
    uint16_t *to = m->ring[i.place % RING][piece][pixel];
#pragma unroll
    for (int k = 0; k < PIXELS; k += STEP) {
        copy_async(to + k * VALUE_LANES, from + k * CHANNELS, (unsigned)(x + k) < width);
    }
    if (pixel < AROUND - PIXELS) {
        copy_async(to + PIXELS * VALUE_LANES, from + PIXELS * CHANNELS,
                   (unsigned)(x + PIXELS) < width);
    }
}

/*
 * Start copying the input rows up to a place, each second one by each warpgroup, when both are through with what lies
 * there.  Before output row o that is up to place o.place + AHEAD.  The other warpgroup then still reads o.place - 1,
 * but mostly nothing before, so that nobody waits here; and what it does next until this one next comes here, and this
 * one's next row, end at o.place + 6, as long as no two of three rows that follow each other end a column.
 */
__device__ __forceinline__ void start_rows(memory *m, const product_args &a, const job &j,
                                           input_row &i, int last)
{
#pragma unroll 1
    while (i.place <= last && i.place < j.places) {
        if (i.place % GROUPS == j.group) {
            if (i.place >= RING) {
                barrier_wait(&m->empty[i.place % RING], (uint32_t)(i.place / RING - 1));
            }
            start_row(m, a, j, i);
        }
        next_row(i, a.h);
    }
}

/* What the warpgroup has copied is there, from one place on to before another. */
__device__ __forceinline__ void announce_rows(memory *m, const job &j, int from, int to)
{
    copy_async_wait<0>();
    fence_for_products();
    __syncwarp();
    if (threadIdx.x % WARP == 0) {
#pragma unroll 1
        for (int place = from; place < to; place++) {
            if (place % GROUPS == j.group) {
                barrier_arrive(&m->full[place % RING]);
            }
        }
    }
    __syncwarp();
}

/* Until the input rows of an output row are there. */
__device__ __forceinline__ void wait_for_rows(memory *m, int place)
{
#pragma unroll
    for (int y = 0; y < KERNEL; y++) {
        barrier_wait(&m->full[(place + y) % RING], (uint32_t)((place + y) / RING));
    }
}

/* The warp reads no more of the places from one to before another. */
__device__ __forceinline__ void release_rows(memory *m, int from, int to)
{
    if (threadIdx.x % WARP == 0) {
#pragma unroll 1
        for (int place = from; place < to; place++) {
            barrier_arrive(&m->empty[place % RING]);
        }
    }
    __syncwarp();
}

/* The lane's part of the warpgroup's weights, from output0 on; beyond the outputs zeros. */
__device__ __forceinline__ void load_weights(uint32_t (&weight)[KERNEL * KERNEL * STEPS][4],
                                             const product_args &a, int output0)
{
    const int lane = (int)threadIdx.x % WARP;
    const int output = output0 + (int)threadIdx.x % GROUP / WARP * 16 + lane / 4;
    const uint16_t *from =
        (const uint16_t *)a.weight + (int64_t)output * (KERNEL * KERNEL * CHANNELS) + lane % 4 * 2;
    const bool low = output < a.finish.y.stride;
    const bool high = output + 8 < a.finish.y.stride;
#pragma unroll
    for (int k = 0; k < KERNEL * KERNEL * STEPS; k++) {
        const uint16_t *at = from + k * DEPTH;
        const uint16_t *at_high = at + 8 * KERNEL * KERNEL * CHANNELS;
        weight[k][0] = low ? *(const uint32_t *)at : 0U;
        weight[k][1] = high ? *(const uint32_t *)at_high : 0U;
        weight[k][2] = low ? *(const uint32_t *)(at + 8) : 0U;
        weight[k][3] = high ? *(const uint32_t *)(at_high + 8) : 0U;
    }
}

/* Of the lane's rows of sums. */
__device__ __forceinline__ void load_bias(float (&bias)[2], const product_args &a, int output0)
{
    const int lane = (int)threadIdx.x % WARP;
    const int output = output0 + (int)threadIdx.x % GROUP / WARP * 16 + lane / 4;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int at = output + i * 8;
        bias[i] = a.finish.bias != nullptr && at < a.finish.y.stride ? a.finish.bias[at] : 0.0F;
    }
}

/* Start all products of an output row, whose sums begin with the bias. */
__device__ __forceinline__ void multiply_row(float (&sum)[WARPGROUP_SUMS],
                                             const uint32_t (&weight)[KERNEL * KERNEL * STEPS][4],
                                             const memory *m, int place, const float (&bias)[2])
{
#pragma unroll
    for (int i = 0; i < WARPGROUP_SUMS; i++) {
        sum[i] = bias[i / 2 % 2];
    }
    warpgroup_begin();
#pragma unroll
    for (int y = 0; y < KERNEL; y++) {
        const uint64_t row = matrix_at(m->ring[(place + y) % RING], PLANE * 16, VALUE_LANES * 16);
#pragma unroll
        for (int x = 0; x < KERNEL; x++) {
#pragma unroll
            for (int k = 0; k < STEPS; k++) {
                warpgroup_multiply(sum, weight[(y * KERNEL + x) * STEPS + k],
                                   row + (uint64_t)(x + k * 2 * PLANE));
            }
        }
    }
    warpgroup_commit();
}

/* Where a pixel's piece lies in the stage: eight pixels' same pieces are in banks of their own. */
__device__ __forceinline__ int staged(int pixel, int piece)
{
    return pixel * CHANNELS + (piece ^ (pixel & (PIECES - 1))) * VALUE_LANES;
}

/* What a thread copies of an output row: one piece of each STEP-th pixel. */
struct carrier {
    size_t pixel; /* of all images */
    int pixels;   /* from its first one on to the image's end */
    int channel;
    int at; /* in the stage */
};

__device__ __forceinline__ carrier carrier_of(const product_args &a, const job &j,
                                              const output_row &o, int output0)
{
    const int thread = (int)threadIdx.x % GROUP;
    const int x = o.column % j.tiles * PIXELS + thread / PIECES;
    const int channel = output0 + thread % PIECES * VALUE_LANES;
    const size_t row = (size_t)(o.column / j.tiles) * (size_t)a.h + (size_t)o.row;
    carrier c;
    c.pixel = row * (size_t)a.w + (size_t)x;
    c.pixels = channel < a.finish.y.stride ? a.w - x : 0;
    c.channel = channel;
    c.at = staged(thread / PIECES, thread % PIECES);
    return c;
}

/* Start copying what is to be added. */
__device__ __forceinline__ void start_adds(uint16_t *stage, const product_args &a, const carrier &c)
{
#pragma unroll
    for (int i = 0; i < ADDS; i++) {
        const operand &add = a.finish.add[i];
        if (add.data != nullptr) {
            const uint16_t *from = (const uint16_t *)add.data + c.pixel * (size_t)add.stride;
            from += c.channel;
#pragma unroll
            for (int k = 0; k < PIXELS; k += STEP) {
                copy_async(stage + i * PIXELS * CHANNELS + c.at + k * CHANNELS,
                           from + (int64_t)k * add.stride, k < c.pixels);
            }
        }
    }
}

/* Sums become outputs, in the stage, in the place of what is added to them. */
template <int ACT>
__device__ __forceinline__ void finish_row(const float (&sum)[WARPGROUP_SUMS], uint16_t *stage,
                                           const product_args &a)
{
    const int lane = (int)threadIdx.x % WARP;
    const int piece = (int)threadIdx.x % GROUP / WARP * 2 + lane / 8 % 2;
    uint16_t *at = stage + staged(lane / 16 * 8 + lane % 8, piece);
#pragma unroll
    for (int k = 0; k < PAIRS; k++) {
        float v[8];
        uint32_t out[4];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            v[i] = ACT == BODY_GELU ? body_gelu_16(sum[k * 8 + i]) : sum[k * 8 + i];
        }
#pragma unroll
        for (int add = 0; add < ADDS; add++) {
            if (a.finish.add[add].data != nullptr) {
                load_matrices_turned(out, at + (add * PIXELS + k * 16) * CHANNELS);
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    v[2 * i] += value_of_f16((uint16_t)(out[i] & 0xffffU));
                    v[2 * i + 1] += value_of_f16((uint16_t)(out[i] >> 16));
                }
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            out[i] = value_to_16x2(v[2 * i], v[2 * i + 1], VALUE_F16);
        }
        store_matrices_turned(at + k * 16 * CHANNELS, out);
    }
}

__device__ __forceinline__ void write_row(const uint16_t *stage, const product_args &a,
                                          const carrier &c)
{
    const operand &y = a.finish.y;
    uint16_t *to = (uint16_t *)y.data + c.pixel * (size_t)y.stride + c.channel;
#pragma unroll
    for (int k = 0; k < PIXELS; k += STEP) {
        if (k < c.pixels) {
            *(uint4 *)(to + (int64_t)k * y.stride) = *(const uint4 *)(stage + c.at + k * CHANNELS);
        }
    }
}

/* The block's first row, its job, and what it reads first. */
__device__ __forceinline__ void begin(const product_args &a, int tiles, int all_rows, job &j,
                                      output_row &o, input_row &i)
{
    const int first = (int)((int64_t)all_rows * blockIdx.x / gridDim.x);
    j.tiles = tiles;
    j.rows = (int)((int64_t)all_rows * (blockIdx.x + 1) / gridDim.x) - first;
    j.group = __shfl_sync(0xffffffffU, (int)threadIdx.x / GROUP, 0);
    o.place = 0;
    o.column = first / a.h;
    o.row = first - o.column * a.h;
    j.places = j.rows + 2 * ((first + j.rows - 1) / a.h - o.column + 1);
    i.place = 0;
    i.column = o.column;
    i.row = o.row - 1;
}

template <int ACT, bool WIDE>
__global__ void __launch_bounds__(THREADS, 1)
    conv64_kernel(const product_args a, int tiles, int all_rows)
{
    LAUNCH_MEMORY(bytes);
    memory *m = (memory *)bytes;
    uint32_t weight[KERNEL * KERNEL * STEPS][4];
    float bias[2];
    job j;
    output_row o;
    input_row i;
    begin(a, tiles, all_rows, j, o, i);
    if (threadIdx.x < RING) {
        barrier_init(&m->full[threadIdx.x], GROUP_WARPS);
        barrier_init(&m->empty[threadIdx.x], GROUPS * GROUP_WARPS);
    }
    __syncthreads();
    const int first = WIDE ? 0 : j.group;
    const int output0 = WIDE ? j.group * CHANNELS : 0;
    uint16_t *stage = &m->stage[j.group][0][0][0];
    const bool has_adds = a.finish.add[0].data != nullptr || a.finish.add[1].data != nullptr;
    if (first == 1 && j.rows > 1) {
        next_row(o, a.h);
        release_rows(m, 0, o.place);
    }
    start_rows(m, a, j, i, o.place + KERNEL - 1);
    copy_async_commit();
    load_weights(weight, a, output0);
    load_bias(bias, a, output0);
    int announced = 0;
#pragma unroll 1
    for (int row = first; row < j.rows; row += WIDE ? 1 : GROUPS) {
        announce_rows(m, j, announced, i.place);
        announced = i.place;
        if (has_adds) {
            named_barrier_wait(OWN_BARRIER + j.group, GROUP); /* all have written the row before */
            start_adds(stage, a, carrier_of(a, j, o, output0));
        }
        copy_async_commit();
        start_rows(m, a, j, i, o.place + AHEAD);
        copy_async_commit();
        wait_for_rows(m, o.place);
        /* Here, too, all have written the row before. */
        if (row > 0 || (WIDE && j.group > 0)) {
            named_barrier_wait(TURN_BARRIER + j.group, THREADS);
        }
        float sum[WARPGROUP_SUMS];
        multiply_row(sum, weight, m, o.place, bias);
        if (row + 1 < j.rows || (WIDE && j.group == 0)) {
            named_barrier_go_on(TURN_BARRIER + 1 - j.group, THREADS);
        }
        const output_row now = o;
        next_row(o, a.h);
        if (!WIDE) {
            next_row(o, a.h);
        }
        warpgroup_wait(sum);
        release_rows(m, now.place, o.place);
        if (has_adds) {
            copy_async_wait<1>(); /* and not for input rows */
            named_barrier_wait(OWN_BARRIER + j.group, GROUP);
        }
        finish_row<ACT>(sum, stage, a);
        named_barrier_wait(OWN_BARRIER + j.group, GROUP);
        write_row(stage, a, carrier_of(a, j, now, output0));
    }
    announce_rows(m, j, announced, i.place);
}

template <int ACT, bool WIDE>
cudaError_t start(const product_args *a, int tiles, int rows, int multiprocessors,
                  cudaStream_t stream)
{
    return launch_with_memory(conv64_kernel<ACT, WIDE>, (unsigned)min(rows, multiprocessors),
                              THREADS, sizeof(memory), stream, *a, tiles, rows);
}

bool is_half_or_none(const operand &x)
{
    return x.data == nullptr || (x.type == VALUE_F16 && x.stride % VALUE_LANES == 0);
}

int64_t count_tiles(const product_args &a)
{
    return ((int64_t)a.w + PIXELS - 1) / PIXELS;
}

/* Types, epilogue and numbers; columns of three rows, for start_rows; places in the ring are 32-bit numbers. */
bool has_shape(const product_args &a)
{
    const finish_args &f = a.finish;
    const bool is_conv64 = a.kernel == KERNEL && a.x.type == VALUE_F16 && a.x.stride == CHANNELS &&
                           f.y.type == VALUE_F16 && f.y.stride % VALUE_LANES == 0 &&
                           f.y.stride <= GROUPS * CHANNELS;
    const bool is_finish = f.before.data == nullptr && is_half_or_none(f.add[0]) &&
                           is_half_or_none(f.add[1]) && (f.act == BODY_NONE || f.act == BODY_GELU);
    const int64_t columns = a.slices * count_tiles(a);
    return is_conv64 && is_finish && a.w > 0 && a.h > 2 && columns > 0 &&
           columns <= INT32_MAX / 4 / a.h;
}

/* Multiprocessors of the current device, if it is of compute capability 9.0; else 0. */
int count_multiprocessors()
{
    int device = 0;
    int major = 0;
    int minor = 0;
    int n = 0;
    const bool known =
        cudaGetDevice(&device) == cudaSuccess &&
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess &&
        cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device) == cudaSuccess;
    return known && major == 9 && minor == 0 ? n : 0;
}

} // namespace

int kernels_have_conv64(const product_args *args)
{
    return has_shape(*args) && count_multiprocessors() > 0;
}

int kernels_start_conv64(const product_args *args, cudaStream_t stream, cudaError_t *ret_error)
{
    const int n = has_shape(*args) ? count_multiprocessors() : 0;
    if (n == 0) {
        return 0;
    }
    const int tiles = (int)count_tiles(*args);
    const int rows = args->slices * tiles * args->h;
    const bool wide = args->finish.y.stride > CHANNELS;
    if (args->finish.act == BODY_GELU) {
        *ret_error = wide ? start<BODY_GELU, true>(args, tiles, rows, n, stream)
                          : start<BODY_GELU, false>(args, tiles, rows, n, stream);
    } else {
        *ret_error = wide ? start<BODY_NONE, true>(args, tiles, rows, n, stream)
                          : start<BODY_NONE, false>(args, tiles, rows, n, stream);
    }
    return 1;
}
