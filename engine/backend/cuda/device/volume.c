/* SPDX-License-Identifier: Apache-2.0 */
/* Whole volumes by the recipe: up once, through the network chunk by chunk, HU down as they are ready. */
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body_recipe.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/product.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/staging.h"
#include "engine/base/error.h"

_Static_assert((int)RECIPE_BINS == (int)BACKEND_COUNTS &&
                   (int)RECIPE_UPPERS == (int)BACKEND_MAX_UPPERS,
               "one way to count");

_Static_assert(PRODUCT_WORKSPACE >= sizeof(uint32_t) * RECIPE_UPPERS * RECIPE_BINS,
               "the counters fit into any plan's workspace");

static struct cuda_plan *plan_of(struct backend_plan *base)
{
    return (struct cuda_plan *)base;
}

static int use_device(const struct cuda_plan *plan, struct sctd_error *err)
{
    return device_check(cudaSetDevice(plan->device.index), "the GPU", err);
}

/* Memory */

static void free_out(struct cuda_volume *v)
{
    for (int i = 0; i < CUDA_SIDES; i++) {
        cuda_buf_free(&v->out[i]);
        if (v->host_out[i] != NULL) {
            (void)cudaFreeHost(v->host_out[i]);
            v->host_out[i] = NULL;
        }
    }
    v->host_out_bytes = 0;
}

void cuda_volume_fini(struct cuda_volume *volume)
{
    cuda_buf_free(&volume->voxels);
    free_out(volume);
}

/* Memory within the budget.  BACKEND_NO_ROOM: there is none. */
static int take_memory(struct cuda_plan *plan, struct cuda_buf *ret_buf, size_t bytes,
                       struct sctd_error *err)
{
    const size_t held = cuda_plan_bytes(plan);
    if (plan->budget_bytes != 0 &&
        (held > plan->budget_bytes || bytes > plan->budget_bytes - held)) {
        return BACKEND_NO_ROOM;
    }
    int r = cuda_buf_new(ret_buf, bytes, err);
    return r == SCTD_ENOMEM ? BACKEND_NO_ROOM : r;
}

static int make_out(struct cuda_plan *plan, size_t bytes, struct sctd_error *err)
{
    struct cuda_volume *v = &plan->volume;
    int r = 0;
    if (bytes <= v->host_out_bytes) {
        return 0;
    }
    free_out(v);
    for (int i = 0; r == 0 && i < CUDA_SIDES; i++) {
        r = take_memory(plan, &v->out[i], bytes, err);
        if (r == 0) {
            r = device_pin(&v->host_out[i], bytes, err);
            r = r == SCTD_ENOMEM ? BACKEND_NO_ROOM : r;
        }
    }
    if (r == 0) {
        v->host_out_bytes = bytes;
    } else {
        free_out(v);
    }
    return r;
}

static int volume_put(struct backend_plan *base, const float *voxel, size_t n,
                      struct sctd_error *err)
{
    struct cuda_plan *plan = plan_of(base);
    struct cuda_volume *v = &plan->volume;
    int r = use_device(plan, err);
    if (r < 0) {
        return r;
    }
    if (n > UINT32_MAX) { /* what a counter holds */
        return BACKEND_NO_ROOM;
    }
    r = take_memory(plan, &v->voxels, n * sizeof *voxel, err);
    if (r == 0) {
        v->host = voxel;
        v->n = n;
        v->up = 0;
    }
    return r;
}

static void volume_drop(struct backend_plan *base)
{
    struct cuda_plan *plan = plan_of(base);
    cuda_buf_free(&plan->volume.voxels);
    plan->volume.host = NULL;
}

/* Up */

/* Start to copy the voxels before `end`, those that are not yet on their way, a block of pinned memory at a time. */
static int lift(struct cuda_plan *plan, size_t end, struct sctd_error *err)
{
    struct cuda_volume *v = &plan->volume;
    const size_t room = (size_t)plan->chunk * plan->in_values;
    int r = 0;
    while (r == 0 && v->up < end) {
        const struct cuda_side *side = &plan->side[v->turn++ % CUDA_SIDES];
        const size_t n = end - v->up < room ? end - v->up : room;
        v->turn %= CUDA_SIDES;
        r = device_check(cudaEventSynchronize(side->uploaded), "copying in", err);
        if (r < 0) {
            break;
        }
        staging_copy(plan->pool, side->host_in, v->host + v->up, n * sizeof *v->host);
        r = device_check(cudaMemcpyAsync((float *)v->voxels.data + v->up, side->host_in,
                                         n * sizeof *v->host, cudaMemcpyHostToDevice, plan->up),
                         "copying in", err);
        if (r == 0) {
            r = device_check(cudaEventRecord(side->uploaded, plan->up), "copying in", err);
        }
        v->up += n;
    }
    return r;
}

/* The work stream goes on when all that was lifted is there. */
static int await_lifted(struct cuda_plan *plan, struct sctd_error *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < CUDA_SIDES; i++) {
        r = device_check(cudaStreamWaitEvent(plan->work, plan->side[i].uploaded, 0), "copying in",
                         err);
    }
    return r;
}

/* Counting */

static int start_count(struct cuda_plan *plan, const struct recipe_count_args *args, size_t bytes,
                       uint32_t *ret_count, struct sctd_error *err)
{
    int r = lift(plan, plan->volume.n, err);
    r = r < 0 ? r : await_lifted(plan, err);
    r = r < 0 ? r
              : device_check(cudaMemsetAsync(args->count, 0, bytes, plan->work), "counting", err);
    r = r < 0 ? r
              : device_check(kernels_start_count(args, plan->volume.n, plan->device.multiprocessors,
                                                 plan->work),
                             "counting", err);
    r = r < 0 ? r
              : device_check(cudaMemcpyAsync(ret_count, args->count, bytes, cudaMemcpyDeviceToHost,
                                             plan->work),
                             "counting", err);
    const cudaError_t ended =
        cudaStreamSynchronize(plan->work); /* in any case: `count` is the caller's */
    return r < 0 ? r : device_check(ended, "counting", err);
}

/* The counters lie in the workspace, which nobody needs between two runs. */
static int volume_count(struct backend_plan *base, size_t *ret_count, const uint32_t *upper,
                        int32_t n_upper, struct sctd_error *err)
{
    struct cuda_plan *plan = plan_of(base);
    const size_t n = (size_t)(n_upper == 0 ? 1 : n_upper) * RECIPE_BINS;
    struct recipe_count_args args = {
        .value = plan->volume.voxels.data, .count = plan->workspace.data, .n_upper = n_upper};
    uint32_t *count = calloc(n, sizeof *count);
    int r = count == NULL ? sctd_error(err, SCTD_ENOMEM, "counters") : use_device(plan, err);
    for (int32_t t = 0; t < n_upper; t++) {
        args.upper[t] = upper[t];
    }
    if (r == 0) {
        r = start_count(plan, &args, n * sizeof *count, count, err);
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        ret_count[i] = count[i];
    }
    free(count);
    return r;
}

/* Through the network */

/* The slices of one turn. */
struct chunk {
    const struct backend_volume *volume;
    int side;
    int64_t slice0, n;
};

static size_t slice_size(const struct backend_volume *v)
{
    return (size_t)v->dim[1] * (size_t)v->dim[2];
}

static size_t hu_size(const struct backend_volume *v)
{
    return v->whole ? sizeof(int16_t) : sizeof(float);
}

static size_t out_bytes(const struct chunk *c)
{
    return CUDA_MARKS + (size_t)c->n * slice_size(c->volume) * hu_size(c->volume);
}

static int start_in(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    const struct program *p = plan->program;
    const struct program_buffer *x = &p->buffer[p->x_cnn];
    const struct backend_volume *v = c->volume;
    const struct recipe_in_args args = {
        .volume = (const float *)plan->volume.voxels.data + (size_t)c->slice0 * slice_size(v),
        .x_cnn = (float *)cuda_plan_operand(plan, p->x_cnn).data,
        .x_dino = (float *)cuda_plan_operand(plan, p->x_dino).data,
        .slices = (int32_t)c->n,
        .size = {(int32_t)v->dim[1], (int32_t)v->dim[2], x->h, x->w},
        .clip = {(float)v->clip[0], (float)v->clip[1]},
        .cnn = recipe_map_of(v->cnn.from, v->cnn.to),
        .dino = recipe_map_of(v->dino.from, v->dino.to),
    };
    int r = lift(plan, (size_t)(c->slice0 + c->n) * slice_size(v), err);
    r = r < 0 ? r : await_lifted(plan, err);
    return r < 0 ? r
                 : device_check(
                       kernels_start_in(&args, (size_t)plan->chunk * program_pixels(x), plan->work),
                       "the network's input", err);
}

static int start_out(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    const struct program *p = plan->program;
    const struct program_buffer *y = &p->buffer[p->output[0]];
    const struct backend_volume *v = c->volume;
    void *out = plan->volume.out[c->side].data;
    const struct recipe_out_args args = {
        .y = (const float *)cuda_plan_operand(plan, p->output[0]).data,
        .hu = (unsigned char *)out + CUDA_MARKS,
        .size = {y->h, y->w, (int32_t)v->dim[1], (int32_t)v->dim[2]},
        .map = recipe_map_of(v->out.from, v->out.to),
        .whole = v->whole ? 1 : 0,
    };
    const size_t outputs = (size_t)c->n * program_pixels(y);
    int r =
        device_check(cudaStreamWaitEvent(plan->work, plan->side[c->side].fetched, 0), "HU", err);
    r = r < 0 ? r : device_check(cudaMemsetAsync(out, 0, CUDA_MARKS, plan->work), "HU", err);
    r = r < 0 ? r
              : device_check(kernels_start_finite(args.y, outputs, (uint32_t *)out, plan->work),
                             "HU", err);
    return r < 0 ? r
                 : device_check(kernels_start_out(&args, (size_t)c->n * slice_size(v), plan->work),
                                "HU", err);
}

static int start_down(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    const struct cuda_side *side = &plan->side[c->side];
    int r = device_check(cudaEventRecord(side->computed, plan->work), "copying out", err);
    r = r < 0
            ? r
            : device_check(cudaStreamWaitEvent(plan->down, side->computed, 0), "copying out", err);
    r = r < 0 ? r
              : device_check(cudaMemcpyAsync(plan->volume.host_out[c->side],
                                             plan->volume.out[c->side].data, out_bytes(c),
                                             cudaMemcpyDeviceToHost, plan->down),
                             "copying out", err);
    return r < 0 ? r : device_check(cudaEventRecord(side->fetched, plan->down), "copying out", err);
}

static int start_chunk(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    int r = start_in(plan, c, err);
    r = r < 0 ? r : cuda_plan_start_network(plan, &plan->side[c->side], err);
    r = r < 0 ? r : start_out(plan, c, err);
    return r < 0 ? r : start_down(plan, c, err);
}

/* A chunk's HU to the caller's slices; out: in pinned memory, with the mark before them. */
static void take_hu(struct pool *pool, const struct chunk *c, const void *out)
{
    const struct backend_volume *v = c->volume;
    const size_t n = (size_t)c->n * slice_size(v);
    float *hu = v->hu + (size_t)c->slice0 * slice_size(v);
    if (v->whole) {
        staging_widen(pool, hu, (const int16_t *)out + CUDA_MARKS / sizeof(int16_t), n);
    } else {
        staging_copy(pool, hu, (const float *)out + CUDA_MARKS / sizeof *hu, n * sizeof *hu);
    }
}

/* Wait for a chunk and hand its HU to the caller. */
static int finish_chunk(struct cuda_plan *plan, const struct chunk *c, struct sctd_error *err)
{
    const struct cuda_side *side = &plan->side[c->side];
    const void *out = plan->volume.host_out[c->side];
    uint32_t mark = 0;
    int r = device_check(cudaEventSynchronize(side->fetched), "the network", err);
    r = r < 0 ? r : cuda_plan_count_time(plan, side, err);
    if (r < 0) {
        return r;
    }
    memcpy(&mark, out, sizeof mark);
    if (mark != 0) {
        return cuda_plan_refuse_output(plan, err);
    }
    take_hu(plan->pool, c, out);
    if (c->volume->on_slices != NULL) {
        c->volume->on_slices(c->volume->arg, c->slice0 + c->n, c->volume->dim[0]);
    }
    return 0;
}

static int run_chunks(struct cuda_plan *plan, const struct backend_volume *volume,
                      struct sctd_error *err)
{
    struct chunk before = {.n = 0};
    int side = 0;
    int r = 0;
    for (int64_t at = 0; r == 0 && at < volume->dim[0]; at += plan->chunk) {
        const int64_t left = volume->dim[0] - at;
        const struct chunk c = {.volume = volume,
                                .side = side,
                                .slice0 = at,
                                .n = left < plan->chunk ? left : plan->chunk};
        side = (side + 1) % CUDA_SIDES;
        r = start_chunk(plan, &c, err);
        if (r == 0 && before.n > 0) {
            r = finish_chunk(plan, &before, err);
        }
        before = c;
    }
    return r == 0 && before.n > 0 ? finish_chunk(plan, &before, err) : r;
}

static int volume_run(struct backend_plan *base, const struct backend_volume *volume,
                      struct sctd_error *err)
{
    struct cuda_plan *plan = plan_of(base);
    int r = use_device(plan, err);
    if (r < 0) {
        return r;
    }
    const int64_t most = volume->dim[0] < plan->chunk ? volume->dim[0] : plan->chunk;
    const struct chunk largest = {.volume = volume, .n = most};
    r = make_out(plan, out_bytes(&largest), err);
    if (r == 0) {
        r = run_chunks(plan, volume, err);
    }
    if (r < 0) {
        /* Nothing of this call may be on its way any more when the caller's buffers go. */
        (void)cudaDeviceSynchronize();
    }
    return r;
}

const struct backend_volumes cuda_volumes = {
    .put = volume_put,
    .count = volume_count,
    .run = volume_run,
    .drop = volume_drop,
};
