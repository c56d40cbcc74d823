/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a network's time on the GPU goes: each step of a chunk timed alone, then the steps of a kind together,
 * with the rate of their arithmetic and of the bytes that they must move.
 *
 * usage: profile_gpu PRESET PRECISION BATCH; exits with 77 where there is no GPU
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/convolution.h"
#include "engine/backend/cuda/device/cuda_backend.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/engine.h"
#include "engine/model/model.h"
#include "engine/model/network.h"

#include "tests/support/temporary.h"

enum { SKIPPED = 77, SEED = 1, ROUNDS = 5 };

static const char *const kinds[STEP_KINDS] = {
    [STEP_CONVERT] = "convert",
    [STEP_FIRST_CONV] = "first conv",
    [STEP_CONV] = "conv",
    [STEP_MERGE] = "merge",
    [STEP_LAST_CONV] = "last conv",
    [STEP_LINEAR] = "linear",
    [STEP_ACT] = "act",
    [STEP_PATCHIFY] = "patchify",
    [STEP_TOKENS] = "tokens",
    [STEP_NORM] = "norm",
    [STEP_ROPE] = "rope",
    [STEP_ATTENTION] = "attention",
    [STEP_SWIGLU] = "swiglu",
    [STEP_MAX_POOL] = "max pool",
    [STEP_UPSAMPLE] = "upsample",
    [STEP_EXPAND] = "expand",
    [STEP_ADD] = "add",
    [STEP_MEAN] = "mean",
    [STEP_GATE] = "gate",
    [STEP_SCALE_ADD] = "scale add",
};

/* Of one step, or of all of a kind, and of one slice. */
struct cost {
    double us, gflop, mbyte;
    int32_t n;
};

static void must(int result, const struct sctd_error *err)
{
    if (result < 0) {
        (void)printf("%s\n", err->text);
    }
    assert(result >= 0);
}

/* The least time of a step, alone, for the whole chunk. */
static double time_step(struct cuda_plan *plan, int32_t first, int32_t last)
{
    struct sctd_error err = {.code = SCTD_OK};
    cudaEvent_t from = NULL;
    cudaEvent_t to = NULL;
    double best = -1.0;
    assert(cudaEventCreate(&from) == cudaSuccess && cudaEventCreate(&to) == cudaSuccess);
    for (int i = 0; i <= ROUNDS; i++) {
        float ms = 0.0F;
        assert(cudaEventRecord(from, plan->work) == cudaSuccess);
        must(cuda_plan_start_steps(plan, first, last, &err), &err);
        assert(cudaEventRecord(to, plan->work) == cudaSuccess);
        assert(cudaEventSynchronize(to) == cudaSuccess);
        assert(cudaEventElapsedTime(&ms, from, to) == cudaSuccess);
        best = i > 0 && (best < 0.0 || (double)ms < best) ? (double)ms : best;
    }
    assert(cudaEventDestroy(from) == cudaSuccess && cudaEventDestroy(to) == cudaSuccess);
    return best;
}

static struct cost cost_of(const struct program *p, const struct step *s)
{
    const struct program_buffer *out = &p->buffer[s->out];
    const struct program_buffer *in = &p->buffer[s->in[0]];
    const double outputs = (double)program_pixels(out) * (double)out->c;
    struct cost c = {.mbyte = (double)out->bytes * 1e-6, .n = 1};
    for (int32_t i = 0; i < PROGRAM_IN; i++) {
        c.mbyte += s->in[i] == PROGRAM_NONE ? 0.0 : (double)p->buffer[s->in[i]].bytes * 1e-6;
    }
    if (s->kind == STEP_CONV || s->kind == STEP_FIRST_CONV || s->kind == STEP_LAST_CONV) {
        c.gflop = 2e-9 * outputs * (double)in->c * (double)s->kernel * (double)s->kernel;
    } else if (s->kind == STEP_MERGE) {
        c.gflop = 2e-9 * outputs * (double)(in->c + p->buffer[s->in[1]].c);
    } else if (s->kind == STEP_LINEAR) {
        c.gflop = 2e-9 * outputs * (double)in->c;
    } else if (s->kind == STEP_ATTENTION) {
        c.gflop = 4e-9 * outputs * (double)out->w;
    }
    return c;
}

static void print_cost(const struct cost *c)
{
    (void)printf("%8.2f us %7.3f GFLOP %7.1f TFLOP/s %7.2f MB %7.1f GB/s", c->us, c->gflop,
                 c->gflop / c->us * 1e3, c->mbyte, c->mbyte / c->us * 1e3);
}

static const char *choice_of(const struct cuda_step *s)
{
    if (s->convolution == NULL) {
        return "";
    }
    if (convolution_is_plain(s->convolution)) {
        return " without cuDNN";
    }
    if (convolution_is_own(s->convolution)) {
        return " own";
    }
    return convolution_is_fused(s->convolution) ? " fused" : " bare";
}

static void profile(struct cuda_plan *plan)
{
    static const char types[] = {'f', 'h', 'b'};
    static const char acts[] = {'-', 'g', 's', 't'};
    const struct program *p = plan->program;
    struct cost all[STEP_KINDS] = {{.n = 0}};
    struct cost total = {.n = 0};
    for (int32_t i = 0; i < p->n_steps; i++) {
        const struct step *s = &p->step[i];
        const struct program_buffer *in = &p->buffer[s->in[0]];
        const struct program_buffer *out = &p->buffer[s->out];
        struct cost c = cost_of(p, s);
        c.us = 1e3 * time_step(plan, i, i + 1) / (double)plan->chunk;
        (void)printf("%3d %d %-10s %dx%dx%d%c -> %dx%dx%d%c k%d %c%s%s%s  ", i, (int)s->stage,
                     kinds[s->kind], in->h, in->w, in->c, types[in->type], out->h, out->w, out->c,
                     types[out->type], s->kernel, acts[s->act], s->in[1] >= 0 ? " +before" : "",
                     s->in[2] >= 0 ? " +add" : "", s->in[3] >= 0 ? " +add" : "");
        print_cost(&c);
        (void)printf("%s\n", choice_of(&plan->step[i]));
        struct cost *sums[] = {&all[s->kind], &total};
        for (size_t k = 0; k < 2; k++) {
            sums[k]->us += c.us;
            sums[k]->gflop += c.gflop;
            sums[k]->mbyte += c.mbyte;
            sums[k]->n++;
        }
    }
    for (int32_t k = 0; k < STEP_KINDS; k++) {
        if (all[k].n > 0) {
            (void)printf("%-10s %4d  ", kinds[k], all[k].n);
            print_cost(&all[k]);
            (void)printf("\n");
        }
    }
    (void)printf("%-10s %4d  ", "all, alone", total.n);
    print_cost(&total);
    total.us = 1e3 * time_step(plan, 0, p->n_steps) / (double)plan->chunk;
    (void)printf("\n%-10s %4d  ", "all", total.n);
    print_cost(&total);
    (void)printf("\nchunk %d, %.0f MiB, %d segments", plan->chunk,
                 (double)cuda_plan_bytes(plan) / (1024.0 * 1024.0), plan->n_segments);
    for (int32_t i = 0; i < plan->n_segments; i++) {
        (void)printf(" %d%s", (int)plan->segment[i].stage,
                     plan->segment[i].graph == NULL ? "(no graph)" : "");
    }
    (void)printf("\n");
}

static void print_build(const struct cuda_plan *plan)
{
    static const char *const names[CUDA_BUILDS] = {
        [CUDA_BUILD_LIBRARIES] = "libraries", [CUDA_BUILD_WEIGHTS] = "weights",
        [CUDA_BUILD_CHOICES] = "choices",     [CUDA_BUILD_FIRST_RUN] = "first run",
        [CUDA_BUILD_GRAPHS] = "graphs",       [CUDA_BUILD_CHECK] = "check"};
    (void)printf("built in ms:");
    for (size_t i = 0; i < CUDA_BUILDS; i++) {
        (void)printf(" %s %.0f", names[i], plan->build_ms[i]);
    }
    (void)printf("\n");
}

static enum backend_precision find_precision(const char *name)
{
    static const char *const names[] = {"auto", "fp32", "tf32", "fp16", "bf16"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum backend_precision)i;
        }
    }
    (void)printf("there is no precision %s\n", name);
    abort();
}

int main(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    char dir[] = TEMPORARY("profile-gpu");
    struct model *model = NULL;
    struct network *network = NULL;
    struct backend_plan *plan = NULL;
    const struct backend_device any = {.number = BACKEND_ANY_DEVICE};
    assert(argc == 4);
    if (cuda_backend_probe(&any, &err) < 0) {
        (void)printf("skipped: %s\n", err.text);
        return SKIPPED;
    }
    const struct backend_options options = {.precision = find_precision(argv[2]),
                                            .max_batch = (int32_t)strtol(argv[3], NULL, 10),
                                            .device = any};
    assert(mkdtemp(dir) != NULL);
    must(engine_write_synthetic(dir, argv[1], SEED, &err), &err);
    must(model_open(&model, dir, &err), &err);
    must(network_new(&network, model, 256, 256, &err), &err);
    must(cuda_backend.compile(&plan, network_get_graph(network), &options, &err), &err);
    profile((struct cuda_plan *)plan);
    print_build((const struct cuda_plan *)plan);
    cuda_backend.free(plan);
    network_free(network);
    model_close(model);
    sctd_dir_remove(dir);
    return 0;
}
