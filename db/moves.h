/*
 * moves.h - every change of a job's or a delivery's state goes through here, with its line of history.
 *
 * Private to db/.  All of it within a transaction of the caller.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct moves_why {
    const char *reason, *detail; /* detail: NULL: none */
};

/* Only in *job. */
void moves_review(const struct db_now *now, struct db_job *job, enum db_review review);

/*
 * Write what the caller changed in *job (attempt, failures, deaths, breaks, interruptions, due_ms, lease_until_ms, owner,
 * stage, review), and move it to state `to`; *job is then in it.  Leases end with RUNNING.
 */
SCTD_NODISCARD int moves_job(struct db *db, const struct db_now *now, struct db_job *job,
                             enum db_job_state to, const struct moves_why *why,
                             struct sctd_error *err);

/* A delivery with what only the store needs of it. */
struct moves_sending {
    struct db_delivery d; /* at offset 0 */
    int64_t destination_id;
    int64_t claimed_ms, lease_until_ms; /* lease clock */
    int64_t asked_ms; /* wall clock: storage commitment is awaited since then; 0: it is not */
    int32_t best;     /* most instances that were ever stored */
    char owner[DB_NAME_SIZE];
};
/* Returns 0 or DB_NONE. */
SCTD_NODISCARD int moves_get_delivery(struct db *db, int64_t id, struct moves_sending *ret_delivery,
                                      struct sctd_error *err);
/* The same of a delivery: attempt, failures, spent_ms, due_ms, transaction_uid, priority and the store's own. */
SCTD_NODISCARD int moves_delivery(struct db *db, const struct db_now *now,
                                  struct moves_sending *delivery, enum db_delivery_state to,
                                  const struct moves_why *why, struct sctd_error *err);

/* Ids in the first column of a statement with up to three numbers; at most MOVES_IDS of them. */
enum { MOVES_IDS = 256 };
struct moves_ids {
    int64_t id[MOVES_IDS];
    size_t n;
};
struct moves_query {
    const char *text; /* a literal */
    int64_t number[3];
    int n_numbers;
};
SCTD_NODISCARD int moves_find(struct db *db, const struct moves_query *query,
                              struct moves_ids *ret_ids, struct sctd_error *err);

/* All deliveries of a job that are in `from` (1 << state, or-ed) go to `to`. */
struct moves_group {
    int64_t job_id;
    unsigned from;
    enum db_delivery_state to;
};
SCTD_NODISCARD int moves_deliveries(struct db *db, const struct db_now *now,
                                    const struct moves_group *group, const char *reason,
                                    struct sctd_error *err);

/* Cancel a job that has not ended as DONE or CANCELLED, and what of its deliveries is not done; what was held counts as
 * rejected. */
SCTD_NODISCARD int moves_cancel(struct db *db, const struct db_now *now, struct db_job *job,
                                const char *reason, struct sctd_error *err);

/* jobs_create.c: a delivery to destination i of a spec, WAITING. */
SCTD_NODISCARD int jobs_create_delivery(struct db *db, const struct db_now *now, int64_t job_id,
                                        const struct db_job_spec *spec, size_t i,
                                        struct sctd_error *err);

/* jobs_control.c: whether what a job needs to be tried again is there and nobody else makes the same, and whether it has
 * its files.  Returns 0 or DB_REFUSED. */
SCTD_NODISCARD int jobs_control_check(struct db *db, const struct db_job *job, int64_t *ret_written,
                                      struct sctd_error *err);
/* jobs_control.c: what has its files is delivered where it was not, what has none is made. */
SCTD_NODISCARD int jobs_control_begin_anew(struct db *db, const struct db_now *now,
                                           struct db_job *job, bool is_written, const char *reason,
                                           struct sctd_error *err);

/* End a DELIVERING job when its last delivery has ended. */
SCTD_NODISCARD int moves_settle(struct db *db, const struct db_now *now, int64_t job_id,
                                struct sctd_error *err);

/* An attempt that ended without a result. */
SCTD_NODISCARD int moves_failed(struct db *db, const struct db_now *now, struct db_job *job,
                                const struct db_work_result *result, const struct db_retry *retry,
                                struct sctd_error *err);

#ifdef __cplusplus
}
#endif
