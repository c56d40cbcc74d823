/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/evaluate/case.h"
#include "server/evaluate/slices.h"

#include "tests/support/torture.h"

enum { SIDE = 6, SLICES = 3, VOXELS = SIDE * SIDE * SLICES };

static const struct volume_grid grid = {
    .dim = {SIDE, SIDE, SLICES}, .step = {1, 1, 2}, .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};

/* The error of each slice, organs, and pictures of the worst slices. */
static int look(void *arg)
{
    const uint8_t *mask = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct evaluate_case c = {.dim = {SIDE, SIDE, SLICES}, .step = {1, 1, 2}};
    sctd_auto(volume_freep) struct volume *a = NULL;
    sctd_auto(volume_freep) struct volume *b = NULL;
    int r = volume_new(&a, &grid, &err);
    r = r < 0 ? r : volume_new(&b, &grid, &err);
    for (int i = 0; r == 0 && i < VOXELS; i++) {
        a->voxel[i] = (float)(i % 2);
        b->voxel[i] = (float)(i % 3 == 0 ? 1 : 0);
    }
    const struct evaluate_slices slices = {a, b, mask};
    r = r < 0 ? r : evaluate_slices_labels(&c, a, b, &err);
    r = r < 0 ? r : evaluate_slices_measure(&c, &slices, &err);
    r = r < 0 ? r : evaluate_slices_draw(&c, &slices, &err);
    assert(r == 0 ? c.n_labels == 1 && c.n_pictures == EVALUATE_WORST : r == SCTD_ENOMEM);
    evaluate_case_fini(&c);
    return r;
}

int main(void)
{
    static uint8_t mask[VOXELS];
    for (int i = 0; i < VOXELS; i++) {
        mask[i] = 1;
    }
    assert(torture_run(look, mask) > 20);
    return 0;
}
