/*
 * workers_slot.h - what workers.c and workers_engine.c share: a slot, and all of them.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "db/jobs.h"
#include "engine/base/rng.h"
#include "server/slot_trouble.h"
#include "server/worker_messages.h"
#include "server/worker_result.h"
#include "server/workers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct slot {
    struct workers *all;
    int number;
    char backend[WORKER_BACKEND_SIZE];
    int32_t turn, turns;             /* of the slots with such a backend */
    struct child *child;             /* NULL: none */
    bool is_ready, is_busy, is_lost; /* lost: the job is another's, or nobody's, by now */
    bool is_leaving;                 /* its process ends: no job for it */
    int deaths;                      /* in a row */
    int64_t not_before_ms;           /* lease clock */
    struct db_job job;
    struct worker_message message; /* the job, or the trial */
    int list_fd;                   /* -1: handed over */
    struct worker_stage stage;     /* that it said last */
    int64_t heartbeat_ms, deadline_ms;
    struct worker_result result;
    bool is_checked; /* without what the checks found nothing it made counts */
    struct slot_trouble trouble;
    struct worker_engine engine; /* backend "": its process has opened none */
    int64_t look_ms; /* lease clock: to look again for a GPU that "auto" did not find; 0: not */
    int looks;       /* in a row */
    bool is_looking; /* for one: its process ends, and a trial comes next */
    bool was_there;  /* the result, before this attempt */
    bool is_trying;  /* its engine, without a job */
    int64_t open_from_ms; /* lease clock: in the stage of loading, since when */
    int32_t breaks_max;   /* broken GPUs that end the job; 0: as ever */
};

struct workers {
    struct workers_options options;
    struct workers_hooks hooks;
    uv_timer_t timer, drain;
    bool is_draining, is_drained, is_freed;
    int open_handles;
    struct sctd_rng rng;
    struct slot *slot;
    int n;
    int64_t attempts[WORKERS_OUTCOMES];
};

#ifdef __cplusplus
}
#endif
