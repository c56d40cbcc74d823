/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mldp.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/image/range.h"
#include "engine/image/resize.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

enum { BATCH = 4 };

int mldp_open(struct engine **ret_engine, const char *dir, const struct engine_options *options,
              struct sctd_error *err)
{
    char name[MLDP_LEVELS][MLDP_TAP_SIZE];
    const char *taps[MLDP_LEVELS];
    sctd_auto(model_closep) struct model *model = NULL;
    int r = model_open(&model, dir, err);
    if (r < 0) {
        return r;
    }
    for (int level = 0; level < MLDP_LEVELS; level++) {
        (void)snprintf(name[level], sizeof name[level], "vit.feature%d",
                       model_get_manifest(model)->vit.features[level]);
        taps[level] = name[level];
    }
    struct engine_options with_taps = *options;
    with_taps.taps = taps;
    with_taps.n_taps = MLDP_LEVELS;
    return engine_open(ret_engine, dir, &with_taps, err);
}

/* Features of a batch of both images. */
struct features {
    float *value[2][MLDP_LEVELS];
    float *y; /* what the generator makes of them, which nobody wants */
    size_t size[MLDP_LEVELS];
    double sum[MLDP_LEVELS];
};

static void features_fini(struct features *f)
{
    for (int level = 0; level < MLDP_LEVELS; level++) {
        free(f->value[0][level]);
        free(f->value[1][level]);
    }
    free(f->y);
}

static int features_init(struct features *f, const struct engine *engine, struct sctd_error *err)
{
    int32_t height = 0;
    int32_t width = 0;
    engine_get_size(engine, &height, &width);
    f->y = malloc(BATCH * (size_t)height * (size_t)width * sizeof(float));
    int r = f->y == NULL ? SCTD_ENOMEM : 0;
    for (size_t level = 0; level < MLDP_LEVELS; level++) {
        struct engine_tap tap;
        engine_get_tap(engine, level, &tap);
        f->size[level] = 1;
        for (int32_t a = 0; a < tap.n_dims; a++) {
            f->size[level] *= (size_t)tap.dim[a];
        }
        for (int image = 0; image < 2; image++) {
            f->value[image][level] = malloc(BATCH * f->size[level] * sizeof(float));
            r = f->value[image][level] == NULL ? SCTD_ENOMEM : r;
        }
    }
    return r == 0 ? 0 : sctd_error(err, SCTD_ENOMEM, "features of %d slices", BATCH);
}

/* n <= BATCH slices of both images. */
static int add_batch(struct features *f, struct engine *engine, const float *const image[2],
                     int64_t n, struct sctd_error *err)
{
    int r = 0;
    for (int i = 0; r == 0 && i < 2; i++) {
        const struct engine_slices slices = {
            .n = n, .x_cnn = image[i], .x_dino = image[i], .y = f->y, .taps = f->value[i]};
        r = engine_run(engine, &slices, err);
    }
    for (int level = 0; r == 0 && level < MLDP_LEVELS; level++) {
        for (size_t at = 0; at < (size_t)n * f->size[level]; at++) {
            f->sum[level] += fabs((double)f->value[1][level][at] - (double)f->value[0][level][at]);
        }
    }
    return r;
}

static double find_distance(const struct features *f, int64_t n)
{
    double sum = 0.0;
    for (int level = 0; level < MLDP_LEVELS; level++) {
        sum += f->sum[level] / ((double)n * (double)f->size[level]);
    }
    return sum / MLDP_LEVELS;
}

int mldp_find_slices(double *ret_distance, struct engine *engine, const float *reference,
                     const float *synthetic, int64_t n, struct sctd_error *err)
{
    sctd_auto(features_fini) struct features f = {.y = NULL};
    int32_t height = 0;
    int32_t width = 0;
    engine_get_size(engine, &height, &width);
    const size_t slice = (size_t)height * (size_t)width;
    int r = features_init(&f, engine, err);
    for (int64_t at = 0; r == 0 && at < n; at += BATCH) {
        const float *const image[2] = {reference + (size_t)at * slice,
                                       synthetic + (size_t)at * slice};
        r = add_batch(&f, engine, image, n - at < BATCH ? n - at : BATCH, err);
    }
    if (r == 0) {
        *ret_distance = find_distance(&f, n);
    }
    return r;
}

/* A slice as the backbone takes it. */
struct making {
    struct resize *resize;
    float *clamped, *resized;
    float *image[2]; /* [BATCH, h, w] */
};

static void making_fini(struct making *m)
{
    resize_free(m->resize);
    free(m->clamped);
    free(m->resized);
    free(m->image[0]);
    free(m->image[1]);
}

static int making_init(struct making *m, const struct resize_size *from,
                       const struct resize_size *to, struct sctd_error *err)
{
    const size_t slice = (size_t)to->rows * (size_t)to->columns;
    m->clamped = malloc((size_t)from->rows * (size_t)from->columns * sizeof(float));
    m->resized = malloc(slice * sizeof(float));
    m->image[0] = malloc(BATCH * slice * sizeof(float));
    m->image[1] = malloc(BATCH * slice * sizeof(float));
    if (m->clamped == NULL || m->resized == NULL || m->image[0] == NULL || m->image[1] == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "slices of a perceptual distance");
    }
    return resize_new(&m->resize, *from, *to, err);
}

int mldp_find(double *ret_distance, struct engine *engine, const float *reference,
              const float *synthetic, const int64_t dim[3], struct sctd_error *err)
{
    sctd_auto(features_fini) struct features f = {.y = NULL};
    sctd_auto(making_fini) struct making m = {.resize = NULL};
    const struct recipe *recipe = &engine_get_manifest(engine)->recipe;
    const struct range hu = {recipe->hu_low, recipe->hu_high};
    const struct resize_size from = {(int32_t)dim[1], (int32_t)dim[2]};
    struct resize_size to;
    engine_get_size(engine, &to.rows, &to.columns);
    const size_t plane = (size_t)from.rows * (size_t)from.columns;
    const size_t slice = (size_t)to.rows * (size_t)to.columns;
    const float *const volume[2] = {reference, synthetic};
    int r = making_init(&m, &from, &to, err);
    r = r < 0 ? r : features_init(&f, engine, err);
    for (int64_t k = 0; r == 0 && k < dim[0]; k++) {
        const size_t in_batch = (size_t)(k % BATCH);
        for (int i = 0; i < 2; i++) {
            range_clamp(m.clamped, volume[i] + (size_t)k * plane, plane, hu);
            resize_run(m.resize, m.resized, m.clamped);
            range_map(m.image[i] + in_batch * slice, m.resized, slice, hu,
                      (struct range){-1.0, 1.0});
        }
        if (in_batch + 1 == BATCH || k + 1 == dim[0]) {
            const float *const image[2] = {m.image[0], m.image[1]};
            r = add_batch(&f, engine, image, (int64_t)in_batch + 1, err);
        }
    }
    if (r == 0) {
        *ret_distance = find_distance(&f, dim[0]);
    }
    return r;
}
