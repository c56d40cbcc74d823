/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our convolution of 64 channels against the slow one, and what it takes for 16 slices.
 *
 * usage: conv64_gpu [small]; exits with 77 where there is no GPU of compute capability 9.0.  small: shapes that
 * compute-sanitizer is through with in seconds, each run once.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/base/rng.h"

enum { SKIPPED = 77, CHANNELS = 64, TAPS = 9, GUARD = 1 << 20, ROUNDS = 5 };

struct shape {
    int32_t slices, h, w, outputs, act, adds;
};

static void *to_device(const void *from, size_t bytes)
{
    void *to = NULL;
    assert(cudaMalloc(&to, bytes + GUARD) == cudaSuccess);
    assert(cudaMemset(to, 0xff, bytes + GUARD) == cudaSuccess);
    assert(from == NULL || cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice) == cudaSuccess);
    return to;
}

/* fp16 between -size and size. */
static void *new_halves(struct sctd_rng *rng, size_t n, float size)
{
    uint16_t *x = malloc(n * sizeof *x);
    assert(x != NULL);
    for (size_t i = 0; i < n; i++) {
        x[i] = value_to_f16(size * (2.0F * sctd_rng_uniform(rng) - 1.0F));
    }
    void *to = to_device(x, n * sizeof *x);
    free(x);
    return to;
}

/* Arguments, and what they point to: x, weight, bias and what is added. */
struct operands {
    struct product_args args;
    void *memory[5];
};

static struct operands new_operands(const struct shape *s)
{
    struct sctd_rng rng = {7};
    float bias[2 * CHANNELS];
    struct operands o = {.args = {.slices = s->slices, .h = s->h, .w = s->w, .kernel = 3}};
    const size_t pixels = (size_t)s->slices * (size_t)s->h * (size_t)s->w;
    const size_t outputs = (size_t)s->outputs;
    for (size_t i = 0; i < 2 * (size_t)CHANNELS; i++) {
        bias[i] = sctd_rng_uniform(&rng) - 0.5F;
    }
    o.memory[0] = new_halves(&rng, pixels * CHANNELS, 2.0F);
    o.memory[1] = new_halves(&rng, outputs * TAPS * CHANNELS, 0.1F);
    o.memory[2] = to_device(bias, sizeof bias);
    o.args.x = (struct operand){o.memory[0], VALUE_F16, CHANNELS};
    o.args.weight = o.memory[1];
    o.args.finish.bias = o.memory[2];
    o.args.finish.y = (struct operand){NULL, VALUE_F16, s->outputs};
    o.args.finish.act = s->act;
    for (int i = 0; i < s->adds; i++) {
        o.memory[3 + i] = new_halves(&rng, pixels * outputs, 3.0F);
        o.args.finish.add[i] = (struct operand){o.memory[3 + i], VALUE_F16, s->outputs};
    }
    return o;
}

static cudaError_t start(const struct product_args *a, size_t items, bool is_own)
{
    cudaError_t e = cudaErrorNotSupported;
    const union step_args step = {.product = *a};
    if (!is_own) {
        return kernels_start(STEP_CONV, &step, items, NULL);
    }
    return kernels_start_conv64(a, NULL, &e) == 1 ? e : cudaErrorNotSupported;
}

/* Its outputs and what lies behind them; the caller frees them. */
static uint16_t *run(struct product_args *a, size_t items, int rounds, bool is_own, float *ret_us)
{
    const size_t bytes = items * VALUE_LANES * sizeof(uint16_t);
    uint16_t *y = malloc(bytes + GUARD);
    cudaEvent_t from = NULL;
    cudaEvent_t to = NULL;
    assert(y != NULL);
    assert(cudaEventCreate(&from) == cudaSuccess && cudaEventCreate(&to) == cudaSuccess);
    a->finish.y.data = to_device(NULL, bytes);
    *ret_us = INFINITY;
    for (int i = 0; i < (is_own ? rounds : 1); i++) {
        float ms = 0.0F;
        assert(cudaEventRecord(from, NULL) == cudaSuccess);
        assert(start(a, items, is_own) == cudaSuccess);
        assert(cudaEventRecord(to, NULL) == cudaSuccess);
        assert(cudaEventSynchronize(to) == cudaSuccess);
        assert(cudaEventElapsedTime(&ms, from, to) == cudaSuccess);
        *ret_us = fminf(*ret_us, ms * 1e3F);
    }
    assert(cudaMemcpy(y, a->finish.y.data, bytes + GUARD, cudaMemcpyDeviceToHost) == cudaSuccess);
    (void)cudaFree(a->finish.y.data);
    (void)cudaEventDestroy(from);
    (void)cudaEventDestroy(to);
    return y;
}

/* Both sum in f32, in another order, and round once: a last place apart at most, or what f32 sums are apart. */
static bool check(const struct shape *s, int rounds)
{
    struct operands o = new_operands(s);
    const size_t values = (size_t)s->slices * (size_t)s->h * (size_t)s->w * (size_t)s->outputs;
    float us = 0.0F;
    float slow_us = 0.0F;
    uint16_t *own = run(&o.args, values / VALUE_LANES, rounds, true, &us);
    uint16_t *slow = run(&o.args, values / VALUE_LANES, rounds, false, &slow_us);
    size_t wrong = 0;
    size_t differ = 0;
    float worst = 0.0F;
    for (size_t i = 0; i < values; i++) {
        const float x = value_of_f16(own[i]);
        const float y = value_of_f16(slow[i]);
        const float off = fabsf(x - y);
        differ += own[i] != slow[i] ? 1 : 0;
        wrong += off <= fabsf(y) * 0x1p-10F + 2e-5F ? 0 : 1; /* nor is NaN */
        worst = fmaxf(worst, off);
    }
    const size_t guard = GUARD / sizeof *own;
    for (size_t i = values; i < values + guard; i++) {
        wrong += own[i] != 0xffff ? 1 : 0;
    }
    (void)printf(
        "conv64 %4dx%3dx%3d -> %3d act %d adds %d: %8.2f us, %6.2f a slice; %zu of %zu differ, "
        "by %.2g at most, %zu wrong\n",
        s->slices, s->h, s->w, s->outputs, s->act, s->adds, (double)us, (double)us / s->slices,
        differ, values, (double)worst, wrong);
    free(own);
    free(slow);
    for (size_t i = 0; i < sizeof o.memory / sizeof o.memory[0]; i++) {
        (void)cudaFree(o.memory[i]);
    }
    return wrong == 0;
}

int main(int argc, char **argv)
{
    /* In the one of 120 slices, and much more in that of 2000, a block's rows are of several columns. */
    static const struct shape shapes[] = {
        {1, 3, 8, 8, BODY_NONE, 0},       {1, 9, 64, 64, BODY_GELU, 1},
        {3, 5, 130, 72, BODY_GELU, 2},    {2, 7, 300, 40, BODY_NONE, 1},
        {120, 3, 96, 64, BODY_GELU, 1},   {3, 33, 128, 64, BODY_GELU, 0},
        {2000, 3, 128, 64, BODY_GELU, 1}, {32, 256, 256, 64, BODY_GELU, 0},
        {32, 256, 256, 64, BODY_NONE, 2}, {16, 256, 256, 64, BODY_GELU, 0},
        {16, 256, 256, 64, BODY_NONE, 1}, {16, 256, 256, 64, BODY_NONE, 2},
        {16, 256, 256, 32, BODY_GELU, 0}, {16, 128, 128, 128, BODY_GELU, 0},
    };
    enum { SMALL = 5 };
    assert(argc == 1 || (argc == 2 && strcmp(argv[1], "small") == 0));
    const bool is_small = argc == 2;
    bool right = true;
    int devices = 0;
    const struct product_args any = {.x = {NULL, VALUE_F16, CHANNELS},
                                     .finish = {.y = {NULL, VALUE_F16, CHANNELS}},
                                     .slices = 1,
                                     .h = 2,
                                     .w = 1,
                                     .kernel = 3};
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0 ||
        kernels_have_conv64(&any) == 0) {
        (void)printf("no GPU of compute capability 9.0\n");
        return SKIPPED;
    }
    for (size_t i = 0; i < (is_small ? SMALL : sizeof shapes / sizeof shapes[0]); i++) {
        right = check(&shapes[i], is_small ? 1 : ROUNDS) && right;
    }
    return right ? 0 : 1;
}
