/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/label_metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/image/distance.h"

/* Where a label is, in both maps together. */
struct extent {
    int32_t low[3], high[3]; /* both included */
    size_t reference, synthetic, both;
};

/* The box around a label, one set after the other. */
struct box {
    int32_t low[3], dim[3];
    size_t n;
    uint8_t *surface[2]; /* [n]: 1 on the surface of the reference's set, of the synthetic's */
    double *squared;     /* [n] mm^2 to the nearest surface voxel of one of them */
    struct distance transform;
    double *distance; /* [2 n] */
};

static void box_fini(struct box *b)
{
    free(b->surface[0]);
    free(b->surface[1]);
    free(b->squared);
    distance_fini(&b->transform);
    free(b->distance);
}

static int box_init(struct box *b, const struct extent *extent, struct sctd_error *err)
{
    int32_t longest = 1;
    b->n = 1;
    for (int a = 0; a < 3; a++) {
        b->low[a] = extent->low[a];
        b->dim[a] = extent->high[a] - extent->low[a] + 1;
        b->n *= (size_t)b->dim[a];
        longest = b->dim[a] > longest ? b->dim[a] : longest;
    }
    b->surface[0] = calloc(b->n, 1);
    b->surface[1] = calloc(b->n, 1);
    b->squared = malloc(b->n * sizeof(double));
    b->distance = malloc(2 * b->n * sizeof(double));
    if (b->surface[0] == NULL || b->surface[1] == NULL || b->squared == NULL ||
        b->distance == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "surface distances of %zu voxels", b->n);
    }
    return distance_init(&b->transform, longest, err);
}

static bool has_label(const uint16_t *map, const int32_t dim[3], const int32_t at[3], int32_t label)
{
    for (int a = 0; a < 3; a++) {
        if (at[a] < 0 || at[a] >= dim[a]) {
            return false;
        }
    }
    const size_t row = (size_t)at[2] * (size_t)dim[1] + (size_t)at[1];
    return map[row * (size_t)dim[0] + (size_t)at[0]] == label;
}

static bool is_on_surface(const uint16_t *map, const int32_t dim[3], const int32_t at[3],
                          int32_t label)
{
    if (!has_label(map, dim, at, label)) {
        return false;
    }
    for (int side = 0; side < 6; side++) {
        int32_t next[3] = {at[0], at[1], at[2]};
        next[side / 2] += (side & 1) != 0 ? 1 : -1;
        if (!has_label(map, dim, next, label)) {
            return true;
        }
    }
    return false;
}

static void find_surfaces(struct box *b, const struct label_maps *maps, int32_t label)
{
    const size_t columns = (size_t)b->dim[0];
    const size_t rows = (size_t)b->dim[1];
    for (size_t n = 0; n < b->n; n++) {
        const int32_t at[3] = {b->low[0] + (int32_t)(n % columns),
                               b->low[1] + (int32_t)(n / columns % rows),
                               b->low[2] + (int32_t)(n / columns / rows)};
        b->surface[0][n] = is_on_surface(maps->reference, maps->dim, at, label) ? 1 : 0;
        b->surface[1][n] = is_on_surface(maps->synthetic, maps->dim, at, label) ? 1 : 0;
    }
}

/* The distances from the surface `from` to the other one, appended; how many. */
static size_t measure(struct box *b, int from, const double step[3], double *ret_distance)
{
    for (size_t i = 0; i < b->n; i++) {
        b->squared[i] = b->surface[1 - from][i] != 0 ? 0.0 : (double)INFINITY;
    }
    distance_square(&b->transform, b->squared, b->dim, step);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->surface[from][i] != 0) {
            ret_distance[n++] = sqrt(b->squared[i]);
        }
    }
    return n;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of n >= 1 values, which are sorted. */
static double find_percentile(double *value, size_t n, double fraction)
{
    qsort(value, n, sizeof *value, compare);
    const double at = fraction * (double)(n - 1);
    const size_t low = (size_t)at;
    const size_t high = low + 1 < n ? low + 1 : low;
    return value[low] + (at - (double)low) * (value[high] - value[low]);
}

static int find_distances(struct label_metrics *row, const struct label_maps *maps,
                          const struct extent *extent, struct sctd_error *err)
{
    sctd_auto(box_fini) struct box b = {.n = 0};
    int r = box_init(&b, extent, err);
    if (r < 0) {
        return r;
    }
    find_surfaces(&b, maps, row->label);
    const size_t n = measure(&b, 0, maps->step, b.distance);
    const size_t m = measure(&b, 1, maps->step, b.distance + n);
    double sum = 0.0;
    for (size_t i = 0; i < n + m; i++) {
        sum += b.distance[i];
    }
    row->msd_mm = sum / (double)(n + m);
    row->hd95_mm =
        fmax(find_percentile(b.distance, n, 0.95), find_percentile(b.distance + n, m, 0.95));
    return 0;
}

static void widen(struct extent *e, const int32_t at[3])
{
    const bool is_first = e->reference + e->synthetic == 0;
    for (int a = 0; a < 3; a++) {
        e->low[a] = is_first || at[a] < e->low[a] ? at[a] : e->low[a];
        e->high[a] = is_first || at[a] > e->high[a] ? at[a] : e->high[a];
    }
}

static int find_extents(struct extent *extent, const struct label_maps *maps,
                        struct sctd_error *err)
{
    const size_t columns = (size_t)maps->dim[0];
    const size_t rows = (size_t)maps->dim[1];
    for (size_t n = 0; n < columns * rows * (size_t)maps->dim[2]; n++) {
        const int32_t at[3] = {(int32_t)(n % columns), (int32_t)(n / columns % rows),
                               (int32_t)(n / columns / rows)};
        const uint16_t a = maps->reference[n];
        const uint16_t b = maps->synthetic[n];
        if (a > LABEL_METRICS_MAX || b > LABEL_METRICS_MAX) {
            return sctd_error(err, SCTD_EDATA, "label %d: at most %d are possible", a > b ? a : b,
                              LABEL_METRICS_MAX);
        }
        if (a != 0) {
            widen(&extent[a], at);
            extent[a].reference++;
        }
        if (b != 0) {
            widen(&extent[b], at);
            extent[b].synthetic++;
            extent[b].both += a == b ? 1 : 0;
        }
    }
    return 0;
}

int label_metrics_find(struct label_metrics **ret_rows, size_t *ret_n,
                       const struct label_maps *maps, struct sctd_error *err)
{
    struct extent *extent = calloc(LABEL_METRICS_MAX + 1, sizeof *extent);
    struct label_metrics *rows = calloc(LABEL_METRICS_MAX + 1, sizeof *rows);
    size_t n = 0;
    int r = extent == NULL || rows == NULL ? sctd_error(err, SCTD_ENOMEM, "labels")
                                           : find_extents(extent, maps, err);
    for (int32_t label = 1; r == 0 && label <= LABEL_METRICS_MAX; label++) {
        const struct extent *e = &extent[label];
        if (e->reference + e->synthetic == 0) {
            continue;
        }
        rows[n] = (struct label_metrics){
            .label = label,
            .reference_voxels = e->reference,
            .synthetic_voxels = e->synthetic,
            .dice = 2.0 * (double)e->both / (double)(e->reference + e->synthetic),
            .hd95_mm = (double)NAN,
            .msd_mm = (double)NAN,
        };
        if (e->reference > 0 && e->synthetic > 0) {
            r = find_distances(&rows[n], maps, e, err);
        }
        n++;
    }
    free(extent);
    if (r < 0) {
        free(rows);
        return r;
    }
    *ret_rows = rows;
    *ret_n = n;
    return 0;
}
