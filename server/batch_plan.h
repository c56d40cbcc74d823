/*
 * batch_plan.h - which series a request means: asked of a PACS, found in a folder, or held already.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/config.h"
#include "server/fetch_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct batch_plan;

struct batch_plan_options {
    struct uv_loop_s *loop;
    const char *program; /* the path of sctd */
    const struct config *config;
    struct db *db; /* read; NULL: there is none, and nothing is held */
    const struct batch_request *request;
};

struct batch_plan_end {
    bool done, may_pass; /* not done: whether another try may go better */
    int64_t looked_at, wanted, unreadable;
    char reason[FETCH_REASON_SIZE];
};

struct batch_plan_hooks {
    void *arg;
    /* A series that the request means; false: no more. */
    bool (*found)(void *arg, const struct fetch_found *found);
    void (*ended)(void *arg, const struct batch_plan_end *end); /* the plan is gone then */
};

/*
 * `config` and `request` must stay until this returns; the request is looked at until `ended`.  Hooks may be called
 * before it returns.
 * Errors: SCTD_EINVAL (no such PACS, or one that must not be asked), SCTD_EIO, SCTD_ENOMEM; `ended` is not called then.
 */
SCTD_NODISCARD int batch_plan_start(struct batch_plan **ret_plan,
                                    const struct batch_plan_options *options,
                                    const struct batch_plan_hooks *hooks, struct sctd_error *err);
void batch_plan_kill(struct batch_plan *plan); /* `ended` comes all the same */

/* How a PACS is addressed, by its entry in the configuration. */
void batch_plan_address(struct fetch_work *work, const struct config *config,
                        const struct config_destination *pacs);

#ifdef __cplusplus
}
#endif
