/*
 * operate.h - an operator's request to the daemon, done: jobs and series by hand.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "db/db.h"
#include "server/control.h"
#include "server/intake.h"

#ifdef __cplusplus
extern "C" {
#endif

struct operate {
    struct db *db;
    struct intake *intake;
};

/*
 * Actions: job-cancel, job-retry, job-prioritise (value 0 ... 9), series-complete, series-discard, series-reopen.
 * Returns whether something changed; then workers and deliveries may have something to do.
 */
bool operate_do(const struct operate *operate, const struct control_request *request,
                struct control_answer *ret_answer);

#ifdef __cplusplus
}
#endif
