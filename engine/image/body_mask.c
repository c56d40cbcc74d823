/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/body_mask.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/outline.h"
#include "engine/image/pieces.h"
#include "engine/image/resize.h"
#include "engine/image/thin_plate.h"

/* Planes across an axis: pixel (row, column) of plane k lies at k * across + row * down + column * along. */
struct planes {
    int32_t n, rows, columns;
    size_t across, down, along;
};

static struct planes cut(const int32_t dim[3], int axis)
{
    const size_t stride[3] = {1, (size_t)dim[0], (size_t)dim[0] * (size_t)dim[1]};
    const int column = axis == 0 ? 1 : 0;
    const int row = axis == 2 ? 1 : 2;
    return (struct planes){.n = dim[axis],
                           .rows = dim[row],
                           .columns = dim[column],
                           .across = stride[axis],
                           .down = stride[row],
                           .along = stride[column]};
}

int body_mask_fill(uint8_t *mask, const int32_t dim[3], int axis, const struct sctd_beat *beat,
                   struct sctd_error *err)
{
    const struct planes planes = cut(dim, axis);
    const size_t n = (size_t)planes.rows * (size_t)planes.columns;
    float *value = malloc(n * sizeof *value);
    bool *inside = malloc(n * sizeof *inside);
    int r = value == NULL || inside == NULL ? sctd_error(err, SCTD_ENOMEM, "a body mask") : 0;
    for (int32_t k = 0; r == 0 && k < planes.n; k++) {
        uint8_t *plane = mask + (size_t)k * planes.across;
        const size_t columns = (size_t)planes.columns;
        for (size_t i = 0; i < n; i++) {
            const size_t from = i / columns * planes.down + i % columns * planes.along;
            value[i] = plane[from] != 0 ? 1.0F : 0.0F;
        }
        r = outline_find_inside(inside, value, (struct resize_size){planes.rows, planes.columns},
                                0.5F, err);
        for (size_t i = 0; r == 0 && i < n; i++) {
            plane[i / columns * planes.down + i % columns * planes.along] = inside[i] ? 1 : 0;
        }
        sctd_beat_tell(beat);
    }
    free(value);
    free(inside);
    return r;
}

/* The largest piece of what has at least `least`. */
static int find_piece(uint8_t *ret_mask, const struct volume *volume, float least,
                      const struct sctd_beat *beat, struct sctd_error *err)
{
    const int32_t *dim = volume->grid.dim;
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    size_t n_body = 0;
    for (size_t k = 0; k < (size_t)dim[2]; k++) {
        for (size_t at = k * plane; at < (k + 1) * plane; at++) {
            ret_mask[at] = volume->voxel[at] >= least ? 1 : 0;
        }
        sctd_beat_tell(beat);
    }
    int r = pieces_keep_largest(ret_mask, dim, &n_body, beat, err);
    return r == 0 && n_body == 0 ? BODY_MASK_NONE : r;
}

int body_mask_find_above(uint8_t *ret_mask, const struct volume *volume, float least, int axis,
                         const struct sctd_beat *beat, struct sctd_error *err)
{
    const int r = find_piece(ret_mask, volume, least, beat, err);
    return r != 0 ? r : body_mask_fill(ret_mask, volume->grid.dim, axis, beat, err);
}

int body_mask_find(uint8_t *ret_mask, const struct volume *ct, struct sctd_error *err)
{
    int r = find_piece(ret_mask, ct, OUTLINE_BODY_HU, NULL, err);
    if (r == BODY_MASK_NONE) {
        return sctd_error(err, SCTD_EDATA,
                          "the reference has no voxel of at least %g HU: there is no body in it",
                          (double)OUTLINE_BODY_HU);
    }
    r = r < 0 ? r : thin_plate_cut(ret_mask, &ct->grid, err);
    return r < 0 ? r : body_mask_fill(ret_mask, ct->grid.dim, 2, NULL, err);
}
