/*
 * grid.h - from a voxel's index to its position in the patient, and back.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions are LPS millimetres, indices are columns, rows and slices, fractions included; the axes
 * of a grid may be oblique to each other (1e-4 radian moves a voxel 0.05 mm in half a metre), so that
 * the way back is the inverse of the way there and no product with the axes.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether both have the same size, and no corner of one lies further than within_mm from that of the other. */
bool grid_is_same(const struct volume_grid *a, const struct volume_grid *b, double within_mm);

void grid_find_position(double ret_mm[3], const struct volume_grid *grid, const double index[3]);

/* Carries positions to the indices of one grid. */
struct grid_inverse {
    double origin[3];
    double per_mm[3][3]; /* [index][patient axis] */
};

/* Errors: SCTD_EDATA (a step is not above 0, or the axes lie in one plane). */
SCTD_NODISCARD int grid_invert(struct grid_inverse *ret_inverse, const struct volume_grid *grid,
                               struct sctd_error *err);
void grid_find_index(double ret_index[3], const struct grid_inverse *inverse, const double mm[3]);
/* How the indices change along a direction. */
void grid_turn_vector(double ret_index[3], const struct grid_inverse *inverse, const double mm[3]);

#ifdef __cplusplus
}
#endif
