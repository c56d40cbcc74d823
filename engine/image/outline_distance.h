/*
 * outline_distance.h - how far the outlines of two bodies are from each other, slice by slice.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body's outline in a slice are its pixels with one of four neighbours outside it or outside the image.  From each of
 * them goes the shortest distance in mm, between pixel centres, to the other body's outline in the same slice.  Where the
 * other has none in the slice, the distance is the radius of a disc as large as the body there: so far would its outline
 * have to shrink to vanish.  Ends of the bodies at the first and the last slice do not count, as surface distances in
 * space would have them, which they would make small in a series of few slices.
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

struct outline_distance {
    double
        hd95_mm; /* the larger of the two directions' 95th percentiles, linear between order statistics */
    int32_t worst_slice; /* where the mean of both directions' distances together is largest */
};

enum { OUTLINE_DISTANCE_NONE = 1 };

/*
 * a, b [dim[2], dim[1], dim[0]]: the bodies, what has the bit 1.  beat: told after each slice; or NULL.
 * Returns 0, or OUTLINE_DISTANCE_NONE: one of them is empty.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int outline_distance_find(struct outline_distance *ret_distance, const uint8_t *a,
                                         const uint8_t *b, const struct volume_grid *grid,
                                         const struct sctd_beat *beat, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
