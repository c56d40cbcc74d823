/* SPDX-License-Identifier: Apache-2.0 */
#include "db/batches.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

/* Creation */

static int find_twin(struct db *db, const unsigned char *sha256, int64_t *ret_id,
                     struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql, "SELECT id FROM batch INDEXED BY batch_open WHERE sha256 = ?1 AND state < 2",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_blob(s, sha256, SHA256_SIZE);
    r = sql_step(s, err);
    if (r == SQL_ROW) {
        *ret_id = sql_get_int(s, 0);
        return DB_EXISTS;
    }
    return r;
}

static int create(struct db *db, const struct db_now *now, const struct db_batch_spec *spec,
                  int64_t *ret_id, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = spec->force ? 0 : find_twin(db, spec->sha256, ret_id, err);
    if (r != 0) {
        return r;
    }
    r = sql_prepare(&s, db->sql,
                    "INSERT INTO batch (state, paused, force, moves, per_hour, from_minute, "
                    "to_minute, created_ms, changed_ms, name, description, sha256, reason) VALUES "
                    "(0, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, 'looking for its series')",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, spec->paused ? 1 : 0);
    sql_bind_int(s, spec->force ? 1 : 0);
    sql_bind_int(s, spec->moves);
    sql_bind_int(s, spec->per_hour);
    sql_bind_int(s, spec->from_minute);
    sql_bind_int(s, spec->to_minute);
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, spec->name);
    sql_bind_text(s, spec->description);
    sql_bind_blob(s, spec->sha256, SHA256_SIZE);
    r = sql_finish(s, err);
    *ret_id = sql_last_id(db->sql);
    r = r < 0 ? r
              : sql_prepare(&s, db->sql,
                            "INSERT INTO batch_request (batch_id, text) VALUES (?1, ?2)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, *ret_id);
    sql_bind_blob(s, spec->request, strlen(spec->request));
    core_changed(db, DB_CHANGE_BATCH, *ret_id);
    return sql_finish(s, err);
}

int db_batch_create(struct db *db, const struct db_now *now, const struct db_batch_spec *spec,
                    int64_t *ret_id, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"name of a batch", spec->name, DB_NAME_SIZE, false},
        {"description of a batch", spec->description, DB_REASON_SIZE, true},
        {"request", spec->request, DB_BATCH_REQUEST_MAX, true},
    };
    int64_t id = 0;
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, create(db, now, spec, &id, err), err);
    if (r == 0 || r == DB_EXISTS) {
        *ret_id = id;
    }
    return r;
}

/* Changes of a batch */

struct change {
    int64_t id;
    unsigned from; /* 1 << state, or-ed */
    enum db_batch_state to;
    const char *reason;
};

static int get_state(struct db *db, int64_t id, int64_t *ret_state, struct sctd_error *err)
{
    const int r = core_number(db, "SELECT ifnull((SELECT state FROM batch WHERE id = ?1), -1)", id,
                              ret_state, err);
    return r < 0 ? r : *ret_state < 0 ? DB_NONE : 0;
}

static int set_state(struct db *db, const struct db_now *now, const struct change *c,
                     struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int64_t state = 0;
    int r = get_state(db, c->id, &state, err);
    if (r != 0 || (c->from >> state & 1U) == 0) {
        return r != 0 ? r : DB_REFUSED;
    }
    r = sql_prepare(&s, db->sql,
                    "UPDATE batch SET state = ?2, changed_ms = ?3, ended_ms = CASE WHEN ?2 >= 2 "
                    "THEN ?3 ELSE 0 END, reason = ?4 WHERE id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, c->id);
    sql_bind_int(s, (int64_t)c->to);
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, c->reason);
    core_changed(db, DB_CHANGE_BATCH, c->id);
    return sql_finish(s, err);
}

static int planned(struct db *db, const struct db_now *now, struct change *c,
                   struct sctd_error *err)
{
    int64_t n = 0;
    const int r =
        core_number(db, "SELECT count(*) FROM batch_item WHERE batch_id = ?1", c->id, &n, err);
    c->to = n > 0 ? DB_BATCH_RUNNING : DB_BATCH_DONE;
    return r < 0 ? r : set_state(db, now, c, err);
}

static int check_reason(const char *reason, struct sctd_error *err)
{
    const struct core_text text = {"reason", reason, DB_REASON_SIZE, true};
    return core_check_texts(&text, 1, err);
}

int db_batch_planned(struct db *db, const struct db_now *now, int64_t id, const char *reason,
                     struct sctd_error *err)
{
    struct change c = {id, 1U << DB_BATCH_PLANNING, DB_BATCH_RUNNING, reason};
    int r = check_reason(reason, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, planned(db, now, &c, err), err);
}

int db_batch_fail(struct db *db, const struct db_now *now, int64_t id, const char *reason,
                  struct sctd_error *err)
{
    const struct change c = {id, 1U << DB_BATCH_PLANNING, DB_BATCH_FAILED, reason};
    int r = check_reason(reason, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, set_state(db, now, &c, err), err);
}

static int run_with(struct db *db, const char *text, int64_t id, int64_t number, const char *reason,
                    struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    sql_bind_int(s, number);
    if (reason != NULL) {
        sql_bind_text(s, reason);
    }
    return sql_finish(s, err);
}

static int pause_one(struct db *db, const struct db_now *now, int64_t id, bool paused,
                     const char *reason, struct sctd_error *err)
{
    int64_t state = 0;
    int64_t is_paused = 0;
    int r = get_state(db, id, &state, err);
    r = r != 0 ? r : core_number(db, "SELECT paused FROM batch WHERE id = ?1", id, &is_paused, err);
    if (r != 0 || state > DB_BATCH_RUNNING || (is_paused != 0) == paused) {
        return r != 0 ? r : DB_REFUSED;
    }
    core_changed(db, DB_CHANGE_BATCH, id);
    r = run_with(db,
                 paused ? "UPDATE batch SET paused = 1, changed_ms = ?2, reason = ?3 WHERE id = ?1"
                        : "UPDATE batch SET paused = 0, changed_ms = ?2, reason = ?3 WHERE id = ?1",
                 id, now->wall_ms, reason, err);
    return r;
}

int db_batch_pause(struct db *db, const struct db_now *now, int64_t id, bool paused,
                   const char *reason, struct sctd_error *err)
{
    int r = check_reason(reason, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, pause_one(db, now, id, paused, reason, err), err);
}

/* Jobs that the batch made and that have no result yet. */
static int cancel_jobs(struct db *db, const struct db_now *now, int64_t id, const char *reason,
                       struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT j.id FROM batch_item AS i JOIN job AS j ON j.id = i.job_id WHERE i.batch_id = ?1 "
        "AND i.state = 3 AND i.has_made = 1 AND j.state < 3 LIMIT 256",
        {id},
        1};
    struct moves_ids ids;
    int r = 0;
    do {
        r = moves_find(db, &query, &ids, err);
        for (size_t i = 0; r == 0 && i < ids.n; i++) {
            struct db_job job = {0};
            r = db_job_get(db, ids.id[i], &job, err);
            r = r != 0 ? r : moves_cancel(db, now, &job, reason, err);
        }
    } while (r == 0 && ids.n == MOVES_IDS);
    return r;
}

static int cancel(struct db *db, const struct db_now *now, const struct change *c,
                  struct sctd_error *err)
{
    int r = set_state(db, now, c, err);
    if (r != 0) {
        return r;
    }
    r = run_with(
        db,
        "UPDATE series SET state = 2, closed_ms = ?2, reason = ?3 WHERE state = 0 AND uid IN "
        "(SELECT series_uid FROM batch_item WHERE batch_id = ?1 AND state < 3 AND attempt > 0)",
        c->id, now->wall_ms, "fetched in part by a batch that was cancelled", err);
    r = r < 0 ? r : cancel_jobs(db, now, c->id, c->reason, err);
    r = r < 0 ? r
              : run_with(db,
                         "UPDATE batch_item SET state = 7, ended_ms = ?2, reason = ?3 WHERE "
                         "batch_id = ?1 AND state < 3",
                         c->id, now->wall_ms, c->reason, err);
    return r;
}

int db_batch_cancel(struct db *db, const struct db_now *now, int64_t id, const char *reason,
                    struct sctd_error *err)
{
    const struct change c = {id, 1U << DB_BATCH_PLANNING | 1U << DB_BATCH_RUNNING,
                             DB_BATCH_CANCELLED, reason};
    int r = check_reason(reason, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, cancel(db, now, &c, err), err);
}

static int defer(struct db *db, int64_t id, int64_t due_ms, struct sctd_error *err)
{
    core_changed(db, DB_CHANGE_BATCH, id);
    return run_with(db,
                    "UPDATE batch SET due_ms = ?2, failures = CASE WHEN ?2 > 0 THEN failures + 1 "
                    "ELSE 0 END WHERE id = ?1",
                    id, due_ms, NULL, err);
}

int db_batch_defer(struct db *db, int64_t id, int64_t due_ms, struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, defer(db, id, due_ms, err), err);
}

static int begin(struct db *db, const struct db_now *now, int64_t id, struct sctd_error *err)
{
    return run_with(db, "UPDATE batch SET begun_ms = ?2 WHERE id = ?1", id, now->wall_ms, NULL,
                    err);
}

int db_batch_begin(struct db *db, const struct db_now *now, int64_t id, struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, begin(db, now, id, err), err);
}

/* Ends */

#define SETTLES                                                                                    \
    "SELECT i.batch_id FROM batch_item AS i JOIN job AS j ON j.id = i.job_id WHERE i.state = 3 "   \
    "AND j.state >= 4"
#define ENDS                                                                                       \
    "SELECT b.id FROM batch AS b WHERE b.state = 1 AND NOT EXISTS (SELECT 1 FROM batch_item AS i " \
    "WHERE i.batch_id = b.id AND i.state < 4)"

static int tell_settled(struct db *db, struct sctd_error *err)
{
    static const struct moves_query query = {SETTLES " UNION " ENDS " LIMIT 256", {0}, 0};
    struct moves_ids ids;
    const int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        core_changed(db, DB_CHANGE_BATCH, ids.id[i]);
    }
    return r;
}

static int settle(struct db *db, const struct db_now *now, int64_t *ret_n, struct sctd_error *err)
{
    int r = tell_settled(db, err);
    if (r < 0) {
        return r;
    }
    /* The last state of its job: 4 done, 5 failed, 6 poison, 7 cancelled. */
    r = run_with(
        db,
        "UPDATE batch_item SET state = CASE j.state WHEN 4 THEN 4 WHEN 7 THEN 7 ELSE 6 END, "
        "ended_ms = j.ended_ms + ?1 + ?2, reason = CASE j.state WHEN 4 THEN '' ELSE j.reason END, "
        "output_series_uid = j.output_series_uid FROM job AS j WHERE batch_item.state = 3 AND "
        "j.id = batch_item.job_id AND j.state >= 4",
        0, 0, NULL, err);
    *ret_n = sql_changes(db->sql);
    r = r < 0
            ? r
            : run_with(db,
                       "UPDATE batch SET state = 2, changed_ms = ?1, ended_ms = ?1 + ?2, reason = "
                       "'every series has its end' WHERE state = 1 AND NOT EXISTS (SELECT 1 FROM "
                       "batch_item AS i WHERE i.batch_id = batch.id AND i.state < 4)",
                       now->wall_ms, 0, NULL, err);
    *ret_n += sql_changes(db->sql);
    return r;
}

int db_batches_settle(struct db *db, const struct db_now *now, int32_t *ret_n,
                      struct sctd_error *err)
{
    int64_t due = 0;
    int64_t left = 0;
    int64_t n = 0;
    int r = core_number(
        db, "SELECT (SELECT count(*) FROM (" SETTLES ")) + (SELECT count(*) FROM (" ENDS "))", 0,
        &due, err);
    if (r == 0 && due > 0) {
        r = core_begin(db, err);
        r = r < 0 ? r : core_end(db, settle(db, now, &n, err), err);
    }
    r = r < 0
            ? r
            : core_number(
                  db,
                  "SELECT count(*) FROM batch_item INDEXED BY batch_item_job WHERE state = 3 AND job_id IS NOT NULL",
                  0, &left, err);
    if (r < 0) {
        return r;
    }
    *ret_n = (int32_t)n;
    return left > 0 ? 0 : DB_NONE;
}
