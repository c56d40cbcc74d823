/*
 * voxels.h - numbers as image files keep them become floats.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum voxels_type {
    VOXELS_U8,
    VOXELS_I8,
    VOXELS_U16,
    VOXELS_I16,
    VOXELS_U32,
    VOXELS_I32,
    VOXELS_F32,
    VOXELS_F64,
    VOXELS_TYPES
};

/* What files may ask for: voxels on an axis, and in all. */
enum { VOXELS_SIDE_MAX = 4096 };
#define VOXELS_COUNT_MAX ((size_t)1 << 29)

struct voxels_format {
    enum voxels_type type;
    bool big_endian;
    double slope, intercept; /* value = slope * stored + intercept */
};

size_t voxels_type_size(enum voxels_type type);

/*
 * A volume on `grid` of what `in`, of `size` bytes, holds, i fastest.
 * Errors: SCTD_EDATA (too few bytes, a value that is not finite, a grid that is no grid: see voxels_check_grid), SCTD_ENOMEM.
 */
SCTD_NODISCARD int voxels_decode(struct volume **ret_volume, const struct volume_grid *grid,
                                 const struct voxels_format *format, const void *in, size_t size,
                                 struct sctd_error *err);

/*
 * Columns of a file's affine become a grid's steps and axes: axis[a] holds step times direction of axis a on entry.
 * Errors: SCTD_EDATA (dimensions beyond the limits, a step that is not above 0, axes that are not at right angles).
 */
SCTD_NODISCARD int voxels_check_grid(struct volume_grid *grid, size_t *ret_n,
                                     struct sctd_error *err);

#ifdef __cplusplus
}
#endif
