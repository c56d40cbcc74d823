/*
 * store.h - put a new model into a models directory, whole or not at all.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Refuse a name or version that is none, and one that is there already.
 * ret_dir: models_dir/NAME@VERSION, at least 4096 bytes.  Errors: SCTD_EINVAL.
 */
SCTD_NODISCARD int store_check_new(char *ret_dir, const char *models_dir, const char *name,
                                   const char *version, struct sctd_error *err);

/*
 * Write models_dir/NAME@VERSION, and models_dir if it is not there.  *manifest gives name, version and
 * all else; weights_sha256 and weights_bytes are filled in here.
 * tensors[n]: f32, in the order and of the shapes of the manifest's layout.
 * ret_dir: the directory's path, at least 4096 bytes.
 * Errors: SCTD_EINVAL (it exists; the manifest is not sound), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int store_write(char *ret_dir, const char *models_dir, struct manifest *manifest,
                               const struct tensor_view *tensors, size_t n, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
