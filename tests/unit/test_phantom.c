/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/base/volume.h"
#include "engine/image/phantom.h"

static struct phantom *make(uint64_t seed)
{
    struct sctd_error err = {0};
    struct phantom *phantom = NULL;
    assert(phantom_new(&phantom, seed, &err) == 0);
    return phantom;
}

static struct volume_grid grid_of(enum phantom_orientation orientation, int32_t matrix,
                                  int32_t slices, double step, double between)
{
    struct volume_grid grid;
    phantom_make_grid(&grid, orientation, matrix, slices, (const double[]){step, step, between});
    return grid;
}

static struct volume *render(const struct phantom *phantom, enum phantom_kind kind,
                             const struct volume_grid *grid, struct volume **ret_truth)
{
    struct sctd_error err = {0};
    struct volume *image = NULL;
    struct volume *truth = NULL;
    assert(volume_new(&image, grid, &err) == 0);
    if (ret_truth != NULL) {
        assert(volume_new(&truth, grid, &err) == 0);
        *ret_truth = truth;
    }
    assert(phantom_render(phantom, kind, image, truth, &err) == 0);
    return image;
}

static size_t count(const struct volume_grid *grid)
{
    return (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
}

static bool same(const struct volume *a, const struct volume *b)
{
    return memcmp(a->voxel, b->voxel, count(&a->grid) * sizeof *a->voxel) == 0;
}

static void same_seed_is_the_same_to_the_bit_and_another_is_not(void)
{
    const struct volume_grid grid = grid_of(PHANTOM_AXIAL, 100, 2, 2.0, 3.0);
    for (int kind = 0; kind < 3; kind++) {
        struct phantom *phantoms[3] = {make(4), make(4), make(5)};
        struct volume *images[3];
        for (int i = 0; i < 3; i++) {
            images[i] = render(phantoms[i], (enum phantom_kind)kind, &grid, NULL);
        }
        assert(same(images[0], images[1]));
        assert(!same(images[0], images[2]));
        for (int i = 0; i < 3; i++) {
            volume_free(images[i]);
            phantom_free(phantoms[i]);
        }
    }
}

static void ct_is_the_truth_under_mr_and_cbct(void)
{
    const struct volume_grid grid = grid_of(PHANTOM_OBLIQUE, 60, 2, 2.0, 20.0);
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct phantom *phantom = make(seed);
        struct volume *truths[2] = {NULL, NULL};
        struct volume *ct = render(phantom, PHANTOM_CT, &grid, NULL);
        struct volume *mr = render(phantom, PHANTOM_MR, &grid, &truths[0]);
        struct volume *cbct = render(phantom, PHANTOM_CBCT, &grid, &truths[1]);
        assert(same(ct, truths[0]) && same(ct, truths[1]));
        assert(!same(ct, mr) && !same(ct, cbct));
        volume_free(ct);
        volume_free(mr);
        volume_free(cbct);
        volume_free(truths[0]);
        volume_free(truths[1]);
        phantom_free(phantom);
    }
}

static void place(const struct volume_grid *grid, const int32_t index[3], double ret_at[3])
{
    for (int i = 0; i < 3; i++) {
        ret_at[i] = grid->origin[i];
        for (int a = 0; a < 3; a++) {
            ret_at[i] += index[a] * grid->step[a] * grid->axis[a][i];
        }
    }
}

/* How many of the voxels are body; each is what phantom_at finds at its place. */
static int compare_with_points(const struct phantom *phantom, const struct volume *ct)
{
    const struct volume_grid *grid = &ct->grid;
    int inside = 0;
    for (size_t n = 0; n < count(grid); n += 11) {
        const int32_t index[3] = {(int32_t)n % grid->dim[0], (int32_t)n / grid->dim[0], 0};
        double at[3];
        struct phantom_point point;
        place(grid, index, at);
        phantom_at(phantom, at, &point);
        assert(fabsf(point.hu - ct->voxel[n]) < 1e-2F);
        inside += point.hu > -500.0F;
    }
    return inside;
}

/* Voxels of 2 mm and less are points: whichever grid samples a place finds the same. */
static void a_place_is_the_same_in_every_orientation(void)
{
    struct phantom *phantom = make(3);
    int inside = 0;
    for (int orientation = 0; orientation < 4; orientation++) {
        const struct volume_grid grid =
            grid_of((enum phantom_orientation)orientation, 120, 1, 1.9, 2.0);
        struct volume *ct = render(phantom, PHANTOM_CT, &grid, NULL);
        inside += compare_with_points(phantom, ct);
        volume_free(ct);
    }
    assert(inside > 3000);
    phantom_free(phantom);
}

enum { THICK = 14, THIN = 112 }; /* voxels in a row; 8 of the thin ones are a thick one's */

/* Of the thin voxels of thick voxel n: their mean, and the one in the middle. */
static double mean_of_thin(const struct volume *fine, size_t n, double *ret_middle)
{
    const size_t first = n / THICK * 8 * THIN + n % THICK * 8;
    const size_t slice = (size_t)THIN * THIN;
    double sum = 0.0;
    for (size_t m = 0; m < 512; m++) {
        sum += (double)fine->voxel[first + m / 64 * slice + m / 8 % 8 * THIN + m % 8];
    }
    *ret_middle = (double)fine->voxel[first + 4 * slice + (size_t)4 * THIN + 4];
    return sum / 512.0;
}

/* What a thick voxel holds is nearer to the mean of thin ones than its middle is. */
static void thick_voxels_average_their_borders(void)
{
    struct phantom *phantom = make(2);
    const struct volume_grid thick = grid_of(PHANTOM_AXIAL, THICK, 1, 8.0, 8.0);
    const struct volume_grid thin = grid_of(PHANTOM_AXIAL, THIN, 8, 1.0, 1.0);
    struct volume *coarse = render(phantom, PHANTOM_CT, &thick, NULL);
    struct volume *fine = render(phantom, PHANTOM_CT, &thin, NULL);
    double error = 0.0;
    double sampled_error = 0.0;
    for (size_t n = 0; n < count(&thick); n++) {
        double middle = 0.0;
        const double mean = mean_of_thin(fine, n, &middle);
        error += fabs(mean - (double)coarse->voxel[n]);
        sampled_error += fabs(mean - middle);
    }
    assert(error < 0.4 * sampled_error);
    assert(error / (double)count(&thick) < 25.0);
    volume_free(coarse);
    volume_free(fine);
    phantom_free(phantom);
}

/* HU of the inside of a tissue as textbooks of CT have them. */
static const struct {
    enum phantom_tissue tissue;
    float low, high;
} ranges[] = {
    {PHANTOM_AIR, -1000, -1000},  {PHANTOM_FAT, -130, -70},    {PHANTOM_MUSCLE, -40, 90},
    {PHANTOM_CORTEX, 800, 1700},  {PHANTOM_MARROW, -150, 350}, {PHANTOM_SPONGIOSA, -60, 700},
    {PHANTOM_URINE, -10, 20},     {PHANTOM_GAS, -1024, -950},  {PHANTOM_WALL, 15, 65},
    {PHANTOM_CARTILAGE, 60, 110}, {PHANTOM_ARTERY, 30, 70},    {PHANTOM_STOOL, -150, 200},
};

enum { RANGES = sizeof ranges / sizeof ranges[0] };

static bool is_in_range(const struct phantom_point *point)
{
    for (size_t r = 0; r < RANGES; r++) {
        if (ranges[r].tissue == point->tissue &&
            (point->hu < ranges[r].low || point->hu > ranges[r].high)) {
            (void)fprintf(stderr, "tissue %d has %g HU\n", (int)point->tissue, (double)point->hu);
            return false;
        }
    }
    return true;
}

/* A point of a box about the middle of the pelvis. */
static struct phantom_point random_point(const struct phantom *phantom, struct sctd_rng *rng,
                                         const double wide_mm[3])
{
    double at[3];
    struct phantom_point point;
    for (int i = 0; i < 3; i++) {
        at[i] = ((double)sctd_rng_uniform(rng) - 0.5) * wide_mm[i];
    }
    phantom_at(phantom, at, &point);
    return point;
}

static void tissues_have_their_hu(void)
{
    enum { POINTS = 12000 };
    struct sctd_rng rng = {23};
    struct phantom *phantom[4] = {make(10), make(11), make(12), make(13)};
    int met[PHANTOM_TISSUES] = {0};
    for (int i = 0; i < POINTS; i++) {
        const struct phantom_point point =
            random_point(phantom[i % 4], &rng, (const double[]){330.0, 220.0, 230.0});
        assert(point.hu >= -1024.0F && point.hu <= 3071.0F);
        assert(point.signal >= -0.05F && point.signal < 1.4F);
        assert(point.border_mm < 0.75F || is_in_range(&point));
        met[point.tissue] += point.border_mm < 0.75F ? 0 : 1;
    }
    for (size_t r = 0; r < RANGES; r++) {
        assert(met[ranges[r].tissue] > 0);
    }
    for (int i = 0; i < 4; i++) {
        phantom_free(phantom[i]);
    }
}

static void body_and_bone_have_their_share(void)
{
    enum { POINTS = 1000 };
    struct sctd_rng rng = {29};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct phantom *phantom = make(seed);
        int body = 0;
        int bone = 0;
        for (int i = 0; i < POINTS; i++) {
            const struct phantom_point point =
                random_point(phantom, &rng, (const double[]){408.0, 408.0, 192.0});
            body += point.tissue != PHANTOM_AIR && point.tissue != PHANTOM_GAS;
            bone += point.hu > 150.0F;
        }
        assert(body > 0.28 * POINTS && body < 0.6 * POINTS);
        assert(bone > 0.02 * body && bone < 0.17 * body);
        phantom_free(phantom);
    }
}

/* The default grid is 408 mm wide and 192 mm high, its middle at (0, 4, 6). */
static void body_stays_within_the_default_grid(void)
{
    enum { POINTS = 200 };
    struct sctd_rng rng = {31};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct phantom *phantom = make(seed);
        int outside = 0;
        for (int i = 0; i < POINTS; i++) {
            const double at[3] = {i % 2 == 0 ? 204.0 : -204.0,
                                  ((double)sctd_rng_uniform(&rng) - 0.5) * 200.0,
                                  6.0 + ((double)sctd_rng_uniform(&rng) - 0.5) * 192.0};
            struct phantom_point point;
            phantom_at(phantom, at, &point);
            outside += point.tissue == PHANTOM_AIR;
        }
        assert(outside == POINTS);
        phantom_free(phantom);
    }
}

static void patients_differ_in_sex_fat_and_contrast(void)
{
    int women = 0;
    int t2 = 0;
    int low_fill = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct phantom *phantom = make(seed);
        struct phantom_facts facts;
        phantom_get_facts(phantom, &facts);
        women += facts.female;
        t2 += facts.t2;
        low_fill += facts.cbct_fill < -1000.0F;
        assert(facts.cbct_view_mm > 200.0F && facts.cbct_view_mm < 240.0F);
        phantom_free(phantom);
    }
    assert(women > 12 && women < 48 && t2 > 12 && t2 < 55 && low_fill > 12 && low_fill < 48);
}

static double cross(const double a[3], const double b[3], int i)
{
    const int j = (i + 1) % 3;
    const int k = (i + 2) % 3;
    return a[j] * b[k] - a[k] * b[j];
}

static void grids_are_right_handed_and_centred(void)
{
    static const double normal[][3] = {{0, 0, 1}, {-1, 0, 0}, {0, 1, 0}};
    for (int n = 0; n < 12; n++) {
        const int o = n / 3;
        const int i = n % 3;
        const struct volume_grid g = grid_of((enum phantom_orientation)o, 10, 7, 2.0, 3.0);
        const double across = cross(g.axis[0], g.axis[1], i);
        assert(fabs(across - g.axis[2][i]) < 1e-12);
        assert(o == PHANTOM_OBLIQUE || fabs(across - normal[o][i]) < 1e-12);
        double first[3];
        double last[3];
        place(&g, (const int32_t[]){0, 0, 0}, first);
        place(&g, (const int32_t[]){9, 9, 6}, last);
        assert(fabs((first[i] + last[i]) / 2.0 - (const double[]){0, 4, 6}[i]) < 1e-9);
    }
}

static void truth_of_another_size_is_refused(void)
{
    struct phantom *phantom = make(1);
    struct sctd_error err = {0};
    struct volume *image = NULL;
    struct volume *truth = NULL;
    const struct volume_grid a = grid_of(PHANTOM_AXIAL, 8, 2, 40.0, 40.0);
    const struct volume_grid b = grid_of(PHANTOM_AXIAL, 8, 3, 40.0, 40.0);
    assert(volume_new(&image, &a, &err) == 0 && volume_new(&truth, &b, &err) == 0);
    assert(phantom_render(phantom, PHANTOM_MR, image, truth, &err) == SCTD_EINVAL);
    volume_free(image);
    volume_free(truth);
    phantom_free(phantom);
}

int main(void)
{
    same_seed_is_the_same_to_the_bit_and_another_is_not();
    ct_is_the_truth_under_mr_and_cbct();
    a_place_is_the_same_in_every_orientation();
    thick_voxels_average_their_borders();
    tissues_have_their_hu();
    body_and_bone_have_their_share();
    body_stays_within_the_default_grid();
    patients_differ_in_sex_fat_and_contrast();
    grids_are_right_handed_and_centred();
    truth_of_another_size_is_refused();
    return 0;
}
