/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/model/quality_limits.h"
#include "engine/model/section.h"

enum { FEATURES = 4, LEVELS = 4 };

static int read_clip(struct recipe *recipe, const struct section *parent, struct sctd_error *err)
{
    static const char *const known[] = {"kind", "low", "high"};
    static const char *const kinds[] = {"percentile", "fixed"};
    struct section s = {NULL, NULL, ""};
    int kind = 0;
    int r = section_open(&s, parent, "clip", "recipe.clip", err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = section_get_word(&kind, &s, "kind", kinds, 2, err);
    }
    if (r == 0) {
        r = section_get_number(&recipe->clip_low, &s, "low", err);
    }
    if (r == 0) {
        r = section_get_number(&recipe->clip_high, &s, "high", err);
    }
    recipe->clip = kind == 0 ? RECIPE_CLIP_PERCENTILE : RECIPE_CLIP_FIXED;
    return r;
}

static int read_recipe(struct recipe *recipe, const struct section *s, struct sctd_error *err)
{
    static const char *const known[] = {"modality", "clip", "cnn_range", "dino_range", "hu_range"};
    int r = SECTION_CHECK_KEYS(s, known, err);
    if (r == 0) {
        r = section_get_text(recipe->modality, sizeof recipe->modality, s, "modality", err);
    }
    if (r == 0) {
        r = read_clip(recipe, s, err);
    }
    if (r == 0) {
        r = section_get_range(&recipe->cnn_low, &recipe->cnn_high, s, "cnn_range", err);
    }
    if (r == 0) {
        r = section_get_range(&recipe->dino_low, &recipe->dino_high, s, "dino_range", err);
    }
    if (r == 0) {
        r = section_get_range(&recipe->hu_low, &recipe->hu_high, s, "hu_range", err);
    }
    return r;
}

static int read_vit(struct vit_config *vit, const struct section *network, struct sctd_error *err)
{
    static const char *const known[] = {"dim", "depth",          "heads",   "hidden",
                                        "ffn", "storage_tokens", "features"};
    static const char *const ffns[] = {"mlp", "swiglu"};
    const struct {
        const char *key;
        int32_t *value;
    } numbers[] = {
        {"dim", &vit->dim},
        {"depth", &vit->depth},
        {"heads", &vit->heads},
        {"hidden", &vit->hidden},
        {"storage_tokens", &vit->storage_tokens},
    };
    struct section s = {NULL, NULL, ""};
    int r = section_open(&s, network, "backbone", "network.backbone", err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    for (size_t i = 0; r == 0 && i < sizeof numbers / sizeof numbers[0]; i++) {
        r = section_get_int(numbers[i].value, &s, numbers[i].key, err);
    }
    int ffn = 0;
    if (r == 0) {
        r = section_get_word(&ffn, &s, "ffn", ffns, 2, err);
    }
    vit->ffn = ffn == 0 ? VIT_FFN_MLP : VIT_FFN_SWIGLU;
    const struct json_node *element[FEATURES] = {NULL};
    if (r == 0) {
        r = section_get_array(element, FEATURES, &s, "features", JSON_INT, err);
    }
    for (int i = 0; r == 0 && i < FEATURES; i++) {
        const int64_t block = element[i]->integer;
        vit->features[i] = block < 0 || block > INT32_MAX ? INT32_MAX : (int32_t)block;
    }
    return r;
}

static int read_generator(struct generator_config *generator, const struct section *network,
                          struct sctd_error *err)
{
    static const char *const known[] = {"base_channels", "fusion", "levels", "cnn"};
    char fusion[32] = "";
    struct section s = {NULL, NULL, ""};
    int r = section_open(&s, network, "generator", "network.generator", err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = section_get_int(&generator->base_channels, &s, "base_channels", err);
    }
    if (r == 0) {
        r = section_get_text(fusion, sizeof fusion, &s, "fusion", err);
    }
    if (r == 0 && !fusion_kind_find(&generator->fusion, fusion)) {
        r = sctd_error(err, SCTD_EDATA, "%s: \"fusion\" is \"%s\", which is not known", s.name,
                       fusion);
    }
    if (r == 0) {
        r = section_get_bool(&generator->cnn, &s, "cnn", err);
    }
    const struct json_node *element[LEVELS] = {NULL};
    if (r == 0) {
        r = section_get_array(element, LEVELS, &s, "levels", JSON_BOOL, err);
    }
    for (int i = 0; r == 0 && i < LEVELS; i++) {
        generator->levels[i] = element[i]->integer != 0;
    }
    return r;
}

static int read_network(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const known[] = {"height", "width", "backbone", "generator"};
    struct section s = {NULL, NULL, ""};
    int r = section_open(&s, root, "network", "network", err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = section_get_int(&m->height, &s, "height", err);
    }
    if (r == 0) {
        r = section_get_int(&m->width, &s, "width", err);
    }
    if (r == 0) {
        r = read_vit(&m->vit, &s, err);
    }
    if (r == 0) {
        r = read_generator(&m->generator, &s, err);
    }
    return r;
}

static int read_weights(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const known[] = {"file", "sha256", "bytes"};
    static const char *const files[] = {MANIFEST_WEIGHTS_FILE};
    struct section s = {NULL, NULL, ""};
    int file = 0;
    int r = section_open(&s, root, "weights", "weights", err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = section_get_word(&file, &s, "file", files, 1, err);
    }
    if (r == 0) {
        r = section_get_text(m->weights_sha256, sizeof m->weights_sha256, &s, "sha256", err);
    }
    if (r == 0) {
        r = section_get_int64(&m->weights_bytes, &s, "bytes", err);
    }
    return r;
}

static int read_source(struct manifest_source *source, const struct section *sources,
                       const char *key, const char *name, struct sctd_error *err)
{
    static const char *const known[] = {"file", "sha256"};
    struct section s = {NULL, NULL, ""};
    int r = section_open(&s, sources, key, name, err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = section_get_text(source->file, sizeof source->file, &s, "file", err);
    }
    if (r == 0) {
        r = section_get_text(source->sha256, sizeof source->sha256, &s, "sha256", err);
    }
    return r;
}

static int read_sources(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const known[] = {"backbone", "generator"};
    struct section s = {NULL, NULL, ""};
    int r = section_open(&s, root, "sources", "sources", err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = read_source(&m->backbone_source, &s, "backbone", "sources.backbone", err);
    }
    if (r == 0) {
        r = read_source(&m->generator_source, &s, "generator", "sources.generator", err);
    }
    return r;
}

static int read_identity(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const qualifications[] = {"RESEARCH", "PRODUCT"};
    int64_t format = 0;
    int qualification = 0;
    int r = section_get_int64(&format, root, "format", err);
    if (r == 0 && format != MANIFEST_FORMAT) {
        r = sctd_error(err, SCTD_EDATA, "\"format\" is %lld; this program reads format %d",
                       (long long)format, MANIFEST_FORMAT);
    }
    if (r == 0) {
        r = section_get_text(m->name, sizeof m->name, root, "name", err);
    }
    if (r == 0) {
        r = section_get_text(m->version, sizeof m->version, root, "version", err);
    }
    if (r == 0) {
        r = section_get_text(m->description, sizeof m->description, root, "description", err);
    }
    if (r == 0) {
        r = section_get_word(&qualification, root, "content_qualification", qualifications, 2, err);
    }
    m->research_only = qualification == 0;
    return r;
}

static int read_root(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const known[] = {
        "format",  "name",    "version", "description", "content_qualification",
        "weights", "network", "recipe",  "sources",     "quality"};
    struct section recipe = {NULL, NULL, ""};
    /* The format first: a later one may have other keys. */
    int r = read_identity(m, root, err);
    if (r == 0) {
        r = SECTION_CHECK_KEYS(root, known, err);
    }
    if (r == 0) {
        r = read_weights(m, root, err);
    }
    if (r == 0) {
        r = read_network(m, root, err);
    }
    if (r == 0) {
        r = section_open(&recipe, root, "recipe", "recipe", err);
    }
    if (r == 0) {
        r = read_recipe(&m->recipe, &recipe, err);
    }
    if (r == 0) {
        r = read_sources(m, root, err);
    }
    const struct json_node *quality = json_find(root->json, root->node, "quality");
    if (r == 0 && quality != NULL) {
        r = quality_limits_parse(&m->quality, root->json, quality, err);
    }
    return r == 0 ? manifest_check(m, err) : r;
}

int manifest_parse(struct manifest *ret_manifest, const char *text, size_t size,
                   struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = section_parse_root(&json, text, size, MANIFEST_BYTES_MAX, err);
    if (r < 0) {
        return r;
    }
    struct manifest m = {.weights_bytes = 0};
    const struct section root = {json, json_get_root(json), ""};
    r = read_root(&m, &root, err);
    if (r == 0) {
        *ret_manifest = m;
    }
    return r;
}

static int parse_any_manifest(void *ret_manifest, const char *text, size_t size,
                              struct sctd_error *err)
{
    return manifest_parse(ret_manifest, text, size, err);
}

static int parse_recipe(void *ret_recipe, const char *text, size_t size, struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = section_parse_root(&json, text, size, MANIFEST_BYTES_MAX, err);
    if (r < 0) {
        return r;
    }
    struct recipe recipe = {.modality = ""};
    const struct section root = {json, json_get_root(json), "recipe"};
    r = read_recipe(&recipe, &root, err);
    if (r == 0) {
        r = recipe_check(&recipe, err);
    }
    if (r == 0) {
        *(struct recipe *)ret_recipe = recipe;
    }
    return r;
}

int manifest_read(struct manifest *ret_manifest, const char *path, struct sctd_error *err)
{
    return section_read_file(ret_manifest, parse_any_manifest, path, err);
}

int recipe_read(struct recipe *ret_recipe, const char *path, struct sctd_error *err)
{
    return section_read_file(ret_recipe, parse_recipe, path, err);
}
