/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/body_mask.h"

enum { SIDE = 20, VOXELS = SIDE * SIDE * SIDE };

static struct sctd_error err;

/* A box of tissue with a lung in it and a couch below it. */
static float find_hu(int i, int j)
{
    const bool body = i >= 4 && i < 16 && j >= 3 && j < 13;
    const bool lung = i >= 7 && i < 12 && j >= 6 && j < 9;
    const bool couch = j == 16;
    if (lung) {
        return -800.0F;
    }
    return body || couch ? 30.0F : -1000.0F;
}

static void couch_is_left_out_and_lungs_are_in(void)
{
    const struct volume_grid grid = {
        .dim = {SIDE, SIDE, SIDE}, .step = {1, 1, 1}, .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    struct volume *v = NULL;
    uint8_t mask[VOXELS];
    assert(volume_new(&v, &grid, &err) == 0);
    for (int at = 0; at < VOXELS; at++) {
        v->voxel[at] = find_hu(at % SIDE, at / SIDE % SIDE);
    }
    assert(body_mask_find(mask, v, &err) == 0);
    for (int at = 0; at < VOXELS; at++) {
        const int i = at % SIDE;
        const int j = at / SIDE % SIDE;
        assert((mask[at] == 1) == (i >= 4 && i < 16 && j >= 3 && j < 13));
    }
    for (int at = 0; at < VOXELS; at++) {
        v->voxel[at] = -1000.0F;
    }
    assert(body_mask_find(mask, v, &err) == SCTD_EDATA && strstr(err.text, "no body") != NULL);
    volume_free(v);
}

int main(void)
{
    couch_is_left_out_and_lungs_are_in();
    return 0;
}
