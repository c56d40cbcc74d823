/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/backend/backend.h"
#include "engine/backend/graph.h"
#include "engine/image/percentile.h"
#include "engine/image/range.h"
#include "engine/image/resize.h"
#include "engine/model/network.h"

enum { DEFAULT_BATCH = 4, MAX_BATCH = 1024, MAX_TAPS = 64 };

struct engine {
    struct manifest manifest;
    struct backend_plan *plan;
    int32_t height, width, batch, threads;
    enum backend_precision precision;
    struct graph_tensor tap[MAX_TAPS];
    int32_t n_taps;
    float *staging; /* taps of one batch, channels last */
    double load_ms, gflop_per_slice;
};

static const struct backend *const backends[] = {
#ifdef SCTD_ONEDNN
    &backend_cpu,
#endif
    &backend_ref,
};

static double now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Options */

static int find_backend(const struct backend **ret_backend, const char *name,
                        struct sctd_error *err)
{
    if (name == NULL || strcmp(name, "auto") == 0) {
        *ret_backend = backends[0];
        return 0;
    }
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        if (strcmp(name, backends[i]->name) == 0) {
            *ret_backend = backends[i];
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL, "backend \"%.40s\" is not in this build: use auto%s or ref",
                      name, sizeof backends / sizeof *backends > 1 ? ", cpu" : "");
}

static int find_precision(enum backend_precision *ret_precision, const char *name,
                          struct sctd_error *err)
{
    static const struct {
        const char *name;
        enum backend_precision precision;
    } precisions[] = {{"auto", BACKEND_AUTO},
                      {"fp32", BACKEND_FP32},
                      {"bf16", BACKEND_BF16},
                      {"bf16x3", BACKEND_BF16X3}};
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        if (strcmp(name == NULL ? "auto" : name, precisions[i].name) == 0) {
            *ret_precision = precisions[i].precision;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "precision \"%.40s\" is not known: use auto, fp32, bf16 or bf16x3", name);
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
    const double start = now_ms();
    const struct backend *backend = NULL;
    sctd_auto(engine_closep) struct engine *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "engine");
    }
    int r = find_backend(&backend, options->backend, err);
    if (r == 0) {
        r = find_precision(&e->precision, options->precision, err);
    }
    if (r == 0 && (options->batch < 0 || options->batch > MAX_BATCH)) {
        r = sctd_error(err, SCTD_EINVAL, "batch %d: 1 to %d are possible", options->batch,
                       MAX_BATCH);
    }
    if (r < 0) {
        return r;
    }
    e->batch = options->batch == 0 ? DEFAULT_BATCH : options->batch;
    e->threads = options->threads;
    r = load(e, dir, backend, options, err);
    if (r < 0) {
        return r;
    }
    e->load_ms = now_ms() - start;
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

static int find_clip(double clip[2], const struct recipe *recipe, const float *volume, size_t n,
                     struct sctd_error *err)
{
    clip[0] = recipe->clip_low;
    clip[1] = recipe->clip_high;
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
    return 0;
}

/* Buffers of the recipe; each is the caller's where the caller wants it, else our own. */
struct recipe_buffers {
    float *x_cnn, *x_dino, *y;
    float *owned[3];
    float *clipped; /* one slice of the source */
    struct resize *in, *out;
};

static void recipe_buffers_fini(struct recipe_buffers *b)
{
    for (int i = 0; i < 3; i++) {
        free(b->owned[i]);
    }
    free(b->clipped);
    resize_free(b->in);
    resize_free(b->out);
}

static int recipe_buffers_init(struct recipe_buffers *b, const struct engine *e,
                               const int64_t dim[3], const struct engine_volume_result *result,
                               struct sctd_error *err)
{
    const size_t n = (size_t)dim[0] * (size_t)e->height * (size_t)e->width;
    float *const given[3] = {result->x_cnn, result->x_dino, result->y};
    float **const wanted[3] = {&b->x_cnn, &b->x_dino, &b->y};
    for (int i = 0; i < 3; i++) {
        if (given[i] == NULL) {
            b->owned[i] = malloc(n * sizeof(float));
        }
        *wanted[i] = given[i] == NULL ? b->owned[i] : given[i];
    }
    b->clipped = malloc((size_t)dim[1] * (size_t)dim[2] * sizeof *b->clipped);
    if (b->x_cnn == NULL || b->x_dino == NULL || b->y == NULL || b->clipped == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a volume of %lld slices", (long long)dim[0]);
    }
    const struct resize_size source = {(int32_t)dim[1], (int32_t)dim[2]};
    const struct resize_size network = {e->height, e->width};
    int r = resize_new(&b->in, source, network, err);
    return r < 0 ? r : resize_new(&b->out, network, source, err);
}

static void make_inputs(const struct engine *e, const float *volume, const int64_t dim[3],
                        const double clip[2], const struct recipe_buffers *b)
{
    const struct recipe *recipe = &e->manifest.recipe;
    const size_t source = (size_t)dim[1] * (size_t)dim[2];
    const size_t slice = (size_t)e->height * (size_t)e->width;
    const struct range limits = {clip[0], clip[1]};
    for (size_t i = 0; i < (size_t)dim[0]; i++) {
        float *resized = b->y + i * slice; /* overwritten by the network later */
        range_clamp(b->clipped, volume + i * source, source, limits);
        resize_run(b->in, resized, b->clipped);
        range_map(b->x_cnn + i * slice, resized, slice, limits,
                  (struct range){recipe->cnn_low, recipe->cnn_high});
        range_map(b->x_dino + i * slice, resized, slice, limits,
                  (struct range){recipe->dino_low, recipe->dino_high});
    }
}

static void make_hu(const struct engine *e, const int64_t dim[3], const struct recipe_buffers *b,
                    float *hu, float *scratch)
{
    const struct recipe *recipe = &e->manifest.recipe;
    const size_t source = (size_t)dim[1] * (size_t)dim[2];
    const size_t slice = (size_t)e->height * (size_t)e->width;
    for (size_t i = 0; i < (size_t)dim[0]; i++) {
        range_map(scratch, b->y + i * slice, slice, (struct range){-1.0, 1.0},
                  (struct range){recipe->hu_low, recipe->hu_high});
        resize_run(b->out, hu + i * source, scratch);
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

int engine_run_volume(struct engine *engine, const float *volume, const int64_t dim[3],
                      struct engine_volume_result *result, struct sctd_error *err)
{
    struct recipe_buffers b = {0};
    double clip[2];
    float *scratch = NULL;
    int r = check_volume(volume, dim, err);
    if (r == 0) {
        r = find_clip(clip, &engine->manifest.recipe, volume,
                      (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2], err);
    }
    if (r == 0) {
        r = recipe_buffers_init(&b, engine, dim, result, err);
    }
    if (r == 0) {
        make_inputs(engine, volume, dim, clip, &b);
        const struct engine_slices slices = {
            .n = dim[0], .x_cnn = b.x_cnn, .x_dino = b.x_dino, .y = b.y};
        r = engine_run(engine, &slices, err);
    }
    if (r == 0 && result->hu != NULL) {
        scratch = malloc((size_t)engine->height * (size_t)engine->width * sizeof *scratch);
        r = scratch == NULL ? sctd_error(err, SCTD_ENOMEM, "slice") : 0;
    }
    if (r == 0 && result->hu != NULL) {
        make_hu(engine, dim, &b, result->hu, scratch);
    }
    if (r == 0) {
        memcpy(result->clip, clip, sizeof clip);
    }
    free(scratch);
    recipe_buffers_fini(&b);
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
                                       .threads = stats.threads};
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
