/*
 * phantom_anatomy.h - what the phantom is made of: shapes, organs, tissues, pose.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Body coordinates are LPS, mm, with the origin midway between the hip joints, of a patient of average size
 * who lies straight.  Bones, muscles and vessels are given for the left side (x > 0) and mirrored; a
 * smooth deformation makes the sides unlike.
 *
 * Thread safety: an anatomy is immutable once made.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/rng.h"
#include "engine/image/phantom.h"
#include "engine/image/phantom_noise.h"
#include "engine/image/phantom_shape.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PHANTOM_SHAPES_MAX = 320,
    PHANTOM_ORGANS_MAX = 128,
    PHANTOM_WAVES = 9,
    PHANTOM_SOURCES_MAX = 16,
};

enum phantom_paint {
    PHANTOM_PAINT_NONE,   /* only referred to */
    PHANTOM_PAINT_SOLID,  /* tissue, within a rim of fat of rim_mm */
    PHANTOM_PAINT_HOLLOW, /* tissue as a wall of wall_mm around inner */
    PHANTOM_PAINT_BONE,   /* cortex around spongiosa or marrow */
};

#define PHANTOM_BORDER_MM 0.75F /* half the width of a border between tissues */

/* Shapes that are one body, painted over the organs before it. */
struct phantom_organ {
    enum phantom_paint paint;
    enum phantom_tissue tissue, inner;
    float wall_mm, rim_mm;
    float blend_mm; /* how smoothly its shapes join; 0: not at all */
    float reach_mm; /* further away its shapes have no effect; worked out of the rest */
    bool paired;    /* given for x > 0 and mirrored */
    /* Earlier organs, or -1: this one keeps carve_mm away from some, and stays depth_mm below the
     * surface of another. */
    int32_t carve[2], within;
    float carve_mm[2], depth_mm;
};

/* The first organ is the outline of what lies under the fat; it has no shapes. */
enum { PHANTOM_LEAN = 0 };

struct phantom_material {
    float hu, hu_fine, hu_coarse;             /* value, and what the noise adds to it */
    float signal, signal_fine, signal_coarse; /* the same for MR; the noise's part is relative */
};

/* One wave of the deformation: moves along axis `moves` as a sine of the place. */
struct phantom_wave {
    float turns[3]; /* per mm */
    float phase, amplitude_mm;
    int32_t moves;
};

/* Bone or gas that casts streaks in CBCT, in patient coordinates. */
struct phantom_source {
    float at[3];
    float strength; /* HU at most; positive for bone, negative for gas */
    float reach_mm; /* along z */
};

struct phantom_anatomy {
    struct phantom_shape shape[PHANTOM_SHAPES_MAX]; /* in the order of their organs */
    int32_t n_shapes;
    struct phantom_organ organ[PHANTOM_ORGANS_MAX]; /* in the order they are painted */
    int32_t n_organs;
    struct phantom_shape buttock, thigh; /* of the outline under the fat, beside the trunk */
    struct phantom_material material[PHANTOM_TISSUES];
    bool t2; /* the MR's contrast; else T1 */
    bool female;
    struct phantom_wave wave[PHANTOM_WAVES];
    float to_body[3][4]; /* patient coordinates to body coordinates, before the deformation */
    float fat_mm;        /* under the skin, on average */
    float belly;         /* how much more of it in front, 0 ... 1 */
    float couch_y;       /* where the back is pressed flat */
    struct phantom_source source[PHANTOM_SOURCES_MAX];
    int32_t n_sources;
    uint64_t seed;
    struct phantom_noise noise;
};

/* The patient of a seed. */
void phantom_anatomy_init(struct phantom_anatomy *anatomy, uint64_t seed);

/*
 * Add an organ; the shapes added next are its.  Its carve and within are indices of organs, or -1.
 * Returns its index.
 */
int32_t phantom_anatomy_add_organ(struct phantom_anatomy *anatomy,
                                  const struct phantom_organ *organ);
void phantom_anatomy_add_shape(struct phantom_anatomy *anatomy, const struct phantom_shape *shape);

/* Body coordinates to patient coordinates, the deformation undone to 0.1 mm. */
void phantom_anatomy_to_patient(const struct phantom_anatomy *anatomy, const float body[3],
                                float ret_patient[3]);
/* Patient coordinates to body coordinates. */
void phantom_anatomy_to_body(const struct phantom_anatomy *anatomy, const float patient[3],
                             float ret_body[3]);

#ifdef __cplusplus
}
#endif
