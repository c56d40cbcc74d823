/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/slice_jump.h"

#include "tests/support/made_volume.h"

enum { SIDE = 10, SLICES = 12, PLANE = SIDE * SIDE, VOXELS = PLANE * SLICES };

static struct sctd_error err;
static const double step[3] = {1.0, 1.0, 1.0};

/* HU that rise by 10 from slice to slice, in a body that fills the image. */
static struct volume *make(uint8_t mask[VOXELS])
{
    const struct volume_grid grid = made_grid(SIDE, SIDE, SLICES, step);
    struct volume *v = made_volume(&grid, 0.0F);
    memset(mask, 1, VOXELS);
    for (int32_t k = 0; k < SLICES; k++) {
        made_fill(v, &(struct made_box){{0, 0, k}, {9, 9, k}}, 10.0F * (float)k);
    }
    return v;
}

static void must_find(const struct volume *v, const uint8_t *mask, double hu, int32_t slice)
{
    struct slice_jump jump;
    assert(slice_jump_find(&jump, v, mask, NULL, &err) == 0);
    assert(fabs(jump.hu - hu) < 1e-9 && jump.slice == slice);
}

static void even_slices_do_not_jump(void)
{
    uint8_t mask[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make(mask);
    must_find(v, mask, 0.0, 0);
}

static void shifted_slice_jumps(void)
{
    uint8_t mask[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make(mask);
    made_fill(v, &(struct made_box){{0, 0, 6}, {9, 9, 6}}, 60.0F + 150.0F);
    must_find(v, mask, 150.0 + 10.0 - 10.0, 5); /* d is 160, then 140; the others 10 */
}

static void first_and_last_slice_jump_too(void)
{
    uint8_t mask[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make(mask);
    made_fill(v, &(struct made_box){{0, 0, 0}, {9, 9, 0}}, -190.0F);
    must_find(v, mask, 200.0 - 10.0, 0);
    made_fill(v, &(struct made_box){{0, 0, 0}, {9, 9, 0}}, 0.0F);
    made_fill(v, &(struct made_box){{0, 0, 11}, {9, 9, 11}}, 310.0F);
    must_find(v, mask, 210.0 - 10.0, 10);
}

static void what_is_outside_the_body_does_not_count(void)
{
    uint8_t mask[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make(mask);
    made_mark(mask, &v->grid, &(struct made_box){{0, 0, 0}, {3, 9, SLICES - 1}}, 2);
    made_fill(v, &(struct made_box){{0, 0, 6}, {3, 9, 6}}, 3000.0F);
    must_find(v, mask, 0.0, 0);
}

static void small_ends_of_a_body_do_not_count(void)
{
    uint8_t mask[VOXELS];
    sctd_auto(volume_freep) struct volume *v = make(mask);
    made_mark(mask, &v->grid, &(struct made_box){{0, 0, 11}, {9, 9, 11}}, 0);
    made_mark(mask, &v->grid, &(struct made_box){{0, 0, 11}, {9, 1, 11}}, 1); /* 20 of 100 */
    made_fill(v, &(struct made_box){{0, 0, 11}, {9, 9, 11}}, 2000.0F);
    must_find(v, mask, 0.0, 0);
    made_mark(mask, &v->grid, &(struct made_box){{0, 2, 11}, {4, 2, 11}}, 1); /* 25 */
    must_find(v, mask, 1900.0 - 10.0, 10);
}

static void too_few_slices_have_no_jump(void)
{
    uint8_t mask[VOXELS] = {0};
    struct slice_jump jump = {.hu = 7.0};
    for (int32_t slices = 1; slices <= 2; slices++) {
        const struct volume_grid grid = made_grid(SIDE, SIDE, slices, step);
        sctd_auto(volume_freep) struct volume *v = made_volume(&grid, 0.0F);
        memset(mask, 1, sizeof mask);
        assert(slice_jump_find(&jump, v, mask, NULL, &err) == SLICE_JUMP_NONE);
    }
    memset(mask, 0, sizeof mask);
    sctd_auto(volume_freep) struct volume *v = make(mask);
    memset(mask, 0, sizeof mask);
    assert(slice_jump_find(&jump, v, mask, NULL, &err) == SLICE_JUMP_NONE);
    assert(jump.hu > 6.0);
}

int main(void)
{
    even_slices_do_not_jump();
    shifted_slice_jumps();
    first_and_last_slice_jump_too();
    what_is_outside_the_body_does_not_count();
    small_ends_of_a_body_do_not_count();
    too_few_slices_have_no_jump();
    return 0;
}
