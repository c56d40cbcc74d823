/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/pieces.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

/* Voxels begin ... end - 1 of a row. */
struct run {
    int32_t begin, end;
    size_t parent; /* a run of the same piece, itself if it is the piece's first */
    size_t voxels; /* of the whole piece, in its first run */
};

struct pieces {
    struct run *run; /* in the order of the voxels */
    size_t n, room;
    size_t *row; /* [rows + 1]: the first run of each row */
};

static void pieces_fini(struct pieces *p)
{
    free(p->run);
    free(p->row);
}

static int add_run(struct pieces *p, int32_t begin, int32_t end, struct sctd_error *err)
{
    enum { LEAST = 1024 };
    if (p->n == p->room) {
        const size_t room = p->room == 0 ? LEAST : 2 * p->room;
        struct run *more = realloc(p->run, room * sizeof *more);
        if (more == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "the pieces of a mask, %zu runs", room);
        }
        p->run = more;
        p->room = room;
    }
    p->run[p->n] = (struct run){begin, end, p->n, (size_t)(end - begin)};
    p->n++;
    return 0;
}

static int find_runs(struct pieces *p, const uint8_t *row, int32_t columns, struct sctd_error *err)
{
    int r = 0;
    int32_t at = 0;
    while (r == 0 && at < columns) {
        while (at < columns && row[at] == 0) {
            at++;
        }
        const int32_t begin = at;
        while (at < columns && row[at] != 0) {
            at++;
        }
        r = at > begin ? add_run(p, begin, at, err) : 0;
    }
    return r;
}

static size_t find_first(struct run *run, size_t at)
{
    while (run[at].parent != at) {
        run[at].parent = run[run[at].parent].parent;
        at = run[at].parent;
    }
    return at;
}

static void join(struct run *run, size_t a, size_t b)
{
    a = find_first(run, a);
    b = find_first(run, b);
    if (a != b) {
        const size_t first = a < b ? a : b;
        const size_t other = a < b ? b : a;
        run[other].parent = first;
        run[first].voxels += run[other].voxels;
    }
}

/* Join the runs of two neighbouring rows that share a column. */
static void join_rows(struct pieces *p, size_t before, size_t row)
{
    size_t a = p->row[before];
    size_t b = p->row[row];
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

static void mark_row(struct pieces *p, uint8_t *mask, size_t row, size_t piece)
{
    for (size_t i = p->row[row]; i < p->row[row + 1]; i++) {
        const struct run *run = &p->run[i];
        if (find_first(p->run, i) == piece) {
            memset(mask + (size_t)run->begin, 1, (size_t)(run->end - run->begin));
        }
    }
}

int pieces_keep_largest(uint8_t *mask, const int32_t dim[3], size_t *ret_n, struct sctd_error *err)
{
    const size_t rows = (size_t)dim[1] * (size_t)dim[2];
    const size_t in_slice = (size_t)dim[1];
    sctd_auto(pieces_fini) struct pieces p = {.row = calloc(rows + 1, sizeof *p.row)};
    int r = p.row == NULL ? sctd_error(err, SCTD_ENOMEM, "the pieces of a mask") : 0;
    for (size_t row = 0; r == 0 && row < rows; row++) {
        r = find_runs(&p, mask + row * (size_t)dim[0], dim[0], err);
        if (r < 0) {
            break;
        }
        p.row[row + 1] = p.n;
        if (row % in_slice > 0) {
            join_rows(&p, row - 1, row);
        }
        if (row >= in_slice) {
            join_rows(&p, row - in_slice, row);
        }
    }
    if (r < 0) {
        return r;
    }
    size_t largest = 0;
    for (size_t i = 1; i < p.n; i++) {
        if (p.run[i].parent == i && p.run[i].voxels > p.run[largest].voxels) {
            largest = i;
        }
    }
    memset(mask, 0, rows * (size_t)dim[0]);
    for (size_t row = 0; row < rows; row++) {
        mark_row(&p, mask + row * (size_t)dim[0], row, largest);
    }
    *ret_n = p.n == 0 ? 0 : p.run[largest].voxels;
    return 0;
}
