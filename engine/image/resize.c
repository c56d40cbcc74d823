/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/resize.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"

/* Where an output index of an axis lies between two inputs, and how much each weighs. */
struct tap {
    size_t low, high;
    float from_low, from_high;
};

struct resize {
    struct resize_size from, to;
    struct tap *row;    /* [to.rows] */
    struct tap *column; /* [to.columns] */
};

/*
 * As PyTorch computes it, in f32: aten/src/ATen/native/UpSample.h, area_pixel_compute_source_index
 * and compute_source_index_and_lambda.
 */
static struct tap *make_taps(int32_t from, int32_t to)
{
    struct tap *taps = calloc((size_t)to, sizeof *taps);
    const float scale = (float)from / (float)to;
    const size_t last = (size_t)from - 1;
    for (int32_t i = 0; taps != NULL && i < to; i++) {
        const float at = fmaxf(0.0F, scale * ((float)i + 0.5F) - 0.5F);
        const size_t floor_at = (size_t)at;
        const size_t low = floor_at < last ? floor_at : last;
        const float beyond = fminf(fmaxf(at - (float)low, 0.0F), 1.0F);
        taps[i] = (struct tap){.low = low,
                               .high = low < last ? low + 1 : low,
                               .from_low = 1.0F - beyond,
                               .from_high = beyond};
    }
    return taps;
}

int resize_new(struct resize **ret_resize, struct resize_size from, struct resize_size to,
               struct sctd_error *err)
{
    if (from.rows < 1 || from.columns < 1 || to.rows < 1 || to.columns < 1) {
        return sctd_error(err, SCTD_EINVAL, "resize from %d x %d to %d x %d", from.rows,
                          from.columns, to.rows, to.columns);
    }
    sctd_auto(resize_freep) struct resize *resize = calloc(1, sizeof *resize);
    if (resize == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "resize");
    }
    resize->from = from;
    resize->to = to;
    resize->row = make_taps(from.rows, to.rows);
    resize->column = make_taps(from.columns, to.columns);
    if (resize->row == NULL || resize->column == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "resize to %d x %d", to.rows, to.columns);
    }
    *ret_resize = sctd_steal(&resize);
    return 0;
}

void resize_free(struct resize *resize)
{
    if (resize == NULL) {
        return;
    }
    free(resize->row);
    free(resize->column);
    free(resize);
}

static float blend(const float *row, const struct tap *column)
{
    return column->from_low * row[column->low] + column->from_high * row[column->high];
}

void resize_run(const struct resize *resize, float *out, const float *in)
{
    const size_t in_columns = (size_t)resize->from.columns;
    const size_t columns = (size_t)resize->to.columns;
    for (size_t y = 0; y < (size_t)resize->to.rows; y++) {
        const struct tap *row = &resize->row[y];
        const float *upper = in + row->low * in_columns;
        const float *lower = in + row->high * in_columns;
        for (size_t x = 0; x < columns; x++) {
            const struct tap *column = &resize->column[x];
            out[y * columns + x] =
                row->from_low * blend(upper, column) + row->from_high * blend(lower, column);
        }
    }
}
