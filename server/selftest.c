/* SPDX-License-Identifier: Apache-2.0 */
#include "server/selftest.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/rng.h"
#include "engine/base/safetensors.h"
#include "engine/engine.h"

enum { SLICES = 2, SIDE = 64, SIDE_MAX = 2048, SEED = 1 };

struct stored {
    struct safetensors *file;
    const struct tensor_view *x_cnn, *x_dino, *y;
};

static void stored_fini(struct stored *stored)
{
    safetensors_close(stored->file);
}

static void free_floats(float **floats)
{
    free(*floats);
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

static int is_coarse(const char *precision)
{
    static const char *const coarse[] = {"bf16", "fp16", "tf32"};
    for (size_t i = 0; precision != NULL && i < sizeof coarse / sizeof *coarse; i++) {
        if (strcmp(coarse[i], precision) == 0) {
            return 1;
        }
    }
    return 0;
}

static void set_bounds(struct selftest *test, const char *precision)
{
    const int coarse = is_coarse(precision);
    test->mean_bound_hu = coarse ? 10 : 0.1;
    test->max_bound_hu = coarse ? 200 : 2;
}

static int compare(struct selftest *test, const float *y, const float *expected, size_t n,
                   double hu_of_one, struct sctd_error *err)
{
    double sum = 0;
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)y[i] - (double)expected[i]) * hu_of_one;
        sum += d;
        most = d > most ? d : most;
    }
    test->mean_hu = sum / (double)n;
    test->max_hu = most;
    /* Written so that a difference that is no number is beyond every bound. */
    if (!(test->mean_hu <= test->mean_bound_hu && test->max_hu <= test->max_bound_hu)) {
        return sctd_error(
            err, SCTD_EDATA,
            "it computes something else than was stored: %.3g HU in the mean, %.3g HU at "
            "most (%.3g and %.3g are allowed): do not use it here; try precision fp32, and "
            "report it",
            test->mean_hu, test->max_hu, test->mean_bound_hu, test->max_bound_hu);
    }
    return 0;
}

int selftest_run(struct selftest *ret_test, const char *dir, const struct engine_options *options,
                 struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(stored_fini) struct stored stored = {.file = NULL};
    sctd_auto(engine_closep) struct engine *engine = NULL;
    sctd_auto(free_floats) float *y = NULL;
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
    struct engine_options own = *options;
    own.height = (int32_t)dim[2];
    own.width = (int32_t)dim[3];
    const size_t n = (size_t)dim[0] * (size_t)dim[2] * (size_t)dim[3];
    y = calloc(4 * n, sizeof *y);
    if (y == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu values", n);
    }
    float *x_cnn = y + n; /* in the file they may lie anywhere */
    float *x_dino = x_cnn + n;
    float *expected = x_dino + n;
    memcpy(x_cnn, stored.x_cnn->data, n * sizeof *y);
    memcpy(x_dino, stored.x_dino->data, n * sizeof *y);
    memcpy(expected, stored.y->data, n * sizeof *y);
    const struct engine_slices slices = {.n = dim[0], .x_cnn = x_cnn, .x_dino = x_dino, .y = y};
    r = engine_open(&engine, dir, &own, err);
    r = r < 0 ? r : engine_run(engine, &slices, err);
    if (r < 0) {
        return r;
    }
    const struct recipe *recipe = &engine_get_manifest(engine)->recipe;
    set_bounds(ret_test, options->precision);
    return compare(ret_test, y, expected, n, (recipe->hu_high - recipe->hu_low) / 2, err);
}

int selftest_write(const char *dir, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(engine_closep) struct engine *engine = NULL;
    const size_t n = (size_t)SLICES * SIDE * SIDE;
    sctd_auto(free_floats) float *x = calloc(2 * n, sizeof *x);
    const struct engine_options options = {.precision = "fp32", .height = SIDE, .width = SIDE};
    struct sctd_rng rng = {.state = SEED};
    if (x == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu values", 2 * n);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = 2 * sctd_rng_uniform(&rng) - 1;
    }
    const struct engine_slices slices = {.n = SLICES, .x_cnn = x, .x_dino = x, .y = x + n};
    int r = sctd_path_join(path, dir, SELFTEST_FILE, err);
    r = r < 0 ? r : engine_open(&engine, dir, &options, err);
    r = r < 0 ? r : engine_run(engine, &slices, err);
    if (r < 0) {
        return r;
    }
    struct tensor_view tensors[] = {
        {.name = "x_cnn", .data = x}, {.name = "x_dino", .data = x}, {.name = "y", .data = x + n}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const int64_t dim[] = {SLICES, 1, SIDE, SIDE};
        tensors[i].dtype = TENSOR_F32;
        tensors[i].n_dims = 4;
        memcpy(tensors[i].dim, dim, sizeof dim);
        tensors[i].bytes = n * sizeof *x;
    }
    return safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, NULL, 0, err);
}
