/*
 * thin_plate.h - cut off a mask what is thin and wide: a couch's shell that touches the skin, a sheet, a mask.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In each slice what is thinner than twice THIN_PLATE_MM is found by an opening: an erosion by a box of whole voxels, at most
 * THIN_PLATE_MM to each side, then a growing back within the mask by one voxel more.  Of what the opening loses, pieces that
 * hang together by faces over all slices are cut off where they are at least THIN_PLATE_WIDE_MM long along a row or a
 * column; ears, fingers, folds of skin are smaller and stay.  Then the largest piece of the rest is kept.  Where a plate lies
 * on the body it cannot be told from skin, and stays.  Voxels of more than THIN_PLATE_MM along rows and columns are too
 * coarse: nothing is cut.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

#define THIN_PLATE_MM      3.0
#define THIN_PLATE_WIDE_MM 100.0

/* mask [dim[2], dim[1], dim[0]], 0 or 1: one piece, not filled.  Errors: SCTD_ENOMEM (the mask stands). */
SCTD_NODISCARD int thin_plate_cut(uint8_t *mask, const struct volume_grid *grid,
                                  struct sctd_error *err);

#ifdef __cplusplus
}
#endif
