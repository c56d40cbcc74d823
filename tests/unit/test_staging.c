/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cuda/staging.h"
#include "engine/backend/pool.h"
#include "engine/base/error.h"

#define GUARD ((size_t)64)
#define PIECE ((size_t)256 * 1024)

/* Every value arrives, and nothing before or behind them is touched. */
static void check_copy(struct pool *pool, size_t bytes)
{
    unsigned char *from = malloc(bytes + 1);
    unsigned char *to = malloc(bytes + 2 * GUARD);
    assert(from != NULL && to != NULL);
    for (size_t i = 0; i < bytes; i++) {
        from[i] = (unsigned char)(i * 31 + i / 251);
    }
    memset(to, 0xee, bytes + 2 * GUARD);
    staging_copy(pool, to + GUARD, from, bytes);
    assert(memcmp(to + GUARD, from, bytes) == 0);
    for (size_t i = 0; i < GUARD; i++) {
        assert(to[i] == 0xee && to[GUARD + bytes + i] == 0xee);
    }
    free(from);
    free(to);
}

static void check_widen(struct pool *pool, size_t n)
{
    int16_t *from = malloc((n + 1) * sizeof *from);
    float *to = malloc((n + 1) * sizeof *to);
    assert(from != NULL && to != NULL);
    for (size_t i = 0; i < n; i++) {
        from[i] = (int16_t)((int)(i % 65536) - 32768);
    }
    to[n] = 0.5F;
    staging_widen(pool, to, from, n);
    for (size_t i = 0; i < n; i++) {
        assert(to[i] == (float)((int)(i % 65536) - 32768));
    }
    assert(to[n] == 0.5F);
    free(from);
    free(to);
}

int main(void)
{
    static const size_t sizes[] = {
        0, 1, 2, PIECE - 1, PIECE, PIECE + 1, PIECE + 2, 3 * PIECE + 7, 40 * PIECE};
    for (int32_t threads = 1; threads <= 5; threads += 2) {
        struct sctd_error err = {.code = SCTD_OK};
        struct pool *pool = NULL;
        assert(pool_new(&pool, threads, NULL, &err) == 0);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            check_copy(pool, sizes[i]);
            check_widen(pool, sizes[i]);
        }
        pool_free(pool);
    }
    return 0;
}
