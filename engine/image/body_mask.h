/*
 * body_mask.h - which voxels of a CT are the patient: the largest thing that is no air, with what it encloses.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has at least OUTLINE_BODY_HU is split into pieces that hang together by faces; the largest is the body.  Then
 * each slice's air that cannot reach the slice's border (lungs, gas) is added.  A couch that the body does not
 * touch is left out; body_mask_find also cuts off the thin shell of one that it touches (thin_plate.h).  A solid couch, and
 * implants that reach the skin, are not told from it.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdint.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * ret_mask [dim[2], dim[1], dim[0]]: 1 in the body, else 0.
 * Errors: SCTD_EDATA (nothing is no air), SCTD_EINVAL (more voxels than pieces.h takes), SCTD_ENOMEM.
 */
SCTD_NODISCARD int body_mask_find(uint8_t *ret_mask, const struct volume *ct,
                                  struct sctd_error *err);

enum { BODY_MASK_NONE = 1 };

/*
 * The same, but for a couch that touches, of what has at least `least`, with the planes across `axis` (0 ... 2) in the place of slices.
 * beat: told after each plane in each pass; or NULL.
 * Returns 0, or BODY_MASK_NONE: nothing has, and the mask is 0.
 * Errors: SCTD_EINVAL (more voxels than pieces.h takes), SCTD_ENOMEM.
 */
SCTD_NODISCARD int body_mask_find_above(uint8_t *ret_mask, const struct volume *volume, float least,
                                        int axis, const struct sctd_beat *beat,
                                        struct sctd_error *err);

/* Add to a mask what it encloses in each plane across `axis`.  beat: told after each; or NULL.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int body_mask_fill(uint8_t *mask, const int32_t dim[3], int axis,
                                  const struct sctd_beat *beat, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
