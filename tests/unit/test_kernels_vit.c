/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the transformer, as test_kernels.c has the others. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/backend/cpu/kernels.h"

#include "tests/support/kernel_map.h"

/* Mean and standard deviation, with eps, of `width` values. */
static void moments_of(const float *in, size_t width, double ret[2])
{
    ret[0] = 0.0;
    double variance = 0.0;
    for (size_t i = 0; i < width; i++) {
        ret[0] += (double)in[i] / (double)width;
    }
    for (size_t i = 0; i < width; i++) {
        variance += pow((double)in[i] - ret[0], 2.0) / (double)width;
    }
    ret[1] = sqrt(variance + (double)1e-5F);
}

static void check_layer_norm(const struct kernels *k, enum format format, size_t width)
{
    enum { ROWS = 4 };
    float *in = draw(ROWS * width, 3.0F, width);
    float *weight = draw(width, 1.0F, 2);
    float *bias = draw(width, 1.0F, 3);
    struct map out = map_new(format, ROWS, width);
    for (size_t i = 0; i < width; i++) {
        in[width + i] += 100.0F; /* a mean far from zero */
    }
    const struct norm norm = {ROWS, width, in, weight, bias, 1e-5F, out.operand};
    k->layer_norm(&norm);
    for (size_t i = 0; i < ROWS * width; i++) {
        double moments[2];
        moments_of(in + i / width * width, width, moments);
        const double expected =
            ((double)in[i] - moments[0]) / moments[1] * (double)weight[i % width] +
            (double)bias[i % width];
        assert(
            near(map_get(&out, i / width, i % width), expected, rounding(format, expected) + 2e-5));
    }
    assert(map_is_clean_outside(&out, width));
    map_fini(&out);
    free(in);
    free(weight);
    free(bias);
}

static void layer_norm_normalises_each_row(const struct kernels *k)
{
    static const size_t widths[] = {1, 7, 16, 37, 64, 768};
    for (size_t n = 0; n < COUNT(widths) * FORMATS; n++) {
        check_layer_norm(k, (enum format)(n % FORMATS), widths[n / FORMATS]);
    }
}

/* cos and sin: two tables of unrelated numbers, so that one taken for the other shows. */
static void check_head_rows(const struct kernels *k, enum format format, size_t channels, bool turn)
{
    enum { ROWS = 7, PREFIX = 3 };
    const size_t stride = 3 * channels + 2;
    float *in = draw(ROWS * stride, 1.0F, 31);
    float *cos = draw(ROWS * channels, 1.0F, 32);
    float *sin = draw(ROWS * channels, 1.0F, 33);
    struct map out = map_new(format, ROWS, channels);
    const struct head_rows h = {.rows = ROWS,
                                .channels = channels,
                                .prefix = PREFIX,
                                .in = in,
                                .in_stride = stride,
                                .cos = turn ? cos : NULL,
                                .sin = turn ? sin : NULL,
                                .out = out.operand};
    k->head_rows(&h);
    for (size_t i = 0; i < ROWS * channels; i++) {
        const size_t row = i / channels;
        const size_t c = i % channels;
        const float *x = in + row * stride;
        double expected = (double)x[c];
        if (turn && row >= PREFIX) {
            const size_t at = (row - PREFIX) * channels + c;
            const bool first = c < channels / 2;
            const double other = first ? -(double)x[c + channels / 2] : (double)x[c - channels / 2];
            expected = expected * (double)cos[at] + other * (double)sin[at];
        }
        assert(near(map_get(&out, row, c), expected, rounding(format, expected) + 1e-6));
    }
    assert(map_is_clean_outside(&out, channels));
    map_fini(&out);
    free(in);
    free(cos);
    free(sin);
}

static void head_rows_turn_all_but_the_prefix(const struct kernels *k)
{
    static const size_t widths[] = {2, 8, 16, 30, 32, 64, 72};
    for (size_t i = 0; i < COUNT(widths); i++) {
        check_head_rows(k, FORMAT_F32, widths[i], true);
        check_head_rows(k, FORMAT_BF16, widths[i], true);
        check_head_rows(k, FORMAT_PAIR, widths[i], false);
        check_head_rows(k, FORMAT_F32, widths[i], false);
    }
}

/* The row's exponentials and their sum. */
static void check_softmax_row(const struct map *out, size_t row, const float *scores,
                              size_t columns, float scale, float sum)
{
    double largest = -infinite;
    double expected_sum = 0.0;
    for (size_t i = 0; i < columns; i++) {
        largest = fmax(largest, (double)scores[i]);
    }
    for (size_t i = 0; i < columns; i++) {
        const double expected = exp((double)scale * ((double)scores[i] - largest));
        expected_sum += expected;
        assert(
            near(map_get(out, row, i), expected, rounding(out->operand.format, expected) + 5e-7));
    }
    assert(near((double)sum, expected_sum, 1e-6 * expected_sum));
}

static void check_softmax(const struct kernels *k, enum format format, size_t columns, float offset)
{
    enum { ROWS = 3 };
    float *scores = draw(ROWS * columns, 40.0F, columns);
    float sums[ROWS];
    struct map out = map_new(format, ROWS, columns);
    for (size_t i = 0; i < ROWS * columns; i++) {
        scores[i] += offset;
    }
    const struct softmax s = {ROWS, columns, scores, 0.125F, out.operand, sums};
    k->softmax(&s);
    for (size_t row = 0; row < ROWS; row++) {
        check_softmax_row(&out, row, scores + row * columns, columns, 0.125F, sums[row]);
    }
    assert(map_is_clean_outside(&out, columns));
    map_fini(&out);
    free(scores);
}

static void check_divide_rows(const struct kernels *k, enum format format)
{
    enum { ROWS = 3, CHANNELS = 37 };
    const float by[ROWS] = {2.0F, 0.3F, 261.0F};
    float *in = draw((size_t)ROWS * CHANNELS, 1.0F, 6);
    struct map out = map_new(format, ROWS, CHANNELS);
    k->divide_rows(in, by, ROWS, CHANNELS, out.operand);
    for (size_t i = 0; i < (size_t)ROWS * CHANNELS; i++) {
        const double expected = (double)in[i] / (double)by[i / CHANNELS];
        const double allowed = rounding(format, expected) + 2e-7 * fabs(expected);
        assert(near(map_get(&out, i / CHANNELS, i % CHANNELS), expected, allowed));
    }
    assert(map_is_clean_outside(&out, CHANNELS));
    map_fini(&out);
    free(in);
}

static void rows_are_divided_each_by_its_own(const struct kernels *k)
{
    for (int f = 0; f < FORMATS; f++) {
        check_divide_rows(k, (enum format)f);
    }
}

static void softmax_is_that_of_the_definition(const struct kernels *k)
{
    static const size_t widths[] = {1, 5, 15, 16, 17, 32, 261};
    for (size_t i = 0; i < COUNT(widths) * FORMATS; i++) {
        check_softmax(k, (enum format)(i % FORMATS), widths[i / FORMATS], 0.0F);
        check_softmax(k, (enum format)(i % FORMATS), widths[i / FORMATS], -5000.0F);
    }
}

static void softmax_of_a_nan_is_nan_and_may_be_in_place(const struct kernels *k)
{
    float scores[2 * 20] = {0};
    float sums[2];
    scores[20 + 17] = NAN;
    const struct softmax s = {
        2, 20, scores, 1.0F, {.data = scores, .format = FORMAT_F32, .stride = 20}, sums};
    k->softmax(&s);
    assert(scores[3] == 1.0F && sums[0] == 20.0F);
    assert(isnan(scores[20 + 17]) && isnan(sums[1]));
}

static void check_swiglu(const struct kernels *k, enum format format, size_t channels)
{
    enum { ROWS = 2 };
    float *gate = draw(ROWS * channels, 3.0F, 71);
    float *value = draw(ROWS * channels, 1.0F, 72);
    struct map out = map_new(format, ROWS, channels);
    k->swiglu(gate, value, ROWS, channels, out.operand);
    for (size_t i = 0; i < ROWS * channels; i++) {
        const double g = (double)gate[i];
        const double expected = g / (1.0 + exp(-g)) * (double)value[i];
        assert(near(map_get(&out, i / channels, i % channels), expected,
                    rounding(format, expected) + 3e-6));
    }
    assert(map_is_clean_outside(&out, channels));
    map_fini(&out);
    free(gate);
    free(value);
}

static void swiglu_gates_by_silu(const struct kernels *k)
{
    static const size_t widths[] = {1, 15, 16, 33, 64};
    for (size_t n = 0; n < COUNT(widths) * FORMATS; n++) {
        check_swiglu(k, (enum format)(n % FORMATS), widths[n / FORMATS]);
    }
}

int main(void)
{
    for (size_t i = 0; kernels_get_at(i) != NULL; i++) {
        const struct kernels *k = kernels_get_at(i);
        (void)fprintf(stderr, "%s\n", k->name);
        layer_norm_normalises_each_row(k);
        head_rows_turn_all_but_the_prefix(k);
        softmax_is_that_of_the_definition(k);
        rows_are_divided_each_by_its_own(k);
        softmax_of_a_nan_is_nan_and_may_be_in_place(k);
        swiglu_gates_by_silu(k);
    }
    return 0;
}
