/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/rng.h"
#include "engine/image/phantom_shape.h"

static const struct phantom_shape shapes[] = {
    {.kind = PHANTOM_ELLIPSOID, .a = {3, -2, 5}, .b = {20, 12, 9}, .turn = {0.8F, 0.6F}},
    {.kind = PHANTOM_ELLIPSOID, .a = {0, 0, 0}, .b = {7, 7, 7}, .turn = {1, 0}},
    {.kind = PHANTOM_CONE, .a = {-20, 0, 4}, .b = {15, 9, -30}, .radius = {8, 8}},
    {.kind = PHANTOM_CONE, .a = {-20, 0, 4}, .b = {15, 9, -30}, .radius = {4, 9}},
    {.kind = PHANTOM_PLATE, .a = {0, 0, 0}, .b = {40, 5, 0}, .c = {10, 30, 20}, .radius = {3, 3}},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static struct phantom_shape prepared(size_t i)
{
    struct phantom_shape shape = shapes[i];
    phantom_shape_prepare(&shape);
    return shape;
}

static void random_point(float ret_p[3], struct sctd_rng *rng, float wide)
{
    for (int i = 0; i < 3; i++) {
        ret_p[i] = (sctd_rng_uniform(rng) - 0.5F) * wide;
    }
}

static bool is_at(struct phantom_shape shape, float x, float y, float z, float want)
{
    phantom_shape_prepare(&shape);
    return fabsf(phantom_shape_distance(&shape, (const float[]){x, y, z}) - want) < 1e-4F;
}

static void ellipsoids_are_those_of_plain_geometry(void)
{
    assert(is_at(shapes[1], 0, 10, 0, 3.0F));
    assert(is_at(shapes[1], 2, 0, 0, -5.0F));
    assert(is_at(shapes[1], 0, 0, 0, -7.0F));
    /* turned by atan(0.6 / 0.8) about x, the second axis points to (0, 0.8, 0.6) */
    assert(is_at(shapes[0], 3.0F, -2.0F + 0.8F * 12.0F, 5.0F + 0.6F * 12.0F, 0.0F));
}

static void cones_are_those_of_plain_geometry(void)
{
    const struct phantom_shape cone = {
        .kind = PHANTOM_CONE, .a = {0, 0, 0}, .b = {10, 0, 0}, .radius = {2, 4}};
    const struct phantom_shape ball = {
        .kind = PHANTOM_CONE, .a = {1, 2, 3}, .b = {1, 2, 3}, .radius = {2, 2}};
    assert(is_at(cone, 5, 8, 0, 5.0F));
    assert(is_at(cone, -6, 0, 0, 4.0F));
    assert(is_at(cone, 10, 0, -3, -1.0F));
    assert(is_at(ball, 1, 2, 9, 4.0F));
}

static void plates_are_those_of_plain_geometry(void)
{
    const struct phantom_shape plate = {
        .kind = PHANTOM_PLATE, .a = {0, 0, 0}, .b = {10, 0, 0}, .c = {0, 10, 0}, .radius = {1, 1}};
    assert(is_at(plate, 2, 3, 6, 5.0F));
    assert(is_at(plate, 2, 3, -0.5F, -0.5F));
    assert(is_at(plate, -3, 4, 4, 4.0F));
    assert(is_at(plate, 8, 8, 0, 3.2426407F));
}

/* Follow the gradient by part of the distance. */
static void step_to_surface(const struct phantom_shape *shape, float p[3])
{
    const float d = phantom_shape_distance(shape, p);
    float slope[3];
    for (int a = 0; a < 3; a++) {
        float q[3] = {p[0], p[1], p[2]};
        q[a] += 0.01F;
        slope[a] = (phantom_shape_distance(shape, q) - d) / 0.01F;
    }
    for (int a = 0; a < 3; a++) {
        p[a] -= 0.7F * d * slope[a];
    }
}

static void distance_leads_to_the_surface(void)
{
    struct sctd_rng rng = {7};
    int arrived = 0;
    for (int i = 0; i < 1500; i++) {
        const struct phantom_shape shape = prepared((size_t)i % SHAPES);
        float p[3];
        random_point(p, &rng, 120.0F);
        for (int round = 0; round < 30; round++) {
            step_to_surface(&shape, p);
        }
        arrived += fabsf(phantom_shape_distance(&shape, p)) < 0.05F;
    }
    assert(arrived > 1450); /* a few get stuck in the middle of a shape */
}

static void what_is_far_is_farther_than_the_reach(void)
{
    struct sctd_rng rng = {11};
    int far = 0;
    for (int i = 0; i < 60000; i++) {
        const struct phantom_shape shape = prepared((size_t)i % SHAPES);
        const float reach = 30.0F * sctd_rng_uniform(&rng);
        float p[3];
        random_point(p, &rng, 160.0F);
        const bool is_far = phantom_shape_is_far(&shape, p, reach);
        assert(!is_far || phantom_shape_distance(&shape, p) > reach);
        far += is_far;
    }
    assert(far > 20000);
}

int main(void)
{
    ellipsoids_are_those_of_plain_geometry();
    cones_are_those_of_plain_geometry();
    plates_are_those_of_plain_geometry();
    distance_leads_to_the_surface();
    what_is_far_is_farther_than_the_reach();
    return 0;
}
