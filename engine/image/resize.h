/*
 * resize.h - bring slices from one matrix size to another, bilinear without antialiasing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Half-pixel centres, edges clamped, each axis on its own scale: what the published code's
 * torchvision Resize(antialias=None) and torch.nn.functional.interpolate(mode="bilinear",
 * align_corners=False) do, with the same f32 weights.
 *
 * Thread safety: a struct resize is immutable once made and may be shared.
 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct resize;

/* Rows and columns of a slice, each >= 1. */
struct resize_size {
    int32_t rows, columns;
};

/*
 * Prepare the weights for slices of size `from` to become size `to`.
 * *ret_resize: the caller frees it.  Errors: SCTD_EINVAL (a size < 1), SCTD_ENOMEM.
 */
SCTD_NODISCARD int resize_new(struct resize **ret_resize, struct resize_size from,
                              struct resize_size to, struct sctd_error *err);
void resize_free(struct resize *resize); /* NULL is a no-op */
static inline void resize_freep(struct resize **resize)
{
    resize_free(*resize);
}

/* out [to.rows, to.columns] from in [from.rows, from.columns], row-major, not overlapping. */
void resize_run(const struct resize *resize, float *out, const float *in);

#ifdef __cplusplus
}
#endif
