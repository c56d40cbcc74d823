/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/staging.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/pool.h"

enum { PIECE = 256 * 1024 }; /* bytes, of what is read: some 30 us for a processor */

struct staging {
    void *to;
    const void *from;
    size_t bytes; /* of from */
};

static int32_t count_pieces(size_t bytes)
{
    return (int32_t)((bytes + PIECE - 1) / PIECE);
}

static size_t piece_size(const struct staging *s, size_t at)
{
    return s->bytes - at < PIECE ? s->bytes - at : PIECE;
}

static void copy_piece(void *arg, int32_t item, int32_t worker)
{
    const struct staging *s = arg;
    const size_t at = (size_t)item * PIECE;
    (void)worker;
    memcpy((unsigned char *)s->to + at, (const unsigned char *)s->from + at, piece_size(s, at));
}

static void widen_piece(void *arg, int32_t item, int32_t worker)
{
    const struct staging *s = arg;
    const size_t at = (size_t)item * PIECE;
    const size_t n = piece_size(s, at) / sizeof(int16_t);
    const int16_t *from = (const int16_t *)s->from + at / sizeof *from;
    float *to = (float *)s->to + at / sizeof *from;
    (void)worker;
    for (size_t i = 0; i < n; i++) {
        to[i] = (float)from[i];
    }
}

void staging_copy(struct pool *pool, void *to, const void *from, size_t bytes)
{
    struct staging s = {.to = to, .from = from, .bytes = bytes};
    pool_run(pool, count_pieces(bytes), copy_piece, &s);
}

void staging_widen(struct pool *pool, float *to, const int16_t *from, size_t n)
{
    struct staging s = {
        .to = (unsigned char *)to, .from = (const unsigned char *)from, .bytes = n * sizeof *from};
    pool_run(pool, count_pieces(s.bytes), widen_piece, &s);
}
