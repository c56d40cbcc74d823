/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/delivery_bits.h"
#include "db/output_rows.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static const char *const state_names[] = {
    [DB_DELIVERY_WAITING] = "waiting",       [DB_DELIVERY_QUEUED] = "queued",
    [DB_DELIVERY_RETRY] = "retry",           [DB_DELIVERY_SENDING] = "sending",
    [DB_DELIVERY_COMMITTING] = "committing", [DB_DELIVERY_DONE] = "done",
    [DB_DELIVERY_FAILED] = "failed",         [DB_DELIVERY_CANCELLED] = "cancelled",
};

const char *db_delivery_state_name(enum db_delivery_state state)
{
    return (unsigned)state < DB_DELIVERY_STATES ? state_names[state] : "?";
}

#define DELIVERY_SELECT                                                                                \
    "SELECT d.id, d.job_id, d.state, d.priority, d.attempt, d.failures, d.instances, d.stored, "       \
    "d.committed, d.commitment, d.spent_ms, d.due_ms, d.changed_ms, n.name, j.output_series_uid, "     \
    "d.transaction_uid, d.reason FROM delivery AS d JOIN destination AS n ON n.id = d.destination_id " \
    "JOIN job AS j ON j.id = d.job_id"

static const struct sql_field delivery_fields[] = {
    SQL_FIELD(SQL_I64, db_delivery, id),
    SQL_FIELD(SQL_I64, db_delivery, job_id),
    SQL_FIELD_ENUM(db_delivery, state, DB_DELIVERY_STATES),
    SQL_FIELD(SQL_I32, db_delivery, priority),
    SQL_FIELD(SQL_I32, db_delivery, attempt),
    SQL_FIELD(SQL_I32, db_delivery, failures),
    SQL_FIELD(SQL_I32, db_delivery, instances),
    SQL_FIELD(SQL_I32, db_delivery, stored),
    SQL_FIELD(SQL_I32, db_delivery, committed),
    SQL_FIELD(SQL_BOOL, db_delivery, commitment),
    SQL_FIELD(SQL_I64, db_delivery, spent_ms),
    SQL_FIELD(SQL_I64, db_delivery, due_ms),
    SQL_FIELD(SQL_I64, db_delivery, changed_ms),
    SQL_FIELD(SQL_TEXT, db_delivery, destination),
    SQL_FIELD(SQL_TEXT, db_delivery, output_series_uid),
    SQL_FIELD(SQL_TEXT, db_delivery, transaction_uid),
    SQL_FIELD(SQL_TEXT, db_delivery, reason),
};
enum { N_DELIVERY_FIELDS = sizeof delivery_fields / sizeof *delivery_fields };

int db_delivery_get(struct db *db, int64_t delivery_id, struct db_delivery *ret_delivery,
                    struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, DELIVERY_SELECT " WHERE d.id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, delivery_id);
    return core_read_one(s, delivery_fields, N_DELIVERY_FIELDS, ret_delivery, err);
}

int db_delivery_list(struct db *db, const struct db_delivery_filter *filter,
                     struct db_delivery_page *ret_list, struct sctd_error *err)
{
    const struct core_match matches[] = {
        {"d.job_id = ?", NULL, filter->job_id, filter->job_id != 0},
        {"d.state = ?", NULL, filter->state, filter->state >= 0},
        {"n.name = ?", filter->destination, 0, filter->destination != NULL},
    };
    const struct core_page page = {
        .select = DELIVERY_SELECT,
        .id = "d.id",
        .match = matches,
        .n_matches = sizeof matches / sizeof *matches,
        .ascending = true,
        .after = filter->after,
        .limit = filter->limit,
        .layout = {delivery_fields, N_DELIVERY_FIELDS, sizeof(struct db_delivery)},
    };
    struct core_rows rows = {0};
    const int r = core_list(db, &page, &rows, err);
    if (r == 0) {
        *ret_list = (struct db_delivery_page){rows.data, rows.n, rows.next};
    }
    return r;
}

void db_delivery_page_fini(struct db_delivery_page *list)
{
    free(list->delivery);
    *list = (struct db_delivery_page){0};
}

/* Files */

static int collect_files(struct db *db, int64_t delivery_id, struct db_file_set *files,
                         struct sctd_error *err)
{
    sctd_auto(delivery_bits_fini) struct delivery_bits bits = {0};
    struct db_delivery delivery = {0};
    int r = db_delivery_get(db, delivery_id, &delivery, err);
    r = r != 0
            ? r
            : output_rows_read(db,
                               "SELECT o.sop_uid, o.sop_class_uid, o.file, o.sha256, o.size FROM "
                               "output AS o JOIN delivery AS d ON d.job_id = o.job_id WHERE d.id "
                               "= ?1 AND o.place IS NOT NULL ORDER BY o.place",
                               delivery_id, files, err);
    r = r != 0 ? r : delivery_bits_read(&bits, db, delivery_id, err);
    for (size_t i = 0; r == 0 && i < files->n; i++) {
        files->file[i].stored = delivery_bits_has(&bits, DELIVERY_STORED, (int32_t)i);
        files->file[i].committed = delivery_bits_has(&bits, DELIVERY_COMMITTED, (int32_t)i);
    }
    return r;
}

int db_delivery_files(struct db *db, int64_t delivery_id, struct db_file_set *ret_files,
                      struct sctd_error *err)
{
    struct db_file_set files = {0};
    int r = core_begin_read(db, err);
    r = r < 0 ? r : core_end(db, collect_files(db, delivery_id, &files, err), err);
    if (r != 0) {
        db_file_set_fini(&files);
        return r;
    }
    *ret_files = files;
    return 0;
}

void db_file_set_fini(struct db_file_set *files)
{
    free(files->file);
    *files = (struct db_file_set){0};
}

/* Destinations */

int db_destination_list(struct db *db, struct db_destination_page *ret_list, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_TEXT, db_destination, name),
        SQL_FIELD(SQL_I32, db_destination, failures),
        SQL_FIELD(SQL_I64, db_destination, due_ms),
        SQL_FIELD(SQL_I64, db_destination, last_success_ms),
        SQL_FIELD(SQL_I64, db_destination, last_failure_ms),
        SQL_FIELD(SQL_TEXT, db_destination, reason),
        SQL_FIELD(SQL_I32, db_destination, backlog),
        SQL_FIELD(SQL_I64, db_destination, oldest_ms),
        SQL_FIELD(SQL_I32, db_destination, uncommitted),
        SQL_FIELD(SQL_I64, db_destination, uncommitted_since_ms),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct db_destination)};
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "SELECT name, failures, due_ms, last_success_ms, last_failure_ms, reason, "
        "(SELECT count(*) FROM delivery WHERE destination_id = n.id AND state BETWEEN 1 AND "
        "4), (SELECT ifnull(min(created_ms), 0) FROM delivery WHERE destination_id = n.id AND "
        "state BETWEEN 1 AND 4), (SELECT count(*) FROM delivery INDEXED BY delivery_asked WHERE "
        "destination_id = n.id AND asked_ms > 0), (SELECT ifnull(min(asked_ms), 0) FROM delivery "
        "INDEXED BY delivery_asked WHERE destination_id = n.id AND asked_ms > 0) FROM destination "
        "AS n ORDER BY name LIMIT 500",
        err);
    if (r < 0) {
        return r;
    }
    void *rows = NULL;
    size_t n = 0;
    r = sql_read_all(s, &layout, &rows, &n, err);
    if (r == 0) {
        *ret_list = (struct db_destination_page){rows, n};
    }
    return r;
}

void db_destination_page_fini(struct db_destination_page *list)
{
    free(list->destination);
    *list = (struct db_destination_page){0};
}

static int wake(struct db *db, const char *name, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "UPDATE destination SET failures = 0, due_ms = 0 WHERE name = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, name);
    r = sql_finish(s, err);
    if (r == 0 && sql_changes(db->sql) == 0) {
        return DB_NONE;
    }
    r = r < 0
            ? r
            : sql_prepare(
                  &s, db->sql,
                  "UPDATE delivery SET due_ms = 0 WHERE state = 2 AND destination_id = (SELECT id "
                  "FROM destination WHERE name = ?1)",
                  err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, name);
    return sql_finish(s, err);
}

int db_destination_wake(struct db *db, const char *name, struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, wake(db, name, err), err);
}

int db_deliveries_next(struct db *db, const struct db_now *now, int64_t *ret_lease_ms,
                       struct sctd_error *err)
{
    int64_t next = 0;
    /* What waits for its own time and its destination's waits for the later. */
    const int r = core_number(
        db,
        "SELECT ifnull(min(t), -1) FROM (SELECT min(max(d.due_ms, n.due_ms)) AS t FROM delivery AS d "
        "JOIN destination AS n ON n.id = d.destination_id WHERE d.state = 2 "
        "AND max(d.due_ms, n.due_ms) > ?1 "
        "UNION ALL SELECT min(lease_until_ms) FROM delivery INDEXED BY delivery_lease WHERE state = 3 "
        "UNION ALL SELECT min(due_ms) FROM delivery INDEXED BY delivery_wait WHERE state = 4 "
        "UNION ALL SELECT min(due_ms) FROM destination AS n WHERE due_ms > ?1 AND EXISTS "
        "(SELECT 1 FROM delivery WHERE state = 1 AND destination_id = n.id))",
        now->lease_ms, &next, err);
    if (r < 0) {
        return r;
    }
    if (next < 0) {
        return DB_NONE;
    }
    *ret_lease_ms = next;
    return 0;
}
