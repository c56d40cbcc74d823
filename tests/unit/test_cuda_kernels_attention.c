/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention on tensor cores, in the emulator, against sums in double.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/kernel_kit.h"

enum { MAX_TOKENS = 320 };

struct shape {
    int32_t tokens, width, heads, slices;
    int32_t pad; /* channels of x behind the last head's values */
    float size;  /* of queries, keys and values */
};

struct started {
    const struct attention_args *args;
    int32_t slices;
};

static void start(const void *arg)
{
    const struct started *s = arg;
    cudaError_t e = cudaErrorUnknown;
    assert(kernels_start_tensor_attention(s->args, s->slices, NULL, &e) == 1);
    assert(e == cudaSuccess);
}

/* The weights of a query's keys, times their sum; returns the sum. */
static double weigh(double weight[MAX_TOKENS], const struct attention_args *a, size_t query,
                    size_t key0)
{
    double top = -INFINITY;
    double sum = 0.0;
    for (int32_t key = 0; key < a->tokens; key++) {
        const size_t at = key0 + (size_t)key * (size_t)a->x.stride;
        double score = 0.0;
        for (size_t i = 0; i < (size_t)a->width; i++) {
            score += (double)value_load(a->x.data, a->x.type, query + i) *
                     (double)value_load(a->x.data, a->x.type, at + i);
        }
        weight[key] = score / sqrt((double)a->width);
        top = fmax(top, weight[key]);
    }
    for (int32_t key = 0; key < a->tokens; key++) {
        weight[key] = exp(weight[key] - top);
        sum += weight[key];
    }
    return sum;
}

/*
 * Weights are rounded to 16 bits before they are multiplied: at most half a place of each, and as much of the
 * largest value in the result.  The exponentials and the sums in f32 take less than a tenth of that.
 */
static void check_query(const struct attention_args *a, size_t item, float size)
{
    static double weight[MAX_TOKENS];
    const struct attention_at at = attention_place(a, item);
    const double sum = weigh(weight, a, at.query, at.key);
    const double place = a->x.type == VALUE_F16 ? 0x1p-11 : 0x1p-8;
    for (size_t i = 0; i < (size_t)a->width; i++) {
        double mix = 0.0;
        for (int32_t key = 0; key < a->tokens; key++) {
            const size_t value = at.value + (size_t)key * (size_t)a->x.stride + i;
            mix += weight[key] * (double)value_load(a->x.data, a->x.type, value);
        }
        kit_check(value_load(a->y.data, a->y.type, at.out + i), mix / sum,
                  1.1 * place * (double)size, a->y.type);
    }
}

static void check_shape(const struct shape *s, int32_t type)
{
    struct kernel_kit kit = {.rng = {7}};
    const int32_t channels = s->heads * s->width;
    const int32_t stride = 3 * channels + s->pad;
    const size_t tokens = (size_t)s->slices * (size_t)s->tokens;
    const size_t values = tokens * (size_t)channels;
    const struct attention_args args = {
        .x = {kit_input(&kit, type, tokens * (size_t)stride, s->size), type, stride},
        .y = {kit_output(&kit, type, values), type, channels},
        .tokens = s->tokens,
        .heads = s->heads,
        .width = s->width,
    };
    const struct started started = {&args, s->slices};
    kit_run(start, &started, args.y.data, values * value_size(type));
    for (size_t item = 0; item < tokens * (size_t)s->heads; item++) {
        check_query(&args, item, s->size);
    }
    kit_end(&kit);
}

static void attention_is_softmax_of_products(void)
{
    /* One less and one more than a tile of 64 keys, than the 16 of a product and than a block's 160 queries. */
    static const struct shape shapes[] = {
        {1, 64, 2, 2, 0, 1.0F},    {15, 32, 1, 2, 0, 1.0F},  {17, 128, 1, 1, 8, 1.0F},
        {63, 64, 1, 1, 0, 2.0F},   {64, 32, 2, 1, 0, 1.0F},  {65, 64, 2, 1, 8, 1.0F},
        {65, 128, 1, 1, 0, 2.0F},  {161, 32, 1, 1, 0, 1.0F}, {261, 64, 2, 1, 0, 1.0F},
        {261, 128, 1, 1, 0, 1.0F},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_shape(&shapes[i], VALUE_F16);
        check_shape(&shapes[i], VALUE_BF16);
    }
}

/* Scores of thousands: no weight is infinite or no number. */
static void large_scores_are_no_trouble(void)
{
    check_shape(&(struct shape){133, 64, 1, 1, 0, 60.0F}, VALUE_F16);
    check_shape(&(struct shape){133, 64, 1, 1, 0, 60.0F}, VALUE_BF16);
}

static void other_shapes_are_not_for_it(void)
{
    cudaError_t e = cudaSuccess;
    struct attention_args a = {.tokens = 5, .heads = 1, .width = 48};
    a.x = (struct operand){NULL, VALUE_F16, 144};
    a.y = (struct operand){NULL, VALUE_F16, 48};
    assert(kernels_start_tensor_attention(&a, 1, NULL, &e) == 0);
    a.width = 64;
    a.x.stride = 192;
    a.y.stride = 72; /* padding that it would not write */
    assert(kernels_start_tensor_attention(&a, 1, NULL, &e) == 0);
    a.y.stride = 64;
    a.x.stride = 196; /* rows that do not begin at 16 bytes */
    assert(kernels_start_tensor_attention(&a, 1, NULL, &e) == 0);
    a.x.stride = 192;
    a.x.type = VALUE_F32;
    a.y.type = VALUE_F32;
    assert(kernels_start_tensor_attention(&a, 1, NULL, &e) == 0);
}

int main(void)
{
    attention_is_softmax_of_products();
    large_scores_are_no_trouble();
    other_shapes_are_not_for_it();
    return 0;
}
