/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: list, one, and a hand on it. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/retention.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/act.h"
#include "server/api/context.h"
#include "server/api/page.h"
#include "server/api/write.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/timings.h"

static void write_timings(struct json_writer *w, const struct db_job *job,
                          const struct db_history *history)
{
    struct timings t;
    timings_of(job, history, &t);
    const struct {
        const char *key;
        double seconds; /* NAN is null */
    } stages[] = {
        {"queue_s", t.queue_s},     {"assemble_s", t.assemble_s}, {"load_s", t.load_s},
        {"convert_s", t.convert_s}, {"check_s", t.check_s},       {"write_s", t.write_s},
        {"deliver_s", t.deliver_s}, {"commit_s", t.commit_s},     {"total_s", t.total_s},
    };
    json_write_object_begin(w, "timings");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        json_write_double(w, stages[i].key, stages[i].seconds);
    }
    json_write_object_end(w);
}

/* The list */

static bool read_filter(struct request *request, struct db_job_filter *filter)
{
    const char *names[DB_JOB_STATES];
    for (int i = 0; i < DB_JOB_STATES; i++) {
        names[i] = db_job_state_name((enum db_job_state)i);
    }
    const char *reviews[DB_REVIEWS];
    int review = -1;
    for (int i = 0; i < DB_REVIEWS; i++) {
        reviews[i] = db_review_name((enum db_review)i);
    }
    if (!request_get_choice(request, "review", reviews, DB_REVIEWS, &review)) {
        return false;
    }
    filter->by_review = review >= 0;
    filter->review = review >= 0 ? (enum db_review)review : DB_REVIEW_NONE;
    return request_get_choice(request, "state", names, DB_JOB_STATES, &filter->state) &&
           request_get_text(request, "source_ae", DB_AE_SIZE - 1, &filter->source_ae) &&
           request_get_text(request, "rule", DB_NAME_SIZE - 1, &filter->rule) &&
           request_get_text(request, "model", DB_NAME_SIZE - 1, &filter->model) &&
           request_get_uid(request, "series_uid", &filter->series_uid) &&
           request_get_uid(request, "output_series_uid", &filter->output_series_uid) &&
           request_get_time(request, "from", &filter->created_from_ms) &&
           request_get_time(request, "before", &filter->created_before_ms);
}

static int write_listed(struct json_writer *w, struct api *api, const struct db_job *job,
                        const struct page *page, bool timings, struct sctd_error *err)
{
    sctd_auto(db_history_fini) struct db_history history = {.n = 0};
    int r = write_job(w, api, job, page->identity, err);
    if (r == 0 && timings) {
        r = db_job_history(api->node.db, job->id, DB_PAGE_MAX, &history, err);
        write_timings(w, job, &history);
    }
    return r;
}

void api_jobs(struct request *request)
{
    struct api *api = api_of(request);
    bool timings = false;
    struct sctd_error err = {.code = SCTD_OK};
    struct page page;
    struct db_job_filter filter = {.state = -1};
    sctd_auto(db_job_page_fini) struct db_job_page list = {.n = 0};
    if (!read_filter(request, &filter) || !request_get_bool(request, "timings", &timings) ||
        !page_read(request, &page)) {
        return;
    }
    filter.ascending = page.ascending;
    filter.after = page.after;
    filter.limit = page.limit;
    if (db_job_list(api->node.db, &filter, &list, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    struct json_writer w = page_begin(request, &err);
    int r = 0;
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        json_write_object_begin(&w, NULL);
        r = write_listed(&w, api, &list.job[i], &page, timings, &err);
        json_write_object_end(&w);
    }
    page_end(request, &w, r, list.next);
}

/* One job */

struct whole {
    struct db_job job;
    struct db_delivery_page deliveries;
    struct db_history history;
};

static void whole_fini(struct whole *whole)
{
    db_delivery_page_fini(&whole->deliveries);
    db_history_fini(&whole->history);
}

static int read_whole(struct db *db, int64_t id, struct whole *whole, struct sctd_error *err)
{
    const struct db_delivery_filter deliveries = {
        .job_id = id, .state = -1, .limit = DB_DESTINATIONS_MAX};
    int r = db_job_get(db, id, &whole->job, err);
    r = r != 0 ? r : db_delivery_list(db, &deliveries, &whole->deliveries, err);
    return r != 0 ? r : db_job_history(db, id, DB_PAGE_MAX, &whole->history, err);
}

static void write_job_diagnosis(struct json_writer *w, const struct whole *whole)
{
    bool delivery_failed = false;
    for (size_t i = 0; i < whole->deliveries.n; i++) {
        delivery_failed =
            delivery_failed || whole->deliveries.delivery[i].state == DB_DELIVERY_FAILED;
    }
    struct job_words words;
    if (!write_find_words(&whole->job, delivery_failed, &words)) {
        json_write_null(w, "diagnosis");
        return;
    }
    json_write_object_begin(w, "diagnosis");
    json_write_string(w, "title", words.title);
    json_write_string(w, "mend", words.mend);
    json_write_object_end(w);
}

static void write_actions(struct json_writer *w, const struct db_job *job)
{
    const enum db_job_state state = job->state;
    const bool has_ended = state == DB_JOB_DONE || state == DB_JOB_FAILED ||
                           state == DB_JOB_POISON || state == DB_JOB_CANCELLED;
    const struct {
        const char *name;
        bool possible;
    } actions[] = {
        {"retry", has_ended && state != DB_JOB_DONE && !db_job_is_barred(job)},
        {"accept", db_job_may_accept(job)},
        {"reject", job->review == DB_REVIEW_NEEDED},
        {"cancel", state != DB_JOB_DONE && state != DB_JOB_CANCELLED},
        {"prioritise", !has_ended},
        {"delete_result", state == DB_JOB_DONE || state == DB_JOB_CANCELLED},
    };
    json_write_array_begin(w, "actions");
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (actions[i].possible) {
            json_write_string(w, NULL, actions[i].name);
        }
    }
    json_write_array_end(w);
}

void api_job(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(whole_fini) struct whole whole = {.job = {.id = 0}};
    bool identity = false;
    if (!page_read_identity(request, &identity)) {
        return;
    }
    const int r = read_whole(api->node.db, request->found.id, &whole, &err);
    if (r != 0) {
        page_missing(request, r, "job", &err);
        return;
    }
    const struct db_job *job = &whole.job;
    struct json_writer w = reply_begin_json(&request->reply, &err);
    if (write_job(&w, api, job, identity, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    json_write_string(&w, "model_sha256", job->model_sha256);
    json_write_string(&w, "engine", job->engine);
    json_write_string(&w, "parameters", job->parameters);
    json_write_int(&w, "failures", job->failures);
    json_write_int(&w, "deaths", job->deaths);
    json_write_int(&w, "breaks", job->breaks);
    json_write_int(&w, "interruptions", job->interruptions);
    write_timings(&w, &whole.job, &whole.history);
    json_write_array_begin(&w, "deliveries");
    for (size_t i = 0; i < whole.deliveries.n; i++) {
        json_write_object_begin(&w, NULL);
        write_delivery(&w, &whole.deliveries.delivery[i]);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    write_history(&w, "history", &whole.history);
    write_job_diagnosis(&w, &whole);
    write_actions(&w, job);
    reply_end_json(&request->reply, &w);
}

/* What its checks found.  The worker's text was read before it was kept, and is given on as it is. */
void api_job_quality(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct db_job job;
    char *text = NULL;
    int r = db_job_get(api->node.db, request->found.id, &job, &err);
    if (r != 0) {
        page_missing(request, r, "job", &err);
        return;
    }
    r = db_job_quality(api->node.db, job.id, &text, &err);
    if (r == DB_NONE) {
        reply_problem(&request->reply, 404,
                      "job %" PRId64
                      " has no checks: it has no result yet, or its model has no limits",
                      job.id);
        return;
    }
    r = r < 0 ? r : sctd_buf_text(&request->reply.body, text, &err);
    free(text);
    if (r < 0) {
        reply_error(&request->reply, &err);
    }
}

/* A hand on it */

void api_job_accept(struct request *request)
{
    act_for_reason(request, "job-accept", "it is accepted");
}

void api_job_reject(struct request *request)
{
    struct act act = {.action = "job-reject", .done = "it is rejected"};
    if (!act_read_reason(request, act.reason, sizeof act.reason)) {
        return;
    }
    if (act.reason[0] == '\0') {
        reply_problem(
            &request->reply, 400,
            "the body: \"reason\" is missing: why the result is no good, without patient data");
        return;
    }
    act_do(request, &act);
}

void api_job_retry(struct request *request)
{
    act_for_reason(request, "job-retry", "it is queued again");
}

void api_job_cancel(struct request *request)
{
    act_for_reason(request, "job-cancel", "it is cancelled");
}

void api_job_prioritise(struct request *request)
{
    enum { LAST = 9 };
    static const char *const keys[] = {"priority", "reason"};
    struct act act = {.action = "job-prioritise", .done = "its priority is changed"};
    sctd_auto(json_freep) struct json *json = NULL;
    int64_t priority = -1;
    if (!request_get_json(request, keys, sizeof keys / sizeof *keys, true, &json) ||
        !request_get_member(request, json, "reason", act.reason, sizeof act.reason) ||
        !request_get_whole(request, json, "priority", 0, LAST, &priority)) {
        return;
    }
    if (priority < 0) {
        reply_problem(&request->reply, 400, "the body: \"priority\" is missing: 0 (first) to 9");
        return;
    }
    act.value = (int32_t)priority;
    act_do(request, &act);
}

void api_job_delete_result(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    int64_t n = 0;
    char subject[24];
    char text[80];
    const int r = db_result_take(api->node.db, request->found.id, &n, &err);
    if (r == DB_REFUSED) {
        reply_problem(
            &request->reply, 409,
            "only the result of a job that is done or cancelled, and is not being made again, "
            "can be deleted: nothing undelivered is ever removed");
        return;
    }
    if (r != 0) {
        page_missing(request, r, "job", &err);
        return;
    }
    (void)snprintf(subject, sizeof subject, "%" PRId64, request->found.id);
    (void)snprintf(text, sizeof text, "%" PRId64 " files are removed here", n);
    api_note(request, "result-delete", subject, text);
    api->node.remove(api->node.arg);
    reply_done(&request->reply, text);
}
