/* SPDX-License-Identifier: Apache-2.0 */
#include "db/deliveries.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/core.h"
#include "db/db.h"
#include "db/delivery_bits.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum { BASE_MS = 5000, CAP_MS = 15 * 60 * 1000, HORIZON_MS = 7 * 24 * 3600 * 1000 };

struct db_delivery_retry db_delivery_retry_default(double random)
{
    const struct db_delivery_retry retry = {BASE_MS, CAP_MS, HORIZON_MS, random};
    return retry;
}

/* Destinations */

static int find_destination(struct db *db, const char *name, int64_t *ret_id, int64_t *ret_due_ms,
                            struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "SELECT id, due_ms FROM destination WHERE name = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, name);
    r = sql_step(s, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : DB_NONE;
    }
    *ret_id = sql_get_int(s, 0);
    *ret_due_ms = sql_get_int(s, 1);
    return 0;
}

/* It took something: whatever was wrong with it is over. */
static int note_success(struct db *db, const struct db_now *now, int64_t destination_id,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r =
        sql_prepare(&s, db->sql,
                    "UPDATE destination SET failures = 0, due_ms = 0, last_success_ms = ?2 WHERE "
                    "id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, destination_id);
    sql_bind_int(s, now->wall_ms);
    return sql_finish(s, err);
}

static int note_failure(struct db *db, const struct db_now *now, int64_t destination_id,
                        const char *reason, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(
        &s, db->sql, "UPDATE destination SET last_failure_ms = ?2, reason = ?3 WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, destination_id);
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, reason);
    return sql_finish(s, err);
}

/* It could not be reached: everything for it waits.  *ret_delay_ms: so long. */
static int hold_destination(struct db *db, const struct db_now *now, int64_t destination_id,
                            const struct db_delivery_retry *retry, int64_t *ret_delay_ms,
                            struct sctd_error *err)
{
    int64_t failures = 0;
    int r = core_number(db, "SELECT failures FROM destination WHERE id = ?1", destination_id,
                        &failures, err);
    struct sql_statement *s = NULL;
    r = r < 0 ? r
              : sql_prepare(&s, db->sql,
                            "UPDATE destination SET failures = ?2, due_ms = ?3 WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    failures = failures < INT32_MAX ? failures + 1 : failures;
    *ret_delay_ms = core_delay_ms(retry->base_ms, retry->cap_ms, (int32_t)failures, retry->random);
    sql_bind_int(s, destination_id);
    sql_bind_int(s, failures);
    sql_bind_int(s, now->lease_ms + *ret_delay_ms);
    return sql_finish(s, err);
}

/* Claiming */

static int queue_due(struct db *db, const struct db_now *now, int64_t destination_id,
                     struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT id FROM delivery INDEXED BY delivery_due WHERE state = 2 AND destination_id = ?1 "
        "AND due_ms <= ?2 "
        "ORDER BY due_ms LIMIT 256",
        {destination_id, now->lease_ms},
        2};
    const struct moves_why why = {"its time has come", NULL};
    struct moves_ids ids;
    int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        struct moves_sending m = {0};
        r = moves_get_delivery(db, ids.id[i], &m, err);
        r = r != 0 ? r : moves_delivery(db, now, &m, DB_DELIVERY_QUEUED, &why, err);
    }
    return r;
}

static int claim_next(struct db *db, const struct db_now *now, const struct db_send_claim *c,
                      struct db_delivery *ret_delivery, struct sctd_error *err)
{
    int64_t destination_id = 0;
    int64_t due_ms = 0;
    int64_t active = 0;
    int64_t id = 0;
    int r = find_destination(db, c->destination, &destination_id, &due_ms, err);
    r = r != 0 ? r
               : core_number(
                     db,
                     "SELECT count(*) FROM delivery INDEXED BY delivery_lease WHERE state = 3 AND "
                     "destination_id = ?1",
                     destination_id, &active, err);
    if (r != 0 || due_ms > now->lease_ms || active >= c->max_active) {
        return r != 0 ? r : DB_NONE;
    }
    r = queue_due(db, now, destination_id, err);
    r = r < 0
            ? r
            : core_number(
                  db,
                  "SELECT id FROM delivery INDEXED BY delivery_ready WHERE state = 1 AND destination_id = ?1 "
                  "ORDER BY priority, id LIMIT 1",
                  destination_id, &id, err);
    if (r < 0 || id == 0) {
        return r < 0 ? r : DB_NONE;
    }
    struct moves_sending m = {0};
    r = moves_get_delivery(db, id, &m, err);
    if (r != 0) {
        return r;
    }
    char text[DB_REASON_SIZE];
    (void)snprintf(text, sizeof text, "claimed by %s", c->owner);
    const struct moves_why why = {text, NULL};
    m.d.attempt++;
    m.claimed_ms = now->lease_ms;
    m.lease_until_ms = now->lease_ms + c->lease_ms;
    (void)snprintf(m.owner, sizeof m.owner, "%s", c->owner);
    r = moves_delivery(db, now, &m, DB_DELIVERY_SENDING, &why, err);
    *ret_delivery = m.d;
    return r;
}

int db_delivery_claim(struct db *db, const struct db_now *now, const struct db_send_claim *claim,
                      struct db_delivery *ret_delivery, struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"destination", claim->destination, DB_NAME_SIZE, true},
        {"owner", claim->owner, DB_NAME_SIZE, true},
    };
    struct db_delivery delivery = {0};
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, claim_next(db, now, claim, &delivery, err), err);
    if (r == 0) {
        *ret_delivery = delivery;
    }
    return r;
}

/* The delivery of a token, if it is still its holder's.  Returns 0 or DB_LOST. */
static int get_leased(struct db *db, struct db_send_token token, struct moves_sending *ret_m,
                      struct sctd_error *err)
{
    const int r = moves_get_delivery(db, token.delivery_id, ret_m, err);
    if (r < 0) {
        return r;
    }
    const bool held =
        r == 0 && ret_m->d.attempt == token.attempt &&
        (ret_m->d.state == DB_DELIVERY_SENDING || ret_m->d.state == DB_DELIVERY_COMMITTING);
    return held ? 0 : DB_LOST;
}

static int get_sending(struct db *db, struct db_send_token token, struct moves_sending *ret_m,
                       struct sctd_error *err)
{
    const int r = get_leased(db, token, ret_m, err);
    return r == 0 && ret_m->d.state != DB_DELIVERY_SENDING ? DB_LOST : r;
}

/* Progress */

struct beat {
    struct db_send_token token;
    int64_t lease_ms;
    const struct db_stored *stored;
};

static int mark_stored(struct db *db, const struct db_now *now, struct moves_sending *m,
                       const struct db_stored *stored, struct sctd_error *err)
{
    sctd_auto(delivery_bits_fini) struct delivery_bits bits = {0};
    int r = delivery_bits_read(&bits, db, m->d.id, err);
    for (size_t i = 0; r == 0 && i < stored->n; i++) {
        if (stored->number[i] < 0 || stored->number[i] >= m->d.instances) {
            return sctd_error(err, SCTD_EINVAL, "job store: delivery %lld has no instance %d",
                              (long long)m->d.id, (int)stored->number[i]);
        }
        delivery_bits_set(&bits, DELIVERY_STORED, stored->number[i], true);
    }
    r = r < 0 ? r : delivery_bits_write(&bits, db, m->d.id, err);
    if (r < 0) {
        return r;
    }
    m->d.stored = delivery_bits_count(&bits, DELIVERY_STORED);
    if (m->d.stored > m->best) { /* never so far before: patience begins anew */
        m->best = m->d.stored;
        m->d.failures = 0;
        m->d.spent_ms = 0;
        m->claimed_ms = now->lease_ms;
    }
    return note_success(db, now, m->destination_id, err);
}

static int progress(struct db *db, const struct db_now *now, const struct beat *beat,
                    struct sctd_error *err)
{
    struct moves_sending m = {0};
    struct sql_statement *s = NULL;
    int r = get_sending(db, beat->token, &m, err);
    if (r == 0 && beat->stored->n > 0) {
        r = mark_stored(db, now, &m, beat->stored, err);
    }
    r = r != 0
            ? r
            : sql_prepare(
                  &s, db->sql,
                  "UPDATE delivery SET lease_until_ms = ?2, best = ?3, failures = ?4, spent_ms = "
                  "?5, claimed_ms = ?6 WHERE id = ?1",
                  err);
    if (r != 0) {
        return r;
    }
    sql_bind_int(s, m.d.id);
    sql_bind_int(s, now->lease_ms + beat->lease_ms);
    sql_bind_int(s, m.best);
    sql_bind_int(s, m.d.failures);
    sql_bind_int(s, m.d.spent_ms);
    sql_bind_int(s, m.claimed_ms);
    core_changed(db, DB_CHANGE_JOB, m.d.job_id);
    return sql_finish(s, err);
}

int db_delivery_progress(struct db *db, const struct db_now *now, struct db_send_token token,
                         int64_t lease_ms, const struct db_stored *stored, struct sctd_error *err)
{
    const struct beat beat = {token, lease_ms, stored};
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, progress(db, now, &beat, err), err);
}

/* Ending an attempt */

struct trouble {
    const struct moves_why *why;
    const struct db_delivery_retry *retry;
    bool whole_destination;
};

/* Again later, unless the horizon is past. */
static int try_later(struct db *db, const struct db_now *now, struct moves_sending *m,
                     const struct trouble *trouble, struct sctd_error *err)
{
    const struct db_delivery_retry *retry = trouble->retry;
    int64_t delay_ms = 0;
    m->d.failures++;
    int r = note_failure(db, now, m->destination_id, trouble->why->reason, err);
    if (r == 0 && trouble->whole_destination) {
        r = hold_destination(db, now, m->destination_id, retry, &delay_ms, err);
    } else {
        delay_ms = core_delay_ms(retry->base_ms, retry->cap_ms, m->d.failures, retry->random);
    }
    const int64_t tried_ms = now->lease_ms - m->claimed_ms;
    m->d.spent_ms += delay_ms + (tried_ms > 0 ? tried_ms : 0);
    m->claimed_ms = now->lease_ms;
    if (r == 0 && m->d.spent_ms >= retry->horizon_ms) {
        char text[DB_REASON_SIZE];
        (void)snprintf(text, sizeof text, "given up after %lld min: %.200s",
                       (long long)(m->d.spent_ms / 60000), trouble->why->reason);
        const struct moves_why why = {text, trouble->why->detail};
        r = moves_delivery(db, now, m, DB_DELIVERY_FAILED, &why, err);
        return r < 0 ? r : moves_settle(db, now, m->d.job_id, err);
    }
    m->d.due_ms = now->lease_ms + delay_ms;
    return r < 0
               ? r
               : moves_delivery(db, now, m,
                                trouble->whole_destination ? DB_DELIVERY_QUEUED : DB_DELIVERY_RETRY,
                                trouble->why, err);
}

static int end_for_good(struct db *db, const struct db_now *now, struct moves_sending *m,
                        enum db_delivery_state to, const struct moves_why *why,
                        struct sctd_error *err)
{
    int r = to == DB_DELIVERY_DONE ? note_success(db, now, m->destination_id, err)
                                   : note_failure(db, now, m->destination_id, why->reason, err);
    r = r < 0 ? r : moves_delivery(db, now, m, to, why, err);
    return r < 0 ? r : moves_settle(db, now, m->d.job_id, err);
}

struct ending {
    struct db_send_token token;
    const struct db_sent_result *result;
    const struct db_delivery_retry *retry;
};

static int finish(struct db *db, const struct db_now *now, const struct ending *e,
                  struct sctd_error *err)
{
    const struct moves_why why = {e->result->reason, e->result->detail};
    const struct moves_why stored = {"all instances are stored", NULL};
    const struct trouble trouble = {&why, e->retry, e->result->sent == DB_SENT_UNREACHABLE};
    struct moves_sending m = {0};
    const int r = get_leased(db, e->token, &m, err);
    if (r != 0) {
        return r;
    }
    const bool asked = m.d.state == DB_DELIVERY_COMMITTING;
    switch (e->result->sent) {
    case DB_SENT_STORED:
        if (m.d.stored != m.d.instances || m.d.commitment || asked) {
            return sctd_error(err, SCTD_EINVAL,
                              "job store: delivery %lld is not done: %d of %d stored%s",
                              (long long)m.d.id, (int)m.d.stored, (int)m.d.instances,
                              m.d.commitment ? ", and storage commitment is wanted" : "");
        }
        return end_for_good(db, now, &m, DB_DELIVERY_DONE, &stored, err);
    case DB_SENT_REFUSED:
        return end_for_good(db, now, &m, DB_DELIVERY_FAILED, &why, err);
    case DB_SENT_RELEASED:
        return asked ? 0 : moves_delivery(db, now, &m, DB_DELIVERY_QUEUED, &why, err);
    case DB_SENT_DIED:
        if (asked) { /* the answer may still come */
            return 0;
        }
        break;
    case DB_SENT_FAILED:
    case DB_SENT_UNREACHABLE:
        break;
    }
    return try_later(db, now, &m, &trouble, err);
}

int db_delivery_finish(struct db *db, const struct db_now *now, struct db_send_token token,
                       const struct db_sent_result *result, const struct db_delivery_retry *retry,
                       struct sctd_error *err)
{
    const struct ending e = {token, result, retry};
    const struct core_text texts[] = {
        {"reason", result->reason, DB_REASON_SIZE, result->sent != DB_SENT_STORED},
        {"detail", result->detail, DB_DETAIL_SIZE, false},
    };
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, finish(db, now, &e, err), err);
}

/* Storage commitment */

static int waive(struct db *db, struct db_send_token token, struct sctd_error *err)
{
    struct moves_sending m = {0};
    struct sql_statement *s = NULL;
    int r = get_sending(db, token, &m, err);
    if (r != 0) {
        return r;
    }
    r = sql_prepare(&s, db->sql, "UPDATE delivery SET commitment = 0, asked_ms = 0 WHERE id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, token.delivery_id);
    return sql_finish(s, err);
}

int db_delivery_waive(struct db *db, struct db_send_token token, struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, waive(db, token, err), err);
}

struct question {
    struct db_send_token token;
    const char *transaction_uid;
    int64_t wait_ms;
};

static int ask(struct db *db, const struct db_now *now, const struct question *q,
               struct sctd_error *err)
{
    const struct moves_why why = {"storage commitment is asked for", NULL};
    struct moves_sending m = {0};
    struct sql_statement *s = NULL;
    int r = get_sending(db, q->token, &m, err);
    if (r != 0) {
        return r;
    }
    if (!m.d.commitment || m.d.stored != m.d.instances) {
        return sctd_error(
            err, SCTD_EINVAL,
            "job store: delivery %lld asks for storage commitment with %d of %d stored%s",
            (long long)m.d.id, (int)m.d.stored, (int)m.d.instances,
            m.d.commitment ? "" : ", which is not wanted");
    }
    r = sql_prepare(&s, db->sql, "INSERT INTO commitment VALUES (?1, ?2)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, q->transaction_uid);
    sql_bind_int(s, m.d.id);
    r = sql_finish(s, err);
    m.d.due_ms = now->lease_ms + q->wait_ms;
    m.asked_ms = m.asked_ms == 0 ? now->wall_ms : m.asked_ms;
    (void)snprintf(m.d.transaction_uid, sizeof m.d.transaction_uid, "%s", q->transaction_uid);
    return r < 0 ? r : moves_delivery(db, now, &m, DB_DELIVERY_COMMITTING, &why, err);
}

int db_delivery_ask(struct db *db, const struct db_now *now, struct db_send_token token,
                    const char *transaction_uid, int64_t wait_ms, struct sctd_error *err)
{
    const struct question q = {token, transaction_uid, wait_ms};
    const struct core_text text = {"transaction UID", transaction_uid, DB_UID_SIZE, true};
    int r = core_check_texts(&text, 1, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, ask(db, now, &q, err), err);
}

/* The delivery that a transaction UID of this destination belongs to; DB_NONE. */
static int find_transaction(struct db *db, const struct db_commitment_report *report,
                            int64_t *ret_id, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "SELECT c.delivery_id FROM commitment AS c JOIN delivery AS d ON d.id = c.delivery_id "
        "JOIN destination AS n ON n.id = d.destination_id WHERE c.transaction_uid = ?1 AND "
        "n.name = ?2",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, report->transaction_uid);
    sql_bind_text(s, report->destination);
    r = sql_step(s, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : DB_NONE;
    }
    *ret_id = sql_get_int(s, 0);
    return 0;
}

/* The place of an instance in its delivery; -1: it is not one of its. */
static int find_place(struct db *db, int64_t job_id, const char *sop_uid, int32_t *ret_place,
                      struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "SELECT place FROM output WHERE job_id = ?1 AND sop_uid = ?2",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_text(s, sop_uid);
    r = sql_step(s, err);
    *ret_place = r == SQL_ROW ? (int32_t)sql_get_int(s, 0) : -1;
    return r < 0 ? r : 0;
}

static int mark_report(struct db *db, struct moves_sending *m,
                       const struct db_commitment_report *report, struct sctd_error *err)
{
    sctd_auto(delivery_bits_fini) struct delivery_bits bits = {0};
    int32_t place = -1;
    int r = delivery_bits_read(&bits, db, m->d.id, err);
    for (size_t i = 0; r == 0 && i < report->n_committed; i++) {
        r = find_place(db, m->d.job_id, report->committed[i], &place, err);
        delivery_bits_set(&bits, DELIVERY_COMMITTED, place, true);
    }
    for (size_t i = 0; r == 0 && i < report->n_failed; i++) {
        r = find_place(db, m->d.job_id, report->failed[i], &place, err);
        delivery_bits_set(&bits, DELIVERY_COMMITTED, place, false);
        delivery_bits_set(&bits, DELIVERY_STORED, place, false);
    }
    r = r < 0 ? r : delivery_bits_write(&bits, db, m->d.id, err);
    m->d.stored = delivery_bits_count(&bits, DELIVERY_STORED);
    m->d.committed = delivery_bits_count(&bits, DELIVERY_COMMITTED);
    return r;
}

static int take_report(struct db *db, const struct db_now *now,
                       const struct db_commitment_report *report,
                       const struct db_delivery_retry *retry, int64_t *ret_id,
                       struct sctd_error *err)
{
    const struct moves_why committed = {"storage is committed", NULL};
    const struct moves_why failed = {
        report->reason == NULL ? "storage of some instances is not committed" : report->reason,
        NULL};
    const struct trouble trouble = {&failed, retry, false};
    struct moves_sending m = {0};
    int r = find_transaction(db, report, ret_id, err);
    r = r != 0 ? r : moves_get_delivery(db, *ret_id, &m, err);
    /* One that has ended stays as it is: a report that is repeated, or late. */
    if (r != 0 || m.d.state >= DB_DELIVERY_DONE) {
        return r;
    }
    r = mark_report(db, &m, report, err);
    if (r < 0) {
        return r;
    }
    if (m.d.committed == m.d.instances) {
        return end_for_good(db, now, &m, DB_DELIVERY_DONE, &committed, err);
    }
    /* While it is being sent again, the sender's end of it decides. */
    return m.d.state == DB_DELIVERY_COMMITTING ? try_later(db, now, &m, &trouble, err) : 0;
}

int db_delivery_report(struct db *db, const struct db_now *now,
                       const struct db_commitment_report *report,
                       const struct db_delivery_retry *retry, int64_t *ret_delivery_id,
                       struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"transaction UID", report->transaction_uid, DB_UID_SIZE, true},
        {"destination", report->destination, DB_NAME_SIZE, true},
        {"reason", report->reason, DB_REASON_SIZE, false},
    };
    int64_t id = 0;
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    r = r < 0 ? r : core_end(db, take_report(db, now, report, retry, &id, err), err);
    if (r == 0) {
        *ret_delivery_id = id;
    }
    return r;
}

/* What is over by the clock */

static int expire(struct db *db, const struct db_now *now, const struct db_delivery_retry *retry,
                  int32_t *ret_n, struct sctd_error *err)
{
    const struct moves_query query = {
        "SELECT id FROM delivery INDEXED BY delivery_lease WHERE state = 3 AND lease_until_ms <= ?1 "
        "UNION ALL "
        "SELECT id FROM delivery INDEXED BY delivery_wait WHERE state = 4 AND due_ms <= ?1 LIMIT 256",
        {now->lease_ms},
        1};
    static const struct moves_why dead = {"no sign of the sender until its lease was over", NULL};
    static const struct moves_why silent = {"no answer to the request for storage commitment",
                                            NULL};
    struct moves_ids ids;
    int r = moves_find(db, &query, &ids, err);
    for (size_t i = 0; r == 0 && i < ids.n; i++) {
        struct moves_sending m = {0};
        r = moves_get_delivery(db, ids.id[i], &m, err);
        const struct trouble trouble = {m.d.state == DB_DELIVERY_SENDING ? &dead : &silent, retry,
                                        false};
        r = r != 0 ? r : try_later(db, now, &m, &trouble, err);
    }
    *ret_n = (int32_t)ids.n;
    return r;
}

int db_deliveries_expire(struct db *db, const struct db_now *now,
                         const struct db_delivery_retry *retry, int32_t *ret_n,
                         struct sctd_error *err)
{
    int32_t n = 0;
    int r = core_begin(db, err);
    r = r < 0 ? r : core_end(db, expire(db, now, retry, &n, err), err);
    if (r == 0) {
        *ret_n = n;
    }
    return r;
}
