/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/grid.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

void grid_find_position(double ret_mm[3], const struct volume_grid *grid, const double index[3])
{
    double mm[3];
    for (int x = 0; x < 3; x++) {
        mm[x] = grid->origin[x];
        for (int a = 0; a < 3; a++) {
            mm[x] += index[a] * grid->step[a] * grid->axis[a][x];
        }
    }
    for (int x = 0; x < 3; x++) {
        ret_mm[x] = mm[x];
    }
}

static void cross(double ret[3], const double a[3], const double b[3])
{
    ret[0] = a[1] * b[2] - a[2] * b[1];
    ret[1] = a[2] * b[0] - a[0] * b[2];
    ret[2] = a[0] * b[1] - a[1] * b[0];
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

int grid_invert(struct grid_inverse *ret_inverse, const struct volume_grid *grid,
                struct sctd_error *err)
{
    struct grid_inverse inverse = {.origin = {grid->origin[0], grid->origin[1], grid->origin[2]}};
    for (int a = 0; a < 3; a++) {
        cross(inverse.per_mm[a], grid->axis[(a + 1) % 3], grid->axis[(a + 2) % 3]);
    }
    const double volume = dot(grid->axis[0], inverse.per_mm[0]); /* of the three axes: 1 or -1 */
    if (!(fabs(volume) > 1e-3)) {
        return sctd_error(err, SCTD_EDATA, "the axes of a grid lie in one plane");
    }
    for (int a = 0; a < 3; a++) {
        if (!(grid->step[a] > 0.0) || !isfinite(grid->step[a])) {
            return sctd_error(err, SCTD_EDATA, "a voxel spacing of %g mm", grid->step[a]);
        }
        for (int x = 0; x < 3; x++) {
            inverse.per_mm[a][x] /= volume * grid->step[a];
        }
    }
    *ret_inverse = inverse;
    return 0;
}

void grid_turn_vector(double ret_index[3], const struct grid_inverse *inverse, const double mm[3])
{
    const double v[3] = {mm[0], mm[1], mm[2]};
    for (int a = 0; a < 3; a++) {
        ret_index[a] = dot(inverse->per_mm[a], v);
    }
}

void grid_find_index(double ret_index[3], const struct grid_inverse *inverse, const double mm[3])
{
    const double from_origin[3] = {mm[0] - inverse->origin[0], mm[1] - inverse->origin[1],
                                   mm[2] - inverse->origin[2]};
    grid_turn_vector(ret_index, inverse, from_origin);
}

bool grid_is_same(const struct volume_grid *a, const struct volume_grid *b, double within_mm)
{
    if (memcmp(a->dim, b->dim, sizeof a->dim) != 0) {
        return false;
    }
    double off = 0.0;
    for (int corner = 0; corner < 8; corner++) {
        double index[3];
        double at[2][3];
        for (int i = 0; i < 3; i++) {
            index[i] = (corner >> i & 1) * (double)(a->dim[i] - 1);
        }
        grid_find_position(at[0], a, index);
        grid_find_position(at[1], b, index);
        for (int x = 0; x < 3; x++) {
            off = fmax(off, fabs(at[0][x] - at[1][x]));
        }
    }
    return off <= within_mm;
}
