/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/cuda/program.h"
#include "engine/base/error.h"

/* Buffers, the largest first; of equals the earlier, so that the same program has the same places. */
static int compare_sizes(const void *a, const void *b)
{
    const struct program_buffer *x = *(const struct program_buffer *const *)a;
    const struct program_buffer *y = *(const struct program_buffer *const *)b;
    if (x->bytes != y->bytes) {
        return x->bytes > y->bytes ? -1 : 1;
    }
    return (x > y) - (x < y);
}

static bool meet_in_time(const struct program_buffer *a, const struct program_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The first of the `n` placed ones that `b` would meet in time and place at `offset`; NULL: none. */
static const struct program_buffer *find_obstacle(struct program_buffer *const *placed, size_t n,
                                                  const struct program_buffer *b, size_t offset)
{
    for (size_t i = 0; i < n; i++) {
        const struct program_buffer *other = placed[i];
        const bool overlap =
            offset < other->offset + other->bytes && other->offset < offset + b->bytes;
        if (overlap && meet_in_time(b, other)) {
            return other;
        }
    }
    return NULL;
}

/* An offset at which `b` meets none of them: past one obstacle after the other. */
static size_t find_offset(struct program_buffer *const *placed, size_t n,
                          const struct program_buffer *b)
{
    size_t offset = 0;
    const struct program_buffer *obstacle = find_obstacle(placed, n, b, offset);
    while (obstacle != NULL) {
        offset = obstacle->offset + obstacle->bytes;
        obstacle = find_obstacle(placed, n, b, offset);
    }
    return offset;
}

int program_place(struct program *p, struct sctd_error *err)
{
    size_t n = 0;
    struct program_buffer **order =
        (struct program_buffer **)calloc((size_t)p->n_buffers + 1, sizeof *order);
    if (order == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "arena");
    }
    for (int32_t i = 0; i < p->n_buffers; i++) {
        if (p->buffer[i].first != PROGRAM_NONE) {
            order[n++] = &p->buffer[i];
        }
    }
    qsort((void *)order, n, sizeof *order, compare_sizes);
    p->arena_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        order[i]->offset = find_offset(order, i, order[i]);
        const size_t end = order[i]->offset + order[i]->bytes;
        p->arena_bytes = end > p->arena_bytes ? end : p->arena_bytes;
    }
    free((void *)order);
    return 0;
}
