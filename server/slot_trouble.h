/*
 * slot_trouble.h - whether a slot's engine works: what is the matter, and when it is looked at again.
 *
 * An engine that cannot be opened (a GPU that is gone, a driver, a full memory) is no job's fault: its slot takes no job
 * until a trial, which only opens the engine, has shown that it can.  A GPU that broke under a job is tried like that
 * too, and counts as sound only when a job is done on it.  Trials wait twice as long each time: 1 s to 60 s.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/worker_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct slot_trouble {
    int32_t failures; /* in a row; 0: it works as far as anybody knows */
    bool needs_trial; /* no job for it before that */
    char reason[WORKER_REASON_SIZE];
    int64_t since_ms;      /* wall clock: of the first failure */
    int64_t last_ms;       /* wall clock: of the last one */
    int64_t not_before_ms; /* lease clock: of the trial */
    int64_t broken_by;     /* the job that alone broke it, SLOT_SEVERAL, or 0: none did */
};

enum { SLOT_SEVERAL = -1 };

struct db_now;

/* It could not be opened. */
void slot_trouble_no_engine(struct slot_trouble *trouble, const struct db_now *now,
                            const char *reason);
/*
 * It broke under a job.  Returns how many broken GPUs end that job: few while no other job has broken this one since it
 * last worked, so that one job which breaks every GPU ends, and many jobs on one bad GPU do not.
 */
int32_t slot_trouble_broke(struct slot_trouble *trouble, const struct db_now *now, int64_t job_id,
                           const char *reason);
/* A trial has opened it.  Returns whether that ends the trouble: where it broke under a job, only a job shows that. */
bool slot_trouble_opened(struct slot_trouble *trouble);
/* A job was done on it. */
void slot_trouble_end(struct slot_trouble *trouble);

#ifdef __cplusplus
}
#endif
