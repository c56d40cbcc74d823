/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_view.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/batch_request.h"

enum { HOUR_MS = 3600000, TIME_SIZE = 32 };

const char *batch_view_state(const struct db_batch *batch)
{
    return batch->paused && batch->state == DB_BATCH_RUNNING ? "paused"
                                                             : db_batch_state_name(batch->state);
}

int64_t batch_view_total(const struct db_batch *batch)
{
    int64_t n = 0;
    for (int i = 0; i < DB_ITEM_STATES; i++) {
        n += batch->items[i];
    }
    return n;
}

int64_t batch_view_ended(const struct db_batch *batch)
{
    int64_t n = 0;
    for (int i = DB_ITEM_DONE; i < DB_ITEM_STATES; i++) {
        n += batch->items[i];
    }
    return n;
}

const char *batch_view_reason(const struct db_item *item)
{
    return item->is_held && !db_item_has_ended(item->state) ? "held for review" : item->reason;
}

int64_t batch_view_left_ms(const struct db_batch *batch)
{
    const int64_t left = batch_view_total(batch) - batch_view_ended(batch) - batch->held;
    if (left == 0 || batch->state > DB_BATCH_RUNNING) {
        return batch->state == DB_BATCH_PLANNING ? -1 : 0;
    }
    if (batch->ended_items == 0) {
        return batch->per_hour > 0 ? left * (HOUR_MS / batch->per_hour) : -1;
    }
    int64_t each = batch->spent_ms / batch->ended_items / batch->moves;
    if (batch->per_hour > 0 && each < HOUR_MS / batch->per_hour) {
        each = HOUR_MS / batch->per_hour;
    }
    return left * each;
}

void batch_view_write_members(struct json_writer *w, const struct db_batch *batch)
{
    const int64_t left_ms = batch_view_left_ms(batch);
    json_write_int(w, "id", batch->id);
    json_write_string(w, "name", batch->name);
    json_write_string(w, "state", batch_view_state(batch));
    json_write_string(w, "description", batch->description);
    json_write_string(w, "reason", batch->reason);
    json_write_int(w, "total", batch_view_total(batch));
    json_write_int(w, "ended", batch_view_ended(batch));
    json_write_int(w, "held", batch->held);
    json_write_int(w, "failures", batch->failures);
    json_write_object_begin(w, "series");
    for (int i = 0; i < DB_ITEM_STATES; i++) {
        json_write_int(w, db_item_state_name((enum db_item_state)i), batch->items[i]);
    }
    json_write_object_end(w);
    if (left_ms >= 0) {
        json_write_int(w, "left_ms", left_ms);
    } else {
        json_write_null(w, "left_ms");
    }
    json_write_int(w, "moves", batch->moves);
    json_write_int(w, "per_hour", batch->per_hour);
    batch_request_write_hours(w, batch->from_minute, batch->to_minute);
    json_write_bool(w, "force", batch->force);
    json_write_string(w, "created_by", batch->created_by);
    json_write_int(w, "created_ms", batch->created_ms);
    json_write_int(w, "changed_ms", batch->changed_ms);
    json_write_int(w, "ended_ms", batch->ended_ms);
}

void batch_view_write(struct json_writer *w, const char *key, const struct db_batch *batch)
{
    json_write_object_begin(w, key);
    batch_view_write_members(w, batch);
    json_write_object_end(w);
}

void batch_view_write_item(struct json_writer *w, const struct db_item *item)
{
    json_write_object_begin(w, NULL);
    json_write_string(w, "series_uid", item->series_uid);
    json_write_string(w, "study_uid", item->study_uid);
    json_write_string(w, "study_date", item->study_date);
    json_write_string(w, "modality", item->modality);
    json_write_string(w, "series_description", item->series_description);
    json_write_string(w, "state", db_item_state_name(item->state));
    json_write_string(w, "reason", batch_view_reason(item));
    json_write_string(w, "review", db_review_name(item->review));
    json_write_int(w, "expected", item->expected);
    json_write_int(w, "instances", item->instances);
    json_write_string(w, "method", item->method);
    json_write_int(w, "attempt", item->attempt);
    json_write_int(w, "series", item->series_id);
    json_write_int(w, "job", item->job_id);
    json_write_string(w, "output_series_uid", item->output_series_uid);
    json_write_int(w, "begun_ms", item->begun_ms);
    json_write_int(w, "fetched_ms", item->fetched_ms);
    json_write_int(w, "ordered_ms", item->ordered_ms);
    json_write_int(w, "ended_ms", item->ended_ms);
    json_write_object_end(w);
}

int batch_view_for_items(struct db *db, int64_t id, batch_view_item_fn *use, void *arg,
                         struct sctd_error *err)
{
    int64_t after = 0;
    do {
        sctd_auto(db_item_page_fini) struct db_item_page page = {.n = 0};
        const struct db_item_filter filter = {
            .batch_id = id, .state = -1, .after = after, .limit = DB_PAGE_MAX};
        int r = db_item_list(db, &filter, &page, err);
        for (size_t i = 0; r == 0 && i < page.n; i++) {
            r = use(arg, &page.item[i], err);
        }
        if (r != 0) {
            return r;
        }
        after = page.next;
    } while (after != 0);
    return 0;
}

static int write_item(void *arg, const struct db_item *item, struct sctd_error *err)
{
    (void)err;
    batch_view_write_item(arg, item);
    return 0;
}

int batch_view_report_json(struct sctd_buf *text, struct db *db, int64_t id, struct sctd_error *err)
{
    struct db_batch batch;
    struct json_writer w = json_writer_make(text, true, err);
    int r = db_batch_get(db, id, &batch, err);
    if (r != 0) {
        return r;
    }
    json_write_object_begin(&w, NULL);
    batch_view_write(&w, "batch", &batch);
    json_write_array_begin(&w, "series");
    r = batch_view_for_items(db, id, write_item, &w, err);
    json_write_array_end(&w);
    json_write_object_end(&w);
    return r < 0 ? r : json_writer_finish(&w);
}

/* RFC 4180; a spreadsheet takes what begins with one of these for a formula. */
static int write_cell(struct sctd_buf *text, const char *value, struct sctd_error *err)
{
    const bool is_formula = *value == '=' || *value == '+' || *value == '-' || *value == '@';
    int r = sctd_buf_text(text, is_formula ? ",\"'" : ",\"", err);
    for (const char *p = value; r == 0 && *p != '\0'; p++) {
        r = sctd_buf_append(text, p, 1, err);
        if (r == 0 && *p == '"') {
            r = sctd_buf_append(text, p, 1, err);
        }
    }
    return r < 0 ? r : sctd_buf_text(text, "\"", err);
}

static int write_time(struct sctd_buf *text, int64_t wall_ms, struct sctd_error *err)
{
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm utc;
    char at[TIME_SIZE];
    if (wall_ms == 0 || gmtime_r(&s, &utc) == NULL ||
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        at[0] = '\0';
    }
    return write_cell(text, at, err);
}

static int write_line(void *arg, const struct db_item *item, struct sctd_error *err)
{
    struct sctd_buf *text = arg;
    const char *const cells[] = {db_item_state_name(item->state),
                                 batch_view_reason(item),
                                 item->study_date,
                                 item->modality,
                                 item->series_description,
                                 item->study_uid,
                                 item->series_uid,
                                 item->output_series_uid,
                                 item->method};
    int r = sctd_buf_printf(text, err, "%" PRId64, item->batch_id);
    for (size_t i = 0; r == 0 && i < sizeof cells / sizeof cells[0]; i++) {
        r = write_cell(text, cells[i], err);
    }
    r = r < 0 ? r
              : sctd_buf_printf(text, err, ",%d,%d,%d,%" PRId64, item->expected, item->instances,
                                item->attempt, item->job_id);
    r = r < 0 ? r : write_time(text, item->begun_ms, err);
    r = r < 0 ? r : write_time(text, item->fetched_ms, err);
    r = r < 0 ? r : write_time(text, item->ordered_ms, err);
    r = r < 0 ? r : write_time(text, item->ended_ms, err);
    const bool is_timed = item->begun_ms > 0 && item->ended_ms > 0;
    r = r < 0
            ? r
            : sctd_buf_printf(text, err, ",%.1f",
                              is_timed ? (double)(item->ended_ms - item->begun_ms) / 1000.0 : 0.0);
    r = r < 0 ? r : write_cell(text, db_review_name(item->review), err);
    return r < 0 ? r : sctd_buf_text(text, "\r\n", err);
}

int batch_view_report_csv(struct sctd_buf *text, struct db *db, int64_t id, struct sctd_error *err)
{
    struct db_batch batch;
    int r = db_batch_get(db, id, &batch, err);
    if (r != 0) {
        return r;
    }
    r = sctd_buf_text(text,
                      "batch,state,reason,study_date,modality,series_description,study_uid,"
                      "series_uid,output_series_uid,method,expected,instances,attempts,job,begun,"
                      "fetched,ordered,ended,seconds,review\r\n",
                      err);
    return r < 0 ? r : batch_view_for_items(db, id, write_line, text, err);
}
