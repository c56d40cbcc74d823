/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/graph.h"
#include "engine/backend/ref/ref.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"

struct ref_plan {
    struct backend_plan base;
    struct graph_tensor *tensor; /* [n_tensors] shapes */
    float **value;               /* [n_tensors] one slice of each, in the arena */
    struct ref_op *op;           /* [n_ops] */
    int32_t *tap;                /* [n_taps] tensors */
    float *arena;                /* values and weights */
    double *scratch;             /* the largest that an operation needs */
    int32_t n_tensors, n_ops, n_taps;
    int32_t y;
    int32_t max_batch;
    double stage_ms[GRAPH_STAGES];
};

static const struct ref_kind kinds[] = {
    [GRAPH_PATCH_TOKENS] = {ref_patch_tokens_sizes, ref_patch_tokens},
    [GRAPH_LAYER_NORM] = {ref_layer_norm_sizes, ref_layer_norm},
    [GRAPH_LINEAR] = {ref_linear_sizes, ref_linear},
    [GRAPH_ATTENTION] = {ref_attention_sizes, ref_attention},
    [GRAPH_SWIGLU] = {NULL, ref_swiglu},
    [GRAPH_CONV] = {ref_conv_sizes, ref_conv},
    [GRAPH_MAX_POOL] = {NULL, ref_max_pool},
    [GRAPH_UPSAMPLE] = {NULL, ref_upsample},
    [GRAPH_ADD] = {NULL, ref_add},
    [GRAPH_MEAN] = {ref_mean_sizes, ref_mean},
    [GRAPH_GATE] = {NULL, ref_gate},
    [GRAPH_SCALE_ADD] = {NULL, ref_scale_add},
};

static void ref_free(struct backend_plan *plan)
{
    struct ref_plan *p = (struct ref_plan *)plan;
    if (p == NULL) {
        return;
    }
    free(p->tensor);
    free((void *)p->value);
    free(p->op);
    free(p->tap);
    free(p->arena);
    free(p->scratch);
    free(p);
}

static void ref_plan_freep(struct ref_plan **p)
{
    ref_free((struct backend_plan *)*p);
}

static size_t tensor_values(const struct graph_tensor *t)
{
    return ref_pixels(t) * (size_t)t->c;
}

static struct ref_sizes sizes_of(const struct ref_op *op)
{
    struct ref_sizes (*get)(const struct ref_op *) = kinds[op->attr.kind].get_sizes;
    return get == NULL ? (struct ref_sizes){0} : get(op);
}

/* Attributes and shapes of the operations; memory follows once its size is known. */
static void describe_ops(struct ref_plan *p, const struct graph *g)
{
    for (int32_t i = 0; i < g->n_ops; i++) {
        struct ref_op *op = &p->op[i];
        op->attr = g->op[i];
        op->attr.weight = NULL;
        op->attr.scale = NULL;
        op->attr.bias = NULL;
        op->attr.extra = NULL;
        op->out = &p->tensor[op->attr.out];
        for (int k = 0; k < 3; k++) {
            op->in[k] = op->attr.in[k] == GRAPH_NONE ? NULL : &p->tensor[op->attr.in[k]];
        }
    }
}

static int allocate(struct ref_plan *p, struct sctd_error *err)
{
    size_t values = 1; /* never none, so that NULL means failure */
    size_t scratch = 1;
    for (int32_t t = 0; t < p->n_tensors; t++) {
        values += tensor_values(&p->tensor[t]);
    }
    for (int32_t i = 0; i < p->n_ops; i++) {
        const struct ref_sizes sizes = sizes_of(&p->op[i]);
        values += sizes.rows * sizes.row + sizes.rows + sizes.extra;
        scratch = sizes.scratch > scratch ? sizes.scratch : scratch;
    }
    p->arena = calloc(values, sizeof *p->arena);
    p->scratch = calloc(scratch, sizeof *p->scratch);
    if (p->arena == NULL || p->scratch == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "reference plan of %zu values", values);
    }
    return 0;
}

static float *take_values(float **next, size_t n)
{
    float *taken = *next;
    *next += n;
    return taken;
}

static void copy_weights(struct ref_op *op, const struct graph_op *from, float **next)
{
    const struct ref_sizes sizes = sizes_of(op);
    op->weight = take_values(next, sizes.rows * sizes.row);
    op->bias = take_values(next, sizes.rows);
    op->extra = take_values(next, sizes.extra);
    for (size_t o = 0; o < sizes.rows; o++) {
        const double scale = from->scale == NULL ? 1.0 : from->scale[o];
        for (size_t i = 0; i < sizes.row; i++) {
            const double weight = (double)from->weight[o * sizes.row + i];
            op->weight[i * sizes.rows + o] = (float)(weight * scale);
        }
        op->bias[o] = from->bias == NULL ? 0.0F : from->bias[o];
    }
    if (sizes.extra > 0) {
        memcpy(op->extra, from->extra, sizes.extra * sizeof *op->extra);
    }
}

/* Give every tensor and every operation its place in the arena, and copy the weights. */
static void bind(struct ref_plan *p, const struct graph *g)
{
    float *next = p->arena;
    for (int32_t t = 0; t < p->n_tensors; t++) {
        p->value[t] = take_values(&next, tensor_values(&p->tensor[t]));
    }
    for (int32_t i = 0; i < p->n_ops; i++) {
        struct ref_op *op = &p->op[i];
        op->scratch = p->scratch;
        op->y = p->value[op->attr.out];
        for (int k = 0; k < 3; k++) {
            op->x[k] = op->in[k] == NULL ? NULL : p->value[op->attr.in[k]];
        }
        copy_weights(op, &g->op[i], &next);
    }
}

static int check_options(const struct graph *g, const struct backend_options *options,
                         struct sctd_error *err)
{
    if (options->precision != BACKEND_AUTO && options->precision != BACKEND_FP32) {
        return sctd_error(err, SCTD_EINVAL, "the reference backend computes only in fp32");
    }
    if (options->threads < 0 || options->max_batch < 1 || options->n_taps < 0) {
        return sctd_error(err, SCTD_EINVAL, "%d threads, batch of %d, %d taps", options->threads,
                          options->max_batch, options->n_taps);
    }
    for (int32_t i = 0; i < options->n_taps; i++) {
        if (options->taps[i] < 0 || options->taps[i] >= g->n_tensors) {
            return sctd_error(err, SCTD_EINVAL, "tap %d is no tensor of the graph",
                              options->taps[i]);
        }
    }
    return 0;
}

static int plan_new(struct ref_plan **ret_plan, const struct graph *g,
                    const struct backend_options *options, struct sctd_error *err)
{
    sctd_auto(ref_plan_freep) struct ref_plan *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "reference plan");
    }
    p->base.backend = &backend_ref;
    p->n_tensors = g->n_tensors;
    p->n_ops = g->n_ops;
    p->n_taps = options->n_taps;
    p->y = g->y;
    p->max_batch = options->max_batch;
    p->tensor = calloc((size_t)g->n_tensors, sizeof *p->tensor);
    p->value = (float **)calloc((size_t)g->n_tensors, sizeof *p->value);
    p->op = calloc((size_t)g->n_ops, sizeof *p->op);
    p->tap = calloc((size_t)options->n_taps + 1, sizeof *p->tap);
    if (p->tensor == NULL || p->value == NULL || p->op == NULL || p->tap == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "reference plan of %d operations", g->n_ops);
    }
    memcpy(p->tensor, g->tensor, (size_t)g->n_tensors * sizeof *p->tensor);
    for (int32_t i = 0; i < options->n_taps; i++) {
        p->tap[i] = options->taps[i];
    }
    *ret_plan = sctd_steal(&p);
    return 0;
}

static int ref_compile(struct backend_plan **ret_plan, const struct graph *g,
                       const struct backend_options *options, struct sctd_error *err)
{
    int r = graph_check(g, err);
    if (r < 0) {
        return r;
    }
    r = check_options(g, options, err);
    if (r < 0) {
        return r;
    }
    sctd_auto(ref_plan_freep) struct ref_plan *p = NULL;
    r = plan_new(&p, g, options, err);
    if (r < 0) {
        return r;
    }
    describe_ops(p, g);
    r = allocate(p, err);
    if (r < 0) {
        return r;
    }
    bind(p, g);
    *ret_plan = &sctd_steal(&p)->base;
    return 0;
}

static void copy_out(const struct ref_plan *p, int32_t tensor, float *to, int32_t slice)
{
    const size_t n = tensor_values(&p->tensor[tensor]);
    memcpy(to + (size_t)slice * n, p->value[tensor], n * sizeof *to);
}

static void run_slice(struct ref_plan *p, const struct backend_io *io, int32_t slice)
{
    const size_t n = tensor_values(&p->tensor[GRAPH_X_CNN]);
    memcpy(p->value[GRAPH_X_CNN], io->x_cnn + (size_t)slice * n, n * sizeof(float));
    memcpy(p->value[GRAPH_X_DINO], io->x_dino + (size_t)slice * n, n * sizeof(float));
    for (int32_t i = 0; i < p->n_ops; i++) {
        const struct ref_op *op = &p->op[i];
        const double start_s = sctd_now_s();
        kinds[op->attr.kind].run(op);
        p->stage_ms[op->attr.stage] += (sctd_now_s() - start_s) * 1e3;
    }
    copy_out(p, p->y, io->y, slice);
    for (int32_t i = 0; i < p->n_taps; i++) {
        copy_out(p, p->tap[i], io->taps[i], slice);
    }
}

static int ref_run(struct backend_plan *plan, const struct backend_io *io, struct sctd_error *err)
{
    struct ref_plan *p = (struct ref_plan *)plan;
    if (io->n < 1 || io->n > p->max_batch) {
        return sctd_error(err, SCTD_EINVAL, "%d slices, the plan takes 1 to %d", io->n,
                          p->max_batch);
    }
    for (int32_t slice = 0; slice < io->n; slice++) {
        run_slice(p, io, slice);
    }
    return 0;
}

static void ref_take_stats(struct backend_plan *plan, struct backend_stats *ret_stats)
{
    struct ref_plan *p = (struct ref_plan *)plan;
    ret_stats->arithmetic = "fp64 sums of fp32";
    ret_stats->precision = BACKEND_FP32;
    memcpy(ret_stats->stage_ms, p->stage_ms, sizeof p->stage_ms);
    memset(p->stage_ms, 0, sizeof p->stage_ms);
}

static int ref_matrix_peak(double *ret_gflops, enum backend_precision precision, int32_t threads,
                           struct sctd_error *err)
{
    *ret_gflops = 0.0;
    (void)precision;
    (void)threads;
    return sctd_error(err, SCTD_EINVAL, "the reference backend has no peak");
}

const struct backend backend_ref = {
    .name = "ref",
    .compile = ref_compile,
    .run = ref_run,
    .take_stats = ref_take_stats,
    .free = ref_free,
    .matrix_peak = ref_matrix_peak,
};
