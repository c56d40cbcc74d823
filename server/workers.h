/*
 * workers.h - the processes that do jobs, one for each slot, from a claim to a result.
 *
 * A job is claimed under a lease before a worker hears of it, so that one that kills its worker is counted.  A
 * worker that dies, hangs or runs for too long costs its job an attempt and nothing else.  Where the disk has no room for
 * a result all jobs wait, and where a slot's engine does not work the slot does; then no job loses a try.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/config.h"
#include "server/slot_trouble.h"
#include "server/worker_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct workers;

struct workers_hooks {
    void *arg;
    void (*finished)(void *arg, int64_t job_id);   /* an attempt ended: its files may be there */
    void (*failed)(void *arg, const char *reason); /* the job store: end the process */
    void (*drained)(void *arg);                    /* after workers_drain: none is left */
};

struct workers_options {
    struct uv_loop_s *loop;
    const char *program;         /* the path of sctd */
    struct db *db;               /* borrowed */
    const char *node;            /* owners are NODE/worker-N */
    const char *spool, *results; /* folders */
    const char *models_dir;
    struct config_workers workers; /* its texts are not used */
};

/* The texts must outlive it.  *ret_workers: freed by workers_free.  Errors: SCTD_ENOMEM, SCTD_EINVAL. */
SCTD_NODISCARD int workers_new(struct workers **ret_workers, const struct workers_options *options,
                               const struct workers_hooks *hooks, struct sctd_error *err);

enum { WORKERS_OUTCOMES = 6 };

/* How its slots are now, and how its attempts went. */
struct workers_count {
    int32_t slots, alive, busy;
    int32_t dying;                      /* that wait after several deaths in a row */
    int32_t broken;                     /* whose engine does not work (slot_trouble.h) */
    int32_t fallback;                   /* on the CPU where a GPU is meant to be */
    int64_t attempts[WORKERS_OUTCOMES]; /* that have ended, by enum db_work */
};
const char *workers_outcome_name(int outcome); /* "done", "died" ...; never NULL */
void workers_get_count(const struct workers *all, struct workers_count *ret_count);

/* The engine of slot `slot`, from 0 on; its texts live until the loop runs on. */
struct workers_engine {
    const char *asked; /* of the configuration: "auto", "cuda:1" */
    const struct slot_trouble *trouble;
    const struct worker_engine *is; /* what its process has opened; NULL: nothing now */
};
void workers_get_engine(const struct workers *all, int slot, struct workers_engine *ret_engine);
/* What it computes with now, in ret_text[DB_ENGINE_SIZE]: "cuda (NVIDIA H200), fp16"; false: nothing is loaded. */
bool workers_describe_engine(const struct workers *all, int slot, char *ret_text);

/* There may be something to do. */
void workers_kick(struct workers *workers);

/* Take no more jobs.  Those on their way have grace_ms; then they are given back.  Called again it sets that anew. */
void workers_drain(struct workers *workers, int grace_ms);

/* After `drained`; its handles close as the loop runs on.  NULL is a no-op. */
void workers_free(struct workers *workers);

#ifdef __cplusplus
}
#endif
