/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/pieces.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"

/* Voxels begin ... end - 1 of a row. */
struct run {
    int32_t begin, end;
    uint32_t parent; /* a run of the same piece, itself if it is the piece's first */
    uint32_t voxels; /* of the whole piece, in its first run */
};

struct pieces {
    struct run *run; /* in the order of the voxels; owned */
    uint32_t n;
    uint32_t *row; /* [rows + 1]: the first run of each row; owned */
};

static void pieces_fini(struct pieces *p)
{
    free(p->run);
    free(p->row);
}

static uint32_t count_runs(const uint8_t *row, int32_t columns)
{
    uint32_t n = row[0] != 0 ? 1 : 0;
    for (int32_t i = 1; i < columns; i++) {
        n += row[i] != 0 && row[i - 1] == 0 ? 1 : 0;
    }
    return n;
}

/* Memory for all runs at once: to let it grow would take twice as much. */
static int pieces_init(struct pieces *p, const uint8_t *mask, const int32_t dim[3],
                       const struct sctd_beat *beat, struct sctd_error *err)
{
    const size_t rows = (size_t)dim[1] * (size_t)dim[2];
    size_t n = 0;
    p->row = calloc(rows + 1, sizeof *p->row);
    if (p->row == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the pieces of a mask, %zu rows", rows);
    }
    for (size_t row = 0; row < rows; row++) {
        n += count_runs(mask + row * (size_t)dim[0], dim[0]);
        if ((row + 1) % (size_t)dim[1] == 0) {
            sctd_beat_tell(beat);
        }
    }
    p->run = malloc((n + 1) * sizeof *p->run);
    return p->run == NULL ? sctd_error(err, SCTD_ENOMEM, "the pieces of a mask, %zu runs", n) : 0;
}

static void find_runs(struct pieces *p, const uint8_t *row, int32_t columns)
{
    int32_t at = 0;
    while (at < columns) {
        while (at < columns && row[at] == 0) {
            at++;
        }
        const int32_t begin = at;
        while (at < columns && row[at] != 0) {
            at++;
        }
        if (at > begin) {
            p->run[p->n] = (struct run){begin, at, p->n, (uint32_t)(at - begin)};
            p->n++;
        }
    }
}

static uint32_t find_first(struct run *run, uint32_t at)
{
    while (run[at].parent != at) {
        run[at].parent = run[run[at].parent].parent;
        at = run[at].parent;
    }
    return at;
}

static void join(struct run *run, uint32_t a, uint32_t b)
{
    a = find_first(run, a);
    b = find_first(run, b);
    if (a != b) {
        const uint32_t first = a < b ? a : b;
        const uint32_t other = a < b ? b : a;
        run[other].parent = first;
        run[first].voxels += run[other].voxels;
    }
}

/* Join the runs of two neighbouring rows that share a column. */
static void join_rows(struct pieces *p, size_t before, size_t row)
{
    uint32_t a = p->row[before];
    uint32_t b = p->row[row];
    while (a < p->row[before + 1] && b < p->row[row + 1]) {
        const struct run *x = &p->run[a];
        const struct run *y = &p->run[b];
        if (x->begin < y->end && y->begin < x->end) {
            join(p->run, a, b);
        }
        if (x->end < y->end) {
            a++;
        } else {
            b++;
        }
    }
}

static void mark_row(struct pieces *p, uint8_t *mask, size_t row, uint32_t piece)
{
    for (uint32_t i = p->row[row]; i < p->row[row + 1]; i++) {
        const struct run *run = &p->run[i];
        if (find_first(p->run, i) == piece) {
            memset(mask + (size_t)run->begin, 1, (size_t)(run->end - run->begin));
        }
    }
}

int pieces_keep_largest(uint8_t *mask, const int32_t dim[3], size_t *ret_n,
                        const struct sctd_beat *beat, struct sctd_error *err)
{
    const size_t columns = (size_t)dim[0];
    const size_t in_slice = (size_t)dim[1];
    const size_t rows = in_slice * (size_t)dim[2];
    if (rows > PIECES_VOXELS_MAX / columns) {
        return sctd_error(err, SCTD_EINVAL, "the pieces of a mask of %zu x %zu voxels, at most %zu",
                          rows, columns, (size_t)PIECES_VOXELS_MAX);
    }
    sctd_auto(pieces_fini) struct pieces p = {.run = NULL};
    int r = pieces_init(&p, mask, dim, beat, err);
    if (r < 0) {
        return r;
    }
    for (size_t row = 0; row < rows; row++) {
        find_runs(&p, mask + row * columns, dim[0]);
        p.row[row + 1] = p.n;
        if (row % in_slice > 0) {
            join_rows(&p, row - 1, row);
        }
        if (row >= in_slice) {
            join_rows(&p, row - in_slice, row);
        }
        if ((row + 1) % in_slice == 0) {
            sctd_beat_tell(beat);
        }
    }
    uint32_t largest = 0;
    for (uint32_t i = 1; i < p.n; i++) {
        if (p.run[i].parent == i && p.run[i].voxels > p.run[largest].voxels) {
            largest = i;
        }
    }
    memset(mask, 0, rows * columns);
    for (size_t row = 0; row < rows; row++) {
        mark_row(&p, mask + row * columns, row, largest);
        if ((row + 1) % in_slice == 0) {
            sctd_beat_tell(beat);
        }
    }
    *ret_n = p.n == 0 ? 0 : p.run[largest].voxels;
    return 0;
}
