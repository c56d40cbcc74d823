/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/steps.h"

enum {
    PATCH = 16,
    ROWS_PER_PIECE = 32,     /* of normalisation and SwiGLU */
    COLUMNS_PER_PIECE = 192, /* of a linear layer's output */
    MAX_PIECES = 256,
};

/* LINEAR and PATCH_TOKENS: [rows, k] x [k, n], one product for each block of columns. */
struct linear_layer {
    int32_t in, residual, out;
    int32_t rows, k, n;
    int32_t block, n_blocks;
    enum graph_act act;
    enum format format; /* of the first operand */
    struct onednn_product *product[MAX_PIECES];
    struct onednn_weights *weights[MAX_PIECES];
    float *bias;
    /* PATCH_TOKENS: */
    bool patches;
    int32_t prefix;
    float *prefix_tokens; /* [prefix, n] */
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
    free(l->bias);
    free(l->prefix_tokens);
    free(l);
}

static void linear_freep(struct linear_layer **layer)
{
    linear_free(*layer);
}

/* Gather the patches, [rows, 256], of the image in the format of the product. */
static const void *gather_patches(const struct cpu_plan *plan, const struct linear_layer *l,
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
    void *cast = plan_layer_scratch(plan, worker, round_up(rows * area * sizeof *flat));
    const struct epilogue e = {.pixels = rows,
                               .channels = area,
                               .acc = flat,
                               .acc_stride = area,
                               .out = {.data = cast,
                                       .format = l->format,
                                       .stride = l->format == FORMAT_SPLIT ? 3 * area : area,
                                       .plane = area}};
    plan->kernels->epilogue(&e);
    return cast;
}

static size_t patch_scratch(const struct linear_layer *l)
{
    const size_t values = (size_t)l->rows * PATCH * PATCH;
    return l->patches
               ? round_up(values * sizeof(float)) + round_up(values * format_bytes(l->format))
               : 0;
}

static bool run_linear(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                       int32_t worker)
{
    const struct linear_layer *l = layer;
    const size_t c0 = (size_t)item * (size_t)l->block;
    const size_t left = (size_t)l->n - c0;
    const void *in = l->patches ? gather_patches(plan, l, slice, worker)
                                : plan_operand(plan, l->in, slice, 0, 0).data;
    float *acc = plan_layer_scratch(plan, worker, patch_scratch(l));
    if (!onednn_run(l->product[item], worker, in, NULL, acc, plan_product_scratch(plan, worker))) {
        return false;
    }
    struct epilogue e = {.pixels = (size_t)l->rows,
                         .channels = left < (size_t)l->block ? left : (size_t)l->block,
                         .acc = acc,
                         .bias = l->bias == NULL ? NULL : l->bias + c0,
                         .act = l->act,
                         .out = plan_operand(plan, l->out, slice, (size_t)l->prefix, c0)};
    e.acc_stride = e.channels;
    if (l->residual != GRAPH_NONE) {
        e.add[0] = plan_operand(plan, l->residual, slice, 0, c0);
    }
    plan->kernels->epilogue(&e);
    if (l->prefix > 0) {
        const struct epilogue prefix = {.pixels = (size_t)l->prefix,
                                        .channels = e.channels,
                                        .acc = l->prefix_tokens + c0,
                                        .acc_stride = (size_t)l->n,
                                        .out = plan_operand(plan, l->out, slice, 0, c0)};
        plan->kernels->epilogue(&prefix);
    }
    return true;
}

static int make_blocks(struct cpu_plan *plan, struct linear_layer *l, const struct graph_op *op,
                       struct sctd_error *err)
{
    void *plain = NULL;
    const int32_t k = l->k * (l->format == FORMAT_SPLIT ? 3 : 1);
    const bool bf16 = l->format != FORMAT_F32;
    const size_t row_bytes = (size_t)k * (bf16 ? 2 : 4);
    const struct weight_shape weights = {l->n, l->k, 1, l->format};
    int r = steps_plain_weights(&plain, op, &weights, err);
    for (int32_t c0 = 0; r == 0 && c0 < l->n; c0 += l->block) {
        const struct onednn_matmul_shape shape = {.m = l->rows,
                                                  .k = k,
                                                  .n = l->n - c0 < l->block ? l->n - c0 : l->block,
                                                  .bf16 = bf16,
                                                  .transposed = true};
        const int32_t b = l->n_blocks++;
        r = onednn_matmul_new(&l->product[b], plan->onednn, &shape,
                              (const unsigned char *)plain + (size_t)c0 * row_bytes, &l->weights[b],
                              err);
        if (r == 0) {
            plan_need_scratch(plan, l->product[b], 0);
        }
    }
    free(plain);
    return r;
}

static int add_linear(struct cpu_plan *plan, const struct graph_op *op, struct sctd_error *err)
{
    sctd_auto(linear_freep) struct linear_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *in = &plan->place[op->in[0]];
    const struct place *out = &plan->place[op->out];
    l->in = op->in[0];
    l->out = op->out;
    l->residual = op->in[1];
    l->n = out->c;
    l->act = op->act;
    l->patches = op->kind == GRAPH_PATCH_TOKENS;
    l->prefix = l->patches ? op->prefix : 0;
    l->rows = out->h * out->w - l->prefix;
    l->k = l->patches ? PATCH * PATCH : in->c;
    /* Pixels into the first product are its only rounding of the image: always exact. */
    l->format = l->patches ? plan->sensitive_format : product_format(in->format);
    const int32_t least = (l->n + MAX_PIECES - 1) / MAX_PIECES;
    l->block = least > COLUMNS_PER_PIECE ? least : COLUMNS_PER_PIECE;
    l->block = l->block < l->n ? l->block : l->n;
    int r = steps_copy(&l->bias, op->bias, (size_t)l->n, err);
    if (r == 0 && l->patches) {
        r = steps_copy(&l->prefix_tokens, op->extra, (size_t)l->prefix * (size_t)l->n, err);
    }
    if (r == 0) {
        r = make_blocks(plan, l, op, err);
    }
    if (r < 0) {
        return r;
    }
    plan_need_scratch(plan, NULL,
                      patch_scratch(l) + (size_t)l->rows * (size_t)l->block * sizeof(float));
    struct step step = {
        .run = run_linear, .free_layer = linear_free, .stage = op->stage, .items = l->n_blocks};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}

/* LAYER_NORM and SWIGLU: pieces of rows. */
struct row_layer {
    int32_t in[2];
    int32_t out;
    int32_t rows, drop;
    float eps;
    float *weight, *bias;
};

static void row_free(void *layer)
{
    struct row_layer *l = layer;
    if (l != NULL) {
        free(l->weight);
        free(l->bias);
        free(l);
    }
}

static bool run_norm(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                     int32_t worker)
{
    (void)worker;
    const struct row_layer *l = layer;
    const size_t channels = (size_t)plan->place[l->out].c;
    const int32_t row0 = item * ROWS_PER_PIECE;
    const int32_t left = l->rows - row0;
    const struct norm n = {.rows = (size_t)(left < ROWS_PER_PIECE ? left : ROWS_PER_PIECE),
                           .channels = channels,
                           .in = plan_values(plan, l->in[0], slice) +
                                 (size_t)(row0 + l->drop) * channels,
                           .weight = l->weight,
                           .bias = l->bias,
                           .eps = l->eps,
                           .out = plan_operand(plan, l->out, slice, (size_t)row0, 0)};
    plan->kernels->layer_norm(&n);
    return true;
}

static bool run_swiglu(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                       int32_t worker)
{
    (void)worker;
    const struct row_layer *l = layer;
    const size_t channels = (size_t)plan->place[l->out].c;
    const int32_t row0 = item * ROWS_PER_PIECE;
    const int32_t left = l->rows - row0;
    const size_t at = (size_t)row0 * channels;
    plan->kernels->swiglu(plan_values(plan, l->in[0], slice) + at,
                          plan_values(plan, l->in[1], slice) + at,
                          (size_t)(left < ROWS_PER_PIECE ? left : ROWS_PER_PIECE), channels,
                          plan_operand(plan, l->out, slice, (size_t)row0, 0));
    return true;
}

static int add_rows(struct cpu_plan *plan, const struct graph_op *op, struct sctd_error *err)
{
    struct row_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *out = &plan->place[op->out];
    *l = (struct row_layer){.in = {op->in[0], op->in[1]},
                            .out = op->out,
                            .rows = out->h * out->w,
                            .drop = op->prefix,
                            .eps = op->eps};
    int r = steps_copy(&l->weight, op->weight, (size_t)out->c, err);
    if (r == 0) {
        r = steps_copy(&l->bias, op->bias, (size_t)out->c, err);
    }
    if (r < 0) {
        row_free(l);
        return r;
    }
    struct step step = {.run = op->kind == GRAPH_LAYER_NORM ? run_norm : run_swiglu,
                        .layer = l,
                        .free_layer = row_free,
                        .stage = op->stage,
                        .items = (l->rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE};
    return plan_add_step(plan, &step, err);
}

/* ATTENTION: a piece is a head.  Scores, softmax and rotation are f32; the two products are bf16 only
 * where the whole plan is.  The softmax's division comes last, where there is least to divide. */
struct attention_layer {
    int32_t in, out;
    int32_t tokens, head_dim, prefix;
    enum format format;            /* of the operands of the two products */
    struct onednn_product *scores; /* [t, d] x [t, d]' */
    struct onednn_product *mix;    /* [t, t] x [t, d] */
    float *rope;                   /* [2, t - prefix, d] */
};

static void attention_free(void *layer)
{
    struct attention_layer *l = layer;
    if (l != NULL) {
        onednn_product_free(l->scores);
        onednn_product_free(l->mix);
        free(l->rope);
        free(l);
    }
}

static void attention_freep(struct attention_layer **layer)
{
    attention_free(*layer);
}

/* Scratch of a head: q, k, v as operands, the scores, their exponentials, those sums, the output. */
struct head {
    void *part[3];
    float *scores;
    void *weights;
    float *sums;
    float *out;
};

static size_t head_sizes(const struct attention_layer *l, size_t ret_at[7])
{
    const size_t t = (size_t)l->tokens;
    const size_t d = (size_t)l->head_dim;
    const size_t value = format_bytes(l->format);
    const size_t size[7] = {t * d * value,         t * d * value, t * d * value,
                            t * t * sizeof(float), t * t * value, t * sizeof(float),
                            t * d * sizeof(float)};
    size_t at = 0;
    for (int i = 0; i < 7; i++) {
        ret_at[i] = at;
        at += round_up(size[i]);
    }
    return at;
}

/* q, k or v of one head as [t, d]. */
static void gather(const struct cpu_plan *plan, const struct attention_layer *l, int32_t part,
                   const float *qkv, const struct head *h)
{
    const size_t d = (size_t)l->head_dim;
    const size_t dim = (size_t)plan->place[l->out].c;
    const size_t patches = (size_t)(l->tokens - l->prefix);
    const bool turned = part < 2;
    const struct head_rows rows = {
        .rows = (size_t)l->tokens,
        .channels = d,
        .prefix = (size_t)l->prefix,
        .in = qkv + (size_t)part * dim,
        .in_stride = 3 * dim,
        .cos = turned ? l->rope : NULL,
        .sin = turned ? l->rope + patches * d : NULL,
        .out = {.data = h->part[part], .format = l->format, .stride = d, .plane = d}};
    plan->kernels->head_rows(&rows);
}

static bool run_attention(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                          int32_t worker)
{
    const struct attention_layer *l = layer;
    const size_t d = (size_t)l->head_dim;
    const size_t t = (size_t)l->tokens;
    size_t at[7];
    (void)head_sizes(l, at);
    const struct head h = {.part = {plan_layer_scratch(plan, worker, at[0]),
                                    plan_layer_scratch(plan, worker, at[1]),
                                    plan_layer_scratch(plan, worker, at[2])},
                           .scores = plan_layer_scratch(plan, worker, at[3]),
                           .weights = plan_layer_scratch(plan, worker, at[4]),
                           .sums = plan_layer_scratch(plan, worker, at[5]),
                           .out = plan_layer_scratch(plan, worker, at[6])};
    const float *qkv = plan_values(plan, l->in, slice) + (size_t)item * d;
    for (int32_t part = 0; part < 3; part++) {
        gather(plan, l, part, qkv, &h);
    }
    void *scratch = plan_product_scratch(plan, worker);
    if (!onednn_run(l->scores, worker, h.part[0], h.part[1], h.scores, scratch)) {
        return false;
    }
    const struct softmax s = {
        .rows = t,
        .columns = t,
        .scores = h.scores,
        .scale = 1.0F / sqrtf((float)d),
        .out = {.data = h.weights, .format = l->format, .stride = t, .plane = t},
        .ret_sums = h.sums};
    plan->kernels->softmax(&s);
    if (!onednn_run(l->mix, worker, h.weights, h.part[2], h.out, scratch)) {
        return false;
    }
    plan->kernels->divide_rows(h.out, h.sums, t, d,
                               plan_operand(plan, l->out, slice, 0, (size_t)item * d));
    return true;
}

static int add_attention(struct cpu_plan *plan, const struct graph_op *op, struct sctd_error *err)
{
    sctd_auto(attention_freep) struct attention_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    const struct place *out = &plan->place[op->out];
    l->in = op->in[0];
    l->out = op->out;
    l->tokens = out->w;
    l->head_dim = out->c / op->heads;
    l->prefix = op->prefix;
    l->format = plan->format == FORMAT_BF16 ? FORMAT_BF16 : FORMAT_F32;
    const bool bf16 = l->format == FORMAT_BF16;
    const struct onednn_matmul_shape scores = {
        .m = l->tokens, .k = l->head_dim, .n = l->tokens, .bf16 = bf16, .transposed = true};
    const struct onednn_matmul_shape mix = {
        .m = l->tokens, .k = l->tokens, .n = l->head_dim, .bf16 = bf16};
    const size_t patches = (size_t)(l->tokens - l->prefix);
    int r = steps_copy(&l->rope, op->extra, 2 * patches * (size_t)l->head_dim, err);
    if (r == 0) {
        r = onednn_matmul_free_new(&l->scores, plan->onednn, &scores, err);
    }
    if (r == 0) {
        r = onednn_matmul_free_new(&l->mix, plan->onednn, &mix, err);
    }
    if (r < 0) {
        return r;
    }
    size_t at[7];
    plan_need_scratch(plan, l->scores, head_sizes(l, at));
    plan_need_scratch(plan, l->mix, 0);
    struct step step = {
        .run = run_attention, .free_layer = attention_free, .stage = op->stage, .items = op->heads};
    step.layer = sctd_steal(&l);
    return plan_add_step(plan, &step, err);
}

int steps_vit(struct cpu_plan *plan, const struct graph_op *op, struct sctd_error *err)
{
    switch ((int)op->kind) {
    case GRAPH_PATCH_TOKENS:
    case GRAPH_LINEAR:
        return add_linear(plan, op, err);
    case GRAPH_LAYER_NORM:
    case GRAPH_SWIGLU:
        return add_rows(plan, op, err);
    case GRAPH_ATTENTION:
        return add_attention(plan, op, err);
    default:
        return sctd_error(err, SCTD_EINVAL, "operation %d is not of the transformer",
                          (int)op->kind);
    }
}
