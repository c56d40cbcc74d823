/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "tests/golden/golden_set.h"

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/model.h"

#include "tests/support/temporary.h"

enum { PROBLEMS_MAX = 65536 };

#define META "vit-meta.safetensors"
#define CNN  "generator-cnn.safetensors"

const struct golden_model golden_models[GOLDEN_MODELS] = {
    {"cnn", META, CNN, "mr"},
    {"gated", META, "generator-gated.safetensors", "mr"},
    {"se", META, "generator-se.safetensors", "mr"},
    {"none", META, "generator-none.safetensors", "mr"},
    {"cnn-layers-0101", META, "generator-cnn-layers-0101.safetensors", "mr"},
    {"nocnn", META, "generator-nocnn.safetensors", "mr"},
    {"swiglu", "vit-swiglu-meta.safetensors", CNN, "mr"},
    {"pipeline-mr", META, "generator-pipeline.safetensors", "mr"},
    {"pipeline-cbct", META, "generator-pipeline.safetensors", "cbct"},
    {"generator-zip", META, "best_net_G.pth", "mr"},
    {"generator-module", META, "module_prefix_net_G.pth", "mr"},
    {"generator-legacy", META, "legacy_net_G.pth", "mr"},
    {"backbone-pth", "vit.pth", CNN, "mr"},
    {"backbone-hf", "vit-hf.safetensors", CNN, "mr"},
};

void golden_must(int result, const struct sctd_error *err, const char *what)
{
    if (result != 0) {
        (void)fprintf(stderr, "%s: %s\n", what, err->text);
        abort();
    }
}

static void join(char *path, const char *dir, const char *name)
{
    const int length = snprintf(path, GOLDEN_PATH_MAX, "%s/%s", dir, name);

    assert(length > 0 && length < GOLDEN_PATH_MAX);
}

struct safetensors *golden_set_load(const struct golden_set *set, const char *file)
{
    struct sctd_error err = {0};
    struct safetensors *loaded = NULL;
    char path[GOLDEN_PATH_MAX];

    join(path, set->dir, file);
    golden_must(safetensors_open(&loaded, path, &err), &err, file);
    return loaded;
}

const struct tensor_view *golden_find(const struct safetensors *file, const char *name)
{
    const struct tensor_view *view = safetensors_find(file, name);

    if (view == NULL) {
        (void)fprintf(stderr, "golden file without %s\n", name);
        abort();
    }
    return view;
}

float *golden_copy(const struct safetensors *file, const char *name)
{
    const struct tensor_view *view = golden_find(file, name);
    float *copy = malloc(view->bytes);

    assert(copy != NULL);
    assert(view->dtype == TENSOR_F32);
    memcpy(copy, view->data, view->bytes);
    return copy;
}

/* A file in Hugging Face naming does not tell its heads; the same weights in Meta's naming do. */
static int32_t count_heads(const struct golden_set *set)
{
    sctd_auto(safetensors_closep) struct safetensors *file = golden_set_load(set, META);
    const size_t dim = tensor_view_count(golden_find(file, "cls_token"));
    const size_t periods = tensor_view_count(golden_find(file, "rope_embed.periods"));

    return (int32_t)(dim / (4 * periods));
}

static void import_model(struct golden_set *set, size_t i, int32_t hf_heads)
{
    const struct golden_model *model = &golden_models[i];
    struct sctd_error err = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf problems = sctd_buf_make(PROBLEMS_MAX);
    char backbone[GOLDEN_PATH_MAX];
    char generator[GOLDEN_PATH_MAX];
    const struct model_import_options options = {
        .backbone = backbone,
        .generator = generator,
        .recipe = model->recipe,
        .name = model->name,
        .version = "1",
        .heads = strcmp(model->name, "backbone-hf") == 0 ? hf_heads : 0,
        .models_dir = set->models_dir,
    };

    join(backbone, set->dir, model->backbone);
    join(generator, set->dir, model->generator);
    const int result = model_import(set->model_dir[i], &options, &problems, &err);
    (void)fputs(sctd_buf_get_text(&problems), stderr);
    golden_must(result, &err, model->name);
}

static int is_io(const struct dirent *entry)
{
    return strncmp(entry->d_name, "io-", 3) == 0;
}

static void find_io(struct golden_set *set)
{
    struct dirent **found = NULL;
    const int n = scandir(set->dir, &found, is_io, alphasort);

    assert(n > 0 && n <= GOLDEN_MAX_IO);
    set->n_io = (size_t)n;
    for (size_t i = 0; i < set->n_io; i++) {
        (void)snprintf(set->io[i], sizeof set->io[i], "%s", found[i]->d_name);
        free(found[i]);
    }
    free((void *)found);
}

void golden_set_open(struct golden_set *set, const char *name, const char *dir)
{
    *set = (struct golden_set){.name = name, .dir = dir};
    find_io(set);
    (void)snprintf(set->models_dir, sizeof set->models_dir, "%s",
                   TEMPORARY_IN(".", "golden-models"));
    assert(mkdtemp(set->models_dir) != NULL);
    const int32_t hf_heads = count_heads(set);
    for (size_t i = 0; i < GOLDEN_MODELS; i++) {
        import_model(set, i, hf_heads);
    }
}

/* Removing the folders fails if import left anything else in them. */
static void remove_model(const char *dir)
{
    char path[GOLDEN_PATH_MAX];

    join(path, dir, "manifest.json");
    assert(unlink(path) == 0);
    join(path, dir, "weights.safetensors");
    assert(unlink(path) == 0);
    assert(rmdir(dir) == 0);
}

void golden_set_close(struct golden_set *set)
{
    for (size_t i = 0; i < GOLDEN_MODELS; i++) {
        remove_model(set->model_dir[i]);
    }
    assert(rmdir(set->models_dir) == 0);
}

const char *golden_set_find(const struct golden_set *set, const char *model)
{
    for (size_t i = 0; i < GOLDEN_MODELS; i++) {
        if (strcmp(golden_models[i].name, model) == 0) {
            return set->model_dir[i];
        }
    }
    (void)fprintf(stderr, "no model for %s\n", model);
    abort();
}

void golden_set_report(struct golden_set *set, bool passed, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)fputs(passed ? "ok   " : "FAIL ", stdout);
    (void)vfprintf(stdout, fmt, args);
    (void)fputc('\n', stdout);
    va_end(args);
    set->n_failed += passed ? 0 : 1;
}

double golden_max_difference(const float *a, const float *b, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        if (isnan(d)) {
            return (double)INFINITY;
        }
        most = fmax(most, d);
    }
    return most;
}

double golden_relative_difference(const float *a, const float *b, size_t n)
{
    double difference = 0;
    double norm = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        difference += d * d;
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / norm);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

struct golden_error golden_error_of(const float *a, const float *b, size_t n)
{
    struct golden_error error = {0};
    double *d = malloc(n * sizeof *d);

    assert(d != NULL);
    for (size_t i = 0; i < n; i++) {
        d[i] = fabs((double)a[i] - (double)b[i]);
        error.mean += d[i] / (double)n;
    }
    qsort(d, n, sizeof *d, compare);
    const double place = 0.999 * (double)(n - 1);
    const size_t low = (size_t)place;
    const size_t high = low + 1 < n ? low + 1 : low;
    error.high = d[low] + (d[high] - d[low]) * (place - (double)low);
    free(d);
    return error;
}
