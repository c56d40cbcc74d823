/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/field_of_view.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/beat.h"
#include "engine/base/volume.h"

int field_of_view_find_axis(const struct volume_grid *grid)
{
    int axis = 2;
    for (int a = 1; a >= 0; a--) {
        axis = fabs(grid->axis[a][2]) > fabs(grid->axis[axis][2]) ? a : axis;
    }
    return axis;
}

struct planes {
    const uint8_t *mask;
    const int32_t *dim;
    size_t stride[3];
    int lateral[2];
};

/* Whether voxel `at`, at `index` of the image, is on the lateral outline; *ret_is_cut: on a face of the image too. */
static bool is_on(const struct planes *p, size_t at, const int32_t index[3], bool *ret_is_cut)
{
    bool is_outline = false;
    *ret_is_cut = false;
    for (int l = 0; l < 2; l++) {
        const int a = p->lateral[l];
        if (index[a] == 0 || index[a] + 1 == p->dim[a]) {
            *ret_is_cut = true;
            return true;
        }
        is_outline = is_outline || (p->mask[at - p->stride[a]] & 1) == 0 ||
                     (p->mask[at + p->stride[a]] & 1) == 0;
    }
    return is_outline;
}

struct counts {
    size_t outline, cut;
};

static void count_voxel(struct counts *c, const struct planes *p, const int32_t index[3])
{
    bool is_cut = false;
    const size_t at = (size_t)index[0] * p->stride[0] + (size_t)index[1] * p->stride[1] +
                      (size_t)index[2] * p->stride[2];
    if ((p->mask[at] & 1) != 0 && is_on(p, at, index, &is_cut)) {
        c->outline++;
        c->cut += is_cut ? 1 : 0;
    }
}

static struct counts count_plane(const struct planes *p, int axis, int32_t k)
{
    struct counts c = {0};
    int32_t index[3] = {0};
    index[axis] = k;
    for (int32_t j = 0; j < p->dim[p->lateral[1]]; j++) {
        index[p->lateral[1]] = j;
        for (int32_t i = 0; i < p->dim[p->lateral[0]]; i++) {
            index[p->lateral[0]] = i;
            count_voxel(&c, p, index);
        }
    }
    return c;
}

struct field_of_view field_of_view_find(const uint8_t *mask, const int32_t dim[3], int axis,
                                        const struct sctd_beat *beat)
{
    const struct planes p = {
        .mask = mask,
        .dim = dim,
        .stride = {1, (size_t)dim[0], (size_t)dim[0] * (size_t)dim[1]},
        .lateral = {axis == 0 ? 1 : 0, axis == 2 ? 1 : 2},
    };
    struct field_of_view found = {.plane = 0};
    struct counts all = {0};
    size_t most = 0;
    for (int32_t k = 0; k < dim[axis]; k++) {
        const struct counts here = count_plane(&p, axis, k);
        all.outline += here.outline;
        all.cut += here.cut;
        found.plane = here.cut > most ? k : found.plane;
        most = here.cut > most ? here.cut : most;
        sctd_beat_tell(beat);
    }
    found.percent = all.outline == 0 ? 0.0 : 100.0 * (double)all.cut / (double)all.outline;
    return found;
}
