/*
 * phantom_image.h - what a scanner makes of the phantom: the steps from tissue to an image.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/* Thread safety: pure functions of what they are given. */
#pragma once

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/phantom_anatomy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* phantom_mr.c: signal without bias, scale and noise, in place. */
void phantom_mr_finish(const struct phantom_anatomy *anatomy, struct volume *image);

/* phantom_cbct.c: exact HU, in place.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int phantom_cbct_finish(const struct phantom_anatomy *anatomy, struct volume *image,
                                       struct sctd_error *err);
/* What lies outside the field of view, HU, and its radius. */
void phantom_cbct_get_view(const struct phantom_anatomy *anatomy, float *ret_fill,
                           float *ret_radius_mm);

/* Centre of voxel (i, j, k), LPS mm. */
static inline void phantom_image_place(const struct volume_grid *grid, int32_t i, int32_t j,
                                       int32_t k, float ret_at[3])
{
    for (int a = 0; a < 3; a++) {
        ret_at[a] =
            (float)(grid->origin[a] + i * grid->step[0] * grid->axis[0][a] +
                    j * grid->step[1] * grid->axis[1][a] + k * grid->step[2] * grid->axis[2][a]);
    }
}

#ifdef __cplusplus
}
#endif
