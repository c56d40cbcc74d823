/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static const char *const state_names[] = {
    [DB_JOB_QUEUED] = "queued",   [DB_JOB_RETRY] = "retry",
    [DB_JOB_RUNNING] = "running", [DB_JOB_DELIVERING] = "delivering",
    [DB_JOB_DONE] = "done",       [DB_JOB_FAILED] = "failed",
    [DB_JOB_POISON] = "poison",   [DB_JOB_CANCELLED] = "cancelled",
};

const char *db_job_state_name(enum db_job_state state)
{
    return (unsigned)state < DB_JOB_STATES ? state_names[state] : "?";
}

/* index: "INDEXED BY NAME", or "". */
#define JOB_SELECT_BY(index)                                                                                      \
    "SELECT j.id, j.state, j.series_id, j.revision, j.priority, j.attempt, j.failures, j.deaths, "                \
    "j.breaks, j.interruptions, j.outputs, ifnull(j.superseded_by, 0), j.created_ms, j.changed_ms, "              \
    "j.ended_ms, j.due_ms, j.lease_until_ms, j.review_ms, j.review, j.hold, j.evidence, j.owner, j.stage, a.ae, " \
    "s.uid, t.uid, j.output_series_uid, j.rule, j.model, j.model_sha256, j.parameters, j.reason, j.engine "       \
    "FROM job AS j " index " JOIN series AS s ON s.id = j.series_id JOIN study AS t ON t.id = "                   \
    "s.study_id JOIN source AS a ON a.id = j.source_id"
#define JOB_SELECT JOB_SELECT_BY("")

static const struct sql_field job_fields[] = {
    SQL_FIELD(SQL_I64, db_job, id),
    SQL_FIELD_ENUM(db_job, state, DB_JOB_STATES),
    SQL_FIELD(SQL_I64, db_job, series_id),
    SQL_FIELD(SQL_I32, db_job, revision),
    SQL_FIELD(SQL_I32, db_job, priority),
    SQL_FIELD(SQL_I32, db_job, attempt),
    SQL_FIELD(SQL_I32, db_job, failures),
    SQL_FIELD(SQL_I32, db_job, deaths),
    SQL_FIELD(SQL_I32, db_job, breaks),
    SQL_FIELD(SQL_I32, db_job, interruptions),
    SQL_FIELD(SQL_I32, db_job, outputs),
    SQL_FIELD(SQL_I64, db_job, superseded_by),
    SQL_FIELD(SQL_I64, db_job, created_ms),
    SQL_FIELD(SQL_I64, db_job, changed_ms),
    SQL_FIELD(SQL_I64, db_job, ended_ms),
    SQL_FIELD(SQL_I64, db_job, due_ms),
    SQL_FIELD(SQL_I64, db_job, lease_until_ms),
    SQL_FIELD(SQL_I64, db_job, review_ms),
    SQL_FIELD_ENUM(db_job, review, DB_REVIEWS),
    SQL_FIELD(SQL_BOOL, db_job, hold),
    SQL_FIELD_ENUM(db_job, evidence, DB_EVIDENCES),
    SQL_FIELD(SQL_TEXT, db_job, owner),
    SQL_FIELD(SQL_TEXT, db_job, stage),
    SQL_FIELD(SQL_TEXT, db_job, source_ae),
    SQL_FIELD(SQL_TEXT, db_job, series_uid),
    SQL_FIELD(SQL_TEXT, db_job, study_uid),
    SQL_FIELD(SQL_TEXT, db_job, output_series_uid),
    SQL_FIELD(SQL_TEXT, db_job, rule),
    SQL_FIELD(SQL_TEXT, db_job, model),
    SQL_FIELD(SQL_TEXT, db_job, model_sha256),
    SQL_FIELD(SQL_TEXT, db_job, parameters),
    SQL_FIELD(SQL_TEXT, db_job, reason),
    SQL_FIELD(SQL_TEXT, db_job, engine),
};
enum { N_JOB_FIELDS = sizeof job_fields / sizeof *job_fields };

int db_job_get(struct db *db, int64_t job_id, struct db_job *ret_job, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, JOB_SELECT " WHERE j.id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    return core_read_one(s, job_fields, N_JOB_FIELDS, ret_job, err);
}

int db_job_list(struct db *db, const struct db_job_filter *filter, struct db_job_page *ret_list,
                struct sctd_error *err)
{
    /* Few jobs need or had a review: their index is the one to take, whatever else is asked. */
    const bool is_rare = filter->by_review && filter->review >= DB_REVIEW_NEEDED;
    const struct core_match matches[] = {
        {"j.state = ?", NULL, filter->state, filter->state >= 0},
        {filter->state < 0 || is_rare ? "j.review = ?" : "+j.review = ?", NULL,
         (int64_t)filter->review, filter->by_review},
        {"j.state < ?", NULL, DB_JOB_CANCELLED,
         filter->by_review && filter->review == DB_REVIEW_NEEDED && filter->state < 0},
        {"j.source_id = (SELECT id FROM source WHERE ae = ?)", filter->source_ae, 0,
         filter->source_ae != NULL},
        {"j.rule = ?", filter->rule, 0, filter->rule != NULL},
        {"j.model = ?", filter->model, 0, filter->model != NULL},
        {"j.series_id = (SELECT id FROM series WHERE uid = ?)", filter->series_uid, 0,
         filter->series_uid != NULL},
        {"j.output_series_uid = ?", filter->output_series_uid, 0,
         filter->output_series_uid != NULL},
        {"j.created_ms >= ?", NULL, filter->created_from_ms, filter->created_from_ms != 0},
        {"j.created_ms < ?", NULL, filter->created_before_ms, filter->created_before_ms != 0},
    };
    const struct core_page page = {
        .select = is_rare ? JOB_SELECT_BY("INDEXED BY job_review") : JOB_SELECT,
        .id = "j.id",
        .match = matches,
        .n_matches = sizeof matches / sizeof *matches,
        .ascending = filter->ascending,
        .after = filter->after,
        .limit = filter->limit,
        .layout = {job_fields, N_JOB_FIELDS, sizeof(struct db_job)},
    };
    struct core_rows rows = {0};
    const int r = core_list(db, &page, &rows, err);
    if (r == 0) {
        *ret_list = (struct db_job_page){rows.data, rows.n, rows.next};
    }
    return r;
}

void db_job_page_fini(struct db_job_page *list)
{
    free(list->job);
    *list = (struct db_job_page){0};
}

int db_job_counts(struct db *db, int64_t ret_counts[DB_JOB_STATES], struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int64_t counts[DB_JOB_STATES] = {0};
    int r = sql_prepare(&s, db->sql, "SELECT state, n FROM job_count", err);
    if (r < 0) {
        return r;
    }
    while ((r = sql_step(s, err)) == SQL_ROW) {
        const int64_t state = sql_get_int(s, 0);
        if (state >= 0 && state < DB_JOB_STATES) {
            counts[state] = sql_get_int(s, 1);
        }
    }
    if (r == 0) {
        memcpy(ret_counts, counts, sizeof counts);
    }
    return r;
}

int db_jobs_next(struct db *db, int64_t *ret_lease_ms, struct sctd_error *err)
{
    int64_t next = 0;
    const int r = core_number(
        db,
        "SELECT ifnull(min(t), -1) FROM (SELECT min(due_ms) AS t FROM job INDEXED BY job_due WHERE "
        "state = 1 UNION ALL SELECT min(lease_until_ms) FROM job "
        "INDEXED BY job_lease WHERE state = 2)",
        0, &next, err);
    if (r < 0) {
        return r;
    }
    if (next < 0) {
        return DB_NONE;
    }
    *ret_lease_ms = next;
    return 0;
}

int db_job_output_uids(struct db *db, int64_t job_id, char (*ret_uids)[DB_UID_SIZE], size_t n,
                       struct sctd_error *err)
{
    static const struct sql_field field = {SQL_TEXT, 0, DB_UID_SIZE};
    static const struct sql_layout layout = {&field, 1, DB_UID_SIZE};
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "SELECT sop_uid FROM output WHERE job_id = ?1 ORDER BY number",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    void *rows = NULL;
    size_t found = 0;
    r = sql_read_all(s, &layout, &rows, &found, err);
    if (r < 0) {
        return r;
    }
    if (found != n) {
        r = sctd_error(err, SCTD_EINVAL, "job store: job %lld has %zu output UIDs, not %zu",
                       (long long)job_id, found, n);
    } else if (n > 0) {
        memcpy(ret_uids, rows, n * DB_UID_SIZE);
    }
    free(rows);
    return r;
}

/* History */

/* States as numbers, which become names. */
struct line {
    struct db_transition t;
    bool of_delivery;
    int from, to;
};

static void name_states(struct db_transition *t, const struct line *line)
{
    const char *from = line->of_delivery
                           ? db_delivery_state_name((enum db_delivery_state)line->from)
                           : db_job_state_name((enum db_job_state)line->from);
    const char *to = line->of_delivery ? db_delivery_state_name((enum db_delivery_state)line->to)
                                       : db_job_state_name((enum db_job_state)line->to);
    *t = line->t;
    (void)snprintf(t->from, sizeof t->from, "%s", from);
    (void)snprintf(t->to, sizeof t->to, "%s", to);
}

int db_job_history(struct db *db, int64_t job_id, size_t limit, struct db_history *ret_history,
                   struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, line, t.at_ms),         SQL_FIELD(SQL_I32, line, t.attempt),
        SQL_FIELD(SQL_TEXT, line, t.destination),  SQL_FIELD(SQL_TEXT, line, t.reason),
        SQL_FIELD(SQL_TEXT, line, t.detail),       SQL_FIELD(SQL_BOOL, line, of_delivery),
        SQL_FIELD_ENUM(line, from, DB_JOB_STATES), SQL_FIELD_ENUM(line, to, DB_JOB_STATES),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct line)};
    struct sql_statement *s = NULL;
    int r = core_check_limit(limit, DB_PAGE_MAX, err);
    r = r < 0 ? r
              : sql_prepare(
                    &s, db->sql,
                    "SELECT h.at_ms, h.attempt, n.name, h.reason, h.detail, h.delivery_id IS NOT "
                    "NULL, h.from_state, h.to_state FROM (SELECT * FROM history WHERE job_id = ?1 "
                    "ORDER BY id DESC LIMIT ?2) AS h LEFT JOIN delivery AS d ON d.id = "
                    "h.delivery_id LEFT JOIN destination AS n ON n.id = d.destination_id "
                    "ORDER BY h.id",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_int(s, (int64_t)limit);
    void *rows = NULL;
    size_t n = 0;
    r = sql_read_all(s, &layout, &rows, &n, err);
    if (r < 0) {
        return r;
    }
    struct db_transition *transition = calloc(n + 1, sizeof *transition);
    const struct line *line = rows;
    for (size_t i = 0; transition != NULL && i < n; i++) {
        name_states(&transition[i], &line[i]);
    }
    free(rows);
    if (transition == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "history of %zu lines", n);
    }
    *ret_history = (struct db_history){transition, n};
    return 0;
}

void db_history_fini(struct db_history *history)
{
    free(history->transition);
    *history = (struct db_history){0};
}
