/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/steps.h"

enum {
    PATCH = 16,
    ONEDNN_COLUMNS = 192, /* of a piece */
    AMX_COLUMNS_WIDE = 384,
    MAX_PIECES = 256,
    PART_BYTES = 800 * 1024, /* of a piece's weights that are worked on at a time */
};

/* LINEAR and PATCH_TOKENS: [rows, k] x [k, n], a piece for each block of columns. */
struct linear_layer {
    int32_t in, residual, out;
    int32_t rows, k, n;
    int32_t block, n_blocks; /* columns of a piece */
    enum graph_act act;
    enum format format; /* of the product: F32, BF16 or SPLIT */
    float *bias;
    /* oneDNN: */
    struct onednn_product *product[MAX_PIECES];
    struct onednn_weights *weights[MAX_PIECES];
    /* AMX: */
    struct amx_weights *amx;
    int32_t *offset; /* [steps] */
    int32_t part;    /* steps for which a piece's weights stay in the cache */
    bool direct;     /* tiles read the input where it lies */
    /* PATCH_TOKENS: */
    bool patches;
    int32_t prefix;
    float *prefix_tokens; /* [prefix, n] */
};

/* Bytes into the layer's scratch: patches as values and as operand; a strip, sums and tiles. */
struct linear_layout {
    size_t operand, strip, sums, tiles, end;
};

static void linear_free(void *layer)
{
    struct linear_layer *l = layer;
    if (l == NULL) {
        return;
    }
    for (int32_t i = 0; i < l->n_blocks; i++) {
        onednn_product_free(l->product[i]);
        onednn_weights_free(l->weights[i]);
    }
    amx_weights_free(l->amx);
    free(l->offset);
    free(l->bias);
    free(l->prefix_tokens);
    free(l);
}

static void linear_freep(struct linear_layer **layer)
{
    linear_free(*layer);
}

static size_t count_tiles(const struct linear_layer *l)
{
    return ((size_t)l->rows + AMX_ROWS - 1) / AMX_ROWS;
}

static struct amx_strip strip_of(const struct linear_layer *l)
{
    return (struct amx_strip){.h = 1,
                              .w = l->rows,
                              .channels = l->k,
                              .row0 = 0,
                              .row1 = 1,
                              .exact = l->format == FORMAT_SPLIT};
}

static struct linear_layout layout_of(const struct linear_layer *l)
{
    struct linear_layout at = {0};
    if (l->patches) {
        const size_t values = count_tiles(l) * AMX_ROWS * PATCH * PATCH;
        at.operand = round_up(values * sizeof(float));
        at.strip = at.operand + round_up(values * format_bytes(l->format));
    }
    at.sums = at.strip;
    if (l->amx == NULL) {
        at.end = at.sums + round_up((size_t)l->rows * (size_t)l->block * sizeof(float));
        return at;
    }
    if (!l->direct) {
        const struct amx_strip strip = strip_of(l);
        at.sums += round_up(amx_strip_values(&strip) * sizeof(uint16_t));
    }
    at.tiles = at.sums;
    if (l->part < amx_get_steps(l->amx)) {
        at.tiles += round_up(count_tiles(l) * AMX_ROWS * (size_t)l->block * sizeof(float));
    }
    at.end = at.tiles + round_up(count_tiles(l) * sizeof(struct amx_tile));
    return at;
}

/* Gather the patches, [rows, 256], of the image in the format of the product. */
static struct operand gather_patches(const struct cpu_plan *plan, const struct linear_layer *l,
                                     int32_t slice, int32_t worker)
{
    const struct place *image = &plan->place[l->in];
    const float *in = plan_values(plan, l->in, slice);
    const size_t columns = (size_t)image->w / PATCH;
    const size_t area = (size_t)PATCH * PATCH;
    const size_t rows = (size_t)l->rows;
    float *flat = plan_layer_scratch(plan, worker, 0);
    for (size_t p = 0; p < rows; p++) {
        for (size_t y = 0; y < PATCH; y++) {
            const size_t from = (p / columns * PATCH + y) * (size_t)image->w + p % columns * PATCH;
            memcpy(flat + p * area + y * PATCH, in + from, PATCH * sizeof *flat);
        }
    }
    const enum format stored = plan_stored(plan, l->format);
    const struct operand patches = {
        .data = plan_layer_scratch(plan, worker, layout_of(l).operand),
        .format = stored,
        .stride = stored == FORMAT_SPLIT ? 3 * area : area,
        .plane = stored == FORMAT_PAIR ? count_tiles(l) * AMX_ROWS * area : area};
    const struct epilogue e = {
        .pixels = rows, .channels = area, .acc = flat, .acc_stride = area, .out = patches};
    plan->kernels->epilogue(&e);
    return patches;
}

/* A piece's columns, part after part of their sums. */
static void run_parts(struct amx_product *product, const struct linear_layer *l, float *sums)
{
    const int32_t steps = amx_get_steps(l->amx);
    product->sums_stride = (size_t)l->block;
    for (int32_t s = 0; s < steps; s += l->part) {
        const bool last = s + l->part >= steps;
        product->step0 = s;
        product->step1 = last ? steps : s + l->part;
        product->from = s == 0 ? NULL : sums;
        product->sums = last ? NULL : sums;
        amx_run(product);
    }
}

static void run_amx(const struct cpu_plan *plan, const struct linear_layer *l, int32_t item,
                    int32_t worker, const struct operand *in, const struct epilogue *e)
{
    const struct linear_layout at = layout_of(l);
    const struct amx_strip strip = strip_of(l);
    struct amx_tile *tile = plan_layer_scratch(plan, worker, at.tiles);
    const uint16_t *first = in->data;
    const int32_t per_item = l->block / AMX_COLUMNS;
    const int32_t blocks = amx_get_blocks(l->amx);
    const int32_t block1 = (item + 1) * per_item;
    struct amx_product product = {.weights = l->amx,
                                  .tile = tile,
                                  .n_tiles = count_tiles(l),
                                  .offset = l->offset,
                                  .stride = in->stride,
                                  .lo = in->plane,
                                  .block0 = item * per_item,
                                  .block1 = block1 < blocks ? block1 : blocks,
                                  .kernels = plan->kernels,
                                  .to = *e};
    if (!l->direct) {
        uint16_t *values = plan_layer_scratch(plan, worker, at.strip);
        amx_fill_strip(&strip, in, values);
        first = values + AMX_DEPTH; /* x = 0 */
        product.stride = AMX_DEPTH;
        product.lo = amx_strip_values(&strip) / 2;
    }
    for (size_t i = 0; i < product.n_tiles; i++) {
        const size_t row = i * AMX_ROWS;
        const size_t left = (size_t)l->rows - row;
        tile[i] = (struct amx_tile){.at = first + row * product.stride,
                                    .pixel = row,
                                    .rows = left < AMX_ROWS ? left : AMX_ROWS};
    }
    run_parts(&product, l, plan_layer_scratch(plan, worker, at.sums));
}

static bool run_onednn(const struct cpu_plan *plan, const struct linear_layer *l, int32_t item,
                       int32_t worker, const struct operand *in, struct epilogue *e)
{
    const size_t c0 = (size_t)item * (size_t)l->block;
    const size_t left = (size_t)l->n - c0;
    float *acc = plan_layer_scratch(plan, worker, layout_of(l).sums);
    if (!onednn_run(l->product[item], worker, in->data, NULL, acc,
                    plan_product_scratch(plan, worker))) {
        return false;
    }
    e->channels = left < (size_t)l->block ? left : (size_t)l->block;
    e->acc = acc;
    e->acc_stride = e->channels;
    e->bias = e->bias == NULL ? NULL : e->bias + c0;
    e->out = operand_at(e->out, 0, c0);
    e->add[0] = operand_at(e->add[0], 0, c0);
    plan->kernels->epilogue(e);
    return true;
}

/* The tokens before the patches, in the columns of a piece. */
static void copy_prefix(const struct cpu_plan *plan, const struct linear_layer *l, int32_t slice,
                        int32_t item)
{
    const size_t c0 = (size_t)item * (size_t)l->block;
    const size_t left = (size_t)l->n - c0;
    const struct epilogue e = {.pixels = (size_t)l->prefix,
                               .channels = left < (size_t)l->block ? left : (size_t)l->block,
                               .acc = l->prefix_tokens + c0,
                               .acc_stride = (size_t)l->n,
                               .out = plan_operand(plan, l->out, slice, 0, c0)};
    plan->kernels->epilogue(&e);
}

static bool run_linear(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                       int32_t worker)
{
    const struct linear_layer *l = layer;
    const struct operand in = l->patches ? gather_patches(plan, l, slice, worker)
                                         : plan_operand(plan, l->in, slice, 0, 0);
    struct epilogue e = {.pixels = (size_t)l->rows,
                         .channels = (size_t)l->n,
                         .bias = l->bias,
                         .act = l->act,
                         .out = plan_operand(plan, l->out, slice, (size_t)l->prefix, 0)};
    if (l->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(plan, l->residual, slice, 0, 0);
    }
    if (l->prefix > 0) {
        copy_prefix(plan, l, slice, item);
    }
    if (l->amx != NULL) {
        run_amx(plan, l, item, worker, &in, &e);
        return true;
    }
    return run_onednn(plan, l, item, worker, &in, &e);
}

static int make_onednn(struct cpu_plan *plan, struct linear_layer *l, const struct graph_op *op,
                       struct sctd_error *err)
{
    void *made = NULL;
    const int32_t k = l->k * (l->format == FORMAT_SPLIT ? 3 : 1);
    const bool bf16 = l->format != FORMAT_F32;
    const size_t row_bytes = (size_t)k * (bf16 ? 2 : 4);
    const struct weight_shape weights = {l->n, l->k, 1, l->format, plan->pool};
    const bool as_is = !bf16 && op->scale == NULL;
    int r = as_is ? 0 : steps_plain_weights(&made, op, &weights, err);
    const unsigned char *plain = as_is ? (const unsigned char *)op->weight : made;
    for (int32_t c0 = 0; r == 0 && c0 < l->n; c0 += l->block) {
        const struct onednn_matmul_shape shape = {.m = l->rows,
                                                  .k = k,
                                                  .n = l->n - c0 < l->block ? l->n - c0 : l->block,
                                                  .bf16 = bf16,
                                                  .transposed = true};
        const int32_t b = l->n_blocks++;
        r = onednn_matmul_new(&l->product[b], plan->onednn, &shape, plain + (size_t)c0 * row_bytes,
                              &l->weights[b], err);
        if (r == 0) {
            plan_need_scratch(plan, l->product[b], 0);
        }
    }
    free(made);
    return r;
}

static int make_amx(const struct cpu_plan *plan, struct linear_layer *l, const struct graph_op *op,
                    struct sctd_error *err)
{
    const struct amx_plain plain = {.values = op->weight,
                                    .scale = op->scale,
                                    .columns = l->n,
                                    .inputs = l->k,
                                    .taps = 1,
                                    .groups = 1,
                                    .column_stride = (size_t)l->k,
                                    .input_stride = 1,
                                    .exact = l->format == FORMAT_SPLIT,
                                    .pool = plan->pool};
    int r = amx_weights_new(&l->amx, &plain, err);
    if (r < 0) {
        return r;
    }
    const int32_t steps = amx_get_steps(l->amx);
    l->offset = calloc((size_t)steps, sizeof *l->offset);
    if (l->offset == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const size_t step_bytes = (size_t)l->block * AMX_DEPTH * (plain.exact ? 4 : 2);
    l->part = (int32_t)(PART_BYTES / step_bytes);
    l->part = l->part < steps ? l->part : steps;
    l->direct = l->k % AMX_DEPTH == 0;
    const int32_t pitch = l->direct ? 1 : (int32_t)amx_strip_pitch(l->rows);
    for (int32_t s = 0; s < steps; s++) {
        l->offset[s] = s * pitch * AMX_DEPTH;
    }
    l->n_blocks = (l->n + l->block - 1) / l->block;
    return 0;
}

/* Columns of a piece: enough to be worth reading the input for, yet a piece for each thread. */
static int32_t choose_columns(const struct cpu_plan *plan, const struct linear_layer *l, bool amx)
{
    if (amx) {
        const int32_t threads = pool_get_threads(plan->pool);
        int32_t columns = AMX_COLUMNS_WIDE;
        while (columns > AMX_COLUMNS && l->n * plan->group < columns * threads) {
            columns -= AMX_COLUMNS;
        }
        return columns;
    }
    const int32_t least = (l->n + MAX_PIECES - 1) / MAX_PIECES;
    const int32_t block = least > ONEDNN_COLUMNS ? least : ONEDNN_COLUMNS;
    return block < l->n ? block : l->n;
}

int steps_linear(struct cpu_plan *plan, const struct graph_op *op, enum format format,
                 struct sctd_error *err)
{
    sctd_auto(linear_freep) struct linear_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *out = &plan->place[op->out];
    l->in = op->in[0];
    l->out = op->out;
    l->residual = op->in[1];
    l->n = out->c;
    l->act = op->act;
    l->patches = op->kind == GRAPH_PATCH_TOKENS;
    l->prefix = l->patches ? op->prefix : 0;
    l->rows = out->h * out->w - l->prefix;
    l->k = l->patches ? PATCH * PATCH : plan->place[l->in].c;
    /* Pixels into the first product are its only rounding of the image: always exact. */
    l->format = l->patches ? plan->sensitive_format : format;
    const bool amx = plan->amx && l->format != FORMAT_F32;
    l->block = choose_columns(plan, l, amx);
    int r = steps_copy(&l->bias, op->bias, (size_t)l->n, err);
    if (r == 0 && l->patches) {
        r = steps_copy(&l->prefix_tokens, op->extra, (size_t)l->prefix * (size_t)l->n, err);
    }
    if (r == 0) {
        r = amx ? make_amx(plan, l, op, err) : make_onednn(plan, l, op, err);
    }
    if (r < 0) {
        return r;
    }
    plan_need_scratch(plan, NULL, layout_of(l).end);
    struct step step = {
        .run = run_linear, .free_layer = linear_free, .stage = op->stage, .items = l->n_blocks};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}
