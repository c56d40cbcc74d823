/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this GPU, with its driver and libraries, computes what the network asks for: each step that another's engine
 * or tensor cores make is compared, over the first slice, with the plain kernel that needs neither.
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

/* Of the largest value of a step.  Roundings stay far below them; a wrong or missing product does not. */
static const float most_apart_exact = 1e-4F;
static const float most_apart_rounded = 1.0F / 32.0F;

/* One slice's results of a step, here and there. */
struct checking {
    struct cuda_plan *plan;
    struct cuda_buf scratch; /* of the plain kernel, f32 */
    float *plain;            /* the same */
    void *chosen;            /* as they are stored */
    void *bias;              /* a LINEAR's, as it is stored */
};

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
        return NULL; /* has one kernel */
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

/* The step's first slice by the plain kernel, but without a product's bias, which may be of 16 bits. */
static int start_plain(const struct checking *c, const struct cuda_step *s, int32_t stride,
                       struct sctd_error *err)
{
    const struct operand to = {.data = c->scratch.data, .type = VALUE_F32, .stride = stride};
    union step_args args = s->args;
    enum step_kind kind = s->kind;
    if (kind == STEP_ATTENTION) {
        args.attention.y = to;
    } else if (kind == STEP_MERGE) {
        args.merge.finish.y = to;
    } else {
        args.product.finish.y = to;
    }
    if (kind == STEP_LINEAR) {
        kind = STEP_CONV;
        args.product.kernel = 1;
        args.product.finish.bias = NULL;
    }
    return device_check(
        kernels_start(kind, &args, s->items / (size_t)c->plan->chunk, c->plan->work),
        "checking the GPU", err);
}

static int fetch(void *to, const void *from, size_t bytes, struct sctd_error *err)
{
    return device_check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "checking the GPU",
                        err);
}

/* On noise everywhere, since a step that adds to what lies there would hide in it. */
static int run_both(const struct checking *c, int32_t step, size_t values, struct sctd_error *err)
{
    struct cuda_plan *plan = c->plan;
    const struct cuda_step *s = &plan->step[step];
    const struct operand y = cuda_plan_operand(plan, plan->program->step[step].out);
    const void *bias = s->kind == STEP_LINEAR ? s->args.product.finish.bias : NULL;
    int r = noise_fill(&plan->arena, plan->work, err);
    r = r < 0 ? r : start_plain(c, s, y.stride, err);
    r = r < 0 ? r : cuda_plan_start_steps(plan, step, step + 1, err);
    r = r < 0 ? r : device_check(cudaStreamSynchronize(plan->work), "checking the GPU", err);
    r = r < 0 ? r : fetch(c->plain, c->scratch.data, values * sizeof *c->plain, err);
    r = r < 0 ? r : fetch(c->chosen, y.data, values * value_size(y.type), err);
    if (r == 0 && bias != NULL) {
        r = fetch(c->bias, bias, (size_t)y.stride * value_size(y.type), err);
    }
    return r;
}

/* The largest difference over the largest value; infinite where something is not finite. */
static float compare(const struct checking *c, const struct operand *y, size_t values, bool biased)
{
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
    const struct cuda_step *s = &c->plan->step[step];
    const struct program_buffer *out = &c->plan->program->buffer[c->plan->program->step[step].out];
    const struct operand y = cuda_plan_operand(c->plan, c->plan->program->step[step].out);
    const size_t values = slice_values(c->plan, step);
    const bool exact = c->plan->precision == BACKEND_FP32;
    int r = run_both(c, step, values, err);
    if (r < 0) {
        return r;
    }
    const bool biased = s->kind == STEP_LINEAR && s->args.product.finish.bias != NULL;
    const float apart = compare(c, &y, values, biased);
    if (apart <= (exact ? most_apart_exact : most_apart_rounded)) {
        return 0;
    }
    return sctd_error(err, SCTD_EDEVICE,
                      "the GPU computes wrong: a %s to %d x %d x %d is off by %.2g of its largest "
                      "value; its driver or libraries do not fit it; the CPU does (--backend cpu)",
                      name_of(s->kind), out->h, out->w, out->c, (double)apart);
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
    int r = cuda_buf_new(&c->scratch, most * sizeof *c->plain, err);
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
