/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "server/preview.h"

#include "tests/support/torture.h"

static int draw(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    const struct volume_grid grid = {
        .dim = {3, 4, 2},
        .step = {1.0, 1.0, 2.0},
        .axis = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}},
    };
    sctd_auto(preview_freep) struct preview *preview = NULL;
    int r = preview_new(&preview, &grid, &err);
    return r == 0 ? preview_write(preview, "/dev/null/none.png", NULL, 0, &err) : r;
}

/* The picture itself cannot be written there; all memory has been had by then. */
static int draw_without_file(void *arg)
{
    int r = draw(arg);
    return r == SCTD_EIO ? 0 : r;
}

int main(void)
{
    assert(torture_run(draw_without_file, NULL) >= 9);
    return 0;
}
