/* SPDX-License-Identifier: Apache-2.0 */
#include "db/jobs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

enum { BASE_MS = 5000, CAP_MS = 15 * 60 * 1000, FAILURES_MAX = 5, DEATHS_MAX = 3, BREAKS_MAX = 3 };

struct db_retry db_retry_default(double random)
{
    const struct db_retry retry = {BASE_MS, CAP_MS, FAILURES_MAX, DEATHS_MAX, BREAKS_MAX, random};
    return retry;
}

/* Claiming */

static int queue_due(struct db *db, const struct db_now *now, struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT id FROM job INDEXED BY job_due WHERE state = 1 AND due_ms <= ?1 ORDER BY due_ms LIMIT 256",
        {now->lease_ms},
        1};
    const struct moves_why why = {"its time has come", NULL};
    struct moves_ids ids;
    int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        struct db_job job = {0};
        r = db_job_get(db, ids.id[i], &job, err);
        r = r != 0 ? r : moves_job(db, now, &job, DB_JOB_QUEUED, &why, err);
    }
    return r;
}

/* Of the best priority, of the source that was served longest ago, the oldest; 0: none. */
static int find_next(struct db *db, int64_t *ret_id, struct sctd_error *err)
{
    int64_t priority = 0;
    int r =
        core_number(db,
                    "SELECT ifnull((SELECT priority FROM job INDEXED BY job_ready WHERE state = 0 "
                    "ORDER BY priority LIMIT 1), -1)",
                    0, &priority, err);
    if (r < 0 || priority < 0) {
        return r;
    }
    return core_number(
        db,
        "SELECT (SELECT min(j.id) FROM job AS j INDEXED BY job_ready WHERE j.state = 0 AND "
        "j.priority = ?1 AND j.source_id = s.id) AS next_id FROM source AS s WHERE next_id IS NOT NULL "
        "ORDER BY s.served LIMIT 1",
        priority, ret_id, err);
}

static int serve_source(struct db *db, int64_t job_id, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r =
        sql_prepare(&s, db->sql,
                    "UPDATE source SET served = (SELECT max(served) FROM source) + 1 WHERE id = "
                    "(SELECT source_id FROM job WHERE id = ?1)",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    return sql_finish(s, err);
}

struct lease {
    const char *owner;
    int64_t ms;
};

static int claim(struct db *db, const struct db_now *now, const struct lease *lease,
                 struct db_job *ret_job, struct sctd_error *err)
{
    int64_t id = 0;
    struct db_job job = {0};
    int r = queue_due(db, now, err);
    r = r < 0 ? r : find_next(db, &id, err);
    if (r < 0 || id == 0) {
        return r < 0 ? r : DB_NONE;
    }
    r = db_job_get(db, id, &job, err);
    if (r != 0) {
        return r;
    }
    char text[DB_REASON_SIZE];
    (void)snprintf(text, sizeof text, "claimed by %s", lease->owner);
    const struct moves_why why = {text, NULL};
    job.attempt++;
    job.lease_until_ms = now->lease_ms + lease->ms;
    (void)snprintf(job.owner, sizeof job.owner, "%s", lease->owner);
    job.stage[0] = '\0';
    r = moves_job(db, now, &job, DB_JOB_RUNNING, &why, err);
    r = r < 0 ? r : serve_source(db, id, err);
    if (r == 0) {
        *ret_job = job;
    }
    return r;
}

int db_job_claim(struct db *db, const struct db_now *now, const char *owner, int64_t lease_ms,
                 struct db_job *ret_job, struct sctd_error *err)
{
    const struct core_text text = {"owner", owner, DB_NAME_SIZE, true};
    const struct lease lease = {owner, lease_ms};
    struct db_job job = {0};
    int r = core_check_texts(&text, 1, err);
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, claim(db, now, &lease, &job, err), err);
    if (r == 0) {
        *ret_job = job;
    }
    return r;
}

/* The job of a token, if the lease is still its holder's.  Returns 0 or DB_LOST. */
static int get_leased(struct db *db, struct db_token token, struct db_job *ret_job,
                      struct sctd_error *err)
{
    const int r = db_job_get(db, token.job_id, ret_job, err);
    if (r < 0) {
        return r;
    }
    return r == 0 && ret_job->state == DB_JOB_RUNNING && ret_job->attempt == token.attempt
               ? 0
               : DB_LOST;
}

struct beat {
    struct db_token token;
    int64_t lease_ms;
    const char *stage;
};

static int heartbeat(struct db *db, const struct db_now *now, const struct beat *beat,
                     struct sctd_error *err)
{
    struct db_job job = {0};
    struct sql_statement *s = NULL;
    int r = get_leased(db, beat->token, &job, err);
    if (r != 0) {
        return r;
    }
    const char *stage = beat->stage == NULL ? job.stage : beat->stage;
    r = sql_prepare(&s, db->sql, "UPDATE job SET lease_until_ms = ?2, stage = ?3 WHERE id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job.id);
    sql_bind_int(s, now->lease_ms + beat->lease_ms);
    sql_bind_text(s, stage);
    r = sql_finish(s, err);
    const struct core_change change = {.job_id = job.id,
                                       .attempt = job.attempt,
                                       .from = DB_JOB_RUNNING,
                                       .to = DB_JOB_RUNNING,
                                       .reason = stage};
    return r < 0 || strcmp(stage, job.stage) == 0 ? r : core_note(db, now, &change, err);
}

int db_job_heartbeat(struct db *db, const struct db_now *now, struct db_token token,
                     int64_t lease_ms, const char *stage, struct sctd_error *err)
{
    const struct core_text text = {"stage", stage, DB_NAME_SIZE, false};
    const struct beat beat = {token, lease_ms, stage};
    int r = core_check_texts(&text, 1, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, heartbeat(db, now, &beat, err), err);
}

/* Finishing */

static int check_result(const struct db_work_result *result, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"reason", result->reason, DB_REASON_SIZE, result->work != DB_WORK_DONE},
        {"detail", result->detail, DB_DETAIL_SIZE, false},
        {"report of the checks", result->quality, DB_QUALITY_SIZE, false},
        {"engine", result->engine, DB_ENGINE_SIZE, false},
    };
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    if (r == 0 && (result->review > DB_REVIEW_NEEDED ||
                   (result->work != DB_WORK_DONE && result->review != DB_REVIEW_NONE))) {
        r = sctd_error(err, SCTD_EINVAL, "job store: a worker's result is never \"%s\"",
                       db_review_name(result->review));
    }
    if (r == 0 && result->work == DB_WORK_DONE) {
        r = core_check_limit(result->n_outputs, DB_OUTPUTS_MAX, err);
    }
    for (size_t i = 0; r == 0 && result->work == DB_WORK_DONE && i < result->n_outputs; i++) {
        const struct db_output *o = &result->output[i];
        const struct core_text output[] = {
            {"output SOP Instance UID", o->sop_uid, DB_UID_SIZE, true},
            {"output SOP Class UID", o->sop_class_uid, DB_UID_SIZE, true},
            {"output file", o->file, DB_FILE_SIZE, true},
        };
        r = core_check_texts(output, sizeof output / sizeof *output, err);
    }
    return r;
}

static int write_output(struct db *db, int64_t job_id, const struct db_output *o, size_t place,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "UPDATE output SET place = ?3, sop_class_uid = ?4, file = ?5, size = ?6, sha256 = ?7, "
        "file_state = 0 WHERE job_id = ?1 AND sop_uid = ?2 AND place IS NULL",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_text(s, o->sop_uid);
    sql_bind_int(s, (int64_t)place);
    sql_bind_text(s, o->sop_class_uid);
    sql_bind_text(s, o->file);
    sql_bind_int(s, o->size);
    sql_bind_blob(s, o->sha256, sizeof o->sha256);
    r = sql_finish(s, err);
    if (r == 0 && sql_changes(db->sql) != 1) {
        r = sctd_error(err, SCTD_EINVAL,
                       "job store: output %zu of job %lld has a UID that was not decided, or twice",
                       place + 1, (long long)job_id);
    }
    return r;
}

static int run_with_job(struct db *db, const char *text, int64_t job_id, int64_t n,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    if (n >= 0) {
        sql_bind_int(s, n);
    }
    return sql_finish(s, err);
}

static int write_quality(struct db *db, int64_t job_id, const char *text, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, "INSERT OR REPLACE INTO quality VALUES (?1, ?2)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_text(s, text);
    return sql_finish(s, err);
}

static int write_engine(struct db *db, int64_t job_id, const char *text, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, "UPDATE job SET engine = ?2 WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_text(s, text);
    return sql_finish(s, err);
}

/*
 * Files lie where the output series says, so those of a cancelled job that made the same are this job's by now.
 * Returns DB_CHANGED where some of them are just being removed.
 */
static int take_over(struct db *db, const struct db_now *now, int64_t job_id,
                     struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT k.id FROM job AS j JOIN job AS k ON k.output_series_uid = j.output_series_uid AND "
        "k.state = 7 AND k.id <> j.id WHERE j.id = ?1 AND k.kept > 0",
        {job_id},
        1};
    char reason[DB_REASON_SIZE];
    struct moves_ids ids = {.n = 0};
    int64_t going = 0;
    int r = core_number(
        db,
        "SELECT count(*) FROM job AS j JOIN job AS k ON k.output_series_uid = j.output_series_uid "
        "AND k.state = 7 AND k.id <> j.id JOIN output AS o ON o.job_id = k.id AND o.file_state = 1 "
        "WHERE j.id = ?1",
        job_id, &going, err);
    if (r < 0 || going > 0) {
        return r < 0 ? r : DB_CHANGED;
    }
    (void)snprintf(reason, sizeof reason, "job %lld made the same: its files are that job's now",
                   (long long)job_id);
    r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        const struct core_change change = {.job_id = ids.id[i],
                                           .from = DB_JOB_CANCELLED,
                                           .to = DB_JOB_CANCELLED,
                                           .reason = reason};
        r = run_with_job(db,
                         "UPDATE output SET file_state = 2 WHERE job_id = ?1 AND file_state = 0",
                         ids.id[i], -1, err);
        r = r < 0 ? r
                  : run_with_job(db, "UPDATE job SET kept = 0 WHERE id = ?1", ids.id[i], -1, err);
        r = r < 0 ? r : core_note(db, now, &change, err);
    }
    return r;
}

static void describe_result(char text[DB_REASON_SIZE], const struct db_work_result *result,
                            bool is_sent, bool is_held)
{
    const bool needed = result->review == DB_REVIEW_NEEDED;
    const char *failed = needed && result->reason != NULL ? result->reason : "";
    (void)snprintf(text, DB_REASON_SIZE, "written%s%s%s%.180s", is_sent ? "" : ", to be kept here",
                   !needed   ? ""
                   : is_held ? ", held for review"
                             : ", needs review",
                   failed[0] == '\0' ? "" : ": ", failed);
    utf8_clean(text); /* it may have been cut within a character */
}

static int finish_done(struct db *db, const struct db_now *now, struct db_job *job,
                       const struct db_work_result *result, struct sctd_error *err)
{
    const int64_t n = (int64_t)result->n_outputs;
    int64_t deliveries = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < result->n_outputs; i++) {
        r = write_output(db, job->id, &result->output[i], i, err);
    }
    r = r < 0 ? r
              : run_with_job(db, "DELETE FROM output WHERE job_id = ?1 AND place IS NULL", job->id,
                             -1, err);
    r = r < 0
            ? r
            : run_with_job(db, "UPDATE job SET written = 1, outputs = ?2, kept = ?2 WHERE id = ?1",
                           job->id, n, err);
    r = r < 0 ? r
              : run_with_job(
                    db,
                    "UPDATE delivery SET instances = ?2, stored_bits = zeroblob((?2 + 7) / 8), "
                    "committed_bits = zeroblob((?2 + 7) / 8) WHERE job_id = ?1",
                    job->id, n, err);
    r = r < 0 ? r
              : core_number(db, "SELECT count(*) FROM delivery WHERE job_id = ?1", job->id,
                            &deliveries, err);
    if (r == 0 && result->quality != NULL) {
        r = write_quality(db, job->id, result->quality, err);
    }
    if (r == 0 && result->engine != NULL) {
        r = write_engine(db, job->id, result->engine, err);
    }
    if (r < 0) {
        return r;
    }
    const bool is_sent = deliveries > 0;
    const bool is_held = is_sent && job->hold && result->review == DB_REVIEW_NEEDED;
    char text[DB_REASON_SIZE];
    describe_result(text, result, is_sent, is_held);
    const struct moves_why why = {text, NULL};
    const struct moves_group group = {job->id, 1U << DB_DELIVERY_WAITING, DB_DELIVERY_QUEUED};
    job->outputs = (int32_t)n;
    job->interruptions = 0;
    if (result->review != DB_REVIEW_NONE) {
        moves_review(now, job, result->review);
    }
    r = moves_job(db, now, job, is_sent ? DB_JOB_DELIVERING : DB_JOB_DONE, &why, err);
    return r < 0 || is_held ? r : moves_deliveries(db, now, &group, "its files are written", err);
}

struct ending {
    struct db_token token;
    const struct db_work_result *result;
    const struct db_retry *retry;
};

static int finish(struct db *db, const struct db_now *now, const struct ending *e,
                  struct sctd_error *err)
{
    struct db_job job = {0};
    int r = get_leased(db, e->token, &job, err);
    if (r != 0) {
        return r;
    }
    if (e->result->work != DB_WORK_DONE) {
        return moves_failed(db, now, &job, e->result, e->retry, err);
    }
    static const struct db_work_result going = {
        .work = DB_WORK_FAILED,
        .reason = "files of a cancelled job that made the same are being removed"};
    r = take_over(db, now, job.id, err);
    return r < 0    ? r
           : r == 0 ? finish_done(db, now, &job, e->result, err)
                    : moves_failed(db, now, &job, &going, e->retry, err);
}

int db_job_finish(struct db *db, const struct db_now *now, struct db_token token,
                  const struct db_work_result *result, const struct db_retry *retry,
                  struct sctd_error *err)
{
    const struct ending e = {token, result, retry};
    int r = check_result(result, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, finish(db, now, &e, err), err);
}

static int expire(struct db *db, const struct db_now *now, const struct db_retry *retry,
                  int32_t *ret_n, struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT id FROM job INDEXED BY job_lease WHERE state = 2 AND lease_until_ms <= ?1 LIMIT 256",
        {now->lease_ms},
        1};
    const struct db_work_result result = {.work = DB_WORK_DIED,
                                          .reason = "no heartbeat until its lease was over"};
    struct moves_ids ids;
    int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        struct db_job job = {0};
        r = db_job_get(db, ids.id[i], &job, err);
        r = r != 0 ? r : moves_failed(db, now, &job, &result, retry, err);
    }
    *ret_n = (int32_t)ids.n;
    return r;
}

int db_jobs_expire(struct db *db, const struct db_now *now, const struct db_retry *retry,
                   int32_t *ret_n, struct sctd_error *err)
{
    int32_t n = 0;
    int r = core_begin(db, err);
    r = r < 0 ? r : core_end(db, expire(db, now, retry, &n, err), err);
    if (r == 0) {
        *ret_n = n;
    }
    return r;
}
