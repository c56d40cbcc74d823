/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/hole.h"

#include "tests/support/made_volume.h"

enum { COLUMNS = 20, ROWS = 18, SLICES = 8, VOXELS = COLUMNS * ROWS * SLICES };

static struct sctd_error err;
static const double step[3] = {2.0, 1.5, 3.0}; /* 9 mm^3 */

static struct hole find(const struct volume *v, const struct made_box *tissue)
{
    uint8_t mask[VOXELS] = {0};
    struct hole hole = {0};
    made_mark(mask, &v->grid, tissue, 1);
    assert(hole_find(&hole, v, mask, NULL, &err) == 0);
    return hole;
}

static const struct made_box everywhere = {{0, 0, 0}, {COLUMNS - 1, ROWS - 1, SLICES - 1}};

static struct volume *make(void)
{
    const struct volume_grid grid = made_grid(COLUMNS, ROWS, SLICES, step);
    return made_volume(&grid, 40.0F);
}

static void void_counts_less_its_outermost_voxels(void)
{
    sctd_auto(volume_freep) struct volume *v = make();
    made_fill(v, &(struct made_box){{4, 5, 2}, {9, 9, 5}}, -900.0F); /* 6 x 5 x 4 */
    const struct hole hole = find(v, &everywhere);
    assert(fabs(hole.ml - 4 * 3 * 2 * 9.0 / 1000.0) < 1e-12);
    assert(hole.slice == 3);
}

static void shells_are_no_voids(void)
{
    sctd_auto(volume_freep) struct volume *v = make();
    made_fill(v, &(struct made_box){{4, 5, 2}, {5, 15, 7}}, -900.0F); /* two voxels thick */
    assert(find(v, &everywhere).ml <= 0.0);
}

static void only_where_the_source_has_tissue(void)
{
    sctd_auto(volume_freep) struct volume *v = make();
    made_fill(v, &(struct made_box){{2, 2, 0}, {17, 15, 7}}, -900.0F);
    assert(find(v, &(struct made_box){{2, 2, 0}, {4, 4, 2}}).ml > 0.0);
    const struct hole hole = find(v, &(struct made_box){{2, 2, 3}, {6, 6, 7}}); /* 5 x 5 x 5 */
    /* 3 x 3, and one slice taken off at one end, where the image goes on */
    assert(fabs(hole.ml - 3 * 3 * 4 * 9.0 / 1000.0) < 1e-12);
}

static void largest_of_several_counts(void)
{
    sctd_auto(volume_freep) struct volume *v = make();
    made_fill(v, &(struct made_box){{1, 1, 0}, {3, 3, 2}}, -900.0F);
    made_fill(v, &(struct made_box){{10, 8, 3}, {14, 12, 7}}, -301.0F);
    const struct hole hole = find(v, &everywhere);
    assert(fabs(hole.ml - 3 * 3 * 4 * 9.0 / 1000.0) < 1e-12);
    assert(hole.slice == 4);
}

static void sound_volume_has_none(void)
{
    sctd_auto(volume_freep) struct volume *v = make();
    assert(find(v, &everywhere).ml <= 0.0);
    made_fill(v, &everywhere, -300.0F);
    assert(find(v, &everywhere).ml <= 0.0);
}

static void all_void_is_one_hole(void)
{
    sctd_auto(volume_freep) struct volume *v = make();
    made_fill(v, &everywhere, -1000.0F);
    const struct hole hole = find(v, &everywhere);
    assert(fabs(hole.ml - VOXELS * 9.0 / 1000.0) < 1e-12);
}

int main(void)
{
    void_counts_less_its_outermost_voxels();
    shells_are_no_voids();
    only_where_the_source_has_tissue();
    largest_of_several_counts();
    sound_volume_has_none();
    all_void_is_one_hole();
    return 0;
}
