/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/steps.h"

enum { ROWS_PER_PIECE = 32 /* of normalisation and SwiGLU */ };

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
