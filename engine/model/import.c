/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/import.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/base/sha256.h"
#include "engine/model/checkpoint.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"
#include "engine/model/quality_limits.h"
#include "engine/model/store.h"

enum { DEFAULT_SIZE = 256, HEADS_MAX = 128, SIZE_STEP = 16, SIZE_MAX_PIXELS = 2048 };

/* Everything that one import owns. */
struct import {
    struct checkpoint *backbone;
    struct checkpoint *generator;
    struct layout *layout;
    struct import_slot *slot;    /* [n], with layout's indices */
    struct tensor_view *tensors; /* [n] */
    struct owned {
        void *bytes;
    } *owned; /* [n]; NULL where a tensor borrows its checkpoint's bytes */
    struct import_source source[2];
    struct import_report report;
    struct manifest manifest;
};

static void import_fini(struct import *im)
{
    for (size_t i = 0; im->owned != NULL && i < layout_get_count(im->layout); i++) {
        free(im->owned[i].bytes);
    }
    free(im->owned);
    free(im->tensors);
    free(im->slot);
    layout_free(im->layout);
    checkpoint_close(im->generator);
    checkpoint_close(im->backbone);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The file's base name, as JSON can hold it, and the hash of its bytes. */
static int describe_source(struct manifest_source *source, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {NULL, 0};
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    sha256_hex_of(map.data, map.size, source->sha256);
    sctd_map_close(&map);
    (void)snprintf(source->file, sizeof source->file, "%s", base_name(path));
    for (char *c = source->file; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '_';
        }
    }
    return 0;
}

static bool is_file(const char *word)
{
    const size_t length = strlen(word);
    return strchr(word, '/') != NULL || (length > 5 && strcmp(word + length - 5, ".json") == 0);
}

static int read_quality(struct quality_limits *limits, const char *which, struct sctd_error *err)
{
    if (which == NULL || strcmp(which, "default") == 0) {
        quality_limits_default(limits);
        return 0;
    }
    if (strcmp(which, "none") == 0) {
        return 0;
    }
    if (is_file(which)) {
        return quality_limits_read(limits, which, err);
    }
    return sctd_error(err, SCTD_EINVAL,
                      "no limits are called \"%.64s\": use default, none or a JSON file", which);
}

static int read_options(struct manifest *m, const struct model_import_options *options,
                        struct sctd_error *err)
{
    const char *recipe = options->recipe;
    const char *description = options->description == NULL ? "" : options->description;
    m->height = options->height == 0 ? DEFAULT_SIZE : options->height;
    m->width = options->width == 0 ? DEFAULT_SIZE : options->width;
    m->research_only = true;
    if (m->height % SIZE_STEP != 0 || m->width % SIZE_STEP != 0 || m->height < SIZE_STEP ||
        m->width < SIZE_STEP || m->height > SIZE_MAX_PIXELS || m->width > SIZE_MAX_PIXELS) {
        return sctd_error(err, SCTD_EINVAL,
                          "size %dx%d: use multiples of 16 from 16 to 2048, like 256x256",
                          m->height, m->width);
    }
    if (options->heads < 0 || options->heads > HEADS_MAX) {
        return sctd_error(err, SCTD_EINVAL, "%d heads: use 1 to %d", options->heads, HEADS_MAX);
    }
    if (strlen(description) >= sizeof m->description) {
        return sctd_error(err, SCTD_EINVAL, "the description has %zu bytes: use at most %zu",
                          strlen(description), sizeof m->description - 1);
    }
    if (!checkpoint_text_is_utf8(description, strlen(description)) ||
        checkpoint_text_has_control(description, strlen(description))) {
        return sctd_error(err, SCTD_EINVAL,
                          "the description is not UTF-8 or has control characters");
    }
    (void)snprintf(m->description, sizeof m->description, "%s", description);
    (void)snprintf(m->name, sizeof m->name, "%s", options->name);
    (void)snprintf(m->version, sizeof m->version, "%s", options->version);
    int r = is_file(recipe) ? recipe_read(&m->recipe, recipe, err)
                            : recipe_preset(&m->recipe, recipe, err);
    return r < 0 ? r : read_quality(&m->quality, options->quality, err);
}

/* Open both files and tell the network from them. */
static int read_checkpoints(struct import *im, const struct model_import_options *options,
                            struct sctd_error *err)
{
    struct manifest *m = &im->manifest;
    int r = checkpoint_open(&im->backbone, options->backbone, err);
    if (r == 0) {
        r = checkpoint_open(&im->generator, options->generator, err);
    }
    if (r == 0) {
        r = import_backbone_read(&im->source[0], &m->vit, im->backbone, options->heads, err);
    }
    if (r == 0) {
        const struct import_generator_options generator = {.embed_dim = m->vit.dim,
                                                           .fusion = options->fusion};
        r = import_generator_read(&im->source[1], &m->generator, im->generator, &generator, err);
    }
    if (r == 0) {
        r = describe_source(&m->backbone_source, options->backbone, err);
    }
    if (r == 0) {
        r = describe_source(&m->generator_source, options->generator, err);
    }
    return r;
}

static int fill_slots(struct import *im, struct sctd_error *err)
{
    const struct manifest *m = &im->manifest;
    int r = layout_new(&im->layout, &m->vit, &m->generator, m->vit.dim, err);
    if (r < 0) {
        return r;
    }
    const size_t n = layout_get_count(im->layout);
    im->slot = calloc(n, sizeof *im->slot);
    im->tensors = calloc(n, sizeof *im->tensors);
    im->owned = calloc(n, sizeof *im->owned);
    if (im->slot == NULL || im->tensors == NULL || im->owned == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "table of %zu tensors", n);
    }
    for (int i = 0; r == 0 && i < 2; i++) {
        r = import_slots_fill(im->slot, im->layout, &im->source[i], &im->report, err);
    }
    return r == 0 ? import_slots_check(im->slot, im->layout, &im->report, err) : r;
}

/* Fail with the counts if the report has any line. */
static int check_report(const struct import_report *report, struct sctd_error *err)
{
    const size_t *count = report->count;
    size_t total = 0;
    for (int i = 0; i < IMPORT_PROBLEMS; i++) {
        total += count[i];
    }
    if (total == 0) {
        return 0;
    }
    if (count[IMPORT_UNSOUND] == total) {
        return sctd_error(err, SCTD_EDATA, "the checkpoints have %zu tensors with unsound values",
                          total);
    }
    return sctd_error(
        err, SCTD_EDATA,
        "the checkpoints do not fit a DGCF network: %zu missing, %zu extra, %zu wrongly "
        "shaped tensors",
        count[IMPORT_MISSING], count[IMPORT_EXTRA], count[IMPORT_MISSHAPEN]);
}

static int make_tensors(struct import *im, struct sctd_error *err)
{
    for (size_t i = 0; i < layout_get_count(im->layout); i++) {
        int r = import_values_make(&im->tensors[i], &im->owned[i].bytes, layout_get(im->layout, i),
                                   &im->slot[i], &im->report, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int model_import(char *ret_dir, const struct model_import_options *options,
                 struct sctd_buf *problems, struct sctd_error *err)
{
    sctd_auto(import_fini) struct import im = {.report = {.lines = problems}};
    char dir[SCTD_PATH_MAX];
    int r = store_check_new(dir, options->models_dir, options->name, options->version, err);
    if (r == 0) {
        r = read_options(&im.manifest, options, err);
    }
    if (r == 0) {
        r = read_checkpoints(&im, options, err);
    }
    if (r == 0) {
        r = fill_slots(&im, err);
    }
    if (r == 0) {
        r = check_report(&im.report, err);
    }
    if (r == 0) {
        r = make_tensors(&im, err);
    }
    if (r == 0) {
        r = check_report(&im.report, err);
    }
    if (r < 0) {
        return r;
    }
    return store_write(ret_dir, options->models_dir, &im.manifest, im.tensors,
                       layout_get_count(im.layout), err);
}
