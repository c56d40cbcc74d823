/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/map.h"

enum {
    EXPAND_BYTES = 768 * 1024, /* of low-resolution products: with what is made of them, in L2 */
    MAX_BLOCKS = 64,
    TAPS = 9,
};

/*
 * A 3x3 convolution of a bilinear upsample, exactly, without the upsampled map: both are linear and the
 * upsample keeps channels apart, so the nine 1x1 products W_k * low are upsampled instead, and an
 * output is the sum over k of product k upsampled at its neighbour, where that lies inside.
 */
struct map_expand {
    const struct map_shape *map; /* borrowed */
    int32_t factor;
    int32_t low_h, low_w, low_rows; /* low_rows: that a strip can touch, at most */
    int32_t inputs, outputs;
    int32_t block, n_blocks; /* output channels in one product; the last may be smaller */
    /* oneDNN: */
    struct onednn_product *product[MAX_BLOCKS];
    struct onednn_weights *weights[MAX_BLOCKS];
    /* AMX: */
    struct amx_weights *amx;
    int32_t *offset; /* [steps] */
    bool exact;
};

/* Where an expansion works: products, expanded rows, and one row of the result. */
struct expand_scratch {
    float *low;      /* [low_rows * low_w, 9 * channels] */
    float *rows;     /* [low_rows, 3, width, channels] */
    float *acc;      /* [width, channels] */
    int32_t low0;    /* the first low-resolution row */
    size_t channels; /* of the block at hand */
};

/* Bytes into the scratch of its parts, and of what AMX works on. */
struct expand_layout {
    size_t rows, acc, strip, tiles, end;
};

void map_expand_free(struct map_expand *expand)
{
    if (expand == NULL) {
        return;
    }
    for (int32_t i = 0; i < expand->n_blocks; i++) {
        onednn_product_free(expand->product[i]);
        onednn_weights_free(expand->weights[i]);
    }
    amx_weights_free(expand->amx);
    free(expand->offset);
    free(expand);
}

static void expand_freep(struct map_expand **expand)
{
    map_expand_free(*expand);
}

/* The low-resolution row that row `at` of the upsampled map starts from, and the second's weight. */
static int32_t low_row(int32_t at, int32_t factor, float *ret_weight)
{
    const float src = ((float)at + 0.5F) / (float)factor - 0.5F;
    const float clamped = src < 0.0F ? 0.0F : src;
    *ret_weight = clamped - (float)(int32_t)clamped;
    return (int32_t)clamped;
}

static int32_t clamp_index(int32_t i, int32_t n)
{
    return i < 0 ? 0 : (i < n ? i : n - 1);
}

/* Running */

/* The vertical taps of output row y among the horizontally expanded rows. */
static struct taps column_taps(const struct map_expand *x, const struct expand_scratch *scratch,
                               int32_t y)
{
    const size_t size = (size_t)x->map->w * scratch->channels;
    struct taps t = {.n = 0};
    for (int32_t k = 0; k < 3; k++) {
        const int32_t at = y + k - 1;
        if (at < 0 || at >= x->map->h) {
            continue;
        }
        float weight = 0.0F;
        const int32_t first = low_row(at, x->factor, &weight);
        const int32_t second = clamp_index(first + 1, x->low_h);
        const float *tap = scratch->rows + (size_t)k * size;
        t.at[t.n] = tap + (size_t)(first - scratch->low0) * 3 * size;
        t.weight[t.n++] = 1.0F - weight;
        t.at[t.n] = tap + (size_t)(second - scratch->low0) * 3 * size;
        t.weight[t.n++] = weight;
    }
    return t;
}

static struct amx_strip strip_of(const struct map_expand *x, int32_t low0)
{
    return (struct amx_strip){.h = x->low_h,
                              .w = x->low_w,
                              .channels = x->inputs,
                              .row0 = low0,
                              .row1 = low0 + x->low_rows,
                              .exact = x->exact};
}

static size_t tiles_in_row(const struct map_expand *x)
{
    return ((size_t)x->low_w + AMX_ROWS - 1) / AMX_ROWS;
}

static struct expand_layout layout_of(const struct map_expand *x)
{
    const struct amx_strip strip = strip_of(x, 0);
    const size_t block = x->amx != NULL ? amx_round((size_t)x->block) : (size_t)x->block;
    /* A tile at the end of a row may reach beyond it. */
    const size_t low = ((size_t)x->low_rows * (size_t)x->low_w + AMX_ROWS) * TAPS * block;
    const size_t row = (size_t)x->map->w * block;
    const bool amx = x->amx != NULL;
    struct expand_layout at = {.rows = round_up(low * sizeof(float))};
    at.acc = at.rows + round_up((size_t)x->low_rows * 3 * row * sizeof(float));
    at.strip = at.acc + round_up(row * sizeof(float));
    at.tiles = at.strip + (amx ? round_up(amx_strip_values(&strip) * sizeof(uint16_t)) : 0);
    at.end = at.tiles +
             (amx ? round_up((size_t)x->low_rows * tiles_in_row(x) * sizeof(struct amx_tile)) : 0);
    return at;
}

/* Bring the low-resolution rows into tiles. */
static void prepare_tiles(const struct map_expand *x, const struct map_piece *p, int32_t low0,
                          int32_t tensor)
{
    const struct expand_layout at = layout_of(x);
    const struct amx_strip strip = strip_of(x, low0);
    const struct operand in = plan_operand(p->plan, tensor, p->slice, 0, 0);
    uint16_t *rows = map_scratch(p, at.strip);
    struct amx_tile *tile = map_scratch(p, at.tiles);
    const size_t pitch = amx_strip_pitch(x->low_w);
    amx_fill_strip(&strip, &in, rows);
    for (size_t i = 0; i < (size_t)x->low_rows * tiles_in_row(x); i++) {
        const size_t y = i / tiles_in_row(x);
        const size_t column = i % tiles_in_row(x) * AMX_ROWS;
        tile[i] = (struct amx_tile){.at = rows + (y * pitch + column + 1) * AMX_DEPTH,
                                    .pixel = y * (size_t)x->low_w + column,
                                    .rows = AMX_ROWS};
    }
}

/* The nine products of the channels from c0 on. */
static void run_tiles(const struct map_expand *x, const struct map_piece *p, int32_t c0,
                      const struct expand_scratch *scratch)
{
    const struct expand_layout at = layout_of(x);
    const struct amx_strip strip = strip_of(x, 0);
    const int32_t per_tap = amx_get_blocks(x->amx) / TAPS;
    for (int32_t k = 0; k < TAPS; k++) {
        const int32_t block0 = k * per_tap + c0 / AMX_COLUMNS;
        const struct amx_product product = {.weights = x->amx,
                                            .tile = map_scratch(p, at.tiles),
                                            .n_tiles = (size_t)x->low_rows * tiles_in_row(x),
                                            .offset = x->offset,
                                            .stride = AMX_DEPTH,
                                            .lo = amx_strip_values(&strip) / 2,
                                            .block0 = block0,
                                            .block1 =
                                                block0 + (int32_t)(scratch->channels / AMX_COLUMNS),
                                            .step1 = amx_get_steps(x->amx),
                                            .kernels = p->plan->kernels,
                                            .sums = scratch->low + (size_t)k * scratch->channels,
                                            .sums_stride = TAPS * scratch->channels};
        amx_run(&product);
    }
}

/* The nine products of block `block`, [low pixels, 9, channels]. */
static bool make_products(const struct map_expand *x, const struct map_piece *p, int32_t block,
                          int32_t tensor, const struct expand_scratch *scratch)
{
    if (x->amx != NULL) {
        run_tiles(x, p, block * x->block, scratch);
        return true;
    }
    const size_t pixel = (size_t)scratch->low0 * (size_t)x->low_w;
    const struct operand in = plan_operand(p->plan, tensor, p->slice, pixel, 0);
    return onednn_run(x->product[block], p->worker, in.data, NULL, scratch->low,
                      plan_product_scratch(p->plan, p->worker));
}

/* The strip's rows of one block from its products. */
static void finish_rows(const struct map_expand *x, const struct map_piece *p, int32_t block,
                        const struct expand_scratch *scratch, struct epilogue e)
{
    const size_t c0 = (size_t)block * (size_t)x->block;
    const size_t left = (size_t)x->outputs - c0;
    e.pixels = (size_t)x->map->w;
    e.channels = left < scratch->channels ? left : scratch->channels;
    e.acc_stride = scratch->channels;
    e.bias = e.bias == NULL ? NULL : e.bias + c0;
    e.out = operand_at(e.out, 0, c0);
    e.add[0] = operand_at(e.add[0], 0, c0);
    e.add[1] = operand_at(e.add[1], 0, c0);
    const struct expand_rows rows = {.taps = scratch->low,
                                     .channels = scratch->channels,
                                     .rows = x->low_rows,
                                     .low_w = x->low_w,
                                     .factor = x->factor,
                                     .out = scratch->rows};
    p->plan->kernels->expand_rows(&rows);
    for (int32_t y = p->strip.row0; y < p->strip.row1; y++) {
        const struct taps taps = column_taps(x, scratch, y);
        p->plan->kernels->expand_column(&taps, scratch->acc, &e);
        e.out = operand_at(e.out, e.pixels, 0);
        e.add[0] = operand_at(e.add[0], e.pixels, 0);
        e.add[1] = operand_at(e.add[1], e.pixels, 0);
    }
}

bool map_expand_run(const struct map_expand *x, const struct map_piece *p, int32_t tensor,
                    const struct epilogue *e)
{
    const struct expand_layout at = layout_of(x);
    float weight = 0.0F;
    const int32_t above = p->strip.row0 == 0 ? 0 : p->strip.row0 - 1;
    const int32_t touched = low_row(above, x->factor, &weight);
    struct expand_scratch scratch = {
        .low = map_scratch(p, 0),
        .rows = map_scratch(p, at.rows),
        .acc = map_scratch(p, at.acc),
        .low0 = touched + x->low_rows <= x->low_h ? touched : x->low_h - x->low_rows};
    if (x->amx != NULL) {
        prepare_tiles(x, p, scratch.low0, tensor);
    }
    for (int32_t b = 0; b < x->n_blocks; b++) {
        const int32_t left = x->outputs - b * x->block;
        scratch.channels = (size_t)(left < x->block ? left : x->block);
        if (x->amx != NULL) {
            scratch.channels = amx_round(scratch.channels);
        }
        if (!make_products(x, p, b, tensor, &scratch)) {
            return false;
        }
        finish_rows(x, p, b, &scratch, *e);
    }
    return true;
}

/* Making */

/* Nine 1x1 products side by side: [inputs, 9 * block] of output channels c0 ... c0 + block - 1. */
struct block_shape {
    int32_t inputs, c0, block;
    bool bf16;
};

static int pack_block(void **ret_plain, const void *plain, const struct block_shape *shape,
                      struct sctd_error *err)
{
    const size_t value = shape->bf16 ? 2 : 4;
    const size_t inputs = (size_t)shape->inputs;
    const size_t block = (size_t)shape->block;
    unsigned char *to = malloc(inputs * TAPS * block * value);
    if (to == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "weights");
    }
    const unsigned char *from =
        (const unsigned char *)plain + (size_t)shape->c0 * inputs * TAPS * value;
    for (size_t i = 0; i < inputs * TAPS * block; i++) {
        const size_t input = i / (TAPS * block);
        const size_t tap = i / block % TAPS;
        const size_t channel = i % block;
        memcpy(to + i * value, from + ((channel * inputs + input) * TAPS + tap) * value, value);
    }
    *ret_plain = to;
    return 0;
}

static int add_block(struct cpu_plan *plan, struct map_expand *x, const struct block_shape *shape,
                     const void *plain, struct sctd_error *err)
{
    const struct onednn_matmul_shape product = {.m = x->low_rows * x->low_w,
                                                .k = shape->inputs,
                                                .n = TAPS * shape->block,
                                                .bf16 = shape->bf16};
    void *columns = NULL;
    int r = pack_block(&columns, plain, shape, err);
    if (r < 0) {
        return r;
    }
    const int32_t b = x->n_blocks++;
    r = onednn_matmul_new(&x->product[b], plan->onednn, &product, columns, &x->weights[b], err);
    if (r == 0) {
        plan_need_scratch(plan, x->product[b], 0);
    }
    free(columns);
    return r;
}

static int make_blocks(struct cpu_plan *plan, struct map_expand *x, const struct graph_op *conv,
                       enum format format, struct sctd_error *err)
{
    const struct weight_shape weights = {
        .rows = x->outputs, .inputs = x->inputs, .taps = TAPS, .format = format};
    void *plain = NULL;
    int r = steps_plain_weights(&plain, conv, &weights, err);
    for (int32_t c0 = 0; r == 0 && c0 < x->outputs; c0 += x->block) {
        const struct block_shape shape = {.inputs = x->inputs * (format == FORMAT_SPLIT ? 3 : 1),
                                          .c0 = c0,
                                          .block = x->outputs - c0 < x->block ? x->outputs - c0
                                                                              : x->block,
                                          .bf16 = format != FORMAT_F32};
        r = add_block(plan, x, &shape, plain, err);
    }
    free(plain);
    return r;
}

static int make_amx(struct map_expand *x, const struct graph_op *conv, struct sctd_error *err)
{
    const struct amx_plain plain = {.values = conv->weight,
                                    .scale = conv->scale,
                                    .columns = x->outputs,
                                    .inputs = x->inputs,
                                    .taps = 1,
                                    .groups = TAPS,
                                    .column_stride = (size_t)x->inputs * TAPS,
                                    .input_stride = TAPS,
                                    .group_stride = 1,
                                    .exact = x->exact};
    int r = amx_weights_new(&x->amx, &plain, err);
    if (r < 0) {
        return r;
    }
    const int32_t steps = amx_get_steps(x->amx);
    x->offset = calloc((size_t)steps, sizeof *x->offset);
    if (x->offset == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    for (int32_t s = 0; s < steps; s++) {
        x->offset[s] = s * x->low_rows * (int32_t)amx_strip_pitch(x->low_w) * AMX_DEPTH;
    }
    x->n_blocks = (x->outputs + x->block - 1) / x->block;
    return 0;
}

/* How many output channels to make at a time: a multiple of `unit`, unless they are all. */
static int32_t choose_block(const struct map_expand *x, int32_t unit)
{
    const int32_t fitting = EXPAND_BYTES / (x->low_rows * x->low_w * TAPS * 4) / unit * unit;
    const int32_t least = (x->outputs + MAX_BLOCKS - 1) / MAX_BLOCKS;
    int32_t block = fitting < unit ? unit : fitting;
    block = block < least ? (least + unit - 1) / unit * unit : block;
    return block < x->outputs ? block : x->outputs;
}

static int32_t count_low_rows(const struct map_expand *x)
{
    int32_t most = 1;
    for (int32_t i = 0; i < map_count_strips(x->map); i++) {
        const struct map_strip strip = map_strip_of(x->map, i);
        float weight = 0.0F;
        const int32_t first = low_row(strip.row0 == 0 ? 0 : strip.row0 - 1, x->factor, &weight);
        const int32_t end = strip.row1 < x->map->h ? strip.row1 : x->map->h - 1;
        const int32_t last = clamp_index(low_row(end, x->factor, &weight) + 1, x->low_h);
        most = last - first + 1 > most ? last - first + 1 : most;
    }
    return most;
}

int map_expand_new(struct map_expand **ret_expand, struct cpu_plan *plan,
                   const struct map_shape *map, const struct map_source *from,
                   struct sctd_error *err)
{
    sctd_auto(expand_freep) struct map_expand *x = calloc(1, sizeof *x);
    if (x == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *low = &plan->place[from->tensor];
    const bool amx = plan->amx && from->format != FORMAT_F32;
    x->map = map;
    x->factor = from->upsample->factor;
    x->low_h = low->h;
    x->low_w = low->w;
    x->inputs = low->c;
    x->outputs = plan->place[from->conv->out].c;
    x->exact = from->format == FORMAT_SPLIT;
    x->low_rows = count_low_rows(x);
    x->block = choose_block(x, amx ? AMX_COLUMNS : 16);
    int r =
        amx ? make_amx(x, from->conv, err) : make_blocks(plan, x, from->conv, from->format, err);
    if (r < 0) {
        return r;
    }
    *ret_expand = sctd_steal(&x);
    return 0;
}

size_t map_expand_scratch(const struct map_expand *expand)
{
    return layout_of(expand).end;
}
