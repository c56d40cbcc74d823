/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    MAX_THREADS = 256,
    /* Steps follow each other within microseconds, so waking a sleeper for each would cost more
     * than the wait; an idle engine sleeps after about this many pauses (some 50 us). */
    SPINS = 2000,
};

struct worker_start {
    struct pool *pool;
    int32_t worker;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* round changed, or stop */
    pthread_cond_t idle; /* busy became 0 */
    void (*enter)(void);
    pool_fn fn;
    void *arg;
    int32_t items;
    atomic_int next;   /* the next item to take */
    atomic_int busy;   /* workers still in the round */
    atomic_uint round; /* changed, under lock, to start one */
    bool stop;         /* under lock */
    bool has_lock;
    int32_t threads;
    int32_t n_started;
    struct worker_start start[MAX_THREADS];
    pthread_t thread[MAX_THREADS];
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void work_off(struct pool *pool, int32_t worker)
{
    for (;;) {
        const int32_t item = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (item >= pool->items) {
            return;
        }
        pool->fn(pool->arg, item, worker);
    }
}

/* Wait for a round other than `seen`; false to stop. */
static bool wait_for_round(struct pool *pool, unsigned *seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->round, memory_order_acquire) != *seen) {
            break;
        }
        relax();
    }
    (void)pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->round, memory_order_relaxed) == *seen && !pool->stop) {
        (void)pthread_cond_wait(&pool->work, &pool->lock);
    }
    const bool go = !pool->stop;
    *seen = atomic_load_explicit(&pool->round, memory_order_relaxed);
    (void)pthread_mutex_unlock(&pool->lock);
    return go;
}

static void *worker_main(void *arg)
{
    const struct worker_start *start = arg;
    struct pool *pool = start->pool;
    unsigned seen = 0;
    if (pool->enter != NULL) {
        pool->enter();
    }
    while (wait_for_round(pool, &seen)) {
        work_off(pool, start->worker);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            (void)pthread_mutex_lock(&pool->lock);
            (void)pthread_cond_signal(&pool->idle);
            (void)pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

int pool_new(struct pool **ret_pool, int32_t threads, void (*enter)(void), struct sctd_error *err)
{
    if (threads < 1 || threads > MAX_THREADS) {
        return sctd_error(err, SCTD_EINVAL, "%d threads: 1 to %d are possible", threads,
                          MAX_THREADS);
    }
    sctd_auto(pool_freep) struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "thread pool");
    }
    if (pthread_mutex_init(&pool->lock, NULL) != 0 || pthread_cond_init(&pool->work, NULL) != 0 ||
        pthread_cond_init(&pool->idle, NULL) != 0) {
        return sctd_error(err, SCTD_ENOMEM, "thread pool");
    }
    pool->has_lock = true;
    pool->threads = threads;
    pool->enter = enter;
    for (int32_t i = 1; i < threads; i++) {
        pool->start[i] = (struct worker_start){.pool = pool, .worker = i};
        if (pthread_create(&pool->thread[i], NULL, worker_main, &pool->start[i]) != 0) {
            return sctd_error(err, SCTD_EIO, "thread %d of %d cannot be started", i + 1, threads);
        }
        pool->n_started++;
    }
    *ret_pool = sctd_steal(&pool);
    return 0;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    if (pool->has_lock) {
        (void)pthread_mutex_lock(&pool->lock);
        pool->stop = true;
        (void)pthread_cond_broadcast(&pool->work);
        (void)pthread_mutex_unlock(&pool->lock);
        for (int32_t i = 1; i <= pool->n_started; i++) {
            (void)pthread_join(pool->thread[i], NULL);
        }
        (void)pthread_cond_destroy(&pool->idle);
        (void)pthread_cond_destroy(&pool->work);
        (void)pthread_mutex_destroy(&pool->lock);
    }
    free(pool);
}

int32_t pool_get_threads(const struct pool *pool)
{
    return pool->threads;
}

void pool_run(struct pool *pool, int32_t items, pool_fn fn, void *arg)
{
    if (pool->threads == 1 || items == 1) {
        for (int32_t i = 0; i < items; i++) {
            fn(arg, i, 0);
        }
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->items = items;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, pool->threads - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);

    work_off(pool, 0);

    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0) {
            return;
        }
        relax();
    }
    (void)pthread_mutex_lock(&pool->lock);
    while (atomic_load_explicit(&pool->busy, memory_order_acquire) != 0) {
        (void)pthread_cond_wait(&pool->idle, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

int32_t pool_count_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    const int32_t n = CPU_COUNT(&set);
    return n < 1 ? 1 : (n > MAX_THREADS ? MAX_THREADS : n);
}
