/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/body_margin.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/distance.h"
#include "engine/image/slice_box.h"

struct work {
    struct distance transform;
    double *squared; /* [rows, columns] */
};

static void work_fini(struct work *w)
{
    distance_fini(&w->transform);
    free(w->squared);
}

/* Squared distances, within the box, to what has the bit 1 as `is` says. */
static void measure(struct work *w, const uint8_t *slice, const struct volume_grid *grid,
                    const struct slice_box *box, int is)
{
    const int32_t dim[3] = {box->high[0] - box->low[0] + 1, box->high[1] - box->low[1] + 1, 1};
    const double step[3] = {grid->step[0], grid->step[1], 1.0};
    double *to = w->squared;
    for (int32_t j = box->low[1]; j <= box->high[1]; j++) {
        const uint8_t *row = slice + (size_t)j * (size_t)grid->dim[0];
        for (int32_t i = box->low[0]; i <= box->high[0]; i++) {
            *to++ = (row[i] & 1) == is ? 0.0 : (double)INFINITY;
        }
    }
    distance_square(&w->transform, w->squared, dim, step);
}

/* Within the box: set `flag` where the squared distance is above, else clear it. */
static void mark(uint8_t *flags, const struct work *w, int32_t columns, const struct slice_box *box,
                 double above, uint8_t flag)
{
    const double *squared = w->squared;
    for (int32_t j = box->low[1]; j <= box->high[1]; j++) {
        uint8_t *row = flags + (size_t)j * (size_t)columns;
        for (int32_t i = box->low[0]; i <= box->high[0]; i++) {
            row[i] = (uint8_t)((row[i] & ~flag) | (*squared++ > above ? flag : 0));
        }
    }
}

static void find_slice(uint8_t *flags, const uint8_t *slice, struct work *w,
                       const struct volume_grid *grid, const struct body_margin *margin)
{
    const size_t plane = (size_t)grid->dim[0] * (size_t)grid->dim[1];
    struct slice_box box;
    for (size_t i = 0; i < plane; i++) {
        flags[i] = BODY_MARGIN_BEYOND;
    }
    if (!slice_box_find(&box, slice, grid->dim)) {
        return;
    }
    const struct slice_box body = slice_box_widen(&box, grid, 0.0);
    const struct slice_box wide = slice_box_widen(&box, grid, margin->beyond_mm);
    measure(w, slice, grid, &wide, 1);
    mark(flags, w, grid->dim[0], &wide, margin->beyond_mm * margin->beyond_mm, BODY_MARGIN_BEYOND);
    measure(w, slice, grid, &body, 0);
    mark(flags, w, grid->dim[0], &body, margin->deep_mm * margin->deep_mm, BODY_MARGIN_DEEP);
}

int body_margin_find(uint8_t *ret_flags, const uint8_t *mask, const struct volume_grid *grid,
                     const struct body_margin *margin, const struct sctd_beat *beat,
                     struct sctd_error *err)
{
    const size_t plane = (size_t)grid->dim[0] * (size_t)grid->dim[1];
    const int32_t longest = grid->dim[0] > grid->dim[1] ? grid->dim[0] : grid->dim[1];
    sctd_auto(work_fini) struct work w = {.squared = malloc(plane * sizeof(double))};
    int r = distance_init(&w.transform, longest, err);
    if (r == 0 && w.squared == NULL) {
        r = sctd_error(err, SCTD_ENOMEM, "the distances of a slice");
    }
    for (int32_t k = 0; r == 0 && k < grid->dim[2]; k++) {
        find_slice(ret_flags + (size_t)k * plane, mask + (size_t)k * plane, &w, grid, margin);
        sctd_beat_tell(beat);
    }
    return r;
}
