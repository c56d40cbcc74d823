/* SPDX-License-Identifier: Apache-2.0 */
/* The model's recipe: from a volume to the network's inputs, and from its output to HU. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "engine/engine_state.h"
#include "engine/image/percentile.h"
#include "engine/image/range.h"
#include "engine/image/resize.h"

bool engine_all_finite(const float *values, size_t n)
{
    enum { BLOCK = 1024 };
    const uint32_t exponent = UINT32_C(0x7f800000);
    uint32_t bits[BLOCK] = {0};
    for (size_t at = 0; at < n; at += BLOCK) {
        uint32_t found = 0;
        /* The last block's rest is what was finite in the one before. */
        memcpy(bits, values + at, (n - at < BLOCK ? n - at : BLOCK) * sizeof *values);
        /* Without a branch and always as many: it is run over whole volumes, and compilers make vectors of it. */
        for (size_t i = 0; i < BLOCK; i++) {
            found |= (uint32_t)((bits[i] & exponent) == exponent);
        }
        if (found != 0) {
            return false;
        }
    }
    return true;
}

/* Clip limits */

/* counter NULL: the values lie in memory. */
static int find_clip(const struct engine *engine, double ret_clip[2], const float *volume, size_t n,
                     const struct percentile_counter *counter, struct sctd_error *err)
{
    const struct recipe *recipe = &engine->manifest.recipe;
    double clip[2] = {recipe->clip_low, recipe->clip_high};
    if (recipe->clip == RECIPE_CLIP_PERCENTILE) {
        const double percent[2] = {recipe->clip_low, recipe->clip_high};
        int r = counter == NULL ? percentile_find(clip, percent, volume, n, err)
                                : percentile_find_counted(clip, percent, n, counter, err);
        if (r < 0) {
            return r;
        }
    }
    if (!(clip[0] < clip[1])) {
        return sctd_error(err, SCTD_EDATA,
                          "the volume has no contrast: both clip limits are %g (is it empty?)",
                          clip[0]);
    }
    memcpy(ret_clip, clip, sizeof clip);
    return 0;
}

int engine_find_clip(const struct engine *engine, double ret_clip[2], const float *volume, size_t n,
                     struct sctd_error *err)
{
    return find_clip(engine, ret_clip, volume, n, NULL, err);
}

static int take_clip(const double *clip, double ret_clip[2], struct sctd_error *err)
{
    if (!(clip[0] < clip[1])) {
        return sctd_error(err, SCTD_EINVAL, "clip limits %g and %g: the second must be above",
                          clip[0], clip[1]);
    }
    memcpy(ret_clip, clip, 2 * sizeof *clip);
    return 0;
}

/* What a volume's run is made of. */
struct volume_run {
    struct engine *engine;
    const float *volume;
    const int64_t *dim;
    size_t n; /* voxels */
    struct engine_volume_options options;
    const struct engine_volume_result *result;
    double clip[2];
};

static int choose_clip(struct volume_run *v, const struct percentile_counter *counter,
                       struct sctd_error *err)
{
    return v->options.clip != NULL ? take_clip(v->options.clip, v->clip, err)
                                   : find_clip(v->engine, v->clip, v->volume, v->n, counter, err);
}

/* On the host */

/* A batch's steps of the recipe. */
struct recipe_buffers {
    float *x_cnn, *x_dino, *y; /* [batch, 1, h, w]; y first holds the resized slices */
    float *slice;              /* of the larger of both sizes */
    struct resize *in, *out;
};

static void recipe_buffers_fini(struct recipe_buffers *b)
{
    free(b->x_cnn);
    free(b->x_dino);
    free(b->y);
    free(b->slice);
    resize_free(b->in);
    resize_free(b->out);
}

static int recipe_buffers_init(struct recipe_buffers *b, const struct engine *e,
                               const int64_t dim[3], struct sctd_error *err)
{
    const size_t source = (size_t)dim[1] * (size_t)dim[2];
    const size_t slice = (size_t)e->height * (size_t)e->width;
    const size_t batch = (size_t)(dim[0] < e->batch ? dim[0] : e->batch) * slice;
    b->x_cnn = malloc(batch * sizeof(float));
    b->x_dino = malloc(batch * sizeof(float));
    b->y = malloc(batch * sizeof(float));
    b->slice = malloc((source > slice ? source : slice) * sizeof(float));
    if (b->x_cnn == NULL || b->x_dino == NULL || b->y == NULL || b->slice == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a batch of slices");
    }
    const struct resize_size from = {(int32_t)dim[1], (int32_t)dim[2]};
    const struct resize_size network = {e->height, e->width};
    int r = resize_new(&b->in, from, network, err);
    return r < 0 ? r : resize_new(&b->out, network, from, err);
}

static void make_inputs(const struct volume_run *v, size_t first, size_t n,
                        const struct recipe_buffers *b)
{
    const struct recipe *recipe = &v->engine->manifest.recipe;
    const size_t source = (size_t)v->dim[1] * (size_t)v->dim[2];
    const size_t slice = (size_t)v->engine->height * (size_t)v->engine->width;
    const struct range limits = {v->clip[0], v->clip[1]};
    for (size_t i = 0; i < n; i++) {
        float *resized = b->y + i * slice;
        range_clamp(b->slice, v->volume + (first + i) * source, source, limits);
        resize_run(b->in, resized, b->slice);
        range_map(b->x_cnn + i * slice, resized, slice, limits,
                  (struct range){recipe->cnn_low, recipe->cnn_high});
        range_map(b->x_dino + i * slice, resized, slice, limits,
                  (struct range){recipe->dino_low, recipe->dino_high});
    }
}

/* To the nearest whole number, ties to even, within 16 bits: as a backend of volumes does. */
static void round_whole(float *values, size_t n)
{
    /* 1.5 * 2^23: adding it leaves no bits for a fraction, and the processor rounds to nearest even. */
    const float rounder = 12582912.0F;
    for (size_t i = 0; i < n; i++) {
        const float raised = values[i] < -32768.0F ? -32768.0F : values[i];
        const float clamped = raised > 32767.0F ? 32767.0F : raised;
        values[i] = (clamped + rounder) - rounder;
    }
}

static void make_hu(const struct volume_run *v, size_t first, size_t n,
                    const struct recipe_buffers *b)
{
    const struct recipe *recipe = &v->engine->manifest.recipe;
    const size_t source = (size_t)v->dim[1] * (size_t)v->dim[2];
    const size_t slice = (size_t)v->engine->height * (size_t)v->engine->width;
    for (size_t i = 0; i < n; i++) {
        float *hu = v->result->hu + (first + i) * source;
        range_map(b->slice, b->y + i * slice, slice, (struct range){-1.0, 1.0},
                  (struct range){recipe->hu_low, recipe->hu_high});
        resize_run(b->out, hu, b->slice);
        if (v->options.whole_hu) {
            round_whole(hu, source);
        }
    }
}

static void keep(float *to, const float *from, size_t at, size_t n)
{
    if (to != NULL) {
        memcpy(to + at, from, n * sizeof *to);
    }
}

static int run_batch(const struct volume_run *v, size_t first, size_t n,
                     const struct recipe_buffers *b, struct sctd_error *err)
{
    const size_t slice = (size_t)v->engine->height * (size_t)v->engine->width;
    make_inputs(v, first, n, b);
    const struct engine_slices slices = {
        .n = (int64_t)n, .x_cnn = b->x_cnn, .x_dino = b->x_dino, .y = b->y};
    int r = engine_run(v->engine, &slices, err);
    if (r < 0) {
        return r;
    }
    keep(v->result->x_cnn, b->x_cnn, first * slice, n * slice);
    keep(v->result->x_dino, b->x_dino, first * slice, n * slice);
    keep(v->result->y, b->y, first * slice, n * slice);
    if (v->result->hu != NULL) {
        make_hu(v, first, n, b);
    }
    if (v->options.on_slices != NULL) {
        v->options.on_slices(v->options.arg, (int64_t)(first + n), v->dim[0]);
    }
    return 0;
}

/* Batch by batch, so that memory does not grow with the volume. */
static int run_batches(const struct volume_run *v, struct sctd_error *err)
{
    struct recipe_buffers b = {0};
    int r = recipe_buffers_init(&b, v->engine, v->dim, err);
    for (int64_t at = 0; r == 0 && at < v->dim[0]; at += v->engine->batch) {
        const int64_t left = v->dim[0] - at;
        const int64_t n = left < v->engine->batch ? left : v->engine->batch;
        r = run_batch(v, (size_t)at, (size_t)n, &b, err);
    }
    recipe_buffers_fini(&b);
    return r;
}

static int run_on_host(struct volume_run *v, struct sctd_error *err)
{
    int r = choose_clip(v, NULL, err);
    return r < 0 ? r : run_batches(v, err);
}

/* On a device with memory of its own */

_Static_assert((int)BACKEND_COUNTS == (int)PERCENTILE_BINS &&
                   (int)BACKEND_MAX_UPPERS == (int)PERCENTILE_TABLES,
               "one way to count");

static int count_uppers(void *arg, size_t count[PERCENTILE_BINS], struct sctd_error *err)
{
    struct backend_plan *plan = arg;
    return plan->backend->volumes->count(plan, count, NULL, 0, err);
}

static int count_lowers(void *arg, const uint32_t *upper, int n_tables,
                        size_t (*count)[PERCENTILE_BINS], struct sctd_error *err)
{
    struct backend_plan *plan = arg;
    return plan->backend->volumes->count(plan, count[0], upper, n_tables, err);
}

static struct backend_volume describe(const struct volume_run *v)
{
    const struct recipe *recipe = &v->engine->manifest.recipe;
    return (struct backend_volume){
        .dim = {v->dim[0], v->dim[1], v->dim[2]},
        .clip = {v->clip[0], v->clip[1]},
        .cnn = {.from = {v->clip[0], v->clip[1]}, .to = {recipe->cnn_low, recipe->cnn_high}},
        .dino = {.from = {v->clip[0], v->clip[1]}, .to = {recipe->dino_low, recipe->dino_high}},
        .out = {.from = {-1.0, 1.0}, .to = {recipe->hu_low, recipe->hu_high}},
        .whole = v->options.whole_hu,
        .hu = v->result->hu,
        .on_slices = v->options.on_slices,
        .arg = v->options.arg,
    };
}

/* BACKEND_NO_ROOM: it is to be done on the host. */
static int run_on_device(struct volume_run *v, struct sctd_error *err)
{
    struct backend_plan *plan = v->engine->plan;
    const struct backend_volumes *volumes = plan->backend->volumes;
    const struct percentile_counter counter = {
        .uppers = count_uppers, .lowers = count_lowers, .arg = plan};
    int r = volumes->put(plan, v->volume, v->n, err);
    if (r != 0) {
        return r;
    }
    r = choose_clip(v, &counter, err);
    if (r == 0) {
        const struct backend_volume volume = describe(v);
        r = volumes->run(plan, &volume, err);
    }
    volumes->drop(plan);
    return r;
}

/* Nothing but HU is wanted: what lies between stays on the device. */
static bool fits_device(const struct volume_run *v)
{
    const struct engine_volume_result *result = v->result;
    return v->engine->plan->backend->volumes != NULL && result->hu != NULL &&
           result->x_cnn == NULL && result->x_dino == NULL && result->y == NULL;
}

static int check_volume(const float *volume, const int64_t dim[3], struct sctd_error *err)
{
    enum { MAX_SIDE = 32768 };
    for (int i = 0; i < 3; i++) {
        if (dim[i] < 1 || dim[i] > MAX_SIDE) {
            return sctd_error(err, SCTD_EINVAL, "a volume of %lld x %lld x %lld", (long long)dim[0],
                              (long long)dim[1], (long long)dim[2]);
        }
    }
    if (!engine_all_finite(volume, (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2])) {
        return sctd_error(err, SCTD_EDATA, "a voxel is not finite");
    }
    return 0;
}

int engine_run_volume(struct engine *engine, const float *volume, const int64_t dim[3],
                      const struct engine_volume_options *options,
                      struct engine_volume_result *result, struct sctd_error *err)
{
    int r = check_volume(volume, dim, err);
    if (r < 0) {
        return r;
    }
    struct volume_run v = {.engine = engine,
                           .volume = volume,
                           .dim = dim,
                           .n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2],
                           .result = result};
    if (options != NULL) {
        v.options = *options;
    }
    r = fits_device(&v) ? run_on_device(&v, err) : BACKEND_NO_ROOM;
    if (r == BACKEND_NO_ROOM) {
        r = run_on_host(&v, err);
    }
    if (r == 0) {
        memcpy(result->clip, v.clip, sizeof v.clip);
    }
    return r;
}
