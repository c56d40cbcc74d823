/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cpu/amx.h"
#include "engine/backend/cpu/plan.h"
#include "engine/base/clock.h"

enum { LEAST_GROUP = 4 }; /* slices, where the batch has them */

static void cpu_free(struct backend_plan *base)
{
    if (base == NULL) {
        return;
    }
    struct cpu_plan *plan = (struct cpu_plan *)base;
    for (int32_t i = 0; i < plan->n_steps; i++) {
        plan->step[i].free_layer(plan->step[i].layer);
    }
    onednn_close(plan->onednn);
    pool_free(plan->pool);
    free(plan->place);
    free(plan->tap);
    free(plan->arena);
    free(plan->scratch);
    free(plan);
}

/* The arithmetic that a wanted precision means on this processor. */
static int choose_arithmetic(struct cpu_plan *plan, enum backend_precision wanted,
                             struct sctd_error *err)
{
    const enum onednn_isa isa = onednn_get_isa();
    if (wanted == BACKEND_TF32 || wanted == BACKEND_FP16) {
        return sctd_error(err, SCTD_EINVAL,
                          "precisions tf32 and fp16 are a GPU's: use auto, fp32, bf16 or bf16x3");
    }
    plan->precision = wanted;
    if (wanted == BACKEND_AUTO) {
        /* Without a matrix unit bf16 products are slower than fp32. */
        plan->precision = isa == ONEDNN_AMX ? BACKEND_BF16X3 : BACKEND_FP32;
    }
    if (plan->precision != BACKEND_FP32 && isa == ONEDNN_NO_BF16) {
        return sctd_error(err, SCTD_EINVAL,
                          "this processor has no bf16 products: use precision auto or fp32");
    }
    plan->amx = plan->precision != BACKEND_FP32 && amx_is_available();
    switch (plan->precision) {
    case BACKEND_BF16:
        plan->format = FORMAT_BF16;
        plan->sensitive_format = FORMAT_SPLIT;
        plan->merge_format = FORMAT_SPLIT;
        plan->arithmetic = isa == ONEDNN_AMX ? "bf16 amx" : "bf16 avx512";
        break;
    case BACKEND_BF16X3:
        plan->format = FORMAT_SPLIT;
        plan->sensitive_format = FORMAT_SPLIT;
        plan->merge_format = FORMAT_SPLIT;
        plan->arithmetic = isa == ONEDNN_AMX ? "bf16x3 amx" : "bf16x3 avx512";
        break;
    case BACKEND_AUTO:
    case BACKEND_FP32:
    case BACKEND_TF32:
    case BACKEND_FP16:
        plan->format = FORMAT_F32;
        plan->sensitive_format = FORMAT_F32;
        plan->merge_format = FORMAT_F32;
        plan->arithmetic = "fp32";
        break;
    }
    return 0;
}

static int set_up(struct cpu_plan *plan, const struct graph *g, const struct backend_options *o,
                  struct sctd_error *err)
{
    plan->kernels = kernels_get();
    plan->max_batch = o->max_batch;
    plan->y = g->y;
    plan->n_tensors = g->n_tensors;
    plan->n_taps = o->n_taps;
    int r = choose_arithmetic(plan, o->precision, err);
    if (r < 0) {
        return r;
    }
    r = pool_new(&plan->pool, o->threads > 0 ? o->threads : pool_count_processors(),
                 onednn_enter_thread, err);
    if (r < 0) {
        return r;
    }
    const int32_t threads = pool_get_threads(plan->pool);
    /* Deep levels have only four strips: more threads need more slices at a time. */
    const int32_t least = (threads + 3) / 4;
    const int32_t group = least > LEAST_GROUP ? least : LEAST_GROUP;
    plan->map_group = least < o->max_batch ? least : o->max_batch;
    plan->group = group < o->max_batch ? group : o->max_batch;
    onednn_enter_thread();
    r = onednn_open(&plan->onednn, threads, err);
    if (r < 0) {
        return r;
    }
    plan->place = calloc((size_t)g->n_tensors, sizeof *plan->place);
    plan->tap = calloc((size_t)o->n_taps + 1, sizeof *plan->tap);
    if (plan->place == NULL || plan->tap == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "plan");
    }
    if (o->n_taps > 0) {
        memcpy(plan->tap, o->taps, (size_t)o->n_taps * sizeof *plan->tap);
    }
    return 0;
}

static int cpu_compile(struct backend_plan **ret_plan, const struct graph *g,
                       const struct backend_options *options, struct sctd_error *err)
{
    if (options->max_batch < 1) {
        return sctd_error(err, SCTD_EINVAL, "batch is %d", options->max_batch);
    }
    struct cpu_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "plan");
    }
    plan->base.backend = &backend_cpu;
    int r = set_up(plan, g, options, err);
    if (r == 0) {
        r = lower_graph(plan, g, err);
    }
    if (r == 0) {
        r = plan_allocate(plan, err);
    }
    if (r < 0) {
        cpu_free(&plan->base);
        return r;
    }
    *ret_plan = &plan->base;
    return 0;
}

struct step_run {
    struct cpu_plan *plan;
    const struct step *step;
    int32_t slice0, slices; /* of the group */
};

static void run_piece(void *arg, int32_t item, int32_t worker)
{
    const struct step_run *run = arg;
    const struct step *s = run->step;
    const int32_t slice = run->slice0 + item % run->slices;
    if (!s->run(run->plan, s->layer, slice, item / run->slices, worker)) {
        __atomic_store_n(&run->plan->failed, true, __ATOMIC_RELAXED);
    }
}

static void copy_taps(struct cpu_plan *plan, int32_t slice0, int32_t slices)
{
    for (int32_t i = 0; i < plan->n_taps; i++) {
        const struct place *p = &plan->place[plan->tap[i]];
        const size_t pixels = (size_t)p->h * (size_t)p->w;
        for (int32_t s = slice0; s < slice0 + slices; s++) {
            const struct operand from = plan_operand(plan, plan->tap[i], s, 0, 0);
            float *to = plan->io->taps[i] + (size_t)(plan->slice0 + s) * pixels * (size_t)p->c;
            plan->kernels->load(&from, pixels, (size_t)p->c, to);
        }
    }
}

/* Steps step0 ... step1 - 1 of some slices of the group. */
static void run_steps(struct cpu_plan *plan, int32_t step0, int32_t step1, int32_t slice0,
                      int32_t slices)
{
    for (int32_t i = step0; i < step1; i++) {
        struct step_run run = {
            .plan = plan, .step = &plan->step[i], .slice0 = slice0, .slices = slices};
        const double start_s = sctd_now_s();
        pool_run(plan->pool, slices * run.step->items, run_piece, &run);
        plan->stage_ms[run.step->stage] += (sctd_now_s() - start_s) * 1e3;
    }
}

static void run_group(struct cpu_plan *plan, int32_t slices)
{
    run_steps(plan, 0, plan->first_map, 0, slices);
    for (int32_t at = 0; at < slices; at += plan->map_group) {
        const int32_t left = slices - at;
        const int32_t n = left < plan->map_group ? left : plan->map_group;
        run_steps(plan, plan->first_map, plan->n_steps, at, n);
        copy_taps(plan, at, n);
    }
}

static int cpu_run(struct backend_plan *base, const struct backend_io *io, struct sctd_error *err)
{
    struct cpu_plan *plan = (struct cpu_plan *)base;
    if (io->n < 1 || io->n > plan->max_batch) {
        return sctd_error(err, SCTD_EINVAL, "%d slices in a batch of at most %d", io->n,
                          plan->max_batch);
    }
    plan->io = io;
    plan->failed = false;
    onednn_enter_thread();
    for (plan->slice0 = 0; plan->slice0 < io->n; plan->slice0 += plan->group) {
        const int32_t left = io->n - plan->slice0;
        run_group(plan, left < plan->group ? left : plan->group);
    }
    plan->io = NULL;
    return plan->failed ? sctd_error(err, SCTD_EDEVICE, "onednn failed in a product") : 0;
}

static void cpu_take_stats(struct backend_plan *base, struct backend_stats *ret_stats)
{
    struct cpu_plan *plan = (struct cpu_plan *)base;
    memcpy(ret_stats->stage_ms, plan->stage_ms, sizeof plan->stage_ms);
    memset(plan->stage_ms, 0, sizeof plan->stage_ms);
    ret_stats->arithmetic = plan->arithmetic;
    ret_stats->precision = plan->precision;
    ret_stats->threads = pool_get_threads(plan->pool);
}

/* The peak: independent products of 512 x 2048 x 512, one per worker at a time. */

enum { PEAK_M = 512, PEAK_K = 2048, PEAK_N = 512, PEAK_ROUNDS = 5, PEAK_PRODUCTS = 8 };

struct peak {
    struct onednn_product *product;
    void *first;
    float *out; /* [threads][PEAK_M * PEAK_N] */
    unsigned char *scratch;
};

static void run_peak(void *arg, int32_t item, int32_t worker)
{
    const struct peak *p = arg;
    (void)item;
    for (int i = 0; i < PEAK_PRODUCTS; i++) {
        (void)onednn_run(p->product, worker, p->first, NULL,
                         p->out + (size_t)worker * PEAK_M * PEAK_N,
                         p->scratch + (size_t)worker * round_up(onednn_get_scratch(p->product)));
    }
}

static double time_peak(struct pool *pool, struct peak *p)
{
    const int32_t threads = pool_get_threads(pool);
    const double flop = 2.0 * PEAK_M * PEAK_K * PEAK_N * PEAK_PRODUCTS * threads;
    double best = 0.0;
    for (int i = 0; i < PEAK_ROUNDS; i++) {
        const double start_s = sctd_now_s();
        pool_run(pool, threads, run_peak, p);
        const double gflops = flop / (sctd_now_s() - start_s) * 1e-9;
        best = gflops > best ? gflops : best;
    }
    return best;
}

static int cpu_matrix_peak(double *ret_gflops, enum backend_precision precision, int32_t threads,
                           struct sctd_error *err)
{
    struct cpu_plan plan = {0};
    struct peak p = {0};
    struct onednn_weights *weights = NULL;
    void *plain = calloc((size_t)PEAK_K * PEAK_N, sizeof(float));
    p.first = calloc((size_t)PEAK_M * PEAK_K, sizeof(float));
    int r = choose_arithmetic(&plan, precision, err);
    const struct onednn_matmul_shape shape = {
        .m = PEAK_M, .k = PEAK_K, .n = PEAK_N, .bf16 = plan.format != FORMAT_F32};
    if (r == 0) {
        r = pool_new(&plan.pool, threads > 0 ? threads : pool_count_processors(),
                     onednn_enter_thread, err);
    }
    if (r == 0) {
        onednn_enter_thread();
        r = onednn_open(&plan.onednn, pool_get_threads(plan.pool), err);
    }
    if (r == 0 && (plain == NULL || p.first == NULL)) {
        r = sctd_error(err, SCTD_ENOMEM, "peak");
    }
    if (r == 0) {
        r = onednn_matmul_new(&p.product, plan.onednn, &shape, plain, &weights, err);
    }
    if (r == 0) {
        const size_t n = (size_t)pool_get_threads(plan.pool);
        p.out = calloc(n * PEAK_M * PEAK_N, sizeof *p.out);
        p.scratch = aligned_alloc(64, n * round_up(onednn_get_scratch(p.product)) + 64);
        r = p.out == NULL || p.scratch == NULL ? sctd_error(err, SCTD_ENOMEM, "peak") : 0;
    }
    if (r == 0) {
        *ret_gflops = time_peak(plan.pool, &p);
    }
    onednn_product_free(p.product);
    onednn_weights_free(weights);
    onednn_close(plan.onednn);
    pool_free(plan.pool);
    free(plain);
    free(p.first);
    free(p.out);
    free(p.scratch);
    return r;
}

const struct backend backend_cpu = {
    .name = "cpu",
    .compile = cpu_compile,
    .run = cpu_run,
    .take_stats = cpu_take_stats,
    .free = cpu_free,
    .matrix_peak = cpu_matrix_peak,
};
