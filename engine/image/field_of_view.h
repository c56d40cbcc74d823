/*
 * field_of_view.h - how much of a body's outline the images cut off.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lateral outline are the body's voxels with a neighbour, along one of the two axes that do not run from head to
 * feet, outside the body or outside the image.  Cut off are those of them that lie on one of the four faces of the image
 * across these axes.  Where a series begins and ends along the body does not count.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdint.h>

#include "engine/base/beat.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The axis of the grid that is most parallel to the patient's z: 0 ... 2. */
int field_of_view_find_axis(const struct volume_grid *grid);

struct field_of_view {
    double percent; /* of the lateral outline that is cut off; 0 without a body */
    int32_t plane;  /* across `axis`, with most that is cut off */
};

/* mask [dim[2], dim[1], dim[0]]: the body, what has the bit 1.  axis: as field_of_view_find_axis says.
 * beat: told after each plane; or NULL. */
struct field_of_view field_of_view_find(const uint8_t *mask, const int32_t dim[3], int axis,
                                        const struct sctd_beat *beat);

#ifdef __cplusplus
}
#endif
