/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/phantom.h"
#include "engine/image/phantom_anatomy.h"
#include "engine/image/phantom_image.h"

enum { MATRIX = 120, SLICES = 3, VOXELS = MATRIX * MATRIX * SLICES };

static struct phantom_anatomy *make(uint64_t seed)
{
    struct phantom_anatomy *anatomy = malloc(sizeof *anatomy);
    assert(anatomy != NULL);
    phantom_anatomy_init(anatomy, seed);
    return anatomy;
}

/* Of pixel n, from the middle. */
static double offset_x(size_t n)
{
    return ((double)(n % MATRIX) - 59.5) * 4.0;
}

static double offset_y(size_t n)
{
    const size_t row = n / MATRIX % MATRIX;
    return ((double)row - 59.5) * 4.0;
}

static double radius_of(size_t n)
{
    return sqrt(offset_x(n) * offset_x(n) + offset_y(n) * offset_y(n));
}

/* A disc of `inside` in air, as the linac of an anatomy shows it: 4 mm pixels, 30 mm from slice to slice. */
static struct volume *shown(const struct phantom_anatomy *anatomy, float inside, double radius_mm)
{
    struct sctd_error err = {0};
    struct volume_grid grid;
    struct volume *image = NULL;
    phantom_make_grid(&grid, PHANTOM_AXIAL, MATRIX, SLICES, (const double[]){4.0, 4.0, 30.0});
    assert(volume_new(&image, &grid, &err) == 0);
    for (size_t n = 0; n < VOXELS; n++) {
        image->voxel[n] = radius_of(n) < radius_mm ? inside : -1000.0F;
    }
    assert(phantom_cbct_finish(anatomy, image, &err) == 0);
    return image;
}

/* Mean of the ring from `from` to `to` mm. */
static double ring(const struct volume *image, double from, double to)
{
    double sum = 0.0;
    double count = 0.0;
    for (size_t n = 0; n < VOXELS; n++) {
        if (radius_of(n) >= from && radius_of(n) < to) {
            sum += (double)image->voxel[n];
            count += 1.0;
        }
    }
    return sum / count;
}

static void water_is_cupped(void)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        struct volume *image = shown(anatomy, 0.0F, 170.0);
        const double cup = ring(image, 140.0, 160.0) - ring(image, 0.0, 40.0);
        assert(cup > 2.0 && cup < 160.0);
        volume_free(image);
        free(anatomy);
    }
}

static void contrast_is_less_than_in_ct(void)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        struct volume *water = shown(anatomy, 0.0F, 170.0);
        struct volume *bone = shown(anatomy, 1000.0F, 170.0);
        const double contrast = (ring(bone, 0.0, 120.0) - ring(water, 0.0, 120.0)) / 1000.0;
        assert(contrast > 0.78 && contrast < 0.97);
        volume_free(water);
        volume_free(bone);
        free(anatomy);
    }
}

static void check_view(const struct phantom_anatomy *anatomy, const struct volume *image)
{
    float fill = 0.0F;
    float radius = 0.0F;
    phantom_cbct_get_view(anatomy, &fill, &radius);
    for (size_t n = 0; n < VOXELS; n++) {
        /* the middle of the view is within 12 mm of the middle of the volume */
        assert(radius_of(n) < (double)radius + 16.5 || image->voxel[n] == fill);
    }
    /* and the air within it is noisy, but air */
    const double air = ring(image, 180.0, 190.0);
    assert(air > -1024.0 && air < -850.0);
}

static void outside_the_field_of_view_there_is_fill(void)
{
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        struct volume *image = shown(anatomy, 0.0F, 170.0);
        check_view(anatomy, image);
        volume_free(image);
        free(anatomy);
    }
}

/* How much darker it is between the hip joints than 30 mm above, HU. */
static double shadow_of(const struct volume *image)
{
    const size_t slice = (size_t)MATRIX * MATRIX;
    double sum = 0.0;
    double count = 0.0;
    for (size_t n = 0; n < slice; n++) {
        if (fabs(offset_x(n)) < 45.0 && fabs(offset_y(n)) < 10.0) {
            sum += (double)(image->voxel[2 * slice + n] - image->voxel[slice + n]);
            count += 1.0;
        }
    }
    return sum / count;
}

static void hips_cast_a_shadow_between_them(void)
{
    double shadow = 0.0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct phantom_anatomy *anatomy = make(seed);
        struct volume *image = shown(anatomy, 40.0F, 170.0);
        shadow += shadow_of(image) / 8.0;
        volume_free(image);
        free(anatomy);
    }
    assert(shadow > 15.0);
}

int main(void)
{
    water_is_cupped();
    contrast_is_less_than_in_ct();
    outside_the_field_of_view_there_is_fill();
    hips_cast_a_shadow_between_them();
    return 0;
}
