/*
 * batches_parts.h - what batches.c, batches_plan.c and batches_fetch.c share.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "db/batches.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/batch_series.h"
#include "server/batch_terms.h"
#include "server/batches.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BATCHES_FOUND_MAX = 64 };

struct batch_plan;
struct fetcher;

/* A batch that is being planned or runs. */
struct batches_active {
    struct batches *all;
    struct batches_active *next;
    int64_t id;
    struct batch_request request;
    struct batch_terms terms;
    struct batch_plan *plan;                 /* NULL: none on its way */
    struct db_item found[BATCHES_FOUND_MAX]; /* not kept yet */
    size_t n_found;
    int n_fetching;
    bool is_gone; /* it has ended: freed with the last that is on its way */
};

/* A series that is being fetched. */
struct batches_fetching {
    struct batches_active *batch;
    struct batches_fetching *next;
    struct db_item item;
    struct fetcher *fetcher;
    struct receive_serve serve;
    struct receivers_association association;
    char pacs[BATCH_NAME_SIZE];
    bool may_move, is_move;
    int32_t stalled_s; /* it was ended after so long; 0: it was not */
    int32_t silence_s; /* what it may be silent for */
    int32_t instances; /* of a C-MOVE: seen last, and when */
    int64_t moved_ms;
};

struct batches {
    struct batches_options options;
    struct batches_hooks hooks;
    uv_timer_t timer;
    struct batches_active *active;
    struct batches_fetching *fetching;
    int64_t associations;
    bool is_draining, is_drained, is_freed, is_closed;
};

/* batches.c */
void batches_bear(struct batches *all, const struct sctd_error *err);
struct batch_series batches_series_of(struct batches_active *batch);
/* Errors: a named rule, model or destination is gone from the configuration. */
SCTD_NODISCARD int batches_set_terms(struct batches_active *batch, struct sctd_error *err);
void batches_free_if_unused(struct batches_active *batch);
void batches_ended_one(struct batches *all); /* something that was on its way */
/* The source of a batch was not reached: nothing more of it for a while. */
void batches_defer(struct batches_active *batch, const char *reason);
/* What follows a decision about a series (batch_series.h).  Returns an enum batch_next or an error. */
SCTD_NODISCARD int batches_follow(struct batches_active *batch, struct db_item *item, int next,
                                  struct sctd_error *err);

/* batches_plan.c: find out which series a batch has. */
void batches_plan_start(struct batches_active *batch);

/* batches_fetch.c.  An error is one of this attempt. */
SCTD_NODISCARD int batches_fetch_start(struct batches_active *batch, struct db_item *item,
                                       struct sctd_error *err);
/* How many series are being fetched; pacs: from that one, NULL: in all. */
int batches_fetch_count(const struct batches *all, const char *pacs);
void batches_fetch_stop(const struct batches_active *batch); /* all of a batch */
void batches_fetch_end_stalled(struct batches *all);         /* those that bring nothing */

#ifdef __cplusplus
}
#endif
