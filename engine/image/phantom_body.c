/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/phantom_body.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_noise.h"
#include "engine/image/phantom_shape.h"

#define BORDER_MM PHANTOM_BORDER_MM
#define SKIN_MM   1.8F
#define STRETCH   1.75F /* how much further the deformation can carry two points apart */
#define DEEP_MM   20.0F /* from where on neither skin nor abdominal wall can be */

static float mix(float a, float b, float t)
{
    return a + t * (b - a);
}

/* 0 below `from`, 1 above `to`, smooth between. */
static float ramp(float x, float from, float to)
{
    const float t = phantom_clamp((x - from) / (to - from), 0.0F, 1.0F);
    return t * t * (3.0F - 2.0F * t);
}

/* The lesser, rounded over `blend` mm; and its opposite. */
static float join(float a, float b, float blend)
{
    const float t = phantom_clamp(0.5F + 0.5F * (b - a) / blend, 0.0F, 1.0F);
    return mix(b, a, t) - blend * t * (1.0F - t);
}

static float meet(float a, float b, float blend)
{
    return -join(-a, -b, blend);
}

/* The trunk without skin and fat, across: half its width and depth and its middle, at a height. */
struct section {
    float z, wide, deep, y;
};

static struct section section_at(float z)
{
    static const struct section sections[] = {
        {-110, 156, 84, 4}, {-60, 160, 90, 6},  {0, 163, 91, 4},    {45, 156, 91, 3},
        {90, 148, 90, 1},   {130, 140, 90, -1}, {190, 134, 91, -3}, {280, 140, 97, -5},
    };
    enum { N = sizeof sections / sizeof sections[0] };
    size_t i = 0;
    while (i + 2 < N && z > sections[i + 1].z) {
        i++;
    }
    const struct section *a = &sections[i];
    const struct section *b = &sections[i + 1];
    const float t = ramp(z, a->z, b->z);
    return (struct section){z, mix(a->wide, b->wide, t), mix(a->deep, b->deep, t),
                            mix(a->y, b->y, t)};
}

/* Of 1e-3 or more, to 1e-6: a guess at the exponent, then Newton. */
static float cube_root(float x)
{
    union {
        float value;
        uint32_t bits;
    } guess = {.value = x};
    guess.bits = guess.bits / 3U + 0x2a5137a0U;
    float y = guess.value;
    for (int round = 0; round < 3; round++) {
        y = (2.0F * y + x / (y * y)) * (1.0F / 3.0F);
    }
    return y;
}

/* Distance to a cylinder whose section is |x|^3 + |y|^3 = 1, to first order. */
static float trunk_distance(const float p[3])
{
    const struct section s = section_at(p[2]);
    const float x = fabsf(p[0]) / s.wide;
    const float y = fabsf(p[1] - s.y) / s.deep;
    const float power = x * x * x + y * y * y;
    if (power < 1e-3F) {
        return -s.deep;
    }
    const float norm = cube_root(power);
    const float gx = x * x / s.wide;
    const float gy = y * y / s.deep;
    return (norm - 1.0F) * norm * norm / sqrtf(gx * gx + gy * gy);
}

/* The outline of what lies under the fat; p has x > 0. */
static float lean_distance(const struct phantom_anatomy *anatomy, const float p[3])
{
    float d = trunk_distance(p);
    d = meet(d, -98.0F - p[2], 48.0F);
    d = join(d, phantom_shape_distance(&anatomy->buttock, p), 24.0F);
    return join(d, phantom_shape_distance(&anatomy->thigh, p), 18.0F);
}

static float skin_distance(const struct phantom_anatomy *anatomy, const float p[3], float lean)
{
    const float behind = ramp(p[1], 0.0F, 90.0F) * ramp(p[2], -130.0F, -60.0F);
    const float before = ramp(-p[1], 20.0F, 80.0F);
    const float belly = before * ramp(p[2], -10.0F, 100.0F) * anatomy->belly;
    const float side = ramp(p[0], 110.0F, 150.0F);
    const float lumps = phantom_noise_at(&anatomy->noise, p[0] / 55.0F, p[1] / 55.0F, p[2] / 70.0F);
    const float fat = anatomy->fat_mm *
                      (0.85F + 0.5F * behind - 0.15F * before - 0.05F * side + 1.2F * belly) *
                      (1.0F + 0.14F * lumps);
    return meet(lean - fat - SKIN_MM, p[1] - anatomy->couch_y, 16.0F);
}

/* Thickness of the muscles of the abdominal wall. */
static float wall_thickness(const float p[3])
{
    const float side = ramp(p[0], 48.0F, 72.0F);
    const float low = mix(-44.0F, 18.0F, side);
    const float back = ramp(p[1], 5.0F, 40.0F) * (1.0F - ramp(p[2], 92.0F, 120.0F));
    const float line = 0.45F + 0.55F * ramp(p[0], 1.0F, 5.0F); /* the linea alba */
    const float gap = 1.0F - 0.5F * ramp(p[0], 50.0F, 56.0F) * (1.0F - ramp(p[0], 58.0F, 66.0F));
    /* less than nothing where there is none, so that no trace of a border is left */
    return 13.5F * ramp(p[2], low, low + 34.0F) * (1.0F - back) * line * gap - 2.0F * BORDER_MM;
}

/* What is painted on a point so far. */
struct brush {
    const struct phantom_material *material;
    struct phantom_point *point;
    float fine, coarse; /* the noise here */
};

static float coverage(float distance)
{
    return phantom_clamp(0.5F - distance * (0.5F / BORDER_MM), 0.0F, 1.0F);
}

static void paint_part(const struct brush *brush, enum phantom_tissue tissue, float part)
{
    const struct phantom_material *m = &brush->material[tissue];
    struct phantom_point *point = brush->point;
    const float hu = m->hu + m->hu_fine * brush->fine + m->hu_coarse * brush->coarse;
    const float signal =
        m->signal + m->signal_fine * brush->fine + m->signal_coarse * brush->coarse;
    point->hu = mix(point->hu, hu, part);
    point->signal = mix(point->signal, signal, part);
    if (part >= 0.5F) {
        point->tissue = tissue;
    }
}

static void paint(const struct brush *brush, enum phantom_tissue tissue, float distance)
{
    brush->point->border_mm = phantom_least(brush->point->border_mm, fabsf(distance));
    if (distance < BORDER_MM) {
        paint_part(brush, tissue, coverage(distance));
    }
}

/* Fat between the fibres, more of it in some patients and places. */
static void paint_muscle(const struct phantom_anatomy *anatomy, const struct brush *brush,
                         const float p[3], float distance)
{
    paint(brush, PHANTOM_MUSCLE, distance);
    if (distance > 0.0F) {
        return;
    }
    const float streak = phantom_noise_at(&anatomy->noise, p[0] / 3.5F + 7.0F, p[1] / 3.5F,
                                          p[2] / 16.0F + 0.3F * p[0] / 3.5F);
    const float part = phantom_clamp((streak + 0.4F * brush->coarse - 0.6F) * 1.2F, 0.0F, 0.4F);
    if (part > 0.0F) {
        paint_part(brush, PHANTOM_FAT, part);
    }
}

/* One organ at a point: its distance, and of bone what belongs to the nearest shapes. */
struct depth {
    float distance, cortex_mm, yellow;
};

static void paint_bone(const struct brush *brush, const struct depth *depth)
{
    paint(brush, PHANTOM_CORTEX, depth->distance);
    const float inside = depth->distance + depth->cortex_mm;
    brush->point->border_mm = phantom_least(brush->point->border_mm, fabsf(inside));
    if (inside >= BORDER_MM) {
        return;
    }
    const float part = coverage(inside);
    const struct phantom_point shell = *brush->point;
    struct phantom_point core = shell;
    const struct brush within = {brush->material, &core, brush->fine, brush->coarse};
    paint_part(&within, PHANTOM_SPONGIOSA, 1.0F);
    paint_part(&within, PHANTOM_MARROW, depth->yellow);
    brush->point->hu = mix(shell.hu, core.hu, part);
    brush->point->signal = mix(shell.signal, core.signal, part);
    brush->point->tissue = part >= 0.5F ? core.tissue : shell.tissue;
}

static void paint_organ(const struct phantom_anatomy *anatomy, const struct brush *brush,
                        const struct phantom_organ *organ, const struct depth *depth,
                        const float p[3])
{
    const float d = depth->distance;
    switch (organ->paint) {
    case PHANTOM_PAINT_NONE:
        return;
    case PHANTOM_PAINT_SOLID:
        if (organ->rim_mm > 0.0F) {
            paint(brush, PHANTOM_FAT, d);
        }
        if (organ->tissue == PHANTOM_MUSCLE) {
            paint_muscle(anatomy, brush, p, d + organ->rim_mm);
        } else {
            paint(brush, organ->tissue, d + organ->rim_mm);
        }
        return;
    case PHANTOM_PAINT_HOLLOW:
        paint(brush, organ->tissue, d);
        paint(brush, organ->inner, d + organ->wall_mm);
        return;
    case PHANTOM_PAINT_BONE:
        paint_bone(brush, depth);
        return;
    }
}

static void add_shape(struct depth *depth, const struct phantom_shape *shape, float distance,
                      float blend)
{
    if (distance - depth->distance >= blend) {
        return;
    }
    const float t =
        blend > 0.0F ? phantom_clamp(0.5F + 0.5F * (depth->distance - distance) / blend, 0.0F, 1.0F)
                     : 1.0F;
    if (t >= 1.0F) {
        *depth = (struct depth){distance, shape->cortex_mm, shape->yellow};
        return;
    }
    depth->distance = mix(depth->distance, distance, t) - blend * t * (1.0F - t);
    depth->cortex_mm = mix(depth->cortex_mm, shape->cortex_mm, t);
    depth->yellow = mix(depth->yellow, shape->yellow, t);
}

/* Keep an organ away from those it must not touch and inside the one it belongs to. */
static float confine(const struct phantom_organ *organ, const struct phantom_near *near, float d)
{
    for (int i = 0; i < 2; i++) {
        if (organ->carve[i] >= 0) {
            d = phantom_greatest(d, organ->carve_mm[i] - near->distance[organ->carve[i]]);
        }
    }
    if (organ->within >= 0) {
        d = phantom_greatest(d, near->distance[organ->within] + organ->depth_mm);
    }
    return d;
}

static void paint_organs(const struct phantom_anatomy *anatomy, struct phantom_near *near,
                         const struct brush *brush, const float p[3], const float folded[3])
{
    int32_t i = 0;
    while (i < near->n) {
        const int32_t group = anatomy->shape[near->shape[i]].group;
        const struct phantom_organ *organ = &anatomy->organ[group];
        const float *at = organ->paired ? folded : p;
        struct depth depth = {INFINITY, 0.0F, 0.0F};
        for (; i < near->n && anatomy->shape[near->shape[i]].group == group; i++) {
            const struct phantom_shape *shape = &anatomy->shape[near->shape[i]];
            add_shape(&depth, shape, phantom_shape_distance(shape, at), organ->blend_mm);
        }
        depth.distance = confine(organ, near, depth.distance);
        near->distance[group] = depth.distance;
        paint_organ(anatomy, brush, organ, &depth, p);
    }
}

void phantom_body_at(const struct phantom_anatomy *anatomy, struct phantom_near *near,
                     const float patient[3], struct phantom_point *ret_point)
{
    *ret_point = (struct phantom_point){
        .hu = -1000.0F, .signal = 0.0F, .border_mm = INFINITY, .tissue = PHANTOM_AIR};
    if (near->n < 0) {
        return;
    }
    float p[3];
    phantom_anatomy_to_body(anatomy, patient, p);
    const float folded[3] = {fabsf(p[0]), p[1], p[2]};
    const float lean = near->deep ? -DEEP_MM : lean_distance(anatomy, folded);
    const float skin = near->deep ? -DEEP_MM : skin_distance(anatomy, folded, lean);
    ret_point->border_mm = fabsf(skin);
    if (skin >= BORDER_MM) {
        return;
    }
    const struct brush brush = {
        .material = anatomy->material,
        .point = ret_point,
        .fine = phantom_noise_at(&anatomy->noise, p[0] / 2.3F, p[1] / 2.3F, p[2] / 2.6F),
        .coarse = phantom_noise_at(&anatomy->noise, p[0] / 9.0F + 31.0F, p[1] / 9.0F, p[2] / 10.0F),
    };
    paint(&brush, PHANTOM_SKIN, skin);
    paint(&brush, PHANTOM_FAT, skin + SKIN_MM);
    const float outer = phantom_greatest(lean, skin + SKIN_MM + 3.0F);
    near->distance[PHANTOM_LEAN] = outer;
    if (outer < BORDER_MM && outer > -DEEP_MM) {
        const float inner = -(outer + wall_thickness(folded));
        paint_muscle(anatomy, &brush, p, phantom_greatest(outer, inner));
    }
    paint_organs(anatomy, near, &brush, p, folded);
}

static void clear(struct phantom_near *near)
{
    near->n = 0;
    near->deep = false;
    for (int i = 0; i < PHANTOM_ORGANS_MAX; i++) {
        near->distance[i] = INFINITY;
    }
}

void phantom_body_find_all(const struct phantom_anatomy *anatomy, struct phantom_near *ret_near)
{
    clear(ret_near);
    for (int32_t i = 0; i < anatomy->n_shapes; i++) {
        ret_near->shape[ret_near->n++] = i;
    }
}

void phantom_body_find_near(const struct phantom_anatomy *anatomy, const float patient[3],
                            float radius_mm, struct phantom_near *ret_near)
{
    clear(ret_near);
    float p[3];
    phantom_anatomy_to_body(anatomy, patient, p);
    const float folded[3] = {fabsf(p[0]), p[1], p[2]};
    const float radius = radius_mm * STRETCH;
    const float lean = lean_distance(anatomy, folded);
    const float skin = skin_distance(anatomy, folded, lean);
    /* neither is a true distance: they may be off by half */
    ret_near->deep = lean < -1.5F * radius - DEEP_MM && skin < -1.5F * radius - DEEP_MM;
    if (skin > 1.5F * radius + 2.0F) {
        ret_near->n = -1;
        return;
    }
    for (int32_t i = 0; i < anatomy->n_shapes; i++) {
        const struct phantom_shape *shape = &anatomy->shape[i];
        const float *at = anatomy->organ[shape->group].paired ? folded : p;
        if (!phantom_shape_is_far(shape, at, radius + anatomy->organ[shape->group].reach_mm)) {
            ret_near->shape[ret_near->n++] = i;
        }
    }
}
