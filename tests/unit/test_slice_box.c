/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>

#include "engine/base/volume.h"
#include "engine/image/slice_box.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 20, ROWS = 12 };

static const double step[3] = {2.0, 1.0, 1.0};

static void box_holds_what_has_the_bit(void)
{
    const int32_t dim[3] = {COLUMNS, ROWS, 1};
    uint8_t slice[COLUMNS * ROWS] = {0};
    struct slice_box box = {{-7, -7}, {-7, -7}};
    assert(!slice_box_find(&box, slice, dim) && box.low[0] == -7);
    slice[3 * COLUMNS + 5] = 1;
    slice[9 * COLUMNS + 2] = 3;
    slice[11 * COLUMNS + 19] = 2;
    assert(slice_box_find(&box, slice, dim));
    assert(box.low[0] == 2 && box.high[0] == 5 && box.low[1] == 3 && box.high[1] == 9);
}

static void wider_boxes_end_at_the_image(void)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, 1, step);
    const struct slice_box box = {{5, 5}, {6, 7}};
    struct slice_box wide = slice_box_widen(&box, &grid, 3.0);
    assert(wide.low[0] == 2 && wide.high[0] == 9); /* 2 pixels and 1 */
    assert(wide.low[1] == 1 && wide.high[1] == 11);
    wide = slice_box_widen(&box, &grid, 1e12);
    assert(wide.low[0] == 0 && wide.high[0] == COLUMNS - 1 && wide.high[1] == ROWS - 1);
}

int main(void)
{
    box_holds_what_has_the_bit();
    wider_boxes_end_at_the_image();
    return 0;
}
