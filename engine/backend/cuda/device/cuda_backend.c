/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/cuda_backend.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/peak.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/share.h"
#include "engine/backend/graph.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static void cuda_free(struct backend_plan *base)
{
    if (base != NULL) {
        struct cuda_plan *plan = (struct cuda_plan *)base;
        cuda_plan_fini(plan);
        free(plan);
    }
}

static void cuda_plan_freep(struct cuda_plan **plan)
{
    cuda_free((struct backend_plan *)*plan);
}

static int cuda_compile(struct backend_plan **ret_plan, const struct graph *g,
                        const struct backend_options *options, struct sctd_error *err)
{
    struct backend_options o = *options;
    int r = graph_check(g, err);
    if (r < 0) {
        return r;
    }
    if (o.max_batch < 1 || o.n_taps < 0) {
        return sctd_error(err, SCTD_EINVAL, "batch of %d, %d taps", o.max_batch, o.n_taps);
    }
    o.precision = o.precision == BACKEND_AUTO ? BACKEND_FP16 : o.precision;
    sctd_auto(cuda_plan_freep) struct cuda_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "plan");
    }
    plan->base.backend = &cuda_backend;
    plan->precision = o.precision;
    plan->max_batch = o.max_batch;
    plan->budget_bytes = o.memory_bytes;
    r = program_new(&plan->program, g, &o, err);
    if (r == 0 && plan->budget_bytes == 0) {
        r = device_read_mib(&plan->budget_bytes, "SCTD_CUDA_MEMORY_MIB", err);
    }
    if (r == 0) {
        r = device_open(&plan->device, &o.device, err);
    }
    if (r == 0 && plan->budget_bytes == 0) {
        plan->budget_bytes = share_bytes(plan->device.total_bytes, plan->device.sharers);
    }
    if (r == 0) {
        r = cuda_plan_build(plan, g, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_plan = &sctd_steal(&plan)->base;
    return 0;
}

static int cuda_run(struct backend_plan *base, const struct backend_io *io, struct sctd_error *err)
{
    struct cuda_plan *plan = (struct cuda_plan *)base;
    if (io->n < 1 || io->n > plan->max_batch) {
        return sctd_error(err, SCTD_EINVAL, "%d slices, the plan takes 1 to %d", io->n,
                          plan->max_batch);
    }
    return cuda_plan_run(plan, io, err);
}

static void cuda_take_stats(struct backend_plan *base, struct backend_stats *ret_stats)
{
    struct cuda_plan *plan = (struct cuda_plan *)base;
    *ret_stats =
        (struct backend_stats){.arithmetic = plan->arithmetic,
                               .precision = plan->precision,
                               .threads = 1,
                               .device = plan->device.name,
                               .device_number = plan->device.index,
                               .device_mib = (double)cuda_plan_bytes(plan) / (1024.0 * 1024.0),
                               .remark = plan->remark[0] == '\0' ? NULL : plan->remark};
    memcpy(ret_stats->stage_ms, plan->stage_ms, sizeof plan->stage_ms);
    memset(plan->stage_ms, 0, sizeof plan->stage_ms);
}

static int cuda_matrix_peak(double *ret_gflops, enum backend_precision precision, int32_t threads,
                            struct sctd_error *err)
{
    (void)threads;
    return peak_measure(ret_gflops, precision, err);
}

int cuda_backend_probe(const struct backend_device *device, struct sctd_error *err)
{
    struct device d;
    return device_open(&d, device, err);
}

const struct backend cuda_backend = {
    .name = "cuda",
    .compile = cuda_compile,
    .run = cuda_run,
    .take_stats = cuda_take_stats,
    .free = cuda_free,
    .matrix_peak = cuda_matrix_peak,
    .volumes = &cuda_volumes,
    .finds_not_finite = true,
};
