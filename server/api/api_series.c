/* SPDX-License-Identifier: Apache-2.0 */
/* Series: list, one, and a hand on it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/act.h"
#include "server/api/context.h"
#include "server/api/page.h"
#include "server/api/write.h"
#include "server/completion.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/intake.h"

void api_series_list(struct request *request)
{
    static const char *const states[] = {"open", "closed", "discarded"};
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct page page;
    struct db_series_filter filter = {.state = -1};
    sctd_auto(db_series_page_fini) struct db_series_page list = {.n = 0};
    if (!request_get_choice(request, "state", states, 3, &filter.state) ||
        !request_get_uid(request, "study_uid", &filter.study_uid) || !page_read(request, &page)) {
        return;
    }
    filter.ascending = page.ascending;
    filter.after = page.after;
    filter.limit = page.limit;
    if (db_series_list(api->node.db, &filter, &list, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    struct json_writer w = page_begin(request, &err);
    int r = 0;
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        json_write_object_begin(&w, NULL);
        r = write_series(&w, api, &list.series[i], page.identity, &err);
        json_write_object_end(&w);
    }
    page_end(request, &w, r, list.next);
}

static int write_completion(struct json_writer *w, struct api *api, const struct db_series *series,
                            struct sctd_error *err)
{
    struct completion completion = {.is_complete = false};
    const int r = intake_explain(api->node.intake, series->id, &completion, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(w, "completion");
    json_write_bool(w, "complete", series->state == DB_SERIES_CLOSED);
    json_write_string(w, "reason", r == 0 ? completion.reason : series->reason);
    json_write_object_end(w);
    return 0;
}

static int write_jobs(struct json_writer *w, struct api *api, const struct db_series *series,
                      bool identity, struct sctd_error *err)
{
    sctd_auto(db_job_page_fini) struct db_job_page jobs = {.n = 0};
    const struct db_job_filter filter = {
        .state = -1, .series_uid = series->series_uid, .limit = DB_PAGE_MAX};
    int r = db_job_list(api->node.db, &filter, &jobs, err);
    json_write_array_begin(w, "jobs");
    for (size_t i = 0; r == 0 && i < jobs.n; i++) {
        json_write_object_begin(w, NULL);
        r = write_job(w, api, &jobs.job[i], identity, err);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    return r;
}

static void write_actions(struct json_writer *w, enum db_series_state state)
{
    json_write_array_begin(w, "actions");
    if (state == DB_SERIES_OPEN) {
        json_write_string(w, NULL, "complete");
        json_write_string(w, NULL, "discard");
    } else if (state == DB_SERIES_DISCARDED) {
        json_write_string(w, NULL, "reopen");
    }
    json_write_array_end(w);
}

void api_series(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct db_series series = {.id = 0};
    bool identity = false;
    if (!page_read_identity(request, &identity)) {
        return;
    }
    int r = db_series_get(api->node.db, request->found.id, &series, &err);
    if (r != 0) {
        page_missing(request, r, "series", &err);
        return;
    }
    struct json_writer w = reply_begin_json(&request->reply, &err);
    r = write_series(&w, api, &series, identity, &err);
    json_write_string(&w, "frame_of_reference_uid", series.frame_of_reference_uid);
    r = r < 0 ? r : write_jobs(&w, api, &series, identity, &err);
    r = r < 0 ? r : write_completion(&w, api, &series, &err);
    if (r < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    write_actions(&w, series.state);
    reply_end_json(&request->reply, &w);
}

void api_series_complete(struct request *request)
{
    act_for_reason(request, "series-complete", "it is complete");
}

void api_series_discard(struct request *request)
{
    act_for_reason(request, "series-discard", "nothing is done with it");
}

void api_series_reopen(struct request *request)
{
    act_for_reason(request, "series-reopen", "it is open again");
}
