/*
 * pool.h - a fixed team of threads that share out numbered pieces of work.
 *
 * oneDNN's own threading (OpenMP in Debian's build) is kept at one thread inside each worker, so that
 * a layer's pieces stay in a core's cache from the product to what follows it, and so that results
 * do not depend on the number of threads.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h> // IWYU pragma: export

#include "engine/base/error.h" // IWYU pragma: export

struct pool;

/* Do piece `item` on worker `worker` (0 ... threads - 1), which no other call uses meanwhile. */
typedef void (*pool_fn)(void *arg, int32_t item, int32_t worker);

/*
 * *ret_pool: the caller frees it (pool_free joins the threads).  The calling thread works too, so
 * threads - 1 are started; each of those calls `enter` first, unless it is NULL.
 * Errors: SCTD_EINVAL (threads < 1), SCTD_ENOMEM, SCTD_EIO (no thread).
 */
SCTD_NODISCARD int pool_new(struct pool **ret_pool, int32_t threads, void (*enter)(void),
                            struct sctd_error *err);
void pool_free(struct pool *pool); /* NULL is a no-op */
static inline void pool_freep(struct pool **pool)
{
    pool_free(*pool);
}

int32_t pool_get_threads(const struct pool *pool);

/*
 * Call fn(arg, item, worker) once for each item of 0 ... items - 1 and return when all are done.
 * Thread safety: one call at a time.
 */
void pool_run(struct pool *pool, int32_t items, pool_fn fn, void *arg);

/* The processors that this process may use, at least 1. */
int32_t pool_count_processors(void);
