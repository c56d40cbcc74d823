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
#include "engine/base/error.h"

/* What an operator asks of one job. */
struct order {
    int64_t job_id;
    int32_t priority;
    const char *reason;
    int (*run)(struct db *db, const struct db_now *now, const struct order *order,
               struct db_job *job, struct sctd_error *err);
};

static int run_order(struct db *db, const struct db_now *now, const struct order *order,
                     struct sctd_error *err)
{
    struct db_job job = {0};
    const int r = db_job_get(db, order->job_id, &job, err);
    return r != 0 ? r : order->run(db, now, order, &job, err);
}

static int obey(struct db *db, const struct db_now *now, const struct order *order,
                struct sctd_error *err)
{
    const struct core_text reason = {"reason", order->reason, DB_REASON_SIZE, true};
    int r = core_check_texts(&reason, 1, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, run_order(db, now, order, err), err);
}

static int cancel(struct db *db, const struct db_now *now, const struct order *order,
                  struct db_job *job, struct sctd_error *err)
{
    return job->state == DB_JOB_DONE || job->state == DB_JOB_CANCELLED
               ? DB_REFUSED
               : moves_cancel(db, now, job, order->reason, err);
}

int db_job_cancel(struct db *db, const struct db_now *now, int64_t job_id, const char *reason,
                  struct sctd_error *err)
{
    const struct order order = {.job_id = job_id, .reason = reason, .run = cancel};
    return obey(db, now, &order, err);
}

int jobs_control_check(struct db *db, const struct db_job *job, int64_t *ret_written,
                       struct sctd_error *err)
{
    int64_t missing = 0;
    int64_t twins = 0;
    int r = core_number(db, "SELECT written FROM job WHERE id = ?1", job->id, ret_written, err);
    if (r == 0 && *ret_written != 0) {
        r = core_number(db, "SELECT outputs - kept FROM job WHERE id = ?1", job->id, &missing, err);
    } else if (r == 0) {
        r = core_number(
            db,
            "SELECT count(*) FROM job AS j JOIN instance AS i ON i.series_id = j.series_id "
            "WHERE j.id = ?1 AND i.revision <= j.revision AND i.file_state > 0",
            job->id, &missing, err);
    }
    r = r < 0 ? r
              : core_number(db,
                            "SELECT count(*) FROM job AS j JOIN job AS k ON k.output_series_uid = "
                            "j.output_series_uid AND k.id <> j.id AND k.state < 7 WHERE j.id = ?1",
                            job->id, &twins, err);
    return r < 0 ? r : (missing > 0 || twins > 0 ? DB_REFUSED : 0);
}

/* Deliveries that ended without success begin anew, at `to`. */
static int requeue_deliveries(struct db *db, const struct db_now *now, const struct db_job *job,
                              enum db_delivery_state to, struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT id FROM delivery WHERE job_id = ?1 AND state IN (6, 7)", {job->id}, 1};
    const struct moves_why why = {"the job is tried again", NULL};
    struct moves_ids ids;
    int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        struct moves_sending m = {0};
        r = moves_get_delivery(db, ids.id[i], &m, err);
        m.d.failures = 0;
        m.d.spent_ms = 0;
        m.best = m.d.stored;
        r = r != 0 ? r : moves_delivery(db, now, &m, to, &why, err);
    }
    return r;
}

int jobs_control_begin_anew(struct db *db, const struct db_now *now, struct db_job *job,
                            bool is_written, const char *reason, struct sctd_error *err)
{
    const struct moves_why why = {reason, NULL};
    job->failures = 0;
    job->deaths = 0;
    job->breaks = 0;
    job->interruptions = 0;
    int r = moves_job(db, now, job, is_written ? DB_JOB_DELIVERING : DB_JOB_QUEUED, &why, err);
    r = r < 0 ? r
              : requeue_deliveries(db, now, job,
                                   is_written ? DB_DELIVERY_QUEUED : DB_DELIVERY_WAITING, err);
    return r < 0 ? r : moves_settle(db, now, job->id, err);
}

static int retry(struct db *db, const struct db_now *now, const struct order *order,
                 struct db_job *job, struct sctd_error *err)
{
    int64_t written = 0;
    if (job->state != DB_JOB_FAILED && job->state != DB_JOB_POISON &&
        job->state != DB_JOB_CANCELLED) {
        return DB_REFUSED;
    }
    int r = db_job_is_barred(job) ? DB_REFUSED : jobs_control_check(db, job, &written, err);
    return r != 0 ? r : jobs_control_begin_anew(db, now, job, written != 0, order->reason, err);
}

int db_job_retry(struct db *db, const struct db_now *now, int64_t job_id, const char *reason,
                 struct sctd_error *err)
{
    const struct order order = {.job_id = job_id, .reason = reason, .run = retry};
    return obey(db, now, &order, err);
}

static int set_priority(struct db *db, const char *text, const struct order *order,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, order->job_id);
    sql_bind_int(s, order->priority);
    return sql_finish(s, err);
}

static int prioritise(struct db *db, const struct db_now *now, const struct order *order,
                      struct db_job *job, struct sctd_error *err)
{
    if (job->state >= DB_JOB_DONE) {
        return DB_REFUSED;
    }
    char reason[DB_REASON_SIZE];
    (void)snprintf(reason, sizeof reason, "priority %d to %d: %.200s", (int)job->priority,
                   (int)order->priority, order->reason);
    const struct core_change change = {.job_id = job->id,
                                       .attempt = job->attempt,
                                       .from = (int)job->state,
                                       .to = (int)job->state,
                                       .reason = reason};
    int r = set_priority(db, "UPDATE job SET priority = ?2 WHERE id = ?1", order, err);
    r = r < 0 ? r
              : set_priority(db, "UPDATE delivery SET priority = ?2 WHERE job_id = ?1", order, err);
    return r < 0 ? r : core_note(db, now, &change, err);
}

int db_job_prioritise(struct db *db, const struct db_now *now, int64_t job_id, int32_t priority,
                      const char *reason, struct sctd_error *err)
{
    const struct order order = {
        .job_id = job_id, .priority = priority, .reason = reason, .run = prioritise};
    if (priority < 0 || priority > 9) {
        return sctd_error(err, SCTD_EINVAL, "job store: priority %d (0 to 9)", (int)priority);
    }
    return obey(db, now, &order, err);
}
