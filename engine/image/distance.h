/*
 * distance.h - how far each voxel is from the nearest one of a set.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact Euclidean distances between voxel centres (Felzenszwalb and Huttenlocher 2012): along one axis after the other,
 * the lower hull of parabolas.
 *
 * Thread safety: an object belongs to one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Space for lines of one length at most; made once for many transforms. */
struct distance {
    double *line, *hull, *bound; /* owned */
    int32_t *parabola;           /* owned */
    int32_t longest;
};

/* longest: the largest of the dimensions to come, at least 1.  Errors: SCTD_ENOMEM; fini is due all the same. */
SCTD_NODISCARD int distance_init(struct distance *d, int32_t longest, struct sctd_error *err);
void distance_fini(struct distance *d);

/*
 * squared [dim[2], dim[1], dim[0]]: on entry 0 where a voxel belongs to the set and infinity elsewhere, on return the
 * square of the distance to the set; infinity where the set is empty.
 * step: distance between neighbours along each axis, above 0.  No dimension is above `longest`.
 */
void distance_square(struct distance *d, double *squared, const int32_t dim[3],
                     const double step[3]);

#ifdef __cplusplus
}
#endif
