/*
 * phantom_shape.h - the solids the phantom is built of, as signed distances.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A distance is in millimetres, negative inside.  It is exact but for an ellipsoid's, which is of first
 * order near the surface.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum phantom_shape_kind {
    PHANTOM_ELLIPSOID, /* centre a, radii b, turned about the x axis */
    PHANTOM_CONE,      /* a capsule from a to b whose radius goes from radius[0] to radius[1] */
    PHANTOM_PLATE,     /* the triangle a, b, c, thickened by radius[0] on both sides */
};

/* What phantom_shape_prepare works out of a shape, so that a distance costs little. */
struct phantom_prepared {
    float ball[4];       /* centre and radius of a ball around it */
    float inverse[3];    /* of an ellipsoid's radii, and of the edges' squared lengths */
    float edge[3][3];    /* from corner to corner, around; of a cone the first is its axis */
    float inwards[3][3]; /* normals of the edges in the plate's plane */
    float normal[3];     /* of the plate, of length 1 */
};

struct phantom_shape {
    enum phantom_shape_kind kind;
    int32_t group; /* the organ it belongs to */
    float a[3], b[3], c[3];
    float radius[2];
    float turn[2];   /* cosine and sine; of ellipsoids */
    float cortex_mm; /* of bone: thickness of the compact shell */
    float yellow;    /* of bone: 0: spongiosa, 1: fat marrow */
    struct phantom_prepared prepared;
};

static inline float phantom_dot(const float a[3], const float b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static inline float phantom_clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static inline float phantom_least(float a, float b)
{
    return a < b ? a : b;
}

static inline float phantom_greatest(float a, float b)
{
    return a > b ? a : b;
}

/* Set shape->prepared from the rest of the shape.  A cone without length is a ball; a plate has an area. */
void phantom_shape_prepare(struct phantom_shape *shape);

float phantom_shape_distance(const struct phantom_shape *shape, const float p[3]);

/* True only if the shape is more than `reach` mm away from p. */
bool phantom_shape_is_far(const struct phantom_shape *shape, const float p[3], float reach);

#ifdef __cplusplus
}
#endif
