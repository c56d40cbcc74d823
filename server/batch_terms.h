/*
 * batch_terms.h - what a batch makes of a series: which rule and model, and where the result goes.
 *
 * The rules decide as for live work, or the batch names one; a model that the batch names takes the place of the rule's.
 * A named model converts a series that no rule wants, with the defaults of a rule, but none that a rule ignores.
 *
 * Thread safety: one object belongs to one thread; the policy must outlive it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "db/instances.h"
#include "dicom/found.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/config.h"
#include "server/order.h"
#include "server/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct batch_terms {
    const struct policy *policy;
    struct batch_request *request;
    const struct config_rule *named; /* NULL: the rules decide */
    struct policy_model model;       /* of the request */
    bool has_model;
    char *destination[BATCH_DESTINATIONS_MAX]; /* the request's */
    struct config_rule rule;                   /* of the last decision */
};

/* `ret_terms` must not move afterwards.
 * Errors: SCTD_EINVAL (there is no such rule, model or destination), those of policy_load_model. */
SCTD_NODISCARD int batch_terms_init(struct batch_terms *ret_terms, const struct policy *policy,
                                    struct batch_request *request, struct sctd_error *err);

/* *ret_order_terms borrows from `terms`, until the next call. */
void batch_terms_decide(struct batch_terms *terms, const struct db_series *series, int32_t frames,
                        struct order_terms *ret_order_terms);

/* A series as far as its source tells of it, for batch_terms_decide before it is here. */
void batch_terms_guess(struct db_series *ret_series, const struct dicom_found *found,
                       const char *source_ae);

struct db_made;
/*
 * Send what a job has made to those of the destinations that lack it; with force to all of them.
 * Returns as db_job_deliver.
 */
SCTD_NODISCARD int batch_terms_deliver(const struct batch_terms *terms,
                                       const struct config_rule *rule, struct db *db,
                                       const struct db_now *now, int64_t job_id,
                                       struct sctd_error *err);

/*
 * A job that makes the same already.  Returns 0 or DB_NONE.  Errors: SCTD_EIO, SCTD_EINVAL, SCTD_ENOMEM.
 */
SCTD_NODISCARD int batch_terms_find_made(const struct batch_terms *terms,
                                         const struct order_terms *order, struct db *db,
                                         int64_t series_id, struct db_made *ret_made,
                                         struct sctd_error *err);

#ifdef __cplusplus
}
#endif
