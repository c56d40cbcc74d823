/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recipe as the CUDA backend computes it, run on the host, against engine/image bit for bit; and whole
 * volumes through the loader's module, against the way that asks for y as well.
 */
#undef NDEBUG
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/body_recipe.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/rng.h"
#include "engine/engine.h"

#include "tests/support/temporary.h"

static float *room_for(size_t n)
{
    float *values = calloc(n, sizeof *values);
    assert(values != NULL);
    return values;
}

static bool same(const float *a, const float *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0;
}

static bool same_limits(const double a[2], const double b[2])
{
    return fabs(a[0] - b[0]) <= 0.0 && fabs(a[1] - b[1]) <= 0.0;
}

/* Counting */

struct counted {
    const float *value;
    size_t n;
};

static void count(const struct counted *c, size_t *ret_count, struct recipe_count_args *a)
{
    a->value = c->value;
    for (size_t i = 0; i < c->n; i++) {
        const int32_t bin = recipe_bin(a, i);
        if (bin != RECIPE_NO_BIN) {
            ret_count[bin]++;
        }
    }
}

static int count_uppers(void *arg, size_t ret_count[PERCENTILE_BINS], struct sctd_error *err)
{
    struct recipe_count_args a = {.n_upper = 0};
    (void)err;
    count(arg, ret_count, &a);
    return 0;
}

static int count_lowers(void *arg, const uint32_t *upper, int n_tables,
                        size_t (*ret_count)[PERCENTILE_BINS], struct sctd_error *err)
{
    struct recipe_count_args a = {.n_upper = n_tables};
    (void)err;
    for (int t = 0; t < n_tables; t++) {
        a.upper[t] = upper[t];
    }
    count(arg, ret_count[0], &a);
    return 0;
}

static void expect_percentiles(const float *value, size_t n)
{
    static const double percents[][2] = {{0.0, 100.0}, {1.0, 99.0}, {0.5, 99.5}, {50.0, 50.1}};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        struct counted c = {.value = value, .n = n};
        const struct percentile_counter counter = {
            .uppers = count_uppers, .lowers = count_lowers, .arg = &c};
        double counted[2];
        double expected[2];
        assert(percentile_find_counted(counted, percents[i], n, &counter, &err) == 0);
        assert(percentile_find(expected, percents[i], value, n, &err) == 0);
        assert(same_limits(counted, expected));
    }
}

static void percentiles_are_those_of_the_host(void)
{
    enum { N = 30011 };
    float *value = room_for(N);
    struct sctd_rng rng = {3};
    static const float odd[] = {0.0F,     -0.0F,     FLT_MIN, -FLT_MIN, 1e-45F,
                                FLT_MAX,  -FLT_MAX,  1.0F,    -1.0F,    1.00000012F,
                                -1024.0F, 65535.99F, 3.5F,    -3.5F,    1e-38F};
    for (size_t i = 0; i < N; i++) { /* half of it air, as images are */
        value[i] = sctd_rng_uniform(&rng) < 0.5F ? 0.0F : 4096.0F * sctd_rng_uniform(&rng);
    }
    expect_percentiles(value, N);
    for (size_t i = 0; i < N; i++) {
        value[i] = (sctd_rng_uniform(&rng) - 0.5F) * ldexpf(1.0F, (int)(i % 60) - 30);
    }
    expect_percentiles(value, N);
    expect_percentiles(odd, sizeof odd / sizeof odd[0]);
    for (size_t i = 0; i < N; i++) {
        value[i] = odd[i % (sizeof odd / sizeof odd[0])];
    }
    expect_percentiles(value, N);
    for (size_t n = 1; n < 9; n++) {
        expect_percentiles(odd, n);
    }
    free(value);
}

static int lose_one(void *arg, size_t ret_count[PERCENTILE_BINS], struct sctd_error *err)
{
    int r = count_uppers(arg, ret_count, err);
    ret_count[0x8000U]--; /* of the zeros */
    return r;
}

static int lose_all(void *arg, const uint32_t *upper, int n_tables,
                    size_t (*ret_count)[PERCENTILE_BINS], struct sctd_error *err)
{
    (void)arg;
    (void)upper;
    (void)n_tables;
    (void)ret_count;
    (void)err;
    return 0;
}

static void counts_that_do_not_add_up_are_refused(void)
{
    static const float value[] = {0.0F, 0.0F, 1.0F, 2.0F};
    static const double percent[2] = {1.0, 99.0};
    struct counted c = {.value = value, .n = sizeof value / sizeof value[0]};
    const struct percentile_counter bad[] = {
        {.uppers = lose_one, .lowers = count_lowers, .arg = &c},
        {.uppers = count_uppers, .lowers = lose_all, .arg = &c}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        double found[2];
        assert(percentile_find_counted(found, percent, c.n, &bad[i], &err) == SCTD_EDEVICE);
    }
}

static void what_is_not_finite_is_found(void)
{
    static const float finite[] = {0.0F, -0.0F, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-45F};
    for (size_t i = 0; i < sizeof finite / sizeof finite[0]; i++) {
        assert(recipe_is_finite(finite[i]) != 0);
    }
    assert(recipe_is_finite(HUGE_VALF) == 0 && recipe_is_finite(-HUGE_VALF) == 0);
    assert(recipe_is_finite(nanf("")) == 0 && recipe_is_finite(-nanf("")) == 0);
}

/* Slices */

struct sizes {
    int32_t rows, columns, h, w;
};

static const struct sizes sizes[] = {
    {256, 256, 256, 256}, {512, 512, 256, 256}, {20, 24, 16, 32}, {1, 1, 16, 16},
    {1, 40, 32, 16},      {301, 3, 16, 48},     {16, 16, 16, 16}, {17, 31, 48, 16},
};

enum { SLICES = 3, ROOM = 4 };

static const double clip[2] = {-17.25, 1203.5};

/* What engine/image makes of a slice: resized, and mapped before or after that. */
static struct resize *resize_of(struct resize_size from, struct resize_size to)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct resize *resize = NULL;
    assert(resize_new(&resize, from, to, &err) == 0);
    return resize;
}

static void expect_input(const struct resize *resize, const struct sizes *s, const float *volume,
                         const float *x, const double target[2])
{
    const size_t source = (size_t)s->rows * (size_t)s->columns;
    const size_t slice = (size_t)s->h * (size_t)s->w;
    float *clamped = room_for(source);
    float *mapped = room_for(slice);
    range_clamp(clamped, volume, source, (struct range){clip[0], clip[1]});
    resize_run(resize, mapped, clamped);
    range_map(mapped, mapped, slice, (struct range){clip[0], clip[1]},
              (struct range){target[0], target[1]});
    assert(same(mapped, x, slice));
    free(clamped);
    free(mapped);
}

static void expect_zeros(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(value_bits(x[i]) == 0);
    }
}

static void inputs_are_those_of_the_host(const struct sizes *s)
{
    static const double target[2][2] = {{-1.0, 1.0}, {-0.3, 2.1}};
    const size_t n = SLICES * (size_t)s->rows * (size_t)s->columns;
    const size_t room = ROOM * (size_t)s->h * (size_t)s->w;
    float *volume = room_for(n);
    float *x = room_for(2 * room);
    struct sctd_rng rng = {11};
    for (size_t i = 0; i < n; i++) {
        volume[i] = 1400.0F * sctd_rng_uniform(&rng) - 100.0F;
    }
    memset(x, 0xff, 2 * room * sizeof *x);
    const struct recipe_in_args args = {
        .volume = volume,
        .x_cnn = x,
        .x_dino = x + room,
        .slices = SLICES,
        .size = {s->rows, s->columns, s->h, s->w},
        .clip = {(float)clip[0], (float)clip[1]},
        .cnn = recipe_map_of(clip, target[0]),
        .dino = recipe_map_of(clip, target[1]),
    };
    for (size_t item = 0; item < room; item++) {
        recipe_in_body(&args, item);
    }
    sctd_auto(resize_freep) struct resize *resize =
        resize_of((struct resize_size){s->rows, s->columns}, (struct resize_size){s->h, s->w});
    const size_t slice = room / ROOM;
    for (size_t i = 0; i < SLICES; i++) {
        const float *source = volume + i * (n / SLICES);
        expect_input(resize, s, source, x + i * slice, target[0]);
        expect_input(resize, s, source, x + room + i * slice, target[1]);
    }
    expect_zeros(x + SLICES * slice, (ROOM - SLICES) * slice);
    expect_zeros(x + room + SLICES * slice, (ROOM - SLICES) * slice);
    free(volume);
    free(x);
}

static const double y_range[2] = {-1.0, 1.0};
static const double hu_range[2] = {-1024.0, 2000.0};

static void expect_hu(const struct resize *resize, const struct sizes *s, const float *y,
                      const float *hu, const int16_t *whole)
{
    const size_t n = (size_t)s->rows * (size_t)s->columns;
    const size_t slice = (size_t)s->h * (size_t)s->w;
    float *mapped = room_for(slice);
    float *expected = room_for(n);
    range_map(mapped, y, slice, (struct range){y_range[0], y_range[1]},
              (struct range){hu_range[0], hu_range[1]});
    resize_run(resize, expected, mapped);
    assert(same(expected, hu, n));
    for (size_t k = 0; k < n; k++) {
        assert(fabsf((float)whole[k] - rintf(expected[k])) <= 0.0F);
    }
    free(mapped);
    free(expected);
}

static void hu_are_those_of_the_host(const struct sizes *s)
{
    const size_t n = (size_t)s->rows * (size_t)s->columns;
    const size_t slice = (size_t)s->h * (size_t)s->w;
    sctd_auto(resize_freep) struct resize *resize =
        resize_of((struct resize_size){s->h, s->w}, (struct resize_size){s->rows, s->columns});
    float *y = room_for(SLICES * slice);
    float *hu = room_for(SLICES * n);
    int16_t *whole = calloc(SLICES * n, sizeof *whole);
    struct sctd_rng rng = {12};
    assert(whole != NULL);
    for (size_t i = 0; i < SLICES * slice; i++) {
        y[i] = i % 7 == 0 ? 1.0F : 2.0F * sctd_rng_uniform(&rng) - 1.0F;
    }
    struct recipe_out_args args = {.y = y,
                                   .hu = hu,
                                   .size = {s->h, s->w, s->rows, s->columns},
                                   .map = recipe_map_of(y_range, hu_range)};
    struct recipe_out_args rounded = args;
    rounded.hu = whole;
    rounded.whole = 1;
    for (size_t item = 0; item < SLICES * n; item++) {
        recipe_out_body(&args, item);
        recipe_out_body(&rounded, item);
    }
    for (size_t i = 0; i < SLICES; i++) {
        expect_hu(resize, s, y + i * slice, hu + i * n, whole + i * n);
    }
    free(y);
    free(hu);
    free(whole);
}

static void rounding_is_to_the_nearest_and_even(void)
{
    static const float rounded[][2] = {
        {0.5F, 0.0F},         {1.5F, 2.0F},         {-0.5F, 0.0F},
        {-1.5F, -2.0F},       {2.4999F, 2.0F},      {-1023.51F, -1024.0F},
        {32767.4F, 32767.0F}, {40000.0F, 32767.0F}, {-1e9F, -32768.0F}};
    for (size_t i = 0; i < sizeof rounded / sizeof rounded[0]; i++) {
        assert(fabsf(recipe_round(rounded[i][0]) - rounded[i][1]) <= 0.0F);
    }
}

/* Whole volumes */

enum { DEPTH = 7, ROWS = 20, COLUMNS = 24, VOXELS = DEPTH * ROWS * COLUMNS };

static const int64_t dims[3] = {DEPTH, ROWS, COLUMNS};

static struct engine *opened(const char *dir, const char *backend, int32_t memory_mib)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct engine *engine = NULL;
    const struct engine_options options = {.backend = backend,
                                           .precision = "fp32",
                                           .batch = 3,
                                           .height = 16,
                                           .width = 32,
                                           .gpu_memory_mib = memory_mib};
    assert(engine_open(&engine, dir, &options, &err) == 0);
    return engine;
}

static void fill(float *volume)
{
    for (int i = 0; i < VOXELS; i++) {
        volume[i] = (float)(i * 7919 % 1000);
    }
}

struct calls {
    int n;
    int64_t last;
};

static void note(void *arg, int64_t n_done, int64_t n)
{
    struct calls *c = arg;
    assert(n == DEPTH && n_done > c->last);
    c->last = n_done;
    c->n++;
}

static void a_volume_is_the_same_by_either_way(const char *dir)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(engine_closep) struct engine *engine = opened(dir, "cuda:1", 0);
    float volume[VOXELS];
    float host[VOXELS];
    float *y = room_for((size_t)DEPTH * 16 * 32);
    struct calls calls = {.n = 0};
    fill(volume);
    struct engine_volume_result with_y = {.hu = host, .y = y};
    struct engine_volume_result alone = {.hu = volume}; /* in place */
    struct engine_volume_options options = {.on_slices = note, .arg = &calls};
    assert(engine_run_volume(engine, volume, dims, NULL, &with_y, &err) == 0);
    assert(engine_run_volume(engine, volume, dims, &options, &alone, &err) == 0);
    assert(same(host, volume, VOXELS) && calls.n == 3 && calls.last == DEPTH);
    assert(same_limits(with_y.clip, alone.clip));

    options = (struct engine_volume_options){.whole_hu = true, .clip = with_y.clip};
    fill(volume);
    assert(engine_run_volume(engine, volume, dims, &options, &alone, &err) == 0);
    for (size_t i = 0; i < VOXELS; i++) {
        assert(fabsf(volume[i] - rintf(host[i])) <= 0.0F);
    }
    float rounded[VOXELS];
    memcpy(rounded, volume, sizeof rounded);
    fill(volume);
    assert(engine_run_volume(engine, volume, dims, &options, &with_y, &err) == 0);
    assert(same(host, rounded, VOXELS));
    free(y);
}

static void without_room_the_host_does_it(const char *dir)
{
    struct sctd_error err = {.code = SCTD_OK};
    enum { BIG = 2 * 512 * 512 }; /* two MiB of f32, and one may be taken */
    sctd_auto(engine_closep) struct engine *engine = opened(dir, "cuda", 1);
    sctd_auto(engine_closep) struct engine *other = opened(dir, "cuda", 0);
    float *volume = room_for(BIG);
    float *hu = room_for(2 * (size_t)BIG);
    const int64_t big[3] = {2, 512, 512};
    for (int i = 0; i < BIG; i++) {
        volume[i] = (float)(i % 1000 * 919 % 1000);
    }
    struct engine_volume_result host = {.hu = hu};
    struct engine_volume_result device = {.hu = hu + BIG};
    assert(engine_run_volume(engine, volume, big, NULL, &host, &err) == 0);
    assert(engine_run_volume(other, volume, big, NULL, &device, &err) == 0);
    assert(same(hu, hu + BIG, BIG));
    free(volume);
    free(hu);
}

static void refusals_leave_the_engine_usable(const char *dir)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(engine_closep) struct engine *engine = opened(dir, "cuda:0", 0);
    float volume[VOXELS] = {0.0F};
    struct engine_volume_result result = {.hu = volume};
    const double reversed[2] = {2.0, 2.0};
    const struct engine_volume_options options = {.clip = reversed};
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == SCTD_EDATA);
    assert(engine_run_volume(engine, volume, dims, &options, &result, &err) == SCTD_EINVAL);
    volume[VOXELS - 1] = nanf("");
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == SCTD_EDATA);
    fill(volume);
    assert(engine_run_volume(engine, volume, dims, NULL, &result, &err) == 0);
}

static void a_gpu_that_is_not_there_is_refused(const char *dir)
{
    static const struct {
        const char *backend, *says;
    } refused[] = {{"cuda:2", "there are 2 GPUs"},
                   {"cuda:", "comes a GPU's number"},
                   {"cuda:one", "comes a GPU's number"},
                   {"cuda:-1", "comes a GPU's number"},
                   {"cuda1", "is not in this build"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        struct engine *engine = NULL;
        const struct engine_options options = {.backend = refused[i].backend};
        assert(engine_open(&engine, dir, &options, &err) == SCTD_EINVAL);
        assert(strstr(err.text, refused[i].says) != NULL);
    }
}

/* The module has two GPUs of 1 GiB. */
static void engines_go_round_the_gpus_and_share_their_memory(const char *dir)
{
    enum { GIB = 1024 };
    static const struct {
        const char *backend;
        int32_t turn, turns, number;
        double mib; /* 0: not limited */
    } rows[] = {{"auto", 0, 0, 0, 0.0},           {"auto", 0, 2, 0, 0.0},
                {"auto", 1, 2, 1, 0.0},           {"cuda", 1, 3, 1, 0.0},
                {"cuda", 2, 3, 0, 0.9 * GIB / 2}, {"cuda", 0, 3, 0, 0.9 * GIB / 2},
                {"cuda:1", 0, 1, 1, 0.0},         {"cuda:1", 2, 3, 1, 0.9 * GIB / 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        struct engine_stats stats;
        sctd_auto(engine_closep) struct engine *engine = NULL;
        const struct engine_options options = {.backend = rows[i].backend,
                                               .height = 16,
                                               .width = 32,
                                               .turn = rows[i].turn,
                                               .turns = rows[i].turns};
        assert(engine_open(&engine, dir, &options, &err) == 0);
        engine_take_stats(engine, &stats);
        assert(stats.device_number == rows[i].number);
        assert(fabs(stats.device_mib - rows[i].mib) < 1.0);
    }
}

static void a_turn_that_there_is_not_is_refused(const char *dir)
{
    static const int32_t bad[][2] = {{-1, 2}, {2, 2}, {1, 0}, {0, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        struct engine *engine = NULL;
        const struct engine_options options = {.turn = bad[i][0], .turns = bad[i][1]};
        assert(engine_open(&engine, dir, &options, &err) == SCTD_EINVAL && engine == NULL);
    }
}

int main(void)
{
    char dir[] = TEMPORARY("sctd-test");
    char module[4096];
    struct sctd_error err = {.code = SCTD_OK};
    percentiles_are_those_of_the_host();
    counts_that_do_not_add_up_are_refused();
    what_is_not_finite_is_found();
    rounding_is_to_the_nearest_and_even();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        inputs_are_those_of_the_host(&sizes[i]);
        hu_are_those_of_the_host(&sizes[i]);
    }
    const char *folder = getenv("SCTD_TEST_MODULES"); // NOLINT(concurrency-mt-unsafe): one thread
    assert(folder != NULL && mkdtemp(dir) != NULL);
    (void)snprintf(module, sizeof module, "%s/libmodule-good.so", folder);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    assert(setenv("SCTD_CUDA_LIBRARY", module, 1) == 0);
    assert(engine_write_synthetic(dir, "tiny", 5, &err) == 0);
    a_volume_is_the_same_by_either_way(dir);
    without_room_the_host_does_it(dir);
    refusals_leave_the_engine_usable(dir);
    a_gpu_that_is_not_there_is_refused(dir);
    engines_go_round_the_gpus_and_share_their_memory(dir);
    a_turn_that_there_is_not_is_refused(dir);
    sctd_dir_remove(dir);
    return 0;
}
