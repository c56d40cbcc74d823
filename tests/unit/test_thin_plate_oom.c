/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/body_mask.h"

#include "tests/support/torture.h"

enum { SIDE = 192, VOXELS = SIDE * SIDE * 2 };

/* A body on a plate, which is cut off. */
static int find_body(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    static uint8_t mask[VOXELS];
    const struct volume_grid grid = {
        .dim = {SIDE, SIDE, 2}, .step = {1, 1, 3}, .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    sctd_auto(volume_freep) struct volume *v = NULL;
    int r = volume_new(&v, &grid, &err);
    for (int at = 0; r == 0 && at < VOXELS; at++) {
        const int i = at % SIDE;
        const int j = at / SIDE % SIDE;
        const int is_body = i >= 120 && i < 160 && j >= 20 && j < 70 ? 1 : 0;
        const int is_plate = i >= 4 && i < 188 && j >= 70 && j < 72 ? 1 : 0;
        v->voxel[at] = is_body + is_plate > 0 ? 0.0F : -1000.0F;
    }
    r = r < 0 ? r : body_mask_find(mask, v, &err);
    assert(r < 0 || (mask[70 * SIDE + 10] == 0 && mask[60 * SIDE + 140] == 1));
    return r;
}

int main(void)
{
    assert(torture_run(find_body, NULL) > 8);
    return 0;
}
