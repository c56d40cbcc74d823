/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/orient.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/grid.h"
#include "engine/image/resample.h"

/* Planning */

/* The order and the directions of source axes that come nearest to +x, +y, +z. */
static void find_order(struct orient_plan *plan)
{
    static const int32_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                         {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const struct volume_grid *source = &plan->source;
    double best = -1.0;
    for (int o = 0; o < 6; o++) {
        double likeness = 0.0;
        for (int a = 0; a < 3; a++) {
            likeness += fabs(source->axis[orders[o][a]][a]);
        }
        if (likeness > best) {
            best = likeness;
            memcpy(plan->from, orders[o], sizeof plan->from);
        }
    }
    plan->tilt_degrees = 0.0;
    for (int a = 0; a < 3; a++) {
        const double *axis = source->axis[plan->from[a]];
        const double along = axis[a];
        const double across = hypot(axis[(a + 1) % 3], axis[(a + 2) % 3]);
        plan->reversed[a] = along < 0.0;
        plan->tilt_degrees =
            fmax(plan->tilt_degrees, atan2(across, fabs(along)) * (180.0 / 3.14159265358979323846));
    }
}

/* The source's voxels in the order of the plan. */
static void order_grid(struct volume_grid *ret_grid, const struct orient_plan *plan)
{
    const struct volume_grid *source = &plan->source;
    double first[3] = {0.0, 0.0, 0.0};
    for (int a = 0; a < 3; a++) {
        const int32_t from = plan->from[a];
        ret_grid->dim[a] = source->dim[from];
        ret_grid->step[a] = source->step[from];
        first[from] = plan->reversed[a] ? source->dim[from] - 1 : 0;
        for (int x = 0; x < 3; x++) {
            ret_grid->axis[a][x] =
                plan->reversed[a] ? -source->axis[from][x] : source->axis[from][x];
        }
    }
    grid_find_position(ret_grid->origin, source, first);
}

/* Half of what the source takes up along patient axis x: to its outermost faces, to their voxels. */
struct reach {
    double faces[3], centres[3], centre[3];
};

static void find_reach(struct reach *ret_reach, const struct volume_grid *source)
{
    double middle[3];
    for (int a = 0; a < 3; a++) {
        middle[a] = (source->dim[a] - 1) * 0.5;
    }
    grid_find_position(ret_reach->centre, source, middle);
    for (int x = 0; x < 3; x++) {
        ret_reach->faces[x] = 0.0;
        ret_reach->centres[x] = 0.0;
        for (int a = 0; a < 3; a++) {
            const double step = fabs(source->axis[a][x]) * source->step[a];
            ret_reach->faces[x] += step * source->dim[a] * 0.5;
            ret_reach->centres[x] += step * middle[a];
        }
    }
}

/* Every voxel centre of the source lies between those of the grid, and its faces within the grid's. */
static double fit_dims(double dim[3], const struct reach *reach, const double step[3])
{
    double product = 1.0;
    for (int x = 0; x < 3; x++) {
        const double half = fmax(reach->faces[x] - step[x] * 0.5, reach->centres[x]);
        dim[x] = ceil(2.0 * half / step[x] - 1e-6) + 1.0;
        product *= dim[x];
    }
    return product;
}

/* Coarser steps until the grid has no more than three times the source's voxels. */
static void fit_steps(double dim[3], double step[3], const struct reach *reach,
                      const struct volume_grid *source)
{
    const double most = 3.0 * source->dim[0] * source->dim[1] * source->dim[2];
    double product = fit_dims(dim, reach, step);
    for (int tries = 0; product > most && tries < 64; tries++) {
        const double factor = fmax(cbrt(product / most), 1.01);
        for (int x = 0; x < 3; x++) {
            step[x] *= factor;
        }
        product = fit_dims(dim, reach, step);
    }
}

static double square_pixel(double a, double b)
{
    const double fine = fmin(a, b);
    return fine >= 1.0 ? fine : fmin(fmax(a, b), 1.0);
}

static void make_axial(struct volume_grid *ret_grid, const struct orient_plan *plan,
                       const struct grid_inverse *inverse)
{
    double step[3];
    double dim[3];
    for (int x = 0; x < 3; x++) {
        const double per_mm[3] = {inverse->per_mm[0][x], inverse->per_mm[1][x],
                                  inverse->per_mm[2][x]};
        step[x] = 1.0 / hypot(hypot(per_mm[0], per_mm[1]), per_mm[2]);
    }
    step[0] = square_pixel(step[0], step[1]);
    step[1] = step[0];
    struct reach reach;
    find_reach(&reach, &plan->source);
    fit_steps(dim, step, &reach, &plan->source);
    for (int x = 0; x < 3; x++) {
        ret_grid->dim[x] = (int32_t)dim[x];
        ret_grid->step[x] = step[x];
        ret_grid->origin[x] = reach.centre[x] - (dim[x] - 1.0) * 0.5 * step[x];
        for (int a = 0; a < 3; a++) {
            ret_grid->axis[a][x] = a == x ? 1.0 : 0.0;
        }
    }
}

/* Whether a grid in the plan's order can pass for an axial one as it is. */
static bool is_axial(const struct volume_grid *grid)
{
    double off = 0.0;
    for (int a = 0; a < 3; a++) {
        off = fmax(off, fabs(grid->axis[a][(a + 1) % 3]));
        off = fmax(off, fabs(grid->axis[a][(a + 2) % 3]));
    }
    return off <= 1e-4 && fabs(grid->step[0] - grid->step[1]) <= 1e-3 * grid->step[0];
}

static int check_grid(const struct volume_grid *grid, struct sctd_error *err)
{
    for (int a = 0; a < 3; a++) {
        if (grid->dim[a] < 1 || !isfinite(grid->origin[a])) {
            return sctd_error(err, SCTD_EDATA, "a grid of %d x %d x %d at %g, %g, %g mm",
                              grid->dim[0], grid->dim[1], grid->dim[2], grid->origin[0],
                              grid->origin[1], grid->origin[2]);
        }
    }
    return 0;
}

int orient_plan_make(struct orient_plan *ret_plan, const struct volume_grid *source,
                     double max_tilt_degrees, struct sctd_error *err)
{
    struct orient_plan plan = {.source = *source};
    struct grid_inverse inverse;
    int r = check_grid(source, err);
    if (r == 0) {
        r = grid_invert(&inverse, source, err);
    }
    if (r < 0) {
        return r;
    }
    find_order(&plan);
    order_grid(&plan.network, &plan);
    plan.resampled = plan.tilt_degrees > max_tilt_degrees;
    plan.axial_is_network = !plan.resampled && is_axial(&plan.network);
    if (plan.axial_is_network) {
        plan.axial = plan.network;
    } else {
        make_axial(&plan.axial, &plan, &inverse);
    }
    if (plan.resampled) {
        plan.network = plan.axial;
        plan.axial_is_network = true;
    }
    *ret_plan = plan;
    return 0;
}

int32_t orient_find_nearest(const struct orient_plan *plan, int32_t k)
{
    struct grid_inverse inverse;
    struct sctd_error ignored;
    if (grid_invert(&inverse, &plan->source, &ignored) < 0) {
        return 0; /* no plan has such a source */
    }
    double at[3] = {(plan->axial.dim[0] - 1) * 0.5, (plan->axial.dim[1] - 1) * 0.5, k};
    grid_find_position(at, &plan->axial, at);
    grid_find_index(at, &inverse, at);
    return (int32_t)fmin(fmax(nearbyint(at[2]), 0.0), plan->source.dim[2] - 1);
}

/* Moving voxels */

/* Where the voxels of one volume lie in another: out[i,j,k] = in[first + i*step[0] + ...]. */
struct walk {
    ptrdiff_t first, step[3];
};

static bool is_same_order(const struct orient_plan *plan)
{
    bool same = true;
    for (int a = 0; a < 3; a++) {
        same = same && plan->from[a] == a && !plan->reversed[a];
    }
    return same;
}

/* Through the axes of `in` in the order of those of `out`. */
static struct walk make_walk(const struct orient_plan *plan, bool to_network)
{
    const int32_t *dim = to_network ? plan->source.dim : plan->network.dim;
    const ptrdiff_t stride[3] = {1, dim[0], (ptrdiff_t)dim[0] * dim[1]};
    struct walk walk = {0};
    for (int a = 0; a < 3; a++) {
        const int in = to_network ? plan->from[a] : a;
        const int out = to_network ? a : plan->from[a];
        walk.step[out] = plan->reversed[a] ? -stride[in] : stride[in];
        walk.first += plan->reversed[a] ? (dim[in] - 1) * stride[in] : 0;
    }
    return walk;
}

static void reorder(struct volume *out, const float *in, const struct walk *walk)
{
    const int32_t *dim = out->grid.dim;
    float *to = out->voxel;
    for (int64_t row = 0; row < (int64_t)dim[1] * dim[2]; row++) {
        const int64_t j = row % dim[1];
        const int64_t k = row / dim[1];
        const float *from = in + walk->first + k * walk->step[2] + j * walk->step[1];
        for (int32_t i = 0; i < dim[0]; i++) {
            *to++ = from[i * walk->step[0]];
        }
    }
}

/* *volume becomes one on `grid`: by `walk` if it is not NULL, else resampled. */
static int replace(struct volume **volume, const struct volume_grid *grid, const struct walk *walk,
                   float outside, struct sctd_error *err)
{
    sctd_auto(volume_freep) struct volume *out = NULL;
    int r = volume_new(&out, grid, err);
    if (r == 0 && walk != NULL) {
        reorder(out, (*volume)->voxel, walk);
    } else if (r == 0) {
        r = resample_run(out->voxel, grid, *volume, outside, err);
    }
    if (r < 0) {
        return r;
    }
    volume_free(*volume);
    *volume = sctd_steal(&out);
    return 0;
}

int orient_to_network(struct volume **volume, const struct orient_plan *plan, float outside,
                      struct sctd_error *err)
{
    if (plan->resampled) {
        return replace(volume, &plan->network, NULL, outside, err);
    }
    if (is_same_order(plan)) {
        return 0;
    }
    const struct walk walk = make_walk(plan, true);
    return replace(volume, &plan->network, &walk, outside, err);
}

int orient_to_source(struct volume **volume, const struct orient_plan *plan, float outside,
                     struct sctd_error *err)
{
    if (plan->resampled) {
        return replace(volume, &plan->source, NULL, outside, err);
    }
    if (is_same_order(plan)) {
        return 0;
    }
    const struct walk walk = make_walk(plan, false);
    return replace(volume, &plan->source, &walk, outside, err);
}

int orient_to_axial(struct volume **volume, const struct orient_plan *plan, float outside,
                    struct sctd_error *err)
{
    return plan->axial_is_network ? 0 : replace(volume, &plan->axial, NULL, outside, err);
}
