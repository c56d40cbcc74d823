/*
 * wepl.h - water-equivalent path lengths along the gantry's angles: a quick surrogate of dose.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the middle of the body in each slice a ray goes to the source at every 10 degrees of the gantry, in the
 * patient's transverse plane (IEC 61217, head first supine: 0 is in front, 90 at the patient's left).  A path's length
 * in water is the sum of the relative electron density, trilinear in HU, at the middles of steps of 1 mm whose nearest voxel is in
 * the body.  Density (Thomas, Br J Radiol 72, 781, 1999): 1 + HU / 1000 up to 100 HU, 1.052 + 0.00048 HU above,
 * at least 0.  The difference is synthetic - reference.  No scatter, no beam hardening, no divergence: it
 * ranks sCTs and finds gross errors, it is no dose.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WEPL_ANGLES = 36, WEPL_DEGREES = 10 };

struct wepl {
    size_t rays;                               /* over all angles and slices with body */
    double reference_mm;                       /* mean length in water */
    double mean_mm, mean_absolute_mm, most_mm; /* of the differences; most: the largest absolute */
    double mean_percent;                       /* mean absolute difference, of the mean length */
    double angle_mm[WEPL_ANGLES];              /* mean difference at each angle */
};

/* Of HU, relative to water. */
double wepl_density(double hu);

/*
 * reference and synthetic on one grid; mask [dim[2], dim[1], dim[0]]: not 0 in the body.
 * Lengths are NAN where there is no ray.  Errors: SCTD_EDATA (a grid without inverse).
 */
SCTD_NODISCARD int wepl_find(struct wepl *ret_wepl, const struct volume *reference,
                             const struct volume *synthetic, const uint8_t *mask,
                             struct sctd_error *err);

#ifdef __cplusplus
}
#endif
