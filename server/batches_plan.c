/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/batches.h"
#include "db/db.h"
#include "dicom/found.h"
#include "engine/base/error.h"
#include "server/batch_plan.h"
#include "server/batch_request.h"
#include "server/batches_parts.h"
#include "server/fetch_messages.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/policy.h"

static int keep_found(struct batches_active *batch, struct sctd_error *err)
{
    const struct db_now now = moment_now();
    int r = 0;
    if (batch->n_found > 0) {
        r = db_batch_add(batch->all->options.db, &now, batch->id, batch->found, batch->n_found,
                         err);
        batch->n_found = 0;
    }
    return r;
}

static bool on_found(void *arg, const struct fetch_found *found)
{
    struct batches_active *batch = arg;
    struct sctd_error err = {.code = SCTD_OK};
    const struct dicom_found *s = &found->series;
    struct db_item *item = &batch->found[batch->n_found++];
    *item = (struct db_item){.expected = s->images};
    (void)snprintf(item->study_uid, sizeof item->study_uid, "%s", s->study_uid);
    (void)snprintf(item->series_uid, sizeof item->series_uid, "%s", s->series_uid);
    (void)snprintf(item->study_date, sizeof item->study_date, "%.16s", s->study_date);
    (void)snprintf(item->modality, sizeof item->modality, "%.16s", s->modality);
    (void)snprintf(item->series_description, sizeof item->series_description, "%s",
                   s->series_description);
    (void)snprintf(item->folder, sizeof item->folder, "%s", found->folder);
    const int r = batch->n_found < BATCHES_FOUND_MAX ? 0 : keep_found(batch, &err);
    if (r < 0) {
        batches_bear(batch->all, &err);
    }
    return r == 0;
}

static int end_plan(struct batches_active *batch, const struct batch_plan_end *end,
                    struct sctd_error *err)
{
    struct db *db = batch->all->options.db;
    const struct db_now now = moment_now();
    char reason[DB_REASON_SIZE];
    int r = keep_found(batch, err);
    if (r != 0) {
        return r;
    }
    if (end->done) {
        (void)snprintf(reason, sizeof reason, "%" PRId64 " series of %" PRId64 " that were found%s",
                       end->wanted, end->looked_at,
                       end->unreadable > 0 ? "; some answers could not be read" : "");
        return db_batch_planned(db, &now, batch->id, reason, err);
    }
    (void)snprintf(reason, sizeof reason, "%s", end->reason);
    return db_batch_fail(db, &now, batch->id, reason, err);
}

static void on_planned(void *arg, const struct batch_plan_end *end)
{
    struct batches_active *batch = arg;
    struct batches *all = batch->all;
    struct sctd_error err = {.code = SCTD_OK};
    batch->plan = NULL;
    if (all->is_draining || batch->is_gone) {
        batch->n_found = 0;
    } else if (!end->done && end->may_pass) {
        batch->n_found = 0;
        batches_defer(batch, end->reason);
    } else {
        LOG(end->done ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "batch-planned",
            log_number("batch", batch->id), log_number("series", end->wanted),
            log_text("reason", end->reason));
        if (end_plan(batch, end, &err) < 0) {
            batches_bear(all, &err);
        }
    }
    batches_free_if_unused(batch);
    batches_ended_one(all);
}

void batches_plan_start(struct batches_active *batch)
{
    struct batches *all = batch->all;
    struct sctd_error err = {.code = SCTD_OK};
    const struct batch_plan_options options = {
        .loop = all->options.loop,
        .program = all->options.program,
        .config = all->options.policy->config,
        .db = all->options.db,
        .request = &batch->request,
    };
    const struct batch_plan_hooks hooks = {.arg = batch, .found = on_found, .ended = on_planned};
    struct batch_plan *started = NULL;
    batch->n_found = 0;
    const bool is_held = batch->request.source == BATCH_HELD; /* it ends at once */
    const int r = batch_plan_start(&started, &options, &hooks, &err);
    if (r == 0 && !is_held) {
        batch->plan = started;
    } else if (r == SCTD_EINVAL) {
        const struct batch_plan_end end = {.done = false};
        struct batch_plan_end why = end;
        (void)snprintf(why.reason, sizeof why.reason, "%s", err.text);
        on_planned(batch, &why);
    } else if (r < 0) {
        batches_bear(all, &err);
    }
}
