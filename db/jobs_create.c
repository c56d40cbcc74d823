/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

static int check_list(const char *name, const char *const *texts, size_t n, size_t size,
                      struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct core_text text = {name, texts[i], size, true};
        const int r = core_check_texts(&text, 1, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int check_spec(const struct db_job_spec *spec, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"rule", spec->rule, DB_NAME_SIZE, true},
        {"model", spec->model, DB_NAME_SIZE, true},
        {"model's SHA-256", spec->model_sha256, SHA256_HEX_SIZE, true},
        {"text of parameters", spec->parameters, DB_PARAMETERS_SIZE, false},
        {"output Series Instance UID", spec->output_series_uid, DB_UID_SIZE, true},
    };
    if (spec->priority < 0 || spec->priority > 9) {
        return sctd_error(err, SCTD_EINVAL, "job store: priority %d (0 to 9)", (int)spec->priority);
    }
    int r = core_check_limit(spec->n_outputs, DB_OUTPUTS_MAX, err);
    if (r == 0 && spec->n_destinations > DB_DESTINATIONS_MAX) {
        r = sctd_error(err, SCTD_EINVAL, "job store: %zu destinations (at most %d)",
                       spec->n_destinations, DB_DESTINATIONS_MAX);
    }
    r = r < 0 ? r : core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r
              : check_list("output SOP Instance UID", spec->output_uids, spec->n_outputs,
                           DB_UID_SIZE, err);
    return r < 0 ? r
                 : check_list("destination", spec->destinations, spec->n_destinations, DB_NAME_SIZE,
                              err);
}

/* A job that makes the same series and is not cancelled; 0: none. */
static int find_twin(struct db *db, const char *output_series_uid, int64_t *ret_id,
                     struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT id FROM job WHERE output_series_uid = ?1 AND state < 7", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, output_series_uid);
    r = sql_step(s, err);
    if (r < 0) {
        return r;
    }
    *ret_id = r == SQL_ROW ? sql_get_int(s, 0) : 0;
    return 0;
}

static int add_job(struct db *db, const struct db_now *now, const struct db_series *series,
                   const struct db_job_spec *spec, int64_t *ret_id, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "INSERT INTO job (state, series_id, source_id, revision, evidence, priority, outputs, "
        "commitment, created_ms, changed_ms, output_series_uid, rule, model, model_sha256, "
        "parameters, hold, reason) VALUES (0, ?1, (SELECT source_id FROM series WHERE id = ?1), ?2, "
        "?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12, "
        "max(?13, EXISTS (SELECT 1 FROM job WHERE output_series_uid = ?8 AND (review = 4 OR (review = 2 "
        "AND hold = 1)))), 'created')",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, series->id);
    sql_bind_int(s, series->revision);
    sql_bind_int(s, (int64_t)series->evidence);
    sql_bind_int(s, spec->priority);
    sql_bind_int(s, (int64_t)spec->n_outputs);
    sql_bind_int(s, spec->commitment ? 1 : 0);
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, spec->output_series_uid);
    sql_bind_text(s, spec->rule);
    sql_bind_text(s, spec->model);
    sql_bind_text(s, spec->model_sha256);
    sql_bind_text(s, spec->parameters);
    sql_bind_int(s, spec->hold ? 1 : 0);
    r = sql_finish(s, err);
    const int64_t id = sql_last_id(db->sql);
    r = r < 0 ? r : sql_prepare(&s, db->sql, "UPDATE job_count SET n = n + 1 WHERE state = 0", err);
    r = r < 0 ? r : sql_finish(s, err);
    const struct core_change change = {
        .job_id = id, .reason = series->reason[0] == '\0' ? "created" : series->reason};
    *ret_id = id;
    return r < 0 ? r : core_note(db, now, &change, err);
}

static int add_outputs(struct db *db, int64_t job_id, const struct db_job_spec *spec,
                       struct sctd_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < spec->n_outputs; i++) {
        struct sql_statement *s = NULL;
        r = sql_prepare(&s, db->sql,
                        "INSERT INTO output (job_id, number, sop_uid) VALUES (?1, ?2, ?3)", err);
        if (r < 0) {
            return r;
        }
        sql_bind_int(s, job_id);
        sql_bind_int(s, (int64_t)i);
        sql_bind_text(s, spec->output_uids[i]);
        r = sql_finish(s, err);
    }
    return r;
}

int jobs_create_delivery(struct db *db, const struct db_now *now, int64_t job_id,
                         const struct db_job_spec *spec, size_t i, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "INSERT OR IGNORE INTO destination (name) VALUES (?1)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, spec->destinations[i]);
    r = sql_finish(s, err);
    r = r < 0
            ? r
            : sql_prepare(
                  &s, db->sql,
                  "INSERT INTO delivery (job_id, destination_id, priority, commitment, created_ms, "
                  "changed_ms) VALUES (?1, (SELECT id FROM destination WHERE name = ?2), ?3, ?4, "
                  "?5, ?5)",
                  err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_text(s, spec->destinations[i]);
    sql_bind_int(s, spec->priority);
    const bool wanted =
        spec->commitment && (spec->no_commitment == NULL || !spec->no_commitment[i]);
    sql_bind_int(s, wanted ? 1 : 0);
    sql_bind_int(s, now->wall_ms);
    return sql_finish(s, err);
}

/* Returns 0 or DB_EXISTS. */
static int create(struct db *db, const struct db_now *now, const struct db_series *series,
                  const struct db_job_spec *spec, int64_t *ret_id, struct sctd_error *err)
{
    int64_t id = 0;
    int r = find_twin(db, spec->output_series_uid, &id, err);
    if (r < 0 || id != 0) {
        *ret_id = id;
        return r < 0 ? r : DB_EXISTS;
    }
    r = add_job(db, now, series, spec, &id, err);
    r = r < 0 ? r : add_outputs(db, id, spec, err);
    for (size_t i = 0; r == 0 && i < spec->n_destinations; i++) {
        r = jobs_create_delivery(db, now, id, spec, i, err);
    }
    *ret_id = id;
    return r;
}

/* Completing a series */

static int supersede_one(struct db *db, const struct db_now *now, int64_t id, int64_t by,
                         struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "UPDATE job SET superseded_by = ?2 WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    sql_bind_int(s, by);
    r = sql_finish(s, err);
    struct db_job job = {0};
    r = r < 0 ? r : db_job_get(db, id, &job, err);
    if (r != 0 || (job.state > DB_JOB_RUNNING && !db_job_is_held(&job))) {
        return r;
    }
    char reason[DB_REASON_SIZE];
    (void)snprintf(reason, sizeof reason, "superseded by job %lld, since more instances came",
                   (long long)by);
    return moves_cancel(db, now, &job, reason, err);
}

static int supersede(struct db *db, const struct db_now *now, const struct db_series *series,
                     int64_t by, struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT id FROM job WHERE series_id = ?1 AND revision < ?2 AND superseded_by IS NULL "
        "AND id <> ?3",
        {series->id, series->revision, by},
        3};
    struct moves_ids ids;
    int r = 0;
    do {
        r = moves_find(db, &query, &ids, err);
        for (size_t i = 0; r == 0 && i < ids.n; i++) {
            r = supersede_one(db, now, ids.id[i], by, err);
        }
    } while (r == 0 && ids.n == MOVES_IDS);
    return r;
}

static int close_series(struct db *db, const struct db_now *now, const struct db_series *series,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "UPDATE series SET state = 1, evidence = ?2, closed_ms = ?3, reason = ?4 "
                        "WHERE id = ?1",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, series->id);
    sql_bind_int(s, (int64_t)series->evidence);
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, series->reason);
    core_changed(db, DB_CHANGE_SERIES, series->id);
    r = sql_finish(s, err);
    r = r < 0 ? r : sql_prepare(&s, db->sql, "DELETE FROM expected WHERE series_uid = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, series->series_uid);
    return sql_finish(s, err);
}

static int complete(struct db *db, const struct db_now *now, const struct db_completion *c,
                    int64_t *ret_id, struct sctd_error *err)
{
    struct db_series series = {0};
    int r = db_series_get(db, c->series_id, &series, err);
    if (r != 0) {
        return r;
    }
    if (series.state != DB_SERIES_OPEN || series.revision != c->revision ||
        series.instances != c->instances) {
        return DB_CHANGED;
    }
    series.evidence = c->evidence;
    (void)snprintf(series.reason, sizeof series.reason, "%s", c->reason);
    r = close_series(db, now, &series, err);
    const int created = r < 0 ? r : create(db, now, &series, c->job, ret_id, err);
    r = created < 0 ? created : supersede(db, now, &series, *ret_id, err);
    return r < 0 ? r : created;
}

int db_series_complete(struct db *db, const struct db_now *now,
                       const struct db_completion *completion, int64_t *ret_job_id,
                       struct sctd_error *err)
{
    const struct core_text reason = {"reason", completion->reason, DB_REASON_SIZE, true};
    int64_t id = 0;
    int r = check_spec(completion->job, err);
    r = r < 0 ? r : core_check_texts(&reason, 1, err);
    if (r == 0 &&
        (completion->evidence <= DB_EVIDENCE_NONE || completion->evidence >= DB_EVIDENCES)) {
        r = sctd_error(err, SCTD_EINVAL, "job store: nothing tells that the series is complete");
    }
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, complete(db, now, completion, &id, err), err);
    if (r == 0 || r == DB_EXISTS) {
        *ret_job_id = id;
    }
    return r;
}

static int create_on_closed(struct db *db, const struct db_now *now, int64_t series_id,
                            const struct db_job_spec *spec, int64_t *ret_id, struct sctd_error *err)
{
    struct db_series series = {0};
    int64_t kept = 0;
    int r = db_series_get(db, series_id, &series, err);
    r = r != 0 ? r
               : core_number(db, "SELECT kept FROM series WHERE id = ?1", series_id, &kept, err);
    if (r != 0) {
        return r;
    }
    if (series.state != DB_SERIES_CLOSED || kept != series.instances) {
        return DB_REFUSED;
    }
    return create(db, now, &series, spec, ret_id, err);
}

int db_job_create(struct db *db, const struct db_now *now, int64_t series_id,
                  const struct db_job_spec *spec, int64_t *ret_job_id, struct sctd_error *err)
{
    int64_t id = 0;
    int r = check_spec(spec, err);
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, create_on_closed(db, now, series_id, spec, &id, err), err);
    if (r == 0 || r == DB_EXISTS) {
        *ret_job_id = id;
    }
    return r;
}
