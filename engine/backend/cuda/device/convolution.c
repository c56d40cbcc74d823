/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/convolution.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/device/conv_graph.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/device/tuning.h"
#include "engine/backend/cuda/fault.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum {
    MAX_CONFIGS = 48, /* that the heuristics are asked for: in fp32 few of them are exact enough */
    /* Of those that work, that are measured: those with an epilogue are compiled first. */
    MAX_TRIED_FUSED = 5,
    MAX_TRIED_BARE = 8,
};

struct convolution {
    struct product_args args;
    enum plan_choice choice;
    struct conv_graph graph;
    cudnnBackendDescriptor_t plan; /* NULL: plain or own */
    cudnnBackendDescriptor_t pack;
    size_t workspace;
    size_t items; /* of the epilogue, or of the plain kernel */
};

/* What it is chosen with. */
struct context {
    cudnnHandle_t handle;
    const struct tuning *tuning;
};

void convolution_free(struct convolution *c)
{
    if (c == NULL) {
        return;
    }
    if (c->pack != NULL) {
        (void)cudnnBackendDestroyDescriptor(c->pack);
    }
    if (c->plan != NULL) {
        (void)cudnnBackendDestroyDescriptor(c->plan);
    }
    conv_graph_fini(&c->graph);
    free(c);
}

static void convolution_freep(struct convolution **c)
{
    convolution_free(*c);
}

size_t convolution_get_workspace(const struct convolution *convolution)
{
    return convolution->workspace;
}

bool convolution_is_fused(const struct convolution *convolution)
{
    return convolution->choice == PLAN_FUSED;
}

bool convolution_is_plain(const struct convolution *convolution)
{
    return convolution->choice == PLAN_PLAIN;
}

bool convolution_is_own(const struct convolution *convolution)
{
    return convolution->choice == PLAN_OWN;
}

void convolution_key(char ret_key[CONVOLUTION_KEY_SIZE], const struct product_args *args,
                     enum backend_precision precision)
{
    const struct finish_args *f = &args->finish;
    (void)snprintf(
        ret_key, CONVOLUTION_KEY_SIZE,
        "conv n%d h%d w%d i%d o%d k%d x%d y%d before%d add%d add%d bias%d act%d p%d", args->slices,
        args->h, args->w, args->x.stride, f->y.stride, args->kernel, args->x.type, f->y.type,
        f->before.data == NULL ? -1 : f->before.type, f->add[0].data == NULL ? -1 : f->add[0].type,
        f->add[1].data == NULL ? -1 : f->add[1].type, f->bias != NULL, f->act, (int)precision);
}

/* Plans */

static void destroy(cudnnBackendDescriptor_t *d)
{
    if (*d != NULL) {
        (void)cudnnBackendDestroyDescriptor(*d);
        *d = NULL;
    }
}

/* A plan from a config, or from its text; NULL with a status if it cannot be. */
static cudnnStatus_t make_plan(cudnnBackendDescriptor_t *ret_plan, cudnnHandle_t handle,
                               cudnnBackendDescriptor_t config,
                               const struct plan_cache_entry *entry)
{
    cudnnBackendDescriptor_t plan = NULL;
    cudnnStatus_t s = cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan);
    if (s != CUDNN_STATUS_SUCCESS) {
        return s;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* cuDNN before 9.19 needs it */
    s = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                 (const void *)&handle);
#pragma GCC diagnostic pop
    if (s == CUDNN_STATUS_SUCCESS && entry != NULL) {
        s = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                     CUDNN_TYPE_CHAR, (int64_t)entry->size, entry->text);
    } else if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, (const void *)&config);
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendFinalize(plan);
    }
    if (s != CUDNN_STATUS_SUCCESS) {
        destroy(&plan);
    }
    *ret_plan = plan;
    return s;
}

static bool plan_workspace(cudnnBackendDescriptor_t plan, size_t most, size_t *ret_bytes)
{
    int64_t bytes = 0;
    int64_t count = 0;
    if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                 1, &count, &bytes) != CUDNN_STATUS_SUCCESS ||
        bytes < 0 || (uint64_t)bytes > most) {
        return false;
    }
    *ret_bytes = (size_t)bytes;
    return true;
}

/* Whether an engine with these notes may be used: the same bits every time, and no coarser arithmetic
 * than was asked for. */
static bool is_allowed(cudnnBackendNumericalNote_t note, const struct convolution *c,
                       enum backend_precision precision)
{
    switch (note) {
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: /* for f32 that is TF32 */
        return precision != BACKEND_FP32;
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: /* for f32 that is fp16, which overflows */
        return c->args.x.type != VALUE_F32;
    case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP:
        return true;
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
    case CUDNN_NUMERICAL_NOTE_FFT:
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13:
    case CUDNN_NUMERICAL_NOTE_TYPE_COUNT:
        break;
    }
    return false;
}

static bool config_is_allowed(cudnnBackendDescriptor_t config, const struct convolution *c,
                              enum backend_precision precision)
{
    cudnnBackendDescriptor_t engine = NULL;
    cudnnBackendNumericalNote_t note[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) !=
        CUDNN_STATUS_SUCCESS) {
        return false;
    }
    bool allowed =
        cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 1, &count, (void *)&engine) == CUDNN_STATUS_SUCCESS;
    allowed = allowed && cudnnBackendGetAttribute(
                             engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, note) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; allowed && i < count; i++) {
        allowed = is_allowed(note[i], c, precision);
    }
    destroy(&engine);
    return allowed;
}

/* The heuristics' configs for a graph, best first. */
struct configs {
    cudnnBackendDescriptor_t heuristics;
    cudnnBackendDescriptor_t config[MAX_CONFIGS];
    int64_t n_made; /* descriptors */
    int64_t n;      /* that were filled in */
};

static void configs_fini(struct configs *c)
{
    for (int64_t i = 0; i < c->n_made; i++) {
        destroy(&c->config[i]);
    }
    destroy(&c->heuristics);
}

static void configs_init(struct configs *c, const struct conv_graph *g, cudnnBackendHeurMode_t mode)
{
    *c = (struct configs){.n = 0};
    cudnnStatus_t s =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &c->heuristics);
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendSetAttribute(c->heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, (const void *)&g->graph);
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendSetAttribute(c->heuristics, CUDNN_ATTR_ENGINEHEUR_MODE,
                                     CUDNN_TYPE_HEUR_MODE, 1, &mode);
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendFinalize(c->heuristics);
    }
    while (s == CUDNN_STATUS_SUCCESS && c->n_made < MAX_CONFIGS) {
        s = cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &c->config[c->n_made]);
        c->n_made += s == CUDNN_STATUS_SUCCESS ? 1 : 0;
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendGetAttribute(c->heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, MAX_CONFIGS, &c->n,
                                     (void *)c->config);
    }
    c->n = s != CUDNN_STATUS_SUCCESS ? 0 : c->n > MAX_CONFIGS ? MAX_CONFIGS : c->n;
}

/* Running */

int convolution_set_workspace(struct convolution *c, void *workspace, struct sctd_error *err)
{
    destroy(&c->pack);
    if (c->plan == NULL) {
        return 0;
    }
    cudnnStatus_t s = cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &c->pack);
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendSetAttribute(c->pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                                     c->graph.n_operands, c->graph.uid);
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendSetAttribute(c->pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
                                     CUDNN_TYPE_VOID_PTR, c->graph.n_operands,
                                     (const void *)c->graph.pointer);
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendSetAttribute(c->pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE,
                                     CUDNN_TYPE_VOID_PTR, 1, (const void *)&workspace);
    }
    if (s == CUDNN_STATUS_SUCCESS) {
        s = cudnnBackendFinalize(c->pack);
    }
    return s == CUDNN_STATUS_SUCCESS ? 0 : conv_graph_fault(s, "a convolution's operands", err);
}

int convolution_run(const struct convolution *c, cudnnHandle_t handle, cudaStream_t stream,
                    struct sctd_error *err)
{
    cudaError_t e = cudaSuccess;
    if (c->plan != NULL) {
        const cudnnStatus_t s = cudnnBackendExecute(handle, c->plan, c->pack);
        if (s != CUDNN_STATUS_SUCCESS) {
            return conv_graph_fault(s, "a convolution", err);
        }
    }
    if (c->choice == PLAN_PLAIN) {
        const union step_args args = {.product = c->args};
        e = kernels_start(STEP_CONV, &args, c->items, stream);
    } else if (c->choice == PLAN_OWN) {
        e = kernels_start_conv64(&c->args, stream, &e) != 0 ? e : cudaErrorNotSupported;
    } else if (c->choice == PLAN_BARE) {
        struct finish_args finish = c->args.finish;
        finish.x = finish.y;
        e = kernels_start_finish(&finish, c->items, stream);
    }
    return e == cudaSuccess
               ? 0
               : fault_set(err, FAULT_CUDA, (int)e, cudaGetErrorName(e), "a convolution's kernel");
}

/* A convolution that is measured, and with what. */
struct trial {
    const struct convolution *convolution;
    cudnnHandle_t handle;
};

static int run_trial(const void *arg, const struct tuning *tuning, struct sctd_error *err)
{
    const struct trial *t = arg;
    return convolution_run(t->convolution, t->handle, tuning->stream, err);
}

static int measure(float *ret_ms, struct convolution *c, const struct context *x,
                   struct sctd_error *err)
{
    const struct trial trial = {c, x->handle};
    const int r = convolution_set_workspace(c, x->tuning->workspace, err);
    return r < 0 ? r : tuning_measure(ret_ms, x->tuning, run_trial, &trial, err);
}

/* Choosing */

/* What has been found so far for one convolution. */
struct search {
    cudnnBackendDescriptor_t best;
    size_t workspace;
    float ms;
    int32_t tried;
};

/* Take a plan into the search, which owns it from here on. */
static int consider(struct convolution *c, const struct context *x, cudnnBackendDescriptor_t plan,
                    struct search *s, struct sctd_error *err)
{
    size_t workspace = 0;
    if (!plan_workspace(plan, x->tuning->workspace_bytes, &workspace)) {
        destroy(&plan);
        return 0;
    }
    float ms = 0.0F;
    int r = 0;
    if (x->tuning->measure) {
        c->plan = plan;
        r = measure(&ms, c, x, err);
        destroy(&c->pack);
        c->plan = NULL;
    }
    s->tried++;
    if (r < 0 || ms < 0.0F || (s->best != NULL && ms >= s->ms)) {
        destroy(&plan);
        return r;
    }
    destroy(&s->best);
    s->best = plan;
    s->workspace = workspace;
    s->ms = ms;
    return 0;
}

static bool is_enough(const struct convolution *c, const struct context *x, const struct search *s)
{
    const int32_t most = c->choice == PLAN_FUSED ? MAX_TRIED_FUSED : MAX_TRIED_BARE;
    if (s->best == NULL) {
        return false;
    }
    return !x->tuning->measure || s->tried >= most || tuning_is_over(x->tuning);
}

static int consider_config(struct convolution *c, const struct context *x,
                           cudnnBackendDescriptor_t config, struct search *s,
                           struct sctd_error *err)
{
    cudnnBackendDescriptor_t plan = NULL;
    if (!config_is_allowed(config, c, x->tuning->precision)) {
        return 0;
    }
    const cudnnStatus_t status = make_plan(&plan, x->handle, config, NULL);
    if (status == CUDNN_STATUS_SUCCESS) {
        return consider(c, x, plan, s, err);
    }
    (void)cudaGetLastError(); /* so that the next launch does not find it */
    return fault_code(FAULT_CUDNN, (int)status) == SCTD_ENOMEM
               ? conv_graph_fault(status, "choosing engines", err)
               : 0;
}

/* The plans of a graph that are allowed, best guesses first, until enough was tried. */
static int search_plans(struct convolution *c, const struct context *x, struct search *s,
                        struct sctd_error *err)
{
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    int r = 0;
    for (size_t k = 0; k < sizeof modes / sizeof modes[0] && s->best == NULL && r == 0; k++) {
        struct configs configs;
        configs_init(&configs, &c->graph, modes[k]);
        for (int64_t i = 0; i < configs.n && r == 0 && !is_enough(c, x, s); i++) {
            r = consider_config(c, x, configs.config[i], s, err);
        }
        configs_fini(&configs);
    }
    return r;
}

/* The plan's text for the cache; NULL: none.  The caller frees it. */
static char *describe_plan(cudnnBackendDescriptor_t plan)
{
    int64_t size = 0;
    if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, 0, &size, NULL) != CUDNN_STATUS_SUCCESS ||
        size < 1 || size > PLAN_CACHE_MAX_TEXT) {
        return NULL;
    }
    char *text = calloc((size_t)size + 1, 1);
    if (text != NULL &&
        cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                 CUDNN_TYPE_CHAR, size, &size, text) != CUDNN_STATUS_SUCCESS) {
        free(text);
        text = NULL;
    }
    return text;
}

static int keep_choice(const struct convolution *c, const struct context *x, const char *key,
                       struct sctd_error *err)
{
    if (c->choice == PLAN_PLAIN) {
        return 0; /* the next start looks again whether cuDNN can */
    }
    if (c->choice == PLAN_OWN) {
        return tuning_keep(x->tuning, key, c->choice, "", err);
    }
    char *text = describe_plan(c->plan);
    const int r = text == NULL ? 0 : tuning_keep(x->tuning, key, c->choice, text, err);
    free(text);
    return r;
}

/* cuDNN's size of its text may count the NUL behind it, which the cache does not keep. */
static cudnnStatus_t restore_plan(cudnnBackendDescriptor_t *ret_plan, cudnnHandle_t handle,
                                  const struct plan_cache_entry *entry)
{
    struct plan_cache_entry with_nul = *entry;
    with_nul.size++;
    const cudnnStatus_t s = make_plan(ret_plan, handle, NULL, entry);
    return s == CUDNN_STATUS_SUCCESS ? s : make_plan(ret_plan, handle, NULL, &with_nul);
}

/* As the cache says; false: it says nothing that still works. */
static bool take_cached(struct convolution *c, const struct context *x,
                        const struct plan_cache_entry *entry)
{
    struct sctd_error err = {.code = SCTD_OK};
    if (entry == NULL || entry->choice == PLAN_PLAIN) {
        c->choice = PLAN_PLAIN;
        return entry != NULL;
    }
    c->choice = entry->choice;
    if (c->choice == PLAN_OWN) {
        return kernels_have_conv64(&c->args) != 0;
    }
    if (conv_graph_init(&c->graph, &c->args, c->choice == PLAN_FUSED, x->handle, &err) == 0 &&
        restore_plan(&c->plan, x->handle, entry) == CUDNN_STATUS_SUCCESS &&
        plan_workspace(c->plan, x->tuning->workspace_bytes, &c->workspace)) {
        return true;
    }
    destroy(&c->plan);
    conv_graph_fini(&c->graph);
    return false;
}

/* The best plan with the epilogue in it, or without; `kept` is what was best before, if anything was. */
static int try_choice(struct convolution *c, const struct context *x, enum plan_choice choice,
                      float *kept_ms, struct sctd_error *err)
{
    struct convolution other = {.args = c->args, .items = c->items, .choice = choice};
    struct search s = {.best = NULL};
    int r = conv_graph_init(&other.graph, &other.args, choice == PLAN_FUSED, x->handle, err);
    if (r == 0) {
        r = search_plans(&other, x, &s, err);
    }
    if (r < 0 || s.best == NULL || (c->plan != NULL && s.ms >= *kept_ms)) {
        destroy(&s.best);
        conv_graph_fini(&other.graph);
        return r == SCTD_EINVAL ? 0 : r; /* cuDNN has no such convolution */
    }
    destroy(&c->plan);
    conv_graph_fini(&c->graph);
    c->graph = other.graph;
    c->plan = s.best;
    c->workspace = s.workspace;
    c->choice = choice;
    *kept_ms = s.ms;
    return 0;
}

/* Our kernel for 64 channels, if it is faster than what is kept. */
static int try_own(struct convolution *c, const struct context *x, float kept_ms,
                   struct sctd_error *err)
{
    struct convolution own = {.args = c->args, .items = c->items, .choice = PLAN_OWN};
    float ms = -1.0F;
    const int r = kernels_have_conv64(&c->args) != 0 ? measure(&ms, &own, x, err) : 0;
    if (r < 0 || ms < 0.0F || (c->plan != NULL && ms >= kept_ms)) {
        return r;
    }
    destroy(&c->plan);
    conv_graph_fini(&c->graph);
    c->workspace = 0;
    c->choice = PLAN_OWN;
    return 0;
}

/* Whether a bare convolution's result would be rounded to 16 bits before its epilogue, and then again. */
static bool is_rounded_twice(const struct convolution *c)
{
    const struct finish_args *f = &c->args.finish;
    return f->y.type != VALUE_F32 && (f->bias != NULL || f->before.data != NULL ||
                                      f->act != BODY_NONE || f->add[0].data != NULL);
}

/*
 * With the epilogue in it, or our kernel for 64 channels, whichever was measured to be faster; bare where that is as
 * exact, or nothing else can; else our slow kernel.
 */
static int choose(struct convolution *c, const struct context *x, struct sctd_error *err)
{
    float ms = 0.0F;
    c->choice = PLAN_PLAIN;
    int r = try_choice(c, x, PLAN_FUSED, &ms, err);
    if (r == 0 && x->tuning->measure) {
        r = try_own(c, x, ms, err);
    }
    const bool bare_too = c->choice == PLAN_FUSED && x->tuning->measure && !is_rounded_twice(c);
    if (r == 0 && (c->choice == PLAN_PLAIN || bare_too)) {
        r = try_choice(c, x, PLAN_BARE, &ms, err);
    }
    return r;
}

/* A fault of the device shows at the next call of CUDA, whoever caused it. */
static int check_device(const struct context *x, struct sctd_error *err)
{
    const cudaError_t e = cudaStreamSynchronize(x->tuning->stream);
    return e == cudaSuccess
               ? 0
               : fault_set(err, FAULT_CUDA, (int)e, cudaGetErrorName(e), "choosing engines");
}

int convolution_new(struct convolution **ret_convolution, cudnnHandle_t handle,
                    const struct tuning *tuning, const struct product_args *args,
                    struct sctd_error *err)
{
    const struct context x = {handle, tuning};
    char key[CONVOLUTION_KEY_SIZE];
    sctd_auto(convolution_freep) struct convolution *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "convolution");
    }
    c->args = *args;
    c->items = (size_t)args->slices * (size_t)args->h * (size_t)args->w *
               ((size_t)args->finish.y.stride / VALUE_LANES);
    convolution_key(key, args, tuning->precision);
    const struct plan_cache_entry *entry = NULL;
    int r = tuning_find(&entry, tuning, key, err);
    if (r < 0) {
        return r;
    }
    if (!take_cached(c, &x, entry)) {
        r = tuning_claim(tuning, err);
        r = r < 0 ? r : choose(c, &x, err);
        r = r < 0 ? r : check_device(&x, err);
        r = r < 0 ? r : keep_choice(c, &x, key, err);
        if (r < 0) {
            return r;
        }
    }
    *ret_convolution = sctd_steal(&c);
    return 0;
}
