/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/phantom.h"

#include "tests/support/torture.h"

static int make_cbct(void *arg)
{
    (void)arg;
    struct sctd_error err = {0};
    struct volume_grid grid;
    sctd_auto(phantom_freep) struct phantom *phantom = NULL;
    sctd_auto(volume_freep) struct volume *image = NULL;
    phantom_make_grid(&grid, PHANTOM_AXIAL, 8, 1, (const double[]){50.0, 50.0, 2.0});
    int r = phantom_new(&phantom, 1, &err);
    if (r == 0) {
        r = volume_new(&image, &grid, &err);
    }
    return r < 0 ? r : phantom_render(phantom, PHANTOM_CBCT, image, NULL, &err);
}

int main(void)
{
    assert(torture_run(make_cbct, NULL) == 4);
    return 0;
}
