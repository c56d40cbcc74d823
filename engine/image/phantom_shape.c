/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/phantom_shape.h"

#include <math.h>
#include <stdbool.h>

static void subtract(float ret_difference[3], const float a[3], const float b[3])
{
    for (int i = 0; i < 3; i++) {
        ret_difference[i] = a[i] - b[i];
    }
}

static void cross(float ret_product[3], const float a[3], const float b[3])
{
    ret_product[0] = a[1] * b[2] - a[2] * b[1];
    ret_product[1] = a[2] * b[0] - a[0] * b[2];
    ret_product[2] = a[0] * b[1] - a[1] * b[0];
}

static void find_ball(struct phantom_shape *shape)
{
    const float *corner[3] = {shape->a, shape->b, shape->c};
    const int n = shape->kind == PHANTOM_ELLIPSOID ? 1 : shape->kind == PHANTOM_CONE ? 2 : 3;
    float *ball = shape->prepared.ball;
    for (int i = 0; i < 3; i++) {
        ball[i] = 0.0F;
        for (int k = 0; k < n; k++) {
            ball[i] += corner[k][i] / (float)n;
        }
    }
    if (n == 1) {
        ball[3] = phantom_greatest(shape->b[0], phantom_greatest(shape->b[1], shape->b[2]));
        return;
    }
    ball[3] = 0.0F;
    for (int k = 0; k < n; k++) {
        float to[3];
        subtract(to, corner[k], ball);
        ball[3] = phantom_greatest(ball[3], sqrtf(phantom_dot(to, to)));
    }
    ball[3] += phantom_greatest(shape->radius[0], n == 2 ? shape->radius[1] : 0.0F);
}

static void prepare_plate(struct phantom_shape *shape)
{
    struct phantom_prepared *p = &shape->prepared;
    const float *corner[3] = {shape->a, shape->b, shape->c};
    for (int k = 0; k < 3; k++) {
        subtract(p->edge[k], corner[(k + 1) % 3], corner[k]);
        p->inverse[k] = 1.0F / phantom_dot(p->edge[k], p->edge[k]);
    }
    cross(p->normal, p->edge[1], p->edge[0]);
    const float length = sqrtf(phantom_dot(p->normal, p->normal));
    for (int i = 0; i < 3; i++) {
        p->normal[i] /= length;
    }
    for (int k = 0; k < 3; k++) {
        cross(p->inwards[k], p->edge[k], p->normal);
    }
}

void phantom_shape_prepare(struct phantom_shape *shape)
{
    struct phantom_prepared *p = &shape->prepared;
    find_ball(shape);
    switch (shape->kind) {
    case PHANTOM_ELLIPSOID:
        for (int i = 0; i < 3; i++) {
            p->inverse[i] = 1.0F / shape->b[i];
        }
        return;
    case PHANTOM_CONE:
        subtract(p->edge[0], shape->b, shape->a);
        p->inverse[0] = phantom_dot(p->edge[0], p->edge[0]);
        p->inverse[0] = p->inverse[0] > 0.0F ? 1.0F / p->inverse[0] : 0.0F;
        return;
    case PHANTOM_PLATE:
        prepare_plate(shape);
        return;
    }
}

/* p as a multiple of the radii, along the ellipsoid's axes. */
static void scale_to_unit(const struct phantom_shape *s, const float p[3], float ret_unit[3])
{
    float at[3];
    subtract(at, p, s->a);
    ret_unit[0] = at[0] * s->prepared.inverse[0];
    ret_unit[1] = (s->turn[0] * at[1] + s->turn[1] * at[2]) * s->prepared.inverse[1];
    ret_unit[2] = (s->turn[0] * at[2] - s->turn[1] * at[1]) * s->prepared.inverse[2];
}

static float least_radius(const struct phantom_shape *s)
{
    return phantom_least(s->b[0], phantom_least(s->b[1], s->b[2]));
}

static float ellipsoid_distance(const struct phantom_shape *s, const float p[3])
{
    const float *inverse = s->prepared.inverse;
    float unit[3];
    scale_to_unit(s, p, unit);
    const float slope[3] = {unit[0] * inverse[0], unit[1] * inverse[1], unit[2] * inverse[2]};
    const float along = sqrtf(phantom_dot(unit, unit));
    const float steep = sqrtf(phantom_dot(slope, slope));
    return steep < 1e-6F ? -least_radius(s) : along * (along - 1.0F) / steep;
}

/* Squared distance to the line from the point that `from` starts at to `edge`; *ret_t: where, 0 ... 1. */
static float edge_squared(const float from[3], const float edge[3], float inverse, float *ret_t)
{
    const float t = phantom_clamp(phantom_dot(from, edge) * inverse, 0.0F, 1.0F);
    const float to[3] = {from[0] - t * edge[0], from[1] - t * edge[1], from[2] - t * edge[2]};
    *ret_t = t;
    return phantom_dot(to, to);
}

static float cone_distance(const struct phantom_shape *s, const float p[3])
{
    float from[3];
    float t = 0.0F;
    subtract(from, p, s->a);
    const float squared = edge_squared(from, s->prepared.edge[0], s->prepared.inverse[0], &t);
    return sqrtf(squared) - (s->radius[0] + t * (s->radius[1] - s->radius[0]));
}

static float plate_distance(const struct phantom_shape *s, const float p[3])
{
    const struct phantom_prepared *q = &s->prepared;
    const float *corner[3] = {s->a, s->b, s->c};
    float from[3][3];
    bool above = true; /* p projects into the triangle */
    for (int k = 0; k < 3; k++) {
        subtract(from[k], p, corner[k]);
        above = above && phantom_dot(q->inwards[k], from[k]) >= 0.0F;
    }
    if (above) {
        return fabsf(phantom_dot(q->normal, from[0])) - s->radius[0];
    }
    float squared = INFINITY;
    for (int k = 0; k < 3; k++) {
        float t = 0.0F;
        squared = phantom_least(squared, edge_squared(from[k], q->edge[k], q->inverse[k], &t));
    }
    return sqrtf(squared) - s->radius[0];
}

float phantom_shape_distance(const struct phantom_shape *shape, const float p[3])
{
    switch (shape->kind) {
    case PHANTOM_ELLIPSOID:
        return ellipsoid_distance(shape, p);
    case PHANTOM_CONE:
        return cone_distance(shape, p);
    case PHANTOM_PLATE:
        return plate_distance(shape, p);
    }
    return INFINITY;
}

bool phantom_shape_is_far(const struct phantom_shape *shape, const float p[3], float reach)
{
    float to[3];
    subtract(to, p, shape->prepared.ball);
    const float beyond = shape->prepared.ball[3] + reach;
    if (shape->kind != PHANTOM_ELLIPSOID) {
        /* a cone's distance grows faster than the way, by its taper */
        return phantom_dot(to, to) > beyond * beyond ||
               phantom_shape_distance(shape, p) > 1.2F * reach;
    }
    if (phantom_dot(to, to) < beyond * beyond) {
        return false;
    }
    /* What ellipsoid_distance gives is at least (along - 1) times the least radius, and that grows no
     * faster than the way. */
    float unit[3];
    scale_to_unit(shape, p, unit);
    return (sqrtf(phantom_dot(unit, unit)) - 1.0F) * least_radius(shape) > reach;
}
