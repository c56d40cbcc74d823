/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/resample.h"

static const struct volume_grid straight = {
    .dim = {4, 5, 6},
    .step = {1.0, 1.0, 1.0},
    .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}},
};

static struct volume *made(const struct volume_grid *grid)
{
    struct sctd_error err = {0};
    struct volume *v = NULL;
    assert(volume_new(&v, grid, &err) == 0);
    for (int i = 0; i < grid->dim[0] * grid->dim[1] * grid->dim[2]; i++) {
        v->voxel[i] = (float)(i * 37 % 101);
    }
    return v;
}

static void values_on_an_oblique_grid_are_those_of_itk(void)
{
    /* SimpleITK 2.3.1: ResampleImageFilter, sitkLinear, default pixel value -7, output in double. */
    static const double expected[48] = {-7.0,
                                        62.46273782861782,
                                        48.50146145307029,
                                        36.67162444350176,
                                        58.44196543527304,
                                        45.994212239707714,
                                        58.72859910197802,
                                        49.972616042449424,
                                        49.770464043210964,
                                        38.64317251972295,
                                        48.859023196765776,
                                        -7.0,
                                        -7.0,
                                        82.42884176393746,
                                        -7.0,
                                        -7.0,
                                        51.330199442435585,
                                        60.777307965933794,
                                        58.66417384384349,
                                        -7.0,
                                        29.13728157838937,
                                        60.7961920325837,
                                        50.816289940700685,
                                        -7.0,
                                        65.23716993259424,
                                        44.810831449949525,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        47.23441421875809,
                                        30.590303593933825,
                                        -7.0,
                                        -7.0,
                                        45.782859749802675,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0,
                                        -7.0};
    struct sctd_error err = {0};
    const struct volume_grid oblique = {
        .dim = {4, 5, 6},
        .step = {0.7, 1.1, 2.5},
        .origin = {-10.25, 20.5, -3.0},
        .axis = {{0.860089338205, 0.406489135086, 0.308241647677},
                 {-0.46986894695, 0.866534101318, 0.168350301293},
                 {-0.198669330795, -0.289629477626, 0.936293363584}},
    };
    struct volume_grid grid = straight;
    grid.dim[1] = 4;
    grid.dim[2] = 3;
    grid.step[1] = 1.5;
    grid.step[2] = 3.0;
    grid.origin[0] = -12.0;
    grid.origin[1] = 21.0;
    grid.origin[2] = -1.5;
    sctd_auto(volume_freep) struct volume *v = made(&oblique);
    float out[48];
    assert(resample_run(out, &grid, v, -7.0F, &err) == 0);
    for (int i = 0; i < 48; i++) {
        assert(fabs((double)out[i] - expected[i]) < 1e-4);
    }
}

static void voxel_centres_keep_their_values_exactly(void)
{
    struct sctd_error err = {0};
    struct volume_grid grid = straight;
    grid.step[0] = 0.7000000000000001; /* no rounding of the way there and back shows */
    grid.step[2] = 1.0 / 3.0;
    grid.origin[0] = 123.456;
    grid.axis[0][0] = 0.6;
    grid.axis[0][1] = 0.8;
    grid.axis[1][0] = -0.8;
    grid.axis[1][1] = 0.6;
    sctd_auto(volume_freep) struct volume *v = made(&grid);
    v->voxel[7] = -1e30F;
    float out[4 * 5 * 6];
    assert(resample_run(out, &grid, v, -7.0F, &err) == 0);
    for (int i = 0; i < 4 * 5 * 6; i++) {
        assert(out[i] == v->voxel[i]);
    }
}

static void border_holds_for_half_a_voxel_and_no_farther(void)
{
    struct sctd_error err = {0};
    sctd_auto(volume_freep) struct volume *v = made(&straight);
    struct volume_grid grid = straight;
    grid.dim[0] = 8;
    grid.dim[1] = 1;
    grid.dim[2] = 1;
    grid.origin[0] = -0.75;
    grid.step[0] = 0.75; /* -0.75, 0, 0.75, 1.5, 2.25, 3, 3.75, 4.5 */
    float out[8];
    assert(resample_run(out, &grid, v, -7.0F, &err) == 0);
    const float expected[8] = {-7.0F, 0.0F, 27.75F, 55.5F, 58.0F, 10.0F, -7.0F, -7.0F};
    for (int i = 0; i < 8; i++) {
        assert(out[i] == expected[i]);
    }
    grid.origin[0] = -0.5;
    grid.step[0] = 4.0; /* -0.5 and 3.5 */
    assert(resample_run(out, &grid, v, -7.0F, &err) == 0);
    assert(out[0] == 0.0F && out[1] == 10.0F && out[2] == -7.0F);
}

static void single_slice_is_as_thick_as_its_step(void)
{
    struct sctd_error err = {0};
    struct volume_grid flat = straight;
    flat.dim[2] = 1;
    flat.step[2] = 4.0;
    sctd_auto(volume_freep) struct volume *v = made(&flat);
    struct volume_grid grid = straight;
    grid.dim[0] = 1;
    grid.dim[1] = 1;
    grid.origin[0] = 1.0;
    grid.origin[2] = -3.0;
    float out[6]; /* at z -3 ... 2 */
    assert(resample_run(out, &grid, v, -7.0F, &err) == 0);
    assert(out[0] == -7.0F);
    for (int i = 1; i < 6; i++) {
        assert(out[i] == 37.0F);
    }
}

static void volume_without_geometry_is_refused(void)
{
    struct sctd_error err = {0};
    struct volume_grid grid = straight;
    grid.axis[0][0] = 0.0;
    sctd_auto(volume_freep) struct volume *v = made(&grid);
    float out[1] = {0.0F};
    assert(resample_run(out, &straight, v, 0.0F, &err) == SCTD_EDATA);
}

int main(void)
{
    values_on_an_oblique_grid_are_those_of_itk();
    voxel_centres_keep_their_values_exactly();
    border_holds_for_half_a_voxel_and_no_farther();
    single_slice_is_as_thick_as_its_step();
    volume_without_geometry_is_refused();
    return 0;
}
