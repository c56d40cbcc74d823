/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a GPU does at its limits: too little memory, values that are not finite or far too large, several plans at
 * once, and at last a fault of the device, which must say so and stay.
 *
 * usage: limits_gpu; exits with 77 where there is no GPU
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/cuda_backend.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/rng.h"
#include "engine/engine.h"
#include "engine/model/model.h"
#include "engine/model/network.h"

#include "tests/support/temporary.h"

enum { SKIPPED = 77, SIDE = 64, SLICES = 40, PIXELS = SIDE * SIDE, MIB = 1 << 20 };

/* A pixel of the last slice. */
enum { LATE = (SLICES - 1) * PIXELS + 5 };

static const struct backend_device any = {.number = BACKEND_ANY_DEVICE};

static struct model *model;
static struct network *network;

static struct backend_plan *compile(size_t memory_bytes)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    const struct backend_options options = {.precision = BACKEND_FP16,
                                            .max_batch = SLICES,
                                            .device = any,
                                            .memory_bytes = memory_bytes};
    if (cuda_backend.compile(&plan, network_get_graph(network), &options, &err) < 0) {
        (void)printf("%zu MiB: %s\n", memory_bytes / MIB, err.text);
        assert(err.code == SCTD_EINVAL && plan == NULL);
    }
    return plan;
}

static int run(struct backend_plan *plan, const float *x, float *y, struct sctd_error *err)
{
    const struct backend_io io = {.n = SLICES, .x_cnn = x, .x_dino = x, .y = y};
    *err = (struct sctd_error){.code = SCTD_OK};
    return cuda_backend.run(plan, &io, err);
}

static float *new_images(void)
{
    float *x = malloc(sizeof *x * SLICES * PIXELS);
    struct sctd_rng rng = {1};
    assert(x != NULL);
    for (size_t i = 0; i < (size_t)SLICES * PIXELS; i++) {
        x[i] = 2.0F * sctd_rng_uniform(&rng) - 1.0F;
    }
    return x;
}

/* A budget makes chunks smaller, results stay, and what is too little says how much is needed. */
static void less_memory_means_smaller_chunks(const float *x)
{
    struct sctd_error err;
    float *all = malloc(sizeof *all * SLICES * PIXELS);
    float *part = malloc(sizeof *part * SLICES * PIXELS);
    struct backend_plan *plan = compile(0);
    assert(all != NULL && part != NULL && plan != NULL && run(plan, x, all, &err) == 0);
    const struct cuda_plan *cuda = (const struct cuda_plan *)plan;
    const size_t fixed =
        cuda->program->weight_bytes + (size_t)768 * MIB; /* the libraries' and the workspace */
    const size_t slice = cuda->program->arena_bytes;
    const int32_t chunk = cuda->chunk;
    cuda_backend.free(plan);
    plan = compile(fixed + slice * (size_t)chunk / 2);
    cuda = (const struct cuda_plan *)plan;
    assert(plan != NULL && cuda->chunk < chunk && run(plan, x, part, &err) == 0);
    double most = 0.0;
    for (size_t i = 0; i < (size_t)SLICES * PIXELS; i++) {
        most = fmax(most, fabs((double)all[i] - (double)part[i]));
    }
    (void)printf("chunk %d instead of %d: outputs at most %.1e apart\n", cuda->chunk, chunk, most);
    assert(most < 2e-2);
    cuda_backend.free(plan);
    assert(compile((size_t)MIB) == NULL);
    free(all);
    free(part);
}

/* What is not finite is refused, and the plan goes on. */
static void what_is_not_finite_is_refused(struct backend_plan *plan, float *x, float *y)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    struct sctd_error err;
    const float kept = x[LATE];
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        x[LATE] = odd[i];
        assert(run(plan, x, y, &err) == SCTD_EDATA && strstr(err.text, "input") != NULL);
    }
    x[LATE] = kept;
    assert(run(plan, x, y, &err) == 0);
}

static void check_finite(const float *y)
{
    for (size_t i = 0; i < (size_t)SLICES * PIXELS; i++) {
        assert(isfinite(y[i]));
    }
}

/* What is huge gives finite values or a refusal. */
static void huge_values_give_finite_ones_or_none(struct backend_plan *plan, float *x, float *y)
{
    static const float huge[] = {3e38F, -3e38F, 1e30F, 65504.0F, 1e5F, 1e-40F, 0.0F};
    struct sctd_error err;
    const float kept = x[LATE];
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        x[LATE] = huge[i];
        const int r = run(plan, x, y, &err);
        (void)printf("an input of %g: %s\n", (double)huge[i], r == 0 ? "finite" : err.text);
        assert(r == 0 || r == SCTD_EDATA);
        if (r == 0) {
            check_finite(y);
        }
    }
    x[LATE] = kept;
    assert(run(plan, x, y, &err) == 0);
}

static void check_same(const float *a, const float *b)
{
    for (size_t i = 0; i < (size_t)SLICES * PIXELS; i++) {
        assert(fabsf(a[i] - b[i]) <= 0.0F);
    }
}

/* Two plans of one process share the GPU without a trace in each other's results. */
static void plans_share_the_gpu(struct backend_plan *plan, const float *x, float *y)
{
    struct sctd_error err;
    float *again = malloc(sizeof *again * SLICES * PIXELS);
    struct backend_plan *other = compile(0);
    assert(again != NULL && other != NULL && run(plan, x, y, &err) == 0);
    assert(run(other, x, again, &err) == 0 && run(plan, x, again, &err) == 0);
    check_same(y, again);
    cuda_backend.free(other);
    assert(run(plan, x, again, &err) == 0);
    check_same(y, again);
    free(again);
}

/* Last, since nothing of this process runs on the GPU after it. */
static void a_fault_ends_the_process_s_use(struct backend_plan *plan, const float *x, float *y)
{
    struct sctd_error err;
    struct cuda_plan *cuda = (struct cuda_plan *)plan;
    const float *nowhere = (const float *)(uintptr_t)64; // NOLINT(performance-no-int-to-ptr)
    assert(kernels_start_finite(nowhere, PIXELS, cuda->workspace.data, cuda->work) == cudaSuccess);
    for (int i = 0; i < 2; i++) {
        assert(run(plan, x, y, &err) == SCTD_EDEVICE);
        (void)printf("after a fault: %s\n", err.text);
    }
}

int main(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    char dir[] = TEMPORARY("limits-gpu");
    if (cuda_backend_probe(&any, &err) < 0) {
        (void)printf("skipped: %s\n", err.text);
        return SKIPPED;
    }
    assert(mkdtemp(dir) != NULL && engine_write_synthetic(dir, "tiny", 1, &err) == 0);
    assert(model_open(&model, dir, &err) == 0);
    assert(network_new(&network, model, SIDE, SIDE, &err) == 0);
    float *x = new_images();
    float *y = malloc(sizeof *y * SLICES * PIXELS);
    assert(y != NULL);
    less_memory_means_smaller_chunks(x);
    struct backend_plan *plan = compile(0);
    assert(plan != NULL);
    what_is_not_finite_is_refused(plan, x, y);
    huge_values_give_finite_ones_or_none(plan, x, y);
    plans_share_the_gpu(plan, x, y);
    a_fault_ends_the_process_s_use(plan, x, y);
    cuda_backend.free(plan);
    network_free(network);
    model_close(model);
    free(x);
    free(y);
    sctd_dir_remove(dir);
    return 0;
}
