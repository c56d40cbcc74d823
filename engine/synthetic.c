/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/rng.h"
#include "engine/base/safetensors.h"
#include "engine/base/sha256.h"
#include "engine/engine.h"
#include "engine/model/layout.h"

static const struct preset {
    const char *name;
    struct vit_config vit;
    int32_t base_channels;
} presets[] = {
    {"vits16", {384, 12, 6, 1536, VIT_FFN_MLP, 4, {2, 5, 8, 11}}, 64},
    {"vitb16", {768, 12, 12, 3072, VIT_FFN_MLP, 4, {2, 5, 8, 11}}, 64},
    {"vitl16", {1024, 24, 16, 4096, VIT_FFN_MLP, 4, {4, 11, 17, 23}}, 64},
    {"tiny", {32, 12, 2, 64, VIT_FFN_MLP, 4, {2, 5, 8, 11}}, 8},
};

/* Keeps the variance of what a GELU layer passes on; 1.53 is 1 / sqrt(E[gelu(N(0, 1))^2]). */
static float weight_deviation(const struct layout_entry *e)
{
    size_t fan_in = 1;
    for (int32_t i = 1; i < e->n_dims; i++) {
        fan_in *= (size_t)e->dim[i];
    }
    const bool last = strcmp(e->name, "generator.decoder.out.1.weight") == 0;
    return (last ? 0.1F : 1.53F) / sqrtf((float)fan_in);
}

/* What a value of each role looks like: mean + deviation * normal. */
static void fill(float *values, const struct layout_entry *e, struct sctd_rng *rng)
{
    float mean = 0.0F;
    float deviation = 0.02F;
    switch (e->role) {
    case LAYOUT_WEIGHT:
        deviation = weight_deviation(e);
        break;
    case LAYOUT_NORM_WEIGHT:
    case LAYOUT_VARIANCE:
        mean = 1.0F;
        break;
    case LAYOUT_SCALE:
        mean = 0.2F;
        break;
    case LAYOUT_BIAS:
    case LAYOUT_QKV_BIAS:
    case LAYOUT_NORM_BIAS:
    case LAYOUT_MEAN:
    case LAYOUT_TOKEN:
    case LAYOUT_PERIODS:
        break;
    }
    const size_t n = layout_entry_count(e);
    for (size_t i = 0; i < n; i++) {
        values[i] = mean + deviation * sctd_rng_normal(rng);
        if (e->role == LAYOUT_PERIODS) { /* base 100 over a quarter of the head */
            values[i] = powf(100.0F, (float)i / (float)n);
        } else if (e->role == LAYOUT_QKV_BIAS && i / (n / 3) == 1) {
            values[i] = 0.0F;
        }
    }
}

/* Fill `values` and `view` [count of the layout] with weights drawn from `seed`. */
static void draw(float *values, struct tensor_view *view, const struct layout *layout,
                 uint64_t seed)
{
    struct sctd_rng rng = {seed};
    for (size_t i = 0; i < layout_get_count(layout); i++) {
        const struct layout_entry *e = layout_get(layout, i);
        const size_t count = layout_entry_count(e);
        fill(values, e, &rng);
        view[i] = (struct tensor_view){.name = e->name,
                                       .dtype = TENSOR_F32,
                                       .n_dims = e->n_dims,
                                       .data = values,
                                       .bytes = count * sizeof *values};
        memcpy(view[i].dim, e->dim, (size_t)e->n_dims * sizeof *e->dim);
        values += count;
    }
}

static int write_weights(const char *path, const struct layout *layout, uint64_t seed,
                         struct sctd_error *err)
{
    const size_t n = layout_get_count(layout);
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        total += layout_entry_count(layout_get(layout, i));
    }
    float *values = malloc((total + 1) * sizeof *values);
    struct tensor_view *view = calloc(n + 1, sizeof *view);
    int r = 0;
    if (values == NULL || view == NULL) {
        r = sctd_error(err, SCTD_ENOMEM, "synthetic weights of %zu values", total);
    } else {
        draw(values, view, layout, seed);
        r = safetensors_write(path, view, n, NULL, 0, err);
    }
    free(view);
    free(values);
    return r;
}

static int describe(struct manifest *m, const struct preset *preset, uint64_t seed,
                    const char *weights, struct sctd_error *err)
{
    *m = (struct manifest){.research_only = true,
                           .height = 256,
                           .width = 256,
                           .vit = preset->vit,
                           .generator = {.base_channels = preset->base_channels,
                                         .fusion = FUSION_CNN,
                                         .levels = {true, true, true, true},
                                         .cnn = true},
                           .backbone_source = {.file = "synthetic"},
                           .generator_source = {.file = "synthetic"}};
    (void)snprintf(m->name, sizeof m->name, "synthetic-%s", preset->name);
    (void)snprintf(m->version, sizeof m->version, "%llu", (unsigned long long)seed);
    (void)snprintf(m->description, sizeof m->description,
                   "Random weights for benchmarks and tests. Its output means nothing.");
    struct sctd_map map = {0};
    int r = recipe_preset(&m->recipe, "mr", err);
    if (r == 0) {
        r = sctd_map_open(&map, weights, err);
    }
    if (r < 0) {
        return r;
    }
    m->weights_bytes = (int64_t)map.size;
    sha256_hex_of(map.data, map.size, m->weights_sha256);
    sha256_hex_of("", 0, m->backbone_source.sha256);
    sha256_hex_of("", 0, m->generator_source.sha256);
    sctd_map_close(&map);
    return 0;
}

static int write_model(const char *dir, const struct preset *preset, uint64_t seed,
                       struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    struct manifest manifest;
    sctd_auto(layout_freep) struct layout *layout = NULL;
    const struct generator_config generator = {.base_channels = preset->base_channels,
                                               .fusion = FUSION_CNN,
                                               .levels = {true, true, true, true},
                                               .cnn = true};
    int r = layout_new(&layout, &preset->vit, &generator, preset->vit.dim, err);
    r = r < 0 ? r : sctd_path_join(path, dir, "weights.safetensors", err);
    r = r < 0 ? r : write_weights(path, layout, seed, err);
    r = r < 0 ? r : describe(&manifest, preset, seed, path, err);
    r = r < 0 ? r : sctd_path_join(path, dir, "manifest.json", err);
    return r < 0 ? r : manifest_write(&manifest, path, err);
}

int engine_write_synthetic(const char *dir, const char *preset, uint64_t seed,
                           struct sctd_error *err)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(preset, presets[i].name) == 0) {
            return write_model(dir, &presets[i], seed, err);
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "synthetic model \"%.40s\" is not known: use vits16, vitb16, vitl16 or tiny",
                      preset);
}
