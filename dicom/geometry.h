/*
 * geometry.h - from the positions of slices to one regular grid, or the reason why there is none.
 *
 * No I/O and no DICOM types: numbers in patient coordinates (LPS, mm; PS3.3 C.7.6.2.1.1).
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/series.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Slices closer than this along the normal, in mm, are at one position. */
#define DICOM_SAME_POSITION_MM 0.01

/* A slice on its way to its place. */
struct dicom_slice_place {
    double position[3]; /* centre of its first pixel */
    double along;       /* the same, along the normal; set by dicom_geometry_sort */
    size_t index;       /* the caller's */
};

/*
 * ret_axis: unit vectors of a row, of a column, and their cross product, from Image Orientation (Patient).
 * Each is moved by as little as makes them orthonormal; false if they are no such vectors within 1e-3.
 */
bool dicom_geometry_axes(double ret_axis[3][3], const double orientation[6]);

/* Sort by position along the normal, then by index. */
void dicom_geometry_sort(struct dicom_slice_place *place, size_t n, const double normal[3]);

/*
 * The step of slices that are sorted and at different positions: the mean of their distances, which have
 * to be the median within `tolerance` of it.  Then the position of each of them must be the grid's:
 * along the normal within tolerance * step, within the plane within 1e-4 of the distance from the
 * first slice (as far as a rounded orientation allows), or within 0.01 mm if that is more.
 * Returns true with *ret_step, mm; else false with *ret_refusal: missing slice, uneven spacing or gantry
 * tilt.  n >= 2.
 * Errors: none.
 */
bool dicom_geometry_fit(double *ret_step, struct dicom_refusal *ret_refusal,
                        const struct dicom_slice_place *place, size_t n, const double axis[3][3],
                        double tolerance);

#ifdef __cplusplus
}
#endif
