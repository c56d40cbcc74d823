/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/launch.cuh"
#include "engine/backend/cuda/device/tensor_core.cuh"

/*
 * Attention on tensor cores.  A warp has 16 queries of a head; the warps of a block share the head's keys and
 * values, which come into shared memory 64 at a time, the next ones while these are worked on.  Scores,
 * weights and mixes stay in registers: a lane's accumulators of scores are where its operands of weights
 * must be, so that nothing passes between lanes but each query's largest score and sum.  Fragments, and g and t
 * of a lane, are those of tensor_core.cuh.
 */

namespace
{

enum {
    WARP = 32,
    QUERIES = 16,   /* of a warp */
    DEPTH = 16,     /* channels or keys that a product adds up at once */
    COLUMNS = 8,    /* of an accumulator */
    TILE = 64,      /* keys in shared memory together */
    TURN = 32,      /* keys worked on together; 64 take more registers than there are */
    STAGES = 2,     /* tiles in shared memory */
    MAX_WARPS = 10, /* of a block; twice as many are on a multiprocessor, of 96 registers a lane */
};

/* Keys and values.  Eight rows begin in banks of their own, 16 bytes wide. */
template <typename T, int WIDTH> struct key_tile {
    static constexpr int LD = WIDTH + VALUE_LANES;
    T key[TILE][LD];
    T value[TILE][LD];
};

/* What a lane knows of its warp's queries; [2] for rows g and g + 8. */
template <int WIDTH> struct queries {
    uint32_t query[WIDTH / DEPTH][4]; /* left operands */
    float mix[WIDTH / COLUMNS][4];    /* accumulators: weighted values so far */
    float top[2];                     /* largest score so far */
    float sum[2];                     /* of the weights of this lane's columns so far */
};

/* Two values in storage, `low` at the lower address. */
__device__ __forceinline__ uint32_t pair_of(float low, float high, __half)
{
    const __half2 both = __floats2half2_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &both, sizeof bits);
    return bits;
}

__device__ __forceinline__ uint32_t pair_of(float low, float high, __nv_bfloat16)
{
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &both, sizeof bits);
    return bits;
}

/* The four lanes that share rows. */
__device__ __forceinline__ float row_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffU, x, 2));
}

__device__ __forceinline__ float row_sum(float x)
{
    x += __shfl_xor_sync(0xffffffffU, x, 1);
    return x + __shfl_xor_sync(0xffffffffU, x, 2);
}

/* Of one head of one slice. */
template <typename T> struct head_at {
    const T *query, *key; /* token 0 */
    int to_value;         /* from a key to its value */
    int stride, tokens;
};

template <typename T, int WIDTH>
__device__ __forceinline__ head_at<T> find_head(const attention_args &a)
{
    head_at<T> h;
    h.tokens = a.tokens;
    h.stride = a.x.stride;
    h.to_value = a.heads * WIDTH;
    h.query = (const T *)a.x.data + (size_t)blockIdx.z * (size_t)(a.tokens * a.x.stride) +
              (size_t)blockIdx.y * WIDTH;
    h.key = h.query + h.to_value;
    return h;
}

/*
 * Start copying keys and values first ... first + 63, all threads of the block together.  Beyond the tokens
 * zeros fill up what a product reads: a weight of zero would not make nothing of what else lies there.
 */
template <typename T, int WIDTH>
__device__ __forceinline__ void start_copying(key_tile<T, WIDTH> *tile, const head_at<T> &h,
                                              int first)
{
    constexpr int GROUPS = WIDTH / VALUE_LANES;
    static_assert(WARP % GROUPS == 0, "a thread stays in its column");
    const int column = threadIdx.x % GROUPS * VALUE_LANES;
    const int rows = min((int)TILE, (h.tokens - first + DEPTH - 1) / DEPTH * DEPTH);
    for (int row = threadIdx.x / GROUPS; row < rows; row += blockDim.x / GROUPS) {
        const bool there = first + row < h.tokens;
        const T *from = h.key + min(first + row, h.tokens - 1) * h.stride + column;
        copy_async(&tile->key[row][column], from, there);
        copy_async(&tile->value[row][column], from + h.to_value, there);
    }
}

/* Nothing taken yet; a query beyond the tokens is zero. */
template <typename T, int WIDTH>
__device__ __forceinline__ void begin_queries(queries<WIDTH> &s, const head_at<T> &h, int query0)
{
    const int lane = threadIdx.x % WARP;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = query0 + half * 8 + lane / 4;
        const bool there = row < h.tokens;
        const T *from = h.query + min(row, h.tokens - 1) * h.stride + lane % 4 * 2;
#pragma unroll
        for (int d = 0; d < WIDTH / DEPTH; d++) {
            s.query[d][half] = there ? *(const uint32_t *)(from + d * DEPTH) : 0U;
            s.query[d][half + 2] = there ? *(const uint32_t *)(from + d * DEPTH + 8) : 0U;
        }
        s.top[half] = -INFINITY;
        s.sum[half] = 0.0F;
    }
#pragma unroll
    for (int i = 0; i < WIDTH / COLUMNS; i++) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            s.mix[i][k] = 0.0F;
        }
    }
}

/* Queries times KEYS keys from row `first` of the tile on. */
template <typename T, int WIDTH, int KEYS>
__device__ __forceinline__ void make_scores(float (&score)[KEYS / COLUMNS][4],
                                            const queries<WIDTH> &s, const key_tile<T, WIDTH> *tile,
                                            int first)
{
    /* Keys 0-7, channels 0-7 and 8-15; keys 8-15, the same. */
    const int lane = threadIdx.x % WARP;
    const T *from = &tile->key[first + lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8];
#pragma unroll
    for (int n = 0; n < KEYS / COLUMNS; n++) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            score[n][k] = 0.0F;
        }
    }
#pragma unroll
    for (int d = 0; d < WIDTH / DEPTH; d++) {
#pragma unroll
        for (int n = 0; n < KEYS / COLUMNS; n += 2) {
            uint32_t keys[4];
            load_matrices(keys, from + n * COLUMNS * key_tile<T, WIDTH>::LD + d * DEPTH);
            add_product(score[n], s.query[d], &keys[0], T());
            add_product(score[n + 1], s.query[d], &keys[2], T());
        }
    }
}

/* Only the first `valid` keys are there. */
template <int KEYS> __device__ __forceinline__ void mask_scores(float (&score)[KEYS][4], int valid)
{
    const int column = threadIdx.x % 4 * 2;
#pragma unroll
    for (int n = 0; n < KEYS; n++) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (n * COLUMNS + column + k % 2 >= valid) {
                score[n][k] = -INFINITY;
            }
        }
    }
}

/*
 * Scores become weights, 2^((score - top) scale), and what was mixed before is brought down to the new top.
 * The difference is taken before it is scaled: no weight is above 1, however large the scores are.
 */
template <int WIDTH, int N>
__device__ __forceinline__ void make_weights(float (&score)[N][4], queries<WIDTH> &s, float scale)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int k = half * 2;
        float top = s.top[half];
#pragma unroll
        for (int n = 0; n < N; n++) {
            top = fmaxf(top, fmaxf(score[n][k], score[n][k + 1]));
        }
        top = row_max(top);
        /* Where all is masked so far, any finite number makes weights of zero. */
        const float from = top == -INFINITY ? 0.0F : top;
        const float keep = body_exp2((s.top[half] - from) * scale);
        float sum = s.sum[half] * keep;
#pragma unroll
        for (int n = 0; n < N; n++) {
            score[n][k] = body_exp2((score[n][k] - from) * scale);
            score[n][k + 1] = body_exp2((score[n][k + 1] - from) * scale);
            sum += score[n][k] + score[n][k + 1];
        }
        s.top[half] = top;
        s.sum[half] = sum;
#pragma unroll
        for (int i = 0; i < WIDTH / COLUMNS; i++) {
            s.mix[i][k] *= keep;
            s.mix[i][k + 1] *= keep;
        }
    }
}

/* Add KEYS values, from row `first` of the tile on, times their weights. */
template <typename T, int WIDTH, int KEYS>
__device__ __forceinline__ void mix_values(queries<WIDTH> &s,
                                           const float (&weight)[KEYS / COLUMNS][4],
                                           const key_tile<T, WIDTH> *tile, int first)
{
    /* Channels 0-7, keys 0-7 and 8-15; channels 8-15, the same. */
    const int lane = threadIdx.x % WARP;
    const T *from = &tile->value[first + lane % 16][lane / 16 * 8];
#pragma unroll
    for (int k = 0; k < KEYS / DEPTH; k++) {
        const float(&low)[4] = weight[2 * k];
        const float(&high)[4] = weight[2 * k + 1];
        const uint32_t weights[4] = {pair_of(low[0], low[1], T()), pair_of(low[2], low[3], T()),
                                     pair_of(high[0], high[1], T()),
                                     pair_of(high[2], high[3], T())};
#pragma unroll
        for (int i = 0; i < WIDTH / COLUMNS; i += 2) {
            uint32_t values[4];
            load_matrices_turned(values, from + k * DEPTH * key_tile<T, WIDTH>::LD + i * COLUMNS);
            add_product(s.mix[i], weights, &values[0], T());
            add_product(s.mix[i + 1], weights, &values[2], T());
        }
    }
}

/* KEYS keys from row `first` of the tile on, the first `valid` of which are there. */
template <typename T, int WIDTH, int KEYS>
__device__ __forceinline__ void take_keys(queries<WIDTH> &s, const key_tile<T, WIDTH> *tile,
                                          int first, int valid)
{
    const float scale = 1.44269504F / sqrtf((float)WIDTH); /* log2 e: of powers of two */
    float score[KEYS / COLUMNS][4];
    make_scores<T, WIDTH, KEYS>(score, s, tile, first);
    if (valid < KEYS) {
        mask_scores(score, valid);
    }
    make_weights(score, s, scale);
    mix_values<T, WIDTH, KEYS>(s, score, tile, first);
}

/* The first `valid` keys of the tile. */
template <typename T, int WIDTH>
__device__ __forceinline__ void take_tile(queries<WIDTH> &s, const key_tile<T, WIDTH> *tile,
                                          int valid)
{
    int key = 0;
#pragma unroll 1
    for (; key + TURN <= valid; key += TURN) {
        take_keys<T, WIDTH, TURN>(s, tile, key, TURN);
    }
#pragma unroll 1
    for (; key < valid; key += DEPTH) {
        take_keys<T, WIDTH, DEPTH>(s, tile, key, valid - key);
    }
}

/* By way of the warp's part of shared memory, so that neighbouring lanes write neighbouring 16 bytes. */
template <typename T, int WIDTH>
__device__ __forceinline__ void write_mix(const queries<WIDTH> &s, const attention_args &a,
                                          T (*part)[WIDTH + VALUE_LANES], int query0)
{
    constexpr int GROUPS = WIDTH / VALUE_LANES;
    const int lane = threadIdx.x % WARP;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const float rate = 1.0F / row_sum(s.sum[half]); /* of 1 at least: the largest weight is 1 */
        T *row = part[half * 8 + lane / 4];
#pragma unroll
        for (int i = 0; i < WIDTH / COLUMNS; i++) {
            *(uint32_t *)&row[i * COLUMNS + lane % 4 * 2] =
                pair_of(s.mix[i][half * 2] * rate, s.mix[i][half * 2 + 1] * rate, T());
        }
    }
    __syncwarp();
    T *out = (T *)a.y.data +
             ((size_t)blockIdx.z * (size_t)a.tokens + (size_t)query0) * (size_t)a.y.stride +
             (size_t)blockIdx.y * WIDTH;
    const int rows = min((int)QUERIES, a.tokens - query0);
    const int column = lane % GROUPS * VALUE_LANES;
    for (int row = lane / GROUPS; row < rows; row += WARP / GROUPS) {
        *(uint4 *)(out + (size_t)row * (size_t)a.y.stride + column) =
            *(const uint4 *)&part[row][column];
    }
}

/* A block for some queries of a head of a slice. */
template <typename T, int WIDTH>
__global__ void __launch_bounds__(MAX_WARPS *WARP, WIDTH <= 64 ? 2 : 1)
    tensor_attention_kernel(const attention_args a)
{
    LAUNCH_MEMORY(memory);
    key_tile<T, WIDTH> *tiles = (key_tile<T, WIDTH> *)memory;

    const int warp = threadIdx.x / WARP;
    const int query0 = (int)(blockIdx.x * (blockDim.x / WARP) + warp) * QUERIES;
    const bool has_queries = query0 < a.tokens; /* a warp without any still copies and waits */
    const head_at<T> h = find_head<T, WIDTH>(a);
    queries<WIDTH> s;
    start_copying(&tiles[0], h, 0);
    begin_queries(s, h, query0);

    for (int first = 0; first < a.tokens; first += TILE) {
        const key_tile<T, WIDTH> *tile = &tiles[first / TILE % STAGES];
        copy_async_wait_all();
        __syncthreads(); /* everybody's; and all are through with the tile before */
        if (first + TILE < a.tokens) {
            start_copying(&tiles[(first / TILE + 1) % STAGES], h, first + TILE);
        }
        if (has_queries) {
            take_tile(s, tile, min((int)TILE, a.tokens - first));
        }
    }
    __syncthreads(); /* before the last tile is written over */
    if (has_queries) {
        constexpr int LD = key_tile<T, WIDTH>::LD;
        static_assert(MAX_WARPS * QUERIES <= STAGES * 2 * TILE, "room for each warp's part");
        T(*parts)[LD] = (T(*)[LD])memory;
        write_mix(s, a, parts + warp * QUERIES, query0);
    }
}

int divide_up(int n, int by)
{
    return (n + by - 1) / by;
}

template <typename T, int WIDTH>
cudaError_t start(const attention_args *a, int32_t slices, cudaStream_t stream)
{
    /* As few blocks as possible share a head, and its queries evenly. */
    const int warps_needed = divide_up(a->tokens, QUERIES);
    const int parts = divide_up(warps_needed, MAX_WARPS);
    const int warps = divide_up(warps_needed, parts);
    const dim3 grid((unsigned)parts, (unsigned)a->heads, (unsigned)slices);
    return launch_with_memory(tensor_attention_kernel<T, WIDTH>, grid, warps * WARP,
                              STAGES * sizeof(key_tile<T, WIDTH>), stream, *a);
}

template <typename T>
int start_width(const attention_args *a, int32_t slices, cudaStream_t stream, cudaError_t *error)
{
    switch (a->width) {
    case 32:
        *error = start<T, 32>(a, slices, stream);
        return 1;
    case 64:
        *error = start<T, 64>(a, slices, stream);
        return 1;
    case 128:
        *error = start<T, 128>(a, slices, stream);
        return 1;
    default:
        return 0;
    }
}

} // namespace

int kernels_start_tensor_attention(const attention_args *args, int32_t slices, cudaStream_t stream,
                                   cudaError_t *ret_error)
{
    /* No padding behind the last head, which this kernel would not write; rows begin at 16 bytes; places in
     * a slice are 32-bit numbers; few enough blocks. */
    const int fits = args->y.stride == args->width * args->heads &&
                     args->x.stride % VALUE_LANES == 0 && args->tokens > 0 &&
                     (int64_t)args->tokens * args->x.stride <= INT32_MAX && slices <= 65535 &&
                     args->heads <= 65535 && args->x.type == args->y.type;
    if (fits && args->x.type == VALUE_F16) {
        return start_width<__half>(args, slices, stream, ret_error);
    }
    if (fits && args->x.type == VALUE_BF16) {
        return start_width<__nv_bfloat16>(args, slices, stream, ret_error);
    }
    return 0;
}
