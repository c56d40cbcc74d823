/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

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
#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/engine_state.h"
#include "engine/model/network.h"

enum { DEFAULT_BATCH = 4, GPU_BATCH = 32, MAX_BATCH = 1024 };

static const struct backend *const backends[] = {
#ifdef SCTD_ONEDNN
    &backend_cpu,
#endif
    &backend_ref,
};

static const char *const precisions[] = {
    [BACKEND_AUTO] = "auto", [BACKEND_FP32] = "fp32", [BACKEND_TF32] = "tf32",
    [BACKEND_FP16] = "fp16", [BACKEND_BF16] = "bf16", [BACKEND_BF16X3] = "bf16x3"};

/* Options */

/* The GPU where there is one that works, and a precision that it has; else the first that is built in. */
static const struct backend *choose_backend(struct engine *e)
{
    const struct backend *cuda = NULL;
    struct sctd_error why = {.code = SCTD_OK};
    if (e->precision == BACKEND_BF16X3) {
        (void)snprintf(e->choice, sizeof e->choice, "no GPU computes in bf16x3");
    } else if (backend_load_cuda(&cuda, &e->device, &why) < 0) {
        (void)snprintf(e->choice, sizeof e->choice, "no GPU: %.200s", why.text);
        e->is_fallback = backend_expects_cuda();
    } else {
        (void)snprintf(e->choice, sizeof e->choice, "a GPU is there");
    }
    return cuda != NULL ? cuda : backends[0];
}

/* "cuda", or "cuda:" and the GPU's number: 0; 1: it is another's name. */
static int read_device(int32_t *ret_device, const char *name, struct sctd_error *err)
{
    static const char cuda[] = "cuda";
    enum { MOST = 1023, LENGTH = sizeof cuda - 1 };
    int64_t number = BACKEND_ANY_DEVICE;
    if (strncmp(name, cuda, LENGTH) != 0 || (name[LENGTH] != '\0' && name[LENGTH] != ':')) {
        return 1;
    }
    if (name[LENGTH] == ':' && sctd_parse_i64(&number, name + LENGTH + 1, 0, MOST, err) < 0) {
        return sctd_error(err, SCTD_EINVAL,
                          "backend \"%.40s\": after \"cuda:\" comes a GPU's number, from 0 on",
                          name);
    }
    *ret_device = (int32_t)number;
    return 0;
}

static int find_backend(const struct backend **ret_backend, struct engine *e,
                        const struct engine_options *options, struct sctd_error *err)
{
    const char *name = options->backend;
    if (options->turn < 0 || options->turns < 0 ||
        (options->turn > 0 && options->turn >= options->turns)) {
        return sctd_error(err, SCTD_EINVAL, "turn %d of %d", options->turn, options->turns);
    }
    e->device = (struct backend_device){
        .number = BACKEND_ANY_DEVICE, .turn = options->turn, .turns = options->turns};
    if (name == NULL || strcmp(name, "auto") == 0) {
        *ret_backend = choose_backend(e);
        return 0;
    }
    (void)snprintf(e->choice, sizeof e->choice, "asked for");
    int r = read_device(&e->device.number, name, err);
    if (r == 0) {
        r = backend_load_cuda(ret_backend, &e->device, err);
        if (r < 0) {
            sctd_error_prefix(err, "backend cuda cannot be used here");
        }
    }
    if (r <= 0) {
        return r;
    }
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        if (strcmp(name, backends[i]->name) == 0) {
            *ret_backend = backends[i];
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "backend \"%.40s\" is not in this build: use auto, cuda, cuda:N%s or ref",
                      name, sizeof backends / sizeof *backends > 1 ? ", cpu" : "");
}

static int find_precision(enum backend_precision *ret_precision, const char *name,
                          struct sctd_error *err)
{
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++) {
        if (strcmp(name == NULL ? "auto" : name, precisions[i]) == 0) {
            *ret_precision = (enum backend_precision)i;
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
    if (options->n_taps > ENGINE_MAX_TAPS) {
        return sctd_error(err, SCTD_EINVAL, "%zu taps: at most %d are possible", options->n_taps,
                          ENGINE_MAX_TAPS);
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
    int32_t taps[ENGINE_MAX_TAPS];
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
                                      .device = e->device,
                                      .memory_bytes = (size_t)options->gpu_memory_mib << 20,
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
        r = find_backend(&backend, e, options, err);
    }
    if (r == 0 && (options->batch < 0 || options->batch > MAX_BATCH)) {
        r = sctd_error(err, SCTD_EINVAL, "batch %d: 1 to %d are possible", options->batch,
                       MAX_BATCH);
    }
    if (r == 0 && options->gpu_memory_mib < 0) {
        r = sctd_error(err, SCTD_EINVAL, "%d MiB of a GPU's memory", options->gpu_memory_mib);
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

int engine_check_backend(const struct engine_options *options, struct sctd_error *err)
{
    const struct backend *found = NULL;
    sctd_auto(engine_closep) struct engine *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "engine");
    }
    return find_backend(&found, e, options, err);
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

bool engine_is_fallback(const struct engine *engine)
{
    return engine->is_fallback;
}

void engine_get_size(const struct engine *engine, int32_t *ret_height, int32_t *ret_width)
{
    *ret_height = engine->height;
    *ret_width = engine->width;
}

int32_t engine_get_batch(const struct engine *engine)
{
    return engine->batch;
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
    const bool finds = engine->plan->backend->finds_not_finite;
    if (!finds && (!engine_all_finite(slices->x_cnn, (size_t)n * slice) ||
                   !engine_all_finite(slices->x_dino, (size_t)n * slice))) {
        return sctd_error(err, SCTD_EDATA, "an input value is not finite");
    }
    float *staged[ENGINE_MAX_TAPS] = {NULL};
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
    if (!finds && !engine_all_finite(slices->y, (size_t)n * slice)) {
        return sctd_error(err, SCTD_EDATA, "the network's output is not finite");
    }
    return 0;
}

/* Statistics */

void engine_take_stats(struct engine *engine, struct engine_stats *ret_stats)
{
    struct backend_stats stats = {0};
    engine->plan->backend->take_stats(engine->plan, &stats);
    *ret_stats = (struct engine_stats){.load_ms = engine->load_ms,
                                       .gflop_per_slice = engine->gflop_per_slice,
                                       .arithmetic = stats.arithmetic,
                                       .precision = precisions[stats.precision],
                                       .threads = stats.threads,
                                       .device = stats.device,
                                       .device_number = stats.device_number,
                                       .device_mib = stats.device_mib,
                                       .remark = stats.remark};
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
