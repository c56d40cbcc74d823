/* SPDX-License-Identifier: Apache-2.0 */
#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/device/convolution.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/product.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/staging.h"
#include "engine/base/error.h"

static int start_step(struct cuda_plan *plan, const struct cuda_step *s, struct sctd_error *err)
{
    if (s->kind == STEP_CONV) {
        return convolution_run(s->convolution, plan->cudnn, plan->work, err);
    }
    if (s->kind == STEP_LINEAR) {
        return product_run(s->product, plan->lt, plan->workspace.data, plan->work, err);
    }
    cudaError_t e = cudaSuccess;
    int on_tensor_cores = 0;
    if (s->kind == STEP_ATTENTION) {
        on_tensor_cores =
            kernels_start_tensor_attention(&s->args.attention, plan->chunk, plan->work, &e);
    } else if (s->kind == STEP_MERGE) {
        on_tensor_cores = kernels_start_tensor_merge(&s->args.merge, s->items, plan->work, &e);
    }
    if (on_tensor_cores == 0) {
        e = kernels_start(s->kind, &s->args, s->items, plan->work);
    }
    return device_check(e, "a kernel", err);
}

int cuda_plan_start_steps(struct cuda_plan *plan, int32_t first, int32_t last,
                          struct sctd_error *err)
{
    int r = 0;
    for (int32_t i = first; r == 0 && i < last; i++) {
        r = start_step(plan, &plan->step[i], err);
    }
    return r;
}

/* The slices of one turn. */
struct chunk {
    const struct backend_io *io;
    struct cuda_side *side;
    int32_t slice0, n;
};

static size_t image_values(const struct cuda_plan *plan)
{
    return program_pixels(&plan->program->buffer[plan->program->x_cnn]);
}

struct operand cuda_plan_operand(const struct cuda_plan *plan, int32_t buffer)
{
    const struct binding b = {.program = plan->program,
                              .slices = plan->chunk,
                              .arena = plan->arena.data,
                              .weights = plan->weights.data};
    return bind_operand(&b, buffer);
}

/* 2, or 1: both inputs are the same. */
static size_t inputs_apart(const struct chunk *c)
{
    return c->io->x_cnn == c->io->x_dino ? 1 : 2;
}

/* Inputs to the device's side; a chunk that is not full is filled up with zeros. */
static int upload(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    struct cuda_side *side = c->side;
    const size_t image = image_values(plan);
    const size_t room = (size_t)plan->chunk * image;
    const size_t used = (size_t)c->n * image;
    /* What this side carried two chunks ago has left pinned memory and has been taken by the network. */
    int r = device_check(cudaEventSynchronize(side->uploaded), "copying in", err);
    if (r < 0) {
        return r;
    }
    const float *const x[2] = {c->io->x_cnn, c->io->x_dino};
    const size_t images = inputs_apart(c);
    for (size_t i = 0; i < images; i++) {
        float *to = side->host_in + i * room;
        staging_copy(plan->pool, to, x[i] + (size_t)c->slice0 * image, used * sizeof(float));
        memset(to + used, 0, (room - used) * sizeof(float));
    }
    r = device_check(cudaStreamWaitEvent(plan->up, side->taken, 0), "copying in", err);
    if (r == 0) {
        r = device_check(cudaMemcpyAsync(side->in.data, side->host_in,
                                         images * room * sizeof(float), cudaMemcpyHostToDevice,
                                         plan->up),
                         "copying in", err);
    }
    return r < 0 ? r : device_check(cudaEventRecord(side->uploaded, plan->up), "copying in", err);
}

static int copy_inside(struct cuda_plan *plan, void *to, const void *from, size_t values,
                       struct sctd_error *err)
{
    return device_check(
        cudaMemcpyAsync(to, from, values * sizeof(float), cudaMemcpyDeviceToDevice, plan->work),
        "copying on the GPU", err);
}

static int find_not_finite(struct cuda_plan *plan, const void *values, size_t n, uint32_t *ret_mark,
                           struct sctd_error *err)
{
    return device_check(kernels_start_finite(values, n, ret_mark, plan->work), "looking for NaN",
                        err);
}

static int take_inputs(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    const struct program *p = plan->program;
    const struct cuda_side *side = c->side;
    const size_t room = (size_t)plan->chunk * image_values(plan);
    const float *in = side->in.data;
    const float *dino = in + (inputs_apart(c) - 1) * room;
    int r = device_check(cudaStreamWaitEvent(plan->work, side->uploaded, 0), "copying in", err);
    /* The marks went down with the results two chunks ago. */
    if (r == 0) {
        r = device_check(cudaStreamWaitEvent(plan->work, side->fetched, 0), "copying in", err);
    }
    if (r == 0) {
        r = device_check(cudaMemsetAsync(side->out.data, 0, CUDA_MARKS, plan->work), "copying in",
                         err);
    }
    if (r == 0) {
        r = find_not_finite(plan, in, inputs_apart(c) * room, side->out.data, err);
    }
    if (r == 0) {
        r = copy_inside(plan, cuda_plan_operand(plan, p->x_cnn).data, in, room, err);
    }
    if (r == 0) {
        r = copy_inside(plan, cuda_plan_operand(plan, p->x_dino).data, dino, room, err);
    }
    return r < 0 ? r : device_check(cudaEventRecord(side->taken, plan->work), "copying in", err);
}

int cuda_plan_start_network(struct cuda_plan *plan, const struct cuda_side *side,
                            struct sctd_error *err)
{
    int r = device_check(cudaEventRecord(side->stage[0], plan->work), "the network", err);
    for (int32_t i = 0; r == 0 && i < plan->n_segments; i++) {
        const struct cuda_segment *s = &plan->segment[i];
        r = s->graph != NULL
                ? device_check(cudaGraphLaunch(s->graph, plan->work), "the network", err)
                : cuda_plan_start_steps(plan, s->first, s->last, err);
        if (r == 0) {
            r = device_check(cudaEventRecord(side->stage[i + 1], plan->work), "the network", err);
        }
    }
    return r;
}

static size_t output_values(const struct cuda_plan *plan, int32_t i)
{
    const struct program_buffer *b = &plan->program->buffer[plan->program->output[i]];
    return (size_t)plan->chunk * program_pixels(b) * (size_t)b->c;
}

/* Outputs to the device's side, and from there to pinned memory. */
static int give_outputs(struct cuda_plan *plan, const struct cuda_side *side,
                        struct sctd_error *err)
{
    float *out = (float *)side->out.data + CUDA_MARKS / sizeof(float);
    int r = find_not_finite(plan, cuda_plan_operand(plan, plan->program->output[0]).data,
                            output_values(plan, 0), (uint32_t *)side->out.data + 1, err);
    for (int32_t i = 0; r == 0 && i < plan->program->n_outputs; i++) {
        const size_t values = output_values(plan, i);
        r = copy_inside(plan, out, cuda_plan_operand(plan, plan->program->output[i]).data, values,
                        err);
        out += values;
    }
    if (r == 0) {
        r = device_check(cudaEventRecord(side->computed, plan->work), "copying out", err);
    }
    if (r == 0) {
        r = device_check(cudaStreamWaitEvent(plan->down, side->computed, 0), "copying out", err);
    }
    if (r == 0) {
        const size_t bytes = CUDA_MARKS + (size_t)plan->chunk * plan->out_values * sizeof(float);
        r = device_check(cudaMemcpyAsync(side->host_out, side->out.data, bytes,
                                         cudaMemcpyDeviceToHost, plan->down),
                         "copying out", err);
    }
    return r < 0 ? r : device_check(cudaEventRecord(side->fetched, plan->down), "copying out", err);
}

static int start_chunk(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    int r = upload(plan, c, err);
    r = r < 0 ? r : take_inputs(plan, c, err);
    r = r < 0 ? r : cuda_plan_start_network(plan, c->side, err);
    return r < 0 ? r : give_outputs(plan, c->side, err);
}

int cuda_plan_count_time(struct cuda_plan *plan, const struct cuda_side *side,
                         struct sctd_error *err)
{
    int r = 0;
    for (int32_t i = 0; r == 0 && i < plan->n_segments; i++) {
        float ms = 0.0F;
        r = device_check(cudaEventElapsedTime(&ms, side->stage[i], side->stage[i + 1]),
                         "the network's time", err);
        plan->stage_ms[plan->segment[i].stage] += (double)ms;
    }
    return r;
}

int cuda_plan_refuse_output(const struct cuda_plan *plan, struct sctd_error *err)
{
    return sctd_error(err, SCTD_EDATA, "the network's output is not finite%s",
                      plan->precision == BACKEND_FP16
                          ? ": a value on the way may be too large for fp16; bf16 and fp32 hold it"
                          : "");
}

static int check_marks(const struct cuda_plan *plan, const struct cuda_side *side,
                       struct sctd_error *err)
{
    uint32_t mark[2];
    memcpy(mark, side->host_out, sizeof mark);
    if (mark[0] != 0) {
        return sctd_error(err, SCTD_EDATA, "an input value is not finite");
    }
    return mark[1] != 0 ? cuda_plan_refuse_output(plan, err) : 0;
}

/* Wait for a chunk and hand its results to the caller. */
static int finish_chunk(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    const float *from = c->side->host_out + CUDA_MARKS / sizeof(float);
    int r = device_check(cudaEventSynchronize(c->side->fetched), "the network", err);
    if (r == 0) {
        r = cuda_plan_count_time(plan, c->side, err);
    }
    if (r == 0) {
        r = check_marks(plan, c->side, err);
    }
    for (int32_t i = 0; r == 0 && i < plan->program->n_outputs; i++) {
        const size_t all = output_values(plan, i);
        const size_t slice = all / (size_t)plan->chunk;
        float *to = i == 0 ? c->io->y : c->io->taps[i - 1];
        staging_copy(plan->pool, to + (size_t)c->slice0 * slice, from,
                     (size_t)c->n * slice * sizeof *to);
        from += all;
    }
    return r;
}

int cuda_plan_run(struct cuda_plan *plan, const struct backend_io *io, struct sctd_error *err)
{
    struct chunk before = {.n = 0};
    int32_t turn = 0;
    int r = device_check(cudaSetDevice(plan->device.index), "the GPU", err);
    for (int32_t at = 0; r == 0 && at < io->n; at += plan->chunk) {
        const int32_t left = io->n - at;
        const struct chunk c = {.io = io,
                                .side = &plan->side[turn++ % CUDA_SIDES],
                                .slice0 = at,
                                .n = left < plan->chunk ? left : plan->chunk};
        r = start_chunk(plan, &c, err);
        if (r == 0 && before.n > 0) {
            r = finish_chunk(plan, &before, err);
        }
        before = c;
    }
    if (r == 0 && before.n > 0) {
        r = finish_chunk(plan, &before, err);
    }
    if (r < 0) {
        /* Nothing of this call may be on its way any more when the caller's buffers go. */
        (void)cudaDeviceSynchronize();
    }
    return r;
}
