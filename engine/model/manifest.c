/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

enum { FEATURES = 4, LEVELS = 4 };

/* The object that is being read, and the name under which errors speak of it ("recipe.clip"). */
struct section {
    const struct json *json;
    const struct json_node *node;
    const char *name;
};

/* Put the section's name before the text of an error in it. */
static int in_section(int r, const char *name, struct sctd_error *err)
{
    if (r < 0 && *name != '\0') {
        char text[sizeof err->text];
        (void)snprintf(text, sizeof text, "%s", err->text);
        return sctd_error(err, SCTD_EDATA, "%s: %.200s", name, text);
    }
    return r;
}

static int open_section(struct section *ret_section, const struct section *parent, const char *key,
                        const char *name, struct sctd_error *err)
{
    const struct json_node *node = NULL;
    int r = json_get_object(&node, parent->json, parent->node, key, err);
    if (r < 0) {
        return in_section(r, parent->name, err);
    }
    *ret_section = (struct section){parent->json, node, name};
    return 0;
}

static int check_keys(const struct section *s, const char *const *known, size_t n,
                      struct sctd_error *err)
{
    return in_section(json_check_keys(s->json, s->node, known, n, err), s->name, err);
}

#define CHECK_KEYS(section, known, err)                                                            \
    check_keys(section, known, sizeof(known) / sizeof(known)[0], err)

static int read_int64(int64_t *ret_value, const struct section *s, const char *key,
                      struct sctd_error *err)
{
    return in_section(json_get_int(ret_value, s->json, s->node, key, err), s->name, err);
}

static int read_int(int32_t *ret_value, const struct section *s, const char *key,
                    struct sctd_error *err)
{
    int64_t value = 0;
    int r = read_int64(&value, s, key, err);
    if (r < 0) {
        return r;
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        return in_section(sctd_error(err, SCTD_EDATA, "\"%s\" is %lld", key, (long long)value),
                          s->name, err);
    }
    *ret_value = (int32_t)value;
    return 0;
}

static int read_bool(bool *ret_value, const struct section *s, const char *key,
                     struct sctd_error *err)
{
    return in_section(json_get_bool(ret_value, s->json, s->node, key, err), s->name, err);
}

/* Text of fewer than `size` bytes. */
static int read_text(char *ret_text, size_t size, const struct section *s, const char *key,
                     struct sctd_error *err)
{
    const char *text = NULL;
    int r = in_section(json_get_string(&text, s->json, s->node, key, err), s->name, err);
    if (r < 0) {
        return r;
    }
    const size_t length = strlen(text);
    if (length >= size) {
        return in_section(sctd_error(err, SCTD_EDATA, "\"%s\" has %zu bytes, at most %zu may be",
                                     key, length, size - 1),
                          s->name, err);
    }
    memcpy(ret_text, text, length + 1);
    return 0;
}

/* One of n words, by its index. */
static int read_word(int *ret_index, const struct section *s, const char *key,
                     const char *const *words, int n, struct sctd_error *err)
{
    char text[32];
    int r = read_text(text, sizeof text, s, key, err);
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    return in_section(
        sctd_error(err, SCTD_EDATA, "\"%s\" is \"%s\", which is not known", key, text), s->name,
        err);
}

/* The n elements of an array of exactly as many, all of one type (an integer is a number too). */
static int read_array(const struct json_node *ret_element[], size_t n, const struct section *s,
                      const char *key, enum json_type type, struct sctd_error *err)
{
    const struct json_node *array = NULL;
    int r = in_section(json_get_array(&array, s->json, s->node, key, err), s->name, err);
    if (r < 0) {
        return r;
    }
    size_t i = 0;
    const struct json_node *e = json_first(s->json, array);
    for (; e != NULL && i < n; e = json_next(s->json, e)) {
        const bool fits = e->type == type || (type == JSON_DOUBLE && e->type == JSON_INT);
        if (!fits) {
            break;
        }
        ret_element[i++] = e;
    }
    if (i < n || e != NULL) {
        return in_section(sctd_error(err, SCTD_EDATA, "\"%s\" must hold %zu %s", key, n,
                                     type == JSON_BOOL  ? "booleans"
                                     : type == JSON_INT ? "whole numbers"
                                                        : "numbers"),
                          s->name, err);
    }
    return 0;
}

static int read_range(double *ret_low, double *ret_high, const struct section *s, const char *key,
                      struct sctd_error *err)
{
    const struct json_node *element[2] = {NULL, NULL};
    int r = read_array(element, 2, s, key, JSON_DOUBLE, err);
    if (r < 0) {
        return r;
    }
    *ret_low = element[0]->number;
    *ret_high = element[1]->number;
    return 0;
}

static int read_clip(struct recipe *recipe, const struct section *parent, struct sctd_error *err)
{
    static const char *const known[] = {"kind", "low", "high"};
    static const char *const kinds[] = {"percentile", "fixed"};
    struct section s = {NULL, NULL, ""};
    int kind = 0;
    int r = open_section(&s, parent, "clip", "recipe.clip", err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = read_word(&kind, &s, "kind", kinds, 2, err);
    }
    if (r == 0) {
        r = in_section(json_get_number(&recipe->clip_low, s.json, s.node, "low", err), s.name, err);
    }
    if (r == 0) {
        r = in_section(json_get_number(&recipe->clip_high, s.json, s.node, "high", err), s.name,
                       err);
    }
    recipe->clip = kind == 0 ? RECIPE_CLIP_PERCENTILE : RECIPE_CLIP_FIXED;
    return r;
}

static int read_recipe(struct recipe *recipe, const struct section *s, struct sctd_error *err)
{
    static const char *const known[] = {"modality", "clip", "cnn_range", "dino_range", "hu_range"};
    int r = CHECK_KEYS(s, known, err);
    if (r == 0) {
        r = read_text(recipe->modality, sizeof recipe->modality, s, "modality", err);
    }
    if (r == 0) {
        r = read_clip(recipe, s, err);
    }
    if (r == 0) {
        r = read_range(&recipe->cnn_low, &recipe->cnn_high, s, "cnn_range", err);
    }
    if (r == 0) {
        r = read_range(&recipe->dino_low, &recipe->dino_high, s, "dino_range", err);
    }
    if (r == 0) {
        r = read_range(&recipe->hu_low, &recipe->hu_high, s, "hu_range", err);
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
    int r = open_section(&s, network, "backbone", "network.backbone", err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
    }
    for (size_t i = 0; r == 0 && i < sizeof numbers / sizeof numbers[0]; i++) {
        r = read_int(numbers[i].value, &s, numbers[i].key, err);
    }
    int ffn = 0;
    if (r == 0) {
        r = read_word(&ffn, &s, "ffn", ffns, 2, err);
    }
    vit->ffn = ffn == 0 ? VIT_FFN_MLP : VIT_FFN_SWIGLU;
    const struct json_node *element[FEATURES] = {NULL};
    if (r == 0) {
        r = read_array(element, FEATURES, &s, "features", JSON_INT, err);
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
    int r = open_section(&s, network, "generator", "network.generator", err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = read_int(&generator->base_channels, &s, "base_channels", err);
    }
    if (r == 0) {
        r = read_text(fusion, sizeof fusion, &s, "fusion", err);
    }
    if (r == 0 && !fusion_kind_find(&generator->fusion, fusion)) {
        r = sctd_error(err, SCTD_EDATA, "%s: \"fusion\" is \"%s\", which is not known", s.name,
                       fusion);
    }
    if (r == 0) {
        r = read_bool(&generator->cnn, &s, "cnn", err);
    }
    const struct json_node *element[LEVELS] = {NULL};
    if (r == 0) {
        r = read_array(element, LEVELS, &s, "levels", JSON_BOOL, err);
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
    int r = open_section(&s, root, "network", "network", err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = read_int(&m->height, &s, "height", err);
    }
    if (r == 0) {
        r = read_int(&m->width, &s, "width", err);
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
    int r = open_section(&s, root, "weights", "weights", err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = read_word(&file, &s, "file", files, 1, err);
    }
    if (r == 0) {
        r = read_text(m->weights_sha256, sizeof m->weights_sha256, &s, "sha256", err);
    }
    if (r == 0) {
        r = read_int64(&m->weights_bytes, &s, "bytes", err);
    }
    return r;
}

static int read_source(struct manifest_source *source, const struct section *sources,
                       const char *key, const char *name, struct sctd_error *err)
{
    static const char *const known[] = {"file", "sha256"};
    struct section s = {NULL, NULL, ""};
    int r = open_section(&s, sources, key, name, err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
    }
    if (r == 0) {
        r = read_text(source->file, sizeof source->file, &s, "file", err);
    }
    if (r == 0) {
        r = read_text(source->sha256, sizeof source->sha256, &s, "sha256", err);
    }
    return r;
}

static int read_sources(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const known[] = {"backbone", "generator"};
    struct section s = {NULL, NULL, ""};
    int r = open_section(&s, root, "sources", "sources", err);
    if (r == 0) {
        r = CHECK_KEYS(&s, known, err);
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
    int r = read_int64(&format, root, "format", err);
    if (r == 0 && format != MANIFEST_FORMAT) {
        r = sctd_error(err, SCTD_EDATA, "\"format\" is %lld; this program reads format %d",
                       (long long)format, MANIFEST_FORMAT);
    }
    if (r == 0) {
        r = read_text(m->name, sizeof m->name, root, "name", err);
    }
    if (r == 0) {
        r = read_text(m->version, sizeof m->version, root, "version", err);
    }
    if (r == 0) {
        r = read_text(m->description, sizeof m->description, root, "description", err);
    }
    if (r == 0) {
        r = read_word(&qualification, root, "content_qualification", qualifications, 2, err);
    }
    m->research_only = qualification == 0;
    return r;
}

static int read_root(struct manifest *m, const struct section *root, struct sctd_error *err)
{
    static const char *const known[] = {
        "format",  "name",    "version", "description", "content_qualification",
        "weights", "network", "recipe",  "sources"};
    struct section recipe = {NULL, NULL, ""};
    /* The format first: a later one may have other keys. */
    int r = read_identity(m, root, err);
    if (r == 0) {
        r = CHECK_KEYS(root, known, err);
    }
    if (r == 0) {
        r = read_weights(m, root, err);
    }
    if (r == 0) {
        r = read_network(m, root, err);
    }
    if (r == 0) {
        r = open_section(&recipe, root, "recipe", "recipe", err);
    }
    if (r == 0) {
        r = read_recipe(&m->recipe, &recipe, err);
    }
    if (r == 0) {
        r = read_sources(m, root, err);
    }
    return r == 0 ? manifest_check(m, err) : r;
}

/* Read text into `json`, whose root must be an object. */
static int parse_object(struct json **ret_json, const char *text, size_t size,
                        struct sctd_error *err)
{
    if (size > MANIFEST_BYTES_MAX) {
        return sctd_error(err, SCTD_EDATA, "%zu bytes, at most %d may be", size,
                          MANIFEST_BYTES_MAX);
    }
    sctd_auto(json_freep) struct json *json = NULL;
    int r = json_parse(&json, text, size, err);
    if (r < 0) {
        return r;
    }
    if (json_get_root(json)->type != JSON_OBJECT) {
        return sctd_error(err, SCTD_EDATA, "not a JSON object");
    }
    *ret_json = sctd_steal(&json);
    return 0;
}

int manifest_parse(struct manifest *ret_manifest, const char *text, size_t size,
                   struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = parse_object(&json, text, size, err);
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

static int parse_recipe(struct recipe *ret_recipe, const char *text, size_t size,
                        struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = parse_object(&json, text, size, err);
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
        *ret_recipe = recipe;
    }
    return r;
}

/* The end of the path, which is enough to tell the file and leaves room for the reason. */
static int in_file(int r, const char *path, struct sctd_error *err)
{
    const size_t length = strlen(path);
    const size_t shown = 100;
    char text[sizeof err->text];
    if (r >= 0 || r == SCTD_ENOMEM) {
        return r;
    }
    (void)snprintf(text, sizeof text, "%s", err->text);
    return sctd_error(err, SCTD_EDATA, "%s%s: %.130s", length > shown ? "..." : "",
                      length > shown ? path + length - shown : path, text);
}

int manifest_read(struct manifest *ret_manifest, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {NULL, 0};
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = in_file(manifest_parse(ret_manifest, map.data, map.size, err), path, err);
    sctd_map_close(&map);
    return r;
}

int recipe_read(struct recipe *ret_recipe, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {NULL, 0};
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = in_file(parse_recipe(ret_recipe, map.data, map.size, err), path, err);
    sctd_map_close(&map);
    return r;
}
