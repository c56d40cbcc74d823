/*
 * ssim.h - structural similarity of an sCT and its reference, on one scale and on five.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both images are clamped to low ... high, outside the body set to low (not for the whole image), and shifted to
 * begin at 0; R = high - low, C1 = (0.01 R)^2, C2 = (0.03 R)^2, C3 = C2 / 2.  Means m, variances v and the covariance c
 * are those of cubes of 7 x 7 x 7 voxels with equal weights, normalised as of a sample (343 / 342).
 *
 * SSIM = mean of (2 mx my + C1)(2 c + C2) / ((mx^2 + my^2 + C1)(vx + vy + C2)) over the region's voxels
 * that are at least 3 voxels from the border (Wang et al. 2004; scikit-image's structural_similarity in 3-D; SynthRAD2023).
 *
 * MS-SSIM as SynthRAD2025 computes it, on 5 scales: the product over the scales of the region's mean of (L C S)^w, with
 * L = (2 mx my + C1)/(mx^2 + my^2 + C1), C = (2 sqrt(vx vy) + C2)/(vx + vy + C2), S = (c + C3)/(sqrt(vx vy) + C3), each at
 * least 0, and w = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333 (Wang et al. 2003).  Luminance counts on every scale there,
 * with the same w.  From scale to scale voxel i of an axis is the mean of voxels 2i - 1 and 2i, with 0 before
 * the first; regions take every other voxel.  Images are first extended by their outermost voxels to 97 on
 * each axis, as many before as after.
 *
 * Memory: about a third of the images in f64.  Thread safety: pure functions; a thread of its own runs meanwhile.
 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"
#include "engine/image/range.h"
#include "engine/image/regions.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SSIM_WINDOW = 7 };

struct ssim_images {
    const float *reference, *synthetic; /* [dim[2], dim[1], dim[0]] */
    const uint8_t *regions;             /* the same; of regions_mark */
    int32_t dim[3];
    struct range range;
};

/* NAN: no voxel of the region is far enough from the border; ssim of images narrower than 7 voxels. */
struct ssim {
    double ssim[REGIONS], ms_ssim[REGIONS];
};

/* Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int ssim_find(struct ssim *ret_ssim, const struct ssim_images *images,
                             struct sctd_error *err);

#ifdef __cplusplus
}
#endif
