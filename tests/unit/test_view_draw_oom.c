/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/view.h"
#include "server/view_draw.h"
#include "server/view_messages.h"
#include "server/view_scene.h"

#include "tests/support/torture.h"

static int draw(void *arg)
{
    static float voxel[8];
    struct volume volume = {.grid = {.dim = {2, 2, 2}, .step = {1.0, 1.0, 1.0}}, .voxel = voxel};
    struct view_scene scene = {.volume = {&volume, &volume}};
    const struct view_request request = {.image = VIEW_OVERLAY};
    struct view_drawing drawing = {.png = NULL};
    struct view_no no;
    struct sctd_error err = {.code = SCTD_OK};
    (void)arg;
    for (int p = 0; p < VIEW_PLANES; p++) {
        scene.facts.plane[p] = (struct view_plane_facts){2, 1.0, 2, 2, 1.0};
    }
    int r = view_draw(&drawing, &no, &scene, &request, &err);
    free(drawing.png);
    return r;
}

int main(void)
{
    assert(torture_run(draw, NULL) >= 16);
    return 0;
}
