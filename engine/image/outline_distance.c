/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/outline_distance.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/distance.h"
#include "engine/image/percentile.h"
#include "engine/image/slice_box.h"

/* The distances that start at one body's outline. */
struct direction {
    const uint8_t *body;
    float *mm; /* owned */
    size_t n, room;
};

struct work {
    const struct volume_grid *grid;
    struct direction direction[2];
    struct distance transform;
    double *squared; /* [rows, columns] */
};

static void work_fini(struct work *w)
{
    distance_fini(&w->transform);
    free(w->squared);
    free(w->direction[0].mm);
    free(w->direction[1].mm);
}

static bool is_in(const uint8_t *slice, const int32_t dim[3], int32_t i, int32_t j)
{
    return i >= 0 && i < dim[0] && j >= 0 && j < dim[1] &&
           (slice[(size_t)j * (size_t)dim[0] + (size_t)i] & 1) != 0;
}

static bool is_on(const uint8_t *slice, const int32_t dim[3], int32_t i, int32_t j)
{
    return is_in(slice, dim, i, j) &&
           !(is_in(slice, dim, i - 1, j) && is_in(slice, dim, i + 1, j) &&
             is_in(slice, dim, i, j - 1) && is_in(slice, dim, i, j + 1));
}

static int add(struct direction *d, double mm, struct sctd_error *err)
{
    enum { LEAST = 4096 };
    if (d->n == d->room) {
        const size_t room = d->room == 0 ? LEAST : 2 * d->room;
        float *more = realloc(d->mm, room * sizeof *more);
        if (more == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "%zu distances of outlines", room);
        }
        d->mm = more;
        d->room = room;
    }
    d->mm[d->n++] = (float)mm;
    return 0;
}

/* Squared distances to the outline of `slice`, within the box. */
static void measure(struct work *w, const uint8_t *slice, const struct slice_box *box)
{
    const int32_t dim[3] = {box->high[0] - box->low[0] + 1, box->high[1] - box->low[1] + 1, 1};
    const double step[3] = {w->grid->step[0], w->grid->step[1], 1.0};
    double *to = w->squared;
    for (int32_t j = box->low[1]; j <= box->high[1]; j++) {
        for (int32_t i = box->low[0]; i <= box->high[0]; i++) {
            *to++ = is_on(slice, w->grid->dim, i, j) ? 0.0 : (double)INFINITY;
        }
    }
    distance_square(&w->transform, w->squared, dim, step);
}

/* The distances from the outline of `slice`; `alone`, above 0, where the other body has none. */
static int collect(struct direction *d, const struct work *w, const uint8_t *slice,
                   const struct slice_box *box, double alone, struct sctd_error *err)
{
    int r = 0;
    const double *squared = w->squared;
    for (int32_t j = box->low[1]; r == 0 && j <= box->high[1]; j++) {
        for (int32_t i = box->low[0]; r == 0 && i <= box->high[0]; i++) {
            const double mm = alone > 0.0 ? alone : sqrt(*squared);
            r = is_on(slice, w->grid->dim, i, j) ? add(d, mm, err) : 0;
            squared++;
        }
    }
    return r;
}

/* Of a disc as large as the body in a slice. */
static double find_radius(const uint8_t *slice, const struct volume_grid *grid)
{
    const double pi = 3.14159265358979323846;
    const size_t plane = (size_t)grid->dim[0] * (size_t)grid->dim[1];
    size_t n = 0;
    for (size_t i = 0; i < plane; i++) {
        n += slice[i] & 1U;
    }
    return sqrt((double)n * grid->step[0] * grid->step[1] / pi);
}

static int find_slice(struct work *w, size_t first, struct sctd_error *err)
{
    const uint8_t *slice[2] = {w->direction[0].body + first, w->direction[1].body + first};
    struct slice_box box[2];
    const bool has[2] = {slice_box_find(&box[0], slice[0], w->grid->dim),
                         slice_box_find(&box[1], slice[1], w->grid->dim)};
    int r = 0;
    if (!has[0] || !has[1]) {
        for (int a = 0; r == 0 && a < 2; a++) {
            const double alone = find_radius(slice[a], w->grid);
            r = has[a] ? collect(&w->direction[a], w, slice[a], &box[a], alone, err) : 0;
        }
        return r;
    }
    for (int a = 0; a < 2; a++) { /* one that holds both */
        box[0].low[a] = box[1].low[a] < box[0].low[a] ? box[1].low[a] : box[0].low[a];
        box[0].high[a] = box[1].high[a] > box[0].high[a] ? box[1].high[a] : box[0].high[a];
    }
    for (int a = 0; r == 0 && a < 2; a++) {
        measure(w, slice[1 - a], &box[0]);
        r = collect(&w->direction[a], w, slice[a], &box[0], 0.0, err);
    }
    return r;
}

static double find_mean(const struct work *w, const size_t since[2])
{
    double sum = 0.0;
    size_t n = 0;
    for (int a = 0; a < 2; a++) {
        const struct direction *d = &w->direction[a];
        for (size_t i = since[a]; i < d->n; i++) {
            sum += (double)d->mm[i];
        }
        n += d->n - since[a];
    }
    return n == 0 ? 0.0 : sum / (double)n;
}

static int find_slices(struct work *w, int32_t *ret_worst, const struct sctd_beat *beat,
                       struct sctd_error *err)
{
    const size_t plane = (size_t)w->grid->dim[0] * (size_t)w->grid->dim[1];
    double most = -1.0;
    for (int32_t k = 0; k < w->grid->dim[2]; k++) {
        const size_t since[2] = {w->direction[0].n, w->direction[1].n};
        int r = find_slice(w, (size_t)k * plane, err);
        if (r < 0) {
            return r;
        }
        const double mean = find_mean(w, since);
        *ret_worst = mean > most ? k : *ret_worst;
        most = mean > most ? mean : most;
        sctd_beat_tell(beat);
    }
    return 0;
}

int outline_distance_find(struct outline_distance *ret_distance, const uint8_t *a, const uint8_t *b,
                          const struct volume_grid *grid, const struct sctd_beat *beat,
                          struct sctd_error *err)
{
    static const double percent[2] = {95.0, 95.0};
    const size_t plane = (size_t)grid->dim[0] * (size_t)grid->dim[1];
    const int32_t longest = grid->dim[0] > grid->dim[1] ? grid->dim[0] : grid->dim[1];
    struct outline_distance found = {.worst_slice = 0};
    sctd_auto(work_fini) struct work w = {
        .grid = grid,
        .direction = {{.body = a}, {.body = b}},
        .squared = malloc(plane * sizeof(double)),
    };
    int r = distance_init(&w.transform, longest, err);
    if (r == 0 && w.squared == NULL) {
        r = sctd_error(err, SCTD_ENOMEM, "the distances of a slice");
    }
    r = r < 0 ? r : find_slices(&w, &found.worst_slice, beat, err);
    for (int d = 0; r == 0 && d < 2; d++) {
        double at[2] = {0};
        if (w.direction[d].n == 0) {
            return OUTLINE_DISTANCE_NONE;
        }
        r = percentile_find(at, percent, w.direction[d].mm, w.direction[d].n, err);
        found.hd95_mm = fmax(found.hd95_mm, at[0]);
    }
    if (r == 0) {
        *ret_distance = found;
    }
    return r;
}
