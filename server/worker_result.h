/*
 * worker_result.h - what a worker has said of its result, until the attempt ends and the job store has it.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "server/worker_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct worker_result {
    struct worker_output *output; /* [n_outputs], owned */
    size_t n_outputs, capacity;
    struct worker_quality *quality; /* owned; NULL: it said nothing of it */
    char failed[DB_REASON_SIZE];    /* which checks, of those */
};

void worker_result_fini(struct worker_result *result); /* leaves it empty */

/* false: too many, twice, or no memory; then its worker is killed and the job taken again. */
bool worker_result_add_output(struct worker_result *result, const struct worker_output *output);
bool worker_result_add_quality(struct worker_result *result, const struct worker_quality *quality);

/* An attempt that ends: whose, how, and when it is tried again. */
struct worker_ending {
    struct db_now now;
    struct db_token token;
    struct db_retry retry;
};

/* db_job_finish with what was said; `work`: how it ended, and gets the rest.  Returns and errors: db_job_finish's. */
SCTD_NODISCARD int worker_result_finish(struct worker_result *result, struct db *db,
                                        const struct worker_ending *ending,
                                        struct db_work_result *work, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
