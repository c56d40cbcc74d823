/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation in every state: docs/job-store.md's tables. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

enum { SAME = -1 };

/* Jobs */

/* A job in a state, and the token of its last claim. */
static struct db_token make_job(struct db *db, enum db_job_state state)
{
    const int64_t id = kit_job(db, 1, 1);
    struct db_token token = {id, 0};
    if (state != DB_JOB_QUEUED) {
        const struct db_job job = kit_claim(db);
        token = db_job_token(&job);
        if (state == DB_JOB_DELIVERING || state == DB_JOB_DONE) {
            HOLDS(kit_done(db, &job) == 0);
        }
    }
    if (state == DB_JOB_RETRY) {
        HOLDS(kit_fail(db, token, DB_WORK_FAILED) == 0);
    } else if (state == DB_JOB_FAILED) {
        HOLDS(kit_fail(db, token, DB_WORK_REFUSED) == 0);
    } else if (state == DB_JOB_POISON) {
        struct db_retry retry = kit_retry();
        const struct db_work_result result = {.work = DB_WORK_DIED, .reason = "SIGSEGV"};
        retry.deaths_max = 1;
        HOLDS(db_job_finish(db, &kit_now, token, &result, &retry, &kit_err) == 0);
    } else if (state == DB_JOB_CANCELLED) {
        HOLDS(db_job_cancel(db, &kit_now, id, "by hand", &kit_err) == 0);
    } else if (state == DB_JOB_DONE) {
        const struct db_send_claim claim = {"pacs1", 1, "node/s", 1000};
        const int32_t all[] = {0, 1, 2};
        const struct db_stored stored = {all, 3};
        const struct db_sent_result sent = {.sent = DB_SENT_STORED};
        const struct db_delivery_retry retry = db_delivery_retry_default(0);
        struct db_delivery d;
        HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
        const struct db_send_token t = db_delivery_token(&d);
        HOLDS(db_delivery_progress(db, &kit_now, t, 1000, &stored, &kit_err) == 0);
        HOLDS(db_delivery_finish(db, &kit_now, t, &sent, &retry, &kit_err) == 0);
    }
    HOLDS(kit_get(db, id).state == state);
    return token;
}

typedef int job_operation(struct db *db, struct db_token token);

static int do_claim(struct db *db, struct db_token token)
{
    (void)token;
    struct db_job job;
    return db_job_claim(db, &kit_now, "node/w", KIT_LEASE_MS, &job, &kit_err);
}

static int do_heartbeat(struct db *db, struct db_token token)
{
    return db_job_heartbeat(db, &kit_now, token, KIT_LEASE_MS, "convert", &kit_err);
}

static int do_done(struct db *db, struct db_token token)
{
    const struct db_job job = {.id = token.job_id, .attempt = token.attempt};
    return kit_done(db, &job);
}

static int do_failed(struct db *db, struct db_token token)
{
    return kit_fail(db, token, DB_WORK_FAILED);
}

static int do_refused(struct db *db, struct db_token token)
{
    return kit_fail(db, token, DB_WORK_REFUSED);
}

static int do_died(struct db *db, struct db_token token)
{
    return kit_fail(db, token, DB_WORK_DIED);
}

static int do_released(struct db *db, struct db_token token)
{
    return kit_fail(db, token, DB_WORK_RELEASED);
}

static int do_broken(struct db *db, struct db_token token)
{
    return kit_fail(db, token, DB_WORK_BROKEN);
}

static int do_expire(struct db *db, struct db_token token)
{
    (void)token;
    const struct db_now later = {kit_now.wall_ms, kit_now.lease_ms + KIT_LEASE_MS};
    const struct db_retry retry = kit_retry();
    int32_t n = 0;
    const int r = db_jobs_expire(db, &later, &retry, &n, &kit_err);
    return r != 0 || n > 0 ? r : DB_NONE;
}

static int do_cancel(struct db *db, struct db_token token)
{
    return db_job_cancel(db, &kit_now, token.job_id, "by hand", &kit_err);
}

static int do_retry(struct db *db, struct db_token token)
{
    return db_job_retry(db, &kit_now, token.job_id, "by hand", &kit_err);
}

static int do_prioritise(struct db *db, struct db_token token)
{
    return db_job_prioritise(db, &kit_now, token.job_id, 1, "urgent", &kit_err);
}

static int do_accept(struct db *db, struct db_token token)
{
    return db_job_review(db, &kit_now, token.job_id, true, "it is whole", &kit_err);
}

static int do_reject(struct db *db, struct db_token token)
{
    return db_job_review(db, &kit_now, token.job_id, false, "a hole", &kit_err);
}

static int do_recover(struct db *db, struct db_token token)
{
    (void)token;
    const struct db_recovery recovery = {"boot", "node", 0};
    struct db_recovered recovered;
    const int r = db_recover(db, &kit_now, &recovery, &recovered, &kit_err);
    return r != 0 || recovered.jobs > 0 ? r : DB_NONE;
}

/* What comes out, and the state afterwards (SAME: as before). */
struct outcome {
    int returned, state;
};
#define NO(outcome) {outcome, SAME}
#define TO(state)   {0, state}

static const struct {
    job_operation *run;
    struct outcome in[DB_JOB_STATES];
} job_table[] = {
    /* in the order of enum db_job_state */
    {do_claim,
     {TO(DB_JOB_RUNNING), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE),
      NO(DB_NONE), NO(DB_NONE)}},
    {do_heartbeat,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_RUNNING), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_done,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_DELIVERING), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_failed,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_RETRY), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_refused,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_FAILED), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_died,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_RETRY), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_released,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_QUEUED), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_broken,
     {NO(DB_LOST), NO(DB_LOST), TO(DB_JOB_RETRY), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {do_expire,
     {NO(DB_NONE), NO(DB_NONE), TO(DB_JOB_RETRY), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE),
      NO(DB_NONE), NO(DB_NONE)}},
    {do_cancel,
     {TO(DB_JOB_CANCELLED), TO(DB_JOB_CANCELLED), TO(DB_JOB_CANCELLED), TO(DB_JOB_CANCELLED),
      NO(DB_REFUSED), TO(DB_JOB_CANCELLED), TO(DB_JOB_CANCELLED), NO(DB_REFUSED)}},
    {do_retry,
     {NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED),
      TO(DB_JOB_QUEUED), TO(DB_JOB_QUEUED), TO(DB_JOB_QUEUED)}},
    {do_prioritise,
     {TO(SAME), TO(SAME), TO(SAME), TO(SAME), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED),
      NO(DB_REFUSED)}},
    {do_accept,
     {NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED),
      NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED)}},
    {do_reject,
     {NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED),
      NO(DB_REFUSED), NO(DB_REFUSED), NO(DB_REFUSED)}},
    {do_recover,
     {NO(DB_NONE), NO(DB_NONE), TO(DB_JOB_QUEUED), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE),
      NO(DB_NONE), NO(DB_NONE)}},
};

static void try_on_job(size_t k, int state)
{
    struct db *db = kit_open();
    const struct outcome expected = job_table[k].in[state];
    const struct db_token token = make_job(db, (enum db_job_state)state);
    const int64_t lines = kit_number(db, "SELECT count(*) FROM history");
    const int r = job_table[k].run(db, token);
    const struct db_job job = kit_get(db, token.job_id);
    const int after = expected.state == SAME ? state : expected.state;
    if (r != expected.returned || (int)job.state != after) {
        (void)fprintf(stderr, "operation %zu on %s: %d, %s\n", k,
                      db_job_state_name((enum db_job_state)state), r, db_job_state_name(job.state));
        HOLDS(false);
    }
    /* What was refused left no trace; what was done left one. */
    const int64_t more = kit_number(db, "SELECT count(*) FROM history") - lines;
    HOLDS(r == 0 ? more > 0 : more == 0);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void every_operation_on_a_job_does_what_its_state_allows(void)
{
    for (size_t k = 0; k < sizeof job_table / sizeof *job_table; k++) {
        for (int state = 0; state < DB_JOB_STATES; state++) {
            try_on_job(k, state);
        }
    }
}

/* Deliveries */

static struct db_send_token make_delivery(struct db *db, enum db_delivery_state state)
{
    const bool wanted = state == DB_DELIVERY_COMMITTING;
    struct db_send_token token = {1, 0};
    if (state == DB_DELIVERY_WAITING) {
        (void)kit_job(db, 1, 1);
        return token;
    }
    const int64_t job = kit_written(db, 1, 1, wanted);
    if (state == DB_DELIVERY_QUEUED) {
        return token;
    }
    const struct db_send_claim claim = {"pacs1", 1, "node/s", KIT_LEASE_MS};
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    const struct db_delivery_retry retry = {1000, 4000, 100000, 1.0};
    static const enum db_sent ways[] = {[DB_DELIVERY_RETRY] = DB_SENT_FAILED,
                                        [DB_DELIVERY_DONE] = DB_SENT_STORED,
                                        [DB_DELIVERY_FAILED] = DB_SENT_REFUSED};
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    token = db_delivery_token(&d);
    HOLDS(db_delivery_progress(db, &kit_now, token, KIT_LEASE_MS, &stored, &kit_err) == 0);
    if (state == DB_DELIVERY_COMMITTING) {
        HOLDS(db_delivery_ask(db, &kit_now, token, "2.25.77", 5000, &kit_err) == 0);
    } else if (state == DB_DELIVERY_CANCELLED) {
        HOLDS(db_job_cancel(db, &kit_now, job, "by hand", &kit_err) == 0);
    } else if (state != DB_DELIVERY_SENDING) {
        const struct db_sent_result result = {.sent = ways[state], .reason = "0110H"};
        HOLDS(db_delivery_finish(db, &kit_now, token, &result, &retry, &kit_err) == 0);
    }
    return token;
}

typedef int delivery_operation(struct db *db, struct db_send_token token);

static int claim_delivery(struct db *db, struct db_send_token token)
{
    (void)token;
    const struct db_send_claim claim = {"pacs1", 2, "node/s", KIT_LEASE_MS};
    struct db_delivery d;
    return db_delivery_claim(db, &kit_now, &claim, &d, &kit_err);
}

static int progress(struct db *db, struct db_send_token token)
{
    const struct db_stored none = {NULL, 0};
    return db_delivery_progress(db, &kit_now, token, KIT_LEASE_MS, &none, &kit_err);
}

static int finish(struct db *db, struct db_send_token token, enum db_sent sent)
{
    const struct db_delivery_retry retry = {1000, 4000, 100000, 1.0};
    const struct db_sent_result result = {.sent = sent, .reason = "0110H"};
    return db_delivery_finish(db, &kit_now, token, &result, &retry, &kit_err);
}

static int finish_stored(struct db *db, struct db_send_token token)
{
    return finish(db, token, DB_SENT_STORED);
}

static int finish_failed(struct db *db, struct db_send_token token)
{
    return finish(db, token, DB_SENT_FAILED);
}

static int finish_unreachable(struct db *db, struct db_send_token token)
{
    return finish(db, token, DB_SENT_UNREACHABLE);
}

static int finish_refused(struct db *db, struct db_send_token token)
{
    return finish(db, token, DB_SENT_REFUSED);
}

static int finish_died(struct db *db, struct db_send_token token)
{
    return finish(db, token, DB_SENT_DIED);
}

static int finish_released(struct db *db, struct db_send_token token)
{
    return finish(db, token, DB_SENT_RELEASED);
}

static int expire_delivery(struct db *db, struct db_send_token token)
{
    (void)token;
    const struct db_now later = {kit_now.wall_ms, kit_now.lease_ms + KIT_LEASE_MS};
    const struct db_delivery_retry retry = {1000, 4000, 100000, 1.0};
    int32_t n = 0;
    const int r = db_deliveries_expire(db, &later, &retry, &n, &kit_err);
    return r != 0 || n > 0 ? r : DB_NONE;
}

static int recover_delivery(struct db *db, struct db_send_token token)
{
    (void)token;
    const struct db_recovery recovery = {"boot", "node", 0};
    struct db_recovered recovered;
    const int r = db_recover(db, &kit_now, &recovery, &recovered, &kit_err);
    return r != 0 || recovered.deliveries > 0 ? r : DB_NONE;
}

static const struct {
    delivery_operation *run;
    struct outcome in[DB_DELIVERY_STATES];
} delivery_table[] = {
    /* in the order of enum db_delivery_state */
    {claim_delivery,
     {NO(DB_NONE), TO(DB_DELIVERY_SENDING), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE), NO(DB_NONE),
      NO(DB_NONE), NO(DB_NONE)}},
    {progress,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(SAME), NO(DB_LOST), NO(DB_LOST), NO(DB_LOST),
      NO(DB_LOST)}},
    {finish_stored,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(DB_DELIVERY_DONE), NO(SCTD_EINVAL), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {finish_failed,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(DB_DELIVERY_RETRY), TO(DB_DELIVERY_RETRY),
      NO(DB_LOST), NO(DB_LOST), NO(DB_LOST)}},
    {finish_unreachable,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(DB_DELIVERY_QUEUED), TO(DB_DELIVERY_QUEUED),
      NO(DB_LOST), NO(DB_LOST), NO(DB_LOST)}},
    {finish_refused,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(DB_DELIVERY_FAILED), TO(DB_DELIVERY_FAILED),
      NO(DB_LOST), NO(DB_LOST), NO(DB_LOST)}},
    {finish_died,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(DB_DELIVERY_RETRY), TO(SAME), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {finish_released,
     {NO(DB_LOST), NO(DB_LOST), NO(DB_LOST), TO(DB_DELIVERY_QUEUED), TO(SAME), NO(DB_LOST),
      NO(DB_LOST), NO(DB_LOST)}},
    {expire_delivery,
     {NO(DB_NONE), NO(DB_NONE), NO(DB_NONE), TO(DB_DELIVERY_RETRY), TO(DB_DELIVERY_RETRY),
      NO(DB_NONE), NO(DB_NONE), NO(DB_NONE)}},
    {recover_delivery,
     {NO(DB_NONE), NO(DB_NONE), NO(DB_NONE), TO(DB_DELIVERY_QUEUED), NO(DB_NONE), NO(DB_NONE),
      NO(DB_NONE), NO(DB_NONE)}},
};

static void try_on_delivery(size_t k, int state)
{
    struct db *db = kit_open();
    const struct outcome expected = delivery_table[k].in[state];
    const struct db_send_token token = make_delivery(db, (enum db_delivery_state)state);
    const int after = expected.state == SAME ? state : expected.state;
    struct db_delivery d;
    HOLDS(db_delivery_get(db, 1, &d, &kit_err) == 0 && (int)d.state == state);
    const int r = delivery_table[k].run(db, token);
    HOLDS(db_delivery_get(db, 1, &d, &kit_err) == 0);
    if (r != expected.returned || (int)d.state != after) {
        (void)fprintf(stderr, "operation %zu on %s: %d, %s\n", k,
                      db_delivery_state_name((enum db_delivery_state)state), r,
                      db_delivery_state_name(d.state));
        HOLDS(false);
    }
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void every_operation_on_a_delivery_does_what_its_state_allows(void)
{
    for (size_t k = 0; k < sizeof delivery_table / sizeof *delivery_table; k++) {
        for (int state = 0; state < DB_DELIVERY_STATES; state++) {
            try_on_delivery(k, state);
        }
    }
}

/* Settling */

static void a_job_ends_with_its_last_delivery(void)
{
    static const struct {
        enum db_sent first, second;
        enum db_job_state end;
    } cases[] = {
        {DB_SENT_STORED, DB_SENT_STORED, DB_JOB_DONE},
        {DB_SENT_STORED, DB_SENT_REFUSED, DB_JOB_FAILED},
        {DB_SENT_REFUSED, DB_SENT_STORED, DB_JOB_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct db *db = kit_open();
        const int64_t job = kit_written(db, 1, 2, false);
        const enum db_sent ways[] = {cases[i].first, cases[i].second};
        for (int n = 0; n < 2; n++) {
            const struct db_send_claim claim = {n == 0 ? "pacs1" : "pacs2", 1, "node/s", 1000};
            const int32_t all[] = {0, 1, 2};
            const struct db_stored stored = {all, 3};
            struct db_delivery d;
            HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
            const struct db_send_token token = db_delivery_token(&d);
            HOLDS(db_delivery_progress(db, &kit_now, token, 1000, &stored, &kit_err) == 0);
            HOLDS(kit_get(db, job).state == DB_JOB_DELIVERING);
            HOLDS(finish(db, token, ways[n]) == 0);
        }
        HOLDS(kit_get(db, job).state == cases[i].end);
        HOLDS(kit_get(db, job).ended_ms == kit_now.wall_ms);
        db_close(db);
        kit_remove();
    }
}

static void cancelling_a_job_leaves_what_was_delivered(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 2, false);
    const struct db_send_claim claim = {"pacs1", 1, "node/s", 1000};
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), 1000, &stored, &kit_err) == 0);
    HOLDS(finish(db, db_delivery_token(&d), DB_SENT_STORED) == 0);
    HOLDS(db_job_cancel(db, &kit_now, job, "by hand", &kit_err) == 0);
    HOLDS(kit_number(db, "SELECT state FROM delivery WHERE id = 1") == DB_DELIVERY_DONE);
    HOLDS(kit_number(db, "SELECT state FROM delivery WHERE id = 2") == DB_DELIVERY_CANCELLED);
    db_close(db);
    kit_remove();
}

int main(void)
{
    every_operation_on_a_job_does_what_its_state_allows();
    every_operation_on_a_delivery_does_what_its_state_allows();
    a_job_ends_with_its_last_delivery();
    cancelling_a_job_leaves_what_was_delivered();
    return 0;
}
