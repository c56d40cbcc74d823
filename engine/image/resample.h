/*
 * resample.h - the values of a volume on another grid, trilinear or of the nearest voxel.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume reaches half a voxel beyond its outermost voxel centres, where the outermost values hold;
 * what lies farther out is `outside`.  On a voxel centre the result is that voxel's value, exactly.
 *
 * Thread safety: none needed; no shared state.
 */
#pragma once

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * out: [dim[2], dim[1], dim[0]] of `grid`; does not overlap in->voxel.
 * Errors: SCTD_EDATA (in->grid has no inverse).
 */
SCTD_NODISCARD int resample_run(float *out, const struct volume_grid *grid, const struct volume *in,
                                float outside, struct sctd_error *err);

/* The same with the value of the nearest voxel: for labels and masks. */
SCTD_NODISCARD int resample_run_nearest(float *out, const struct volume_grid *grid,
                                        const struct volume *in, float outside,
                                        struct sctd_error *err);

#ifdef __cplusplus
}
#endif
