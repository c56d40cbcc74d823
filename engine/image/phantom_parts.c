/* SPDX-License-Identifier: Apache-2.0 */
/* The tables are in body coordinates: x to the left, y to the back, z to the head, mm. */
#include "engine/image/phantom_parts.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_shape.h"

/* A shape of organ `organ` of its table. */
struct part {
    int32_t organ;
    enum phantom_shape_kind kind;
    float a[3], b[3], c[3];
    float radius[2];
    float turn_degrees;
    float cortex_mm, yellow;
};

/* A row for each kind of shape: centre, radii and turn; end, end and radii; three corners and half the
 * thickness.  BONE adds cortex and yellow marrow to it. */
#define ELLIPSOID(o, x, y, z, rx, ry, rz, degrees)                                                 \
    .organ = (o), .kind = PHANTOM_ELLIPSOID, .a = {(x), (y), (z)}, .b = {(rx), (ry), (rz)},        \
    .turn_degrees = (degrees)
#define CONE(o, x0, y0, z0, x1, y1, z1, r0, r1)                                                    \
    .organ = (o), .kind = PHANTOM_CONE, .a = {(x0), (y0), (z0)}, .b = {(x1), (y1), (z1)},          \
    .radius = {(r0), (r1)}
#define PLATE(o, x0, y0, z0, x1, y1, z1, x2, y2, z2, half)                                         \
    .organ = (o), .kind = PHANTOM_PLATE, .a = {(x0), (y0), (z0)}, .b = {(x1), (y1), (z1)},         \
    .c = {(x2), (y2), (z2)}, .radius = {(half), (half)}
#define BONE(cortex, fat) .cortex_mm = (cortex), .yellow = (fat)

enum muscle {
    ERECTOR,
    QUADRATUS_LUMBORUM,
    ILIOPSOAS,
    OBTURATOR_INTERNUS,
    OBTURATOR_EXTERNUS,
    LEVATOR,
    PIRIFORMIS,
    QUADRATUS_FEMORIS,
    GLUTEUS_MINIMUS,
    GLUTEUS_MEDIUS,
    GLUTEUS_MAXIMUS,
    TENSOR,
    PECTINEUS,
    ADDUCTOR_BREVIS,
    ADDUCTOR_MAGNUS,
    ADDUCTOR_LONGUS,
    HAMSTRINGS,
    BICEPS,
    INTERMEDIUS,
    MEDIALIS,
    LATERALIS,
    RECTUS_FEMORIS,
    SARTORIUS,
    MUSCLES
};

static const struct part muscles[] = {
    {CONE(ERECTOR, 30, 66, 300, 28, 70, 120, 24, 23)},
    {CONE(ERECTOR, 28, 70, 120, 20, 92, 50, 22, 10)},
    {CONE(QUADRATUS_LUMBORUM, 66, 42, 240, 84, 44, 118, 15, 13)},
    {CONE(ILIOPSOAS, 36, 12, 260, 46, 4, 120, 20, 25)},
    {CONE(ILIOPSOAS, 46, 4, 120, 74, -24, 40, 24, 20)},
    {CONE(ILIOPSOAS, 74, -24, 40, 92, -44, 0, 20, 19)},
    {CONE(ILIOPSOAS, 92, -44, 0, 114, -2, -58, 19, 10)},
    {PLATE(ILIOPSOAS, 112, -40, 84, 96, 18, 98, 86, -36, 22, 11)},
    {PLATE(ILIOPSOAS, 96, 18, 98, 86, -36, 22, 78, 16, 52, 9)},
    {PLATE(OBTURATOR_INTERNUS, 52, -26, -8, 48, 28, 12, 43, 8, -62, 8.5F)},
    {PLATE(OBTURATOR_INTERNUS, 52, -26, -8, 35, -26, -50, 43, 8, -62, 7)},
    {PLATE(OBTURATOR_INTERNUS, 48, 28, 12, 43, 8, -62, 52, 48, -18, 6)},
    {PLATE(OBTURATOR_EXTERNUS, 34, -40, -52, 54, -4, -68, 118, 20, -24, 11)},
    {PLATE(LEVATOR, 42, 10, -22, 38, 42, -20, 12, 40, -56, 2.5F)},
    {PLATE(LEVATOR, 40, 14, -24, 14, -34, -42, 12, 40, -56, 2.5F)},
    {CONE(PIRIFORMIS, 30, 66, 34, 86, 56, 20, 11, 13)},
    {CONE(PIRIFORMIS, 86, 56, 20, 136, 22, 4, 12, 5)},
    {CONE(QUADRATUS_FEMORIS, 66, 36, -62, 124, 34, -42, 15, 14)},
    {CONE(QUADRATUS_FEMORIS, 56, 46, -4, 130, 30, -8, 9, 8)},
    {PLATE(GLUTEUS_MINIMUS, 124, -36, 66, 106, 34, 66, 142, -8, 4, 10)},
    {PLATE(GLUTEUS_MINIMUS, 124, -36, 66, 110, -30, 20, 142, -8, 4, 8)},
    {PLATE(GLUTEUS_MEDIUS, 140, -42, 90, 124, 48, 100, 150, 4, 2, 14)},
    {PLATE(GLUTEUS_MEDIUS, 124, 48, 100, 150, 4, 2, 90, 66, 50, 14)},
    {PLATE(GLUTEUS_MEDIUS, 140, -42, 90, 150, 4, 2, 146, -34, 20, 10)},
    {PLATE(GLUTEUS_MAXIMUS, 46, 94, 66, 30, 90, -22, 108, 76, 12, 19)},
    {PLATE(GLUTEUS_MAXIMUS, 30, 90, -22, 108, 76, 12, 130, 60, -62, 23)},
    {PLATE(GLUTEUS_MAXIMUS, 30, 90, -22, 130, 60, -62, 70, 80, -74, 22)},
    {PLATE(GLUTEUS_MAXIMUS, 108, 76, 12, 130, 60, -62, 152, 34, -40, 14)},
    {PLATE(GLUTEUS_MAXIMUS, 108, 76, 12, 150, 44, 4, 152, 34, -40, 9)},
    {CONE(TENSOR, 134, -52, 78, 148, -42, -30, 12, 17)},
    {CONE(TENSOR, 148, -42, -30, 157, -20, -140, 17, 5)},
    {PLATE(PECTINEUS, 32, -54, -22, 62, -42, -8, 104, 0, -78, 12)},
    {CONE(ADDUCTOR_BREVIS, 28, -34, -64, 100, -2, -160, 17, 18)},
    {CONE(ADDUCTOR_MAGNUS, 46, 4, -92, 82, 22, -210, 21, 30)},
    {CONE(ADDUCTOR_MAGNUS, 82, 22, -210, 78, 22, -440, 30, 14)},
    {CONE(ADDUCTOR_LONGUS, 22, -54, -52, 70, -32, -180, 13, 23)},
    {CONE(ADDUCTOR_LONGUS, 70, -32, -180, 92, -8, -300, 23, 8)},
    {CONE(HAMSTRINGS, 60, 42, -88, 82, 58, -200, 14, 24)},
    {CONE(HAMSTRINGS, 82, 58, -200, 80, 54, -440, 24, 20)},
    {CONE(BICEPS, 72, 44, -92, 118, 52, -220, 11, 22)},
    {CONE(BICEPS, 118, 52, -220, 116, 48, -440, 22, 22)},
    {CONE(INTERMEDIUS, 128, -14, -84, 112, -18, -220, 21, 32)},
    {CONE(INTERMEDIUS, 112, -18, -220, 100, -20, -440, 32, 28)},
    {CONE(MEDIALIS, 104, -14, -120, 80, -28, -280, 10, 24)},
    {CONE(MEDIALIS, 80, -28, -280, 72, -26, -440, 24, 28)},
    {CONE(LATERALIS, 150, -2, -44, 142, 2, -180, 15, 28)},
    {CONE(LATERALIS, 142, 2, -180, 128, 0, -440, 28, 26)},
    {CONE(RECTUS_FEMORIS, 100, -46, 24, 116, -64, -60, 9, 17)},
    {CONE(RECTUS_FEMORIS, 116, -64, -60, 110, -60, -180, 17, 21)},
    {CONE(RECTUS_FEMORIS, 110, -60, -180, 98, -56, -440, 21, 16)},
    {CONE(SARTORIUS, 126, -62, 76, 96, -76, -60, 8, 12)},
    {CONE(SARTORIUS, 96, -76, -60, 42, -50, -300, 12, 11)},
};

enum vessel { AORTA, CAVA, ARTERY, INNER_ARTERY, VEIN, INNER_VEIN, VESSELS };

static const struct part vessels[] = {
    {CONE(AORTA, 6, -16, 320, 4, -14, 138, 10, 9)},
    {CONE(CAVA, -18, -8, 320, -14, -8, 122, 12, 11)},
    {CONE(ARTERY, 3, -14, 138, 34, -8, 98, 6.5F, 5.5F)},
    {CONE(ARTERY, 34, -8, 98, 56, -28, 52, 5.5F, 5)},
    {CONE(ARTERY, 56, -28, 52, 80, -62, 2, 5, 5)},
    {CONE(ARTERY, 80, -62, 2, 78, -52, -90, 5, 4.5F)},
    {CONE(ARTERY, 78, -52, -90, 68, -20, -440, 4.5F, 4)},
    {CONE(INNER_ARTERY, 36, -6, 96, 46, 26, 56, 4, 3.5F)},
    {CONE(INNER_ARTERY, 46, 26, 56, 40, 52, 14, 3, 2.5F)},
    {CONE(VEIN, 4, -6, 122, 34, 4, 92, 8, 7)},
    {CONE(VEIN, 34, 4, 92, 52, -16, 50, 7, 6.5F)},
    {CONE(VEIN, 52, -16, 50, 67, -58, 0, 6.5F, 6.5F)},
    {CONE(VEIN, 67, -58, 0, 70, -44, -90, 6.5F, 5.5F)},
    {CONE(VEIN, 70, -44, -90, 72, -14, -440, 5.5F, 5)},
    {CONE(INNER_VEIN, 38, 4, 88, 49, 34, 50, 5, 4)},
    {CONE(INNER_VEIN, 49, 34, 50, 45, 54, 16, 4, 3)},
};

enum bone {
    SOCKET, /* the cartilage of the hip joint */
    SYMPHYSIS,
    DISCS,
    SACRUM,
    VERTEBRAE,
    HIP,
    FEMUR,
    CANAL,
    BONES
};

/* A lumbar vertebra and the disc below it; its body's middle at (0, y, z). */
#define VERTEBRA(y, z)                                                                             \
    {ELLIPSOID(DISCS, 0, (y) + 1, (z) - 18, 25, 18, 8, 0)},                                        \
        {ELLIPSOID(VERTEBRAE, 0, y, (z) + 7, 26, 19, 8.5F, 0), BONE(1.4F, 0)},                     \
        {ELLIPSOID(VERTEBRAE, 0, y, z, 23.5F, 16.5F, 14, 0), BONE(1.4F, 0)},                       \
        {ELLIPSOID(VERTEBRAE, 0, y, (z) - 7, 26, 19, 8.5F, 0), BONE(1.4F, 0)},                     \
        {CONE(VERTEBRAE, 14, (y) + 12, (z) + 4, 17, (y) + 32, z, 5.5F, 5.5F), BONE(2, 0)},         \
        {CONE(VERTEBRAE, 17, (y) + 28, (z) + 2, 42, (y) + 30, (z) + 3, 4.5F, 3.5F), BONE(2, 0)},   \
        {PLATE(VERTEBRAE, 17, (y) + 34, (z) - 4, 0, (y) + 42, (z) - 4, 14, (y) + 36, (z) - 16,     \
               3.5F),                                                                              \
         BONE(2, 0)},                                                                              \
    {                                                                                              \
        PLATE(VERTEBRAE, 0, (y) + 42, (z) - 2, 0, (y) + 66, (z) - 6, 0, (y) + 62, (z) - 18, 3),    \
            BONE(1.6F, 0)                                                                          \
    }

static const struct part bones[] = {
    {ELLIPSOID(SOCKET, 90, 0, 0, 27.5F, 27.5F, 27.5F, 0)},
    {ELLIPSOID(SYMPHYSIS, 0, -47, -34, 5, 9, 19, -30)},
    VERTEBRA(20, 116),
    VERTEBRA(10, 154),
    VERTEBRA(6, 192),
    VERTEBRA(8, 230),
    VERTEBRA(12, 268),
    /* sacrum and coccyx: bodies from above, wings, crest */
    {ELLIPSOID(SACRUM, 0, 41, 84, 28, 20, 17, 38), BONE(1.3F, 0)},
    {ELLIPSOID(SACRUM, 0, 59, 58, 24, 15, 16, 28), BONE(1.2F, 0)},
    {ELLIPSOID(SACRUM, 0, 72, 34, 21, 12, 14, 16), BONE(1.2F, 0)},
    {ELLIPSOID(SACRUM, 0, 77, 11, 18, 9, 13, 0), BONE(1.2F, 0)},
    {ELLIPSOID(SACRUM, 0, 75, -9, 15, 8, 11, -18), BONE(1.2F, 0)},
    {CONE(SACRUM, 0, 69, -24, 0, 54, -38, 6, 4), BONE(1.2F, 0)},
    {PLATE(SACRUM, 16, 46, 84, 44, 50, 82, 22, 66, 52, 10), BONE(1.2F, 0.2F)},
    {PLATE(SACRUM, 46, 48, 82, 22, 66, 52, 46, 66, 56, 9), BONE(1.2F, 0.3F)},
    {PLATE(SACRUM, 22, 66, 52, 46, 66, 56, 18, 77, 14, 8), BONE(1.2F, 0.3F)},
    {CONE(SACRUM, 18, 77, 20, 20, 77, -2, 8, 6), BONE(1.2F, 0.3F)},
    {PLATE(SACRUM, 0, 72, 84, 0, 88, 50, 20, 80, 66, 3.5F), BONE(1.6F, 0)},
    {CONE(SACRUM, 0, 88, 56, 0, 93, 16, 4, 3), BONE(1.6F, 0)},
    /* hip bone: acetabulum, ilium, pubis, ischium */
    {ELLIPSOID(HIP, 79, 4, 9, 25, 36, 38, 0), BONE(2.2F, 0)},
    {CONE(HIP, 88, -26, 34, 76, 34, 34, 10, 11), BONE(1.8F, 0)},
    {CONE(HIP, 76, 34, 34, 54, 64, 52, 11, 9), BONE(1.6F, 0)},
    {PLATE(HIP, 90, -30, 34, 72, 38, 36, 110, 6, 72, 5), BONE(1.8F, 0)},
    {PLATE(HIP, 90, -30, 34, 124, -50, 82, 110, 6, 72, 4), BONE(1.8F, 0)},
    {PLATE(HIP, 124, -50, 82, 140, -8, 112, 110, 6, 72, 3.5F), BONE(1.8F, 0)},
    {PLATE(HIP, 140, -8, 112, 106, 44, 114, 110, 6, 72, 3), BONE(1.8F, 0)},
    {PLATE(HIP, 106, 44, 114, 52, 82, 78, 72, 38, 36, 4), BONE(1.7F, 0)},
    {PLATE(HIP, 106, 44, 114, 110, 6, 72, 72, 38, 36, 3.5F), BONE(1.7F, 0)},
    {PLATE(HIP, 52, 82, 78, 72, 38, 36, 54, 66, 46, 6), BONE(1.6F, 0)},
    {CONE(HIP, 90, -32, 34, 124, -52, 84, 7, 7.5F), BONE(1.8F, 0)},
    {CONE(HIP, 124, -52, 84, 141, -8, 113, 7, 7), BONE(1.8F, 0)},
    {CONE(HIP, 141, -8, 113, 106, 44, 115, 7, 6.5F), BONE(1.8F, 0)},
    {CONE(HIP, 106, 44, 115, 52, 82, 78, 6.5F, 8), BONE(1.8F, 0)},
    {CONE(HIP, 66, -24, 0, 38, -46, -14, 9, 7.5F), BONE(2, 0)},
    {CONE(HIP, 38, -46, -14, 17, -50, -22, 7.5F, 8), BONE(2, 0)},
    {ELLIPSOID(HIP, 14, -47, -34, 10, 8, 18, -30), BONE(1.6F, 0)},
    {CONE(HIP, 15, -42, -46, 38, -14, -80, 6, 6), BONE(2, 0)},
    {CONE(HIP, 38, -14, -80, 54, 20, -84, 6, 9), BONE(2, 0)},
    {CONE(HIP, 74, 28, -4, 60, 30, -58, 13, 13), BONE(2, 0)},
    {ELLIPSOID(HIP, 58, 27, -72, 14, 17, 21, 15), BONE(2, 0)},
    {CONE(HIP, 70, 34, 0, 50, 46, -6, 6, 3), BONE(2, 0)},
    /* femur: head, neck, trochanters, shaft */
    {ELLIPSOID(FEMUR, 90, 0, 0, 24, 24, 24, 0), BONE(1.3F, 0)},
    {CONE(FEMUR, 92, 0, -2, 128, 9, -32, 17, 18), BONE(2.6F, 0.35F)},
    {ELLIPSOID(FEMUR, 139, 14, -18, 14, 19, 23, 0), BONE(1.6F, 0.8F)},
    {ELLIPSOID(FEMUR, 117, 25, -62, 11, 9, 14, 0), BONE(2.2F, 0.6F)},
    {CONE(FEMUR, 130, 11, -40, 122, 8, -110, 18, 15.5F), BONE(5, 0.8F)},
    {CONE(FEMUR, 122, 8, -110, 110, -2, -240, 15.5F, 14.5F), BONE(7.5F, 1)},
    {CONE(FEMUR, 110, -2, -240, 94, 4, -440, 14.5F, 17), BONE(7, 1)},
    /* the spinal canal */
    {CONE(CANAL, 0, 40, 320, 0, 38, 192, 8, 8.5F)},
    {CONE(CANAL, 0, 38, 192, 0, 50, 120, 8.5F, 8.5F)},
    {CONE(CANAL, 0, 50, 120, 0, 66, 84, 8.5F, 6)},
    {CONE(CANAL, 0, 66, 84, 0, 82, 36, 5.5F, 3)},
};

#define SOLID(what, rim)                                                                           \
    {.paint = PHANTOM_PAINT_SOLID,                                                                 \
     .tissue = (what),                                                                             \
     .rim_mm = (rim),                                                                              \
     .paired = true,                                                                               \
     .carve = {-1, -1},                                                                            \
     .within = -1}

static const struct phantom_organ bone_organs[BONES] = {
    [SOCKET] = SOLID(PHANTOM_CARTILAGE, 0),
    [SYMPHYSIS] = SOLID(PHANTOM_CARTILAGE, 0),
    [DISCS] = SOLID(PHANTOM_DISC, 0),
    [SACRUM] = {.paint = PHANTOM_PAINT_BONE,
                .blend_mm = 7,
                .paired = true,
                .carve = {-1, -1},
                .within = -1},
    [VERTEBRAE] = {.paint = PHANTOM_PAINT_BONE,
                   .blend_mm = 3,
                   .paired = true,
                   .carve = {-1, -1},
                   .within = -1},
    [HIP] = {.paint = PHANTOM_PAINT_BONE,
             .blend_mm = 5,
             .paired = true,
             .carve = {SOCKET, SACRUM},
             .carve_mm = {0, 3.5F},
             .within = -1},
    [FEMUR] = {.paint = PHANTOM_PAINT_BONE,
               .blend_mm = 7,
               .paired = true,
               .carve = {-1, -1},
               .within = -1},
    [CANAL] = SOLID(PHANTOM_CSF, 0),
};

static void add_part(struct phantom_anatomy *anatomy, const struct part *part)
{
    const float turn = part->turn_degrees * 0.017453293F;
    struct phantom_shape shape = {
        .kind = part->kind,
        .radius = {part->radius[0], part->radius[1]},
        .turn = {cosf(turn), sinf(turn)},
        .cortex_mm = part->cortex_mm,
        .yellow = part->yellow,
    };
    for (int i = 0; i < 3; i++) {
        shape.a[i] = part->a[i];
        shape.b[i] = part->b[i];
        shape.c[i] = part->c[i];
    }
    phantom_anatomy_add_shape(anatomy, &shape);
}

/* Organ number `organ` of a table with the parts that belong to it. */
static void add_organ(struct phantom_anatomy *anatomy, const struct phantom_organ *organ,
                      int32_t number, const struct part *part, size_t n)
{
    (void)phantom_anatomy_add_organ(anatomy, organ);
    for (size_t i = 0; i < n; i++) {
        if (part[i].organ == number) {
            add_part(anatomy, &part[i]);
        }
    }
}

void phantom_parts_add_muscles(struct phantom_anatomy *anatomy)
{
    struct phantom_organ muscle = SOLID(PHANTOM_MUSCLE, 0.9F);
    muscle.within = PHANTOM_LEAN;
    for (int32_t i = 0; i < MUSCLES; i++) {
        muscle.rim_mm = i == LEVATOR ? 0.0F : 0.9F;
        muscle.blend_mm = i == ERECTOR || i == LEVATOR ? 3.0F : 6.0F;
        add_organ(anatomy, &muscle, i, muscles, sizeof muscles / sizeof muscles[0]);
    }
}

void phantom_parts_add_vessels(struct phantom_anatomy *anatomy)
{
    for (int32_t i = 0; i < VESSELS; i++) {
        const bool artery = i == AORTA || i == ARTERY || i == INNER_ARTERY;
        struct phantom_organ vessel = SOLID(artery ? PHANTOM_ARTERY : PHANTOM_VEIN, 0);
        vessel.paired = i != AORTA && i != CAVA;
        vessel.blend_mm = 3.0F;
        add_organ(anatomy, &vessel, i, vessels, sizeof vessels / sizeof vessels[0]);
    }
}

void phantom_parts_add_bones(struct phantom_anatomy *anatomy)
{
    const int32_t first = anatomy->n_organs;
    for (int32_t i = 0; i < BONES; i++) {
        struct phantom_organ bone = bone_organs[i];
        for (int k = 0; k < 2; k++) {
            bone.carve[k] = bone.carve[k] < 0 ? -1 : first + bone.carve[k];
        }
        add_organ(anatomy, &bone, i, bones, sizeof bones / sizeof bones[0]);
    }
}
