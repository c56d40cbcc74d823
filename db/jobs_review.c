/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

#define HELD DB_JOB_IS_HELD("job")

static const char *const review_names[] = {
    [DB_REVIEW_NONE] = "unchecked",    [DB_REVIEW_PASSED] = "passed",
    [DB_REVIEW_NEEDED] = "needed",     [DB_REVIEW_ACCEPTED] = "accepted",
    [DB_REVIEW_REJECTED] = "rejected",
};

const char *db_review_name(enum db_review review)
{
    return (unsigned)review < DB_REVIEWS ? review_names[review] : "?";
}

/* A verdict that moves nothing. */
static int mark(struct db *db, const struct db_now *now, const struct db_job *job,
                const char *reason, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r =
        sql_prepare(&s, db->sql, "UPDATE job SET review = ?2, review_ms = ?3 WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job->id);
    sql_bind_int(s, (int64_t)job->review);
    sql_bind_int(s, job->review_ms);
    r = sql_finish(s, err);
    const struct core_change change = {.job_id = job->id,
                                       .attempt = job->attempt,
                                       .from = (int)job->state,
                                       .to = (int)job->state,
                                       .reason = reason};
    return r < 0 ? r : core_note(db, now, &change, err);
}

static int release(struct db *db, const struct db_now *now, struct db_job *job, const char *reason,
                   struct sctd_error *err)
{
    const struct moves_group group = {job->id, 1U << DB_DELIVERY_WAITING, DB_DELIVERY_QUEUED};
    const struct moves_why why = {reason, NULL};
    const int r = moves_job(db, now, job, DB_JOB_DELIVERING, &why, err);
    return r < 0 ? r : moves_deliveries(db, now, &group, "the result was accepted", err);
}

static int accept(struct db *db, const struct db_now *now, struct db_job *job, const char *reason,
                  struct sctd_error *err)
{
    const bool is_held = db_job_is_held(job);
    const bool was_stopped = job->state == DB_JOB_CANCELLED && db_job_is_barred(job);
    int64_t written = 0;
    const int r = was_stopped ? jobs_control_check(db, job, &written, err) : 0;
    if (r != 0) {
        return r;
    }
    moves_review(now, job, DB_REVIEW_ACCEPTED);
    if (was_stopped) {
        return jobs_control_begin_anew(db, now, job, written != 0, reason, err);
    }
    return is_held ? release(db, now, job, reason, err) : mark(db, now, job, reason, err);
}

static int reject(struct db *db, const struct db_now *now, struct db_job *job, const char *reason,
                  struct sctd_error *err)
{
    moves_review(now, job, DB_REVIEW_REJECTED);
    return job->state == DB_JOB_DONE || job->state == DB_JOB_CANCELLED
               ? mark(db, now, job, reason, err)
               : moves_cancel(db, now, job, reason, err);
}

struct verdict {
    int64_t job_id;
    bool accept;
    const char *reason;
};

static int review(struct db *db, const struct db_now *now, const struct verdict *v,
                  struct sctd_error *err)
{
    char reason[DB_REASON_SIZE];
    struct db_job job = {0};
    const int r = db_job_get(db, v->job_id, &job, err);
    if (r != 0) {
        return r;
    }
    if (!(v->accept ? db_job_may_accept(&job) : job.review == DB_REVIEW_NEEDED)) {
        return DB_REFUSED;
    }
    (void)snprintf(reason, sizeof reason, "%s: %.220s", v->accept ? "accepted" : "rejected",
                   v->reason);
    utf8_clean(reason); /* it may have been cut within a character */
    return v->accept ? accept(db, now, &job, reason, err) : reject(db, now, &job, reason, err);
}

int db_job_review(struct db *db, const struct db_now *now, int64_t job_id, bool accept,
                  const char *reason, struct sctd_error *err)
{
    const struct verdict v = {job_id, accept, reason};
    const struct core_text text = {"reason", reason, DB_REASON_SIZE, true};
    int r = core_check_texts(&text, 1, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, review(db, now, &v, err), err);
}

int db_jobs_to_review(struct db *db, struct db_review_backlog *ret_backlog, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, db_review_backlog, needed),
        SQL_FIELD(SQL_I64, db_review_backlog, needed_since_ms),
        SQL_FIELD(SQL_I64, db_review_backlog, held),
        SQL_FIELD(SQL_I64, db_review_backlog, held_since_ms),
    };
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT count(*), ifnull(min(review_ms), 0), count(*) FILTER (WHERE " HELD
                        "), ifnull(min(review_ms) FILTER (WHERE " HELD "), 0) FROM job INDEXED BY "
                        "job_needed WHERE review = 2 AND state < 7",
                        err);
    if (r < 0) {
        return r;
    }
    return core_read_one(s, fields, sizeof fields / sizeof *fields, ret_backlog, err);
}

int db_job_quality(struct db *db, int64_t job_id, char **ret_text, struct sctd_error *err)
{
    return core_text_of(db, "SELECT text FROM quality WHERE job_id = ?1", job_id, ret_text, err);
}
