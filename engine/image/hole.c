/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/hole.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/outline.h"
#include "engine/image/pieces.h"

/* Whether the neighbour of `at` by `stride` is void; it is taken for one where there is none. */
static bool has_void(const uint8_t *is_void, size_t at, size_t stride, int32_t index, int32_t n,
                     int by)
{
    if (index + by < 0 || index + by >= n) {
        return true;
    }
    return is_void[by > 0 ? at + stride : at - stride] != 0;
}

static bool stays(const uint8_t *is_void, const int32_t dim[3], size_t at)
{
    size_t stride = 1;
    size_t rest = at;
    for (int a = 0; a < 3; a++) {
        const int32_t index = (int32_t)(rest % (size_t)dim[a]);
        if (!has_void(is_void, at, stride, index, dim[a], -1) ||
            !has_void(is_void, at, stride, index, dim[a], 1)) {
            return false;
        }
        rest /= (size_t)dim[a];
        stride *= (size_t)dim[a];
    }
    return true;
}

static void keep_core(uint8_t *core, const uint8_t *is_void, const int32_t dim[3],
                      const struct sctd_beat *beat)
{
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    for (size_t k = 0; k < (size_t)dim[2]; k++) {
        for (size_t at = k * plane; at < (k + 1) * plane; at++) {
            core[at] = is_void[at] != 0 && stays(is_void, dim, at) ? 1 : 0;
        }
        sctd_beat_tell(beat);
    }
}

static int32_t find_slice(const uint8_t *mask, const int32_t dim[3])
{
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    int32_t where = 0;
    size_t most = 0;
    for (int32_t k = 0; k < dim[2]; k++) {
        size_t n = 0;
        for (size_t i = 0; i < plane; i++) {
            n += mask[(size_t)k * plane + i];
        }
        where = n > most ? k : where;
        most = n > most ? n : most;
    }
    return where;
}

int hole_find(struct hole *ret_hole, const struct volume *hu, uint8_t *tissue,
              const struct sctd_beat *beat, struct sctd_error *err)
{
    const struct volume_grid *grid = &hu->grid;
    const size_t n = (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
    size_t n_hole = 0;
    for (size_t at = 0; at < n; at++) {
        tissue[at] = tissue[at] != 0 && hu->voxel[at] < OUTLINE_BODY_HU ? 1 : 0;
    }
    sctd_beat_tell(beat);
    uint8_t *core = malloc(n + 1);
    if (core == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the voids of %zu voxels", n);
    }
    keep_core(core, tissue, grid->dim, beat);
    int r = pieces_keep_largest(core, grid->dim, &n_hole, beat, err);
    if (r == 0) {
        const double mm3 = grid->step[0] * grid->step[1] * grid->step[2];
        *ret_hole = (struct hole){.ml = (double)n_hole * mm3 / 1000.0,
                                  .slice = find_slice(core, grid->dim)};
    }
    free(core);
    return r;
}
