/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/voxels.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

static const size_t sizes[VOXELS_TYPES] = {1, 1, 2, 2, 4, 4, 4, 8};

size_t voxels_type_size(enum voxels_type type)
{
    return sizes[type];
}

static uint64_t load(const unsigned char *in, size_t size, bool big_endian)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits = bits << 8 | in[big_endian ? i : size - 1 - i];
    }
    return bits;
}

static double read_one(const unsigned char *in, const struct voxels_format *format)
{
    const uint64_t bits = load(in, sizes[format->type], format->big_endian);
    const uint32_t low = (uint32_t)bits;
    float single;
    double number;
    switch (format->type) {
    case VOXELS_I8:
        return (int8_t)low;
    case VOXELS_I16:
        return (int16_t)low;
    case VOXELS_I32:
        return (int32_t)low;
    case VOXELS_F32:
        memcpy(&single, &low, sizeof single);
        return (double)single;
    case VOXELS_F64:
        memcpy(&number, &bits, sizeof number);
        return number;
    case VOXELS_U8:
    case VOXELS_U16:
    case VOXELS_U32:
    case VOXELS_TYPES:
        break;
    }
    return low;
}

int voxels_check_grid(struct volume_grid *grid, size_t *ret_n, struct sctd_error *err)
{
    size_t n = 1;
    for (int a = 0; a < 3; a++) {
        double *axis = grid->axis[a];
        const double step = sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]);
        if (grid->dim[a] < 1 || grid->dim[a] > VOXELS_SIDE_MAX) {
            return sctd_error(err, SCTD_EDATA, "%d voxels on axis %d: 1 to %d are possible",
                              grid->dim[a], a, VOXELS_SIDE_MAX);
        }
        if (!(step > 1e-6 && step < 1e6) || !(fabs(grid->origin[a]) < 1e9)) {
            return sctd_error(err, SCTD_EDATA,
                              "axis %d has a spacing of %g mm, and the origin lies at %g mm", a,
                              step, grid->origin[a]);
        }
        n *= (size_t)grid->dim[a];
        grid->step[a] = step;
        for (int x = 0; x < 3; x++) {
            axis[x] /= step;
        }
    }
    for (int a = 0; a < 3; a++) {
        const double *u = grid->axis[a];
        const double *v = grid->axis[(a + 1) % 3];
        if (!(fabs(u[0] * v[0] + u[1] * v[1] + u[2] * v[2]) < 1e-4)) {
            return sctd_error(err, SCTD_EDATA, "axes %d and %d are not at right angles", a,
                              (a + 1) % 3);
        }
    }
    if (n > VOXELS_COUNT_MAX) {
        return sctd_error(err, SCTD_EDATA, "%zu voxels: at most %zu are possible", n,
                          VOXELS_COUNT_MAX);
    }
    *ret_n = n;
    return 0;
}

int voxels_decode(struct volume **ret_volume, const struct volume_grid *grid,
                  const struct voxels_format *format, const void *in, size_t size,
                  struct sctd_error *err)
{
    sctd_auto(volume_freep) struct volume *volume = NULL;
    struct volume_grid checked = *grid;
    const size_t one = sizes[format->type];
    size_t n = 0;
    int r = voxels_check_grid(&checked, &n, err);
    if (r < 0) {
        return r;
    }
    if (size / one < n) {
        return sctd_error(err, SCTD_EDATA, "%zu bytes are too few for %d x %d x %d voxels of %zu",
                          size, grid->dim[0], grid->dim[1], grid->dim[2], one);
    }
    r = volume_new(&volume, &checked, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const double value = read_one((const unsigned char *)in + i * one, format);
        volume->voxel[i] = (float)(value * format->slope + format->intercept);
        if (!isfinite(volume->voxel[i])) {
            r = sctd_error(err, SCTD_EDATA, "voxel %zu is not finite", i);
        }
    }
    if (r == 0) {
        *ret_volume = sctd_steal(&volume);
    }
    return r;
}
