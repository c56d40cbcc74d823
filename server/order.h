/*
 * order.h - a complete series becomes a job, with every UID of its result decided; or nothing is made of it.
 *
 * Thread safety: as of the job store.
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

#ifdef __cplusplus
extern "C" {
#endif

/* What a batch wants instead of what the rules say. */
struct order_terms {
    struct policy_decision decision;
    int32_t priority; /* of the job store */
};

struct order {
    const struct db_series *series; /* open; with terms: or closed, then as it is */
    const struct db_member_list *members;
    const struct completion *completion; /* why it is complete */
    const struct order_terms *terms; /* NULL: the rules decide, and what none wants is discarded */
};

enum order_outcome {
    ORDER_CREATED,
    ORDER_EXISTS,    /* the same result is made by another job: the series is closed */
    ORDER_DISCARDED, /* no rule wants it; with terms: nothing was changed */
    ORDER_CHANGED,   /* an instance came meanwhile, or files are gone: look again */
};

struct order_result {
    enum order_outcome outcome;
    int64_t job_id; /* CREATED, EXISTS */
    struct policy_decision decision;
};

/*
 * In one transaction of the store.  Errors: SCTD_EINVAL, SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int order_make(struct order_result *ret_result, struct db *db,
                              const struct db_now *now, const struct policy *policy,
                              const struct order *order, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
