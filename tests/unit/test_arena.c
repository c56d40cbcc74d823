/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/cuda/program.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

enum { BUFFERS = 60, STEPS = 40, ROUNDS = 50 };

static bool in_time(const struct program_buffer *a, const struct program_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static bool in_place(const struct program_buffer *a, const struct program_buffer *b)
{
    return a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* The most that is needed at one step: no arena can be smaller. */
static size_t most_alive(const struct program_buffer *b)
{
    size_t most = 0;
    for (int32_t step = 0; step <= STEPS; step++) {
        size_t bytes = 0;
        for (size_t i = 0; i < BUFFERS; i++) {
            const bool alive =
                b[i].first != PROGRAM_NONE && b[i].first <= step && step <= b[i].last;
            bytes += alive ? b[i].bytes : 0;
        }
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void draw(struct program_buffer *b, struct sctd_rng *rng)
{
    for (size_t i = 0; i < BUFFERS; i++) {
        const int32_t first = (int32_t)(sctd_rng_uniform(rng) * STEPS);
        b[i] = (struct program_buffer){
            .first = first,
            .last = first + (int32_t)(sctd_rng_uniform(rng) * (float)(STEPS - first)),
            .bytes = (size_t)PROGRAM_ALIGN * (1 + (size_t)(sctd_rng_uniform(rng) * 20)),
        };
        if (i % 17 == 0) {
            b[i].first = PROGRAM_NONE; /* nobody writes it: it has no place */
        }
    }
}

/* Buffer i against those before it. */
static void check_place(const struct program_buffer *b, size_t i)
{
    assert(b[i].offset % PROGRAM_ALIGN == 0);
    for (size_t k = 0; k < i; k++) {
        const bool placed = b[i].first != PROGRAM_NONE && b[k].first != PROGRAM_NONE;
        assert(!placed || !in_time(&b[i], &b[k]) || !in_place(&b[i], &b[k]));
    }
}

static void place_once(struct sctd_rng *rng)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct program_buffer b[BUFFERS];
    struct program_buffer again[BUFFERS];
    struct program p = {.buffer = b, .n_buffers = BUFFERS};
    struct program q = {.buffer = again, .n_buffers = BUFFERS};
    draw(b, rng);
    memcpy(again, b, sizeof b);
    assert(program_place(&p, &err) == 0 && program_place(&q, &err) == 0);
    assert(p.arena_bytes == q.arena_bytes);
    assert(p.arena_bytes >= most_alive(b) && p.arena_bytes <= 2 * most_alive(b));
    for (size_t i = 0; i < BUFFERS; i++) {
        assert(again[i].offset == b[i].offset);
        assert(b[i].first == PROGRAM_NONE || b[i].offset + b[i].bytes <= p.arena_bytes);
        check_place(b, i);
    }
}

static void no_two_that_live_at_once_overlap(void)
{
    struct sctd_rng rng = {7};
    for (int round = 0; round < ROUNDS; round++) {
        place_once(&rng);
    }
}

int main(void)
{
    no_two_that_live_at_once_overlap();
    return 0;
}
