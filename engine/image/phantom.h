/*
 * phantom.h - a made-up patient's pelvis, as MR, cone-beam CT and CT see it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patient is a function of the seed and of a point in patient coordinates: whatever grid samples it,
 * and for whatever kind of image, it is the same patient.  Size, fat, filling of bladder and bowel, sex, pose
 * and contrast vary with the seed.  The midpoint between the hip joints lies within 15 mm of the origin.
 *
 * A demonstration and a test object: it resembles anatomy, it is no model of anybody's.
 *
 * Thread safety: a phantom is immutable once made; rendering into volumes of their own, threads may share it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum phantom_kind {
    PHANTOM_CT, /* HU without noise or artefacts: the truth */
    PHANTOM_MR, /* arbitrary units, 0 ... 4095: contrast, bias field, Rician noise */
    PHANTOM_CBCT, /* HU as a linac shows them: cupping, scatter, streaks, noise, a round field of view */
};

enum phantom_tissue {
    PHANTOM_AIR,
    PHANTOM_SKIN,
    PHANTOM_FAT,
    PHANTOM_MUSCLE,
    PHANTOM_CORTEX,
    PHANTOM_SPONGIOSA,
    PHANTOM_MARROW,
    PHANTOM_CARTILAGE,
    PHANTOM_DISC,
    PHANTOM_CSF,
    PHANTOM_WALL, /* of bladder, bowel and rectum */
    PHANTOM_URINE,
    PHANTOM_STOOL,
    PHANTOM_GAS, /* in the bowel */
    PHANTOM_GLAND,
    PHANTOM_PERIPHERAL_ZONE,
    PHANTOM_UTERUS,
    PHANTOM_ARTERY,
    PHANTOM_VEIN,
    PHANTOM_TISSUES
};

struct phantom;

/* *ret_phantom: the caller frees it.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int phantom_new(struct phantom **ret_phantom, uint64_t seed, struct sctd_error *err);
void phantom_free(struct phantom *phantom); /* NULL is a no-op */
static inline void phantom_freep(struct phantom **phantom)
{
    phantom_free(*phantom);
}

/* What is at one point, LPS mm; a border is 1.5 mm wide. */
struct phantom_point {
    float hu;
    float signal;               /* MR, before bias field, scale and noise: 0 ... about 1.2 */
    float border_mm;            /* distance to the nearest border, in either direction */
    enum phantom_tissue tissue; /* what most of it is */
};
void phantom_at(const struct phantom *phantom, const double at_mm[3],
                struct phantom_point *ret_point);

/*
 * Fill the voxels of `image` with what `kind` of image the phantom gives on its grid.  Where a border
 * crosses a voxel longer than 2 mm, several points of it are averaged.
 * truth: NULL, or a volume on the same grid, that receives the CT.
 * Errors: SCTD_EINVAL (the grids differ in size), SCTD_ENOMEM.
 */
SCTD_NODISCARD int phantom_render(const struct phantom *phantom, enum phantom_kind kind,
                                  struct volume *image, struct volume *truth,
                                  struct sctd_error *err);

enum phantom_orientation {
    PHANTOM_AXIAL,
    PHANTOM_SAGITTAL,
    PHANTOM_CORONAL,
    PHANTOM_OBLIQUE, /* axial, turned by 17 degrees about x and then 11 degrees about z */
};

/*
 * A grid whose middle is the pelvis's: matrix x matrix pixels, spacing_mm along a row, down a column and
 * from slice to slice.
 */
void phantom_make_grid(struct volume_grid *ret_grid, enum phantom_orientation orientation,
                       int32_t matrix, int32_t slices, const double spacing_mm[3]);

/* What a series of the phantom says about it. */
struct phantom_facts {
    bool female;
    bool t2;            /* the MR's contrast is T2, else T1 */
    float cbct_fill;    /* HU of a CBCT's voxels outside its field of view */
    float cbct_view_mm; /* radius of that field of view, about an axis near the origin */
};
void phantom_get_facts(const struct phantom *phantom, struct phantom_facts *ret_facts);

#ifdef __cplusplus
}
#endif
