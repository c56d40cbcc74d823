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

/* Voxels of 2 mm and less are points: whichever grid samples a place finds the same. */
static void a_place_is_the_same_in_every_orientation(void)
{
    struct phantom *phantom = make(3);
    int inside = 0;
    for (int orientation = 0; orientation < 4; orientation++) {
        struct volume_grid grid = grid_of((enum phantom_orientation)orientation, 120, 1, 1.9, 2.0);
        struct volume *ct = render(phantom, PHANTOM_CT, &grid, NULL);
        for (size_t n = 0; n < count(&grid); n += 11) {
            const int32_t index[3] = {(int32_t)n % 120, (int32_t)n / 120, 0};
            double at[3];
            for (int i = 0; i < 3; i++) {
                at[i] = grid.origin[i];
                for (int a = 0; a < 3; a++) {
                    at[i] += index[a] * grid.step[a] * grid.axis[a][i];
                }
            }
            struct phantom_point point;
            phantom_at(phantom, at, &point);
            assert(fabsf(point.hu - ct->voxel[n]) < 1e-2F);
            inside += point.hu > -500.0F;
        }
        volume_free(ct);
    }
    assert(inside > 3000);
    phantom_free(phantom);
}

/* 8 mm voxels whose border a fine grid averages: what thick voxels hold is near the mean of thin ones. */
static void thick_voxels_average_their_borders(void)
{
    struct phantom *phantom = make(2);
    const struct volume_grid thick = grid_of(PHANTOM_AXIAL, 14, 1, 8.0, 8.0);
    struct volume_grid thin = grid_of(PHANTOM_AXIAL, 112, 8, 1.0, 1.0);
    struct volume *coarse = render(phantom, PHANTOM_CT, &thick, NULL);
    struct volume *fine = render(phantom, PHANTOM_CT, &thin, NULL);
    double error = 0.0;
    double sampled_error = 0.0;
    for (size_t n = 0; n < count(&thick); n++) {
        const size_t i = n % 14 * 8;
        const size_t j = n / 14 * 8;
        double sum = 0.0;
        for (size_t m = 0; m < 512; m++) {
            sum += (double)fine->voxel[(m / 64 * 112 + j + m / 8 % 8) * 112 + i + m % 8];
        }
        const double middle = (double)fine->voxel[(4 * 112 + j + 4) * 112 + i + 4];
        error += fabs(sum / 512.0 - (double)coarse->voxel[n]);
        sampled_error += fabs(sum / 512.0 - middle);
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

static void tissues_have_their_hu(void)
{
    enum { POINTS = 3000 };
    struct sctd_rng rng = {23};
    int met[PHANTOM_TISSUES] = {0};
    for (uint64_t seed = 10; seed < 14; seed++) {
        struct phantom *phantom = make(seed);
        for (int i = 0; i < POINTS; i++) {
            const double at[3] = {((double)sctd_rng_uniform(&rng) - 0.5) * 330.0,
                                  ((double)sctd_rng_uniform(&rng) - 0.5) * 220.0,
                                  ((double)sctd_rng_uniform(&rng) - 0.5) * 230.0};
            struct phantom_point point;
            phantom_at(phantom, at, &point);
            assert(point.hu >= -1024.0F && point.hu <= 3071.0F);
            assert(point.signal >= -0.05F && point.signal < 1.4F);
            if (point.border_mm < 0.75F) {
                continue;
            }
            met[point.tissue]++;
            for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
                if (ranges[r].tissue == point.tissue &&
                    (point.hu < ranges[r].low || point.hu > ranges[r].high)) {
                    (void)fprintf(stderr, "tissue %d has %g HU\n", (int)point.tissue,
                                  (double)point.hu);
                    abort();
                }
            }
        }
        phantom_free(phantom);
    }
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        assert(met[ranges[r].tissue] > 0);
    }
}

/* The default grid is 408 mm wide and 192 mm high, its middle at (0, 4, 6). */
static void body_fills_its_share_of_the_default_grid_and_stays_within(void)
{
    enum { POINTS = 1200 };
    struct sctd_rng rng = {29};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct phantom *phantom = make(seed);
        int body = 0;
        int bone = 0;
        for (int i = 0; i < POINTS; i++) {
            const double side = i % 8 == 0 ? (i % 16 == 0 ? 0.5 : -0.5) : 2.0; /* of the edge */
            const double x = side < 1.0 ? side : (double)sctd_rng_uniform(&rng) - 0.5;
            const double at[3] = {x * 408.0, 4.0 + ((double)sctd_rng_uniform(&rng) - 0.5) * 408.0,
                                  6.0 + ((double)sctd_rng_uniform(&rng) - 0.5) * 192.0};
            struct phantom_point point;
            phantom_at(phantom, at, &point);
            assert(side > 1.0 || point.tissue == PHANTOM_AIR);
            body += point.tissue != PHANTOM_AIR && point.tissue != PHANTOM_GAS;
            bone += point.hu > 150.0F;
        }
        assert(body > 0.28 * POINTS && body < 0.6 * POINTS);
        assert(bone > 0.02 * body && bone < 0.17 * body);
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

static void grids_are_right_handed_and_centred(void)
{
    static const double normal[][3] = {{0, 0, 1}, {-1, 0, 0}, {0, 1, 0}};
    for (int o = 0; o < 4; o++) {
        const struct volume_grid g = grid_of((enum phantom_orientation)o, 10, 7, 2.0, 3.0);
        for (int i = 0; i < 3; i++) {
            const int j = (i + 1) % 3;
            const int k = (i + 2) % 3;
            const double cross = g.axis[0][j] * g.axis[1][k] - g.axis[0][k] * g.axis[1][j];
            assert(fabs(cross - g.axis[2][i]) < 1e-12);
            assert(o == PHANTOM_OBLIQUE || fabs(cross - normal[o][i]) < 1e-12);
            double middle = g.origin[i];
            for (int a = 0; a < 3; a++) {
                middle += 0.5 * (g.dim[a] - 1) * g.step[a] * g.axis[a][i];
            }
            assert(fabs(middle - (const double[]){0, 4, 6}[i]) < 1e-9);
        }
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
    body_fills_its_share_of_the_default_grid_and_stays_within();
    patients_differ_in_sex_fat_and_contrast();
    grids_are_right_handed_and_centred();
    truth_of_another_size_is_refused();
    return 0;
}
