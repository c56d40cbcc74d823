/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "db/batches.h"
#include "db/core.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static const char *const item_names[] = {
    [DB_ITEM_WAITING] = "waiting", [DB_ITEM_FETCHING] = "fetching",
    [DB_ITEM_READY] = "ready",     [DB_ITEM_CONVERTING] = "converting",
    [DB_ITEM_DONE] = "done",       [DB_ITEM_SKIPPED] = "skipped",
    [DB_ITEM_FAILED] = "failed",   [DB_ITEM_CANCELLED] = "cancelled",
};

const char *db_item_state_name(enum db_item_state state)
{
    return (unsigned)state < DB_ITEM_STATES ? item_names[state] : "?";
}

#define ITEM_SELECT                                                                                         \
    "SELECT id, batch_id, state, attempt, failures, expected, instances, ifnull(series_id, 0), "            \
    "ifnull(job_id, 0), has_made, due_ms, begun_ms, fetched_ms, ordered_ms, ended_ms, study_uid, "          \
    "series_uid, output_series_uid, study_date, modality, series_description, method, folder, "             \
    "reason, ifnull((SELECT review FROM job AS j WHERE j.id = job_id), 0), ifnull((SELECT " DB_JOB_IS_HELD( \
        "j") " FROM job AS j WHERE j.id = job_id), 0) FROM batch_item"

static const struct sql_field item_fields[] = {
    SQL_FIELD(SQL_I64, db_item, id),
    SQL_FIELD(SQL_I64, db_item, batch_id),
    SQL_FIELD_ENUM(db_item, state, DB_ITEM_STATES),
    SQL_FIELD(SQL_I32, db_item, attempt),
    SQL_FIELD(SQL_I32, db_item, failures),
    SQL_FIELD(SQL_I32, db_item, expected),
    SQL_FIELD(SQL_I32, db_item, instances),
    SQL_FIELD(SQL_I64, db_item, series_id),
    SQL_FIELD(SQL_I64, db_item, job_id),
    SQL_FIELD(SQL_BOOL, db_item, has_made),
    SQL_FIELD(SQL_I64, db_item, due_ms),
    SQL_FIELD(SQL_I64, db_item, begun_ms),
    SQL_FIELD(SQL_I64, db_item, fetched_ms),
    SQL_FIELD(SQL_I64, db_item, ordered_ms),
    SQL_FIELD(SQL_I64, db_item, ended_ms),
    SQL_FIELD(SQL_TEXT, db_item, study_uid),
    SQL_FIELD(SQL_TEXT, db_item, series_uid),
    SQL_FIELD(SQL_TEXT, db_item, output_series_uid),
    SQL_FIELD(SQL_TEXT, db_item, study_date),
    SQL_FIELD(SQL_TEXT, db_item, modality),
    SQL_FIELD(SQL_TEXT, db_item, series_description),
    SQL_FIELD(SQL_TEXT, db_item, method),
    SQL_FIELD(SQL_TEXT, db_item, folder),
    SQL_FIELD(SQL_TEXT, db_item, reason),
    SQL_FIELD_ENUM(db_item, review, DB_REVIEWS),
    SQL_FIELD(SQL_BOOL, db_item, is_held),
};
enum { N_ITEM_FIELDS = sizeof item_fields / sizeof *item_fields };

/* What a batch found */

static int check_item(const struct db_item *item, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"Study Instance UID", item->study_uid, DB_UID_SIZE, true},
        {"Series Instance UID", item->series_uid, DB_UID_SIZE, true},
        {"study date", item->study_date, DB_DATE_SIZE, false},
        {"modality", item->modality, DB_AE_SIZE, false},
        {"series description", item->series_description, DB_TEXT_SIZE, false},
        {"folder", item->folder, DB_FOLDER_SIZE, false},
    };
    return core_check_texts(texts, sizeof texts / sizeof *texts, err);
}

static int add_one(struct db *db, int64_t id, const struct db_item *item, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(
        &s, db->sql,
        "INSERT OR IGNORE INTO batch_item (batch_id, expected, study_uid, series_uid, study_date, "
        "modality, series_description, folder) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    sql_bind_int(s, item->expected);
    sql_bind_text(s, item->study_uid);
    sql_bind_text(s, item->series_uid);
    sql_bind_text(s, item->study_date);
    sql_bind_text(s, item->modality);
    sql_bind_text(s, item->series_description);
    sql_bind_text(s, item->folder);
    return sql_finish(s, err);
}

static int add_all(struct db *db, int64_t id, const struct db_item *items, size_t n,
                   struct sctd_error *err)
{
    int64_t state = 0;
    int r = core_number(db, "SELECT ifnull((SELECT state FROM batch WHERE id = ?1), -1)", id,
                        &state, err);
    if (r < 0 || state != DB_BATCH_PLANNING) {
        return r < 0 ? r : state < 0 ? DB_NONE : DB_REFUSED;
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = add_one(db, id, &items[i], err);
    }
    core_changed(db, DB_CHANGE_BATCH, id);
    return r;
}

int db_batch_add(struct db *db, const struct db_now *now, int64_t id, const struct db_item *items,
                 size_t n, struct sctd_error *err)
{
    (void)now;
    int r = core_check_limit(n, DB_BATCH_MAX, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = check_item(&items[i], err);
    }
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, add_all(db, id, items, n, err), err);
}

/* One series of it */

static int get_item(struct db *db, int64_t id, struct db_item *ret_item, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, ITEM_SELECT " WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    return core_read_one(s, item_fields, N_ITEM_FIELDS, ret_item, err);
}

static int find_due(struct db *db, int64_t batch_id, int64_t lease_ms, int64_t *ret_id,
                    struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT id FROM batch_item INDEXED BY batch_item_state WHERE batch_id = ?1 "
                        "AND state = 0 AND due_ms <= ?2 ORDER BY id LIMIT 1",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, batch_id);
    sql_bind_int(s, lease_ms);
    r = sql_step(s, err);
    if (r == SQL_ROW) {
        *ret_id = sql_get_int(s, 0);
        return 0;
    }
    return r < 0 ? r : DB_NONE;
}

static int claim(struct db *db, const struct db_now *now, int64_t batch_id,
                 struct db_item *ret_item, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int64_t id = 0;
    int r = find_due(db, batch_id, now->lease_ms, &id, err);
    r = r != 0 ? r
               : sql_prepare(&s, db->sql,
                             "UPDATE batch_item SET state = 1, attempt = attempt + 1, begun_ms = "
                             "CASE WHEN begun_ms = 0 THEN ?2 ELSE begun_ms END WHERE id = ?1",
                             err);
    if (r != 0) {
        return r;
    }
    sql_bind_int(s, id);
    sql_bind_int(s, now->wall_ms);
    core_changed(db, DB_CHANGE_BATCH, batch_id);
    r = sql_finish(s, err);
    return r < 0 ? r : get_item(db, id, ret_item, err);
}

int db_item_claim(struct db *db, const struct db_now *now, int64_t batch_id,
                  struct db_item *ret_item, struct sctd_error *err)
{
    struct db_item item = {0};
    int r = core_begin(db, err);
    r = r < 0 ? r : core_end(db, claim(db, now, batch_id, &item, err), err);
    if (r == 0) {
        *ret_item = item;
    }
    return r;
}

static int set(struct db *db, const struct db_item *item, enum db_item_state from,
               struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "UPDATE batch_item SET state = ?3, attempt = ?4, failures = ?5, instances = ?6, series_id = "
        "nullif(?7, 0), job_id = nullif(?8, 0), has_made = ?9, due_ms = ?10, fetched_ms = ?11, "
        "ordered_ms = ?12, ended_ms = ?13, output_series_uid = ?14, method = ?15, reason = ?16 "
        "WHERE id = ?1 AND state = ?2",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, item->id);
    sql_bind_int(s, (int64_t)from);
    sql_bind_int(s, (int64_t)item->state);
    sql_bind_int(s, item->attempt);
    sql_bind_int(s, item->failures);
    sql_bind_int(s, item->instances);
    sql_bind_int(s, item->series_id);
    sql_bind_int(s, item->job_id);
    sql_bind_int(s, item->has_made ? 1 : 0);
    sql_bind_int(s, item->due_ms);
    sql_bind_int(s, item->fetched_ms);
    sql_bind_int(s, item->ordered_ms);
    sql_bind_int(s, item->ended_ms);
    sql_bind_text(s, item->output_series_uid);
    sql_bind_text(s, item->method);
    sql_bind_text(s, item->reason);
    core_changed(db, DB_CHANGE_BATCH, item->batch_id);
    r = sql_finish(s, err);
    return r < 0 ? r : sql_changes(db->sql) == 1 ? 0 : DB_LOST;
}

int db_item_set(struct db *db, const struct db_now *now, const struct db_item *item,
                enum db_item_state from, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"reason", item->reason, DB_REASON_SIZE, false},
        {"output Series Instance UID", item->output_series_uid, DB_UID_SIZE, false},
        {"method", item->method, DB_AE_SIZE, false},
    };
    struct db_item to = *item;
    to.ended_ms = db_item_has_ended(item->state) ? now->wall_ms : 0;
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, set(db, &to, from, err), err);
}

void db_item_page_fini(struct db_item_page *list)
{
    free(list->item);
    *list = (struct db_item_page){0};
}

int db_item_list(struct db *db, const struct db_item_filter *filter, struct db_item_page *ret_list,
                 struct sctd_error *err)
{
    const struct core_match matches[] = {
        {"batch_id = ?", NULL, filter->batch_id, filter->batch_id != 0},
        {"state = ?", NULL, filter->state, filter->state >= 0},
    };
    const struct core_page page = {
        .select = ITEM_SELECT,
        .id = "id",
        .match = matches,
        .n_matches = sizeof matches / sizeof *matches,
        .ascending = true,
        .after = filter->after,
        .limit = filter->limit,
        .layout = {item_fields, N_ITEM_FIELDS, sizeof(struct db_item)},
    };
    struct core_rows rows = {0};
    const int r = core_list(db, &page, &rows, err);
    if (r == 0) {
        *ret_list = (struct db_item_page){rows.data, rows.n, rows.next};
    }
    return r;
}

int db_batches_claim_series(struct db *db, const char *series_uid, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT 1 FROM batch_item WHERE series_uid = ?1 AND state < 3 AND "
                        "attempt > 0 LIMIT 1",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, series_uid);
    r = sql_step(s, err);
    return r < 0 ? r : (r == SQL_ROW ? 0 : DB_NONE);
}
