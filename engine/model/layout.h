/*
 * layout.h - the table of a network's weights: every name, shape and role, in canonical order.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One place says which tensors a Vision Transformer (Meta's names, arXiv:2508.10104) and a generator
 * (the published code's names, arXiv:2511.12098) of given configurations have.  Import, the check in
 * model_open and whoever makes weights up all read it.
 *
 * Thread safety: a layout is immutable and may be shared.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/model/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LAYOUT_NAME_MAX = 64, LAYOUT_DIMS_MAX = 4 };

/* What a tensor's values are; says what is allowed in them. */
enum layout_role {
    LAYOUT_WEIGHT,      /* of a convolution [out, in, k, k] or a linear layer [out, in] */
    LAYOUT_BIAS,        /* of the same */
    LAYOUT_QKV_BIAS,    /* [3 dim]: q, k, v; the key third is zero */
    LAYOUT_NORM_WEIGHT, /* of a LayerNorm or BatchNorm */
    LAYOUT_NORM_BIAS,
    LAYOUT_MEAN,     /* BatchNorm's running_mean */
    LAYOUT_VARIANCE, /* BatchNorm's running_var; never negative */
    LAYOUT_SCALE,    /* LayerScale's gamma */
    LAYOUT_TOKEN,    /* cls_token, storage_tokens */
    LAYOUT_PERIODS,  /* of the rotary embedding; positive */
};

struct layout_entry {
    char name[LAYOUT_NAME_MAX]; /* with its "backbone." or "generator." */
    enum layout_role role;
    int32_t n_dims;
    int64_t dim[LAYOUT_DIMS_MAX];
};

struct layout;

/*
 * The weights of a network of these configurations; either may be NULL to leave its part out.  The
 * configurations must be sound (vit_config_check, generator_config_check).
 * *ret_layout: the caller frees it.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int layout_new(struct layout **ret_layout, const struct vit_config *vit,
                              const struct generator_config *generator, int32_t embed_dim,
                              struct sctd_error *err);
void layout_free(struct layout *layout); /* NULL is a no-op */
static inline void layout_freep(struct layout **layout)
{
    layout_free(*layout);
}

size_t layout_get_count(const struct layout *layout);
const struct layout_entry *layout_get(const struct layout *layout, size_t i); /* canonical order */

/* The index of the entry called `name`, or SIZE_MAX. */
size_t layout_find(const struct layout *layout, const char *name);

/* The number of values of an entry. */
size_t layout_entry_count(const struct layout_entry *entry);

#ifdef __cplusplus
}
#endif
