/*
 * source_body.h - which voxels of an MR or a CT are the patient.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CT: as body_mask.h says, what has at least OUTLINE_BODY_HU.
 *
 * MR: intensities have no scale and coils leave parts of the patient dark, so that the border between background and
 * tissue is found in the image.  Each voxel gets one of 4096 bins of equal width between the clip limits, the first and the
 * last also for what is beyond them, and then the median of the bins of the 3 x 3 voxels around it in its slice (along i
 * and j, the edge repeated).  The border is the one of Otsu (1979) between the classes of log(1 + 50 x), where x is the
 * middle of a bin and 0 to 1 the range of all: the logarithm keeps dim tissue apart from the background where bright fat
 * would draw the border up.  Tissue is what lies above the last bin of the background; the largest piece of it, with what it
 * encloses in each plane across `axis`, is the body.
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

enum { SOURCE_BODY_INSIDE = 1, SOURCE_BODY_TISSUE = 2 };

enum { SOURCE_BODY_NONE = 1 };

/*
 * ret_flags [dim[2], dim[1], dim[0]]: SOURCE_BODY_INSIDE where the body is, SOURCE_BODY_TISSUE where a voxel, wherever, is as
 * bright as tissue.
 * clip: of an MR, its limits as engine_find_clip finds them; NULL: a CT.  axis: nearest to the patient's head and feet.
 * beat: told after each slice, or plane across `axis`, in each pass; or NULL.
 * Returns 0, or SOURCE_BODY_NONE: there is nothing but background, and no voxel is in the body.
 * Errors: SCTD_EINVAL (more voxels than pieces.h takes), SCTD_ENOMEM.
 */
SCTD_NODISCARD int source_body_find(uint8_t *ret_flags, const struct volume *source,
                                    const double *clip, int axis, const struct sctd_beat *beat,
                                    struct sctd_error *err);

#ifdef __cplusplus
}
#endif
