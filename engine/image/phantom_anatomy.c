/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/phantom_anatomy.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/rng.h"
#include "engine/image/phantom.h"
#include "engine/image/phantom_noise.h"
#include "engine/image/phantom_parts.h"
#include "engine/image/phantom_shape.h"

enum { NOWHERE = -1 };
#define CORTEX_MAX_MM 8.0F

/* HU as in diagnostic CT at 120 kV. */
static const float ct[PHANTOM_TISSUES][3] = {
    [PHANTOM_AIR] = {-1000, 0, 0},     [PHANTOM_SKIN] = {10, 6, 6},
    [PHANTOM_FAT] = {-102, 8, 7},      [PHANTOM_MUSCLE] = {56, 7, 6},
    [PHANTOM_CORTEX] = {1180, 60, 70}, [PHANTOM_SPONGIOSA] = {230, 110, 60},
    [PHANTOM_MARROW] = {-45, 20, 15},  [PHANTOM_CARTILAGE] = {85, 5, 5},
    [PHANTOM_DISC] = {90, 8, 6},       [PHANTOM_CSF] = {14, 3, 2},
    [PHANTOM_WALL] = {38, 5, 4},       [PHANTOM_URINE] = {6, 1, 1},
    [PHANTOM_STOOL] = {28, 45, 40},    [PHANTOM_GAS] = {-990, 4, 4},
    [PHANTOM_GLAND] = {44, 6, 5},      [PHANTOM_PERIPHERAL_ZONE] = {36, 4, 4},
    [PHANTOM_UTERUS] = {62, 6, 8},     [PHANTOM_ARTERY] = {48, 3, 2},
    [PHANTOM_VEIN] = {45, 3, 2},
};

/* Signal of a fast spin echo. */
static const float t2_weighted[PHANTOM_TISSUES][3] = {
    [PHANTOM_SKIN] = {0.34F, 0.1F, 0.1F},       [PHANTOM_FAT] = {0.76F, 0.05F, 0.06F},
    [PHANTOM_MUSCLE] = {0.2F, 0.12F, 0.1F},     [PHANTOM_CORTEX] = {0.035F, 0.1F, 0.1F},
    [PHANTOM_SPONGIOSA] = {0.48F, 0.13F, 0.1F}, [PHANTOM_MARROW] = {0.68F, 0.05F, 0.05F},
    [PHANTOM_CARTILAGE] = {0.3F, 0.1F, 0.1F},   [PHANTOM_DISC] = {0.36F, 0.3F, 0.25F},
    [PHANTOM_CSF] = {1.02F, 0.05F, 0.05F},      [PHANTOM_WALL] = {0.27F, 0.1F, 0.1F},
    [PHANTOM_URINE] = {1.08F, 0.01F, 0.02F},    [PHANTOM_STOOL] = {0.38F, 0.45F, 0.4F},
    [PHANTOM_GLAND] = {0.4F, 0.25F, 0.25F},     [PHANTOM_PERIPHERAL_ZONE] = {0.72F, 0.1F, 0.1F},
    [PHANTOM_UTERUS] = {0.42F, 0.12F, 0.12F},   [PHANTOM_ARTERY] = {0.05F, 0.2F, 0.1F},
    [PHANTOM_VEIN] = {0.16F, 0.3F, 0.2F},
};

/* Signal of a spoiled gradient echo. */
static const float t1_weighted[PHANTOM_TISSUES][3] = {
    [PHANTOM_SKIN] = {0.4F, 0.1F, 0.1F},         [PHANTOM_FAT] = {0.92F, 0.04F, 0.05F},
    [PHANTOM_MUSCLE] = {0.36F, 0.07F, 0.07F},    [PHANTOM_CORTEX] = {0.04F, 0.1F, 0.1F},
    [PHANTOM_SPONGIOSA] = {0.6F, 0.12F, 0.1F},   [PHANTOM_MARROW] = {0.84F, 0.05F, 0.05F},
    [PHANTOM_CARTILAGE] = {0.42F, 0.06F, 0.06F}, [PHANTOM_DISC] = {0.36F, 0.08F, 0.08F},
    [PHANTOM_CSF] = {0.17F, 0.05F, 0.05F},       [PHANTOM_WALL] = {0.36F, 0.08F, 0.08F},
    [PHANTOM_URINE] = {0.15F, 0.03F, 0.04F},     [PHANTOM_STOOL] = {0.4F, 0.35F, 0.3F},
    [PHANTOM_GLAND] = {0.37F, 0.06F, 0.06F},     [PHANTOM_PERIPHERAL_ZONE] = {0.35F, 0.05F, 0.05F},
    [PHANTOM_UTERUS] = {0.38F, 0.06F, 0.06F},    [PHANTOM_ARTERY] = {0.5F, 0.1F, 0.1F},
    [PHANTOM_VEIN] = {0.44F, 0.1F, 0.1F},
};

static float between(struct sctd_rng *rng, float low, float high)
{
    return low + sctd_rng_uniform(rng) * (high - low);
}

int32_t phantom_anatomy_add_organ(struct phantom_anatomy *anatomy,
                                  const struct phantom_organ *organ)
{
    assert(anatomy->n_organs < PHANTOM_ORGANS_MAX);
    anatomy->organ[anatomy->n_organs] = *organ;
    return anatomy->n_organs++;
}

void phantom_anatomy_add_shape(struct phantom_anatomy *anatomy, const struct phantom_shape *shape)
{
    assert(anatomy->n_shapes < PHANTOM_SHAPES_MAX && anatomy->n_organs > 0);
    struct phantom_shape *added = &anatomy->shape[anatomy->n_shapes++];
    *added = *shape;
    added->group = anatomy->n_organs - 1;
    phantom_shape_prepare(added);
}

/* A sine, nearly: 0, 1, 0, -1 at quarter turns, with a continuous slope. */
static float wave_at(float turns)
{
    const float whole = turns + 0.5F + 4096.0F; /* positive, so that a cast rounds down */
    const float t = whole - (float)(int32_t)whole - 0.5F;
    return 8.0F * t - 16.0F * t * fabsf(t);
}

static void deform(const struct phantom_anatomy *anatomy, const float p[3], float ret_moved[3])
{
    float moved[3] = {p[0], p[1], p[2]};
    for (int i = 0; i < PHANTOM_WAVES; i++) {
        const struct phantom_wave *w = &anatomy->wave[i];
        moved[w->moves] += w->amplitude_mm * wave_at(phantom_dot(w->turns, p) + w->phase);
    }
    memcpy(ret_moved, moved, sizeof moved);
}

void phantom_anatomy_to_body(const struct phantom_anatomy *anatomy, const float patient[3],
                             float ret_body[3])
{
    float p[3];
    for (int i = 0; i < 3; i++) {
        p[i] = phantom_dot(anatomy->to_body[i], patient) + anatomy->to_body[i][3];
    }
    deform(anatomy, p, ret_body);
}

void phantom_anatomy_to_patient(const struct phantom_anatomy *anatomy, const float body[3],
                                float ret_patient[3])
{
    float p[3] = {body[0], body[1], body[2]};
    for (int round = 0; round < 12; round++) {
        float moved[3];
        deform(anatomy, p, moved);
        for (int i = 0; i < 3; i++) {
            p[i] += body[i] - moved[i];
        }
    }
    float patient[3] = {0};
    for (int i = 0; i < 3; i++) {
        /* the rows of to_body are orthogonal */
        const float *row = anatomy->to_body[i];
        const float along = (p[i] - row[3]) / phantom_dot(row, row);
        for (int k = 0; k < 3; k++) {
            patient[k] += along * row[k];
        }
    }
    memcpy(ret_patient, patient, sizeof patient);
}

/* Radians for up to so many degrees in either direction. */
static float tilt(struct sctd_rng *rng, float degrees)
{
    return between(rng, -degrees, degrees) * 0.017453293F;
}

static void make_pose(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    const float size = between(rng, 0.94F, 1.04F);
    const float scale[3] = {size * between(rng, 0.985F, 1.015F), size * between(rng, 0.97F, 1.03F),
                            size * between(rng, 0.97F, 1.03F)};
    const float x = tilt(rng, 3.0F);
    const float y = tilt(rng, 2.0F);
    const float z = tilt(rng, 3.0F);
    const float turn[3][3] = {
        {cosf(z) * cosf(y), sinf(z) * cosf(y), -sinf(y)},
        {cosf(z) * sinf(y) * sinf(x) - sinf(z) * cosf(x),
         sinf(z) * sinf(y) * sinf(x) + cosf(z) * cosf(x), cosf(y) * sinf(x)},
        {cosf(z) * sinf(y) * cosf(x) + sinf(z) * sinf(x),
         sinf(z) * sinf(y) * cosf(x) - cosf(z) * sinf(x), cosf(y) * cosf(x)},
    };
    const float middle[3] = {between(rng, -6.0F, 6.0F), between(rng, -6.0F, 6.0F),
                             between(rng, -6.0F, 6.0F)};
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            anatomy->to_body[i][k] = turn[i][k] / scale[i];
        }
        anatomy->to_body[i][3] = -phantom_dot(anatomy->to_body[i], middle);
    }
}

static void make_deformation(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    static const struct {
        float shortest_mm, longest_mm, amplitude_mm;
    } scales[] = {{160, 260, 4.0F}, {80, 120, 1.5F}, {40, 60, 0.6F}};
    for (int i = 0; i < PHANTOM_WAVES; i++) {
        struct phantom_wave *w = &anatomy->wave[i];
        float to[3];
        for (int k = 0; k < 3; k++) {
            to[k] = sctd_rng_normal(rng);
        }
        const float length = between(rng, scales[i / 3].shortest_mm, scales[i / 3].longest_mm) *
                             sqrtf(phantom_dot(to, to) + 1e-6F);
        for (int k = 0; k < 3; k++) {
            w->turns[k] = to[k] / length;
        }
        w->phase = sctd_rng_uniform(rng);
        w->amplitude_mm = scales[i / 3].amplitude_mm * between(rng, 0.5F, 1.0F);
        w->moves = i % 3;
    }
}

static void make_materials(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    anatomy->t2 = sctd_rng_uniform(rng) < 0.6F;
    for (int i = 0; i < PHANTOM_TISSUES; i++) {
        const float *mr = anatomy->t2 ? t2_weighted[i] : t1_weighted[i];
        const float signal = mr[0] * between(rng, 0.92F, 1.08F);
        anatomy->material[i] = (struct phantom_material){
            .hu = ct[i][0],
            .hu_fine = ct[i][1],
            .hu_coarse = ct[i][2],
            .signal = signal,
            .signal_fine = signal * mr[1],
            .signal_coarse = signal * mr[2],
        };
    }
    anatomy->material[PHANTOM_SPONGIOSA].hu *= between(rng, 0.7F, 1.25F);
    anatomy->material[PHANTOM_CORTEX].hu *= between(rng, 0.9F, 1.08F);
    anatomy->material[PHANTOM_FAT].hu += between(rng, -4.0F, 4.0F);
    anatomy->material[PHANTOM_MUSCLE].hu += between(rng, -6.0F, 6.0F);
}

static void add_ellipsoid(struct phantom_anatomy *anatomy, const float centre[3],
                          const float radius[3], float degrees)
{
    const float turn = degrees * 0.017453293F;
    struct phantom_shape shape = {.kind = PHANTOM_ELLIPSOID, .turn = {cosf(turn), sinf(turn)}};
    memcpy(shape.a, centre, sizeof shape.a);
    memcpy(shape.b, radius, sizeof shape.b);
    phantom_anatomy_add_shape(anatomy, &shape);
}

static void add_cone(struct phantom_anatomy *anatomy, const float from[3], const float to[3],
                     float from_radius, float to_radius)
{
    struct phantom_shape shape = {.kind = PHANTOM_CONE, .radius = {from_radius, to_radius}};
    memcpy(shape.a, from, sizeof shape.a);
    memcpy(shape.b, to, sizeof shape.b);
    phantom_anatomy_add_shape(anatomy, &shape);
}

static int32_t add_solid(struct phantom_anatomy *anatomy, enum phantom_tissue tissue)
{
    return phantom_anatomy_add_organ(anatomy, &(struct phantom_organ){.paint = PHANTOM_PAINT_SOLID,
                                                                      .tissue = tissue,
                                                                      .blend_mm = 4.0F,
                                                                      .carve = {NOWHERE, NOWHERE},
                                                                      .within = NOWHERE});
}

static int32_t add_hollow(struct phantom_anatomy *anatomy, float wall_mm,
                          enum phantom_tissue tissue, enum phantom_tissue inner)
{
    return phantom_anatomy_add_organ(anatomy, &(struct phantom_organ){.paint = PHANTOM_PAINT_HOLLOW,
                                                                      .tissue = tissue,
                                                                      .inner = inner,
                                                                      .wall_mm = wall_mm,
                                                                      .blend_mm = 5.0F,
                                                                      .carve = {NOWHERE, NOWHERE},
                                                                      .within = NOWHERE});
}

/* Gas fills the upper part of a hollow organ of a patient who lies on the back. */
static void add_gas(struct phantom_anatomy *anatomy, int32_t organ, const float centre[3],
                    const float radius[3])
{
    const int32_t gas = add_solid(anatomy, PHANTOM_GAS);
    anatomy->organ[gas].within = organ;
    anatomy->organ[gas].depth_mm = anatomy->organ[organ].wall_mm;
    add_ellipsoid(anatomy, centre, radius, 0.0F);
    if (anatomy->n_sources == PHANTOM_SOURCES_MAX) {
        return;
    }
    struct phantom_source *source = &anatomy->source[anatomy->n_sources++];
    memcpy(source->at, centre, sizeof source->at);
    source->strength = -radius[0];
    source->reach_mm = radius[2];
}

static void add_small_bowel(struct phantom_anatomy *anatomy, struct sctd_rng *rng, float floor_z)
{
    enum { LOOPS = 24, BENDS = 3 };
    for (int loop = 0; loop < LOOPS; loop++) {
        const float radius = between(rng, 10.0F, 14.0F);
        const int32_t organ = add_hollow(anatomy, 2.5F, PHANTOM_WALL, PHANTOM_STOOL);
        const float z =
            floor_z + (260.0F - floor_z) * ((float)loop + sctd_rng_uniform(rng)) / LOOPS;
        const float wide = z < 105.0F ? 58.0F : 76.0F;
        float at[3] = {between(rng, -wide, wide), between(rng, -58.0F, -24.0F), z};
        for (int bend = 0; bend < BENDS; bend++) {
            const float next[3] = {
                phantom_clamp(at[0] + between(rng, -48.0F, 48.0F), -wide, wide),
                phantom_clamp(at[1] + between(rng, -26.0F, 26.0F), -60.0F, -16.0F),
                phantom_clamp(at[2] + between(rng, -22.0F, 22.0F), floor_z, 310.0F)};
            add_cone(anatomy, at, next, radius, radius);
            memcpy(at, next, sizeof at);
        }
        if (sctd_rng_uniform(rng) < 0.3F) {
            const float centre[3] = {at[0], at[1] - 6.0F, at[2]};
            const float size[3] = {between(rng, 9.0F, 20.0F), 9.0F, between(rng, 8.0F, 14.0F)};
            add_gas(anatomy, organ, centre, size);
        }
    }
}

static void add_colon(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    const float wide = between(rng, 18.0F, 24.0F);
    const int32_t ascending = add_hollow(anatomy, 3.0F, PHANTOM_WALL, PHANTOM_STOOL);
    add_cone(anatomy, (const float[]){-72, -22, 74}, (const float[]){-88, -6, 130}, wide, wide);
    add_cone(anatomy, (const float[]){-88, -6, 130}, (const float[]){-92, 4, 300}, wide, wide);
    const float z = between(rng, 90.0F, 150.0F);
    add_gas(anatomy, ascending, (const float[]){-82, -30, z}, (const float[]){16, 14, 24});
    (void)add_hollow(anatomy, 3.0F, PHANTOM_WALL, PHANTOM_STOOL);
    add_cone(anatomy, (const float[]){74, -44, 90}, (const float[]){90, 0, 130}, 14, 15);
    add_cone(anatomy, (const float[]){90, 0, 130}, (const float[]){96, 8, 300}, 15, 17);
}

static void add_rectum(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    enum { BENDS = 9 };
    static const float course[BENDS][3] = {
        {0, 26, -94}, {0, 32, -62}, {0, 42, -36},  {1, 48, -6},   {3, 44, 22},
        {8, 32, 46},  {30, 4, 58},  {48, -36, 68}, {74, -44, 90},
    };
    const float full = between(rng, 12.0F, 21.0F);
    const float width[BENDS] = {9, 11, full - 1, full + 1, full, 15, 14, 14, 14};
    float at[BENDS][3];
    for (int i = 0; i < BENDS; i++) {
        const float play = i == 0 || i == BENDS - 1 ? 0.0F : i < 4 ? 2.0F : 6.0F;
        for (int k = 0; k < 3; k++) {
            at[i][k] = course[i][k] + between(rng, -play, play);
        }
    }
    const int32_t organ = add_hollow(anatomy, 3.5F, PHANTOM_WALL, PHANTOM_STOOL);
    for (int i = 1; i < BENDS; i++) {
        add_cone(anatomy, at[i - 1], at[i], width[i - 1], width[i]);
    }
    const int pockets = 1 + (int)(sctd_rng_uniform(rng) * 3.0F);
    for (int i = 0; i < pockets; i++) {
        const int where = 2 + (int)(sctd_rng_uniform(rng) * 5.0F);
        const float size = between(rng, 0.5F, 0.95F) * width[where];
        const float centre[3] = {at[where][0] + between(rng, -3.0F, 3.0F),
                                 at[where][1] - 0.45F * width[where],
                                 at[where][2] + between(rng, -6.0F, 6.0F)};
        const float radius[3] = {size * 1.1F, size * 0.8F, size * between(rng, 1.0F, 1.8F)};
        add_gas(anatomy, organ, centre, radius);
    }
}

static void add_male(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    const float size = between(rng, 0.85F, 1.25F);
    const float outer[3] = {24.0F * size, 16.0F * size, 18.0F * size};
    const float inner[3] = {17.0F * size, 10.5F * size, 14.0F * size};
    (void)add_solid(anatomy, PHANTOM_PERIPHERAL_ZONE);
    add_ellipsoid(anatomy, (const float[]){0, -7, -39}, outer, 12.0F);
    (void)add_solid(anatomy, PHANTOM_GLAND);
    add_ellipsoid(anatomy, (const float[]){0, -11, -35}, inner, 12.0F);
    const int32_t vesicles = add_solid(anatomy, PHANTOM_PERIPHERAL_ZONE);
    anatomy->organ[vesicles].paired = true;
    add_cone(anatomy, (const float[]){4, 12, -18}, (const float[]){20, 19, -12}, 5, 6);
    add_cone(anatomy, (const float[]){20, 19, -12}, (const float[]){36, 24, -6}, 6, 3.5F);
}

static void add_female(struct phantom_anatomy *anatomy, struct sctd_rng *rng, float top_z)
{
    const float side = between(rng, -10.0F, 10.0F);
    const float z = 14.0F + 0.5F * top_z + between(rng, -4.0F, 4.0F);
    (void)add_solid(anatomy, PHANTOM_UTERUS);
    add_cone(anatomy, (const float[]){0, 15, -84}, (const float[]){0, 20, -14}, 7, 11);
    add_cone(anatomy, (const float[]){0, 20, -14}, (const float[]){0.5F * side, 22, 8}, 14, 15);
    (void)add_hollow(anatomy, 13.0F, PHANTOM_UTERUS, PHANTOM_GLAND);
    add_ellipsoid(anatomy, (const float[]){side, 12, z}, (const float[]){27, 19, 33},
                  between(rng, 15.0F, 50.0F));
    const int32_t ovaries = add_solid(anatomy, PHANTOM_GLAND);
    anatomy->organ[ovaries].paired = true;
    add_ellipsoid(anatomy, (const float[]){46, 12, z + 4}, (const float[]){10, 9, 14}, 0.0F);
}

/* Bowel first: it yields to the muscles, the muscles to the organs and the bones. */
static void add_organs(struct phantom_anatomy *anatomy, struct sctd_rng *rng)
{
    const float full = sctd_rng_uniform(rng);
    const float bladder[3] = {30.0F + 15.0F * full, 23.0F + 12.0F * full, 17.0F + 24.0F * full};
    const float floor_z = anatomy->female ? -28.0F : -22.0F;
    const float top_z = floor_z + 2.0F * bladder[2];
    add_small_bowel(anatomy, rng, phantom_greatest(44.0F, top_z + 14.0F));
    add_colon(anatomy, rng);
    phantom_parts_add_muscles(anatomy);
    if (anatomy->female) {
        add_female(anatomy, rng, top_z);
    } else {
        add_male(anatomy, rng);
    }
    add_rectum(anatomy, rng);
    (void)add_hollow(anatomy, between(rng, 2.5F, 4.5F), PHANTOM_WALL, PHANTOM_URINE);
    add_ellipsoid(
        anatomy,
        (const float[]){between(rng, -3.0F, 3.0F), -15.0F - 4.0F * full, floor_z + bladder[2]},
        bladder, 10.0F);
}

/* Bones that streak; gas is there already.  From body to patient coordinates. */
static void finish_sources(struct phantom_anatomy *anatomy)
{
    static const struct phantom_source bones[] = {
        {.at = {90, 0, 0}, .strength = 24, .reach_mm = 30},
        {.at = {-90, 0, 0}, .strength = 24, .reach_mm = 30},
        {.at = {58, 26, -70}, .strength = 14, .reach_mm = 22},
        {.at = {-58, 26, -70}, .strength = 14, .reach_mm = 22},
    };
    const int32_t room = PHANTOM_SOURCES_MAX - (int32_t)(sizeof bones / sizeof bones[0]);
    anatomy->n_sources = anatomy->n_sources < room ? anatomy->n_sources : room;
    memmove(anatomy->source + sizeof bones / sizeof bones[0], anatomy->source,
            (size_t)anatomy->n_sources * sizeof anatomy->source[0]);
    memcpy(anatomy->source, bones, sizeof bones);
    anatomy->n_sources += (int32_t)(sizeof bones / sizeof bones[0]);
    for (int32_t i = 0; i < anatomy->n_sources; i++) {
        phantom_anatomy_to_patient(anatomy, anatomy->source[i].at, anatomy->source[i].at);
    }
}

/* What another organ keeps away from must be known as deep as that organ has borders within. */
static void extend_reach(struct phantom_anatomy *anatomy, int32_t carved, float carve_mm)
{
    if (carved != NOWHERE) {
        struct phantom_organ *organ = &anatomy->organ[carved];
        organ->reach_mm =
            phantom_greatest(organ->reach_mm, CORTEX_MAX_MM + carve_mm + 2.0F * PHANTOM_BORDER_MM);
    }
}

/*
 * A border is soft, and shapes that blend draw each other near: two of them over the blend, more of them
 * in turn, since one that is drawn near draws the next.
 */
static void find_reach(struct phantom_anatomy *anatomy)
{
    int32_t n[PHANTOM_ORGANS_MAX] = {0};
    for (int32_t i = 0; i < anatomy->n_shapes; i++) {
        n[anatomy->shape[i].group]++;
    }
    for (int32_t i = 0; i < anatomy->n_organs; i++) {
        struct phantom_organ *organ = &anatomy->organ[i];
        const float blends = n[i] < 2 ? 0.0F : n[i] == 2 ? 1.25F : 2.25F;
        organ->reach_mm = PHANTOM_BORDER_MM + blends * organ->blend_mm;
        for (int k = 0; k < 2; k++) {
            extend_reach(anatomy, organ->carve[k], organ->carve_mm[k]);
        }
    }
}

static void make_outline(struct phantom_anatomy *anatomy)
{
    anatomy->buttock = (struct phantom_shape){
        .kind = PHANTOM_ELLIPSOID, .a = {66, 60, -28}, .b = {72, 46, 72}, .turn = {1, 0}};
    anatomy->thigh = (struct phantom_shape){
        .kind = PHANTOM_CONE, .a = {91, 2, -50}, .b = {90, 2, -440}, .radius = {73, 57}};
    phantom_shape_prepare(&anatomy->buttock);
    phantom_shape_prepare(&anatomy->thigh);
}

void phantom_anatomy_init(struct phantom_anatomy *anatomy, uint64_t seed)
{
    memset(anatomy, 0, sizeof *anatomy);
    struct sctd_rng rng = {.state = seed};
    anatomy->seed = sctd_rng_next(&rng);
    anatomy->female = sctd_rng_uniform(&rng) < 0.5F;
    anatomy->fat_mm = between(&rng, 8.0F, 22.0F);
    anatomy->belly = between(&rng, 0.0F, 1.0F);
    anatomy->couch_y = between(&rng, 104.0F, 114.0F) + 0.6F * anatomy->fat_mm;
    make_outline(anatomy);
    make_pose(anatomy, &rng);
    make_deformation(anatomy, &rng);
    make_materials(anatomy, &rng);
    phantom_noise_fill(&anatomy->noise, &rng);

    (void)phantom_anatomy_add_organ(anatomy, &(struct phantom_organ){.paint = PHANTOM_PAINT_NONE,
                                                                     .paired = true,
                                                                     .carve = {NOWHERE, NOWHERE},
                                                                     .within = NOWHERE});
    add_organs(anatomy, &rng);
    phantom_parts_add_vessels(anatomy);
    phantom_parts_add_bones(anatomy);
    find_reach(anatomy);
    finish_sources(anatomy);
}
