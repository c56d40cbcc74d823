/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests/oracle does not reach: the slow convolution, values that are no numbers, items beyond 32 bits, and
 * that eight values at a time are what one at a time is.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/rng.h"

enum { SLICES = 2, H = 5, W = 7, IN = 16, OUT = 24, TAPS = 9, PIXELS = SLICES * H * W };
enum { X_VALUES = PIXELS * IN, Y_VALUES = PIXELS * OUT };

static void draw(float *values, size_t n, struct sctd_rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        values[i] = 2.0F * sctd_rng_uniform(rng) - 1.0F;
    }
}

/* The output at a pixel in double. */
static double expect(const float *x, const float *weight, const float *bias, size_t pixel, size_t o)
{
    const int row = (int)(pixel / W % H);
    const int column = (int)(pixel % W);
    double sum = (double)bias[o];
    for (int tap = 0; tap < TAPS; tap++) {
        const int r = row + tap / 3 - 1;
        const int c = column + tap % 3 - 1;
        if (r < 0 || r >= H || c < 0 || c >= W) {
            continue;
        }
        const size_t at = (pixel / ((size_t)H * W) * H + (size_t)r) * W + (size_t)c;
        for (size_t i = 0; i < IN; i++) {
            sum += (double)x[at * IN + i] * (double)weight[(o * TAPS + (size_t)tap) * IN + i];
        }
    }
    return 0.5 * sum * (1.0 + erf(sum * M_SQRT1_2));
}

static void the_slow_convolution_is_a_convolution(void)
{
    static float x[PIXELS * IN];
    static float weight[OUT * TAPS * IN];
    static float bias[OUT];
    static float add[PIXELS * OUT];
    static float y[PIXELS * OUT];
    struct sctd_rng rng = {3};
    draw(x, X_VALUES, &rng);
    draw(weight, (size_t)OUT * TAPS * IN, &rng);
    draw(bias, OUT, &rng);
    draw(add, Y_VALUES, &rng);
    const struct plain_conv_args a = {
        .x = {x, VALUE_F32, IN},
        .weight = weight,
        .finish = {.y = {y, VALUE_F32, OUT},
                   .add = {{add, VALUE_F32, OUT}, {add, VALUE_F32, OUT}},
                   .bias = bias,
                   .act = BODY_GELU},
        .h = H,
        .w = W,
        .kernel = 3,
    };
    for (size_t item = 0; item < (size_t)PIXELS * OUT / VALUE_LANES; item++) {
        plain_conv_body(&a, item);
    }
    for (size_t i = 0; i < (size_t)PIXELS * OUT; i++) {
        const double want = expect(x, weight, bias, i / OUT, i % OUT) + 2.0 * (double)add[i];
        assert(fabs((double)y[i] - want) < 2e-5);
    }
}

/* tanh would make 1 of infinity, and a saturated HU of an overflow. */
static void an_overflow_reaches_the_output(void)
{
    float x[8] = {0.0F};
    const float weight[8] = {1.0F, 1.0F};
    const float bias[1] = {0.0F};
    float y = 0.0F;
    const struct last_conv_args a = {.x = {x, VALUE_F32, 8},
                                     .y = &y,
                                     .weight = weight,
                                     .bias = bias,
                                     .h = 1,
                                     .w = 1,
                                     .kernel = 1,
                                     .act = BODY_TANH};
    x[0] = 100.0F;
    last_conv_body(&a, 0);
    assert(y == 1.0F);
    x[0] = INFINITY;
    last_conv_body(&a, 0);
    assert(isnan(y));
    x[0] = -INFINITY;
    last_conv_body(&a, 0);
    assert(isnan(y));
    x[0] = 3e38F;
    x[1] = 3e38F;
    last_conv_body(&a, 0);
    assert(isnan(y));
    x[0] = NAN;
    last_conv_body(&a, 0);
    assert(isnan(y));
}

static void a_pool_keeps_what_is_no_number(void)
{
    for (size_t at = 0; at < 4; at++) {
        float x[32] = {0.0F};
        float y[8] = {0.0F};
        const struct pool_args a = {.x = {x, VALUE_F32, 8}, .y = {y, VALUE_F32, 8}, .h = 1, .w = 1};
        x[at * 8 + 2] = NAN;
        x[at * 8 + 3] = 5.0F;
        pool_body(&a, 0);
        assert(isnan(y[2]) && y[3] == 5.0F && y[4] == 0.0F);
    }
}

static void must_split(size_t item, int32_t n)
{
    const struct body_split s = body_split_of(item, n);
    assert(s.low < (size_t)n && s.high * (size_t)n + s.low == item);
}

static void items_beyond_32_bits_are_split_too(void)
{
    static const size_t items[] = {0,          1,           6,           7,          4294967295U,
                                   4294967296, 4294967297U, 30064771071, 30064771079};
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        must_split(items[i], 1);
        must_split(items[i], 7);
        must_split(items[i], 256);
        must_split(items[i], INT32_MAX);
    }
}

static bool are_same(const float *a, const float *b, size_t n)
{
    size_t same = 0;
    while (same < n && value_bits(a[same]) == value_bits(b[same])) {
        same++;
    }
    return same == n;
}

static void eight_pairs_turn_as_one(void)
{
    enum { TOKENS = 5, PREFIX = 2, HEADS = 3, WIDTH = 32, STRIDE = 3 * HEADS * WIDTH };
    enum { VALUES = 2 * TOKENS * STRIDE, PAIRS = 2 * (TOKENS - PREFIX) * 2 * HEADS * WIDTH / 2 };
    static float one[VALUES];
    static float eight[VALUES];
    static float table[2 * (TOKENS - PREFIX) * WIDTH];
    struct sctd_rng rng = {4};
    draw(one, VALUES, &rng);
    draw(table, sizeof table / sizeof table[0], &rng);
    memcpy(eight, one, sizeof one);
    struct rope_args a = {.x = {one, VALUE_F32, STRIDE},
                          .table = table,
                          .prefix = PREFIX,
                          .tokens = TOKENS,
                          .heads = HEADS,
                          .width = WIDTH,
                          .lanes = 1};
    for (size_t item = 0; item < PAIRS; item++) {
        rope_body(&a, item);
    }
    a.x.data = eight;
    assert(!are_same(one, eight, VALUES));
    a.lanes = VALUE_LANES;
    for (size_t item = 0; item < PAIRS / VALUE_LANES; item++) {
        rope_body(&a, item);
    }
    assert(are_same(one, eight, VALUES));
}

static void eight_values_convert_as_one(void)
{
    static float x[X_VALUES];
    static uint16_t one[X_VALUES];
    static uint16_t eight[X_VALUES];
    struct sctd_rng rng = {5};
    draw(x, X_VALUES, &rng);
    struct convert_args a = {
        .x = {x, VALUE_F32, IN}, .y = {one, VALUE_BF16, IN}, .c = IN, .lanes = 1};
    for (size_t item = 0; item < X_VALUES; item++) {
        convert_body(&a, item);
    }
    a.y.data = eight;
    a.lanes = VALUE_LANES;
    for (size_t item = 0; item < X_VALUES / VALUE_LANES; item++) {
        convert_body(&a, item);
    }
    assert(one[1] != 0 && memcmp(one, eight, sizeof one) == 0);
}

int main(void)
{
    items_beyond_32_bits_are_split_too();
    eight_pairs_turn_as_one();
    eight_values_convert_as_one();
    the_slow_convolution_is_a_convolution();
    an_overflow_reaches_the_output();
    a_pool_keeps_what_is_no_number();
    return 0;
}
