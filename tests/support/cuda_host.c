/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cuda_host.h"

#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_expand.h"
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/support/cuda_host_volume.h"

enum { MAX_WIDTH = 256, GUARD = 0x7b };

struct host_plan {
    struct backend_plan base;
    struct program *program;
    unsigned char *weights;
    enum backend_precision precision;
    int32_t max_batch;
    size_t memory_bytes;
    struct cuda_host_volume volume;
};

static void host_free(struct backend_plan *base)
{
    struct host_plan *plan = (struct host_plan *)base;
    if (plan != NULL) {
        assert(plan->volume.voxel == NULL);
        program_free(plan->program);
        free(plan->weights);
        free(plan);
    }
}

static int host_compile(struct backend_plan **ret_plan, const struct graph *g,
                        const struct backend_options *options, struct sctd_error *err)
{
    struct backend_options o = *options;
    int r = graph_check(g, err);
    if (r < 0) {
        return r;
    }
    o.precision = o.precision == BACKEND_AUTO ? BACKEND_FP16 : o.precision;
    struct host_plan *plan = calloc(1, sizeof *plan);
    assert(plan != NULL);
    plan->base.backend = &cuda_host_backend;
    plan->precision = o.precision;
    plan->max_batch = o.max_batch;
    plan->memory_bytes = o.memory_bytes;
    r = program_new(&plan->program, g, &o, err);
    if (r < 0) {
        host_free(&plan->base);
        return r;
    }
    plan->weights = aligned_alloc(PROGRAM_ALIGN, plan->program->weight_bytes + PROGRAM_ALIGN);
    assert(plan->weights != NULL);
    for (int32_t i = 0; i < plan->program->n_weights; i++) {
        program_pack(plan->program, g, i, plan->weights + plan->program->weight[i].offset);
    }
    *ret_plan = &plan->base;
    return 0;
}

/* Each product's operand as the precision has it. */
static float operand_value(const void *data, int32_t type, size_t at, enum backend_precision p)
{
    const float v = value_load(data, type, at);
    /* What is f32 is rounded to tf32, 10 bits of mantissa, unless fp32 was asked for. */
    return type == VALUE_F32 && p != BACKEND_FP32
               ? value_of_bits((value_bits(v) + 0x1000U) & 0xffffe000U)
               : v;
}

static float *take_values(const void *data, int32_t type, size_t n, enum backend_precision p)
{
    float *values = calloc(n + 1, sizeof *values);
    assert(values != NULL);
    for (size_t i = 0; i < n; i++) {
        values[i] = operand_value(data, type, i, p);
    }
    return values;
}

static float dot(const float *a, const float *b, size_t n)
{
    float part[VALUE_LANES] = {0.0F};
    for (size_t i = 0; i < n; i += VALUE_LANES) {
        for (size_t k = 0; k < VALUE_LANES; k++) {
            part[k] += a[i + k] * b[i + k];
        }
    }
    return ((part[0] + part[4]) + (part[1] + part[5])) +
           ((part[2] + part[6]) + (part[3] + part[7]));
}

/* One output of a convolution or product before its epilogue. */
static float product_at(const struct product_args *a, const float *x, const float *weight,
                        size_t pixel, size_t o)
{
    const int32_t taps = a->kernel * a->kernel;
    const size_t stride = (size_t)a->x.stride;
    const size_t slice0 = pixel / (size_t)a->w / (size_t)a->h * (size_t)a->h;
    const int32_t row = (int32_t)(pixel / (size_t)a->w % (size_t)a->h);
    const int32_t column = (int32_t)(pixel % (size_t)a->w);
    float sum = 0.0F;
    for (int32_t tap = 0; tap < taps; tap++) {
        const int32_t r = row + tap / a->kernel - a->kernel / 2;
        const int32_t c = column + tap % a->kernel - a->kernel / 2;
        if (r >= 0 && r < a->h && c >= 0 && c < a->w) {
            const size_t from = ((slice0 + (size_t)r) * (size_t)a->w + (size_t)c) * stride;
            sum += dot(x + from, weight + (o * (size_t)taps + (size_t)tap) * stride, stride);
        }
    }
    return sum;
}

/* Eight outputs of a pixel before what finish_lanes does to them; LINEAR's bias is of y's type. */
static struct lanes product_lanes(const struct product_args *a, const float *x_weight[2],
                                  size_t pixel, size_t channel, bool linear)
{
    struct lanes v = {{0.0F}};
    for (size_t i = 0; i < VALUE_LANES; i++) {
        v.v[i] = product_at(a, x_weight[0], x_weight[1], pixel, channel + i);
        if (linear && a->finish.bias != NULL) {
            v.v[i] += value_load(a->finish.bias, a->finish.y.type, channel + i);
        }
    }
    return v;
}

static void run_product(const struct product_args *a, enum step_kind kind, enum backend_precision p)
{
    const size_t pixels = (size_t)a->slices * (size_t)a->h * (size_t)a->w;
    const size_t outputs = (size_t)a->finish.y.stride;
    const size_t taps = (size_t)a->kernel * (size_t)a->kernel;
    float *x = take_values(a->x.data, a->x.type, pixels * (size_t)a->x.stride, p);
    float *weight = take_values(a->weight, a->x.type, outputs * taps * (size_t)a->x.stride, p);
    struct finish_args finish = a->finish;
    finish.bias = kind == STEP_LINEAR ? NULL : a->finish.bias;
    for (size_t item = 0; item < pixels * outputs / VALUE_LANES; item++) {
        const size_t pixel = item / (outputs / VALUE_LANES);
        const size_t channel = item % (outputs / VALUE_LANES) * VALUE_LANES;
        const struct lanes v =
            product_lanes(a, (const float *[]){x, weight}, pixel, channel, kind == STEP_LINEAR);
        const struct lanes y = finish_lanes(&finish, v, pixel, channel);
        lanes_store(finish.y.data, finish.y.type, pixel * outputs + channel, &y);
    }
    free(x);
    free(weight);
}

static void run_norm(const struct norm_args *a, size_t item)
{
    float mean_rate[2] = {0.0F, 0.0F};
    float squares = 0.0F;
    enum { LANES = 32 };
    for (int32_t lane = 0; lane < LANES; lane++) {
        mean_rate[0] += norm_sum(a, item, lane, LANES);
    }
    mean_rate[0] /= (float)a->c;
    for (int32_t lane = 0; lane < LANES; lane++) {
        squares += norm_square_sum(a, item, mean_rate[0], lane, LANES);
    }
    mean_rate[1] = norm_rate(a, squares);
    for (int32_t lane = 0; lane < LANES; lane++) {
        norm_write(a, item, mean_rate, lane, LANES);
    }
}

static void run_attention(const struct attention_args *a, size_t item)
{
    enum { LANES = 32 };
    static float mix[LANES][MAX_WIDTH / LANES];
    struct attention_state state[LANES];
    const struct attention_at at = attention_place(a, item);
    const float scale = 1.0F / sqrtf((float)a->width);
    memset(mix, 0, sizeof mix);
    for (int32_t lane = 0; lane < LANES; lane++) {
        state[lane] = (struct attention_state){-HUGE_VALF, 0.0F};
    }
    for (int32_t key = 0; key < a->tokens; key++) {
        float score = 0.0F;
        for (int32_t lane = 0; lane < LANES; lane++) {
            score += attention_part(a, &at, key, lane, LANES);
        }
        for (int32_t lane = 0; lane < LANES; lane++) {
            const struct attention_score scored = {key, score * scale};
            attention_take(a, &at, &state[lane], mix[lane], scored, (const int32_t[]){lane, LANES});
        }
    }
    for (int32_t lane = 0; lane < LANES; lane++) {
        attention_write(a, &at, &state[lane], mix[lane], lane, LANES);
    }
}

static void run_mean(const struct mean_args *a, size_t item)
{
    enum { PARTS = 32 };
    struct lanes sum = {{0.0F}};
    for (int32_t part = 0; part < PARTS; part++) {
        const struct lanes one = mean_part(a, item, part, PARTS);
        for (int i = 0; i < VALUE_LANES; i++) {
            sum.v[i] += one.v[i];
        }
    }
    mean_write(a, item, &sum);
}

static void run_item(enum step_kind kind, const union step_args *a, size_t item)
{
    switch (kind) {
    case STEP_CONVERT:
        convert_body(&a->convert, item);
        break;
    case STEP_FIRST_CONV:
        first_conv_body(&a->first_conv, item);
        break;
    case STEP_MERGE:
        merge_body(&a->merge, item);
        break;
    case STEP_LAST_CONV:
        last_conv_body(&a->last_conv, item);
        break;
    case STEP_ACT:
        finish_body(&a->finish, item);
        break;
    case STEP_PATCHIFY:
        patchify_body(&a->patchify, item);
        break;
    case STEP_TOKENS:
        tokens_body(&a->tokens, item);
        break;
    case STEP_NORM:
        run_norm(&a->norm, item);
        break;
    case STEP_ROPE:
        rope_body(&a->rope, item);
        break;
    case STEP_ATTENTION:
        run_attention(&a->attention, item);
        break;
    case STEP_SWIGLU:
        swiglu_body(&a->join, item);
        break;
    case STEP_MAX_POOL:
        pool_body(&a->pool, item);
        break;
    case STEP_UPSAMPLE:
        upsample_body(&a->upsample, item);
        break;
    case STEP_EXPAND:
        expand_body(&a->expand, item);
        break;
    case STEP_ADD:
        add_body(&a->join, item);
        break;
    case STEP_MEAN:
        run_mean(&a->mean, item);
        break;
    case STEP_GATE:
        gate_body(&a->join, item);
        break;
    case STEP_SCALE_ADD:
        scale_add_body(&a->join, item);
        break;
    case STEP_CONV:
    case STEP_LINEAR:
    case STEP_KINDS:
        abort(); /* they have none */
    }
}

static void run_program(const struct host_plan *plan, const struct binding *b)
{
    for (int32_t i = 0; i < plan->program->n_steps; i++) {
        const struct step *s = &plan->program->step[i];
        union step_args args;
        const size_t items = bind_step(&args, b, s);
        if (s->kind == STEP_CONV || s->kind == STEP_LINEAR) {
            run_product(&args.product, s->kind, plan->precision);
            continue;
        }
        for (size_t item = 0; item < items; item++) {
            run_item(s->kind, &args, item);
        }
    }
}

static int host_run(struct backend_plan *base, const struct backend_io *io, struct sctd_error *err)
{
    struct host_plan *plan = (struct host_plan *)base;
    const struct program *p = plan->program;
    if (io->n < 1 || io->n > plan->max_batch) {
        return sctd_error(err, SCTD_EINVAL, "%d slices, the plan takes 1 to %d", io->n,
                          plan->max_batch);
    }
    struct binding b = {.program = p, .slices = io->n, .weights = plan->weights};
    const size_t n = (size_t)io->n;
    const size_t pixels = n * program_pixels(&p->buffer[p->x_cnn]);
    const size_t arena_bytes = n * p->arena_bytes;
    b.arena = aligned_alloc(PROGRAM_ALIGN, arena_bytes + PROGRAM_ALIGN);
    assert(b.arena != NULL);
    /* What nothing has written is no number, and what lies behind the arena must stay. */
    memset(b.arena, 0xff, arena_bytes);
    memset(b.arena + arena_bytes, GUARD, PROGRAM_ALIGN);
    memcpy(bind_operand(&b, p->x_cnn).data, io->x_cnn, pixels * sizeof(float));
    memcpy(bind_operand(&b, p->x_dino).data, io->x_dino, pixels * sizeof(float));
    run_program(plan, &b);
    const int32_t wanted = io->taps == NULL ? 1 : p->n_outputs;
    for (int32_t i = 0; i < wanted; i++) {
        const struct program_buffer *buffer = &p->buffer[p->output[i]];
        const size_t values = n * program_pixels(buffer) * (size_t)buffer->c;
        memcpy(i == 0 ? io->y : io->taps[i - 1], bind_operand(&b, p->output[i]).data,
               values * sizeof(float));
    }
    for (size_t i = 0; i < PROGRAM_ALIGN; i++) {
        assert(b.arena[arena_bytes + i] == GUARD);
    }
    free(b.arena);
    return 0;
}

/* Volumes */

static int host_put(struct backend_plan *base, const float *voxel, size_t n, struct sctd_error *err)
{
    struct host_plan *plan = (struct host_plan *)base;
    (void)err;
    return cuda_host_put(&plan->volume, voxel, n, plan->memory_bytes) ? 0 : BACKEND_NO_ROOM;
}

static int host_count(struct backend_plan *base, size_t *ret_count, const uint32_t *upper,
                      int32_t n_upper, struct sctd_error *err)
{
    (void)err;
    cuda_host_count(&((struct host_plan *)base)->volume, ret_count, upper, n_upper);
    return 0;
}

static int run_chunk(struct host_plan *plan, const struct backend_volume *v,
                     struct cuda_host_chunk *c, struct sctd_error *err)
{
    const size_t values = (size_t)c->room * (size_t)c->h * (size_t)c->w;
    float *x = calloc(3 * values, sizeof *x);
    assert(x != NULL);
    memset(x, 0xff, 3 * values * sizeof *x);
    c->x_cnn = x;
    c->x_dino = x + values;
    c->y = x + 2 * values;
    cuda_host_in(&plan->volume, v, c);
    const struct backend_io io = {
        .n = c->room, .x_cnn = c->x_cnn, .x_dino = c->x_dino, .y = x + 2 * values};
    int r = host_run(&plan->base, &io, err);
    r = r < 0 ? r : cuda_host_out(v, c, err);
    free(x);
    return r;
}

static int host_run_volume(struct backend_plan *base, const struct backend_volume *v,
                           struct sctd_error *err)
{
    struct host_plan *plan = (struct host_plan *)base;
    const struct program_buffer *x = &plan->program->buffer[plan->program->x_cnn];
    int r = 0;
    assert(plan->volume.n == (size_t)v->dim[0] * (size_t)v->dim[1] * (size_t)v->dim[2]);
    for (int64_t at = 0; r == 0 && at < v->dim[0]; at += plan->max_batch) {
        const int64_t left = v->dim[0] - at;
        struct cuda_host_chunk c = {
            .slice0 = at,
            .n = left < plan->max_batch ? (int32_t)left : plan->max_batch,
            .room = plan->max_batch,
            .h = x->h,
            .w = x->w,
        };
        r = run_chunk(plan, v, &c, err);
        if (r == 0 && v->on_slices != NULL) {
            v->on_slices(v->arg, at + c.n, v->dim[0]);
        }
    }
    return r;
}

static void host_drop(struct backend_plan *base)
{
    cuda_host_drop(&((struct host_plan *)base)->volume);
}

static const struct backend_volumes host_volumes = {
    .put = host_put,
    .count = host_count,
    .run = host_run_volume,
    .drop = host_drop,
};

static void host_take_stats(struct backend_plan *base, struct backend_stats *ret_stats)
{
    (void)base;
    *ret_stats = (struct backend_stats){.arithmetic = "the device's, on the host", .threads = 1};
}

static int host_matrix_peak(double *ret_gflops, enum backend_precision precision, int32_t threads,
                            struct sctd_error *err)
{
    (void)precision;
    (void)threads;
    *ret_gflops = 0.0;
    return sctd_error(err, SCTD_EINVAL, "the host executor has no peak");
}

static int module_compile(struct backend_plan **ret_plan, const struct graph *g,
                          const struct backend_options *options, struct sctd_error *err)
{
    int r = host_compile(ret_plan, g, options, err);
    if (r == 0) {
        (*ret_plan)->backend = &cuda_host_module_backend;
    }
    return r;
}

const struct backend cuda_host_backend = {
    .name = "cuda-host",
    .compile = host_compile,
    .run = host_run,
    .take_stats = host_take_stats,
    .free = host_free,
    .matrix_peak = host_matrix_peak,
    .volumes = &host_volumes,
};

const struct backend cuda_host_module_backend = {
    .name = "cuda",
    .compile = module_compile,
    .run = host_run,
    .take_stats = host_take_stats,
    .free = host_free,
    .matrix_peak = host_matrix_peak,
    .volumes = &host_volumes,
};
