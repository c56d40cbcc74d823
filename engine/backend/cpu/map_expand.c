/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/map.h"

enum {
    EXPAND_BYTES = 1200 * 1024, /* of input, products and what is made of them: they stay in L2 */
    MAX_BLOCKS = 64,
    TAPS = 9,
    REACH = 3, /* low-resolution rows that an output row can be made of */
};

/*
 * A 3x3 convolution of a bilinear upsample, exactly, without the upsampled map: both are linear and the
 * upsample keeps channels apart, so the nine 1x1 products W_k * low are upsampled instead, and an
 * output is the sum over k of product k upsampled at its neighbour, where that lies inside.  The
 * products are made some low-resolution rows at a time, brought to the full width, and kept until no
 * output row needs them any more.
 */
struct map_expand {
    const struct map_shape *map; /* borrowed */
    int32_t factor;
    int32_t low_h, low_w;
    int32_t inputs, outputs;
    int32_t block, n_blocks; /* output channels in one product; the last may be smaller */
    int32_t batch;           /* low-resolution rows in one product */
    int32_t ring;            /* rows that are kept at full width */
    /* oneDNN: */
    struct onednn_product *product[MAX_BLOCKS];
    struct onednn_weights *weights[MAX_BLOCKS];
    /* AMX: */
    struct amx_weights *amx;
    int32_t *offset; /* [steps] */
    bool exact;
    bool direct; /* tiles read the input where it lies */
};

/* A block of output channels of a strip, and where it is made. */
struct expansion {
    const struct map_expand *x;
    const struct map_piece *piece;
    int32_t tensor;
    int32_t block;
    size_t channels; /* that are made, with those that round up the last block */
    float *low;      /* [batch * low_w, 9 * channels] */
    float *rows;     /* [ring, 3, width, channels]; row r is at r modulo ring */
    float *acc;      /* [width, channels] */
    int32_t next;    /* the low-resolution row that is to be brought to full width next */
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

/* The last low-resolution row that output row y is made of. */
static int32_t last_low_row(const struct map_expand *x, int32_t y)
{
    float weight = 0.0F;
    const int32_t below = y + 1 < x->map->h ? y + 1 : y;
    return clamp_index(low_row(below, x->factor, &weight) + 1, x->low_h);
}

static int32_t first_low_row(const struct map_expand *x, int32_t y)
{
    float weight = 0.0F;
    return low_row(y == 0 ? 0 : y - 1, x->factor, &weight);
}

/* The vertical taps of output row y among the horizontally expanded rows. */
static struct taps column_taps(const struct expansion *e, int32_t y)
{
    const struct map_expand *x = e->x;
    const size_t size = (size_t)x->map->w * e->channels;
    struct taps t = {.n = 0};
    for (int32_t k = 0; k < 3; k++) {
        const int32_t at = y + k - 1;
        if (at < 0 || at >= x->map->h) {
            continue;
        }
        float weight = 0.0F;
        const int32_t first = low_row(at, x->factor, &weight);
        const int32_t second = clamp_index(first + 1, x->low_h);
        const float *tap = e->rows + (size_t)k * size;
        t.at[t.n] = tap + (size_t)(first % x->ring) * 3 * size;
        t.weight[t.n++] = 1.0F - weight;
        t.at[t.n] = tap + (size_t)(second % x->ring) * 3 * size;
        t.weight[t.n++] = weight;
    }
    return t;
}

/* The batch's pixels, as if they were one row. */
static struct amx_strip strip_of(const struct map_expand *x)
{
    return (struct amx_strip){.h = 1,
                              .w = x->batch * x->low_w,
                              .channels = x->inputs,
                              .row0 = 0,
                              .row1 = 1,
                              .exact = x->exact};
}

static size_t count_tiles(const struct map_expand *x)
{
    return ((size_t)x->batch * (size_t)x->low_w + AMX_ROWS - 1) / AMX_ROWS;
}

static struct expand_layout layout_of(const struct map_expand *x)
{
    const struct amx_strip strip = strip_of(x);
    const size_t block = x->amx != NULL ? amx_round((size_t)x->block) : (size_t)x->block;
    const size_t row = (size_t)x->map->w * block * sizeof(float);
    const size_t low = count_tiles(x) * AMX_ROWS * TAPS * block * sizeof(float);
    struct expand_layout at = {.rows = round_up(low)};
    at.acc = at.rows + round_up((size_t)x->ring * 3 * row);
    at.strip = at.acc + round_up(row);
    at.tiles = at.strip;
    if (x->amx != NULL && !x->direct) {
        at.tiles += round_up(amx_strip_values(&strip) * sizeof(uint16_t));
    }
    at.end = at.tiles;
    if (x->amx != NULL) {
        at.end += round_up(count_tiles(x) * sizeof(struct amx_tile));
    }
    return at;
}

/* The nine products of a batch of pixels on AMX. */
static void run_amx(const struct expansion *e, const struct operand *in)
{
    const struct map_expand *x = e->x;
    const struct expand_layout at = layout_of(x);
    const struct amx_strip strip = strip_of(x);
    struct amx_tile *tile = map_scratch(e->piece, at.tiles);
    const uint16_t *first = in->data;
    struct amx_product product = {.weights = x->amx,
                                  .tile = tile,
                                  .n_tiles = count_tiles(x),
                                  .offset = x->offset,
                                  .stride = in->stride,
                                  .lo = in->plane,
                                  .step1 = amx_get_steps(x->amx),
                                  .kernels = e->piece->plan->kernels,
                                  .sums_stride = TAPS * e->channels};
    if (!x->direct) {
        uint16_t *values = map_scratch(e->piece, at.strip);
        amx_fill_strip(&strip, in, values);
        first = values + AMX_DEPTH; /* x = 0 */
        product.stride = AMX_DEPTH;
        product.lo = amx_strip_values(&strip) / 2;
    }
    for (size_t i = 0; i < product.n_tiles; i++) {
        tile[i] = (struct amx_tile){
            .at = first + i * AMX_ROWS * product.stride, .pixel = i * AMX_ROWS, .rows = AMX_ROWS};
    }
    const int32_t per_tap = amx_get_blocks(x->amx) / TAPS;
    for (int32_t k = 0; k < TAPS; k++) {
        product.block0 = k * per_tap + e->block * x->block / AMX_COLUMNS;
        product.block1 = product.block0 + (int32_t)(e->channels / AMX_COLUMNS);
        product.sums = e->low + (size_t)k * e->channels;
        amx_run(&product);
    }
}

/* Make the products of a batch of rows from e->next on and bring them to full width. */
static bool make_rows(struct expansion *e)
{
    const struct map_expand *x = e->x;
    const struct map_piece *p = e->piece;
    const int32_t low0 = e->next + x->batch <= x->low_h ? e->next : x->low_h - x->batch;
    const size_t pixel = (size_t)low0 * (size_t)x->low_w;
    const struct operand in = plan_operand(p->plan, e->tensor, p->slice, pixel, 0);
    if (x->amx != NULL) {
        run_amx(e, &in);
    } else if (!onednn_run(x->product[e->block], p->worker, in.data, NULL, e->low,
                           plan_product_scratch(p->plan, p->worker))) {
        return false;
    }
    const size_t row = (size_t)x->low_w * TAPS * e->channels;
    const size_t wide = 3 * (size_t)x->map->w * e->channels;
    while (e->next < low0 + x->batch) {
        const int32_t slot = e->next % x->ring;
        const int32_t left = low0 + x->batch - e->next;
        const struct expand_rows rows = {.taps = e->low + (size_t)(e->next - low0) * row,
                                         .channels = e->channels,
                                         .rows = left < x->ring - slot ? left : x->ring - slot,
                                         .low_w = x->low_w,
                                         .factor = x->factor,
                                         .out = e->rows + (size_t)slot * wide};
        p->plan->kernels->expand_rows(&rows);
        e->next += rows.rows;
    }
    return true;
}

/* All that output row y needs. */
static bool make_rows_for(struct expansion *e, int32_t y)
{
    while (e->next <= last_low_row(e->x, y)) {
        if (!make_rows(e)) {
            return false;
        }
    }
    return true;
}

static void step_down(struct epilogue *e, size_t pixels, size_t channels)
{
    e->out = operand_at(e->out, pixels, channels);
    e->add[0] = operand_at(e->add[0], pixels, channels);
    e->add[1] = operand_at(e->add[1], pixels, channels);
}

/* The strip's rows of one block of channels. */
static bool run_block(struct expansion *x, struct epilogue e)
{
    const size_t c0 = (size_t)x->block * (size_t)x->x->block;
    const size_t left = (size_t)x->x->outputs - c0;
    e.pixels = (size_t)x->x->map->w;
    e.channels = left < x->channels ? left : x->channels;
    e.acc_stride = x->channels;
    e.bias = e.bias == NULL ? NULL : e.bias + c0;
    step_down(&e, 0, c0);
    for (int32_t y = x->piece->strip.row0; y < x->piece->strip.row1; y++) {
        if (!make_rows_for(x, y)) {
            return false;
        }
        const struct taps taps = column_taps(x, y);
        x->piece->plan->kernels->expand_column(&taps, x->acc, &e);
        step_down(&e, e.pixels, 0);
    }
    return true;
}

bool map_expand_run(const struct map_expand *x, const struct map_piece *p, int32_t tensor,
                    const struct epilogue *e)
{
    const struct expand_layout at = layout_of(x);
    struct expansion expansion = {.x = x,
                                  .piece = p,
                                  .tensor = tensor,
                                  .low = map_scratch(p, 0),
                                  .rows = map_scratch(p, at.rows),
                                  .acc = map_scratch(p, at.acc)};
    for (int32_t b = 0; b < x->n_blocks; b++) {
        const int32_t left = x->outputs - b * x->block;
        expansion.block = b;
        expansion.channels = (size_t)(left < x->block ? left : x->block);
        expansion.next = first_low_row(x, p->strip.row0);
        if (x->amx != NULL) {
            expansion.channels = amx_round(expansion.channels);
        }
        if (!run_block(&expansion, *e)) {
            return false;
        }
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
    const struct onednn_matmul_shape product = {.m = x->batch * x->low_w,
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
    const struct weight_shape weights = {.rows = x->outputs,
                                         .inputs = x->inputs,
                                         .taps = TAPS,
                                         .format = format,
                                         .pool = plan->pool};
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

static int make_amx(const struct cpu_plan *plan, struct map_expand *x, const struct graph_op *conv,
                    struct sctd_error *err)
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
                                    .exact = x->exact,
                                    .pool = plan->pool};
    int r = amx_weights_new(&x->amx, &plain, err);
    if (r < 0) {
        return r;
    }
    const int32_t steps = amx_get_steps(x->amx);
    x->offset = calloc((size_t)steps, sizeof *x->offset);
    if (x->offset == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    x->direct = x->inputs % AMX_DEPTH == 0;
    const int32_t pitch = x->direct ? 1 : (int32_t)amx_strip_pitch(x->batch * x->low_w);
    for (int32_t s = 0; s < steps; s++) {
        x->offset[s] = s * pitch * AMX_DEPTH;
    }
    x->n_blocks = (x->outputs + x->block - 1) / x->block;
    return 0;
}

/* Low-resolution rows that a strip can touch, at most. */
static int32_t count_low_rows(const struct map_expand *x)
{
    int32_t most = 1;
    for (int32_t i = 0; i < map_count_strips(x->map); i++) {
        const struct map_strip strip = map_strip_of(x->map, i);
        const int32_t n = last_low_row(x, strip.row1 - 1) - first_low_row(x, strip.row0) + 1;
        most = n > most ? n : most;
    }
    return most;
}

/* Choose how many rows and output channels to make at a time: first all rows that fit, then all
 * channels, a multiple of `unit` unless they are all. */
static void choose_sizes(struct map_expand *x, int32_t unit)
{
    const int32_t low_rows = count_low_rows(x);
    const int32_t least = (x->outputs + MAX_BLOCKS - 1) / MAX_BLOCKS;
    const int32_t channels = least > unit ? (least + unit - 1) / unit * unit : unit;
    const int32_t low = x->low_w * TAPS * (int32_t)sizeof(float); /* bytes a row and channel */
    const int32_t wide = x->map->w * 3 * (int32_t)sizeof(float);
    const int32_t in = x->low_w * x->inputs * 4;
    const int32_t fitting =
        (EXPAND_BYTES - REACH * wide * channels) / ((low + wide) * channels + in);
    x->batch = fitting < 1 ? 1 : (fitting < low_rows ? fitting : low_rows);
    x->ring = x->batch + REACH;
    const int32_t blocks =
        (EXPAND_BYTES - x->batch * in) / ((x->batch * low + x->ring * wide) * unit);
    const int32_t block = blocks * unit > channels ? blocks * unit : channels;
    x->block = block < x->outputs ? block : x->outputs;
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
    choose_sizes(x, amx ? AMX_COLUMNS : 16);
    int r = amx ? make_amx(plan, x, from->conv, err)
                : make_blocks(plan, x, from->conv, from->format, err);
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
