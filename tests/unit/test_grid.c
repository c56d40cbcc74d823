/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/grid.h"

static const struct volume_grid oblique = {
    .dim = {4, 5, 6},
    .step = {0.5, 2.0, 3.0},
    .origin = {-100.0, 20.0, 7.0},
    .axis = {{0.6, 0.8, 0.0}, {0.0, 0.0, -1.0}, {-0.8, 0.6, 0.0}},
};

static void position_is_the_origin_and_the_steps_along_the_axes(void)
{
    double mm[3] = {2.0, 3.0, 4.0};
    grid_find_position(mm, &oblique, mm); /* in place */
    assert(fabs(mm[0] - (-100.0 + 2 * 0.5 * 0.6 - 4 * 3.0 * 0.8)) < 1e-12);
    assert(fabs(mm[1] - (20.0 + 2 * 0.5 * 0.8 + 4 * 3.0 * 0.6)) < 1e-12);
    assert(fabs(mm[2] - (7.0 - 3 * 2.0)) < 1e-12);
}

static void index_of_a_position_is_the_index_it_came_from(void)
{
    struct sctd_error err = {0};
    struct grid_inverse inverse;
    struct volume_grid grid = oblique;
    grid.axis[0][2] = 1e-4; /* not quite at right angles, as headers round them */
    assert(grid_invert(&inverse, &grid, &err) == 0);
    const double index[3] = {511.0, -0.25, 300.0};
    double back[3];
    grid_find_position(back, &grid, index);
    grid_find_index(back, &inverse, back);
    for (int a = 0; a < 3; a++) {
        assert(fabs(back[a] - index[a]) < 1e-9);
    }
}

static void vector_turns_without_the_origin(void)
{
    struct sctd_error err = {0};
    struct grid_inverse inverse;
    assert(grid_invert(&inverse, &oblique, &err) == 0);
    double v[3] = {0.0, 0.0, -4.0};
    grid_turn_vector(v, &inverse, v);
    assert(fabs(v[0]) < 1e-12 && fabs(v[1] - 2.0) < 1e-12 && fabs(v[2]) < 1e-12);
}

static void grid_without_inverse_is_refused(void)
{
    struct sctd_error err = {0};
    struct grid_inverse inverse;
    struct volume_grid grid = oblique;
    grid.axis[2][0] = 0.6; /* axis 2 is axis 0 */
    grid.axis[2][1] = 0.8;
    assert(grid_invert(&inverse, &grid, &err) == SCTD_EDATA);
    static const double bad_steps[] = {0.0, -1.0, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        grid = oblique;
        grid.step[1] = bad_steps[i];
        assert(grid_invert(&inverse, &grid, &err) == SCTD_EDATA);
    }
    grid = oblique;
    grid.axis[1][2] = NAN;
    assert(grid_invert(&inverse, &grid, &err) == SCTD_EDATA);
}

static void same_grids_hold_the_same_places(void)
{
    const struct volume_grid grid = {.dim = {256, 256, 100},
                                     .step = {1.0, 1.0, 2.0},
                                     .origin = {-128.0, -128.0, 0.0},
                                     .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}}};
    struct volume_grid other = grid;
    assert(grid_is_same(&grid, &other, 0.0));
    other.dim[2]--;
    assert(!grid_is_same(&grid, &other, 1e9));
    other = grid;
    other.origin[1] += 0.02;
    assert(grid_is_same(&grid, &other, 0.021) && !grid_is_same(&grid, &other, 0.019));
    /* What is nothing at the origin adds up to the far corner: 255 steps, or a turn. */
    other = grid;
    other.step[0] += 0.0001;
    assert(grid_is_same(&grid, &other, 0.026) && !grid_is_same(&grid, &other, 0.025));
    other = grid;
    other.axis[0][1] = 1e-4;
    assert(grid_is_same(&grid, &other, 0.026) && !grid_is_same(&grid, &other, 0.025));
}

int main(void)
{
    same_grids_hold_the_same_places();
    position_is_the_origin_and_the_steps_along_the_axes();
    index_of_a_position_is_the_index_it_came_from();
    vector_turns_without_the_origin();
    grid_without_inverse_is_refused();
    return 0;
}
