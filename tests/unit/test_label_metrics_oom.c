/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/image/label_metrics.h"

#include "tests/support/torture.h"

enum { SIDE = 8, VOXELS = SIDE * SIDE * SIDE };

/* Two labels in both maps. */
static int compare(void *arg)
{
    const uint16_t *maps = arg;
    struct sctd_error err = {0};
    struct label_metrics *rows = NULL;
    size_t n = 0;
    const struct label_maps both = {.reference = maps,
                                    .synthetic = maps + VOXELS,
                                    .dim = {SIDE, SIDE, SIDE},
                                    .step = {1, 1, 2}};
    const int r = label_metrics_find(&rows, &n, &both, &err);
    assert(r == 0 ? n == 2 : (r == SCTD_ENOMEM && rows == NULL && n == 0));
    free(rows);
    return r;
}

int main(void)
{
    static uint16_t maps[2 * VOXELS];
    for (size_t at = 0; at < VOXELS; at++) {
        maps[at] = at % SIDE < 3 ? 1 : 2;
        maps[VOXELS + at] = at % SIDE < 4 ? 1 : 2;
    }
    assert(torture_run(compare, maps) >= 10);
    return 0;
}
