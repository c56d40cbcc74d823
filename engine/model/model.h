/*
 * model.h - a model directory: manifest.json and weights.safetensors, opened, imported, listed.
 *
 * The weights keep Meta's names under "backbone." (arXiv:2508.10104) and the published generator's
 * under "generator.", all f32, in one canonical order, so that a model imported from any of the
 * formats of the same checkpoint has the same bytes and the same SHA-256.  What the network does
 * not use (mask_token, num_batches_tracked, fusion layers of a generator without CNN encoder) is
 * left out at import; the key third of the qkv bias is zero; RoPE periods are always present.
 *
 * Thread safety: an open model is immutable and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

struct model;

/*
 * Open the model in `dir`: read the manifest, map the weights, check that exactly the tensors that
 * the manifest's network has are there, with their shapes.  Does not hash the weights (model_verify).
 * *ret_model: the caller closes it.
 * Errors: SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM.
 */
SCTD_NODISCARD int model_open(struct model **ret_model, const char *dir, struct sctd_error *err);
void model_close(struct model *model); /* NULL is a no-op */
static inline void model_closep(struct model **model)
{
    model_close(*model);
}

const struct manifest *model_get_manifest(const struct model *model);

/* A weight by its canonical name; NULL if the model has none. f32, borrowed from the mapped file. */
const struct tensor_view *model_find(const struct model *model, const char *name);

/* Hash weights.safetensors and compare with the manifest. Errors: SCTD_EDATA (differs), SCTD_EIO. */
SCTD_NODISCARD int model_verify(const struct model *model, struct sctd_error *err);

/* Let the kernel take back the pages of weights that have been copied. */
void model_drop_pages(const struct model *model);

struct model_import_options {
    const char *backbone;  /* path of a DINOv3 checkpoint */
    const char *generator; /* path of a generator checkpoint */
    const char *recipe;    /* "mr", "cbct" or the path of a JSON file */
    const char *name;
    const char *version;
    const char *description; /* or NULL */
    const char *
        quality; /* what an sCT must keep to: "default" (or NULL), "none" or the path of a JSON file */
    int32_t height, width;  /* 0: 256 */
    int32_t heads;          /* of the backbone; 0: told by the RoPE periods, else 64 wide each */
    const char *fusion;     /* or NULL: told by the shapes */
    const char *models_dir; /* the model becomes models_dir/NAME@VERSION */
};

/*
 * Import a model.  The directory appears whole or not at all; an existing one is never replaced.
 * ret_dir: the new directory's path, NUL-terminated, at least 4096 bytes.
 * problems: on SCTD_EDATA gets one line for each missing, extra or wrongly shaped tensor, all of
 * them; *err then holds the counts.
 * Errors: SCTD_EINVAL (an option), SCTD_EDATA, SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int model_import(char *ret_dir, const struct model_import_options *options,
                                struct sctd_buf *problems, struct sctd_error *err);

enum { MODEL_NONE = 1 };

/* The version that a bare NAME means where there are several.  Returns 0, or MODEL_NONE: none was chosen.
 * Errors: SCTD_EIO, SCTD_EDATA (the file that says it is damaged), SCTD_EINVAL. */
SCTD_NODISCARD int model_get_active(char ret_version[MANIFEST_NAME_MAX], const char *models_dir,
                                    const char *name, struct sctd_error *err);
/* Choose it, durably.  Errors: SCTD_EINVAL (no such model), SCTD_EIO. */
SCTD_NODISCARD int model_activate(const char *models_dir, const char *name, const char *version,
                                  struct sctd_error *err);

/*
 * Find a model by NAME@VERSION, by NAME (its only version, or the active one of several; without it an error that
 * lists them) or by the path of its directory (anything with a '/').
 * ret_dir: at least 4096 bytes.  Errors: SCTD_EINVAL (no such model; says which there are), SCTD_EIO.
 */
SCTD_NODISCARD int model_resolve(char *ret_dir, const char *models_dir, const char *spec,
                                 struct sctd_error *err);

/* One entry of a models directory; `err` says why it could not be read (then manifest is NULL). */
typedef int (*model_list_fn)(void *arg, const char *dir, const struct manifest *manifest,
                             const struct sctd_error *err);

/* Call fn for each model in models_dir, by name then version; stops at its first non-zero result and
 * returns it.  A models_dir that does not exist is empty.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int model_list(const char *models_dir, model_list_fn fn, void *arg,
                              struct sctd_error *err);

#ifdef __cplusplus
}
#endif
