/* SPDX-License-Identifier: Apache-2.0 */
#include "server/selftest.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/base/volume.h"
#include "engine/engine.h"

enum {
    SLICES = 2,
    SIDE_MAX = 2048,
    SEED = 1,
    VIEW_MM = 420, /* the pelvis fits in it */
    APART_MM = 30,
    MAX_SLICES_GPU = 32,
    MAX_SLICES = 4
};

/* Slices and what is to come out of them: [n, h, w] each, in one block. */
struct sample {
    int64_t n;
    int32_t h, w;
    float *x_cnn, *x_dino, *y;
};

static void sample_fini(struct sample *sample)
{
    free(sample->x_cnn);
}

static size_t sample_size(const struct sample *sample)
{
    return (size_t)sample->n * (size_t)sample->h * (size_t)sample->w;
}

static int sample_init(struct sample *sample, int64_t n, int32_t h, int32_t w,
                       struct sctd_error *err)
{
    *sample = (struct sample){.n = n, .h = h, .w = w};
    const size_t size = sample_size(sample);
    float *values = calloc(3 * size, sizeof *values);
    if (values == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu values", 3 * size);
    }
    sample->x_cnn = values;
    sample->x_dino = values + size;
    sample->y = values + 2 * size;
    return 0;
}

/* What is stored */

struct stored {
    struct safetensors *file;
    const struct tensor_view *x_cnn, *x_dino, *y;
};

static void stored_fini(struct stored *stored)
{
    safetensors_close(stored->file);
}

static int find(const struct tensor_view **ret_tensor, const struct stored *stored,
                const char *name, const struct tensor_view *like, struct sctd_error *err)
{
    const struct tensor_view *t = safetensors_find(stored->file, name);
    const int fits = t != NULL && t->dtype == TENSOR_F32 && t->n_dims == 4 && t->dim[1] == 1 &&
                     t->dim[0] >= 1 && t->dim[2] >= 1 && t->dim[2] <= SIDE_MAX && t->dim[3] >= 1 &&
                     t->dim[3] <= SIDE_MAX;
    if (!fits || (like != NULL && memcmp(t->dim, like->dim, 4 * sizeof t->dim[0]) != 0)) {
        return sctd_error(err, SCTD_EDATA,
                          SELFTEST_FILE ": %s is no f32 of [n, 1, h, w]: write it "
                                        "anew (sctd model selftest --write)",
                          name);
    }
    *ret_tensor = t;
    return 0;
}

static int open_stored(struct stored *stored, const char *path, struct sctd_error *err)
{
    int r = safetensors_open(&stored->file, path, err);
    r = r < 0 ? r : find(&stored->x_cnn, stored, "x_cnn", NULL, err);
    r = r < 0 ? r : find(&stored->x_dino, stored, "x_dino", stored->x_cnn, err);
    return r < 0 ? r : find(&stored->y, stored, "y", stored->x_cnn, err);
}

/* Returns 0, or SELFTEST_NONE. */
static int sample_read(struct sample *ret_sample, const char *dir, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(stored_fini) struct stored stored = {.file = NULL};
    int r = sctd_path_join(path, dir, SELFTEST_FILE, err);
    if (r < 0) {
        return r;
    }
    if (access(path, F_OK) != 0) {
        return SELFTEST_NONE;
    }
    r = open_stored(&stored, path, err);
    if (r < 0) {
        return r;
    }
    const int64_t *dim = stored.x_cnn->dim;
    r = sample_init(ret_sample, dim[0], (int32_t)dim[2], (int32_t)dim[3], err);
    if (r == 0) {
        const size_t bytes = sample_size(ret_sample) * sizeof(float);
        memcpy(ret_sample->x_cnn, stored.x_cnn->data,
               bytes); /* in the file they may lie anywhere */
        memcpy(ret_sample->x_dino, stored.x_dino->data, bytes);
        memcpy(ret_sample->y, stored.y->data, bytes);
    }
    return r;
}

/* What the processor computes */

/* No GPU, so that one is never compared with itself. */
static int open_processor(struct engine **ret_engine, const char *dir, struct sctd_error *err)
{
    struct engine_options options = {.backend = "cpu", .precision = "fp32"};
    const int r = engine_open(ret_engine, dir, &options, err);
    if (r != SCTD_EINVAL) {
        return r;
    }
    options.backend = "ref"; /* a build without the other */
    return engine_open(ret_engine, dir, &options, err);
}

/* Slices of a made-up pelvis, as the model's source shows it. */
static int make_source(struct volume **ret_source, const struct manifest *m, int32_t side,
                       struct sctd_error *err)
{
    const double pixel_mm = VIEW_MM / (double)side;
    const bool is_mr = strcmp(m->recipe.modality, "MR") == 0;
    struct volume_grid grid;
    sctd_auto(phantom_freep) struct phantom *phantom = NULL;
    sctd_auto(volume_freep) struct volume *source = NULL;
    phantom_make_grid(&grid, PHANTOM_AXIAL, side, SLICES,
                      (const double[3]){pixel_mm, pixel_mm, APART_MM});
    int r = phantom_new(&phantom, SEED, err);
    r = r < 0 ? r : volume_new(&source, &grid, err);
    r = r < 0 ? r : phantom_render(phantom, is_mr ? PHANTOM_MR : PHANTOM_CBCT, source, NULL, err);
    if (r < 0) {
        return r;
    }
    *ret_source = sctd_steal(&source);
    return 0;
}

static int sample_make(struct sample *ret_sample, const char *dir, struct sctd_error *err)
{
    sctd_auto(engine_closep) struct engine *engine = NULL;
    sctd_auto(volume_freep) struct volume *source = NULL;
    int32_t h = 0;
    int32_t w = 0;
    int r = open_processor(&engine, dir, err);
    if (r < 0) {
        return r;
    }
    engine_get_size(engine, &h, &w);
    const int32_t side = h > w ? h : w;
    r = make_source(&source, engine_get_manifest(engine), side, err);
    r = r < 0 ? r : sample_init(ret_sample, SLICES, h, w, err);
    if (r < 0) {
        return r;
    }
    struct engine_volume_result result = {
        .x_cnn = ret_sample->x_cnn, .x_dino = ret_sample->x_dino, .y = ret_sample->y};
    return engine_run_volume(engine, source->voxel, (const int64_t[3]){SLICES, side, side}, NULL,
                             &result, err);
}

/* Comparing */

static struct selftest_distance bound_of(const char *precision)
{
    static const struct {
        const char *precision;
        struct selftest_distance bound;
    } bounds[] = {{"fp32", {0.1, 1.0, 2.0}},
                  {"bf16x3", {0.5, 5.0, 10.0}},
                  {"fp16", {5.0, 100.0, INFINITY}},
                  {"tf32", {5.0, 100.0, INFINITY}},
                  {"bf16", {50.0, 1000.0, INFINITY}}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (strcmp(bounds[i].precision, precision) == 0) {
            return bounds[i].bound;
        }
    }
    return bounds[0].bound;
}

bool selftest_is_inexact(const struct selftest *test)
{
    const bool is_gpu_s =
        strcmp(test->precision, "fp16") == 0 || strcmp(test->precision, "tf32") == 0;
    return is_gpu_s && (test->found.mean_hu > 1.0 || test->found.high_hu > 10.0);
}

/* differences: those of y, overwritten with their size in HU. */
static int measure(struct selftest_distance *ret_distance, float *differences, size_t n,
                   double hu_of_one, struct sctd_error *err)
{
    double sum = 0;
    double high[2];
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)differences[i]) * hu_of_one;
        differences[i] = (float)d;
        sum += d;
        most = d > most ? d : most;
    }
    int r = percentile_find(high, (const double[2]){99.9, 99.9}, differences, n, err);
    if (r == 0) {
        *ret_distance = (struct selftest_distance){sum / (double)n, high[0], most};
    }
    return r;
}

/* than: what it was compared with. */
static int judge(const struct selftest *test, const char *than, struct sctd_error *err)
{
    const struct selftest_distance *found = &test->found;
    const struct selftest_distance *bound = &test->bound;
    if (found->mean_hu <= bound->mean_hu && found->high_hu <= bound->high_hu &&
        found->max_hu <= bound->max_hu) {
        return 0;
    }
    return sctd_error(
        err, SCTD_EDATA,
        "it computes something else than %s: %.3g HU apart in the mean, %.3g at the 99.9th "
        "percentile, %.3g at most (%s: %.3g, %.3g and %.3g are allowed): do not use it here; "
        "%sreport it",
        than, found->mean_hu, found->high_hu, found->max_hu, test->precision, bound->mean_hu,
        bound->high_hu, bound->max_hu,
        strcmp(test->precision, "fp32") == 0 ? "" : "try precision fp32, and ");
}

/* As many slices as the engine has in flight at once, those of the sample over and over. */
static int sample_fill(struct sample *ret_filled, const struct sample *sample,
                       const struct engine *engine, struct sctd_error *err)
{
    const int32_t most =
        strcmp(engine_get_backend(engine), "cuda") == 0 ? MAX_SLICES_GPU : MAX_SLICES;
    const int32_t batch = engine_get_batch(engine);
    const int64_t wanted = batch < most ? batch : most;
    int r =
        sample_init(ret_filled, wanted < sample->n ? sample->n : wanted, sample->h, sample->w, err);
    const size_t slice = (size_t)sample->h * (size_t)sample->w;
    for (size_t i = 0; r == 0 && i < (size_t)ret_filled->n; i++) {
        const size_t from = i % (size_t)sample->n * slice;
        memcpy(ret_filled->x_cnn + i * slice, sample->x_cnn + from, slice * sizeof(float));
        memcpy(ret_filled->x_dino + i * slice, sample->x_dino + from, slice * sizeof(float));
    }
    return r;
}

static void describe(struct selftest *test, struct engine *engine, const struct sample *filled)
{
    struct engine_stats stats;
    const struct manifest *m = engine_get_manifest(engine);
    engine_take_stats(engine, &stats);
    *test = (struct selftest){.bound = bound_of(stats.precision),
                              .slices = (int32_t)filled->n,
                              .height = filled->h,
                              .width = filled->w,
                              .is_own_size = filled->h == m->height && filled->w == m->width,
                              .load_ms = stats.load_ms};
    (void)snprintf(test->backend, sizeof test->backend, "%s", engine_get_backend(engine));
    (void)snprintf(test->precision, sizeof test->precision, "%s", stats.precision);
    (void)snprintf(test->arithmetic, sizeof test->arithmetic, "%s", stats.arithmetic);
    (void)snprintf(test->remark, sizeof test->remark, "%s",
                   stats.remark == NULL ? "" : stats.remark);
    (void)snprintf(test->choice, sizeof test->choice, "%s", engine_get_choice(engine));
}

static int compare(struct selftest *ret_test, const char *dir, const struct sample *sample,
                   const char *than, const struct engine_options *options, struct sctd_error *err)
{
    sctd_auto(engine_closep) struct engine *engine = NULL;
    sctd_auto(sample_fini) struct sample filled = {.n = 0};
    struct engine_options own = *options;
    own.height = sample->h;
    own.width = sample->w;
    int r = engine_open(&engine, dir, &own, err);
    r = r < 0 ? r : sample_fill(&filled, sample, engine, err);
    if (r < 0) {
        return r;
    }
    const struct engine_slices slices = {
        .n = filled.n, .x_cnn = filled.x_cnn, .x_dino = filled.x_dino, .y = filled.y};
    r = engine_run(engine, &slices, err);
    if (r < 0) {
        return r;
    }
    describe(ret_test, engine, &filled);
    const size_t n = sample_size(sample);
    for (size_t i = 0; i < sample_size(&filled); i++) {
        filled.y[i] -= sample->y[i % n];
    }
    const struct recipe *recipe = &engine_get_manifest(engine)->recipe;
    r = measure(&ret_test->found, filled.y, sample_size(&filled),
                (recipe->hu_high - recipe->hu_low) / 2, err);
    return r < 0 ? r : judge(ret_test, than, err);
}

int selftest_run(struct selftest *ret_test, const char *dir, const struct engine_options *options,
                 struct sctd_error *err)
{
    sctd_auto(sample_fini) struct sample sample = {.n = 0};
    const int r = sample_read(&sample, dir, err);
    return r != 0 ? r : compare(ret_test, dir, &sample, "was stored", options, err);
}

int selftest_run_here(struct selftest *ret_test, const char *dir,
                      const struct engine_options *options, struct sctd_error *err)
{
    sctd_auto(sample_fini) struct sample sample = {.n = 0};
    const int r = sample_make(&sample, dir, err);
    return r < 0 ? r : compare(ret_test, dir, &sample, "fp32 on this processor", options, err);
}

int selftest_write(const char *dir, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(sample_fini) struct sample sample = {.n = 0};
    int r = sctd_path_join(path, dir, SELFTEST_FILE, err);
    r = r < 0 ? r : sample_make(&sample, dir, err);
    if (r < 0) {
        return r;
    }
    struct tensor_view tensors[] = {{.name = "x_cnn", .data = sample.x_cnn},
                                    {.name = "x_dino", .data = sample.x_dino},
                                    {.name = "y", .data = sample.y}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const int64_t dim[] = {sample.n, 1, sample.h, sample.w};
        tensors[i].dtype = TENSOR_F32;
        tensors[i].n_dims = 4;
        memcpy(tensors[i].dim, dim, sizeof dim);
        tensors[i].bytes = sample_size(&sample) * sizeof(float);
    }
    return safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, NULL, 0, err);
}
