/*
 * batches.h - retrospective work in the daemon: batches are planned, their series fetched, ordered and watched.
 *
 * The work of one series: batch_series.h.  A batch goes on after any interruption where the job store says that it was.  Its jobs
 * have the last priority, and few are ordered ahead, so that live work waits for one series at most.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/policy.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct batches;

struct batches_options {
    struct uv_loop_s *loop;
    const char *program;         /* the path of sctd */
    struct db *db;               /* borrowed */
    const struct policy *policy; /* borrowed; batches_set_policy */
    struct receive_serve serve;  /* where instances go, and the limits */
    int ahead; /* series that are fetched or wait for a worker at a time, at least 2 */
};

struct batches_hooks {
    void *arg;
    /* As in receivers.h. */
    int (*keep)(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err);
    void (*ended)(void *arg, const struct receivers_association *association,
                  const struct receive_end *end, int status);
    void (*job_made)(void *arg, int64_t job_id);
    void (*failed)(void *arg, const char *reason); /* the disk or the job store: end the process */
    void (*drained)(void *arg);                    /* after batches_drain: nothing is on its way */
};

/* *ret_batches: freed by batches_free.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int batches_new(struct batches **ret_batches, const struct batches_options *options,
                               const struct batches_hooks *hooks, struct sctd_error *err);
void batches_set_policy(struct batches *batches, const struct policy *policy);
void batches_kick(struct batches *batches); /* there may be something to do */

/*
 * Begin a batch by its request (batch_request.h).  Returns 0, or DB_EXISTS with the id of one that does the same and has
 * not ended.  Errors: SCTD_EINVAL (the request, or a name in it), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int batches_create(struct batches *batches, const char *request, size_t size,
                                  int64_t *ret_id, struct sctd_error *err);
/* Each returns 0, DB_NONE or DB_REFUSED (it has ended; is paused, or not).  What is on its way when a batch is paused
 * goes on to its end. */
SCTD_NODISCARD int batches_pause(struct batches *batches, int64_t id, const char *reason,
                                 struct sctd_error *err);
SCTD_NODISCARD int batches_resume(struct batches *batches, int64_t id, const char *reason,
                                  struct sctd_error *err);
SCTD_NODISCARD int batches_cancel(struct batches *batches, int64_t id, const char *reason,
                                  struct sctd_error *err);

void batches_drain(struct batches *batches); /* nothing new; what is being fetched is given back */
void batches_free(
    struct batches *batches); /* its handles close as the loop runs on; NULL is a no-op */

#ifdef __cplusplus
}
#endif
