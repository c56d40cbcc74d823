/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this GPU, with its driver and libraries, computes what the network asks for: each step that another's engine
 * or tensor cores make is compared, over the first slice and the last, with the plain kernel that needs neither.
 */
#include <driver_types.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/noise.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/error.h"

enum { SLICES = 2 };

/* A slice's results of a step, here and there. */
struct checking {
    struct cuda_plan *plan;
    struct cuda_buf scratch; /* of the plain kernel, f32: all SLICES */
    float *plain;            /* one of them */
    void *chosen;            /* as they are stored */
    void *bias;              /* a LINEAR's, as it is stored */
};

/* What may lie between them, of a step's largest value: some roundings, but no product that is wrong or missing. */
static float most_apart(enum backend_precision precision)
{
    switch (precision) {
    case BACKEND_FP32:
        return 1e-4F;
    case BACKEND_BF16:
        return 1.0F / 32.0F;
    case BACKEND_FP16:
    case BACKEND_TF32:
    case BACKEND_AUTO:
    case BACKEND_BF16X3:
        break;
    }
    return 1.0F / 128.0F;
}

static const char *name_of(enum step_kind kind)
{
    switch ((int)kind) {
    case STEP_CONV:
        return "convolution";
    case STEP_LINEAR:
        return "product";
    case STEP_MERGE:
        return "merge";
    case STEP_ATTENTION:
        return "attention";
    default:
        return NULL; /* is not compared */
    }
}

static size_t slice_values(const struct cuda_plan *plan, int32_t step)
{
    const struct program_buffer *out = &plan->program->buffer[plan->program->step[step].out];
    return program_pixels(out) * (size_t)out->stride;
}

static size_t largest_slice(const struct cuda_plan *plan)
{
    size_t most = 0;
    for (int32_t i = 0; i < plan->program->n_steps; i++) {
        const size_t n = name_of(plan->step[i].kind) == NULL ? 0 : slice_values(plan, i);
        most = n > most ? n : most;
    }
    return most;
}

static int32_t slice_at(const struct cuda_plan *plan, int32_t k)
{
    return k == 0 ? 0 : plan->chunk - 1;
}

/* To the same operand from a slice on, whose pixels are as many as the output's. */
static void skip_slices(struct operand *x, size_t pixels)
{
    if (x->data != NULL) {
        x->data = (unsigned char *)x->data + pixels * (size_t)x->stride * value_size(x->type);
    }
}

static void skip_in_finish(struct finish_args *f, size_t pixels, const struct operand *to)
{
    skip_slices(&f->before, pixels);
    skip_slices(&f->add[0], pixels);
    skip_slices(&f->add[1], pixels);
    f->y = *to;
}

/* Slice `k` of a step by the plain kernel, but without a product's bias, which may be of 16 bits. */
static int start_plain(const struct checking *c, int32_t step, int32_t k, struct sctd_error *err)
{
    struct cuda_plan *plan = c->plan;
    const struct cuda_step *s = &plan->step[step];
    const struct program_buffer *out = &plan->program->buffer[plan->program->step[step].out];
    const size_t pixels = (size_t)slice_at(plan, k) * program_pixels(out);
    const struct operand to = {.data =
                                   (float *)c->scratch.data + (size_t)k * slice_values(plan, step),
                               .type = VALUE_F32,
                               .stride = out->stride};
    union step_args args = s->args;
    enum step_kind kind = s->kind;
    if (kind == STEP_ATTENTION) {
        skip_slices(&args.attention.x, pixels);
        args.attention.y = to;
    } else if (kind == STEP_MERGE) {
        skip_slices(&args.merge.x[0], pixels);
        skip_slices(&args.merge.x[1], pixels);
        skip_in_finish(&args.merge.finish, pixels, &to);
    } else {
        skip_slices(&args.product.x, pixels);
        skip_in_finish(&args.product.finish, pixels, &to);
    }
    if (kind == STEP_LINEAR) {
        kind = STEP_CONV;
        args.product.kernel = 1;
        args.product.finish.bias = NULL;
    }
    return device_check(kernels_start(kind, &args, s->items / (size_t)plan->chunk, plan->work),
                        "checking the GPU", err);
}

static int fetch(void *to, const void *from, size_t bytes, struct sctd_error *err)
{
    return device_check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "checking the GPU",
                        err);
}

/* On noise everywhere, since a step that adds to what lies there would hide in it. */
static int run_both(const struct checking *c, int32_t step, struct sctd_error *err)
{
    struct cuda_plan *plan = c->plan;
    int r = noise_fill(&plan->arena, plan->work, err);
    for (int32_t k = 0; r == 0 && k < SLICES; k++) {
        r = start_plain(c, step, k, err);
    }
    r = r < 0 ? r : cuda_plan_start_steps(plan, step, step + 1, err);
    return r < 0 ? r : device_check(cudaStreamSynchronize(plan->work), "checking the GPU", err);
}

static const void *product_bias(const struct cuda_step *s)
{
    return s->kind == STEP_LINEAR ? s->args.product.finish.bias : NULL;
}

static int fetch_slice(const struct checking *c, int32_t step, int32_t k, struct sctd_error *err)
{
    const struct cuda_plan *plan = c->plan;
    const struct operand y = cuda_plan_operand(plan, plan->program->step[step].out);
    const void *bias = product_bias(&plan->step[step]);
    const size_t values = slice_values(plan, step);
    const size_t bytes = values * value_size(y.type);
    const unsigned char *chosen = (const unsigned char *)y.data + (size_t)slice_at(plan, k) * bytes;
    int r = fetch(c->plain, (const float *)c->scratch.data + (size_t)k * values,
                  values * sizeof *c->plain, err);
    r = r < 0 ? r : fetch(c->chosen, chosen, bytes, err);
    if (r == 0 && bias != NULL) {
        r = fetch(c->bias, bias, (size_t)y.stride * value_size(y.type), err);
    }
    return r;
}

/* The largest difference over the largest value; infinite where something is not finite. */
static float compare(const struct checking *c, int32_t step)
{
    const struct cuda_plan *plan = c->plan;
    const struct program_buffer *y = &plan->program->buffer[plan->program->step[step].out];
    const bool biased = product_bias(&plan->step[step]) != NULL;
    const size_t values = slice_values(plan, step);
    float apart = 0.0F;
    float largest = 0.0F;
    for (size_t i = 0; i < values; i++) {
        const float bias = biased ? value_load(c->bias, y->type, i % (size_t)y->stride) : 0.0F;
        const float plain = c->plain[i] + bias;
        const float far = fabsf(value_load(c->chosen, y->type, i) - plain);
        if (!isfinite(far)) {
            return INFINITY;
        }
        apart = far > apart ? far : apart;
        largest = fabsf(plain) > largest ? fabsf(plain) : largest;
    }
    return apart > 0.0F ? apart / largest : 0.0F;
}

static int check_step(const struct checking *c, int32_t step, struct sctd_error *err)
{
    const struct cuda_plan *plan = c->plan;
    const struct program_buffer *out = &plan->program->buffer[plan->program->step[step].out];
    float apart = 0.0F;
    int r = run_both(c, step, err);
    for (int32_t k = 0; r == 0 && k < SLICES; k++) {
        r = fetch_slice(c, step, k, err);
        apart = r == 0 ? fmaxf(apart, compare(c, step)) : apart;
    }
    if (r < 0 || apart <= most_apart(plan->precision)) {
        return r;
    }
    return sctd_error(err, SCTD_EDEVICE,
                      "the GPU computes wrong: a %s to %d x %d x %d is off by %.2g of its largest "
                      "value; its driver or libraries do not fit it; the CPU does (--backend cpu)",
                      name_of(plan->step[step].kind), out->h, out->w, out->c, (double)apart);
}

static int check_all(struct checking *c, struct sctd_error *err)
{
    const size_t most = largest_slice(c->plan);
    c->plain = malloc(most * sizeof *c->plain);
    c->chosen = malloc(most * sizeof(float));
    c->bias = malloc(most * sizeof(float));
    if (c->plain == NULL || c->chosen == NULL || c->bias == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "checking the GPU");
    }
    int r = cuda_buf_new(&c->scratch, SLICES * most * sizeof *c->plain, err);
    for (int32_t i = 0; r == 0 && i < c->plan->program->n_steps; i++) {
        r = name_of(c->plan->step[i].kind) == NULL ? 0 : check_step(c, i, err);
    }
    return r;
}

int cuda_plan_check(struct cuda_plan *plan, struct sctd_error *err)
{
    struct checking c = {.plan = plan};
    const int r = largest_slice(plan) == 0 ? 0 : check_all(&c, err);
    cuda_buf_free(&c.scratch);
    free(c.plain);
    free(c.chosen);
    free(c.bias);
    return r;
}
