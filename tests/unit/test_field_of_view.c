/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/volume.h"
#include "engine/image/field_of_view.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 12, ROWS = 10, SLICES = 8, VOXELS = COLUMNS * ROWS * SLICES };

static const double step[3] = {1.0, 1.0, 1.0};

static struct field_of_view find(const struct made_box *box, int axis)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    uint8_t mask[VOXELS] = {0};
    made_mark(mask, &grid, box, 3);
    return field_of_view_find(mask, grid.dim, axis, NULL);
}

static bool is_near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

static void body_within_the_image_is_not_cut_off(void)
{
    const struct made_box box = {{1, 1, 1}, {10, 8, 6}};
    for (int axis = 0; axis < 3; axis++) {
        assert(is_near(find(&box, axis).percent, 0.0));
    }
}

static void ends_along_the_body_do_not_count(void)
{
    assert(is_near(find(&(struct made_box){{1, 1, 0}, {10, 8, 7}}, 2).percent, 0.0));
    assert(is_near(find(&(struct made_box){{0, 1, 1}, {11, 8, 6}}, 0).percent, 0.0));
    assert(is_near(find(&(struct made_box){{1, 0, 1}, {10, 9, 6}}, 1).percent, 0.0));
}

static void share_of_the_outline_is_counted(void)
{
    /* 6 x 5 pixels at the left face: an outline of 18, 5 of them cut off */
    const struct field_of_view found = find(&(struct made_box){{0, 2, 2}, {5, 6, 4}}, 2);
    assert(is_near(found.percent, 100.0 * 5 / 18) && found.plane == 2);
    /* along another axis: planes of 6 x 3, all at the face that is across it now */
    assert(is_near(find(&(struct made_box){{0, 2, 2}, {5, 6, 4}}, 0).percent, 0.0));
    assert(is_near(find(&(struct made_box){{0, 2, 2}, {5, 6, 4}}, 1).percent, 100.0 * 3 / 14));
}

static void full_image_is_all_cut_off_and_empty_one_is_not(void)
{
    const struct made_box all = {{0, 0, 0}, {COLUMNS - 1, ROWS - 1, SLICES - 1}};
    uint8_t mask[VOXELS] = {0};
    const int32_t dim[3] = {COLUMNS, ROWS, SLICES};
    assert(is_near(find(&all, 2).percent, 100.0));
    assert(is_near(field_of_view_find(mask, dim, 2, NULL).percent, 0.0));
}

static void axis_is_the_one_nearest_to_head_and_feet(void)
{
    struct volume_grid grid = made_grid(3, 3, 3, step);
    assert(field_of_view_find_axis(&grid) == 2);
    const struct volume_grid sagittal = {
        .axis = {{0.0, 0.9848, -0.1736}, {0.0, -0.1736, -0.9848}, {-1.0, 0.0, 0.0}}};
    assert(field_of_view_find_axis(&sagittal) == 1);
    const struct volume_grid turned = {.axis = {{0.0, 0.0, 1.0}, {1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}}};
    assert(field_of_view_find_axis(&turned) == 0);
}

int main(void)
{
    body_within_the_image_is_not_cut_off();
    ends_along_the_body_do_not_count();
    share_of_the_outline_is_counted();
    full_image_is_all_cut_off_and_empty_one_is_not();
    axis_is_the_one_nearest_to_head_and_feet();
    return 0;
}
