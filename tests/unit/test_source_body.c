/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/base/volume.h"
#include "engine/image/source_body.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 40, ROWS = 32, SLICES = 6, VOXELS = COLUMNS * ROWS * SLICES };

static struct sctd_error err;
static const double step[3] = {1.0, 1.0, 3.0};
static const double clip[2] = {0.0, 1000.0};
static const struct made_box body = {{8, 6, 0}, {31, 25, SLICES - 1}};

static size_t count(const uint8_t *flags, int bit)
{
    size_t n = 0;
    for (size_t at = 0; at < VOXELS; at++) {
        n += (flags[at] & bit) != 0 ? 1 : 0;
    }
    return n;
}

/* Background with noise; a body of dim and of bright tissue, with a dark cavity in its middle. */
static struct volume *make_mr(double noise)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    struct volume *v = made_volume(&grid, 0.0F);
    struct sctd_rng rng = {5};
    const struct made_box bright = {{10, 8, 0}, {20, 23, SLICES - 1}};
    const struct made_box cavity = {{22, 12, 1}, {27, 18, 4}};
    made_fill(v, &body, 220.0F);
    made_fill(v, &bright, 900.0F);
    made_fill(v, &cavity, 0.0F);
    for (size_t at = 0; at < VOXELS; at++) {
        const double a = (double)v->voxel[at] + noise * (double)sctd_rng_normal(&rng);
        v->voxel[at] = (float)hypot(a, noise * (double)sctd_rng_normal(&rng));
    }
    return v;
}

/* Whether the found body is the made one but for the outermost pixels, which smoothing may move. */
static void compare(const uint8_t *flags)
{
    for (int32_t at = 0; at < VOXELS; at++) {
        const int32_t i = at % COLUMNS;
        const int32_t j = at / COLUMNS % ROWS;
        const bool is_deep = i > 8 && i < 31 && j > 6 && j < 25;
        const bool is_far = i < 7 || i > 32 || j < 5 || j > 26;
        const bool is_in = (flags[at] & SOURCE_BODY_INSIDE) != 0;
        assert(!is_deep || is_in);
        assert(!is_far || !is_in);
    }
}

static void dim_tissue_and_enclosed_cavities_belong_to_the_body(double noise)
{
    uint8_t flags[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make_mr(noise);
    assert(source_body_find(flags, v, clip, 2, NULL, &err) == 0);
    compare(flags);
    const size_t centre = made_index(&v->grid, 24, 15, 2);
    assert(flags[centre] == SOURCE_BODY_INSIDE); /* it is no tissue */
    assert((flags[made_index(&v->grid, 28, 22, 2)] & SOURCE_BODY_TISSUE) != 0);
}

static void what_is_apart_is_no_body_but_tissue(void)
{
    uint8_t flags[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make_mr(0.0);
    made_fill(v, &(struct made_box){{1, 1, 0}, {4, 3, SLICES - 1}}, 900.0F);
    assert(source_body_find(flags, v, clip, 2, NULL, &err) == 0);
    assert(flags[made_index(&v->grid, 2, 2, 2)] == SOURCE_BODY_TISSUE);
}

static void scale_of_the_intensities_does_not_matter(void)
{
    uint8_t flags[VOXELS];
    uint8_t scaled[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make_mr(20.0);
    assert(source_body_find(flags, v, clip, 2, NULL, &err) == 0);
    for (size_t at = 0; at < VOXELS; at++) {
        v->voxel[at] = v->voxel[at] * 4.0F + 64.0F;
    }
    assert(source_body_find(scaled, v, (const double[]){64.0, 4064.0}, 2, NULL, &err) == 0);
    size_t apart = 0;
    for (size_t at = 0; at < VOXELS; at++) {
        apart += flags[at] != scaled[at] ? 1 : 0;
    }
    assert(apart <= 2); /* rounding at the border of a bin */
}

static void planes_across_another_axis_enclose_other_things(void)
{
    uint8_t flags[VOXELS];
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    sctd_auto(volume_freep) struct volume *v = made_volume(&grid, -1000.0F);
    made_fill(v, &body, 0.0F);
    /* a tunnel through rows: open in slices, closed in planes across the rows */
    made_fill(v, &(struct made_box){{15, 6, 2}, {18, 25, 3}}, -1000.0F);
    assert(source_body_find(flags, v, NULL, 2, NULL, &err) == 0);
    assert(flags[made_index(&grid, 16, 15, 2)] == 0);
    assert(source_body_find(flags, v, NULL, 1, NULL, &err) == 0);
    assert(flags[made_index(&grid, 16, 15, 2)] == SOURCE_BODY_INSIDE);
    assert(source_body_find(flags, v, NULL, 0, NULL, &err) == 0);
    assert(flags[made_index(&grid, 16, 15, 2)] == 0);
}

static void nothing_but_background_has_no_body(void)
{
    uint8_t flags[VOXELS];
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    sctd_auto(volume_freep) struct volume *v = made_volume(&grid, 0.0F);
    assert(source_body_find(flags, v, clip, 2, NULL, &err) == SOURCE_BODY_NONE);
    assert(count(flags, 3) == 0);
    for (size_t at = 0; at < VOXELS; at++) {
        v->voxel[at] = -1000.0F;
    }
    assert(source_body_find(flags, v, NULL, 2, NULL, &err) == SOURCE_BODY_NONE);
    assert(count(flags, 3) == 0);
}

static void values_that_are_no_numbers_are_background(void)
{
    uint8_t flags[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make_mr(0.0);
    v->voxel[made_index(&v->grid, 2, 2, 0)] = NAN;
    assert(source_body_find(flags, v, clip, 2, NULL, &err) == 0);
    compare(flags);
}

int main(void)
{
    dim_tissue_and_enclosed_cavities_belong_to_the_body(0.0);
    dim_tissue_and_enclosed_cavities_belong_to_the_body(25.0);
    what_is_apart_is_no_body_but_tissue();
    scale_of_the_intensities_does_not_matter();
    planes_across_another_axis_enclose_other_things();
    nothing_but_background_has_no_body();
    values_that_are_no_numbers_are_background();
    return 0;
}
