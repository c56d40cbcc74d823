/* SPDX-License-Identifier: Apache-2.0 */
/* The names, the published recipes and the bounds of what a manifest may say. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/manifest.h"
#include "engine/model/quality_limits.h"

enum { SIZE_STEP = 16, SIZE_MAX_PIXELS = 2048, FEATURES = 4, LEVELS = 4 };

/* Larger than any value a scanner stores; keeps sums of the limits finite in f32. */
static const double value_max = 1e9;

static const char *const fusion_names[] = {
    [FUSION_CNN] = "cnn",
    [FUSION_GATED] = "gated",
    [FUSION_SE] = "se",
    [FUSION_NONE] = "none",
};

const char *fusion_kind_name(enum fusion_kind kind)
{
    return fusion_names[kind];
}

bool fusion_kind_find(enum fusion_kind *ret_kind, const char *name)
{
    for (size_t i = 0; i < sizeof fusion_names / sizeof fusion_names[0]; i++) {
        if (strcmp(name, fusion_names[i]) == 0) {
            *ret_kind = (enum fusion_kind)i;
            return true;
        }
    }
    return false;
}

const char *vit_ffn_name(enum vit_ffn ffn)
{
    return ffn == VIT_FFN_SWIGLU ? "swiglu" : "mlp";
}

int recipe_preset(struct recipe *ret_recipe, const char *which, struct sctd_error *err)
{
    /* x_dino of MR is 0 ... 2: the published code leaves out the -1 there, and its weights are
     * trained so (arXiv:2511.12098, feature_prepare.py). */
    static const struct recipe mr = {
        .modality = "MR",
        .clip = RECIPE_CLIP_PERCENTILE,
        .clip_low = 1.0,
        .clip_high = 99.0,
        .cnn_low = -1.0,
        .cnn_high = 1.0,
        .dino_low = 0.0,
        .dino_high = 2.0,
        .hu_low = -1024.0,
        .hu_high = 2000.0,
    };
    static const struct recipe cbct = {
        .modality = "CT",
        .clip = RECIPE_CLIP_FIXED,
        .clip_low = -1024.0,
        .clip_high = 2000.0,
        .cnn_low = -1.0,
        .cnn_high = 1.0,
        .dino_low = -1.0,
        .dino_high = 1.0,
        .hu_low = -1024.0,
        .hu_high = 2000.0,
    };
    if (strcmp(which, "mr") == 0) {
        *ret_recipe = mr;
        return 0;
    }
    if (strcmp(which, "cbct") == 0) {
        *ret_recipe = cbct;
        return 0;
    }
    return sctd_error(err, SCTD_EINVAL,
                      "no recipe is called \"%.64s\": use mr, cbct or a JSON file", which);
}

struct bound {
    const char *key;
    int64_t value, min, max;
};

static int check_bounds(const struct bound *bounds, size_t n, struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct bound *b = &bounds[i];
        if (b->value < b->min || b->value > b->max) {
            return sctd_error(err, SCTD_EDATA, "%s is %lld, expected %lld to %lld", b->key,
                              (long long)b->value, (long long)b->min, (long long)b->max);
        }
    }
    return 0;
}

int vit_config_check(const struct vit_config *vit, struct sctd_error *err)
{
    const struct bound bounds[] = {
        {"network.backbone.dim", vit->dim, 16, 8192},
        {"network.backbone.depth", vit->depth, 1, 64},
        {"network.backbone.heads", vit->heads, 1, 128},
        {"network.backbone.hidden", vit->hidden, 1, 32768},
        {"network.backbone.storage_tokens", vit->storage_tokens, 0, 64},
    };
    int r = check_bounds(bounds, sizeof bounds / sizeof bounds[0], err);
    if (r < 0) {
        return r;
    }
    if (vit->dim % (4 * vit->heads) != 0) {
        return sctd_error(
            err, SCTD_EDATA,
            "network.backbone.dim %d is not a multiple of 4 x %d heads, as the rotary "
            "embedding needs",
            vit->dim, vit->heads);
    }
    for (int i = 0; i < FEATURES; i++) {
        const int32_t least = i == 0 ? 0 : vit->features[i - 1] + 1;
        if (vit->features[i] < least || vit->features[i] >= vit->depth) {
            return sctd_error(err, SCTD_EDATA,
                              "network.backbone.features must be four rising blocks below %d",
                              vit->depth);
        }
    }
    return 0;
}

int generator_config_check(const struct generator_config *generator, struct sctd_error *err)
{
    const struct bound bounds[] = {
        {"network.generator.base_channels", generator->base_channels, 2, 512},
    };
    int r = check_bounds(bounds, 1, err);
    if (r < 0) {
        return r;
    }
    if (generator->base_channels % 2 != 0) {
        return sctd_error(err, SCTD_EDATA, "network.generator.base_channels %d is not even",
                          generator->base_channels);
    }
    int used = 0;
    for (int i = 0; i < LEVELS; i++) {
        used += generator->levels[i] ? 1 : 0;
    }
    if (!generator->cnn && (used != LEVELS || generator->fusion != FUSION_NONE)) {
        return sctd_error(err, SCTD_EDATA,
                          "network.generator without cnn uses all four levels and fusion \"none\"");
    }
    if (generator->fusion != FUSION_NONE && used == 0) {
        return sctd_error(err, SCTD_EDATA,
                          "network.generator.fusion is \"%s\" but no level is used",
                          fusion_kind_name(generator->fusion));
    }
    if (generator->fusion == FUSION_SE && generator->base_channels < 4) {
        return sctd_error(err, SCTD_EDATA,
                          "network.generator.base_channels %d is below 4, as fusion \"se\" needs",
                          generator->base_channels);
    }
    return 0;
}

static int check_range(const char *key, double low, double high, double limit,
                       struct sctd_error *err)
{
    if (!isfinite(low) || !isfinite(high) || fabs(low) > limit || fabs(high) > limit) {
        return sctd_error(err, SCTD_EDATA, "%s has a value beyond %g", key, limit);
    }
    if (low >= high) {
        return sctd_error(err, SCTD_EDATA, "%s is %g to %g, expected a rising range", key, low,
                          high);
    }
    return 0;
}

int recipe_check(const struct recipe *recipe, struct sctd_error *err)
{
    if (strcmp(recipe->modality, "MR") != 0 && strcmp(recipe->modality, "CT") != 0) {
        return sctd_error(err, SCTD_EDATA, "recipe.modality is \"%.16s\", expected MR or CT",
                          recipe->modality);
    }
    int r = check_range("recipe.clip", recipe->clip_low, recipe->clip_high, value_max, err);
    if (r == 0 && recipe->clip == RECIPE_CLIP_PERCENTILE &&
        (recipe->clip_low < 0.0 || recipe->clip_high > 100.0)) {
        r = sctd_error(err, SCTD_EDATA, "recipe.clip is %g to %g, expected percentiles of 0 to 100",
                       recipe->clip_low, recipe->clip_high);
    }
    if (r == 0) {
        r = check_range("recipe.cnn_range", recipe->cnn_low, recipe->cnn_high, 1e3, err);
    }
    if (r == 0) {
        r = check_range("recipe.dino_range", recipe->dino_low, recipe->dino_high, 1e3, err);
    }
    if (r == 0) {
        r = check_range("recipe.hu_range", recipe->hu_low, recipe->hu_high, 32767.0, err);
    }
    return r;
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool manifest_is_name(const char *name)
{
    size_t length = 0;
    for (; name[length] != '\0'; length++) {
        const char c = name[length];
        const bool inner = c == '.' || c == '_' || c == '-';
        if (!is_name_start(c) && !(inner && length > 0)) {
            return false;
        }
    }
    return length > 0 && length < MANIFEST_NAME_MAX;
}

static int check_sha256(const char *key, const char *hex, struct sctd_error *err)
{
    if (strlen(hex) != 64 || strspn(hex, "0123456789abcdef") != 64) {
        return sctd_error(err, SCTD_EDATA, "%s is not 64 lower-case hexadecimal digits", key);
    }
    return 0;
}

/* What is printed must not move a terminal's cursor. */
static bool has_control(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == '\x7f') {
            return true;
        }
    }
    return false;
}

static int check_source(const char *part, const struct manifest_source *source,
                        struct sctd_error *err)
{
    if (source->file[0] == '\0' || strchr(source->file, '/') != NULL || has_control(source->file)) {
        return sctd_error(err, SCTD_EDATA, "sources.%s.file is not a file's base name", part);
    }
    char key[64];
    (void)snprintf(key, sizeof key, "sources.%s.sha256", part);
    return check_sha256(key, source->sha256, err);
}

static int check_identity(const struct manifest *m, struct sctd_error *err)
{
    if (!manifest_is_name(m->name)) {
        return sctd_error(err, SCTD_EDATA, "name is \"%.64s\", expected [a-z0-9][a-z0-9._-]*",
                          m->name);
    }
    if (!manifest_is_name(m->version)) {
        return sctd_error(err, SCTD_EDATA, "version is \"%.64s\", expected [a-z0-9][a-z0-9._-]*",
                          m->version);
    }
    if (has_control(m->description)) {
        return sctd_error(err, SCTD_EDATA, "description has control characters");
    }
    int r = check_sha256("weights.sha256", m->weights_sha256, err);
    if (r == 0) {
        r = check_source("backbone", &m->backbone_source, err);
    }
    if (r == 0) {
        r = check_source("generator", &m->generator_source, err);
    }
    return r;
}

static int check_size(const struct manifest *m, struct sctd_error *err)
{
    const struct bound bounds[] = {
        {"weights.bytes", m->weights_bytes, 8, INT64_C(1) << 40},
        {"network.height", m->height, SIZE_STEP, SIZE_MAX_PIXELS},
        {"network.width", m->width, SIZE_STEP, SIZE_MAX_PIXELS},
    };
    int r = check_bounds(bounds, sizeof bounds / sizeof bounds[0], err);
    if (r < 0) {
        return r;
    }
    if (m->height % SIZE_STEP != 0 || m->width % SIZE_STEP != 0) {
        return sctd_error(err, SCTD_EDATA, "network.height %d and width %d must be multiples of 16",
                          m->height, m->width);
    }
    return 0;
}

int manifest_check(const struct manifest *manifest, struct sctd_error *err)
{
    int r = check_identity(manifest, err);
    if (r == 0) {
        r = check_size(manifest, err);
    }
    if (r == 0) {
        r = vit_config_check(&manifest->vit, err);
    }
    if (r == 0) {
        r = generator_config_check(&manifest->generator, err);
    }
    if (r == 0) {
        r = recipe_check(&manifest->recipe, err);
    }
    return r == 0 ? quality_limits_check(&manifest->quality, err) : r;
}
