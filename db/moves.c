/* SPDX-License-Identifier: Apache-2.0 */
#include "db/moves.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

static bool has_ended(enum db_job_state state)
{
    return state >= DB_JOB_DONE;
}

static int count_job(struct db *db, enum db_job_state state, int64_t change, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, "UPDATE job_count SET n = n + ?2 WHERE state = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, (int64_t)state);
    sql_bind_int(s, change);
    return sql_finish(s, err);
}

static int write_job(struct db *db, const struct db_job *job, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(
        &s, db->sql,
        "UPDATE job SET state = ?2, attempt = ?3, failures = ?4, deaths = ?5, interruptions = ?6, "
        "changed_ms = ?7, ended_ms = ?8, due_ms = ?9, lease_until_ms = ?10, owner = ?11, stage = ?12, "
        "reason = ?13, review = ?14, review_ms = ?15, breaks = ?16 WHERE id = ?1",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job->id);
    sql_bind_int(s, (int64_t)job->state);
    sql_bind_int(s, job->attempt);
    sql_bind_int(s, job->failures);
    sql_bind_int(s, job->deaths);
    sql_bind_int(s, job->interruptions);
    sql_bind_int(s, job->changed_ms);
    sql_bind_int(s, job->ended_ms);
    sql_bind_int(s, job->due_ms);
    sql_bind_int(s, job->lease_until_ms);
    sql_bind_text(s, job->owner);
    sql_bind_text(s, job->stage);
    sql_bind_text(s, job->reason);
    sql_bind_int(s, (int64_t)job->review);
    sql_bind_int(s, job->review_ms);
    sql_bind_int(s, job->breaks);
    return sql_finish(s, err);
}

int moves_job(struct db *db, const struct db_now *now, struct db_job *job, enum db_job_state to,
              const struct moves_why *why, struct sctd_error *err)
{
    const enum db_job_state from = job->state;
    job->state = to;
    job->changed_ms = now->wall_ms;
    job->ended_ms = has_ended(to) ? now->wall_ms : 0;
    (void)snprintf(job->reason, sizeof job->reason, "%s", why->reason);
    if (to != DB_JOB_RUNNING) {
        job->lease_until_ms = 0;
        job->owner[0] = '\0';
        job->stage[0] = '\0';
    }
    if (to != DB_JOB_RETRY) {
        job->due_ms = 0;
    }
    const struct core_change change = {.job_id = job->id,
                                       .attempt = job->attempt,
                                       .from = (int)from,
                                       .to = (int)to,
                                       .reason = why->reason,
                                       .detail = why->detail};
    int r = write_job(db, job, err);
    r = r < 0 ? r : count_job(db, from, -1, err);
    r = r < 0 ? r : count_job(db, to, 1, err);
    return r < 0 ? r : core_note(db, now, &change, err);
}

void moves_review(const struct db_now *now, struct db_job *job, enum db_review review)
{
    job->review = review;
    job->review_ms = now->wall_ms;
}

/* Deliveries */

int moves_get_delivery(struct db *db, int64_t id, struct moves_sending *ret_delivery,
                       struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, moves_sending, destination_id),
        SQL_FIELD(SQL_I64, moves_sending, claimed_ms),
        SQL_FIELD(SQL_I64, moves_sending, lease_until_ms),
        SQL_FIELD(SQL_I64, moves_sending, asked_ms),
        SQL_FIELD(SQL_I32, moves_sending, best),
        SQL_FIELD(SQL_TEXT, moves_sending, owner),
    };
    int r = db_delivery_get(db, id, &ret_delivery->d, err);
    if (r != 0) {
        return r;
    }
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    r = sql_prepare(&s, db->sql,
                    "SELECT destination_id, claimed_ms, lease_until_ms, asked_ms, best, owner FROM "
                    "delivery WHERE id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    return core_read_one(s, fields, sizeof fields / sizeof *fields, ret_delivery, err);
}

static int write_delivery(struct db *db, const struct moves_sending *m, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(
        &s, db->sql,
        "UPDATE delivery SET state = ?2, priority = ?3, attempt = ?4, failures = ?5, spent_ms = ?6, "
        "due_ms = ?7, claimed_ms = ?8, lease_until_ms = ?9, best = ?10, owner = ?11, transaction_uid = ?12, "
        "changed_ms = ?13, reason = ?14, asked_ms = ?15 WHERE id = ?1",
        err);
    if (r < 0) {
        return r;
    }
    const struct db_delivery *d = &m->d;
    sql_bind_int(s, d->id);
    sql_bind_int(s, (int64_t)d->state);
    sql_bind_int(s, d->priority);
    sql_bind_int(s, d->attempt);
    sql_bind_int(s, d->failures);
    sql_bind_int(s, d->spent_ms);
    sql_bind_int(s, d->due_ms);
    sql_bind_int(s, m->claimed_ms);
    sql_bind_int(s, m->lease_until_ms);
    sql_bind_int(s, m->best);
    sql_bind_text(s, m->owner);
    sql_bind_text(s, d->transaction_uid);
    sql_bind_int(s, d->changed_ms);
    sql_bind_text(s, d->reason);
    sql_bind_int(s, m->asked_ms);
    return sql_finish(s, err);
}

int moves_delivery(struct db *db, const struct db_now *now, struct moves_sending *delivery,
                   enum db_delivery_state to, const struct moves_why *why, struct sctd_error *err)
{
    struct db_delivery *d = &delivery->d;
    const struct core_change change = {.job_id = d->job_id,
                                       .delivery_id = d->id,
                                       .attempt = d->attempt,
                                       .from = (int)d->state,
                                       .to = (int)to,
                                       .reason = why->reason,
                                       .detail = why->detail};
    d->state = to;
    d->changed_ms = now->wall_ms;
    (void)snprintf(d->reason, sizeof d->reason, "%s", why->reason);
    if (to != DB_DELIVERY_SENDING) {
        delivery->lease_until_ms = 0;
        delivery->owner[0] = '\0';
    }
    if (to != DB_DELIVERY_RETRY && to != DB_DELIVERY_COMMITTING) {
        d->due_ms = 0;
    }
    if (to >= DB_DELIVERY_DONE) {
        delivery->asked_ms = 0;
    }
    const int r = write_delivery(db, delivery, err);
    return r < 0 ? r : core_note(db, now, &change, err);
}

int moves_find(struct db *db, const struct moves_query *query, struct moves_ids *ret_ids,
               struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, query->text, err);
    if (r < 0) {
        return r;
    }
    for (int i = 0; i < query->n_numbers; i++) {
        sql_bind_int(s, query->number[i]);
    }
    ret_ids->n = 0;
    while (ret_ids->n < MOVES_IDS && (r = sql_step(s, err)) == SQL_ROW) {
        ret_ids->id[ret_ids->n++] = sql_get_int(s, 0);
    }
    return r < 0 ? r : 0;
}

int moves_deliveries(struct db *db, const struct db_now *now, const struct moves_group *group,
                     const char *reason, struct sctd_error *err)
{
    /* A job has at most DB_DESTINATIONS_MAX of them. */
    const struct moves_query query = {
        "SELECT id FROM delivery WHERE job_id = ?1 AND (?2 >> state) & 1 = 1 ORDER BY id",
        {group->job_id, (int64_t)group->from},
        2};
    const struct moves_why why = {reason, NULL};
    struct moves_ids ids;
    int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        struct moves_sending m = {0};
        r = moves_get_delivery(db, ids.id[i], &m, err);
        r = r != 0 ? r : moves_delivery(db, now, &m, group->to, &why, err);
    }
    return r < 0 ? r : 0;
}

int moves_cancel(struct db *db, const struct db_now *now, struct db_job *job, const char *reason,
                 struct sctd_error *err)
{
    const struct moves_why why = {reason, NULL};
    const struct moves_group group = {
        job->id, 0xffU & ~(1U << DB_DELIVERY_DONE | 1U << DB_DELIVERY_CANCELLED),
        DB_DELIVERY_CANCELLED};
    const int r = moves_job(db, now, job, DB_JOB_CANCELLED, &why, err);
    return r < 0 ? r : moves_deliveries(db, now, &group, reason, err);
}

int moves_settle(struct db *db, const struct db_now *now, int64_t job_id, struct sctd_error *err)
{
    struct db_job job = {0};
    int64_t open = 0;
    int64_t failed = 0;
    int64_t uncommitted = 0;
    int r = db_job_get(db, job_id, &job, err);
    if (r != 0 || job.state != DB_JOB_DELIVERING) {
        return r < 0 ? r : 0;
    }
    r = core_number(db, "SELECT count(*) FROM delivery WHERE job_id = ?1 AND state < 5", job_id,
                    &open, err);
    r = r < 0 ? r
              : core_number(db, "SELECT count(*) FROM delivery WHERE job_id = ?1 AND state = 6",
                            job_id, &failed, err);
    if (r < 0 || open > 0) {
        return r;
    }
    r = core_number(
        db,
        "SELECT count(*) FROM delivery WHERE job_id = ?1 AND state = 6 AND instances > 0 "
        "AND stored = instances",
        job_id, &uncommitted, err);
    if (r < 0) {
        return r;
    }
    char text[DB_REASON_SIZE];
    if (uncommitted == 0) {
        (void)snprintf(text, sizeof text,
                       "%lld of its destinations refused it or could not be reached",
                       (long long)failed);
    } else if (uncommitted == failed) {
        (void)snprintf(text, sizeof text, "stored, not committed: at %lld of its destinations",
                       (long long)failed);
    } else {
        (void)snprintf(text, sizeof text,
                       "%lld of its destinations refused it or could not be reached; stored, not "
                       "committed: at %lld",
                       (long long)(failed - uncommitted), (long long)uncommitted);
    }
    const struct moves_why why = {failed > 0 ? text : "delivered", NULL};
    return moves_job(db, now, &job, failed > 0 ? DB_JOB_FAILED : DB_JOB_DONE, &why, err);
}

int moves_failed(struct db *db, const struct db_now *now, struct db_job *job,
                 const struct db_work_result *result, const struct db_retry *retry,
                 struct sctd_error *err)
{
    struct moves_why why = {result->reason, result->detail};
    char text[DB_REASON_SIZE];
    enum db_job_state to = DB_JOB_RETRY;
    job->interruptions = 0;
    if (result->work == DB_WORK_REFUSED) {
        to = DB_JOB_FAILED;
    } else if (result->work == DB_WORK_RELEASED) {
        to = DB_JOB_QUEUED;
    } else if (result->work == DB_WORK_DIED) {
        job->deaths++;
        to = job->deaths >= retry->deaths_max ? DB_JOB_POISON : DB_JOB_RETRY;
    } else if (result->work == DB_WORK_BROKEN) {
        job->breaks++;
        to = job->breaks >= retry->breaks_max ? DB_JOB_FAILED : DB_JOB_RETRY;
        (void)snprintf(text, sizeof text,
                       "it broke the GPU in %d attempts, each of a new process: %.160s",
                       job->breaks, result->reason);
        utf8_clean(text); /* it may have been cut within a character */
        why.reason = to == DB_JOB_FAILED ? text : why.reason;
    } else {
        job->failures++;
        to = job->failures >= retry->failures_max ? DB_JOB_FAILED : DB_JOB_RETRY;
    }
    job->due_ms =
        now->lease_ms + core_delay_ms(retry->base_ms, retry->cap_ms,
                                      job->failures + job->deaths + job->breaks, retry->random);
    return moves_job(db, now, job, to, &why, err);
}
