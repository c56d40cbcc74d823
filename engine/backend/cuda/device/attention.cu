/* SPDX-License-Identifier: Apache-2.0 */
#include <mma.h>

#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/device/kernels.h"

/*
 * Attention on tensor cores, 64 queries of a head a block and 16 a warp.  Two passes over the keys, 64 at a
 * time: the first finds each query's largest score and its sum of exponentials, the second makes the
 * weights and mixes the values, so that no sum in a fragment is ever rescaled.  What lies beyond the
 * tokens is zero in shared memory and its weight is zero.
 */

namespace
{

using namespace nvcuda;

enum {
    TILE = 64, /* queries of a block, keys of a turn */
    FRAG = 16, /* of wmma, each way */
    WARPS = TILE / FRAG,
    THREADS = WARPS * 32,
    SCORE_LD = TILE + 4,  /* f32, from one query's row to the next */
    WEIGHT_LD = TILE + 8, /* 16 bits */
};

template <typename T, int WIDTH> struct shared_tiles {
    static constexpr int LD = WIDTH + 8;
    T query[TILE][LD];
    T other[TILE][LD]; /* keys, or values */
    float score[WARPS][FRAG][SCORE_LD];
    T weight[WARPS][FRAG][WEIGHT_LD];
};

/* Rows first ... first + 63 of one head's q, k or v; rows beyond the tokens become zero. */
template <typename T, int WIDTH>
__device__ void load_tile(T (*tile)[WIDTH + 8], const T *head, int first, int tokens, int stride)
{
    constexpr int GROUPS = WIDTH / VALUE_LANES;
    for (int i = threadIdx.x; i < TILE * GROUPS; i += THREADS) {
        const int row = i / GROUPS;
        const int at = i % GROUPS * VALUE_LANES;
        uint4 value = make_uint4(0U, 0U, 0U, 0U);
        if (first + row < tokens) {
            value = *(const uint4 *)(head + (size_t)(first + row) * (size_t)stride + at);
        }
        *(uint4 *)&tile[row][at] = value;
    }
}

/* The warp's 16 queries times the 64 keys in `other`, into its scores. */
template <typename T, int WIDTH> __device__ void make_scores(shared_tiles<T, WIDTH> &s, int warp)
{
    constexpr int LD = shared_tiles<T, WIDTH>::LD;
    for (int k = 0; k < TILE; k += FRAG) {
        wmma::fragment<wmma::accumulator, FRAG, FRAG, FRAG, float> sum;
        wmma::fill_fragment(sum, 0.0F);
#pragma unroll
        for (int d = 0; d < WIDTH; d += FRAG) {
            wmma::fragment<wmma::matrix_a, FRAG, FRAG, FRAG, T, wmma::row_major> a;
            wmma::fragment<wmma::matrix_b, FRAG, FRAG, FRAG, T, wmma::col_major> b;
            wmma::load_matrix_sync(a, &s.query[warp * FRAG][d], LD);
            wmma::load_matrix_sync(b, &s.other[k][d], LD);
            wmma::mma_sync(sum, a, b, sum);
        }
        wmma::store_matrix_sync(&s.score[warp][0][k], sum, SCORE_LD, wmma::mem_row_major);
    }
    __syncwarp();
}

__device__ __forceinline__ void to_storage(__half *to, float x)
{
    *to = __float2half_rn(x);
}

__device__ __forceinline__ void to_storage(__nv_bfloat16 *to, float x)
{
    *to = __float2bfloat16_rn(x);
}

/* A lane has half of a query's row: row lane / 2, 32 keys from key (lane % 2) * 32 on. */
struct lane_row {
    int row, column;
};

/* The largest score and the sum of exponentials so far of a lane's half row. */
__device__ void take_scores(float *top, float *sum, const float *score, int valid, float scale)
{
    float most = *top;
    for (int i = 0; i < valid; i++) {
        most = fmaxf(most, score[i] * scale);
    }
    if (valid <= 0) {
        return;
    }
    float total = *sum * expf(*top - most);
    for (int i = 0; i < valid; i++) {
        total += expf(score[i] * scale - most);
    }
    *top = most;
    *sum = total;
}

/* How many of a lane's 32 keys are there. */
__device__ __forceinline__ int count_valid(int first, int tokens)
{
    const int left = tokens - first;
    return left < 0 ? 0 : left < TILE / 2 ? left : TILE / 2;
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(THREADS) tensor_attention_kernel(const attention_args a)
{
    extern __shared__ __align__(128) unsigned char memory[];
    shared_tiles<T, WIDTH> &s = *(shared_tiles<T, WIDTH> *)memory;
    using accumulator = wmma::fragment<wmma::accumulator, FRAG, FRAG, FRAG, float>;

    const int warp = threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    const lane_row mine = {lane / 2, lane % 2 * (TILE / 2)};
    const int query0 = blockIdx.x * TILE;
    const size_t channels = (size_t)a.heads * WIDTH;
    const T *q = (const T *)a.x.data + (size_t)blockIdx.z * (size_t)a.tokens * (size_t)a.x.stride +
                 (size_t)blockIdx.y * WIDTH;
    const T *k = q + channels;
    const T *v = k + channels;
    const float scale = 1.0F / sqrtf((float)WIDTH);

    load_tile<T, WIDTH>(s.query, q, query0, a.tokens, a.x.stride);
    float top = -INFINITY;
    float sum = 0.0F;
    for (int key0 = 0; key0 < a.tokens; key0 += TILE) {
        load_tile<T, WIDTH>(s.other, k, key0, a.tokens, a.x.stride);
        __syncthreads();
        make_scores<T, WIDTH>(s, warp);
        take_scores(&top, &sum, &s.score[warp][mine.row][mine.column],
                    count_valid(key0 + mine.column, a.tokens), scale);
        __syncthreads(); /* before the keys, and the warp's scores, are written again */
    }
    /* Both halves of the row. */
    const float other_top = __shfl_xor_sync(0xffffffffU, top, 1);
    const float other_sum = __shfl_xor_sync(0xffffffffU, sum, 1);
    const float row_top = fmaxf(top, other_top);
    const float row_sum = sum * expf(top - row_top) + other_sum * expf(other_top - row_top);

    accumulator mix[WIDTH / FRAG];
#pragma unroll
    for (int i = 0; i < WIDTH / FRAG; i++) {
        wmma::fill_fragment(mix[i], 0.0F);
    }
    for (int key0 = 0; key0 < a.tokens; key0 += TILE) {
        load_tile<T, WIDTH>(s.other, k, key0, a.tokens, a.x.stride);
        __syncthreads();
        make_scores<T, WIDTH>(s, warp);
        const int valid = count_valid(key0 + mine.column, a.tokens);
        for (int i = 0; i < TILE / 2; i++) {
            const float score = s.score[warp][mine.row][mine.column + i];
            to_storage(&s.weight[warp][mine.row][mine.column + i],
                       i < valid ? expf(score * scale - row_top) : 0.0F);
        }
        __syncthreads(); /* all warps are through with the keys, and the weights are there */
        load_tile<T, WIDTH>(s.other, v, key0, a.tokens, a.x.stride);
        __syncthreads();
        for (int key = 0; key < TILE; key += FRAG) {
            wmma::fragment<wmma::matrix_a, FRAG, FRAG, FRAG, T, wmma::row_major> weight;
            wmma::load_matrix_sync(weight, &s.weight[warp][0][key], WEIGHT_LD);
#pragma unroll
            for (int i = 0; i < WIDTH / FRAG; i++) {
                wmma::fragment<wmma::matrix_b, FRAG, FRAG, FRAG, T, wmma::row_major> value;
                wmma::load_matrix_sync(value, &s.other[key][i * FRAG], shared_tiles<T, WIDTH>::LD);
                wmma::mma_sync(mix[i], weight, value, mix[i]);
            }
        }
        __syncthreads(); /* before the values are written over */
    }

    /* By way of the scores, 64 channels at a time, to the output. */
    constexpr int PART = WIDTH < TILE ? WIDTH : TILE;
    const int query = query0 + warp * FRAG + mine.row;
    T *out = (T *)a.y.data +
             ((size_t)blockIdx.z * (size_t)a.tokens + (size_t)query) * (size_t)a.y.stride +
             (size_t)blockIdx.y * WIDTH;
#pragma unroll
    for (int part = 0; part < WIDTH; part += PART) {
#pragma unroll
        for (int i = 0; i < PART / FRAG; i++) {
            wmma::store_matrix_sync(&s.score[warp][0][i * FRAG], mix[part / FRAG + i], SCORE_LD,
                                    wmma::mem_row_major);
        }
        __syncwarp();
        if (query < a.tokens) {
            for (int i = 0; i < PART / 2; i++) {
                const int d = lane % 2 * (PART / 2) + i;
                to_storage(&out[part + d], s.score[warp][mine.row][d] / row_sum);
            }
        }
        __syncwarp();
    }
}

template <typename T, int WIDTH>
cudaError_t start(const attention_args *a, int32_t slices, cudaStream_t stream)
{
    const dim3 grid((unsigned)((a->tokens + TILE - 1) / TILE), (unsigned)a->heads,
                    (unsigned)slices);
    const int bytes = (int)sizeof(shared_tiles<T, WIDTH>);
    const cudaError_t e = cudaFuncSetAttribute(tensor_attention_kernel<T, WIDTH>,
                                               cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (e != cudaSuccess) {
        return e;
    }
    tensor_attention_kernel<T, WIDTH><<<grid, THREADS, (size_t)bytes, stream>>>(*a);
    return cudaGetLastError();
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
    /* No padding behind the last head, which this kernel would not write; few enough blocks. */
    const int fits = args->y.stride == args->width * args->heads && slices <= 65535 &&
                     args->heads <= 65535 && args->x.type == args->y.type;
    if (fits && args->x.type == VALUE_F16) {
        return start_width<__half>(args, slices, stream, ret_error);
    }
    if (fits && args->x.type == VALUE_BF16) {
        return start_width<__nv_bfloat16>(args, slices, stream, ret_error);
    }
    return 0;
}
