/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/steps.h"

struct elementwise_layer {
    enum graph_op_kind kind;
    int32_t in[3];
    int32_t out;
    int32_t factor;
    int32_t rows_per_item;
    float *weight; /* last conv: [9, channels] */
    float bias;
};

static void elementwise_free(void *layer)
{
    struct elementwise_layer *l = layer;
    if (l != NULL) {
        free(l->weight);
        free(l);
    }
}

struct rows {
    int32_t row0, row1;
    size_t pixel0, pixels, channels;
};

static struct rows rows_of(const struct cpu_plan *plan, const struct elementwise_layer *l,
                           int32_t item)
{
    const struct place *p = &plan->place[l->out];
    const int32_t row0 = item * l->rows_per_item;
    const int32_t end = row0 + l->rows_per_item;
    const int32_t row1 = end < p->h ? end : p->h;
    return (struct rows){row0, row1, (size_t)row0 * (size_t)p->w,
                         (size_t)(row1 - row0) * (size_t)p->w, (size_t)p->c};
}

/* Load input i of the rows as f32 into the worker's i-th buffer. */
static float *load_rows(const struct cpu_plan *plan, const struct elementwise_layer *l, int i,
                        int32_t slice, const struct rows *r, int32_t worker)
{
    const size_t size = r->pixels * r->channels;
    float *to = plan_layer_scratch(plan, worker, (size_t)i * round_up(size * sizeof(float)));
    const struct operand from = plan_operand(plan, l->in[i], slice, r->pixel0, 0);
    plan->kernels->load(&from, r->pixels, r->channels, to);
    return to;
}

static void store_rows(const struct cpu_plan *plan, const struct elementwise_layer *l,
                       int32_t slice, const struct rows *r, const float *values)
{
    const struct epilogue e = {.pixels = r->pixels,
                               .channels = r->channels,
                               .acc = values,
                               .acc_stride = r->channels,
                               .out = plan_operand(plan, l->out, slice, r->pixel0, 0)};
    plan->kernels->epilogue(&e);
}

static bool run_max_pool(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                         int32_t worker)
{
    (void)worker;
    const struct elementwise_layer *l = layer;
    const struct rows r = rows_of(plan, l, item);
    const size_t width = (size_t)plan->place[l->out].w;
    for (int32_t y = r.row0; y < r.row1; y++) {
        const size_t pixel = (size_t)y * 4 * width;
        const struct operand top = plan_operand(plan, l->in[0], slice, pixel, 0);
        const struct operand low = plan_operand(plan, l->in[0], slice, pixel + 2 * width, 0);
        plan->kernels->max_pool(&top, &low, plan_operand(plan, l->out, slice, (size_t)y * width, 0),
                                width, r.channels);
    }
    return true;
}

static bool run_add(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                    int32_t worker)
{
    const struct elementwise_layer *l = layer;
    const struct rows r = rows_of(plan, l, item);
    float *a = load_rows(plan, l, 0, slice, &r, worker);
    const float *b = load_rows(plan, l, 1, slice, &r, worker);
    plan->kernels->add_scaled(a, b, 1.0F, r.pixels * r.channels);
    store_rows(plan, l, slice, &r, a);
    return true;
}

static bool run_gate(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                     int32_t worker)
{
    const struct elementwise_layer *l = layer;
    const struct rows r = rows_of(plan, l, item);
    float *a = load_rows(plan, l, 0, slice, &r, worker);
    const float *b = load_rows(plan, l, 1, slice, &r, worker);
    const float *gate = load_rows(plan, l, 2, slice, &r, worker);
    for (size_t i = 0; i < r.pixels * r.channels; i++) {
        a[i] = gate[i] * a[i] + (1.0F - gate[i]) * b[i];
    }
    store_rows(plan, l, slice, &r, a);
    return true;
}

static bool run_scale_add(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                          int32_t worker)
{
    const struct elementwise_layer *l = layer;
    const struct rows r = rows_of(plan, l, item);
    float *a = load_rows(plan, l, 0, slice, &r, worker);
    const float *b = load_rows(plan, l, 1, slice, &r, worker);
    const float *factor = plan_values(plan, l->in[2], slice);
    for (size_t i = 0; i < r.pixels * r.channels; i++) {
        const size_t c = i % r.channels;
        a[i] = factor[c] * a[i] + factor[r.channels + c] * b[i];
    }
    store_rows(plan, l, slice, &r, a);
    return true;
}

/* One piece: a mean split between workers would depend on how it is split. */
static bool run_mean(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                     int32_t worker)
{
    (void)item;
    const struct elementwise_layer *l = layer;
    const struct place *in = &plan->place[l->in[0]];
    const size_t channels = (size_t)in->c;
    const size_t pixels = (size_t)in->h * (size_t)in->w;
    double *sum = plan_layer_scratch(plan, worker, 0);
    float *row = plan_layer_scratch(plan, worker, round_up(channels * sizeof *sum));
    for (size_t c = 0; c < channels; c++) {
        sum[c] = 0.0;
    }
    for (size_t p = 0; p < pixels; p++) {
        const struct operand from = plan_operand(plan, l->in[0], slice, p, 0);
        plan->kernels->load(&from, 1, channels, row);
        for (size_t c = 0; c < channels; c++) {
            sum[c] += (double)row[c];
        }
    }
    for (size_t c = 0; c < channels; c++) {
        row[c] = (float)(sum[c] / (double)pixels);
    }
    const struct rows r = {.row1 = 1, .pixels = 1, .channels = channels};
    store_rows(plan, l, slice, &r, row);
    return true;
}

/* Two rows, or columns, that an output lies between, and how near it is to each. */
struct between {
    int32_t at[2];
    float weight[2];
};

static struct between between(int32_t at, int32_t factor, int32_t low)
{
    const float src = ((float)at + 0.5F) / (float)factor - 0.5F;
    const float clamped = src < 0.0F ? 0.0F : src;
    const int32_t first = (int32_t)clamped;
    const float weight = clamped - (float)first;
    return (struct between){{first, first + 1 < low ? first + 1 : first}, {1.0F - weight, weight}};
}

static bool run_upsample(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                         int32_t worker)
{
    const struct elementwise_layer *l = layer;
    const struct rows r = rows_of(plan, l, item);
    const struct place *low = &plan->place[l->in[0]];
    const int32_t width = low->w * l->factor;
    float *acc = plan_layer_scratch(plan, worker, 0);
    float *row = plan_layer_scratch(plan, worker, round_up(r.pixels * r.channels * sizeof(float)));
    memset(acc, 0, r.pixels * r.channels * sizeof *acc);
    for (int32_t p = 0; p < (int32_t)r.pixels; p++) {
        const struct between y = between(r.row0 + p / width, l->factor, low->h);
        const struct between x = between(p % width, l->factor, low->w);
        for (int i = 0; i < 4; i++) {
            const int32_t pixel = y.at[i / 2] * low->w + x.at[i % 2];
            const struct operand from = plan_operand(plan, l->in[0], slice, (size_t)pixel, 0);
            plan->kernels->load(&from, 1, r.channels, row);
            plan->kernels->add_scaled(acc + (size_t)p * r.channels, row,
                                      y.weight[i / 2] * x.weight[i % 2], r.channels);
        }
    }
    store_rows(plan, l, slice, &r, acc);
    return true;
}

static bool run_last_conv(struct cpu_plan *plan, const void *layer, int32_t slice, int32_t item,
                          int32_t worker)
{
    const struct elementwise_layer *l = layer;
    const struct rows r = rows_of(plan, l, item);
    const struct place *in = &plan->place[l->in[0]];
    float *acc = plan_layer_scratch(plan, worker, 0);
    const struct small_conv c = {.h = in->h,
                                 .w = in->w,
                                 .channels = in->c,
                                 .row0 = r.row0,
                                 .row1 = r.row1,
                                 .in = plan_values(plan, l->in[0], slice),
                                 .weight = l->weight,
                                 .out = acc,
                                 .bias = l->bias};
    plan->kernels->conv_to_one(&c);
    const struct epilogue e = {.pixels = 1,
                               .channels = r.pixels,
                               .acc = acc,
                               .acc_stride = r.pixels,
                               .act = (enum graph_act)l->factor,
                               .out = plan_operand(plan, l->out, slice, r.pixel0, 0)};
    plan->kernels->epilogue(&e);
    return true;
}

static int add_layer(struct cpu_plan *plan, struct elementwise_layer *l, step_fn run,
                     enum graph_stage stage, struct sctd_error *err)
{
    const struct place *out = &plan->place[l->out];
    const int32_t row = out->w * out->c * 4;
    l->rows_per_item = row > 128 * 1024 ? 1 : 128 * 1024 / row;
    const int32_t quarter = (out->h + 3) / 4;
    l->rows_per_item = l->rows_per_item < quarter ? l->rows_per_item : quarter;
    const size_t inputs =
        (size_t)(plan->place[l->in[0]].c > out->c ? plan->place[l->in[0]].c : out->c);
    plan_need_scratch(
        plan, NULL,
        3 * round_up((size_t)l->rows_per_item * (size_t)out->w * inputs * sizeof(double)));
    const struct step step = {.run = run,
                              .layer = l,
                              .free_layer = elementwise_free,
                              .stage = stage,
                              .items = (out->h + l->rows_per_item - 1) / l->rows_per_item};
    return plan_add_step(plan, &step, err);
}

static step_fn find_run(enum graph_op_kind kind)
{
    switch ((int)kind) {
    case GRAPH_MAX_POOL:
        return run_max_pool;
    case GRAPH_UPSAMPLE:
        return run_upsample;
    case GRAPH_ADD:
        return run_add;
    case GRAPH_MEAN:
        return run_mean;
    case GRAPH_GATE:
        return run_gate;
    case GRAPH_SCALE_ADD:
        return run_scale_add;
    default:
        return NULL;
    }
}

int steps_elementwise(struct cpu_plan *plan, const struct graph_op *op, struct sctd_error *err)
{
    step_fn run = find_run(op->kind);
    if (run == NULL) {
        return sctd_error(err, SCTD_EINVAL, "operation %d is not elementwise", (int)op->kind);
    }
    struct elementwise_layer *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    *l = (struct elementwise_layer){.kind = op->kind,
                                    .in = {op->in[0], op->in[1], op->in[2]},
                                    .out = op->out,
                                    .factor = op->factor};
    return add_layer(plan, l, run, op->stage, err);
}

int steps_last_conv(struct cpu_plan *plan, const struct graph_op *op, struct sctd_error *err)
{
    const int32_t channels = plan->place[op->in[0]].c;
    void *plain = NULL;
    const struct weight_shape weights = {1, channels, 9, FORMAT_F32, NULL};
    int r = steps_plain_weights(&plain, op, &weights, err);
    if (r < 0) {
        return r;
    }
    struct elementwise_layer *l = calloc(1, sizeof *l);
    float *weight = malloc((size_t)channels * 9 * sizeof *weight);
    if (l == NULL || weight == NULL) {
        free(l);
        free(weight);
        free(plain);
        return sctd_error(err, SCTD_ENOMEM, "layer");
    }
    for (int32_t i = 0; i < 9 * channels; i++) {
        weight[i % 9 * channels + i / 9] = ((const float *)plain)[i];
    }
    free(plain);
    *l = (struct elementwise_layer){.kind = op->kind,
                                    .in = {op->in[0], GRAPH_NONE, GRAPH_NONE},
                                    .out = op->out,
                                    .factor = (int32_t)op->act,
                                    .weight = weight,
                                    .bias = op->bias == NULL ? 0.0F : op->bias[0]};
    return add_layer(plan, l, run_last_conv, op->stage, err);
}
