/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/slice_box.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/volume.h"

static int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int32_t most(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static void widen_by_row(struct slice_box *box, const uint8_t *row, int32_t columns, int32_t j)
{
    for (int32_t i = 0; i < columns; i++) {
        if ((row[i] & 1) != 0) {
            box->low[0] = least(box->low[0], i);
            box->high[0] = most(box->high[0], i);
            box->low[1] = least(box->low[1], j);
            box->high[1] = j;
        }
    }
}

bool slice_box_find(struct slice_box *ret_box, const uint8_t *slice, const int32_t dim[3])
{
    struct slice_box box = {{dim[0], dim[1]}, {-1, -1}};
    for (int32_t j = 0; j < dim[1]; j++) {
        widen_by_row(&box, slice + (size_t)j * (size_t)dim[0], dim[0], j);
    }
    if (box.high[0] < 0) {
        return false;
    }
    *ret_box = box;
    return true;
}

struct slice_box slice_box_widen(const struct slice_box *box, const struct volume_grid *grid,
                                 double by_mm)
{
    struct slice_box wide = *box;
    for (int a = 0; a < 2; a++) {
        const double pixels = fmin(ceil(by_mm / grid->step[a]), (double)grid->dim[a]);
        const int32_t by = (int32_t)pixels + 1;
        wide.low[a] = most(box->low[a] - by, 0);
        wide.high[a] = least(box->high[a] + by, grid->dim[a] - 1);
    }
    return wide;
}
