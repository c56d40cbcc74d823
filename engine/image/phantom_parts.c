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

/* A row for each kind of shape: ELLIPSOID(organ, centre, radii, turn), CONE(organ, end, end, radii),
 * PLATE(organ, three corners, half its thickness); BONE adds cortex and yellow marrow to it. */
#define AT(x, y, z) {x, y, z}
#define ELLIPSOID(o, centre, radii, degrees)                                                       \
    .organ = (o), .kind = PHANTOM_ELLIPSOID, .a = centre, .b = radii, .turn_degrees = (degrees)
#define CONE(o, from, to, r0, r1)                                                                  \
    .organ = (o), .kind = PHANTOM_CONE, .a = from, .b = to, .radius = {r0, r1}
#define PLATE(o, p, q, r, half)                                                                    \
    .organ = (o), .kind = PHANTOM_PLATE, .a = p, .b = q, .c = r, .radius = {half, half}
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
    {CONE(ERECTOR, AT(30, 66, 300), AT(28, 70, 120), 24, 23)},
    {CONE(ERECTOR, AT(28, 70, 120), AT(20, 92, 50), 22, 10)},
    {CONE(QUADRATUS_LUMBORUM, AT(66, 42, 240), AT(84, 44, 118), 15, 13)},
    {CONE(ILIOPSOAS, AT(36, 12, 260), AT(46, 4, 120), 20, 25)},
    {CONE(ILIOPSOAS, AT(46, 4, 120), AT(74, -24, 40), 24, 20)},
    {CONE(ILIOPSOAS, AT(74, -24, 40), AT(92, -44, 0), 20, 19)},
    {CONE(ILIOPSOAS, AT(92, -44, 0), AT(114, -2, -58), 19, 10)},
    {PLATE(ILIOPSOAS, AT(112, -40, 84), AT(96, 18, 98), AT(86, -36, 22), 11)},
    {PLATE(ILIOPSOAS, AT(96, 18, 98), AT(86, -36, 22), AT(78, 16, 52), 9)},
    {PLATE(OBTURATOR_INTERNUS, AT(52, -26, -8), AT(48, 28, 12), AT(43, 8, -62), 8.5F)},
    {PLATE(OBTURATOR_INTERNUS, AT(52, -26, -8), AT(35, -26, -50), AT(43, 8, -62), 7)},
    {PLATE(OBTURATOR_INTERNUS, AT(48, 28, 12), AT(43, 8, -62), AT(52, 48, -18), 6)},
    {PLATE(OBTURATOR_EXTERNUS, AT(34, -40, -52), AT(54, -4, -68), AT(118, 20, -24), 11)},
    {PLATE(LEVATOR, AT(42, 10, -22), AT(38, 42, -20), AT(12, 40, -56), 2.5F)},
    {PLATE(LEVATOR, AT(40, 14, -24), AT(14, -34, -42), AT(12, 40, -56), 2.5F)},
    {CONE(PIRIFORMIS, AT(30, 66, 34), AT(86, 56, 20), 11, 13)},
    {CONE(PIRIFORMIS, AT(86, 56, 20), AT(136, 22, 4), 12, 5)},
    {CONE(QUADRATUS_FEMORIS, AT(66, 36, -62), AT(124, 34, -42), 15, 14)},
    {CONE(QUADRATUS_FEMORIS, AT(56, 46, -4), AT(130, 30, -8), 9, 8)},
    {PLATE(GLUTEUS_MINIMUS, AT(124, -36, 66), AT(106, 34, 66), AT(142, -8, 4), 10)},
    {PLATE(GLUTEUS_MINIMUS, AT(124, -36, 66), AT(110, -30, 20), AT(142, -8, 4), 8)},
    {PLATE(GLUTEUS_MEDIUS, AT(140, -42, 90), AT(124, 48, 100), AT(150, 4, 2), 14)},
    {PLATE(GLUTEUS_MEDIUS, AT(124, 48, 100), AT(150, 4, 2), AT(90, 66, 50), 14)},
    {PLATE(GLUTEUS_MEDIUS, AT(140, -42, 90), AT(150, 4, 2), AT(146, -34, 20), 10)},
    {PLATE(GLUTEUS_MAXIMUS, AT(46, 94, 66), AT(30, 90, -22), AT(108, 76, 12), 19)},
    {PLATE(GLUTEUS_MAXIMUS, AT(30, 90, -22), AT(108, 76, 12), AT(130, 60, -62), 23)},
    {PLATE(GLUTEUS_MAXIMUS, AT(30, 90, -22), AT(130, 60, -62), AT(70, 80, -74), 22)},
    {PLATE(GLUTEUS_MAXIMUS, AT(108, 76, 12), AT(130, 60, -62), AT(152, 34, -40), 14)},
    {PLATE(GLUTEUS_MAXIMUS, AT(108, 76, 12), AT(150, 44, 4), AT(152, 34, -40), 9)},
    {CONE(TENSOR, AT(134, -52, 78), AT(148, -42, -30), 12, 17)},
    {CONE(TENSOR, AT(148, -42, -30), AT(157, -20, -140), 17, 5)},
    {PLATE(PECTINEUS, AT(32, -54, -22), AT(62, -42, -8), AT(104, 0, -78), 12)},
    {CONE(ADDUCTOR_BREVIS, AT(28, -34, -64), AT(100, -2, -160), 17, 18)},
    {CONE(ADDUCTOR_MAGNUS, AT(46, 4, -92), AT(82, 22, -210), 21, 30)},
    {CONE(ADDUCTOR_MAGNUS, AT(82, 22, -210), AT(78, 22, -440), 30, 14)},
    {CONE(ADDUCTOR_LONGUS, AT(22, -54, -52), AT(70, -32, -180), 13, 23)},
    {CONE(ADDUCTOR_LONGUS, AT(70, -32, -180), AT(92, -8, -300), 23, 8)},
    {CONE(HAMSTRINGS, AT(60, 42, -88), AT(82, 58, -200), 14, 24)},
    {CONE(HAMSTRINGS, AT(82, 58, -200), AT(80, 54, -440), 24, 20)},
    {CONE(BICEPS, AT(72, 44, -92), AT(118, 52, -220), 11, 22)},
    {CONE(BICEPS, AT(118, 52, -220), AT(116, 48, -440), 22, 22)},
    {CONE(INTERMEDIUS, AT(128, -14, -84), AT(112, -18, -220), 21, 32)},
    {CONE(INTERMEDIUS, AT(112, -18, -220), AT(100, -20, -440), 32, 28)},
    {CONE(MEDIALIS, AT(104, -14, -120), AT(80, -28, -280), 10, 24)},
    {CONE(MEDIALIS, AT(80, -28, -280), AT(72, -26, -440), 24, 28)},
    {CONE(LATERALIS, AT(150, -2, -44), AT(142, 2, -180), 15, 28)},
    {CONE(LATERALIS, AT(142, 2, -180), AT(128, 0, -440), 28, 26)},
    {CONE(RECTUS_FEMORIS, AT(100, -46, 24), AT(116, -64, -60), 9, 17)},
    {CONE(RECTUS_FEMORIS, AT(116, -64, -60), AT(110, -60, -180), 17, 21)},
    {CONE(RECTUS_FEMORIS, AT(110, -60, -180), AT(98, -56, -440), 21, 16)},
    {CONE(SARTORIUS, AT(126, -62, 76), AT(96, -76, -60), 8, 12)},
    {CONE(SARTORIUS, AT(96, -76, -60), AT(42, -50, -300), 12, 11)},
};

enum vessel { AORTA, CAVA, ARTERY, INNER_ARTERY, VEIN, INNER_VEIN, VESSELS };

static const struct part vessels[] = {
    {CONE(AORTA, AT(6, -16, 320), AT(4, -14, 138), 10, 9)},
    {CONE(CAVA, AT(-18, -8, 320), AT(-14, -8, 122), 12, 11)},
    {CONE(ARTERY, AT(3, -14, 138), AT(34, -8, 98), 6.5F, 5.5F)},
    {CONE(ARTERY, AT(34, -8, 98), AT(56, -28, 52), 5.5F, 5)},
    {CONE(ARTERY, AT(56, -28, 52), AT(80, -62, 2), 5, 5)},
    {CONE(ARTERY, AT(80, -62, 2), AT(78, -52, -90), 5, 4.5F)},
    {CONE(ARTERY, AT(78, -52, -90), AT(68, -20, -440), 4.5F, 4)},
    {CONE(INNER_ARTERY, AT(36, -6, 96), AT(46, 26, 56), 4, 3.5F)},
    {CONE(INNER_ARTERY, AT(46, 26, 56), AT(40, 52, 14), 3, 2.5F)},
    {CONE(VEIN, AT(4, -6, 122), AT(34, 4, 92), 8, 7)},
    {CONE(VEIN, AT(34, 4, 92), AT(52, -16, 50), 7, 6.5F)},
    {CONE(VEIN, AT(52, -16, 50), AT(67, -58, 0), 6.5F, 6.5F)},
    {CONE(VEIN, AT(67, -58, 0), AT(70, -44, -90), 6.5F, 5.5F)},
    {CONE(VEIN, AT(70, -44, -90), AT(72, -14, -440), 5.5F, 5)},
    {CONE(INNER_VEIN, AT(38, 4, 88), AT(49, 34, 50), 5, 4)},
    {CONE(INNER_VEIN, AT(49, 34, 50), AT(45, 54, 16), 4, 3)},
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
    {ELLIPSOID(DISCS, AT(0, (y) + 1, (z) - 18), AT(25, 18, 8), 0)},                                \
        {ELLIPSOID(VERTEBRAE, AT(0, y, (z) + 7), AT(26, 19, 8.5F), 0), BONE(1.4F, 0)},             \
        {ELLIPSOID(VERTEBRAE, AT(0, y, z), AT(23.5F, 16.5F, 14), 0), BONE(1.4F, 0)},               \
        {ELLIPSOID(VERTEBRAE, AT(0, y, (z) - 7), AT(26, 19, 8.5F), 0), BONE(1.4F, 0)},             \
        {CONE(VERTEBRAE, AT(14, (y) + 12, (z) + 4), AT(17, (y) + 32, z), 5.5F, 5.5F), BONE(2, 0)}, \
        {CONE(VERTEBRAE, AT(17, (y) + 28, (z) + 2), AT(42, (y) + 30, (z) + 3), 4.5F, 3.5F),        \
         BONE(2, 0)},                                                                              \
        {PLATE(VERTEBRAE, AT(17, (y) + 34, (z) - 4), AT(0, (y) + 42, (z) - 4),                     \
               AT(14, (y) + 36, (z) - 16), 3.5F),                                                  \
         BONE(2, 0)},                                                                              \
    {                                                                                              \
        PLATE(VERTEBRAE, AT(0, (y) + 42, (z) - 2), AT(0, (y) + 66, (z) - 6),                       \
              AT(0, (y) + 62, (z) - 18), 3),                                                       \
            BONE(1.6F, 0)                                                                          \
    }

static const struct part bones[] = {
    {ELLIPSOID(SOCKET, AT(90, 0, 0), AT(27.5F, 27.5F, 27.5F), 0)},
    {ELLIPSOID(SYMPHYSIS, AT(0, -47, -34), AT(5, 9, 19), -30)},
    VERTEBRA(20, 116),
    VERTEBRA(10, 154),
    VERTEBRA(6, 192),
    VERTEBRA(8, 230),
    VERTEBRA(12, 268),
    /* sacrum and coccyx: bodies from above, wings, crest */
    {ELLIPSOID(SACRUM, AT(0, 41, 84), AT(28, 20, 17), 38), BONE(1.3F, 0)},
    {ELLIPSOID(SACRUM, AT(0, 59, 58), AT(24, 15, 16), 28), BONE(1.2F, 0)},
    {ELLIPSOID(SACRUM, AT(0, 72, 34), AT(21, 12, 14), 16), BONE(1.2F, 0)},
    {ELLIPSOID(SACRUM, AT(0, 77, 11), AT(18, 9, 13), 0), BONE(1.2F, 0)},
    {ELLIPSOID(SACRUM, AT(0, 75, -9), AT(15, 8, 11), -18), BONE(1.2F, 0)},
    {CONE(SACRUM, AT(0, 69, -24), AT(0, 54, -38), 6, 4), BONE(1.2F, 0)},
    {PLATE(SACRUM, AT(16, 46, 84), AT(44, 50, 82), AT(22, 66, 52), 10), BONE(1.2F, 0.2F)},
    {PLATE(SACRUM, AT(46, 48, 82), AT(22, 66, 52), AT(46, 66, 56), 9), BONE(1.2F, 0.3F)},
    {PLATE(SACRUM, AT(22, 66, 52), AT(46, 66, 56), AT(18, 77, 14), 8), BONE(1.2F, 0.3F)},
    {CONE(SACRUM, AT(18, 77, 20), AT(20, 77, -2), 8, 6), BONE(1.2F, 0.3F)},
    {PLATE(SACRUM, AT(0, 72, 84), AT(0, 88, 50), AT(20, 80, 66), 3.5F), BONE(1.6F, 0)},
    {CONE(SACRUM, AT(0, 88, 56), AT(0, 93, 16), 4, 3), BONE(1.6F, 0)},
    /* hip bone: acetabulum, ilium, pubis, ischium */
    {ELLIPSOID(HIP, AT(79, 4, 9), AT(25, 36, 38), 0), BONE(2.2F, 0)},
    {CONE(HIP, AT(88, -26, 34), AT(76, 34, 34), 10, 11), BONE(1.8F, 0)},
    {CONE(HIP, AT(76, 34, 34), AT(54, 64, 52), 11, 9), BONE(1.6F, 0)},
    {PLATE(HIP, AT(90, -30, 34), AT(72, 38, 36), AT(110, 6, 72), 5), BONE(1.8F, 0)},
    {PLATE(HIP, AT(90, -30, 34), AT(124, -50, 82), AT(110, 6, 72), 4), BONE(1.8F, 0)},
    {PLATE(HIP, AT(124, -50, 82), AT(140, -8, 112), AT(110, 6, 72), 3.5F), BONE(1.8F, 0)},
    {PLATE(HIP, AT(140, -8, 112), AT(106, 44, 114), AT(110, 6, 72), 3), BONE(1.8F, 0)},
    {PLATE(HIP, AT(106, 44, 114), AT(52, 82, 78), AT(72, 38, 36), 4), BONE(1.7F, 0)},
    {PLATE(HIP, AT(106, 44, 114), AT(110, 6, 72), AT(72, 38, 36), 3.5F), BONE(1.7F, 0)},
    {PLATE(HIP, AT(52, 82, 78), AT(72, 38, 36), AT(54, 66, 46), 6), BONE(1.6F, 0)},
    {CONE(HIP, AT(90, -32, 34), AT(124, -52, 84), 7, 7.5F), BONE(1.8F, 0)},
    {CONE(HIP, AT(124, -52, 84), AT(141, -8, 113), 7, 7), BONE(1.8F, 0)},
    {CONE(HIP, AT(141, -8, 113), AT(106, 44, 115), 7, 6.5F), BONE(1.8F, 0)},
    {CONE(HIP, AT(106, 44, 115), AT(52, 82, 78), 6.5F, 8), BONE(1.8F, 0)},
    {CONE(HIP, AT(66, -24, 0), AT(38, -46, -14), 9, 7.5F), BONE(2, 0)},
    {CONE(HIP, AT(38, -46, -14), AT(17, -50, -22), 7.5F, 8), BONE(2, 0)},
    {ELLIPSOID(HIP, AT(14, -47, -34), AT(10, 8, 18), -30), BONE(1.6F, 0)},
    {CONE(HIP, AT(15, -42, -46), AT(38, -14, -80), 6, 6), BONE(2, 0)},
    {CONE(HIP, AT(38, -14, -80), AT(54, 20, -84), 6, 9), BONE(2, 0)},
    {CONE(HIP, AT(74, 28, -4), AT(60, 30, -58), 13, 13), BONE(2, 0)},
    {ELLIPSOID(HIP, AT(58, 27, -72), AT(14, 17, 21), 15), BONE(2, 0)},
    {CONE(HIP, AT(70, 34, 0), AT(50, 46, -6), 6, 3), BONE(2, 0)},
    /* femur: head, neck, trochanters, shaft */
    {ELLIPSOID(FEMUR, AT(90, 0, 0), AT(24, 24, 24), 0), BONE(1.3F, 0)},
    {CONE(FEMUR, AT(92, 0, -2), AT(128, 9, -32), 17, 18), BONE(2.6F, 0.35F)},
    {ELLIPSOID(FEMUR, AT(139, 14, -18), AT(14, 19, 23), 0), BONE(1.6F, 0.8F)},
    {ELLIPSOID(FEMUR, AT(117, 25, -62), AT(11, 9, 14), 0), BONE(2.2F, 0.6F)},
    {CONE(FEMUR, AT(130, 11, -40), AT(122, 8, -110), 18, 15.5F), BONE(5, 0.8F)},
    {CONE(FEMUR, AT(122, 8, -110), AT(110, -2, -240), 15.5F, 14.5F), BONE(7.5F, 1)},
    {CONE(FEMUR, AT(110, -2, -240), AT(94, 4, -440), 14.5F, 17), BONE(7, 1)},
    /* the spinal canal */
    {CONE(CANAL, AT(0, 40, 320), AT(0, 38, 192), 8, 8.5F)},
    {CONE(CANAL, AT(0, 38, 192), AT(0, 50, 120), 8.5F, 8.5F)},
    {CONE(CANAL, AT(0, 50, 120), AT(0, 66, 84), 8.5F, 6)},
    {CONE(CANAL, AT(0, 66, 84), AT(0, 82, 36), 5.5F, 3)},
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
             .blend_mm = 6,
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
        muscle.blend_mm = i == ERECTOR || i == LEVATOR ? 3.0F : 8.0F;
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
