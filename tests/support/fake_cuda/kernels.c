/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels' starters: their bodies on the host, when the stream comes to them. */
#include "engine/backend/cuda/device/kernels.h"

#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_recipe.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/cuda_host_step.h"
#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/fake_cuda/inside.h"

static const float kernel_ms = 0.01F;

static cudaError_t start(const char *function, const struct fake_work *work, cudaStream_t stream)
{
    const cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, function);
    return e == cudaSuccess ? fake_start(stream, work) : e;
}

/* A step of a kind that is not a product. */
struct step_run {
    enum step_kind kind;
    union step_args args;
    size_t items;
};

static void run_step(const void *args)
{
    const struct step_run *r = args;
    cuda_host_run_step(r->kind, &r->args, r->items, BACKEND_FP32);
}

static cudaError_t start_step(const char *function, const struct step_run *r, cudaStream_t stream)
{
    return start(
        function,
        &(struct fake_work){.run = run_step, .args = r, .size = sizeof *r, .ms = kernel_ms},
        stream);
}

/* Our convolutions of any shape. */
struct conv_run {
    struct plain_conv_args args;
    size_t items;
    long *count;
};

static void run_conv(const void *args)
{
    const struct conv_run *r = args;
    ++*r->count;
    for (size_t item = 0; item < r->items; item++) {
        plain_conv_body(&r->args, item);
    }
}

static cudaError_t start_conv(const struct product_args *p, size_t items, long *count, float ms,
                              cudaStream_t stream)
{
    const struct conv_run r = {.args = {.x = p->x,
                                        .weight = p->weight,
                                        .finish = p->finish,
                                        .h = p->h,
                                        .w = p->w,
                                        .kernel = p->kernel},
                               .items = items,
                               .count = count};
    return fake_start(stream,
                      &(struct fake_work){.run = run_conv, .args = &r, .size = sizeof r, .ms = ms});
}

cudaError_t kernels_start(enum step_kind kind, const union step_args *args, size_t items,
                          cudaStream_t stream)
{
    if (kind == STEP_CONV) {
        static const float plain_ms = 100.0F;
        const cudaError_t e = (cudaError_t)fake_call(FAKE_CUDA, __func__);
        return e == cudaSuccess ? start_conv(&args->product, items, &fake_cuda_counts.plain_runs,
                                             plain_ms, stream)
                                : e;
    }
    return start_step(__func__, &(struct step_run){kind, *args, items}, stream);
}

cudaError_t kernels_start_finish(const struct finish_args *args, size_t items, cudaStream_t stream)
{
    return start_step(__func__, &(struct step_run){STEP_ACT, {.finish = *args}, items}, stream);
}

static bool is_16_bit(int32_t type)
{
    return type == VALUE_F16 || type == VALUE_BF16;
}

int kernels_start_tensor_attention(const struct attention_args *args, int32_t slices,
                                   cudaStream_t stream, cudaError_t *ret_error)
{
    const bool width = args->width == 32 || args->width == 64 || args->width == 128;
    if (fake_cuda.no_tensor_kernels || !width || !is_16_bit(args->x.type)) {
        return 0;
    }
    const struct step_run r = {STEP_ATTENTION,
                               {.attention = *args},
                               (size_t)slices * (size_t)args->tokens * (size_t)args->heads};
    *ret_error = start_step(__func__, &r, stream);
    return 1;
}

int kernels_start_tensor_merge(const struct merge_args *args, size_t items, cudaStream_t stream,
                               cudaError_t *ret_error)
{
    if (fake_cuda.no_tensor_kernels || args->x[0].type != VALUE_F16 ||
        args->finish.y.type != VALUE_F16) {
        return 0;
    }
    *ret_error =
        start_step(__func__, &(struct step_run){STEP_MERGE, {.merge = *args}, items}, stream);
    return 1;
}

int kernels_have_conv64(const struct product_args *args)
{
    const struct fake_cuda_device *d = &fake_cuda.device[fake_device()];
    const struct finish_args *f = &args->finish;
    return d->major == 9 && d->minor == 0 && args->kernel == 3 && args->x.stride == 64 &&
           f->y.stride <= 128 && args->x.type == VALUE_F16 && f->y.type == VALUE_F16 &&
           f->before.data == NULL && (f->act == BODY_NONE || f->act == BODY_GELU) && args->h >= 3;
}

int kernels_start_conv64(const struct product_args *args, cudaStream_t stream,
                         cudaError_t *ret_error)
{
    if (kernels_have_conv64(args) == 0) {
        return 0;
    }
    const size_t items = (size_t)args->slices * (size_t)args->h * (size_t)args->w *
                         ((size_t)args->finish.y.stride / VALUE_LANES);
    *ret_error = (cudaError_t)fake_call(FAKE_CUDA, __func__);
    if (*ret_error == cudaSuccess) {
        *ret_error =
            start_conv(args, items, &fake_cuda_counts.conv64_runs, fake_cuda.conv64_ms, stream);
    }
    return 1;
}

/* The recipe's */

struct count_run {
    struct recipe_count_args args;
    size_t values;
};

static void run_count(const void *args)
{
    const struct count_run *r = args;
    for (size_t item = 0; item < r->values; item++) {
        const int32_t bin = recipe_bin(&r->args, item);
        if (bin != RECIPE_NO_BIN) {
            r->args.count[bin]++;
        }
    }
}

cudaError_t kernels_start_count(const struct recipe_count_args *args, size_t values,
                                int multiprocessors, cudaStream_t stream)
{
    const struct count_run r = {*args, values};
    (void)multiprocessors;
    return start(
        __func__,
        &(struct fake_work){.run = run_count, .args = &r, .size = sizeof r, .ms = kernel_ms},
        stream);
}

struct in_run {
    struct recipe_in_args args;
    size_t items;
};

static void run_in(const void *args)
{
    const struct in_run *r = args;
    for (size_t item = 0; item < r->items; item++) {
        recipe_in_body(&r->args, item);
    }
}

cudaError_t kernels_start_in(const struct recipe_in_args *args, size_t items, cudaStream_t stream)
{
    const struct in_run r = {*args, items};
    return start(__func__,
                 &(struct fake_work){.run = run_in, .args = &r, .size = sizeof r, .ms = kernel_ms},
                 stream);
}

struct out_run {
    struct recipe_out_args args;
    size_t items;
};

static void run_out(const void *args)
{
    const struct out_run *r = args;
    for (size_t item = 0; item < r->items; item++) {
        recipe_out_body(&r->args, item);
    }
}

cudaError_t kernels_start_out(const struct recipe_out_args *args, size_t items, cudaStream_t stream)
{
    const struct out_run r = {*args, items};
    return start(__func__,
                 &(struct fake_work){.run = run_out, .args = &r, .size = sizeof r, .ms = kernel_ms},
                 stream);
}

struct finite_run {
    const float *value;
    size_t values;
    uint32_t *bad;
};

static void run_finite(const void *args)
{
    const struct finite_run *r = args;
    for (size_t i = 0; i < r->values; i++) {
        *r->bad = recipe_is_finite(r->value[i]) == 0 ? 1 : *r->bad;
    }
}

cudaError_t kernels_start_finite(const float *value, size_t values, uint32_t *ret_bad,
                                 cudaStream_t stream)
{
    const struct finite_run r = {value, values, ret_bad};
    return start(
        __func__,
        &(struct fake_work){.run = run_finite, .args = &r, .size = sizeof r, .ms = kernel_ms},
        stream);
}
