/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/instances.h"
#include "dicom/query.h"
#include "dicom/receiver.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "server/batch_plan.h"
#include "server/batch_request.h"
#include "server/batch_series.h"
#include "server/batches_parts.h"
#include "server/config.h"
#include "server/fetch_messages.h"
#include "server/fetcher.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/policy.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

enum {
    FILES_MS = 120000,        /* between two files */
    MOVE_ANSWER_MS = 7200000, /* batches_fetch_end_stalled is sooner */
};

static int keep(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err)
{
    const struct batches_fetching *f = arg;
    return f->batch->all->hooks.keep(f->batch->all->hooks.arg, instances, n, ret_kept, err);
}

static void on_failed(void *arg, const char *reason)
{
    struct batches_fetching *f = arg;
    f->batch->all->hooks.failed(f->batch->all->hooks.arg, reason);
}

static void unlink_fetching(struct batches_fetching *f)
{
    struct batches_fetching **at = &f->batch->all->fetching;
    while (*at != f) {
        at = &(*at)->next;
    }
    *at = f->next;
    f->batch->n_fetching--;
}

static void tell_intake(struct batches_fetching *f, const struct fetch_end *end)
{
    struct batches *all = f->batch->all;
    const struct receive_end said = {.end = end->end == DICOM_QUERY_DONE ? DICOM_END_RELEASED
                                                                         : DICOM_END_ABORTED,
                                     .contexts = 1,
                                     .stored = end->completed,
                                     .refused = end->failed};
    all->hooks.ended(all->hooks.arg, &f->association, &said, 0);
}

static void on_fetched(void *arg, const struct fetch_end *end)
{
    struct batches_fetching *f = arg;
    struct batches_active *batch = f->batch;
    struct batches *all = batch->all;
    const struct batch_series s = batches_series_of(batch);
    const struct db_now now = moment_now();
    struct sctd_error err = {.code = SCTD_OK};
    /* The configuration may be another one by now, and lack what the batch names. */
    const bool has_terms = batches_set_terms(batch, &err) == 0;
    const struct batch_fetched fetched = {.end = end,
                                          .is_stopped = all->is_draining || !has_terms,
                                          .may_move = f->may_move,
                                          .stalled_s = f->stalled_s};
    unlink_fetching(f);
    tell_intake(f, end);
    int r = 0;
    if (end->end == DICOM_QUERY_UNREACHABLE && !all->is_draining) {
        batches_defer(batch, end->reason);
    } else if (end->end == DICOM_QUERY_DONE) {
        r = db_batch_defer(all->options.db, batch->id, 0, &err);
    }
    r = r < 0 ? r : batch_series_fetched(&s, &now, &f->item, &fetched, &err);
    r = r == BATCH_NEXT_ORDER && !has_terms ? BATCH_NEXT_NOTHING : r;
    r = r < 0 ? r : batches_follow(batch, &f->item, r, &err);
    if (r >= 0 && f->item.state == DB_ITEM_CANCELLED) {
        r = batch_series_give_up(&s, &now, &f->item, "the batch was cancelled", &err);
    }
    if (r < 0) {
        batches_bear(all, &err);
    }
    free(f);
    batches_free_if_unused(batch);
    batches_ended_one(all);
}

static bool choose_method(const struct batches_active *batch, const struct config_destination *pacs,
                          struct batches_fetching *f)
{
    const bool wants_move =
        batch->request.method == BATCH_MOVE || strcmp(f->item.method, "move") == 0 || !pacs->get;
    f->is_move = wants_move && pacs->move && batch->request.method != BATCH_GET;
    f->may_move = !f->is_move && pacs->move && batch->request.method == BATCH_AUTO;
    (void)snprintf(f->item.method, sizeof f->item.method, "%s", f->is_move ? "move" : "get");
    return f->is_move || pacs->get;
}

int batches_fetch_count(const struct batches *all, const char *pacs)
{
    int n = 0;
    for (const struct batches_fetching *f = all->fetching; f != NULL; f = f->next) {
        n += pacs == NULL || strcmp(f->pacs, pacs) == 0 ? 1 : 0;
    }
    return n;
}

static int fill_order(const struct batches_active *batch, struct batches_fetching *f,
                      struct fetcher_order *order, struct sctd_error *err)
{
    const struct config *config = batch->all->options.policy->config;
    struct fetch_work *work = &order->work;
    *work = (struct fetch_work){.kind = FETCH_FILES, .connect_ms = 1000, .answer_ms = FILES_MS};
    (void)snprintf(f->serve.calling_ae, sizeof f->serve.calling_ae, "%s", config->ae_title);
    (void)snprintf(f->serve.called_ae, sizeof f->serve.called_ae, "%s", config->ae_title);
    (void)snprintf(f->serve.peer, sizeof f->serve.peer, "-");
    if (batch->request.source == BATCH_FOLDER) {
        (void)snprintf(f->item.method, sizeof f->item.method, "files");
        (void)snprintf(work->folder, sizeof work->folder, "%s", f->item.folder);
    } else {
        const struct config_destination *pacs =
            config_find_destination(config, batch->request.place);
        if (pacs == NULL || !choose_method(batch, pacs, f)) {
            return sctd_error(err, SCTD_EINVAL,
                              "destination \"%.64s\" may not be asked for images any more",
                              batch->request.place);
        }
        batch_plan_address(work, config, pacs);
        work->kind = f->is_move ? FETCH_MOVE : FETCH_GET;
        work->answer_ms = f->is_move ? MOVE_ANSWER_MS : work->answer_ms;
        f->silence_s = pacs->silence_s;
        (void)snprintf(f->pacs, sizeof f->pacs, "%s", pacs->name);
        (void)snprintf(f->serve.calling_ae, sizeof f->serve.calling_ae, "%s", pacs->ae_title);
        (void)snprintf(f->serve.peer, sizeof f->serve.peer, "%.63s", pacs->host);
    }
    (void)snprintf(work->study_uid, sizeof work->study_uid, "%s", f->item.study_uid);
    (void)snprintf(work->series_uid, sizeof work->series_uid, "%s", f->item.series_uid);
    order->serve = f->serve;
    order->list_fd = -1;
    order->association_id = f->association.id;
    return 0;
}

/* An error is one of this attempt: *item is to be tried again. */
int batches_fetch_start(struct batches_active *batch, struct db_item *item, struct sctd_error *err)
{
    struct batches *all = batch->all;
    struct fetcher_order order = {.list_fd = -1};
    struct batches_fetching *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a fetcher");
    }
    f->batch = batch;
    f->item = *item;
    f->serve = all->options.serve;
    f->association =
        (struct receivers_association){.id = -(++all->associations), .serve = &f->serve};
    f->moved_ms = sctd_boot_ms();
    const struct fetcher_hooks hooks = {
        .arg = f, .keep = keep, .failed = on_failed, .ended = on_fetched};
    int r = fill_order(batch, f, &order, err);
    r = r < 0 ? r
              : fetcher_start(&f->fetcher, all->options.loop, all->options.program, &order, &hooks,
                              err);
    if (r < 0) {
        free(f);
        return r;
    }
    f->next = all->fetching;
    all->fetching = f;
    batch->n_fetching++;
    return 0;
}

void batches_fetch_stop(const struct batches_active *batch)
{
    for (struct batches_fetching *f = batch->all->fetching; f != NULL; f = f->next) {
        if (f->batch == batch) {
            fetcher_stop(f->fetcher);
        }
    }
}

/* A C-MOVE that brings nothing: the peer may say what it likes meanwhile.  Of C-GET the fetcher itself sees it. */
void batches_fetch_end_stalled(struct batches *all)
{
    const int64_t now_ms = sctd_boot_ms();
    for (struct batches_fetching *f = all->fetching; f != NULL; f = f->next) {
        struct db_series series = {.instances = 0};
        struct sctd_error err = {.code = SCTD_OK};
        if (!f->is_move || f->stalled_s > 0) {
            continue;
        }
        if (db_series_find(all->options.db, f->item.series_uid, &series, &err) == 0 &&
            series.instances != f->instances) {
            f->instances = series.instances;
            f->moved_ms = now_ms;
        } else if (now_ms - f->moved_ms >= f->silence_s * INT64_C(1000)) {
            LOG_WARNING("batch-stalled", log_number("batch", f->batch->id),
                        log_number("item", f->item.id), log_number("images", f->instances));
            f->stalled_s = f->silence_s;
            fetcher_stop(f->fetcher);
        }
    }
}
