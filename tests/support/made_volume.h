/* made_volume.h - volumes for tests: axial unless a test turns them. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

static inline struct volume_grid made_grid(int32_t columns, int32_t rows, int32_t slices,
                                           const double step[3])
{
    const struct volume_grid grid = {
        .dim = {columns, rows, slices},
        .step = {step[0], step[1], step[2]},
        .origin = {-100.0, -50.0, 20.0},
        .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}},
    };
    return grid;
}

static inline size_t made_count(const struct volume_grid *grid)
{
    return (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
}

static inline size_t made_index(const struct volume_grid *grid, int32_t i, int32_t j, int32_t k)
{
    return ((size_t)k * (size_t)grid->dim[1] + (size_t)j) * (size_t)grid->dim[0] + (size_t)i;
}

/* Filled with `value`; the caller frees it. */
static inline struct volume *made_volume(const struct volume_grid *grid, float value)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct volume *v = NULL;
    int r = volume_new(&v, grid, &err);
    assert(r == 0);
    for (size_t at = 0; at < made_count(grid); at++) {
        v->voxel[at] = value;
    }
    return v;
}

/* From voxel `low` to voxel `high`, both included. */
struct made_box {
    int32_t low[3], high[3];
};

static inline void made_fill(struct volume *v, const struct made_box *box, float value)
{
    for (int32_t k = box->low[2]; k <= box->high[2]; k++) {
        for (int32_t j = box->low[1]; j <= box->high[1]; j++) {
            for (int32_t i = box->low[0]; i <= box->high[0]; i++) {
                v->voxel[made_index(&v->grid, i, j, k)] = value;
            }
        }
    }
}

static inline void made_mark(uint8_t *mask, const struct volume_grid *grid,
                             const struct made_box *box, uint8_t value)
{
    for (int32_t k = box->low[2]; k <= box->high[2]; k++) {
        for (int32_t j = box->low[1]; j <= box->high[1]; j++) {
            for (int32_t i = box->low[0]; i <= box->high[0]; i++) {
                mask[made_index(grid, i, j, k)] = value;
            }
        }
    }
}
