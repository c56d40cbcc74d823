/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/source_body.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/body_mask.h"
#include "engine/image/outline.h"
#include "engine/image/pieces.h"

enum { BINS = 4096 };

/* How far the logarithm spreads what is dark: 1/50 of the range is where it begins to bend. */
static const double dark = 50.0;

/* A slice after the other, smoothed. */
struct smoothing {
    double *down; /* [columns + 2]: sums of three rows, the first and the last twice */
    double *x;    /* [rows, columns]: 0 ... 1 */
    double low, per_range;
};

static void smoothing_fini(struct smoothing *s)
{
    free(s->down);
    free(s->x);
}

static double clamp(double x)
{
    return x > 0.0 ? fmin(x, 1.0) : 0.0; /* NaN: 0 */
}

static void smooth_row(struct smoothing *s, const float *const row[3], int32_t columns, double *x)
{
    for (int32_t i = 0; i < columns; i++) {
        s->down[i + 1] = (double)row[0][i] + (double)row[1][i] + (double)row[2][i];
    }
    s->down[0] = s->down[1];
    s->down[columns + 1] = s->down[columns];
    for (int32_t i = 0; i < columns; i++) {
        const double mean = (s->down[i] + s->down[i + 1] + s->down[i + 2]) / 9.0;
        x[i] = clamp((mean - s->low) * s->per_range);
    }
}

static void smooth_slice(struct smoothing *s, const struct volume *source, int32_t k)
{
    const int32_t columns = source->grid.dim[0];
    const int32_t rows = source->grid.dim[1];
    const float *slice = source->voxel + (size_t)k * (size_t)rows * (size_t)columns;
    for (int32_t j = 0; j < rows; j++) {
        const int32_t above = j > 0 ? j - 1 : 0;
        const int32_t below = j + 1 < rows ? j + 1 : j;
        const float *const row[3] = {slice + (size_t)above * (size_t)columns,
                                     slice + (size_t)j * (size_t)columns,
                                     slice + (size_t)below * (size_t)columns};
        smooth_row(s, row, columns, s->x + (size_t)j * (size_t)columns);
    }
}

static int find_bin(double x)
{
    const int bin = (int)(x * BINS);
    return bin < BINS ? bin : BINS - 1;
}

/* The last bin of the background; BINS: there is one class only. */
static int find_border(const size_t count[BINS])
{
    double n = 0.0;
    double sum = 0.0;
    for (int i = 0; i < BINS; i++) {
        n += (double)count[i];
        sum += (double)count[i] * log1p(dark * (i + 0.5) / BINS);
    }
    int border = BINS;
    double most = 0.0;
    double n_below = 0.0;
    double sum_below = 0.0;
    for (int i = 0; i + 1 < BINS; i++) {
        n_below += (double)count[i];
        sum_below += (double)count[i] * log1p(dark * (i + 0.5) / BINS);
        const double n_above = n - n_below;
        if (!(n_below > 0.0) || !(n_above > 0.0)) {
            continue;
        }
        const double apart = sum_below / n_below - (sum - sum_below) / n_above;
        const double between = n_below * n_above * apart * apart;
        border = between > most ? i : border;
        most = between > most ? between : most;
    }
    return border;
}

/* flags: SOURCE_BODY_TISSUE where there is. */
static int mark_mr(uint8_t *flags, const struct volume *source, const double clip[2],
                   struct sctd_error *err)
{
    const int32_t *dim = source->grid.dim;
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    sctd_auto(smoothing_fini) struct smoothing s = {
        .down = calloc((size_t)dim[0] + 2, sizeof(double)),
        .x = calloc(plane, sizeof(double)),
        .low = clip[0],
        .per_range = 1.0 / (clip[1] - clip[0]),
    };
    size_t *count = calloc(BINS, sizeof *count);
    if (s.down == NULL || s.x == NULL || count == NULL) {
        free(count);
        return sctd_error(err, SCTD_ENOMEM, "the body of a source");
    }
    for (int32_t k = 0; k < dim[2]; k++) {
        smooth_slice(&s, source, k);
        for (size_t i = 0; i < plane; i++) {
            count[find_bin(s.x[i])]++;
        }
    }
    const double least = (double)(find_border(count) + 1) / BINS;
    for (int32_t k = 0; k < dim[2]; k++) {
        smooth_slice(&s, source, k);
        for (size_t i = 0; i < plane; i++) {
            flags[(size_t)k * plane + i] = s.x[i] >= least ? SOURCE_BODY_TISSUE : 0;
        }
    }
    free(count);
    return 0;
}

static void mark_ct(uint8_t *flags, const struct volume *source, size_t n)
{
    for (size_t at = 0; at < n; at++) {
        flags[at] = source->voxel[at] >= OUTLINE_BODY_HU ? SOURCE_BODY_TISSUE : 0;
    }
}

int source_body_find(uint8_t *ret_flags, const struct volume *source, const double *clip, int axis,
                     struct sctd_error *err)
{
    const int32_t *dim = source->grid.dim;
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    size_t n_body = 0;
    uint8_t *mask = malloc(n);
    int r = mask == NULL ? sctd_error(err, SCTD_ENOMEM, "the body of %zu voxels", n) : 0;
    if (r == 0 && clip != NULL) {
        r = mark_mr(ret_flags, source, clip, err);
    } else if (r == 0) {
        mark_ct(ret_flags, source, n);
    }
    for (size_t at = 0; r == 0 && at < n; at++) {
        mask[at] = ret_flags[at] != 0 ? 1 : 0;
    }
    r = r < 0 ? r : pieces_keep_largest(mask, dim, &n_body, err);
    r = r < 0 || n_body == 0 ? r : body_mask_fill(mask, dim, axis, err);
    for (size_t at = 0; r == 0 && at < n; at++) {
        ret_flags[at] = (uint8_t)(ret_flags[at] | mask[at]);
    }
    free(mask);
    return r < 0 ? r : n_body == 0 ? SOURCE_BODY_NONE : 0;
}
