/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: list, one, its series, its report, and a hand on it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/act.h"
#include "server/api/context.h"
#include "server/api/page.h"
#include "server/batch_request.h"
#include "server/batch_view.h"
#include "server/control.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/operate.h"

void api_batches(struct request *request)
{
    static const char *const states[] = {"planning", "running", "done", "failed", "cancelled"};
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct page page;
    struct db_batch_filter filter = {.state = -1};
    sctd_auto(db_batch_page_fini) struct db_batch_page list = {.n = 0};
    if (!request_get_choice(request, "state", states, DB_BATCH_STATES, &filter.state) ||
        !page_read(request, &page)) {
        return;
    }
    filter.ascending = page.ascending;
    filter.after = page.after;
    filter.limit = page.limit;
    if (db_batch_list(api->node.db, &filter, &list, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    struct json_writer w = page_begin(request, &err);
    for (size_t i = 0; i < list.n; i++) {
        batch_view_write(&w, NULL, &list.batch[i]);
    }
    page_end(request, &w, 0, list.next);
}

static int read_asked(struct db *db, int64_t id, struct batch_request *ret_asked,
                      struct sctd_error *err)
{
    char *text = NULL;
    int r = db_batch_request_get(db, id, &text, err);
    r = r != 0 ? r : batch_request_parse(ret_asked, text, strlen(text), err);
    free(text);
    return r;
}

static void write_actions(struct json_writer *w, const struct db_batch *batch)
{
    json_write_array_begin(w, "actions");
    if (batch->state <= DB_BATCH_RUNNING) {
        json_write_string(w, NULL, batch->paused ? "resume" : "pause");
        json_write_string(w, NULL, "cancel");
    }
    json_write_array_end(w);
}

void api_batch(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct db_batch batch;
    sctd_auto(batch_request_fini) struct batch_request asked = batch_request_make();
    bool identity = false;
    if (!page_read_identity(request, &identity)) {
        return;
    }
    int r = db_batch_get(api->node.db, request->found.id, &batch, &err);
    r = r != 0 ? r : read_asked(api->node.db, batch.id, &asked, &err);
    if (r != 0) {
        page_missing(request, r, "batch", &err);
        return;
    }
    struct json_writer w = reply_begin_json(&request->reply, &err);
    batch_view_write_members(&w, &batch);
    batch_request_show(&w, "request", &asked, identity);
    write_actions(&w, &batch);
    reply_end_json(&request->reply, &w);
}

void api_batch_series(struct request *request)
{
    static const char *const states[] = {"waiting", "fetching", "ready",  "converting",
                                         "done",    "skipped",  "failed", "cancelled"};
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct db_batch batch;
    struct page page;
    struct db_item_filter filter = {.batch_id = request->found.id, .state = -1};
    sctd_auto(db_item_page_fini) struct db_item_page list = {.n = 0};
    if (!request_get_choice(request, "state", states, DB_ITEM_STATES, &filter.state) ||
        !page_read(request, &page)) {
        return;
    }
    filter.after = page.after;
    filter.limit = page.limit;
    int r = db_batch_get(api->node.db, request->found.id, &batch, &err);
    r = r != 0 ? r : db_item_list(api->node.db, &filter, &list, &err);
    if (r != 0) {
        page_missing(request, r, "batch", &err);
        return;
    }
    struct json_writer w = page_begin(request, &err);
    for (size_t i = 0; i < list.n; i++) {
        batch_view_write_item(&w, &list.item[i]);
    }
    page_end(request, &w, 0, list.next);
}

void api_batch_report(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    const int r =
        batch_view_report_json(&request->reply.body, api->node.db, request->found.id, &err);
    if (r != 0) {
        page_missing(request, r, "batch", &err);
    }
}

void api_batch_report_csv(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    const int r =
        batch_view_report_csv(&request->reply.body, api->node.db, request->found.id, &err);
    if (r != 0) {
        page_missing(request, r, "batch", &err);
    }
}

/* The same request again finds the batch that it made. */
void api_batch_create(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(batch_request_fini) struct batch_request parsed = batch_request_make();
    const struct operate operate = {.db = api->node.db,
                                    .intake = api->node.intake,
                                    .batches = api->node.batches,
                                    .actor = request->who.name};
    struct control_request wish = {.action = "batch-create",
                                   .text = sctd_buf_get_text(&request->body),
                                   .text_size = request->body.size};
    struct control_answer answer = {.done = false};
    if (batch_request_parse(&parsed, wish.text, wish.text_size, &err) < 0) {
        reply_problem(&request->reply, 400, "%s", err.text);
        return;
    }
    const enum operate_outcome outcome = operate_do(&operate, &wish, &answer);
    if (outcome != OPERATE_DONE &&
        answer.id == 0) { /* it names what is not there, or does not fit */
        reply_problem(&request->reply, 409, "%s", answer.text);
        return;
    }
    request->reply.status = outcome == OPERATE_DONE ? 201 : 200;
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_int(&w, "id", answer.id);
    json_write_bool(&w, "new", outcome == OPERATE_DONE);
    reply_end_json(&request->reply, &w);
}

void api_batch_pause(struct request *request)
{
    act_for_reason(request, "batch-pause", "it is paused");
}

void api_batch_resume(struct request *request)
{
    act_for_reason(request, "batch-resume", "it goes on");
}

void api_batch_cancel(struct request *request)
{
    act_for_reason(request, "batch-cancel", "it is cancelled");
}
