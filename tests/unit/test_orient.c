/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/orient.h"

#define DEGREE (3.14159265358979323846 / 180.0)

/* A linear function of the patient coordinate: trilinear interpolation keeps it. */
static double truth(const double mm[3])
{
    return 300.0 + 1.5 * mm[0] - 0.7 * mm[1] + 2.3 * mm[2];
}

static void place(double ret_mm[3], const struct volume_grid *g, double i, double j, double k)
{
    for (int x = 0; x < 3; x++) {
        ret_mm[x] = g->origin[x] + i * g->step[0] * g->axis[0][x] + j * g->step[1] * g->axis[1][x] +
                    k * g->step[2] * g->axis[2][x];
    }
}

static int count_voxels(const struct volume_grid *g)
{
    return g->dim[0] * g->dim[1] * g->dim[2];
}

/* The position of voxel n, in the order of memory. */
static void place_voxel(double ret_mm[3], const struct volume_grid *g, int n)
{
    const int i = n % g->dim[0];
    const int row = n / g->dim[0];
    const int j = row % g->dim[1];
    const int k = row / g->dim[1];
    place(ret_mm, g, i, j, k);
}

static bool holds_truth(const struct volume *v, int n)
{
    double mm[3];
    place_voxel(mm, &v->grid, n);
    return fabs((double)v->voxel[n] - truth(mm)) < 1e-3;
}

/* How many voxels hold the truth of where their grid says they are. */
static int count_true(const struct volume *v)
{
    int found = 0;
    for (int n = 0; n < count_voxels(&v->grid); n++) {
        found += holds_truth(v, n) ? 1 : 0;
    }
    return found;
}

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

/* Field by field: what lies between them is nobody's. */
static bool same_grid(const struct volume_grid *a, const struct volume_grid *b)
{
    return same_bytes(a->dim, b->dim, sizeof a->dim) &&
           same_bytes(a->step, b->step, sizeof a->step) &&
           same_bytes(a->origin, b->origin, sizeof a->origin) &&
           same_bytes(a->axis, b->axis, sizeof a->axis);
}

/* How far a position is beyond the outermost voxel centres of a grid, in voxels; 0: not at all. */
static double beyond(const double mm[3], const struct volume_grid *g)
{
    double most = 0.0;
    for (int a = 0; a < 3; a++) {
        double along = 0.0;
        for (int x = 0; x < 3; x++) {
            along += (mm[x] - g->origin[x]) * g->axis[a][x];
        }
        along /= g->step[a];
        most = fmax(most, fmax(-along, along - (g->dim[a] - 1)));
    }
    return most;
}

/*
 * v was resampled from `source`: between its voxel centres every voxel is the truth of where it is, and
 * beyond their faces `outside`.
 */
static void assert_resampled(const struct volume *v, const struct volume_grid *source,
                             float outside)
{
    int inside = 0;
    int out = 0;
    for (int n = 0; n < count_voxels(&v->grid); n++) {
        double mm[3];
        place_voxel(mm, &v->grid, n);
        const double far = beyond(mm, source);
        assert(far > 1e-9 || holds_truth(v, n));
        assert(far < 0.5 + 1e-6 || v->voxel[n] == outside);
        assert(far > 0.5 - 1e-6 || v->voxel[n] != outside);
        inside += far < 1e-9;
        out += far > 0.5;
    }
    assert(inside > 20 && out < count_voxels(&v->grid) * 3 / 4);
}

static struct volume *made(const struct volume_grid *grid)
{
    struct sctd_error err = {0};
    struct volume *v = NULL;
    assert(volume_new(&v, grid, &err) == 0);
    for (int n = 0; n < count_voxels(grid); n++) {
        double mm[3];
        place_voxel(mm, grid, n);
        v->voxel[n] = (float)truth(mm);
    }
    return v;
}

/* One of the 24 right-handed orders and directions of the axes, turned by some degrees. */
static bool make_grid(struct volume_grid *grid, int which, double degrees)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    *grid = (struct volume_grid){
        .dim = {7, 9, 5}, .step = {1.25, 1.5, 4.0}, .origin = {-31.0, 17.0, 44.0}};
    const double c = cos(degrees * DEGREE);
    const double s = sin(degrees * DEGREE);
    for (int a = 0; a < 3; a++) {
        const double sign = (which >> a & 1) != 0 ? -1.0 : 1.0;
        double v[3] = {0.0, 0.0, 0.0};
        v[orders[which / 8][a]] = sign;
        /* about z, then about x by half of it */
        const double turned[3] = {c * v[0] - s * v[1], s * v[0] + c * v[1], v[2]};
        const double hc = cos(degrees * 0.5 * DEGREE);
        const double hs = sin(degrees * 0.5 * DEGREE);
        grid->axis[a][0] = turned[0];
        grid->axis[a][1] = hc * turned[1] - hs * turned[2];
        grid->axis[a][2] = hs * turned[1] + hc * turned[2];
    }
    const double *x = grid->axis[0];
    const double *y = grid->axis[1];
    const double *z = grid->axis[2];
    const double triple = z[0] * (x[1] * y[2] - x[2] * y[1]) + z[1] * (x[2] * y[0] - x[0] * y[2]) +
                          z[2] * (x[0] * y[1] - x[1] * y[0]);
    return triple > 0.0;
}

static void assert_near_axial(const struct volume_grid *grid, double degrees)
{
    for (int a = 0; a < 3; a++) {
        assert(grid->axis[a][a] >= cos(degrees * DEGREE));
    }
}

static void every_orientation_is_reordered_without_loss(void)
{
    struct sctd_error err = {0};
    int tried = 0;
    for (int which = 0; which < 48; which++) {
        struct volume_grid grid;
        struct orient_plan plan;
        if (!make_grid(&grid, which, which % 2 == 0 ? 0.0 : 6.0)) {
            continue;
        }
        tried++;
        sctd_auto(volume_freep) struct volume *original = made(&grid);
        sctd_auto(volume_freep) struct volume *v = made(&grid);
        assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
        assert(!plan.resampled);
        assert_near_axial(&plan.network, 7.0);
        assert(orient_to_network(&v, &plan, -1.0F, &err) == 0);
        assert(same_grid(&v->grid, &plan.network));
        assert(count_true(v) == 7 * 9 * 5);
        assert(orient_to_source(&v, &plan, -1.0F, &err) == 0);
        assert(same_grid(&v->grid, &grid));
        assert(same_bytes(v->voxel, original->voxel, sizeof(float[7 * 9 * 5])));
    }
    assert(tried == 24);
}

static void go_there_and_back(const struct volume_grid *grid)
{
    struct sctd_error err = {0};
    struct orient_plan plan;
    sctd_auto(volume_freep) struct volume *v = made(grid);
    assert(orient_plan_make(&plan, grid, ORIENT_MAX_TILT, &err) == 0);
    assert(plan.resampled && plan.axial_is_network);
    assert(fabs(plan.tilt_degrees - 25.0) < 5.0);
    assert_near_axial(&plan.network, 0.0);
    assert(orient_to_network(&v, &plan, -1e6F, &err) == 0);
    assert_resampled(v, grid, -1e6F);
    for (int n = 0; n < count_voxels(&v->grid); n++) {
        v->voxel[n] = v->voxel[n] == -1e6F ? 5e5F : v->voxel[n];
    }
    assert(orient_to_source(&v, &plan, -1e6F, &err) == 0);
    assert(same_grid(&v->grid, grid));
    for (int n = 0; n < count_voxels(grid); n++) {
        assert(v->voxel[n] != -1e6F); /* the axial grid covers each source voxel's centre */
    }
}

static void tilted_source_is_resampled_onto_an_axial_grid_and_back(void)
{
    for (int which = 0; which < 48; which++) {
        struct volume_grid grid;
        if (make_grid(&grid, which, 25.0)) {
            go_there_and_back(&grid);
        }
    }
}

static int find_marker(const struct volume *v)
{
    int found = -1;
    for (int n = 0; n < count_voxels(&v->grid); n++) {
        assert(v->voxel[n] == 0.0F || found < 0);
        found = v->voxel[n] == 1000.0F ? n : found;
    }
    assert(found >= 0);
    return found;
}

static void marker_keeps_its_coordinate(void)
{
    struct sctd_error err = {0};
    for (int which = 0; which < 48; which++) {
        struct volume_grid grid;
        struct orient_plan plan;
        if (!make_grid(&grid, which, which % 3 == 0 ? 0.0 : 8.0)) {
            continue;
        }
        sctd_auto(volume_freep) struct volume *v = NULL;
        assert(volume_new(&v, &grid, &err) == 0);
        v->voxel[(1 * 9 + 7) * 7 + 2] = 1000.0F;
        assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
        assert(orient_to_network(&v, &plan, 0.0F, &err) == 0);
        double expected[3];
        double found[3];
        place(expected, &grid, 2, 7, 1);
        place_voxel(found, &v->grid, find_marker(v));
        assert(hypot(hypot(found[0] - expected[0], found[1] - expected[1]),
                     found[2] - expected[2]) < 1e-9);
    }
}

/* Its outermost voxel centres enclose a corner of the source. */
static void assert_encloses(const struct volume_grid *a, const struct volume_grid *source,
                            int corner)
{
    double mm[3];
    place(mm, source, (corner & 1) != 0 ? source->dim[0] - 1 : 0,
          (corner & 2) != 0 ? source->dim[1] - 1 : 0, (corner & 4) != 0 ? source->dim[2] - 1 : 0);
    for (int x = 0; x < 3; x++) {
        assert(a->axis[x][x] == 1.0 && a->axis[x][(x + 1) % 3] == 0.0);
        assert(mm[x] > a->origin[x] - 1e-6);
        assert(mm[x] < a->origin[x] + (a->dim[x] - 1) * a->step[x] + 1e-6);
    }
}

static void check_axial(const struct volume_grid *grid)
{
    struct sctd_error err = {0};
    struct orient_plan plan;
    sctd_auto(volume_freep) struct volume *v = made(grid);
    assert(orient_plan_make(&plan, grid, ORIENT_MAX_TILT, &err) == 0);
    assert(fabs(plan.axial.step[0] - plan.axial.step[1]) < 1e-12);
    for (int corner = 0; corner < 8; corner++) {
        assert_encloses(&plan.axial, grid, corner);
    }
    assert(count_voxels(&plan.axial) <= 3 * count_voxels(grid));
    assert(orient_to_network(&v, &plan, -1e6F, &err) == 0);
    assert(orient_to_axial(&v, &plan, -1e6F, &err) == 0);
    assert(same_grid(&v->grid, &plan.axial));
    if (!plan.axial_is_network) {
        assert_resampled(v, grid, -1e6F);
    }
}

static void axial_grid_is_straight_square_and_covers_the_source(void)
{
    for (int which = 0; which < 48; which++) {
        struct volume_grid grid;
        if (make_grid(&grid, which, (which % 5) * 4.0)) {
            check_axial(&grid);
        }
    }
}

static void straight_square_source_is_its_own_axial_grid(void)
{
    struct sctd_error err = {0};
    struct orient_plan plan;
    struct volume_grid grid;
    assert(make_grid(&grid, 0, 0.0));
    grid.step[1] = grid.step[0];
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
    assert(plan.axial_is_network && same_grid(&plan.axial, &grid));
    sctd_auto(volume_freep) struct volume *v = made(&grid);
    const float *voxel = v->voxel;
    assert(orient_to_network(&v, &plan, 0.0F, &err) == 0);
    assert(orient_to_axial(&v, &plan, 0.0F, &err) == 0);
    assert(orient_to_source(&v, &plan, 0.0F, &err) == 0);
    assert(v->voxel == voxel); /* nothing was copied */
}

static void pixels_are_square_at_the_finer_spacing_but_not_below_a_millimetre(void)
{
    static const struct {
        double a, b, pixel;
    } cases[] = {{1.5, 2.0, 1.5}, {0.5, 5.0, 1.0}, {0.6, 0.7, 0.7}, {3.0, 0.8, 1.0}};
    struct sctd_error err = {0};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct orient_plan plan;
        struct volume_grid grid;
        assert(make_grid(&grid, 0, 0.0));
        grid.step[0] = cases[c].a;
        grid.step[1] = cases[c].b;
        grid.dim[0] = 200;
        grid.dim[1] = 200;
        assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
        assert(!plan.axial_is_network);
        const double n = 200.0 * cases[c].a / plan.axial.step[0] * 200.0 * cases[c].b /
                         plan.axial.step[0] * plan.axial.dim[2];
        const double coarser = plan.axial.step[0] / cases[c].pixel;
        assert(coarser > 1.0 - 1e-9 && n < 3.0 * 200 * 200 * 5 * 1.05);
        assert(coarser < 1.0 + 1e-9 ||
               n > 2.0 * 200 * 200 * 5); /* coarsened only where it must be */
    }
}

static void tilt_decides_at_its_limit(void)
{
    struct sctd_error err = {0};
    struct orient_plan plan;
    struct volume_grid grid;
    assert(make_grid(&grid, 0, 8.9));
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
    const double tilt = plan.tilt_degrees;
    assert(!plan.resampled && tilt > 8.0);
    assert(orient_plan_make(&plan, &grid, tilt - 0.01, &err) == 0 && plan.resampled);
    assert(orient_plan_make(&plan, &grid, tilt + 0.01, &err) == 0 && !plan.resampled);
}

static void nearest_source_slice_is_found_by_position(void)
{
    struct sctd_error err = {0};
    struct orient_plan plan;
    struct volume_grid grid;
    assert(make_grid(&grid, 0, 0.0)); /* slices 4 mm apart, pixels of 1.25 x 1.5 */
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
    for (int32_t k = 0; k < plan.axial.dim[2]; k++) {
        const double z = plan.axial.origin[2] + k * plan.axial.step[2];
        const int32_t expected = (int32_t)lround(fmin(fmax((z - 44.0) / 4.0, 0.0), 4.0));
        assert(orient_find_nearest(&plan, k) == expected);
    }
    assert(make_grid(&grid, 3, 0.0)); /* head first becomes feet first: slices fall */
    assert(grid.axis[2][2] == 1.0);
    for (int a = 0; a < 3; a++) { /* half a turn about x */
        grid.axis[a][1] = -grid.axis[a][1];
        grid.axis[a][2] = -grid.axis[a][2];
    }
    grid.step[1] = grid.step[0];
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
    assert(orient_find_nearest(&plan, 0) == 4 && orient_find_nearest(&plan, 4) == 0);
}

static void impossible_grids_are_refused(void)
{
    struct sctd_error err = {0};
    struct orient_plan plan;
    struct volume_grid grid;
    assert(make_grid(&grid, 0, 0.0));
    grid.dim[1] = 0;
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == SCTD_EDATA);
    assert(make_grid(&grid, 0, 0.0));
    grid.origin[2] = NAN;
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == SCTD_EDATA);
    assert(make_grid(&grid, 0, 0.0));
    grid.step[0] = 0.0;
    assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == SCTD_EDATA);
}

static void thin_voxels_and_steep_tilts_stay_within_three_times_the_source(void)
{
    struct sctd_error err = {0};
    for (int which = 0; which < 48; which++) {
        struct orient_plan plan;
        struct volume_grid grid;
        if (!make_grid(&grid, which, 45.0)) {
            continue;
        }
        grid.step[0] = 0.05;
        grid.step[1] = 0.05;
        grid.step[2] = 50.0;
        grid.dim[0] = 4000;
        assert(orient_plan_make(&plan, &grid, ORIENT_MAX_TILT, &err) == 0);
        assert((double)plan.network.dim[0] * plan.network.dim[1] * plan.network.dim[2] <=
               3.0 * 4000 * 9 * 5);
    }
}

int main(void)
{
    every_orientation_is_reordered_without_loss();
    tilted_source_is_resampled_onto_an_axial_grid_and_back();
    marker_keeps_its_coordinate();
    axial_grid_is_straight_square_and_covers_the_source();
    straight_square_source_is_its_own_axial_grid();
    pixels_are_square_at_the_finer_spacing_but_not_below_a_millimetre();
    tilt_decides_at_its_limit();
    nearest_source_slice_is_found_by_position();
    impossible_grids_are_refused();
    thin_voxels_and_steep_tilts_stay_within_three_times_the_source();
    return 0;
}
