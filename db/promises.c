/* SPDX-License-Identifier: Apache-2.0 */
#include "db/promises.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/sql.h"
#include "engine/base/error.h"

/* A reason as the store keeps it, which has no 16-bit numbers. */
struct row {
    char sop_class_uid[DB_UID_SIZE], sop_uid[DB_UID_SIZE];
    int32_t reason;
};

void db_promise_page_fini(struct db_promise_page *list)
{
    free(list->promise);
    *list = (struct db_promise_page){.n = 0};
}

void db_promised_list_fini(struct db_promised_list *list)
{
    free(list->instance);
    *list = (struct db_promised_list){.n = 0};
}

static int remove_same(struct db *db, const struct db_promise *promise, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "DELETE FROM promise WHERE calling_ae = ?1 AND transaction_uid = ?2", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, promise->calling_ae);
    sql_bind_text(s, promise->transaction_uid);
    return sql_finish(s, err);
}

static int insert(struct db *db, const struct db_now *now, const struct db_promise *promise,
                  struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r =
        sql_prepare(&s, db->sql,
                    "INSERT INTO promise (made_ms, instances, transaction_uid, calling_ae, peer) "
                    "VALUES (?1, ?2, ?3, ?4, ?5)",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, now->wall_ms);
    sql_bind_int(s, promise->instances);
    sql_bind_text(s, promise->transaction_uid);
    sql_bind_text(s, promise->calling_ae);
    sql_bind_text(s, promise->peer);
    return sql_finish(s, err);
}

static int insert_instance(struct db *db, int64_t id, int32_t number,
                           const struct db_promised *instance, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "INSERT INTO promised VALUES (?1, ?2, ?3, ?4, ?5)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    sql_bind_int(s, number);
    sql_bind_text(s, instance->sop_class_uid);
    sql_bind_text(s, instance->sop_uid);
    sql_bind_int(s, instance->reason);
    return sql_finish(s, err);
}

static int keep(struct db *db, const struct db_now *now, const struct db_promise *promise,
                const struct db_promised *instances, int64_t *ret_id, struct sctd_error *err)
{
    int64_t n = 0;
    int64_t promised = 0;
    int r = core_number(db, "SELECT count(*) FROM promise", 0, &n, err);
    r = r < 0
            ? r
            : core_number(db, "SELECT coalesce(sum(instances), 0) FROM promise", 0, &promised, err);
    if (r < 0) {
        return r;
    }
    if (n >= DB_PROMISES_MAX || promised + promise->instances > DB_PROMISED_INSTANCES_MAX) {
        return DB_REFUSED;
    }
    r = remove_same(db, promise, err);
    r = r < 0 ? r : insert(db, now, promise, err);
    const int64_t id = sql_last_id(db->sql);
    for (int32_t i = 0; r == 0 && i < promise->instances; i++) {
        r = insert_instance(db, id, i, &instances[i], err);
    }
    if (r == 0) {
        *ret_id = id;
    }
    return r;
}

int db_promise_keep(struct db *db, const struct db_now *now, const struct db_promise *promise,
                    const struct db_promised *instances, int64_t *ret_id, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"transaction UID", promise->transaction_uid, DB_UID_SIZE, true},
        {"calling AE title", promise->calling_ae, DB_AE_SIZE, true},
        {"address", promise->peer, DB_PEER_SIZE, true},
    };
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    if (r == 0 && promise->instances < 1) {
        r = sctd_error(err, SCTD_EINVAL, "a report about nothing");
    }
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, keep(db, now, promise, instances, ret_id, err), err);
}

int db_promise_list(struct db *db, struct db_promise_page *ret_list, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, db_promise, id),
        SQL_FIELD(SQL_I64, db_promise, made_ms),
        SQL_FIELD(SQL_I32, db_promise, instances),
        SQL_FIELD(SQL_TEXT, db_promise, transaction_uid),
        SQL_FIELD(SQL_TEXT, db_promise, calling_ae),
        SQL_FIELD(SQL_TEXT, db_promise, peer),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct db_promise)};
    struct sql_statement *s = NULL;
    void *rows = NULL;
    size_t n = 0;
    int r =
        sql_prepare(&s, db->sql,
                    "SELECT id, made_ms, instances, transaction_uid, calling_ae, peer FROM promise "
                    "ORDER BY id",
                    err);
    r = r < 0 ? r : sql_read_all(s, &layout, &rows, &n, err);
    if (r == 0) {
        *ret_list = (struct db_promise_page){.promise = rows, .n = n};
    }
    return r;
}

void db_owed_page_fini(struct db_owed_page *list)
{
    free(list->owed);
    *list = (struct db_owed_page){.n = 0};
}

int db_promise_owed(struct db *db, struct db_owed_page *ret_list, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_TEXT, db_owed, calling_ae),
        SQL_FIELD(SQL_I32, db_owed, reports),
        SQL_FIELD(SQL_I32, db_owed, instances),
        SQL_FIELD(SQL_I64, db_owed, since_ms),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct db_owed)};
    struct sql_statement *s = NULL;
    void *rows = NULL;
    size_t n = 0;
    int r = sql_prepare(&s, db->sql,
                        "SELECT calling_ae, count(*), sum(instances), min(made_ms) FROM promise "
                        "INDEXED BY promise_peer GROUP BY calling_ae ORDER BY calling_ae",
                        err);
    r = r < 0 ? r : sql_read_all(s, &layout, &rows, &n, err);
    if (r == 0) {
        *ret_list = (struct db_owed_page){.owed = rows, .n = n};
    }
    return r;
}

int db_promise_instances(struct db *db, int64_t id, struct db_promised_list *ret_list,
                         struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_TEXT, row, sop_class_uid),
        SQL_FIELD(SQL_TEXT, row, sop_uid),
        SQL_FIELD(SQL_I32, row, reason),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct row)};
    struct sql_statement *s = NULL;
    void *rows = NULL;
    size_t n = 0;
    int r = sql_prepare(&s, db->sql,
                        "SELECT sop_class_uid, sop_uid, reason FROM promised WHERE promise_id = ?1 "
                        "ORDER BY number",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    r = sql_read_all(s, &layout, &rows, &n, err);
    if (r < 0 || n == 0) {
        return r < 0 ? r : DB_NONE;
    }
    const struct row *from = rows;
    struct db_promised *to = calloc(n, sizeof *to);
    if (to == NULL) {
        free(rows);
        return sctd_error(err, SCTD_ENOMEM, "%zu instances", n);
    }
    for (size_t i = 0; i < n; i++) {
        to[i].reason = (uint16_t)from[i].reason;
        memcpy(to[i].sop_class_uid, from[i].sop_class_uid, sizeof to[i].sop_class_uid);
        memcpy(to[i].sop_uid, from[i].sop_uid, sizeof to[i].sop_uid);
    }
    free(rows);
    *ret_list = (struct db_promised_list){.instance = to, .n = n};
    return 0;
}

static int end(struct db *db, int64_t id, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "DELETE FROM promise WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    r = sql_finish(s, err);
    return r < 0 ? r : sql_changes(db->sql) == 0 ? DB_NONE : 0;
}

int db_promise_end(struct db *db, int64_t id, struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, end(db, id, err), err);
}
