/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/phantom_shape.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/rng.h"

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
        p->inverse[0] = 1.0F / phantom_dot(p->edge[0], p->edge[0]);
        return;
    case PHANTOM_PLATE:
        prepare_plate(shape);
        return;
    }
}

static float ellipsoid_distance(const struct phantom_shape *s, const float p[3])
{
    const float *inverse = s->prepared.inverse;
    float at[3];
    subtract(at, p, s->a);
    const float y = s->turn[0] * at[1] + s->turn[1] * at[2];
    const float z = s->turn[0] * at[2] - s->turn[1] * at[1];
    const float unit[3] = {at[0] * inverse[0], y * inverse[1], z * inverse[2]};
    const float slope[3] = {unit[0] * inverse[0], unit[1] * inverse[1], unit[2] * inverse[2]};
    const float along = sqrtf(phantom_dot(unit, unit));
    const float steep = sqrtf(phantom_dot(slope, slope));
    if (steep < 1e-6F) {
        return -phantom_least(s->b[0], phantom_least(s->b[1], s->b[2]));
    }
    return along * (along - 1.0F) / steep;
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
    if (phantom_dot(to, to) > beyond * beyond) {
        return true;
    }
    /* An ellipsoid's distance is no bound far from its surface; a cone's grows with its taper at most. */
    return shape->kind != PHANTOM_ELLIPSOID && phantom_shape_distance(shape, p) > 1.2F * reach;
}

void phantom_noise_fill(struct phantom_noise *noise, struct sctd_rng *rng)
{
    float *value = &noise->value[0][0][0];
    for (size_t i = 0; i < sizeof noise->value / sizeof *value; i++) {
        const float sum = sctd_rng_uniform(rng) + sctd_rng_uniform(rng);
        value[i] = (sum - 1.0F) * 1.8F;
    }
}

float phantom_noise_at(const struct phantom_noise *noise, float x, float y, float z)
{
    enum { MASK = PHANTOM_NOISE_SIDE - 1 };
    const float at[3] = {x + 4096.0F, y + 4096.0F, z + 4096.0F};
    int32_t low[3];
    float t[3];
    for (int i = 0; i < 3; i++) {
        low[i] = (int32_t)at[i];
        t[i] = at[i] - (float)low[i];
        t[i] = t[i] * t[i] * (3.0F - 2.0F * t[i]);
    }
    const int32_t x0 = low[0] & MASK;
    const int32_t x1 = (low[0] + 1) & MASK;
    float sum = 0.0F;
    for (int k = 0; k < 2; k++) {
        const float wz = k == 0 ? 1.0F - t[2] : t[2];
        for (int j = 0; j < 2; j++) {
            const float *row = noise->value[(low[2] + k) & MASK][(low[1] + j) & MASK];
            const float wy = j == 0 ? 1.0F - t[1] : t[1];
            sum += wz * wy * (row[x0] + t[0] * (row[x1] - row[x0]));
        }
    }
    return sum;
}

float phantom_noise_of(uint64_t key)
{
    struct sctd_rng rng = {.state = key};
    return sctd_rng_normal(&rng);
}
