/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/map.h"

enum { MAX_VARIANTS = 4 };

/* oneDNN's product for strips of one height and one kind of padding. */
struct variant {
    int32_t rows;
    bool top, bottom;
    struct onednn_product *product;
};

struct map_conv {
    int32_t kernel, inputs, outputs;
    const struct map_shape *map; /* borrowed */
    /* oneDNN: */
    int32_t n_variants;
    struct variant variant[MAX_VARIANTS];
    struct onednn_weights *onednn_weights;
    /* AMX: */
    struct amx_weights *amx;
    int32_t *offset; /* [steps] */
    bool exact;
};

void map_conv_free(struct map_conv *conv)
{
    if (conv == NULL) {
        return;
    }
    for (int32_t i = 0; i < conv->n_variants; i++) {
        onednn_product_free(conv->variant[i].product);
    }
    onednn_weights_free(conv->onednn_weights);
    amx_weights_free(conv->amx);
    free(conv->offset);
    free(conv);
}

static void conv_freep(struct map_conv **conv)
{
    map_conv_free(*conv);
}

/* oneDNN */

static const struct variant *find_variant(const struct map_conv *c, int32_t rows, bool top,
                                          bool bottom)
{
    for (int32_t i = 0; i < c->n_variants; i++) {
        const struct variant *v = &c->variant[i];
        if (v->rows == rows && v->top == top && v->bottom == bottom) {
            return v;
        }
    }
    return NULL;
}

/* The product for strips like `strip`, unless there is one. */
static int add_variant(struct cpu_plan *plan, struct map_conv *c,
                       const struct onednn_conv_shape *shape, const void *plain,
                       struct sctd_error *err)
{
    if (find_variant(c, shape->rows, shape->top, shape->bottom) != NULL) {
        return 0;
    }
    struct variant *v = &c->variant[c->n_variants];
    *v = (struct variant){.rows = shape->rows, .top = shape->top, .bottom = shape->bottom};
    int r = onednn_conv_new(&v->product, plan->onednn, shape, plain, &c->onednn_weights, err);
    if (r == 0) {
        c->n_variants++;
        plan_need_scratch(plan, v->product, 0);
    }
    return r;
}

/* Products for every kind of strip; kernel 1 knows no padding. */
static int make_variants(struct cpu_plan *plan, struct map_conv *c, const struct graph_op *op,
                         enum format format, struct sctd_error *err)
{
    void *plain = NULL;
    const bool padded = c->kernel == 3;
    const struct weight_shape weights = {c->outputs, c->inputs, c->kernel * c->kernel, format,
                                         plan->pool};
    int r = steps_plain_weights(&plain, op, &weights, err);
    for (int32_t i = 0; r == 0 && i < map_count_strips(c->map); i++) {
        const struct map_strip strip = map_strip_of(c->map, i);
        const struct onednn_conv_shape shape = {.rows = strip.row1 - strip.row0,
                                                .width = c->map->w,
                                                .in_channels =
                                                    c->inputs * (format == FORMAT_SPLIT ? 3 : 1),
                                                .out_channels = c->outputs,
                                                .kernel = c->kernel,
                                                .top = padded && strip.row0 == 0,
                                                .bottom = padded && strip.row1 == c->map->h,
                                                .bf16 = format != FORMAT_F32};
        r = add_variant(plan, c, &shape, plain, err);
    }
    free(plain);
    return r;
}

static bool run_variant(const struct map_conv *c, const struct map_piece *p,
                        const struct operand *in, struct epilogue *e)
{
    const bool padded = c->kernel == 3;
    const bool top = padded && p->strip.row0 == 0;
    const bool bottom = padded && p->strip.row1 == c->map->h;
    const struct variant *v = find_variant(c, p->strip.row1 - p->strip.row0, top, bottom);
    const size_t above = top ? 0 : (size_t)c->map->w;
    const struct operand first = padded ? operand_at(*in, p->pixel0 - above, 0) : *in;
    float *acc = map_scratch(p, 0);
    if (v == NULL || !onednn_run(v->product, p->worker, first.data, NULL, acc,
                                 plan_product_scratch(p->plan, p->worker))) {
        return false;
    }
    e->acc = acc;
    e->acc_stride = e->channels;
    p->plan->kernels->epilogue(e);
    return true;
}

/* AMX */

static struct amx_strip strip_of(const struct map_conv *c, int32_t row0)
{
    return (struct amx_strip){.h = c->map->h,
                              .w = c->map->w,
                              .channels = c->inputs,
                              .row0 = row0 - 1,
                              .row1 = row0 + c->map->strip_rows + 1,
                              .exact = c->exact};
}

static size_t count_tiles(const struct map_conv *c)
{
    const size_t rows = (size_t)c->map->strip_rows;
    const size_t w = (size_t)c->map->w;
    return c->kernel == 3 ? rows * ((w + AMX_ROWS - 1) / AMX_ROWS)
                          : (rows * w + AMX_ROWS - 1) / AMX_ROWS;
}

static int make_amx(const struct cpu_plan *plan, struct map_conv *c, const struct graph_op *op,
                    struct sctd_error *err)
{
    const size_t taps = (size_t)c->kernel * (size_t)c->kernel;
    const struct amx_plain plain = {.values = op->weight,
                                    .scale = op->scale,
                                    .columns = c->outputs,
                                    .inputs = c->inputs,
                                    .taps = (int32_t)taps,
                                    .groups = 1,
                                    .column_stride = (size_t)c->inputs * taps,
                                    .input_stride = taps,
                                    .tap_stride = 1,
                                    .exact = c->exact,
                                    .pool = plan->pool};
    int r = amx_weights_new(&c->amx, &plain, err);
    if (r < 0) {
        return r;
    }
    const int32_t steps = amx_get_steps(c->amx);
    c->offset = calloc((size_t)steps, sizeof *c->offset);
    if (c->offset == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const int32_t pitch = (int32_t)amx_strip_pitch(c->map->w);
    for (int32_t s = 0; s < steps; s++) {
        const int32_t row = s / 9 * (c->map->strip_rows + 2) + s % 9 / 3;
        c->offset[s] = (c->kernel == 3 ? row * pitch + s % 3 : s) * AMX_DEPTH;
    }
    return 0;
}

static size_t tile_bytes(const struct map_conv *c)
{
    return round_up(count_tiles(c) * sizeof(struct amx_tile));
}

/* Cut the rows of a strip into tiles; those of two rows follow each other, as they share most of what
 * they read. */
static size_t cut_rows(const struct map_conv *c, size_t rows, const uint16_t *from,
                       struct amx_tile *tile)
{
    const size_t w = (size_t)c->map->w;
    const size_t in_row = (w + AMX_ROWS - 1) / AMX_ROWS;
    for (size_t i = 0; i < rows * in_row; i++) {
        const size_t y0 = i / (2 * in_row) * 2;
        const size_t together = y0 + 1 < rows ? 2 : 1;
        const size_t in_pair = i - y0 * in_row;
        const size_t y = y0 + in_pair % together;
        const size_t x = in_pair / together * AMX_ROWS;
        tile[i] = (struct amx_tile){.at = from + (y * amx_strip_pitch(c->map->w) + x) * AMX_DEPTH,
                                    .pixel = y * w + x,
                                    .rows = w - x < AMX_ROWS ? w - x : AMX_ROWS};
    }
    return rows * in_row;
}

static size_t cut_pixels(const struct map_piece *p, const struct operand *in, struct amx_tile *tile)
{
    size_t n = 0;
    for (size_t at = 0; at < p->pixels; at += AMX_ROWS) {
        const size_t left = p->pixels - at;
        tile[n++] = (struct amx_tile){.at = (const uint16_t *)in->data + at * in->stride,
                                      .pixel = at,
                                      .rows = left < AMX_ROWS ? left : AMX_ROWS};
    }
    return n;
}

static bool run_amx(const struct map_conv *c, const struct map_piece *p, const struct operand *in,
                    const struct epilogue *e)
{
    struct amx_tile *tile = map_scratch(p, 0);
    struct amx_product product = {.weights = c->amx,
                                  .tile = tile,
                                  .offset = c->offset,
                                  .block1 = amx_get_blocks(c->amx),
                                  .step1 = amx_get_steps(c->amx),
                                  .kernels = p->plan->kernels,
                                  .to = *e};
    if (c->kernel == 3) {
        const struct amx_strip strip = strip_of(c, p->strip.row0);
        uint16_t *rows = map_scratch(p, tile_bytes(c));
        amx_fill_strip(&strip, in, rows);
        product.n_tiles = cut_rows(c, (size_t)(p->strip.row1 - p->strip.row0), rows, tile);
        product.stride = AMX_DEPTH;
        product.lo = amx_strip_values(&strip) / 2;
    } else {
        product.n_tiles = cut_pixels(p, in, tile);
        product.stride = in->stride;
        product.lo = in->plane;
    }
    amx_run(&product);
    return true;
}

/* Either */

int map_conv_new(struct map_conv **ret_conv, struct cpu_plan *plan, const struct graph_op *op,
                 const struct map_conv_shape *shape, struct sctd_error *err)
{
    sctd_auto(conv_freep) struct map_conv *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    c->kernel = op->kernel;
    c->map = shape->map;
    c->inputs = shape->inputs;
    c->outputs = plan->place[op->out].c;
    c->exact = shape->format == FORMAT_SPLIT;
    int r = plan->amx && shape->format != FORMAT_F32
                ? make_amx(plan, c, op, err)
                : make_variants(plan, c, op, shape->format, err);
    if (r < 0) {
        return r;
    }
    *ret_conv = sctd_steal(&c);
    return 0;
}

size_t map_conv_scratch(const struct map_conv *conv)
{
    if (conv->amx == NULL) {
        const size_t pixels = (size_t)conv->map->strip_rows * (size_t)conv->map->w;
        return round_up(pixels * (size_t)conv->outputs * sizeof(float));
    }
    const struct amx_strip strip = strip_of(conv, 0);
    const size_t rows =
        conv->kernel == 3 ? round_up(amx_strip_values(&strip) * sizeof(uint16_t)) : 0;
    return tile_bytes(conv) + rows;
}

bool map_conv_run(const struct map_conv *conv, const struct map_piece *p, const struct operand *in,
                  struct epilogue *e)
{
    return conv->amx != NULL ? run_amx(conv, p, in, e) : run_variant(conv, p, in, e);
}

size_t map_conv_stride(const struct map_conv *conv)
{
    return conv->amx != NULL ? amx_round((size_t)conv->inputs) : (size_t)conv->inputs;
}

size_t map_conv_pixels(const struct map_conv *conv)
{
    const size_t pixels = (size_t)conv->map->strip_rows * (size_t)conv->map->w;
    return (pixels + AMX_ROWS - 1) / AMX_ROWS * AMX_ROWS;
}
