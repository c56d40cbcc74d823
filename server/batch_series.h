/*
 * batch_series.h - one series of a batch, by decisions: is it to be fetched, has all of it come, what is ordered.
 *
 * Each function takes an item as the job store has it (db/batches.h) and leaves it in its next state, both there and in
 * *item.  What it returns says what the caller does next.
 *
 * Thread safety: as of the job store.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "db/batches.h"
#include "db/db.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/batch_terms.h"
#include "server/fetch_messages.h"
#include "server/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BATCH_SERIES_FAILURES_MAX = 5,
    BATCH_SERIES_RECEIVING_MS = 30000, /* a live series is looked at again then */
    BATCH_SERIES_RETRY_MS = 15000,     /* doubling */
    BATCH_SERIES_RETRY_CAP_MS = 900000,
};

struct batch_series {
    struct db *db;
    const struct policy *policy;
    const struct batch_request *request;
    struct batch_terms *terms;
    int64_t batch_id;
};

/* What the caller does next. */
enum batch_next {
    BATCH_NEXT_NOTHING = 1, /* it has its end, a job, or waits */
    BATCH_NEXT_FETCH,       /* it is FETCHING: fetch it */
    BATCH_NEXT_ORDER,       /* it is READY: batch_series_order */
    BATCH_NEXT_MADE,        /* a new job has it */
};

/* All: returns an enum batch_next, or an error: SCTD_EIO, SCTD_EINVAL, SCTD_ENOMEM. */

/* One that was just claimed. */
SCTD_NODISCARD int batch_series_begin(const struct batch_series *s, const struct db_now *now,
                                      struct db_item *item, struct sctd_error *err);
/* Its fetcher has ended. */
struct batch_fetched {
    const struct fetch_end *end;
    bool is_stopped;   /* by us, with the daemon */
    bool may_move;     /* C-MOVE is left to be tried */
    int32_t stalled_s; /* by us, since no image came for so long; 0: it was not */
};
SCTD_NODISCARD int batch_series_fetched(const struct batch_series *s, const struct db_now *now,
                                        struct db_item *item, const struct batch_fetched *fetched,
                                        struct sctd_error *err);
SCTD_NODISCARD int batch_series_order(const struct batch_series *s, const struct db_now *now,
                                      struct db_item *item, struct sctd_error *err);
/* For good, with what came of it put aside. */
SCTD_NODISCARD int batch_series_give_up(const struct batch_series *s, const struct db_now *now,
                                        struct db_item *item, const char *reason,
                                        struct sctd_error *err);

#ifdef __cplusplus
}
#endif
