/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cuda_host.h"

#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/share.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/support/cuda_host_step.h"
#include "tests/support/cuda_host_volume.h"

enum { GUARD = 0x7b, GPUS = 2, GPU_BYTES = 1 << 30 };

struct host_plan {
    struct backend_plan base;
    struct program *program;
    unsigned char *weights;
    enum backend_precision precision;
    int32_t max_batch;
    size_t memory_bytes;
    int32_t gpu; /* of those made up */
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

static void run_program(const struct host_plan *plan, const struct binding *b)
{
    for (int32_t i = 0; i < plan->program->n_steps; i++) {
        const struct step *s = &plan->program->step[i];
        union step_args args;
        const size_t items = bind_step(&args, b, s);
        cuda_host_run_step(s->kind, &args, items, plan->precision);
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
    const struct host_plan *plan = (const struct host_plan *)base;
    *ret_stats = (struct backend_stats){
        .arithmetic = "the device's, on the host", .precision = plan->precision, .threads = 1};
}

static void module_take_stats(struct backend_plan *base, struct backend_stats *ret_stats)
{
    const struct host_plan *plan = (const struct host_plan *)base;
    host_take_stats(base, ret_stats);
    ret_stats->device = "made-up GPU";
    ret_stats->device_number = plan->gpu;
    ret_stats->device_mib = (double)plan->memory_bytes / (1024.0 * 1024.0); /* that it may take */
}

static int host_matrix_peak(double *ret_gflops, enum backend_precision precision, int32_t threads,
                            struct sctd_error *err)
{
    (void)precision;
    (void)threads;
    *ret_gflops = 0.0;
    return sctd_error(err, SCTD_EINVAL, "the host executor has no peak");
}

int cuda_host_find_gpu(int32_t *ret_number, const struct backend_device *wanted,
                       struct sctd_error *err)
{
    static const bool able[GPUS] = {true, true};
    int32_t order[GPUS];
    if (wanted->number >= GPUS) {
        return sctd_error(err, SCTD_EINVAL, "cuda:%d: there are %d GPUs, from 0 on", wanted->number,
                          GPUS);
    }
    (void)share_order(order, able, GPUS, wanted->turn);
    *ret_number = wanted->number == BACKEND_ANY_DEVICE ? order[0] : wanted->number;
    return 0;
}

static int module_compile(struct backend_plan **ret_plan, const struct graph *g,
                          const struct backend_options *options, struct sctd_error *err)
{
    const struct backend_device *wanted = &options->device;
    const int32_t sharers = wanted->number == BACKEND_ANY_DEVICE
                                ? share_count(wanted->turn, wanted->turns, GPUS)
                                : wanted->turns;
    int32_t gpu = 0;
    int r = cuda_host_find_gpu(&gpu, wanted, err);
    r = r < 0 ? r : host_compile(ret_plan, g, options, err);
    if (r < 0) {
        return r;
    }
    struct host_plan *plan = (struct host_plan *)*ret_plan;
    plan->base.backend = &cuda_host_module_backend;
    plan->gpu = gpu;
    if (plan->memory_bytes == 0) {
        plan->memory_bytes = share_bytes(GPU_BYTES, sharers);
    }
    return 0;
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
    .take_stats = module_take_stats,
    .free = host_free,
    .matrix_peak = host_matrix_peak,
    .volumes = &host_volumes,
};
