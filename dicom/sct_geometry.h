/*
 * sct_geometry.h - where a slice lies: the attributes of the Image Plane module (PS3.3 C.7.6.2).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sct_plane {
    struct dicom_attributes set; /* Image Position and Orientation (Patient), Pixel Spacing */
    double position[3];          /* mm, LPS */
    double normal[3];
};

void sct_geometry_fini(struct sct_plane *plane);

/*
 * A frame's own plane in its own bytes; only values that are no decimal string of the standard, which are
 * those of more than 16 characters, are written anew, as near as 16 characters come.
 * Errors: SCTD_EDATA (missing, or no numbers), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_geometry_of_source(struct sct_plane *ret_plane,
                                          const struct sct_source *source, int32_t frame,
                                          struct sctd_error *err);
/* Slice k of a grid. */
SCTD_NODISCARD int sct_geometry_of_grid(struct sct_plane *ret_plane, const struct volume_grid *grid,
                                        int32_t k, struct sctd_error *err);

/* Errors: SCTD_EDATA (the plane is not slice k of the grid, by half a voxel or more). */
SCTD_NODISCARD int sct_geometry_check(const struct sct_plane *plane, const struct volume_grid *grid,
                                      int32_t k, struct sctd_error *err);

/* Slice Location: along the normal, from the origin of the patient's coordinates. */
SCTD_NODISCARD int sct_geometry_add_location(struct dicom_attributes *to,
                                             const struct sct_plane *plane, struct sctd_error *err);
/* Slice Thickness and Spacing Between Slices, both the grid's step. */
SCTD_NODISCARD int sct_geometry_add_steps(struct dicom_attributes *to,
                                          const struct volume_grid *grid, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
