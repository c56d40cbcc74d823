/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time the engine on the GPU without the program around it: what `sctd bench engine` does, and a series of 200
 * slices from voxels to stored HU, which must be the same bits as what the host makes of the network's output.
 *
 * usage: bench_gpu PRESET PRECISION BATCH SLICES [exact]; exits with 77 where there is no GPU.  exact: besides, how far
 * that series is from the one that a plan in fp32 makes, whose engines were not measured.
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

#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/rng.h"
#include "engine/engine.h"

#include "tests/support/temporary.h"
#include "tests/support/value_hash.h"

enum { SKIPPED = 77, SEED = 1, SERIES = 200, ROUNDS = 3 };

struct bench {
    struct engine *engine;
    int64_t batch, slices;
    double cold_ms;   /* from nothing to the first batch's result */
    double seconds;   /* for all slices */
    double series_ms; /* SERIES slices of the network's size, the least of ROUNDS */
    float *hu;        /* theirs */
    uint64_t hash;    /* of these */
};

static int must(int result, const struct sctd_error *err)
{
    if (result < 0) {
        (void)printf("%s\n", err->text);
    }
    return result;
}

static int run(struct bench *b, double start_s)
{
    struct sctd_error err = {.code = SCTD_OK};
    int32_t h = 0;
    int32_t w = 0;
    engine_get_size(b->engine, &h, &w);
    const size_t n = (size_t)b->batch * (size_t)h * (size_t)w;
    float *x = calloc(2 * n, sizeof *x);
    assert(x != NULL);
    struct sctd_rng rng = {SEED};
    for (size_t i = 0; i < n; i++) {
        x[i] = 2.0F * sctd_rng_uniform(&rng) - 1.0F;
    }
    struct engine_slices slices = {.n = b->batch, .x_cnn = x, .x_dino = x, .y = x + n};
    int r = must(engine_run(b->engine, &slices, &err), &err);
    struct engine_stats ignored;
    engine_take_stats(b->engine, &ignored);
    b->cold_ms = 1e3 * (sctd_now_s() - start_s);
    const double from_s = sctd_now_s();
    for (int64_t left = b->slices; r == 0 && left > 0; left -= b->batch) {
        slices.n = left < b->batch ? left : b->batch;
        r = must(engine_run(b->engine, &slices, &err), &err);
    }
    b->seconds = sctd_now_s() - from_s;
    free(x);
    return r;
}

static int time_series(struct bench *b, const float *volume, const int64_t dim[3], float *hu)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct engine_volume_options options = {.whole_hu = true};
    struct engine_volume_result result = {.hu = hu};
    int r = 0;
    for (int i = 0; r == 0 && i < ROUNDS; i++) {
        const double from_s = sctd_now_s();
        r = must(engine_run_volume(b->engine, volume, dim, &options, &result, &err), &err);
        const double ms = 1e3 * (sctd_now_s() - from_s);
        b->series_ms = i == 0 || ms < b->series_ms ? ms : b->series_ms;
    }
    return r;
}

/* Asked for y as well, the host does all but the network. */
static int compare_series(struct bench *b, const float *volume, const int64_t dim[3],
                          const float *hu, float *room)
{
    struct sctd_error err = {.code = SCTD_OK};
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    const struct engine_volume_options options = {.whole_hu = true};
    struct engine_volume_result result = {.hu = room, .y = room + n};
    int r = must(engine_run_volume(b->engine, volume, dim, &options, &result, &err), &err);
    size_t other = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        other += fabsf(hu[i] - room[i]) > 0.0F ? 1 : 0;
    }
    if (other > 0) {
        (void)printf("%zu of %zu voxels differ from those made on the host\n", other, n);
        r = -1;
    }
    return r;
}

/* [SERIES, h, w], and the room of three more; the caller frees it. */
static float *new_series(const struct engine *engine, int64_t ret_dim[3])
{
    int32_t h = 0;
    int32_t w = 0;
    engine_get_size(engine, &h, &w);
    const size_t n = (size_t)SERIES * (size_t)h * (size_t)w;
    float *volume = calloc(4 * n, sizeof *volume);
    assert(volume != NULL);
    struct sctd_rng rng = {SEED + 1};
    for (size_t i = 0; i < n; i++) { /* half of it air */
        volume[i] = i % 2 == 0 ? 0.0F : 1000.0F * sctd_rng_uniform(&rng);
    }
    ret_dim[0] = SERIES;
    ret_dim[1] = h;
    ret_dim[2] = w;
    return volume;
}

static int run_series(struct bench *b)
{
    int64_t dim[3];
    float *volume = new_series(b->engine, dim);
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    int r = time_series(b, volume, dim, volume + n);
    r = r < 0 ? r : compare_series(b, volume, dim, volume + n, volume + 2 * n);
    b->hash = value_hash(volume + n, n);
    memmove(volume, volume + n, n * sizeof *volume);
    b->hu = volume;
    return r;
}

/*
 * Networks of random weights are less steady than trained ones: on such a volume the host's executor, which rounds as
 * the device does, is 0.35 HU from fp32 in the mean and 40 at the 99.9th percentile in fp16, 0.32 and 37 in tf32, 1.4 and
 * 150 in bf16.
 */
static const struct bound {
    const char *precision;
    double mean_hu, high_hu;
} bounds[] = {{"fp32", 0.1, 1.0}, {"tf32", 1.0, 100.0}, {"fp16", 1.0, 100.0}, {"bf16", 4.0, 400.0}};

static int judge(float *apart, size_t n, const char *precision)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct bound *bound = bounds;
    double high[2];
    double sum = 0.0;
    while (strcmp(bound->precision, precision) != 0) {
        bound++;
        assert(bound < bounds + sizeof bounds / sizeof bounds[0]);
    }
    for (size_t i = 0; i < n; i++) {
        apart[i] = fabsf(apart[i]);
        sum += (double)apart[i];
    }
    int r = must(percentile_find(high, (const double[2]){99.9, 100.0}, apart, n, &err), &err);
    if (r < 0) {
        return r;
    }
    const double mean = sum / (double)n;
    const bool is_right = mean <= bound->mean_hu && high[0] <= bound->high_hu;
    (void)printf("from fp32: mean %.3f HU (bound %.1f), 99.9%% %.1f (bound %.0f), at most %.0f%s\n",
                 mean, bound->mean_hu, high[0], bound->high_hu, high[1],
                 is_right ? "" : ": too far");
    return is_right ? 0 : -1;
}

static void forget_cache(void)
{
    static const char *const variables[] = {"SCTD_CUDA_CACHE_DIR", "CACHE_DIRECTORY",
                                            "XDG_CACHE_HOME", "HOME"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        assert(unsetenv(variables[i]) == 0); // NOLINT(concurrency-mt-unsafe): nobody reads them
    }
}

/* The series once more, of a plan that shares neither engines nor rounding with what was measured. */
static int compare_exact(const struct bench *b, const char *dir, const char *precision)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct bench exact = {.batch = b->batch};
    const struct engine_options options = {
        .backend = "cuda", .precision = "fp32", .batch = (int32_t)b->batch};
    int64_t dim[3] = {SERIES, 0, 0};
    forget_cache();
    int r = must(engine_open(&exact.engine, dir, &options, &err), &err);
    if (r < 0) {
        return r;
    }
    float *volume = new_series(exact.engine, dim);
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    const struct engine_volume_options whole = {.whole_hu = true};
    struct engine_volume_result result = {.hu = volume};
    r = must(engine_run_volume(exact.engine, volume, dim, &whole, &result, &err), &err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        volume[i] -= b->hu[i];
    }
    r = r < 0 ? r : judge(volume, n, precision);
    free(volume);
    engine_close(exact.engine);
    return r;
}

static int report(const struct bench *b, const struct engine_stats *s)
{
    struct sctd_error err = {.code = SCTD_OK};
    double peak = 0.0;
    int r = must(engine_measure_peak(b->engine, &peak, &err), &err);
    const double rate = (double)b->slices / b->seconds;
    (void)printf("{\"device\": \"%s\", \"arithmetic\": \"%s\", \"slices_per_s\": %.1f, ",
                 s->device == NULL ? "" : s->device, s->arithmetic, rate);
    for (int32_t i = 0; i < ENGINE_STAGES; i++) {
        (void)printf("\"%s_ms\": %.3f, ", engine_stage_name(i), s->stage_ms[i] / (double)b->slices);
    }
    (void)printf(
        "\"tflops\": %.1f, \"peak_tflops\": %.1f, \"peak_share\": %.3f, \"device_mib\": %.0f, "
        "\"load_ms\": %.0f, \"cold_start_ms\": %.0f, \"series_ms\": %.1f, \"hu_hash\": "
        "\"%016llx\"}\n",
        s->gflop_per_slice * rate * 1e-3, peak * 1e-3,
        peak > 0.0 ? s->gflop_per_slice * rate / peak : 0.0, s->device_mib, s->load_ms, b->cold_ms,
        b->series_ms, (unsigned long long)b->hash);
    return r;
}

int main(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    char dir[] = TEMPORARY("bench-gpu");
    assert(argc == 5 || (argc == 6 && strcmp(argv[5], "exact") == 0));
    struct bench b = {.batch = strtol(argv[3], NULL, 10), .slices = strtol(argv[4], NULL, 10)};
    assert(b.batch > 0 && b.slices > 0 && mkdtemp(dir) != NULL);
    int r = must(engine_write_synthetic(dir, argv[1], SEED, &err), &err);
    const double start_s = sctd_now_s();
    const struct engine_options options = {
        .backend = "cuda", .precision = argv[2], .batch = (int32_t)b.batch};
    r = r < 0 ? r : must(engine_open(&b.engine, dir, &options, &err), &err);
    const bool none = r < 0 && strstr(err.text, "cannot be used here") != NULL;
    r = r < 0 ? r : run(&b, start_s);
    struct engine_stats only_slices;
    if (r >= 0) {
        engine_take_stats(b.engine, &only_slices);
        r = run_series(&b);
    }
    if (r >= 0 && argc == 6) {
        r = compare_exact(&b, dir, argv[2]);
    }
    r = r < 0 ? r : report(&b, &only_slices);
    engine_close(b.engine);
    free(b.hu);
    sctd_dir_remove(dir);
    if (none) {
        return SKIPPED;
    }
    return r < 0 ? 1 : 0;
}
