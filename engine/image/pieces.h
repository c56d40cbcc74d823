/*
 * pieces.h - the parts of a mask that hang together.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Voxels hang together by faces.  The mask is taken as runs along i that are joined where they touch, so that memory
 * goes with the number of runs and the time with the number of voxels.  Memory: 16 bytes a run and 8 a row; a mask of every
 * other voxel, the worst, has a run for two voxels.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PIECES_VOXELS_MAX UINT32_MAX

/*
 * mask [dim[2], dim[1], dim[0]]: what is not 0 and belongs to the largest piece becomes 1, the rest 0; of pieces of one
 * size the one that begins first stays.  *ret_n: its voxels; 0: the mask was empty.
 * beat: told after each slice in each of three passes; or NULL.
 * Errors: SCTD_EINVAL (more than PIECES_VOXELS_MAX voxels), SCTD_ENOMEM; the mask stands.
 */
SCTD_NODISCARD int pieces_keep_largest(uint8_t *mask, const int32_t dim[3], size_t *ret_n,
                                       const struct sctd_beat *beat, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
