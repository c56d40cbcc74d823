/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_plan.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "db/instances.h"
#include "dicom/found.h"
#include "dicom/query.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/config.h"
#include "server/fetch_messages.h"
#include "server/fetcher.h"
#include "server/worker_list.h"

enum { CONNECT_MS = 10000, SCAN_MS = 1200000 };

struct batch_plan {
    struct batch_plan_options options;
    struct batch_plan_hooks hooks;
    struct batch_filter filter;
    struct fetcher *fetcher;
    struct batch_plan_end end;
    bool is_over; /* too many, or nobody wants more */
};

void batch_plan_address(struct fetch_work *work, const struct config *config,
                        const struct config_destination *pacs)
{
    (void)snprintf(work->host, sizeof work->host, "%s", pacs->host);
    (void)snprintf(work->calling_ae, sizeof work->calling_ae, "%s", config->ae_title);
    (void)snprintf(work->called_ae, sizeof work->called_ae, "%s", pacs->ae_title);
    work->port = pacs->port;
    work->connect_ms = CONNECT_MS;
    work->answer_ms = pacs->silence_s * 1000;
    work->all_syntaxes = pacs->compressed;
}

/* An sCT that this node made is never a source, whoever holds it now. */
static bool is_ours(const struct batch_plan *plan, const struct dicom_found *found)
{
    struct sctd_error err = {.code = SCTD_OK};
    return plan->options.db != NULL &&
           db_series_is_ours(plan->options.db, found->series_uid, &err) == 0;
}

static bool on_found(void *arg, const struct fetch_found *found)
{
    struct batch_plan *plan = arg;
    plan->end.looked_at++;
    if (plan->is_over || !batch_request_filter_wants(&plan->filter, &found->series) ||
        is_ours(plan, &found->series)) {
        return !plan->is_over;
    }
    plan->end.wanted++;
    if (plan->end.wanted > plan->options.request->limit) {
        plan->is_over = true;
        plan->end.done = false;
        (void)snprintf(plan->end.reason, sizeof plan->end.reason,
                       "more than %d series: narrow the request down, or raise its limit",
                       plan->options.request->limit);
        return false;
    }
    plan->is_over = !plan->hooks.found(plan->hooks.arg, found);
    return !plan->is_over;
}

static void finish(struct batch_plan *plan)
{
    batch_request_filter_close(&plan->filter);
    plan->hooks.ended(plan->hooks.arg, &plan->end);
    free(plan);
}

static void on_ended(void *arg, const struct fetch_end *end)
{
    struct batch_plan *plan = arg;
    if (!plan->is_over) {
        plan->end.done = end->end == DICOM_QUERY_DONE;
        plan->end.may_pass = end->end == DICOM_QUERY_FAILED || end->end == DICOM_QUERY_UNREACHABLE;
        plan->end.unreadable = end->failed;
        (void)snprintf(plan->end.reason, sizeof plan->end.reason, "%s", end->reason);
    }
    finish(plan);
}

static void on_failed(void *arg, const char *reason)
{
    (void)arg;
    (void)reason; /* nothing is kept while planning */
}

/* What is held */

static void describe(struct fetch_found *found, const struct db_series *series)
{
    *found = (struct fetch_found){.series = {.images = series->instances}};
    struct dicom_found *s = &found->series;
    (void)snprintf(s->study_uid, sizeof s->study_uid, "%s", series->study_uid);
    (void)snprintf(s->series_uid, sizeof s->series_uid, "%s", series->series_uid);
    (void)snprintf(s->modality, sizeof s->modality, "%s", series->modality);
    (void)snprintf(s->series_description, sizeof s->series_description, "%s",
                   series->series_description);
    (void)snprintf(s->station, sizeof s->station, "%s", series->station);
    (void)snprintf(s->protocol, sizeof s->protocol, "%s", series->protocol);
    (void)snprintf(s->body_part, sizeof s->body_part, "%s", series->body_part);
    (void)snprintf(s->manufacturer, sizeof s->manufacturer, "%s", series->manufacturer);
    (void)snprintf(found->image_type, sizeof found->image_type, "%s", series->image_type);
}

static int list_held(struct batch_plan *plan, struct sctd_error *err)
{
    int64_t after = 0;
    do {
        sctd_auto(db_series_page_fini) struct db_series_page page = {.n = 0};
        const struct db_series_filter filter = {
            .state = -1, .ascending = true, .after = after, .limit = DB_PAGE_MAX};
        const int r = db_series_list(plan->options.db, &filter, &page, err);
        if (r < 0) {
            return r;
        }
        for (size_t i = 0; i < page.n && !plan->is_over; i++) {
            struct fetch_found found;
            describe(&found, &page.series[i]);
            (void)on_found(plan, &found);
        }
        after = page.next;
    } while (after != 0 && !plan->is_over);
    return 0;
}

/* What others have */

static int list_studies(int *ret_fd, const struct batch_request *request, struct sctd_error *err)
{
    const struct worker_list list = {.uid = request->studies.uid, .n_uids = request->studies.n};
    if (request->studies.n == 0) {
        *ret_fd = -1;
        return 0;
    }
    return worker_list_write(ret_fd, &list, err);
}

static int order_query(struct fetcher_order *order, const struct batch_plan_options *o,
                       struct sctd_error *err)
{
    const struct batch_request *q = o->request;
    const struct config_destination *pacs = config_find_destination(o->config, q->place);
    struct fetch_work *work = &order->work;
    if (pacs == NULL || (!pacs->get && !pacs->move)) {
        return sctd_error(err, SCTD_EINVAL,
                          pacs == NULL ? "there is no destination \"%.64s\" to ask"
                                       : "destination \"%.64s\" may not be asked: set get: true or "
                                         "move: true for it",
                          q->place);
    }
    if ((q->method == BATCH_GET && !pacs->get) || (q->method == BATCH_MOVE && !pacs->move)) {
        return sctd_error(err, SCTD_EINVAL, "destination \"%.64s\" does not allow that method",
                          q->place);
    }
    *work = (struct fetch_work){.kind = FETCH_FIND, .limit = BATCH_SERIES_MAX};
    batch_plan_address(work, o->config, pacs);
    (void)snprintf(work->from, sizeof work->from, "%s", q->from);
    (void)snprintf(work->to, sizeof work->to, "%s", q->to);
    (void)snprintf(work->patient_id, sizeof work->patient_id, "%s", q->patient);
    (void)snprintf(work->accession, sizeof work->accession, "%s", q->accession);
    (void)snprintf(work->modality, sizeof work->modality, "%s", q->modality);
    return list_studies(&order->list_fd, q, err);
}

static int start(struct batch_plan *plan, struct sctd_error *err)
{
    const struct batch_plan_options *o = &plan->options;
    struct fetcher_order order = {.list_fd = -1};
    int r = 0;
    if (o->request->source == BATCH_FOLDER) {
        order.work =
            (struct fetch_work){.kind = FETCH_SCAN, .connect_ms = CONNECT_MS, .answer_ms = SCAN_MS};
        (void)snprintf(order.work.folder, sizeof order.work.folder, "%s", o->request->place);
    } else {
        r = order_query(&order, o, err);
    }
    const struct fetcher_hooks hooks = {
        .arg = plan, .found = on_found, .failed = on_failed, .ended = on_ended};
    return r < 0 ? r : fetcher_start(&plan->fetcher, o->loop, o->program, &order, &hooks, err);
}

int batch_plan_start(struct batch_plan **ret_plan, const struct batch_plan_options *options,
                     const struct batch_plan_hooks *hooks, struct sctd_error *err)
{
    struct batch_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a plan");
    }
    plan->options = *options;
    plan->hooks = *hooks;
    plan->end.done = true;
    int r = batch_request_filter_open(&plan->filter, options->request, err);
    const bool is_held = options->request->source == BATCH_HELD;
    if (r == 0 && is_held) {
        r = options->db == NULL ? 0 : list_held(plan, err);
    } else if (r == 0) {
        r = start(plan, err);
    }
    if (r < 0) {
        batch_request_filter_close(&plan->filter);
        free(plan);
        return r;
    }
    *ret_plan = plan;
    if (is_held) {
        finish(plan);
    }
    return 0;
}

void batch_plan_kill(struct batch_plan *plan)
{
    fetcher_kill(plan->fetcher);
}
