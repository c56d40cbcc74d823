/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of every instruction set that this machine runs, against plain loops in double. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/kernels.h"

#include "tests/support/kernel_map.h"

static const size_t channel_counts[] = {1, 3, 15, 16, 17, 31, 33, 48, 64, 70};

static double exact_act(enum graph_act act, double x)
{
    switch (act) {
    case GRAPH_ACT_GELU:
        return 0.5 * x * erfc(-x / sqrt(2.0));
    case GRAPH_ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case GRAPH_ACT_TANH:
        return tanh(x);
    case GRAPH_ACT_NONE:
        break;
    }
    return x;
}

static void run_act(const struct kernels *k, enum graph_act act, const float *in, float *out,
                    size_t n)
{
    const struct epilogue e = {.pixels = 1,
                               .channels = n,
                               .acc = in,
                               .acc_stride = n,
                               .act = act,
                               .out = {.data = out, .format = FORMAT_F32, .stride = n}};
    k->epilogue(&e);
}

/* Tests */

/* n values from -range to range through an activation; returns the largest error beyond a rounding. */
static double worst_of_act(const struct kernels *k, enum graph_act act, double range, size_t n)
{
    float *in = calloc(n, sizeof *in);
    float *out = malloc(n * sizeof *out);
    assert(in != NULL && out != NULL);
    for (size_t i = 0; i < n; i++) {
        in[i] = (float)(range * (2.0 * (double)i / (double)(n - 1) - 1.0));
    }
    run_act(k, act, in, out, n);
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double expected = exact_act(act, (double)in[i]);
        worst = fmax(worst, fabs((double)out[i] - expected) - fabs(expected) * 0x1p-24);
    }
    free(in);
    free(out);
    return worst;
}

static void activations_are_exact_to_a_ten_millionth(const struct kernels *k)
{
    assert(worst_of_act(k, GRAPH_ACT_GELU, 8.0, 400001) <= 6.5e-8);
    assert(worst_of_act(k, GRAPH_ACT_GELU, 1000.0, 20001) <= 6.5e-8);
    assert(worst_of_act(k, GRAPH_ACT_SIGMOID, 20.0, 200001) <= 1e-7);
    assert(worst_of_act(k, GRAPH_ACT_SIGMOID, 1000.0, 20001) <= 1e-7);
    assert(worst_of_act(k, GRAPH_ACT_TANH, 10.0, 200001) <= 2e-7);
    assert(worst_of_act(k, GRAPH_ACT_TANH, 1000.0, 20001) <= 2e-7);
}

static void activations_keep_nan_and_know_infinity(const struct kernels *k)
{
    const float in[] = {NAN, INFINITY, -INFINITY, 0.0F, -0.0F, 3.4e38F, -3.4e38F, 1e-40F};
    static const enum graph_act acts[] = {GRAPH_ACT_GELU, GRAPH_ACT_SIGMOID, GRAPH_ACT_TANH};
    const double at_infinity[][2] = {{infinite, 0.0}, {1.0, 0.0}, {1.0, -1.0}};
    float out[COUNT(in)];
    for (size_t a = 0; a < COUNT(acts); a++) {
        run_act(k, acts[a], in, out, COUNT(in));
        assert(isnan(out[0]));
        assert((double)out[1] == at_infinity[a][0] ||
               near((double)out[1], at_infinity[a][0], 1e-7));
        assert(near((double)out[2], at_infinity[a][1], 1e-8));
        assert(near((double)out[3], exact_act(acts[a], 0.0), 1e-10));
        assert(near((double)out[4], exact_act(acts[a], 0.0), 1e-10));
        assert(near((double)out[6], at_infinity[a][1], 1e-8));
        assert(near((double)out[7], exact_act(acts[a], 0.0), 1e-10));
    }
}

/* Every upper half with lower halves around the ties. */
static void bf16_is_rounded_to_nearest_even_bit_for_bit(const struct kernels *k)
{
    static const uint32_t low[] = {0x0000, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff};
    float in[64 * COUNT(low)];
    uint16_t out[64 * COUNT(low)];
    const struct epilogue e = {.pixels = 1,
                               .channels = COUNT(in),
                               .acc = in,
                               .acc_stride = COUNT(in),
                               .act = GRAPH_ACT_NONE,
                               .out = {.data = out, .format = FORMAT_BF16, .stride = COUNT(in)}};
    for (uint32_t high = 0; high < 0x10000U; high += 64) {
        bool all = true;
        for (size_t i = 0; i < COUNT(in); i++) {
            in[i] = from_bits((high + (uint32_t)(i / COUNT(low))) << 16 | low[i % COUNT(low)]);
        }
        k->epilogue(&e);
        for (size_t i = 0; i < COUNT(in); i++) {
            all = all && out[i] == round_to_bf16(in[i]);
        }
        assert(all);
    }
}

/* One epilogue with everything in it. */
struct epilogue_case {
    enum graph_act act;
    enum format format, add[2];
    int adds;
    size_t channels;
    bool bias;
};

static void check_epilogue(const struct kernels *k, const struct epilogue_case *c)
{
    enum { PIXELS = 3 };
    const size_t stride = c->channels + 5;
    float *acc = draw(PIXELS * stride, 2.0F, c->channels);
    float *bias = draw(c->channels, 1.0F, 99);
    struct map out = map_new(c->format, PIXELS, c->channels);
    struct map add[2] = {map_new(c->add[0], PIXELS, c->channels),
                         map_new(c->add[1], PIXELS, c->channels)};
    map_fill(&add[0], c->channels, 7);
    map_fill(&add[1], c->channels, 8);
    struct epilogue e = {.pixels = PIXELS,
                         .channels = c->channels,
                         .acc = acc,
                         .acc_stride = stride,
                         .bias = c->bias ? bias : NULL,
                         .act = c->act,
                         .out = out.operand};
    for (int i = 0; i < c->adds; i++) {
        e.add[i] = add[i].operand;
    }
    k->epilogue(&e);
    for (size_t i = 0; i < PIXELS * c->channels; i++) {
        const size_t p = i / c->channels;
        const size_t channel = i % c->channels;
        const double b = c->bias ? (double)bias[channel] : 0.0;
        double expected = exact_act(c->act, (double)acc[p * stride + channel] + b);
        for (int a = 0; a < c->adds; a++) {
            expected += map_get(&add[a], p, channel);
        }
        assert(near(map_get(&out, p, channel), expected, rounding(c->format, expected) + 1e-6));
    }
    assert(map_is_clean_outside(&out, c->channels));
    map_fini(&out);
    map_fini(&add[0]);
    map_fini(&add[1]);
    free(acc);
    free(bias);
}

static void epilogue_adds_bias_act_and_maps_in_every_format(const struct kernels *k)
{
    static const enum graph_act acts[] = {GRAPH_ACT_NONE, GRAPH_ACT_GELU, GRAPH_ACT_SIGMOID,
                                          GRAPH_ACT_TANH};
    const int cases = 2 * 4 * 3 * FORMATS;
    for (size_t n = 0; n < COUNT(channel_counts); n++) {
        for (int i = 0; i < cases; i++) {
            const struct epilogue_case c = {
                .act = acts[i / 2 % 4],
                .format = (enum format)(i / 24),
                .add = {(enum format)((i + (int)n) % FORMATS), (enum format)((i / 5) % FORMATS)},
                .adds = i / 8 % 3,
                .channels = channel_counts[n],
                .bias = i % 2 == 1};
            check_epilogue(k, &c);
        }
    }
}

static void split_holds_the_hi_parts_twice(const struct kernels *k)
{
    enum { CHANNELS = 37 };
    float *acc = draw(CHANNELS, 1.0F, 5);
    struct map out = map_new(FORMAT_SPLIT, 1, CHANNELS);
    const struct epilogue e = {
        .pixels = 1, .channels = CHANNELS, .acc = acc, .acc_stride = CHANNELS, .out = out.operand};
    k->epilogue(&e);
    const uint16_t *h = out.operand.data;
    for (size_t c = 0; c < CHANNELS; c++) {
        const uint16_t hi = round_to_bf16(acc[c]);
        assert(h[c] == hi && h[2 * out.operand.plane + c] == hi);
        assert(h[out.operand.plane + c] == round_to_bf16(acc[c] - (float)from_bf16(hi)));
    }
    map_fini(&out);
    free(acc);
}

static void check_load(const struct kernels *k, enum format format, size_t channels)
{
    enum { PIXELS = 2, MOST = 70 };
    float out[PIXELS * MOST + 1];
    struct map in = map_new(format, PIXELS, channels);
    map_fill(&in, channels, 11);
    out[PIXELS * channels] = 5.0F;
    k->load(&in.operand, PIXELS, channels, out);
    for (size_t i = 0; i < PIXELS * channels; i++) {
        assert((double)out[i] == map_get(&in, i / channels, i % channels));
    }
    assert(out[PIXELS * channels] == 5.0F);
    map_fini(&in);
}

static void load_reads_every_format(const struct kernels *k)
{
    for (size_t n = 0; n < COUNT(channel_counts) * FORMATS; n++) {
        check_load(k, (enum format)(n % FORMATS), channel_counts[n / FORMATS]);
    }
}

static void check_add_scaled(const struct kernels *k, size_t size)
{
    float *acc = draw(size + 1, 1.0F, 1);
    float *before = draw(size + 1, 1.0F, 1);
    float *x = draw(size, 1.0F, 2);
    k->add_scaled(acc, x, 0.3F, size);
    for (size_t i = 0; i < size; i++) {
        const double expected = (double)before[i] + (double)0.3F * (double)x[i];
        assert(near((double)acc[i], expected, 2e-7 * (1.0 + fabs(expected))));
    }
    assert(acc[size] == before[size]);
    free(acc);
    free(before);
    free(x);
}

static void add_scaled_is_a_multiply_and_add(const struct kernels *k)
{
    for (size_t n = 0; n < COUNT(channel_counts); n++) {
        check_add_scaled(k, channel_counts[n]);
    }
}

/* The value of tap (ky, kx), upsampled by the definition (half-pixel centres, edges repeated), at
 * column x; zero outside. */
static double upsampled(const struct expand_rows *e, size_t row, int32_t x, size_t tap, size_t c)
{
    if (x < 0 || x >= e->low_w * e->factor) {
        return 0.0;
    }
    const double at = fmax((x + 0.5) / e->factor - 0.5, 0.0);
    const size_t first = (size_t)at;
    const size_t last = (size_t)e->low_w - 1;
    const size_t second = first < last ? first + 1 : last;
    const float *base = e->taps + (row * (size_t)e->low_w * 9 + tap) * e->channels + c;
    const double a = (double)base[first * 9 * e->channels];
    const double b = (double)base[second * 9 * e->channels];
    return a + (b - a) * (at - (double)first);
}

static void check_expand_rows(const struct kernels *k, int32_t low_w, int32_t factor,
                              size_t channels)
{
    enum { ROWS = 2 };
    const size_t width = (size_t)low_w * (size_t)factor;
    const size_t size = (size_t)ROWS * 3 * width * channels;
    float *taps = draw((size_t)ROWS * (size_t)low_w * 9 * channels, 1.0F, 3);
    float *out = draw(size + 1, 1.0F, 4);
    const float guard = out[size];
    const struct expand_rows e = {.taps = taps,
                                  .channels = channels,
                                  .rows = ROWS,
                                  .low_w = low_w,
                                  .factor = factor,
                                  .out = out};
    k->expand_rows(&e);
    for (size_t i = 0; i < size; i++) {
        const size_t row = i / channels / width;
        const int32_t x = (int32_t)(i / channels % width);
        double expected = 0.0;
        for (int32_t kx = 0; kx < 3; kx++) {
            expected += upsampled(&e, row / 3, x + kx - 1, row % 3 * 3 + (size_t)kx, i % channels);
        }
        assert(near((double)out[i], expected, 2e-6));
    }
    assert(out[size] == guard);
    free(taps);
    free(out);
}

static void expanded_rows_are_those_of_the_definition(const struct kernels *k)
{
    static const int32_t sizes[][2] = {{1, 2}, {1, 16}, {2, 3}, {3, 2}, {5, 8}, {16, 4}, {9, 1}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_expand_rows(k, sizes[i][0], sizes[i][1], 16);
        check_expand_rows(k, sizes[i][0], sizes[i][1], 35);
    }
}

/* acc_stride greater than channels; more pixels than are made at a time. */
static void check_expand_column(const struct kernels *k, int32_t n, size_t channels, size_t stride)
{
    enum { PIXELS = 300 };
    const size_t size = PIXELS * stride;
    float *values = draw(6 * size, 1.0F, 21);
    float *scratch = draw(size, 1.0F, 22);
    float *bias = draw(channels, 1.0F, 23);
    struct map out = map_new(FORMAT_PAIR, PIXELS, channels);
    struct map add = map_new(FORMAT_BF16, PIXELS, channels);
    map_fill(&add, channels, 24);
    struct taps taps = {.n = n};
    for (int32_t i = 0; i < n; i++) {
        taps.at[i] = values + (size_t)i * size;
        taps.weight[i] = 0.25F * (float)(i + 1);
    }
    const struct epilogue to = {.pixels = PIXELS,
                                .channels = channels,
                                .acc_stride = stride,
                                .bias = bias,
                                .act = GRAPH_ACT_GELU,
                                .add = {{.data = NULL}, add.operand},
                                .out = out.operand};
    k->expand_column(&taps, scratch, &to);
    for (size_t j = 0; j < PIXELS * channels; j++) {
        const size_t p = j / channels;
        const size_t c = j % channels;
        double x = (double)bias[c];
        for (int32_t i = 0; i < n; i++) {
            x += (double)taps.weight[i] * (double)taps.at[i][p * stride + c];
        }
        const double expected = exact_act(GRAPH_ACT_GELU, x) + map_get(&add, p, c);
        assert(near(map_get(&out, p, c), expected, rounding(FORMAT_PAIR, expected) + 2e-6));
    }
    assert(map_is_clean_outside(&out, channels));
    map_fini(&out);
    map_fini(&add);
    free(values);
    free(scratch);
    free(bias);
}

static void expanded_columns_go_through_the_epilogue(const struct kernels *k)
{
    check_expand_column(k, 6, 32, 32);
    check_expand_column(k, 4, 21, 32);
    check_expand_column(k, 1, 5, 5);
    check_expand_column(k, 6, 17, 17);
}

struct conv_sizes {
    int32_t h, w;
    size_t channels;
};

/* in: [h, w, inputs]; zero outside. */
static double pixel_of(const float *in, const struct conv_sizes *z, int32_t y, int32_t x, size_t c,
                       size_t inputs)
{
    const bool inside = y >= 0 && y < z->h && x >= 0 && x < z->w;
    return inside ? (double)in[((size_t)y * (size_t)z->w + (size_t)x) * inputs + c] : 0.0;
}

static void check_conv_from_one(const struct kernels *k, const struct conv_sizes *z)
{
    float *in = draw((size_t)z->h * (size_t)z->w, 1.0F, 41);
    float *weight = draw(9 * z->channels, 1.0F, 42);
    const int32_t row0 = z->h > 2 ? 1 : 0;
    const size_t size = (size_t)(z->h - row0) * (size_t)z->w * z->channels;
    float *out = draw(size + 1, 1.0F, 43);
    const float guard = out[size];
    const struct small_conv c = {.h = z->h,
                                 .w = z->w,
                                 .channels = (int32_t)z->channels,
                                 .row0 = row0,
                                 .row1 = z->h,
                                 .in = in,
                                 .weight = weight,
                                 .out = out};
    k->conv_from_one(&c);
    for (size_t i = 0; i < size; i++) {
        const int32_t pixel = (int32_t)(i / z->channels);
        double expected = 0.0;
        for (int32_t t = 0; t < 9; t++) {
            const double x =
                pixel_of(in, z, row0 + pixel / z->w + t / 3 - 1, pixel % z->w + t % 3 - 1, 0, 1);
            expected += x * (double)weight[(size_t)t * z->channels + i % z->channels];
        }
        assert(near((double)out[i], expected, 4e-6));
    }
    assert(out[size] == guard);
    free(in);
    free(weight);
    free(out);
}

static void check_conv_to_one(const struct kernels *k, const struct conv_sizes *z)
{
    float *in = draw((size_t)z->h * (size_t)z->w * z->channels, 1.0F, 51);
    float *weight = draw(9 * z->channels, 1.0F, 52);
    const size_t size = (size_t)z->h * (size_t)z->w;
    float *out = draw(size + 1, 1.0F, 53);
    const float guard = out[size];
    const struct small_conv c = {.h = z->h,
                                 .w = z->w,
                                 .channels = (int32_t)z->channels,
                                 .row1 = z->h,
                                 .in = in,
                                 .weight = weight,
                                 .out = out,
                                 .bias = 0.5F};
    k->conv_to_one(&c);
    for (size_t i = 0; i < size; i++) {
        double expected = 0.5;
        for (size_t t = 0; t < 9 * z->channels; t++) {
            const int32_t tap = (int32_t)(t / z->channels);
            const double x =
                pixel_of(in, z, (int32_t)i / z->w + tap / 3 - 1, (int32_t)i % z->w + tap % 3 - 1,
                         t % z->channels, z->channels);
            expected += x * (double)weight[t];
        }
        assert(near((double)out[i], expected, 2e-5));
    }
    assert(out[size] == guard);
    free(in);
    free(weight);
    free(out);
}

static void small_convolutions_pad_with_zeros(const struct kernels *k)
{
    static const struct conv_sizes sizes[] = {{1, 1, 1},  {1, 5, 16}, {3, 4, 17}, {4, 6, 32},
                                              {5, 7, 33}, {6, 16, 8}, {2, 13, 64}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_conv_from_one(k, &sizes[i]);
        check_conv_to_one(k, &sizes[i]);
    }
}

static void check_max_pool(const struct kernels *k, enum format from, enum format to,
                           size_t channels)
{
    enum { COLUMNS = 5 };
    struct map in = map_new(from, (size_t)4 * COLUMNS, channels);
    struct map out = map_new(to, COLUMNS, channels);
    map_fill(&in, channels, 61);
    const struct operand second = operand_at(in.operand, (size_t)2 * COLUMNS, 0);
    k->max_pool(&in.operand, &second, out.operand, COLUMNS, channels);
    for (size_t i = 0; i < COLUMNS * channels; i++) {
        const size_t x = i / channels;
        double expected = -infinite;
        for (size_t j = 0; j < 4; j++) {
            expected = fmax(
                expected, map_get(&in, j / 2 * (size_t)2 * COLUMNS + 2 * x + j % 2, i % channels));
        }
        assert(near(map_get(&out, x, i % channels), expected, rounding(to, expected)));
    }
    assert(map_is_clean_outside(&out, channels));
    map_fini(&in);
    map_fini(&out);
}

static void max_pool_takes_the_largest_of_four(const struct kernels *k)
{
    for (size_t n = 0; n < COUNT(channel_counts); n++) {
        for (int f = 0; f < FORMATS * FORMATS; f++) {
            check_max_pool(k, (enum format)(f / FORMATS), (enum format)(f % FORMATS),
                           channel_counts[n]);
        }
    }
}

static void best_kernels_come_first_and_all_have_names(void)
{
    size_t n = 0;
    assert(kernels_get() == kernels_get_at(0));
    while (kernels_get_at(n) != NULL) {
        assert(kernels_get_at(n)->name[0] != '\0');
        n++;
    }
    assert(n >= 1 && strcmp(kernels_get_at(n - 1)->name, "generic") == 0);
}

int main(void)
{
    best_kernels_come_first_and_all_have_names();
    for (size_t i = 0; kernels_get_at(i) != NULL; i++) {
        const struct kernels *k = kernels_get_at(i);
        (void)fprintf(stderr, "%s\n", k->name);
        activations_are_exact_to_a_ten_millionth(k);
        activations_keep_nan_and_know_infinity(k);
        bf16_is_rounded_to_nearest_even_bit_for_bit(k);
        epilogue_adds_bias_act_and_maps_in_every_format(k);
        split_holds_the_hi_parts_twice(k);
        load_reads_every_format(k);
        add_scaled_is_a_multiply_and_add(k);
        expanded_rows_are_those_of_the_definition(k);
        expanded_columns_go_through_the_epilogue(k);
        small_convolutions_pad_with_zeros(k);
        max_pool_takes_the_largest_of_four(k);
    }
    return 0;
}
