/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/batches.h"
#include "db/core.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static const char *const batch_names[] = {
    [DB_BATCH_PLANNING] = "planning", [DB_BATCH_RUNNING] = "running",     [DB_BATCH_DONE] = "done",
    [DB_BATCH_FAILED] = "failed",     [DB_BATCH_CANCELLED] = "cancelled",
};

const char *db_batch_state_name(enum db_batch_state state)
{
    return (unsigned)state < DB_BATCH_STATES ? batch_names[state] : "?";
}

#define BATCH_SELECT                                                                               \
    "SELECT b.id, b.state, b.paused, b.force, b.moves, b.per_hour, b.from_minute, b.to_minute, "   \
    "b.created_ms, b.changed_ms, b.ended_ms, b.begun_ms, b.due_ms, b.failures, b.name, "           \
    "b.description, b.reason, ifnull((SELECT e.actor FROM event AS e INDEXED BY event_subject "    \
    "WHERE e.subject = CAST(b.id AS TEXT) AND e.kind = 'batch-create' LIMIT 1), '') FROM batch AS b"

static const struct sql_field batch_fields[] = {
    SQL_FIELD(SQL_I64, db_batch, id),          SQL_FIELD_ENUM(db_batch, state, DB_BATCH_STATES),
    SQL_FIELD(SQL_BOOL, db_batch, paused),     SQL_FIELD(SQL_BOOL, db_batch, force),
    SQL_FIELD(SQL_I32, db_batch, moves),       SQL_FIELD(SQL_I32, db_batch, per_hour),
    SQL_FIELD(SQL_I32, db_batch, from_minute), SQL_FIELD(SQL_I32, db_batch, to_minute),
    SQL_FIELD(SQL_I64, db_batch, created_ms),  SQL_FIELD(SQL_I64, db_batch, changed_ms),
    SQL_FIELD(SQL_I64, db_batch, ended_ms),    SQL_FIELD(SQL_I64, db_batch, begun_ms),
    SQL_FIELD(SQL_I64, db_batch, due_ms),      SQL_FIELD(SQL_I32, db_batch, failures),
    SQL_FIELD(SQL_TEXT, db_batch, name),       SQL_FIELD(SQL_TEXT, db_batch, description),
    SQL_FIELD(SQL_TEXT, db_batch, reason),     SQL_FIELD(SQL_TEXT, db_batch, created_by),
};
enum { N_BATCH_FIELDS = sizeof batch_fields / sizeof *batch_fields };

/* By an index alone: a list has many batches of many series. */
static int count_states(struct db *db, struct db_batch *batch, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT state, count(*) FROM batch_item WHERE batch_id = ?1 GROUP BY state",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, batch->id);
    while ((r = sql_step(s, err)) == SQL_ROW) {
        const int64_t state = sql_get_int(s, 0);
        if (state >= 0 && state < DB_ITEM_STATES) {
            batch->items[state] = sql_get_int(s, 1);
        }
    }
    return r;
}

static int count_items(struct db *db, struct db_batch *batch, struct sctd_error *err)
{
    int r = count_states(db, batch, err);
    if (r == 0 && batch->state <= DB_BATCH_RUNNING) {
        batch->ended_items = batch->items[DB_ITEM_DONE];
        r = core_number(db,
                        "SELECT ifnull(sum(max(0, ended_ms - begun_ms)), 0) FROM batch_item WHERE "
                        "batch_id = ?1 AND state = 4",
                        batch->id, &batch->spent_ms, err);
    }
    return r < 0 ? r
                 : core_number(
                       db,
                       "SELECT count(*) FROM batch_item AS i JOIN job AS j ON j.id = i.job_id "
                       "WHERE i.batch_id = ?1 AND i.state = 3 AND " DB_JOB_IS_HELD("j"),
                       batch->id, &batch->held, err);
}

static int get(struct db *db, int64_t id, struct db_batch *ret_batch, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, BATCH_SELECT " WHERE b.id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    return core_read_one(s, batch_fields, N_BATCH_FIELDS, ret_batch, err);
}

int db_batch_get(struct db *db, int64_t id, struct db_batch *ret_batch, struct sctd_error *err)
{
    struct db_batch batch = {0};
    int r = get(db, id, &batch, err);
    r = r != 0 ? r : count_items(db, &batch, err);
    if (r == 0) {
        *ret_batch = batch;
    }
    return r;
}

int db_batch_request_get(struct db *db, int64_t id, char **ret_text, struct sctd_error *err)
{
    return core_text_of(db, "SELECT text FROM batch_request WHERE batch_id = ?1", id, ret_text,
                        err);
}

void db_batch_page_fini(struct db_batch_page *list)
{
    free(list->batch);
    *list = (struct db_batch_page){0};
}

int db_batch_list(struct db *db, const struct db_batch_filter *filter,
                  struct db_batch_page *ret_list, struct sctd_error *err)
{
    const struct core_match matches[] = {{"b.state = ?", NULL, filter->state, filter->state >= 0}};
    const struct core_page page = {
        .select = BATCH_SELECT,
        .id = "b.id",
        .match = matches,
        .n_matches = 1,
        .ascending = filter->ascending,
        .after = filter->after,
        .limit = filter->limit,
        .layout = {batch_fields, N_BATCH_FIELDS, sizeof(struct db_batch)},
    };
    struct core_rows rows = {0};
    int r = core_list(db, &page, &rows, err);
    struct db_batch_page list = {rows.data, rows.n, rows.next};
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        r = count_items(db, &list.batch[i], err);
    }
    if (r < 0) {
        db_batch_page_fini(&list);
        return r;
    }
    *ret_list = list;
    return 0;
}

int db_batches_find_made(struct db *db, int64_t series_id, const char *model_sha256,
                         const char *parameters, struct db_made *ret_made, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, db_made, job_id),
        SQL_FIELD_ENUM(db_made, state, DB_JOB_STATES),
        SQL_FIELD(SQL_BOOL, db_made, is_rejected),
        SQL_FIELD(SQL_I64, db_made, created_ms),
        SQL_FIELD(SQL_TEXT, db_made, output_series_uid),
    };
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "SELECT id, state, review = 4, created_ms, output_series_uid FROM job WHERE series_id = ?1 AND "
        "model_sha256 = ?2 AND parameters = ?3 AND superseded_by IS NULL AND (state "
        "< 7 OR review = 4) AND revision = (SELECT revision FROM series WHERE id = ?1) ORDER BY id "
        "DESC LIMIT 1",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, series_id);
    sql_bind_text(s, model_sha256);
    sql_bind_text(s, parameters);
    return core_read_one(s, fields, sizeof fields / sizeof *fields, ret_made, err);
}

int db_batches_count_ahead(struct db *db, int64_t *ret_n, struct sctd_error *err)
{
    return core_number(
        db,
        "SELECT count(*) FROM batch_item AS i INDEXED BY batch_item_job JOIN job AS j "
        "ON j.id = i.job_id WHERE i.state = 3 AND j.state < 3",
        0, ret_n, err);
}
