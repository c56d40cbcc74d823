/*
 * orient.h - a series in any orientation becomes the axial slices that the network knows, and back.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network sees slices one by one, and was trained on axial ones: rows from the patient's right to
 * the left (+x), columns from front to back (+y); slices rise (+z), which it does not see.
 *
 * Each patient axis has a source axis nearest to it.  Where none of the three is farther from it
 * than the tilt allowed, the voxels are only put into another order, and put back afterwards: nothing
 * is interpolated.  A source that is tilted more is resampled once onto an axial grid that covers it,
 * and the sCT once back.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever the same source would give other voxels. */
enum { ORIENT_RULE = 1 };

/* Degrees: oblique brain and pelvis series are planned within about this much of axial, and a slice
 * so tilted still looks like an axial one, whereas two interpolations cost detail. */
#define ORIENT_MAX_TILT 10.0

struct orient_plan {
    struct volume_grid source;
    struct volume_grid network; /* what the network runs on */
    /* Axis-aligned, with square pixels, covering the source: for an sCT on an axial grid. */
    struct volume_grid axial;
    int32_t from[3];       /* network axis a is source axis from[a] */
    bool reversed[3];      /* and runs against it */
    double tilt_degrees;   /* of the source axis farthest from its patient axis */
    bool resampled;        /* network is not the source's voxels in another order */
    bool axial_is_network; /* the axial grid is the network's */
};

/*
 * max_tilt_degrees: 0 ... 45; ORIENT_MAX_TILT.
 * The axial grid's spacing is that of the source along each patient axis, the finer of the two
 * within a slice; pixels are not made finer than 1 mm.  Grids of more than three times the
 * source's voxels are made coarser.
 * Errors: SCTD_EDATA (a grid without dimensions, spacing or orientation).
 */
SCTD_NODISCARD int orient_plan_make(struct orient_plan *ret_plan, const struct volume_grid *source,
                                    double max_tilt_degrees, struct sctd_error *err);

/*
 * Replace *volume, on plan->source, by the one on plan->network; the old one is freed.
 * outside: the value where the source does not reach.  On failure *volume stands.
 * Memory: both volumes at once, or nothing where they are the same.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int orient_to_network(struct volume **volume, const struct orient_plan *plan,
                                     float outside, struct sctd_error *err);

/* The same from plan->network to plan->source, or to plan->axial. */
SCTD_NODISCARD int orient_to_source(struct volume **volume, const struct orient_plan *plan,
                                    float outside, struct sctd_error *err);
SCTD_NODISCARD int orient_to_axial(struct volume **volume, const struct orient_plan *plan,
                                   float outside, struct sctd_error *err);

/* The source slice nearest to the middle of slice k of the axial grid. */
int32_t orient_find_nearest(const struct orient_plan *plan, int32_t k);

#ifdef __cplusplus
}
#endif
