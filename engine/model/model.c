/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/base/sha256.h"
#include "engine/model/layout.h"
#include "engine/model/manifest.h"

struct model {
    struct manifest manifest;
    struct safetensors *weights;
    char path[SCTD_PATH_MAX]; /* of the weights */
};

static bool fits(const struct tensor_view *t, const struct layout_entry *entry)
{
    if (t->dtype != TENSOR_F32 || t->n_dims != entry->n_dims) {
        return false;
    }
    for (int32_t d = 0; d < entry->n_dims; d++) {
        if (t->dim[d] != entry->dim[d]) {
            return false;
        }
    }
    return true;
}

/* What is wrong with the weights for this entry; NULL if nothing is. */
static const char *problem_of(const struct model *model, const struct layout_entry *entry)
{
    const struct tensor_view *t = safetensors_find(model->weights, entry->name);
    if (t == NULL) {
        return "is missing";
    }
    if (!fits(t, entry)) {
        return "has another shape or type than the manifest's network";
    }
    /* The network reads the floats where they lie. */
    return (uintptr_t)t->data % sizeof(float) != 0 ? "is not aligned" : NULL;
}

static int check_weights(const struct model *model, struct sctd_error *err)
{
    const struct manifest *m = &model->manifest;
    sctd_auto(layout_freep) struct layout *layout = NULL;
    int r = layout_new(&layout, &m->vit, &m->generator, m->vit.dim, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < layout_get_count(layout); i++) {
        const struct layout_entry *entry = layout_get(layout, i);
        const char *problem = problem_of(model, entry);
        if (problem != NULL) {
            return sctd_error(err, SCTD_EDATA, "weights of %s@%s: %s %s", m->name, m->version,
                              entry->name, problem);
        }
    }
    for (size_t i = 0; i < safetensors_get_count(model->weights); i++) {
        const char *name = safetensors_get(model->weights, i)->name;
        if (layout_find(layout, name) == SIZE_MAX) {
            return sctd_error(err, SCTD_EDATA, "weights of %s@%s: %.64s is not of this network",
                              m->name, m->version, name);
        }
    }
    return 0;
}

int model_open(struct model **ret_model, const char *dir, struct sctd_error *err)
{
    sctd_auto(model_closep) struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "model");
    }
    char path[SCTD_PATH_MAX];
    int r = sctd_path_join(path, dir, "manifest.json", err);
    if (r == 0) {
        r = manifest_read(&model->manifest, path, err);
    }
    if (r == 0) {
        r = sctd_path_join(model->path, dir, MANIFEST_WEIGHTS_FILE, err);
    }
    if (r == 0) {
        r = safetensors_open(&model->weights, model->path, err);
    }
    if (r == 0) {
        r = check_weights(model, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_model = sctd_steal(&model);
    return 0;
}

void model_close(struct model *model)
{
    if (model == NULL) {
        return;
    }
    safetensors_close(model->weights);
    free(model);
}

const struct manifest *model_get_manifest(const struct model *model)
{
    return &model->manifest;
}

const struct tensor_view *model_find(const struct model *model, const char *name)
{
    return safetensors_find(model->weights, name);
}

/* Piece by piece, each dropped once it is hashed: whoever packs the weights maps them too. */
static void hash_and_drop(const struct sctd_map *map, char ret_hex[SHA256_HEX_SIZE])
{
    enum { PIECE = 8 << 20 };
    struct sha256 hash;
    unsigned char digest[SHA256_SIZE];
    sha256_init(&hash);
    for (size_t at = 0; at < map->size; at += PIECE) {
        const size_t size = map->size - at < PIECE ? map->size - at : PIECE;
        sha256_update(&hash, (const unsigned char *)map->data + at, size);
        sctd_map_drop(map, at, size);
    }
    sha256_final(&hash, digest);
    sha256_to_hex(digest, ret_hex);
}

int model_verify(const struct model *model, struct sctd_error *err)
{
    const struct manifest *m = &model->manifest;
    struct sctd_map map = {NULL, 0};
    char hex[SHA256_HEX_SIZE];
    int r = sctd_map_open(&map, model->path, err);
    if (r < 0) {
        return r;
    }
    const size_t size = map.size;
    hash_and_drop(&map, hex);
    sctd_map_close(&map);
    if (size != (size_t)m->weights_bytes) {
        return sctd_error(err, SCTD_EDATA,
                          "weights of %s@%s have %zu bytes, the manifest says %lld", m->name,
                          m->version, size, (long long)m->weights_bytes);
    }
    if (strcmp(hex, m->weights_sha256) != 0) {
        return sctd_error(
            err, SCTD_EDATA,
            "weights of %s@%s have SHA-256 %.16s..., the manifest says %.16s...: import "
            "the model again",
            m->name, m->version, hex, m->weights_sha256);
    }
    return 0;
}

void model_drop_pages(const struct model *model)
{
    for (size_t i = 0; i < safetensors_get_count(model->weights); i++) {
        safetensors_drop_pages(model->weights, safetensors_get(model->weights, i));
    }
}
