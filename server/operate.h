/*
 * operate.h - an operator's request to the daemon, done: jobs and series by hand.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "db/db.h"
#include "server/batches.h"
#include "server/control.h"
#include "server/intake.h"

#ifdef __cplusplus
extern "C" {
#endif

struct operate {
    struct db *db;
    struct intake *intake;
    struct batches *batches;
    const char *actor; /* who asks, for the audit log */
};

enum operate_outcome {
    OPERATE_DONE,    /* something changed: workers and deliveries may have something to do */
    OPERATE_NONE,    /* there is no such thing */
    OPERATE_REFUSED, /* its state does not allow it */
    OPERATE_FAILED,  /* the store; also an action that is unknown */
};

/*
 * Actions: job-cancel, job-retry, job-prioritise (value 0 ... 9), job-accept, job-reject, series-complete, series-discard, series-reopen,
 * batch-create (text: batch_request.h), batch-pause, batch-resume, batch-cancel.
 * ret_answer->done: whether the outcome is OPERATE_DONE.
 */
enum operate_outcome operate_do(const struct operate *operate,
                                const struct control_request *request,
                                struct control_answer *ret_answer);

#ifdef __cplusplus
}
#endif
