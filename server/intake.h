/*
 * intake.h - what receivers bring: instances into the job store, and each series watched until it is complete.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/instances.h"
#include "engine/base/error.h"
#include "server/completion.h"
#include "server/policy.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct intake;

struct intake_hooks {
    void *arg;
    void (*job_made)(void *arg, int64_t job_id);
    /* Nothing is made of a series: no rule holds, or one ignores it. */
    void (*discarded)(void *arg, const struct db_series *series,
                      const struct policy_decision *decision);
    void (*failed)(void *arg, const char *reason); /* the job store: end the process */
};

struct intake_options {
    struct uv_loop_s *loop;
    struct db *db;               /* borrowed */
    const struct policy *policy; /* borrowed; intake_set_policy */
};

/* Series that are open in the store are watched from now on.
 * *ret_intake: freed by intake_free.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int intake_new(struct intake **ret_intake, const struct intake_options *options,
                              const struct intake_hooks *hooks, struct sctd_error *err);
void intake_set_policy(struct intake *intake, const struct policy *policy);

/* What receivers.h calls; arg is the struct intake. */
int intake_keep(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err);
void intake_opened(void *arg, const struct receivers_association *association);
void intake_ended(void *arg, const struct receivers_association *association,
                  const struct receive_end *end, int status);

/* A series was opened again: watch it. */
void intake_watch(struct intake *intake, int64_t series_id);

/* Something outside changed what is known of a series: look at it soon. */
void intake_touch(struct intake *intake, int64_t series_id);

/* Complete an open series now, as an operator asks.  Returns 0, or DB_NONE (there is no such open series).
 * Errors: those of order_make. */
SCTD_NODISCARD int intake_complete_now(struct intake *intake, int64_t series_id, const char *reason,
                                       struct sctd_error *err);

/* Whether a series is complete, and why, or what it waits for.  Returns 0 or DB_NONE: it is not open. */
SCTD_NODISCARD int intake_explain(struct intake *intake, int64_t series_id,
                                  struct completion *ret_completion, struct sctd_error *err);
int32_t intake_count_open(const struct intake *intake); /* series that are watched */

void intake_stop(struct intake *intake); /* no more jobs: the daemon drains */
void intake_free(
    struct intake *intake); /* its handle closes as the loop runs on; NULL is a no-op */

#ifdef __cplusplus
}
#endif
