/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/orient.h"
#include "engine/image/outline.h"
#include "engine/image/percentile.h"
#include "engine/image/resize.h"
#include "engine/image/scale.h"

#include "tests/support/torture.h"

static int find_percentiles(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    double found[2] = {0};
    const float value[3] = {1.0F, 2.0F, 3.0F};
    return percentile_find(found, (const double[]){1.0, 99.0}, value, 3, &err);
}

static int make_resize(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    sctd_auto(resize_freep) struct resize *resize = NULL;
    return resize_new(&resize, (struct resize_size){3, 4}, (struct resize_size){5, 6}, &err);
}

static int turn_there_and_back(void *arg)
{
    const double *max_tilt = arg;
    struct sctd_error err = {0};
    struct orient_plan plan;
    sctd_auto(volume_freep) struct volume *v = NULL;
    const struct volume_grid sagittal = {
        .dim = {3, 4, 2},
        .step = {1.0, 1.0, 2.0},
        .axis = {{0.0, 0.8, 0.6}, {0.0, 0.6, -0.8}, {-1.0, 0.0, 0.0}},
    };
    int r = volume_new(&v, &sagittal, &err);
    if (r == 0) {
        r = orient_plan_make(&plan, &sagittal, *max_tilt, &err);
    }
    if (r == 0) {
        r = orient_to_network(&v, &plan, 0.0F, &err);
    }
    if (r == 0) {
        r = orient_to_axial(&v, &plan, 0.0F, &err);
    }
    return r;
}

static int scale_a_slice(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    const float in[6] = {0.0F};
    float out[2];
    return scale_run(out, (struct resize_size){1, 2}, in, (struct resize_size){2, 3}, &err);
}

static int draw_an_outline(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    const float in[6] = {0.0F};
    bool out[6];
    return outline_find(out, in, (struct resize_size){2, 3}, OUTLINE_BODY_HU, &err);
}

int main(void)
{
    double all = 45.0;
    double none = 0.0;
    assert(torture_run(turn_there_and_back, &all) == 6);
    assert(torture_run(turn_there_and_back, &none) == 4);
    assert(torture_run(find_percentiles, NULL) == 1);
    assert(torture_run(make_resize, NULL) == 3);
    assert(torture_run(scale_a_slice, NULL) == 5);
    assert(torture_run(draw_an_outline, NULL) == 2);
    return 0;
}
