/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdint.h>

#include "engine/base/rng.h"
#include "engine/base/volume.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_image.h"
#include "engine/image/phantom_shape.h"

/* The receiving coil's elements lie around the patient; each sees best what is near. */
enum { COILS = 6 };

struct mr {
    float coil[COILS][4]; /* position, gain */
    float evenness;       /* how much of their shading the scanner leaves uncorrected */
    float fall_off_mm;    /* half the length of the coil */
    float scale, noise;
};

static float between(struct sctd_rng *rng, float low, float high)
{
    return low + sctd_rng_uniform(rng) * (high - low);
}

static void make(struct mr *ret_mr, uint64_t seed)
{
    struct sctd_rng rng = {.state = seed ^ 0x4d52U};
    for (int i = 0; i < COILS; i++) {
        const float angle = 6.2831853F * ((float)i + sctd_rng_uniform(&rng)) / COILS;
        ret_mr->coil[i][0] = 215.0F * cosf(angle);
        ret_mr->coil[i][1] = 150.0F * sinf(angle);
        ret_mr->coil[i][2] = between(&rng, -70.0F, 70.0F);
        ret_mr->coil[i][3] = between(&rng, 0.7F, 1.3F);
    }
    ret_mr->evenness = between(&rng, 0.6F, 1.4F);
    ret_mr->fall_off_mm = between(&rng, 190.0F, 260.0F);
    ret_mr->scale = between(&rng, 500.0F, 2000.0F);
    ret_mr->noise = between(&rng, 0.012F, 0.035F);
}

/* Sensitivity relative to the middle's. */
static float bias_at(const struct mr *mr, const float at[3])
{
    float sum = 0.0F;
    float middle = 0.0F;
    for (int i = 0; i < COILS; i++) {
        const float *c = mr->coil[i];
        const float to[3] = {at[0] - c[0], at[1] - c[1], at[2] - c[2]};
        const float squared = phantom_dot(to, to);
        sum += c[3] / (1.0F + squared / (150.0F * 150.0F));
        middle += c[3] / (1.0F + phantom_dot(c, c) / (150.0F * 150.0F));
    }
    const float z = at[2] / mr->fall_off_mm;
    return (1.0F + mr->evenness * (sum / middle - 1.0F)) / (1.0F + z * z * z * z * z * z);
}

/* Magnitude of a signal with bias and noise in both of its parts; `key` is the voxel's. */
static float magnitude_of(const struct mr *mr, float signal, float bias, uint64_t key)
{
    /* two normal numbers: a radius and an angle (Box and Muller, 1958) */
    struct sctd_rng rng = {.state = key};
    const float radius = mr->noise * sqrtf(-2.0F * logf(sctd_rng_uniform(&rng) + 3e-8F));
    const float angle = 6.2831853F * sctd_rng_uniform(&rng);
    const float real = signal * bias + radius * cosf(angle);
    const float imaginary = radius * sinf(angle);
    return phantom_least(mr->scale * sqrtf(real * real + imaginary * imaginary), 4095.0F);
}

void phantom_mr_finish(const struct phantom_anatomy *anatomy, struct volume *image)
{
    struct mr mr;
    make(&mr, anatomy->seed);
    const struct volume_grid *grid = &image->grid;
    const int64_t rows = (int64_t)grid->dim[1] * grid->dim[2];
    uint64_t index = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < grid->dim[0]; i++, index++) {
            float at[3];
            phantom_image_place(grid, i, (int32_t)(row % grid->dim[1]),
                                (int32_t)(row / grid->dim[1]), at);
            image->voxel[index] = magnitude_of(&mr, image->voxel[index], bias_at(&mr, at),
                                               anatomy->seed + 0xd1342543de82ef95U * index);
        }
    }
}
