/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/source_body.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/body_mask.h"
#include "engine/image/outline.h"
#include "engine/image/pieces.h"

enum { BINS = 4096 };

/* The logarithm begins to bend at 1/50 of the range. */
static const double dark = 50.0;

/* A slice after the other: bins of its voxels, then of the medians around them. */
struct smoothing {
    uint16_t *bin; /* [rows, columns] */
    uint16_t *low, *mid,
        *high; /* [columns + 2]: of three rows, sorted; the first and the last column twice */
};

static void smoothing_fini(struct smoothing *s)
{
    free(s->bin);
    free(s->low);
    free(s->mid);
    free(s->high);
}

static int smoothing_init(struct smoothing *s, const int32_t dim[3], struct sctd_error *err)
{
    const size_t wide = (size_t)dim[0] + 2;
    s->bin = calloc((size_t)dim[0] * (size_t)dim[1], sizeof *s->bin);
    s->low = calloc(wide, sizeof *s->low);
    s->mid = calloc(wide, sizeof *s->mid);
    s->high = calloc(wide, sizeof *s->high);
    if (s->bin == NULL || s->low == NULL || s->mid == NULL || s->high == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the body of a source");
    }
    return 0;
}

static uint16_t least(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

static uint16_t most(uint16_t a, uint16_t b)
{
    return a > b ? a : b;
}

static uint16_t middle(uint16_t a, uint16_t b, uint16_t c)
{
    return most(least(a, b), least(most(a, b), c));
}

static void find_bins(uint16_t *bin, const float *value, size_t n, const double clip[2])
{
    const double bins_per_unit = BINS / (clip[1] - clip[0]);
    for (size_t i = 0; i < n; i++) {
        const double at = ((double)value[i] - clip[0]) * bins_per_unit;
        const double within = at > 0.0 ? at : 0.0; /* NaN: 0 */
        bin[i] = within < BINS ? (uint16_t)within : BINS - 1;
    }
}

/* The median of nine is that of the columns' largest minimum, their medians' median and their least maximum. */
static void smooth_row(const struct smoothing *s, const uint16_t *const row[3], int32_t columns,
                       uint16_t *ret_median)
{
    for (int32_t i = 0; i < columns; i++) {
        const uint16_t a = row[0][i];
        const uint16_t b = row[1][i];
        const uint16_t c = row[2][i];
        s->low[i + 1] = least(least(a, b), c);
        s->mid[i + 1] = middle(a, b, c);
        s->high[i + 1] = most(most(a, b), c);
    }
    for (int side = 0; side < 2; side++) {
        const int32_t to = side == 0 ? 0 : columns + 1;
        const int32_t from = side == 0 ? 1 : columns;
        s->low[to] = s->low[from];
        s->mid[to] = s->mid[from];
        s->high[to] = s->high[from];
    }
    for (int32_t i = 0; i < columns; i++) {
        const uint16_t low = most(most(s->low[i], s->low[i + 1]), s->low[i + 2]);
        const uint16_t mid = middle(s->mid[i], s->mid[i + 1], s->mid[i + 2]);
        const uint16_t high = least(least(s->high[i], s->high[i + 1]), s->high[i + 2]);
        ret_median[i] = middle(low, mid, high);
    }
}

static void smooth_slice(const struct smoothing *s, const int32_t dim[3], uint16_t *ret_median)
{
    const size_t columns = (size_t)dim[0];
    for (int32_t j = 0; j < dim[1]; j++) {
        const size_t above = (size_t)(j > 0 ? j - 1 : 0);
        const size_t below = (size_t)(j + 1 < dim[1] ? j + 1 : j);
        const uint16_t *const row[3] = {s->bin + above * columns, s->bin + (size_t)j * columns,
                                        s->bin + below * columns};
        smooth_row(s, row, dim[0], ret_median + (size_t)j * columns);
    }
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

static void count_bins(size_t count[BINS], const uint16_t *bin, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        count[bin[i]]++;
    }
}

static void mark_above(uint8_t *flags, const uint16_t *median, const int32_t dim[3], int border,
                       const struct sctd_beat *beat)
{
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    for (size_t k = 0; k < (size_t)dim[2]; k++) {
        for (size_t at = k * plane; at < (k + 1) * plane; at++) {
            flags[at] = median[at] > border ? SOURCE_BODY_TISSUE : 0;
        }
        sctd_beat_tell(beat);
    }
}

/* flags: SOURCE_BODY_TISSUE where there is. */
static int mark_mr(uint8_t *flags, const struct volume *source, const double clip[2],
                   const struct sctd_beat *beat, struct sctd_error *err)
{
    const int32_t *dim = source->grid.dim;
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    const size_t n = plane * (size_t)dim[2];
    sctd_auto(smoothing_fini) struct smoothing s = {.bin = NULL};
    uint16_t *median = calloc(n, sizeof *median);
    size_t *count = calloc(BINS, sizeof *count);
    int r = median == NULL || count == NULL ? sctd_error(err, SCTD_ENOMEM, "the body of a source")
                                            : smoothing_init(&s, dim, err);
    for (size_t at = 0; r == 0 && at < n; at += plane) {
        find_bins(s.bin, source->voxel + at, plane, clip);
        smooth_slice(&s, dim, median + at);
        count_bins(count, median + at, plane);
        sctd_beat_tell(beat);
    }
    if (r == 0) {
        mark_above(flags, median, dim, find_border(count), beat);
    }
    free(median);
    free(count);
    return r;
}

static void mark_ct(uint8_t *flags, const struct volume *source, const struct sctd_beat *beat)
{
    const int32_t *dim = source->grid.dim;
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    for (size_t k = 0; k < (size_t)dim[2]; k++) {
        for (size_t at = k * plane; at < (k + 1) * plane; at++) {
            flags[at] = source->voxel[at] >= OUTLINE_BODY_HU ? SOURCE_BODY_TISSUE : 0;
        }
        sctd_beat_tell(beat);
    }
}

int source_body_find(uint8_t *ret_flags, const struct volume *source, const double *clip, int axis,
                     const struct sctd_beat *beat, struct sctd_error *err)
{
    const int32_t *dim = source->grid.dim;
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    size_t n_body = 0;
    int r = 0;
    if (clip != NULL) {
        r = mark_mr(ret_flags, source, clip, beat, err);
    } else {
        mark_ct(ret_flags, source, beat);
    }
    if (r < 0) {
        return r;
    }
    uint8_t *mask = malloc(n + 1);
    if (mask == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the body of %zu voxels", n);
    }
    for (size_t at = 0; at < n; at++) {
        mask[at] = ret_flags[at] != 0 ? 1 : 0;
    }
    sctd_beat_tell(beat);
    r = pieces_keep_largest(mask, dim, &n_body, beat, err);
    r = r < 0 || n_body == 0 ? r : body_mask_fill(mask, dim, axis, beat, err);
    for (size_t at = 0; r == 0 && at < n; at++) {
        ret_flags[at] = (uint8_t)(ret_flags[at] | mask[at]);
    }
    sctd_beat_tell(beat);
    free(mask);
    return r < 0 ? r : n_body == 0 ? SOURCE_BODY_NONE : 0;
}
