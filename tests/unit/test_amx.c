/* SPDX-License-Identifier: Apache-2.0 */
/* Products on AMX tiles against plain loops in double over the operands as they are stored. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/bf16_kernel.h"
#include "engine/base/error.h"

#include "tests/support/kernel_map.h"

/* A 3x3 convolution of rows row0 ... row1 - 1 of a map, or (taps 1) a product of its pixels. */
struct shape {
    int32_t h, w, row0, row1;
    int32_t inputs, outputs, taps;
};

struct way {
    enum graph_act act;
    enum format out;
    int adds; /* operands added */
    bool exact, bias;
};

/* A shape's operands. */
struct sample {
    const struct shape *shape;
    bool exact;
    struct map in;
    float *weight; /* [outputs][inputs][taps] */
    uint16_t *hi;  /* the same, scaled and rounded */
    double *scale; /* [outputs] */
    struct amx_weights *packed;
    int32_t *offset;
    uint16_t *strip;
    struct amx_tile *tile;
    size_t n_tiles;
    struct amx_product product; /* but for what becomes of the sums */
};

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert(p != NULL);
    memset(p, 0x55, (bytes + 63) / 64 * 64);
    return p;
}

/* The nine weights of a 3x3 kernel are rounded together unless the rest of each is kept. */
static void round_weights(struct sample *s)
{
    const struct shape *z = s->shape;
    const size_t taps = (size_t)z->taps;
    const size_t kernels = (size_t)z->outputs * (size_t)z->inputs;
    assert(kernels > 0 && (taps == 1 || taps == BF16_KERNEL));
    s->hi = calloc(kernels * taps, sizeof *s->hi);
    assert(s->hi != NULL);
    for (size_t k = 0; k < kernels; k++) {
        float w[BF16_KERNEL];
        for (size_t t = 0; t < taps; t++) {
            w[t] = (float)((double)s->weight[k * taps + t] * s->scale[k / (size_t)z->inputs]);
            s->hi[k * taps + t] = round_to_bf16(w[t]);
        }
        if (taps == BF16_KERNEL && !s->exact) {
            bf16_kernel_round(s->hi + k * taps, w);
        }
    }
}

static void pack(struct sample *s)
{
    const struct shape *z = s->shape;
    const size_t row = (size_t)z->inputs * (size_t)z->taps;
    struct sctd_error err = {0};
    s->weight = draw((size_t)z->outputs * row, 1.0F, 11);
    s->scale = calloc((size_t)z->outputs, sizeof *s->scale);
    assert(s->scale != NULL);
    for (size_t i = 0; i < (size_t)z->outputs; i++) {
        s->scale[i] = 0.5 + (double)i / 7.0;
    }
    round_weights(s);
    const struct amx_plain plain = {.values = s->weight,
                                    .scale = s->scale,
                                    .columns = z->outputs,
                                    .inputs = z->inputs,
                                    .taps = z->taps,
                                    .groups = 1,
                                    .column_stride = row,
                                    .input_stride = (size_t)z->taps,
                                    .tap_stride = 1,
                                    .exact = s->exact};
    assert(amx_weights_new(&s->packed, &plain, &err) == 0);
    assert(amx_get_steps(s->packed) == (z->inputs + 31) / 32 * z->taps);
    assert(amx_get_blocks(s->packed) == (z->outputs + 31) / 32);
}

static void cut(struct sample *s, int32_t rows)
{
    const struct shape *z = s->shape;
    const size_t pitch = amx_strip_pitch(z->w);
    const size_t w = (size_t)z->w;
    const size_t border = z->taps == 9 ? 0 : 1;
    s->tile = calloc((size_t)rows * pitch, sizeof *s->tile);
    assert(s->tile != NULL);
    for (size_t i = 0; i < (size_t)(z->row1 - z->row0) * w; i += s->tile[s->n_tiles++].rows) {
        const size_t left = w - i % w;
        s->tile[s->n_tiles] =
            (struct amx_tile){.at = s->strip + (i / w * pitch + i % w + border) * AMX_DEPTH,
                              .pixel = i,
                              .rows = left < AMX_ROWS ? left : AMX_ROWS};
    }
}

static void sample_init(struct sample *s, const struct shape *z, bool exact)
{
    *s = (struct sample){.shape = z, .exact = exact};
    const int32_t border = z->taps == 9 ? 1 : 0;
    const struct amx_strip strip = {.h = z->h,
                                    .w = z->w,
                                    .channels = z->inputs,
                                    .row0 = z->row0 - border,
                                    .row1 = z->row1 + border,
                                    .exact = exact};
    const int32_t rows = strip.row1 - strip.row0;
    s->in =
        map_new(exact ? FORMAT_PAIR : FORMAT_BF16, (size_t)z->h * (size_t)z->w, (size_t)z->inputs);
    memset(s->in.bytes, 0xff, s->in.size); /* between pixels are no numbers */
    map_fill(&s->in, (size_t)z->inputs, 5);
    pack(s);
    const size_t values = amx_strip_values(&strip);
    s->strip = aligned((values + (size_t)AMX_ROWS * AMX_DEPTH) * sizeof *s->strip);
    amx_fill_strip(&strip, &s->in.operand, s->strip);
    for (size_t i = 0; i < (size_t)AMX_ROWS * AMX_DEPTH; i++) {
        assert(s->strip[values + i] == 0x5555);
    }
    cut(s, rows);
    const int32_t steps = amx_get_steps(s->packed);
    s->offset = calloc((size_t)steps, sizeof *s->offset);
    assert(s->offset != NULL);
    for (int32_t i = 0; i < steps; i++) {
        const int32_t tap = i % z->taps;
        const int32_t pixel =
            (i / z->taps * rows + tap / 3) * (int32_t)amx_strip_pitch(z->w) + tap % 3;
        s->offset[i] = pixel * AMX_DEPTH;
    }
    s->product = (struct amx_product){.weights = s->packed,
                                      .tile = s->tile,
                                      .n_tiles = s->n_tiles,
                                      .offset = s->offset,
                                      .stride = AMX_DEPTH,
                                      .lo = values / 2,
                                      .block1 = amx_get_blocks(s->packed),
                                      .step1 = steps,
                                      .kernels = kernels_get()};
}

static void sample_fini(struct sample *s)
{
    map_fini(&s->in);
    free(s->weight);
    free(s->hi);
    free(s->scale);
    amx_weights_free(s->packed);
    free(s->offset);
    free(s->strip);
    free(s->tile);
}

/* What the product sees of a weight. */
static double weight_of(const struct sample *s, size_t c, size_t i, size_t tap)
{
    const struct shape *z = s->shape;
    const size_t at = (c * (size_t)z->inputs + i) * (size_t)z->taps + tap;
    const float w = (float)((double)s->weight[at] * s->scale[c]);
    const double hi = from_bf16(s->hi[at]);
    return s->exact ? hi + from_bf16(round_to_bf16((float)((double)w - hi))) : hi;
}

/* The sum at pixel (y, x), channel c, and the sum of its terms' sizes. */
static double expected_sum(const struct sample *s, int32_t y, int32_t x, size_t c, double *ret_size)
{
    const struct shape *z = s->shape;
    double sum = 0.0;
    *ret_size = 0.0;
    for (int32_t tap = 0; tap < z->taps; tap++) {
        const int32_t yy = z->taps == 9 ? y + tap / 3 - 1 : y;
        const int32_t xx = z->taps == 9 ? x + tap % 3 - 1 : x;
        if (yy < 0 || yy >= z->h || xx < 0 || xx >= z->w) {
            continue;
        }
        for (size_t i = 0; i < (size_t)z->inputs; i++) {
            const double a = map_get(&s->in, (size_t)yy * (size_t)z->w + (size_t)xx, i);
            const double term = a * weight_of(s, c, i, (size_t)tap);
            sum += term;
            *ret_size += fabs(term);
        }
    }
    return sum;
}

/* Sums are f32, in any order; a pair's product leaves lo lo out, 2^-16 of a term at most and less than
 * 2^-18 in the root mean square. */
static double allowed_error(const struct sample *s, double size)
{
    return size * (s->exact ? 0x1p-17 : 0x1p-19);
}

static double activation(enum graph_act act, double x)
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

static void check_epilogue(struct sample *s, const struct way *way)
{
    const struct shape *z = s->shape;
    const size_t pixels = (size_t)(z->row1 - z->row0) * (size_t)z->w;
    const size_t outputs = (size_t)z->outputs;
    static const enum format added[2] = {FORMAT_PAIR, FORMAT_F32};
    struct map out = map_new(way->out, pixels, outputs);
    struct map add[2];
    float *bias = draw(outputs, 1.0F, 3);
    struct amx_product p = s->product;
    p.to = (struct epilogue){.bias = way->bias ? bias : NULL, .act = way->act, .out = out.operand};
    for (int i = 0; i < 2; i++) {
        add[i] = map_new(added[i], pixels, outputs);
        map_fill(&add[i], outputs, 20 + (uint64_t)i);
        if (i < way->adds) {
            p.to.add[i] = add[i].operand;
        }
    }
    amx_run(&p);
    for (size_t i = 0; i < pixels * outputs; i++) {
        const size_t pixel = i / outputs;
        const size_t c = i % outputs;
        const int32_t y = z->row0 + (int32_t)(pixel / (size_t)z->w);
        double size = 0.0;
        double sum = expected_sum(s, y, (int32_t)(pixel % (size_t)z->w), c, &size);
        sum += way->bias ? (double)bias[c] : 0.0;
        double expected = activation(way->act, sum);
        for (int a = 0; a < way->adds; a++) {
            expected += map_get(&add[a], pixel, c);
        }
        /* No activation is steeper than 1.13. */
        const double allowed = 1.13 * allowed_error(s, size) + 1e-6 * (1.0 + fabs(expected)) +
                               rounding(way->out, expected);
        assert(near(map_get(&out, pixel, c), expected, allowed));
    }
    assert(map_is_clean_outside(&out, outputs));
    map_fini(&out);
    map_fini(&add[0]);
    map_fini(&add[1]);
    free(bias);
}

static const struct shape shapes[] = {
    {1, 1, 0, 1, 1, 1, 9},     {3, 5, 0, 3, 3, 2, 9},     {4, 17, 0, 4, 33, 32, 9},
    {5, 16, 1, 4, 64, 64, 9},  {6, 40, 2, 6, 31, 35, 9},  {2, 33, 0, 1, 32, 96, 9},
    {3, 15, 2, 3, 65, 33, 9},  {1, 1, 0, 1, 7, 3, 1},     {1, 21, 0, 1, 96, 64, 1},
    {1, 261, 0, 1, 40, 32, 1}, {1, 64, 0, 1, 256, 48, 1}, {2, 18, 0, 2, 1100, 64, 1},
};

static const struct way ways[] = {
    {GRAPH_ACT_NONE, FORMAT_F32, 0, false, true},   {GRAPH_ACT_NONE, FORMAT_BF16, 1, false, false},
    {GRAPH_ACT_NONE, FORMAT_PAIR, 2, false, true},  {GRAPH_ACT_NONE, FORMAT_SPLIT, 0, false, true},
    {GRAPH_ACT_GELU, FORMAT_BF16, 0, false, true},  {GRAPH_ACT_GELU, FORMAT_F32, 0, false, false},
    {GRAPH_ACT_GELU, FORMAT_PAIR, 1, false, true},  {GRAPH_ACT_SIGMOID, FORMAT_F32, 0, false, true},
    {GRAPH_ACT_NONE, FORMAT_F32, 2, true, true},    {GRAPH_ACT_NONE, FORMAT_BF16, 0, true, true},
    {GRAPH_ACT_NONE, FORMAT_PAIR, 1, true, true},   {GRAPH_ACT_GELU, FORMAT_F32, 1, true, true},
    {GRAPH_ACT_GELU, FORMAT_BF16, 0, true, false},  {GRAPH_ACT_GELU, FORMAT_PAIR, 0, true, true},
    {GRAPH_ACT_TANH, FORMAT_SPLIT, 2, true, false},
};

static void check_shape(const struct shape *shape, bool exact)
{
    struct sample s;
    sample_init(&s, shape, exact);
    for (size_t k = 0; k < COUNT(ways); k++) {
        if (ways[k].exact == exact) {
            check_epilogue(&s, &ways[k]);
        }
    }
    sample_fini(&s);
}

static void products_with_their_epilogues_are_those_of_plain_loops(void)
{
    for (size_t i = 0; i < COUNT(shapes); i++) {
        check_shape(&shapes[i], false);
        check_shape(&shapes[i], true);
    }
}

enum { BLOCK0 = 2, BLOCKS = 2, STRIDE = BLOCKS * AMX_COLUMNS + 16, PIXELS = 64 };

static bool is_sum(const struct sample *s, size_t pixel, size_t column, float sum)
{
    if (column >= (size_t)BLOCKS * AMX_COLUMNS) {
        return to_bits(sum) == 0x55555555U;
    }
    const int32_t w = s->shape->w;
    const int32_t y = s->shape->row0 + (int32_t)pixel / w;
    double size = 0.0;
    const double expected =
        expected_sum(s, y, (int32_t)pixel % w, column + (size_t)BLOCK0 * AMX_COLUMNS, &size);
    return near((double)sum, expected, allowed_error(s, size));
}

/* Only the blocks asked for, sixteen rows of each tile. */
static void check_sums(bool exact)
{
    static const struct shape shape = {4, 32, 1, 3, 40, 130, 9};
    struct sample s;
    sample_init(&s, &shape, exact);
    float *sums = aligned((size_t)PIXELS * STRIDE * sizeof *sums);
    s.product.sums = sums;
    s.product.sums_stride = STRIDE;
    s.product.block0 = BLOCK0;
    s.product.block1 = BLOCK0 + BLOCKS;
    amx_run(&s.product);
    for (size_t i = 0; i < (size_t)PIXELS * STRIDE; i++) {
        assert(is_sum(&s, i / STRIDE, i % STRIDE, sums[i]));
    }
    free(sums);
    sample_fini(&s);
}

static void sums_of_some_blocks_are_left_as_they_are(void)
{
    check_sums(false);
    check_sums(true);
}

/* The same in two parts, the second from the first one's sums on, with an epilogue. */
static void a_sum_in_parts_is_the_sum(void)
{
    static const struct shape shape = {1, 37, 0, 1, 200, 96, 1};
    struct sample s;
    sample_init(&s, &shape, true);
    float *sums = aligned((size_t)48 * 64 * sizeof *sums);
    struct map out[2] = {map_new(FORMAT_F32, 37, 96), map_new(FORMAT_F32, 37, 96)};
    s.product.block0 = 1; /* two blocks of three */
    s.product.to = (struct epilogue){.act = GRAPH_ACT_GELU, .out = out[0].operand};
    amx_run(&s.product);
    s.product.sums_stride = 64;
    s.product.sums = sums;
    s.product.step1 = 4;
    amx_run(&s.product);
    s.product.to.out = out[1].operand;
    s.product.sums = NULL;
    s.product.from = sums;
    s.product.step0 = 4;
    s.product.step1 = 7;
    amx_run(&s.product);
    assert(memcmp(out[0].bytes, out[1].bytes, out[0].size) == 0);
    assert(to_bits(((const float *)out[0].operand.data)[31]) == 0x55555555U);
    assert(to_bits(((const float *)out[0].operand.data)[32]) != 0x55555555U);
    map_fini(&out[0]);
    map_fini(&out[1]);
    free(sums);
    sample_fini(&s);
}

/* Three 1x1 products side by side, of a weight [outputs][inputs][3 groups]; inputs' rows lie in a
 * map whose pixels are further apart than its channels. */
static void groups_start_with_new_blocks(void)
{
    enum { ROWS = 16, INPUTS = 64, OUTPUTS = 33, GROUPS = 3, ROW = 128, COLUMNS = 192 };
    struct sctd_error err = {0};
    struct amx_weights *w = NULL;
    float *weight = draw((size_t)OUTPUTS * INPUTS * GROUPS, 1.0F, 4);
    uint16_t *in = aligned((size_t)ROWS * ROW * sizeof *in);
    float *sums = aligned((size_t)ROWS * COLUMNS * sizeof *sums);
    const int32_t offset[] = {0, 32};
    for (size_t i = 0; i < (size_t)ROWS * ROW; i++) {
        in[i] = round_to_bf16((float)(i % 23) - 11.0F);
    }
    const struct amx_plain plain = {.values = weight,
                                    .columns = OUTPUTS,
                                    .inputs = INPUTS,
                                    .taps = 1,
                                    .groups = GROUPS,
                                    .column_stride = (size_t)INPUTS * GROUPS,
                                    .input_stride = GROUPS,
                                    .group_stride = 1};
    assert(amx_weights_new(&w, &plain, &err) == 0);
    assert(amx_get_blocks(w) == 2 * GROUPS);
    const struct amx_tile tile = {in, 0, ROWS};
    const struct amx_product p = {.weights = w,
                                  .tile = &tile,
                                  .n_tiles = 1,
                                  .offset = offset,
                                  .stride = ROW,
                                  .block1 = 2 * GROUPS,
                                  .step1 = 2,
                                  .kernels = kernels_get(),
                                  .sums = sums,
                                  .sums_stride = COLUMNS};
    amx_run(&p);
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++) {
        const size_t g = i % COLUMNS / 64;
        const size_t c = i % 64;
        double expected = 0.0;
        for (size_t k = 0; c < OUTPUTS && k < INPUTS; k++) {
            const float x = weight[(c * INPUTS + k) * GROUPS + g];
            expected += from_bf16(in[i / COLUMNS * ROW + k]) * from_bf16(round_to_bf16(x));
        }
        assert(near((double)sums[i], expected, 1e-3));
    }
    amx_weights_free(w);
    free(weight);
    free(in);
    free(sums);
}

/* Rows beyond those that count may hold anything, and reach no output. */
static void rows_that_do_not_count_change_nothing(void)
{
    static const struct shape shape = {1, 5, 0, 1, 32, 32, 1};
    struct sample s;
    sample_init(&s, &shape, false);
    struct map out[2];
    for (size_t i = 0; i < 2; i++) {
        out[i] = map_new(FORMAT_F32, 5, 32);
        s.product.to = (struct epilogue){.out = out[i].operand};
        amx_run(&s.product);
        for (size_t k = (size_t)6 * AMX_DEPTH; k < (size_t)16 * AMX_DEPTH; k++) {
            s.strip[k] = 0x7fc0; /* not a number */
        }
    }
    assert(memcmp(out[0].bytes, out[1].bytes, out[0].size) == 0);
    map_fini(&out[0]);
    map_fini(&out[1]);
    sample_fini(&s);
}

int main(void)
{
    amx_weights_free(NULL);
    if (!amx_is_available()) {
        (void)printf("this processor has no AMX\n");
        return 0;
    }
    products_with_their_epilogues_are_those_of_plain_loops();
    sums_of_some_blocks_are_left_as_they_are();
    a_sum_in_parts_is_the_sum();
    groups_start_with_new_blocks();
    rows_that_do_not_count_change_nothing();
    return 0;
}
