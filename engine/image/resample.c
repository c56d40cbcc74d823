/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/resample.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/grid.h"

/* An index that rounding has moved off a voxel centre, or off the border, by this much is on it. */
static const double tolerance = 1e-7;

/* The two voxels of an axis that an index lies between. */
struct span {
    size_t low, high; /* offsets of voxels */
    float beyond;     /* 0 at the lower, 1 at the upper */
};

static bool find_span(struct span *ret_span, double index, int32_t dim, size_t stride)
{
    const double last = (double)dim - 1.0;
    if (!(index >= -0.5 - tolerance) || !(index <= last + 0.5 + tolerance)) {
        return false;
    }
    const double whole = nearbyint(index);
    double at = fabs(index - whole) < tolerance ? whole : index;
    at = fmin(fmax(at, 0.0), last);
    const size_t low = (size_t)at;
    const size_t high = low + 1 < (size_t)dim ? low + 1 : low;
    *ret_span = (struct span){low * stride, high * stride, (float)(at - (double)low)};
    return true;
}

static float between(float low, float high, float beyond)
{
    return low + beyond * (high - low);
}

static float interpolate(const float *voxel, const struct span at[3])
{
    float plane[2];
    for (int k = 0; k < 2; k++) {
        const float *slice = voxel + (k == 0 ? at[2].low : at[2].high);
        const float *upper = slice + at[1].low;
        const float *lower = slice + at[1].high;
        plane[k] =
            between(between(upper[at[0].low], upper[at[0].high], at[0].beyond),
                    between(lower[at[0].low], lower[at[0].high], at[0].beyond), at[1].beyond);
    }
    return between(plane[0], plane[1], at[2].beyond);
}

typedef float (*sample_fn)(const struct volume *in, const double index[3], float outside);

static float sample_nearest(const struct volume *in, const double index[3], float outside)
{
    size_t at[3];
    for (int a = 0; a < 3; a++) {
        const double last = (double)in->grid.dim[a] - 1.0;
        if (!(index[a] >= -0.5 - tolerance) || !(index[a] <= last + 0.5 + tolerance)) {
            return outside;
        }
        at[a] = (size_t)fmin(fmax(nearbyint(index[a]), 0.0), last);
    }
    return in->voxel[(at[2] * (size_t)in->grid.dim[1] + at[1]) * (size_t)in->grid.dim[0] + at[0]];
}

static float sample_linear(const struct volume *in, const double index[3], float outside)
{
    const int32_t *dim = in->grid.dim;
    const size_t row = (size_t)dim[0];
    struct span at[3];
    if (find_span(&at[0], index[0], dim[0], 1) && find_span(&at[1], index[1], dim[1], row) &&
        find_span(&at[2], index[2], dim[2], row * (size_t)dim[1])) {
        return interpolate(in->voxel, at);
    }
    return outside;
}

static int run(float *out, const struct volume_grid *grid, const struct volume *in, float outside,
               sample_fn sample, struct sctd_error *err)
{
    struct grid_inverse inverse;
    int r = grid_invert(&inverse, &in->grid, err);
    if (r < 0) {
        return r;
    }
    double step[3];
    const double along_row[3] = {grid->step[0] * grid->axis[0][0], grid->step[0] * grid->axis[0][1],
                                 grid->step[0] * grid->axis[0][2]};
    grid_turn_vector(step, &inverse, along_row);
    for (int64_t row = 0; row < (int64_t)grid->dim[1] * grid->dim[2]; row++) {
        const int32_t j = (int32_t)(row % grid->dim[1]);
        const int32_t k = (int32_t)(row / grid->dim[1]);
        double start[3] = {0.0, j, k};
        grid_find_position(start, grid, start);
        grid_find_index(start, &inverse, start);
        for (int32_t i = 0; i < grid->dim[0]; i++) {
            const double index[3] = {start[0] + i * step[0], start[1] + i * step[1],
                                     start[2] + i * step[2]};
            *out++ = sample(in, index, outside);
        }
    }
    return 0;
}

int resample_run(float *out, const struct volume_grid *grid, const struct volume *in, float outside,
                 struct sctd_error *err)
{
    return run(out, grid, in, outside, sample_linear, err);
}

int resample_run_nearest(float *out, const struct volume_grid *grid, const struct volume *in,
                         float outside, struct sctd_error *err)
{
    return run(out, grid, in, outside, sample_nearest, err);
}
