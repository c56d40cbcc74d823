/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/graph.h"
#include "engine/backend/load.h"
#include "engine/base/clock.h"
#include "engine/image/percentile.h"
#include "engine/image/range.h"
#include "engine/image/resize.h"
#include "engine/model/network.h"

enum { DEFAULT_BATCH = 4, GPU_BATCH = 32, MAX_BATCH = 1024, MAX_TAPS = 64 };

struct engine {
    struct manifest manifest;
    struct backend_plan *plan;
    int32_t height, width, batch, threads;
    enum backend_precision precision;
    struct graph_tensor tap[MAX_TAPS];
    int32_t n_taps;
    float *staging; /* taps of one batch, channels last */
    double load_ms, gflop_per_slice;
    char choice[256]; /* why this backend */
};

static const struct backend *const backends[] = {
#ifdef SCTD_ONEDNN
    &backend_cpu,
#endif
    &backend_ref,
};

/* Options */

/* The GPU where there is one that works, and a precision that it has; else the first that is built in. */
static const struct backend *choose_backend(struct engine *e)
{
    const struct backend *cuda = NULL;
    struct sctd_error why = {.code = SCTD_OK};
    if (e->precision == BACKEND_BF16X3) {
        (void)snprintf(e->choice, sizeof e->choice, "no GPU computes in bf16x3");
    } else if (backend_load_cuda(&cuda, &why) < 0) {
        (void)snprintf(e->choice, sizeof e->choice, "no GPU: %.200s", why.text);
    } else {
        (void)snprintf(e->choice, sizeof e->choice, "a GPU is there");
    }
    return cuda != NULL ? cuda : backends[0];
}

static int find_backend(const struct backend **ret_backend, struct engine *e, const char *name,
                        struct sctd_error *err)
{
    if (name == NULL || strcmp(name, "auto") == 0) {
        *ret_backend = choose_backend(e);
        return 0;
    }
    (void)snprintf(e->choice, sizeof e->choice, "asked for");
    if (strcmp(name, "cuda") == 0) {
        int r = backend_load_cuda(ret_backend, err);
        if (r < 0) {
            sctd_error_prefix(err, "backend cuda cannot be used here");
        }
        return r;
    }
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        if (strcmp(name, backends[i]->name) == 0) {
            *ret_backend = backends[i];
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "backend \"%.40s\" is not in this build: use auto, cuda%s or ref", name,
                      sizeof backends / sizeof *backends > 1 ? ", cpu" : "");
}

static int find_precision(enum backend_precision *ret_precision, const char *name,
                          struct sctd_error *err)
{
    static const struct {
        const char *name;
        enum backend_precision precision;
    } precisions[] = {{"auto", BACKEND_AUTO}, {"fp32", BACKEND_FP32}, {"tf32", BACKEND_TF32},
                      {"fp16", BACKEND_FP16}, {"bf16", BACKEND_BF16}, {"bf16x3", BACKEND_BF16X3}};
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        if (strcmp(name == NULL ? "auto" : name, precisions[i].name) == 0) {
            *ret_precision = precisions[i].precision;
            return 0;
        }
    }
    return sctd_error(
        err, SCTD_EINVAL,
        "precision \"%.40s\" is not known: use auto, fp32, tf32, fp16, bf16 or bf16x3", name);
}

/* Opening */

struct verification {
    const struct model *model;
    struct sctd_error err;
    int result;
};

static void *verify_main(void *arg)
{
    struct verification *v = arg;
    v->result = model_verify(v->model, &v->err);
    return NULL;
}

static int find_taps(struct engine *e, int32_t *taps, const struct graph *g,
                     const struct engine_options *options, struct sctd_error *err)
{
    if (options->n_taps > MAX_TAPS) {
        return sctd_error(err, SCTD_EINVAL, "%zu taps: at most %d are possible", options->n_taps,
                          MAX_TAPS);
    }
    size_t values = 0;
    for (size_t i = 0; i < options->n_taps; i++) {
        taps[i] = graph_find(g, options->taps[i]);
        if (taps[i] == GRAPH_NONE || taps[i] == GRAPH_X_CNN || taps[i] == GRAPH_X_DINO ||
            taps[i] == g->y) {
            return sctd_error(err, SCTD_EINVAL, "this network has no tap \"%.40s\"",
                              options->taps[i]);
        }
        e->tap[i] = g->tensor[taps[i]];
        e->n_taps++;
        values += graph_tensor_size(g, taps[i]);
    }
    if (values > 0) {
        e->staging = malloc(values * (size_t)e->batch * sizeof *e->staging);
        if (e->staging == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "taps");
        }
    }
    return 0;
}

static int compile(struct engine *e, const struct backend *backend, const struct model *model,
                   const struct engine_options *options, struct sctd_error *err)
{
    sctd_auto(network_freep) struct network *network = NULL;
    int32_t taps[MAX_TAPS];
    int r = network_new(&network, model, e->height, e->width, err);
    if (r < 0) {
        return r;
    }
    const struct graph *g = network_get_graph(network);
    r = find_taps(e, taps, g, options, err);
    if (r < 0) {
        return r;
    }
    e->gflop_per_slice = 2.0 * graph_macs(g) * 1e-9;
    const struct backend_options b = {.precision = e->precision,
                                      .threads = e->threads,
                                      .max_batch = e->batch,
                                      .taps = taps,
                                      .n_taps = e->n_taps};
    return backend->compile(&e->plan, g, &b, err);
}

/* The weights are hashed while they are packed: both read all of them. */
static int load(struct engine *e, const char *dir, const struct backend *backend,
                const struct engine_options *options, struct sctd_error *err)
{
    sctd_auto(model_closep) struct model *model = NULL;
    int r = model_open(&model, dir, err);
    if (r < 0) {
        return r;
    }
    e->manifest = *model_get_manifest(model);
    e->height = options->height > 0 ? options->height : e->manifest.height;
    e->width = options->width > 0 ? options->width : e->manifest.width;
    struct verification v = {.model = model};
    pthread_t thread;
    if (pthread_create(&thread, NULL, verify_main, &v) != 0) {
        return sctd_error(err, SCTD_EIO, "no thread to check the weights");
    }
    r = compile(e, backend, model, options, err);
    (void)pthread_join(thread, NULL);
    model_drop_pages(model);
    if (v.result < 0) {
        *err = v.err;
        return v.result;
    }
    return r;
}

int engine_open(struct engine **ret_engine, const char *dir, const struct engine_options *options,
                struct sctd_error *err)
{
    const double start_s = sctd_now_s();
    const struct backend *backend = backends[0];
    sctd_auto(engine_closep) struct engine *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "engine");
    }
    int r = find_precision(&e->precision, options->precision, err);
    if (r == 0) {
        r = find_backend(&backend, e, options->backend, err);
    }
    if (r == 0 && (options->batch < 0 || options->batch > MAX_BATCH)) {
        r = sctd_error(err, SCTD_EINVAL, "batch %d: 1 to %d are possible", options->batch,
                       MAX_BATCH);
    }
    if (r < 0) {
        return r;
    }
    const int32_t batch = strcmp(backend->name, "cuda") == 0 ? GPU_BATCH : DEFAULT_BATCH;
    e->batch = options->batch == 0 ? batch : options->batch;
    e->threads = options->threads;
    r = load(e, dir, backend, options, err);
    if (r < 0) {
        return r;
    }
    e->load_ms = (sctd_now_s() - start_s) * 1e3;
    *ret_engine = sctd_steal(&e);
    return 0;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL) {
        return;
    }
    if (engine->plan != NULL) {
        engine->plan->backend->free(engine->plan);
    }
    free(engine->staging);
    free(engine);
}

const struct manifest *engine_get_manifest(const struct engine *engine)
{
    return &engine->manifest;
}

const char *engine_get_backend(const struct engine *engine)
{
    return engine->plan->backend->name;
}

const char *engine_get_choice(const struct engine *engine)
{
    return engine->choice;
}

void engine_get_size(const struct engine *engine, int32_t *ret_height, int32_t *ret_width)
{
    *ret_height = engine->height;
    *ret_width = engine->width;
}

void engine_get_tap(const struct engine *engine, size_t i, struct engine_tap *ret_tap)
{
    const struct graph_tensor *t = &engine->tap[i];
    *ret_tap = (struct engine_tap){.name = t->name, .n_dims = 3, .dim = {t->c, t->h, t->w}};
    if (t->tokens) {
        *ret_tap =
            (struct engine_tap){.name = t->name, .n_dims = 2, .dim = {(int64_t)t->h * t->w, t->c}};
    }
}

/* Running */

static bool all_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

static size_t tap_size(const struct graph_tensor *t)
{
    return (size_t)t->h * (size_t)t->w * (size_t)t->c;
}

/* Staged taps [n, h, w, c] to where the caller wants them, [n, c, h, w] unless they are tokens. */
static void place_taps(const struct engine *e, int64_t slice0, int32_t n, float *const *staged,
                       float *const *taps)
{
    for (int32_t i = 0; taps != NULL && i < e->n_taps; i++) {
        const struct graph_tensor *t = &e->tap[i];
        const size_t size = tap_size(t);
        float *to = taps[i] + (size_t)slice0 * size;
        const size_t pixels = (size_t)t->h * (size_t)t->w;
        const size_t channels = (size_t)t->c;
        for (size_t at = 0; at < (size_t)n * size; at++) {
            const size_t inside = at % size;
            const size_t from =
                t->tokens ? at : at - inside + inside % pixels * channels + inside / pixels;
            to[at] = staged[i][from];
        }
    }
}

int engine_run(struct engine *engine, const struct engine_slices *slices, struct sctd_error *err)
{
    const int64_t n = slices->n;
    const size_t slice = (size_t)engine->height * (size_t)engine->width;
    if (n < 1) {
        return sctd_error(err, SCTD_EINVAL, "%lld slices", (long long)n);
    }
    if (!all_finite(slices->x_cnn, (size_t)n * slice) ||
        !all_finite(slices->x_dino, (size_t)n * slice)) {
        return sctd_error(err, SCTD_EDATA, "an input value is not finite");
    }
    float *staged[MAX_TAPS] = {NULL};
    size_t offset = 0;
    for (int32_t i = 0; i < engine->n_taps; i++) {
        staged[i] = engine->staging + offset;
        offset += tap_size(&engine->tap[i]) * (size_t)engine->batch;
    }
    for (int64_t at = 0; at < n; at += engine->batch) {
        const int64_t left = n - at;
        const struct backend_io io = {
            .n = left < engine->batch ? (int32_t)left : engine->batch,
            .x_cnn = slices->x_cnn + (size_t)at * slice,
            .x_dino = slices->x_dino + (size_t)at * slice,
            .y = slices->y + (size_t)at * slice,
            .taps = staged,
        };
        int r = engine->plan->backend->run(engine->plan, &io, err);
        if (r < 0) {
            return r;
        }
        place_taps(engine, at, io.n, staged, slices->taps);
    }
    if (!all_finite(slices->y, (size_t)n * slice)) {
        return sctd_error(err, SCTD_EDATA, "the network's output is not finite");
    }
    return 0;
}

/* The recipe */

int engine_find_clip(const struct engine *engine, double ret_clip[2], const float *volume, size_t n,
                     struct sctd_error *err)
{
    const struct recipe *recipe = &engine->manifest.recipe;
    double clip[2] = {recipe->clip_low, recipe->clip_high};
    if (recipe->clip == RECIPE_CLIP_PERCENTILE) {
        const double percent[2] = {recipe->clip_low, recipe->clip_high};
        int r = percentile_find(clip, percent, volume, n, err);
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

static void make_inputs(const struct engine *e, const float *source, size_t source_size, size_t n,
                        const double clip[2], const struct recipe_buffers *b)
{
    const struct recipe *recipe = &e->manifest.recipe;
    const size_t slice = (size_t)e->height * (size_t)e->width;
    const struct range limits = {clip[0], clip[1]};
    for (size_t i = 0; i < n; i++) {
        float *resized = b->y + i * slice;
        range_clamp(b->slice, source + i * source_size, source_size, limits);
        resize_run(b->in, resized, b->slice);
        range_map(b->x_cnn + i * slice, resized, slice, limits,
                  (struct range){recipe->cnn_low, recipe->cnn_high});
        range_map(b->x_dino + i * slice, resized, slice, limits,
                  (struct range){recipe->dino_low, recipe->dino_high});
    }
}

static void make_hu(const struct engine *e, float *hu, size_t source_size, size_t n,
                    const struct recipe_buffers *b)
{
    const struct recipe *recipe = &e->manifest.recipe;
    const size_t slice = (size_t)e->height * (size_t)e->width;
    for (size_t i = 0; i < n; i++) {
        range_map(b->slice, b->y + i * slice, slice, (struct range){-1.0, 1.0},
                  (struct range){recipe->hu_low, recipe->hu_high});
        resize_run(b->out, hu + i * source_size, b->slice);
    }
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
    if (!all_finite(volume, (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2])) {
        return sctd_error(err, SCTD_EDATA, "a voxel is not finite");
    }
    return 0;
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

static void keep(float *to, const float *from, size_t at, size_t n)
{
    if (to != NULL) {
        memcpy(to + at, from, n * sizeof *to);
    }
}

/* Batch by batch, so that memory does not grow with the volume. */
static int run_batches(struct engine *e, const float *volume, const int64_t dim[3],
                       const struct engine_volume_options *options,
                       const struct engine_volume_result *result, struct sctd_error *err)
{
    const size_t source = (size_t)dim[1] * (size_t)dim[2];
    const size_t slice = (size_t)e->height * (size_t)e->width;
    struct recipe_buffers b = {0};
    int r = recipe_buffers_init(&b, e, dim, err);
    for (int64_t at = 0; r == 0 && at < dim[0]; at += e->batch) {
        const int64_t left = dim[0] - at;
        const size_t first = (size_t)at;
        const size_t n = (size_t)(left < e->batch ? left : e->batch);
        make_inputs(e, volume + first * source, source, n, options->clip, &b);
        const struct engine_slices slices = {
            .n = (int64_t)n, .x_cnn = b.x_cnn, .x_dino = b.x_dino, .y = b.y};
        r = engine_run(e, &slices, err);
        if (r < 0) {
            break;
        }
        keep(result->x_cnn, b.x_cnn, first * slice, n * slice);
        keep(result->x_dino, b.x_dino, first * slice, n * slice);
        keep(result->y, b.y, first * slice, n * slice);
        if (result->hu != NULL) {
            make_hu(e, result->hu + first * source, source, n, &b);
        }
        if (options->on_slices != NULL) {
            options->on_slices(options->arg, at + (int64_t)n, dim[0]);
        }
    }
    recipe_buffers_fini(&b);
    return r;
}

int engine_run_volume(struct engine *engine, const float *volume, const int64_t dim[3],
                      const struct engine_volume_options *options,
                      struct engine_volume_result *result, struct sctd_error *err)
{
    struct engine_volume_options with_clip = {0};
    double clip[2];
    int r = check_volume(volume, dim, err);
    if (r < 0) {
        return r;
    }
    if (options != NULL) {
        with_clip = *options;
    }
    if (with_clip.clip != NULL) {
        r = take_clip(with_clip.clip, clip, err);
    } else {
        r = engine_find_clip(engine, clip, volume, (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2],
                             err);
    }
    with_clip.clip = clip;
    if (r == 0) {
        r = run_batches(engine, volume, dim, &with_clip, result, err);
    }
    if (r == 0) {
        memcpy(result->clip, clip, sizeof clip);
    }
    return r;
}

/* Statistics */

void engine_take_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    struct backend_stats stats = {0};
    engine->plan->backend->take_stats(engine->plan, &stats);
    *ret_stats = (struct engine_stats){.load_ms = engine->load_ms,
                                       .gflop_per_slice = engine->gflop_per_slice,
                                       .arithmetic = stats.arithmetic,
                                       .threads = stats.threads,
                                       .device = stats.device,
                                       .device_mib = stats.device_mib};
    _Static_assert((int)ENGINE_STAGES == (int)GRAPH_STAGES, "one stage list");
    memcpy(ret_stats->stage_ms, stats.stage_ms, sizeof stats.stage_ms);
}

const char *engine_stage_name(int32_t stage)
{
    static const char *const names[] = {
        [GRAPH_VIT] = "vit",
        [GRAPH_ENCODER] = "encoder",
        [GRAPH_FUSION] = "fusion",
        [GRAPH_DECODER] = "decoder",
    };
    return stage < 0 || stage >= GRAPH_STAGES ? "" : names[stage];
}

int engine_measure_peak(struct engine *engine, double *ret_gflops, struct sctd_error *err)
{
    return engine->plan->backend->matrix_peak(ret_gflops, engine->precision, engine->threads, err);
}
