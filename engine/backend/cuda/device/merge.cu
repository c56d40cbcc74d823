/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"
#include "engine/backend/cuda/device/tensor_core.cuh"

/*
 * The merge of two maps on tensor cores: a product of pixels [pixels][inputs] and weights [outputs][inputs] whose
 * inputs are the channels of one map, then those of the other.  A block has 128 pixels and 64 or 128 outputs;
 * its warps have 32 outputs each.  Inputs come into shared memory 32 at a time, some turns ahead.  What lies
 * beyond the pixels, outputs or inputs is zero there.
 *
 * Weights lie in shared memory in such an order that an accumulator's lane ends up with eight neighbouring outputs
 * of a pixel, which the epilogue finishes and writes as they are.  Fragments, and g and t of a lane, are those of
 * tensor_core.cuh.
 */

namespace
{

enum {
    WARP = 32,
    WARPS = 8,
    THREADS = WARPS * WARP,
    PIXELS = 128,      /* of a block */
    WARP_OUTPUTS = 32, /* of a warp */
    ROWS = 16,         /* of an accumulator */
    COLUMNS = 8,
    ACROSS = WARP_OUTPUTS / COLUMNS, /* accumulators of a warp side by side */
    DEPTH = 16,                      /* inputs that a product adds up at once */
    TURN = 32,                       /* inputs that shared memory gets at once */
    PIECES = TURN / VALUE_LANES,     /* 16 bytes each */
    STRIDE = THREADS / PIECES,       /* rows that the block's threads copy at once */
};

/* How a block with so many outputs is cut. */
template <int OUTPUTS> struct cut {
    static constexpr int WARPS_ACROSS = OUTPUTS / WARP_OUTPUTS;
    static constexpr int WARP_PIXELS = PIXELS / (WARPS / WARPS_ACROSS);
    static constexpr int DOWN = WARP_PIXELS / ROWS;          /* accumulators of a warp */
    static constexpr int STAGES = OUTPUTS == 64 ? 4 : 3;     /* turns in shared memory */
    static constexpr int MIN_BLOCKS = OUTPUTS == 64 ? 3 : 2; /* on a multiprocessor */
};

/* Where a piece of a row lies in shared memory: eight rows' same pieces are in banks of their own. */
__device__ __forceinline__ int place_of(int row, int piece)
{
    return row * TURN + (piece ^ (row >> 1 & (PIECES - 1))) * VALUE_LANES;
}

/* Which output of a block has a row of weights: an accumulator's columns 2 t and 2 t + 1 are two of those eight
 * outputs that lane t of four has in all accumulators of its warp. */
__device__ __forceinline__ int output_of(int row)
{
    const int accumulator = row / COLUMNS % ACROSS;
    const int lane = row % COLUMNS / 2;
    return row / WARP_OUTPUTS * WARP_OUTPUTS + lane * VALUE_LANES + 2 * accumulator + row % 2;
}

/* What a thread copies: one piece of every turn, of each STRIDE-th row of pixels and of outputs. */
struct carrier {
    /* Its first pixel's and its first output's piece of the first turn.  The second map's is where it would be if
     * the first's channels lay before it. */
    const uint16_t *first, *second, *weight;
    int pixels, outputs; /* from its first ones on to the last ones */
    int row, piece;
};

__device__ __forceinline__ carrier carrier_of(const merge_args &a, size_t pixels, size_t pixel0,
                                              int output0)
{
    carrier c;
    c.row = (int)threadIdx.x / PIECES;
    c.piece = (int)threadIdx.x % PIECES;
    const size_t pixel = pixel0 + (size_t)c.row;
    const int output = output0 + output_of(c.row);
    const int inputs = a.x[0].stride + a.x[1].stride;
    c.first = (const uint16_t *)a.x[0].data + pixel * (size_t)a.x[0].stride;
    c.second = (const uint16_t *)a.x[1].data + pixel * (size_t)a.x[1].stride - a.x[0].stride;
    c.weight = (const uint16_t *)a.weight + (size_t)output * (size_t)inputs;
    c.first += c.piece * VALUE_LANES;
    c.second += c.piece * VALUE_LANES;
    c.weight += c.piece * VALUE_LANES;
    c.pixels = pixel < pixels ? (int)min(pixels - pixel, (size_t)PIXELS) : 0;
    c.outputs = a.finish.y.stride - output;
    return c;
}

/* Start copying the inputs from input0 on: the pixels' rows, then the outputs'. */
template <int OUTPUTS>
__device__ __forceinline__ void start_turn(uint16_t *stage, const merge_args &a, const carrier &c,
                                           int input0)
{
    const int inputs = a.x[0].stride + a.x[1].stride;
    const int input = input0 + c.piece * VALUE_LANES;
    const bool is_first = input < a.x[0].stride;
    const bool there = input < inputs;
    const uint16_t *x = (is_first ? c.first : c.second) + input0;
    const int stride = is_first ? a.x[0].stride : a.x[1].stride;
#pragma unroll
    for (int row = 0; row < PIXELS; row += STRIDE) {
        copy_async(stage + place_of(c.row + row, c.piece), x + row * stride,
                   there && row < c.pixels);
    }
#pragma unroll
    for (int row = 0; row < OUTPUTS; row += STRIDE) {
        copy_async(stage + place_of(PIXELS + c.row + row, c.piece),
                   c.weight + input0 + row * inputs, there && row < c.outputs);
    }
}

/* The rows of a warp's operands that its lane points to. */
struct pointer {
    int pixel_row, pixel_piece;
    int weight_row, weight_piece;
};

/* Add up a turn's products. */
template <int DOWN>
__device__ __forceinline__ void add_turn(float (&sum)[DOWN][ACROSS][4], const uint16_t *stage,
                                         const pointer &p)
{
#pragma unroll
    for (int piece = 0; piece < PIECES; piece += DEPTH / VALUE_LANES) {
        uint32_t x[DOWN][4];
        uint32_t weight[ACROSS / 2][4];
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
            load_matrices(x[i], stage + place_of(p.pixel_row + i * ROWS, p.pixel_piece + piece));
        }
#pragma unroll
        for (int k = 0; k < ACROSS / 2; k++) {
            load_matrices(weight[k],
                          stage + place_of(p.weight_row + 2 * k * COLUMNS, p.weight_piece + piece));
        }
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
#pragma unroll
            for (int k = 0; k < ACROSS; k++) {
                add_product(sum[i][k], x[i], &weight[k / 2][k % 2 * 2], __half());
            }
        }
    }
}

/* Every sum begins with its output's bias. */
template <int DOWN>
__device__ __forceinline__ void start_sums(float (&sum)[DOWN][ACROSS][4], const finish_args &f,
                                           int output)
{
    const bool there = f.bias != nullptr && output < f.y.stride;
#pragma unroll
    for (int k = 0; k < ACROSS; k++) {
        const float even = there ? f.bias[output + 2 * k] : 0.0F;
        const float odd = there ? f.bias[output + 2 * k + 1] : 0.0F;
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
            sum[i][k][0] = even;
            sum[i][k][1] = odd;
            sum[i][k][2] = even;
            sum[i][k][3] = odd;
        }
    }
}

/* A lane's eight outputs of its pixels: rows g and g + 8 of each accumulator. */
template <int DOWN, int ACT>
__device__ __forceinline__ void write_outputs(const float (&sum)[DOWN][ACROSS][4],
                                              const merge_args &a, size_t pixels, size_t pixel0,
                                              int output)
{
    finish_args finish = a.finish;
    finish.before.data = nullptr;
    finish.bias = nullptr;
    finish.act = ACT;
    if (output >= finish.y.stride) {
        return;
    }
#pragma unroll
    for (int i = 0; i < 2 * DOWN; i++) {
        const size_t pixel = pixel0 + (size_t)(i * (ROWS / 2));
        if (pixel < pixels) {
            lanes v;
#pragma unroll
            for (int k = 0; k < VALUE_LANES; k++) {
                v.v[k] = sum[i / 2][k / 2][i % 2 * 2 + k % 2];
            }
            v = finish_lanes(&finish, v, pixel, (size_t)output);
            lanes_store(finish.y.data, VALUE_F16, pixel * (size_t)finish.y.stride + (size_t)output,
                        &v);
        }
    }
}

/* The blocks of the same pixels are neighbours. */
template <int OUTPUTS, int ACT>
__global__ void __launch_bounds__(THREADS, cut<OUTPUTS>::MIN_BLOCKS)
    tensor_merge_kernel(const merge_args a, size_t pixels, int blocks_across)
{
    using shape = cut<OUTPUTS>;
    __shared__ __align__(128) uint16_t memory[shape::STAGES][(PIXELS + OUTPUTS) * TURN];
    const int thread = (int)threadIdx.x;
    const int lane = thread % WARP;
    const int warp_pixel = thread / WARP / shape::WARPS_ACROSS * shape::WARP_PIXELS;
    const int warp_output = thread / WARP % shape::WARPS_ACROSS * WARP_OUTPUTS;
    const size_t pixel0 = (size_t)((int)blockIdx.x / blocks_across) * PIXELS;
    const int output0 = (int)blockIdx.x % blocks_across * OUTPUTS;
    const carrier c = carrier_of(a, pixels, pixel0, output0);
    const pointer p = {warp_pixel + lane % ROWS, lane / ROWS,
                       PIXELS + warp_output + lane / ROWS * COLUMNS + lane % COLUMNS,
                       lane / COLUMNS % 2};
    const int turns = (a.x[0].stride + a.x[1].stride + TURN - 1) / TURN;
    const int output = output0 + warp_output + lane % 4 * VALUE_LANES;
    float sum[shape::DOWN][ACROSS][4];

#pragma unroll
    for (int i = 0; i < shape::STAGES - 1; i++) {
        if (i < turns) {
            start_turn<OUTPUTS>(memory[i], a, c, i * TURN);
        }
        copy_async_commit();
    }
    start_sums<shape::DOWN>(sum, a.finish, output);
    int from = 0;
    int to = shape::STAGES - 1;
    for (int turn = 0; turn < turns; turn++) {
        copy_async_wait<shape::STAGES - 2>();
        __syncthreads(); /* all of the turn is there, and nobody reads the stage that is next written */
        if (turn + shape::STAGES - 1 < turns) {
            start_turn<OUTPUTS>(memory[to], a, c, (turn + shape::STAGES - 1) * TURN);
        }
        copy_async_commit();
        add_turn<shape::DOWN>(sum, memory[from], p);
        from = from == shape::STAGES - 1 ? 0 : from + 1;
        to = to == shape::STAGES - 1 ? 0 : to + 1;
    }
    write_outputs<shape::DOWN, ACT>(sum, a, pixels, pixel0 + (size_t)(warp_pixel + lane / 4),
                                    output);
}

template <int OUTPUTS, int ACT>
cudaError_t start(const merge_args *a, size_t pixels, cudaStream_t stream)
{
    const int blocks_across = (a->finish.y.stride + OUTPUTS - 1) / OUTPUTS;
    const size_t blocks = (pixels + PIXELS - 1) / PIXELS * (size_t)blocks_across;
    return launch(tensor_merge_kernel<OUTPUTS, ACT>, (unsigned)blocks, THREADS, stream, *a, pixels,
                  blocks_across);
}

template <int OUTPUTS>
cudaError_t start_act(const merge_args *a, size_t pixels, cudaStream_t stream)
{
    switch (a->finish.act) {
    case BODY_GELU:
        return start<OUTPUTS, BODY_GELU>(a, pixels, stream);
    case BODY_SIGMOID:
        return start<OUTPUTS, BODY_SIGMOID>(a, pixels, stream);
    case BODY_TANH:
        return start<OUTPUTS, BODY_TANH>(a, pixels, stream);
    default:
        return start<OUTPUTS, BODY_NONE>(a, pixels, stream);
    }
}

} // namespace

int kernels_start_tensor_merge(const merge_args *args, size_t items, cudaStream_t stream,
                               cudaError_t *ret_error)
{
    const operand &y = args->finish.y;
    const int is_half =
        args->x[0].type == VALUE_F16 && args->x[1].type == VALUE_F16 && y.type == VALUE_F16;
    if (!is_half || items > 0x7fffffffU) { /* there are no more blocks than items */
        return 0;
    }
    const size_t pixels = items / ((size_t)y.stride / VALUE_LANES);
    *ret_error =
        y.stride <= 64 ? start_act<64>(args, pixels, stream) : start_act<128>(args, pixels, stream);
    return 1;
}
