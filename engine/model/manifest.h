/*
 * manifest.h - manifest.json: what a model is, beside its weights.  docs/model-format.md describes it.
 *
 * Thread safety: a manifest is plain data.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/model/quality_limits.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MANIFEST_FORMAT = 1,
    MANIFEST_TEXT_MAX = 1024,
    MANIFEST_NAME_MAX = 64,
    MANIFEST_BYTES_MAX = 65536,
};

/* The file of a model's directory beside manifest.json. */
#define MANIFEST_WEIGHTS_FILE "weights.safetensors"

enum vit_ffn { VIT_FFN_MLP, VIT_FFN_SWIGLU };

/* A DINOv3 Vision Transformer of patch size 16 (arXiv:2508.10104). */
struct vit_config {
    int32_t dim;
    int32_t depth;
    int32_t heads;
    int32_t hidden; /* width of the feed-forward layer */
    enum vit_ffn ffn;
    int32_t storage_tokens;
    int32_t features[4]; /* blocks whose output the generator reads, counted from 0, rising */
};

enum fusion_kind { FUSION_CNN, FUSION_GATED, FUSION_SE, FUSION_NONE };

/* The DGCF generator (arXiv:2511.12098). */
struct generator_config {
    int32_t base_channels; /* even; levels 1 ... 4 have 1, 2, 4 and 8 times as many */
    enum fusion_kind fusion;
    bool levels[4]; /* which of the four DINO levels are fused */
    bool cnn;       /* whether there is a CNN encoder; without it all four levels are used */
};

enum recipe_clip { RECIPE_CLIP_PERCENTILE, RECIPE_CLIP_FIXED };

/* How a volume becomes the network's inputs and its output becomes HU; a checkpoint depends on it. */
struct recipe {
    char modality[17]; /* what the source must be: "MR" or "CT" (CBCT arrives as CT) */
    enum recipe_clip clip;
    double clip_low, clip_high; /* percentiles of the whole volume, 0 ... 100; or values */
    double cnn_low, cnn_high;   /* the clip limits map to these in x_cnn */
    double dino_low, dino_high; /* and to these in x_dino */
    double hu_low, hu_high;     /* what -1 and 1 of the output mean */
};

struct manifest_source {
    char file[256];  /* base name of the file a part was imported from */
    char sha256[65]; /* lower-case hex */
};

struct manifest {
    char name[MANIFEST_NAME_MAX];        /* [a-z0-9][a-z0-9._-]* */
    char version[MANIFEST_NAME_MAX];     /* the same */
    char description[MANIFEST_TEXT_MAX]; /* UTF-8, may be empty */
    bool research_only;                  /* Content Qualification RESEARCH (default) or PRODUCT */
    char weights_sha256[65];
    int64_t weights_bytes;
    int32_t height, width; /* the size slices are resized to; multiples of 16, 16 ... 2048 */
    struct vit_config vit;
    struct generator_config generator;
    struct recipe recipe;
    struct manifest_source backbone_source, generator_source;
    struct quality_limits quality; /* what an sCT of the model must keep to */
};

/* The two recipes of the published code; `which` is "mr" or "cbct". Errors: SCTD_EINVAL. */
SCTD_NODISCARD int recipe_preset(struct recipe *ret_recipe, const char *which,
                                 struct sctd_error *err);

/* Read a recipe from a JSON file of its own (--recipe FILE.json), with the manifest's "recipe" keys.
 * Errors: SCTD_EIO, SCTD_EDATA (names the key). */
SCTD_NODISCARD int recipe_read(struct recipe *ret_recipe, const char *path, struct sctd_error *err);

/*
 * Read and check a manifest: unknown, missing, repeated and ill-typed keys are refused by name.
 * Errors: SCTD_EIO, SCTD_EDATA.
 */
SCTD_NODISCARD int manifest_read(struct manifest *ret_manifest, const char *path,
                                 struct sctd_error *err);
SCTD_NODISCARD int manifest_parse(struct manifest *ret_manifest, const char *text, size_t size,
                                  struct sctd_error *err);
/* Write it durably (temporary file, fsync, rename). Errors: SCTD_EINVAL, SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int manifest_write(const struct manifest *manifest, const char *path,
                                  struct sctd_error *err);
/* Write the members of the manifest's object, which the caller begins and ends. */
void manifest_write_members(const struct manifest *manifest, struct json_writer *writer);

const char *fusion_kind_name(enum fusion_kind kind); /* "cnn", "gated", "se", "none" */
const char *vit_ffn_name(enum vit_ffn ffn);          /* "mlp", "swiglu" */
/* The kind called `name`; false if there is none. */
bool fusion_kind_find(enum fusion_kind *ret_kind, const char *name);

/*
 * The bounds that docs/model-format.md states, and how the numbers must fit each other.
 * Errors: SCTD_EDATA, naming the key as in manifest.json.
 */
SCTD_NODISCARD int vit_config_check(const struct vit_config *vit, struct sctd_error *err);
SCTD_NODISCARD int generator_config_check(const struct generator_config *generator,
                                          struct sctd_error *err);
SCTD_NODISCARD int recipe_check(const struct recipe *recipe, struct sctd_error *err);
SCTD_NODISCARD int manifest_check(const struct manifest *manifest, struct sctd_error *err);

/* Whether `name` may be a model's name or version: [a-z0-9][a-z0-9._-]*, fewer than 64 bytes. */
bool manifest_is_name(const char *name);

#ifdef __cplusplus
}
#endif
