/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/thin_plate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/pieces.h"

enum { SEEN = 2 }; /* in a map of thin voxels */

/* n pixels of a slice, `step` apart. */
struct line {
    size_t n, step;
};

struct cutter {
    const struct volume_grid *grid;
    size_t n, stride[3];
    uint8_t *thin;   /* [voxels] */
    uint8_t *before; /* [the longer of rows and columns] */
    size_t *waits;   /* [voxels]: each waits once at most */
};

/* to[i]: whether any (all) of the pixels within `reach` is 1.  What lies beyond the slice counts as nothing. */
static void spread(uint8_t *at, struct line line, size_t reach, bool is_erosion, uint8_t *before)
{
    const uint8_t sought = is_erosion ? 0 : 1;
    size_t found = 0;
    for (size_t i = 0; i < line.n; i++) {
        before[i] = at[i * line.step];
    }
    for (size_t i = 0; i < line.n && i < reach; i++) {
        found += before[i] == sought ? 1 : 0;
    }
    for (size_t i = 0; i < line.n; i++) {
        found += i + reach < line.n && before[i + reach] == sought ? 1 : 0;
        found -= i > reach && before[i - reach - 1] == sought ? 1 : 0;
        at[i * line.step] = (found > 0) == is_erosion ? 0 : 1;
    }
}

static void spread_slice(const struct cutter *c, uint8_t *slice, const size_t reach[2],
                         bool is_erosion)
{
    const size_t columns = (size_t)c->grid->dim[0];
    const size_t rows = (size_t)c->grid->dim[1];
    for (size_t j = 0; j < rows; j++) {
        spread(slice + j * columns, (struct line){columns, 1}, reach[0], is_erosion, c->before);
    }
    for (size_t i = 0; i < columns; i++) {
        spread(slice + i, (struct line){rows, columns}, reach[1], is_erosion, c->before);
    }
}

/* thin: what the opening loses. */
static void find_thin(const struct cutter *c, const uint8_t *mask, const size_t reach[2])
{
    const size_t wider[2] = {reach[0] + 1, reach[1] + 1};
    memcpy(c->thin, mask, c->n);
    for (int32_t k = 0; k < c->grid->dim[2]; k++) {
        uint8_t *slice = c->thin + (size_t)k * c->stride[2];
        spread_slice(c, slice, reach, true);
        spread_slice(c, slice, wider, false);
    }
    for (size_t at = 0; at < c->n; at++) {
        c->thin[at] = mask[at] != 0 && c->thin[at] == 0 ? 1 : 0;
    }
}

static void reach_one(const struct cutter *c, size_t at, size_t *n)
{
    if (c->thin[at] == 1) {
        c->thin[at] = SEEN;
        c->waits[(*n)++] = at;
    }
}

static void reach_neighbours(const struct cutter *c, size_t at, size_t *n)
{
    for (int a = 0; a < 3; a++) {
        const size_t index = at / c->stride[a] % (size_t)c->grid->dim[a];
        if (index > 0) {
            reach_one(c, at - c->stride[a], n);
        }
        if (index + 1 < (size_t)c->grid->dim[a]) {
            reach_one(c, at + c->stride[a], n);
        }
    }
}

/* How far waits[0 ... n] reach along rows (0) or columns (1). */
static double find_length_mm(const struct cutter *c, size_t n, int axis)
{
    size_t least = SIZE_MAX;
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t index = c->waits[i] / c->stride[axis] % (size_t)c->grid->dim[axis];
        least = index < least ? index : least;
        most = index > most ? index : most;
    }
    return (double)(most - least + 1) * c->grid->step[axis];
}

/* The piece that `first` belongs to: waits[0 ... n] are its voxels. */
static size_t flood(const struct cutter *c, size_t first)
{
    size_t n = 0;
    reach_one(c, first, &n);
    for (size_t done = 0; done < n; done++) {
        reach_neighbours(c, c->waits[done], &n);
    }
    return n;
}

/* Whether waits[0 ... n] were cut off. */
static bool cut_piece(const struct cutter *c, uint8_t *mask, size_t n)
{
    const bool is_wide = find_length_mm(c, n, 0) >= THIN_PLATE_WIDE_MM ||
                         find_length_mm(c, n, 1) >= THIN_PLATE_WIDE_MM;
    for (size_t i = 0; is_wide && i < n; i++) {
        mask[c->waits[i]] = 0;
    }
    return is_wide;
}

/* Whether anything was cut off. */
static bool cut_wide(const struct cutter *c, uint8_t *mask)
{
    bool is_cut = false;
    for (size_t at = 0; at < c->n; at++) {
        if (c->thin[at] == 1) {
            is_cut = cut_piece(c, mask, flood(c, at)) || is_cut;
        }
    }
    return is_cut;
}

int thin_plate_cut(uint8_t *mask, const struct volume_grid *grid, struct sctd_error *err)
{
    const size_t reach[2] = {(size_t)(THIN_PLATE_MM / grid->step[0]),
                             (size_t)(THIN_PLATE_MM / grid->step[1])};
    const size_t columns = (size_t)grid->dim[0];
    const size_t rows = (size_t)grid->dim[1];
    struct cutter c = {.grid = grid,
                       .n = columns * rows * (size_t)grid->dim[2],
                       .stride = {1, columns, columns * rows}};
    if (reach[0] == 0 || reach[1] == 0) {
        return 0;
    }
    c.thin = malloc(c.n);
    c.before = malloc(columns > rows ? columns : rows);
    c.waits = malloc(c.n * sizeof *c.waits);
    int r = 0;
    if (c.thin == NULL || c.before == NULL || c.waits == NULL) {
        r = sctd_error(err, SCTD_ENOMEM, "the couch in a mask of %zu voxels", c.n);
    } else {
        size_t n_left = 0;
        find_thin(&c, mask, reach);
        r = cut_wide(&c, mask) ? pieces_keep_largest(mask, grid->dim, &n_left, NULL, err) : 0;
    }
    free(c.thin);
    free(c.before);
    free(c.waits);
    return r;
}
