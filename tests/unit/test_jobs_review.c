/* SPDX-License-Identifier: Apache-2.0 */
/* Results that need review: what is held goes nowhere, on whatever way, before somebody accepts it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/retention.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static const char report[] = "{\"verdict\": \"review\", \"checks\": []}";

/* A job with its result, at two destinations unless it is none. */
static int64_t reviewed(struct db *db, int series, enum db_review review, bool hold, int n)
{
    struct db_job_spec spec = kit_spec(series, n, false);
    spec.hold = hold;
    const int64_t id = kit_job_of(db, series, &spec);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == id && job.hold == hold && job.review == DB_REVIEW_NONE);
    HOLDS(kit_checked(db, &job, review, report) == 0);
    return id;
}

static int claim(struct db *db, const char *destination, struct db_delivery *ret_delivery)
{
    const struct db_send_claim c = {destination, 9, "node/s", KIT_LEASE_MS};
    return db_delivery_claim(db, &kit_now, &c, ret_delivery, &kit_err);
}

static void send(struct db *db, const char *destination)
{
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, KIT_OUTPUTS};
    const struct db_sent_result sent = {.sent = DB_SENT_STORED};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    struct db_delivery d;
    HOLDS(claim(db, destination, &d) == 0);
    const struct db_send_token token = db_delivery_token(&d);
    HOLDS(db_delivery_progress(db, &kit_now, token, 1000, &stored, &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, token, &sent, &retry, &kit_err) == 0);
}

static bool is_claimed_by_nobody(struct db *db)
{
    const struct db_now later = {kit_now.wall_ms + 900000000, kit_now.lease_ms + 900000000};
    const struct db_now now = kit_now;
    struct db_delivery d;
    kit_now = later;
    const bool none = claim(db, "pacs1", &d) == DB_NONE && claim(db, "pacs2", &d) == DB_NONE;
    kit_now = now;
    return none;
}

static bool is_held(struct db *db, int64_t id)
{
    const struct db_job job = kit_get(db, id);
    return db_job_is_held(&job) && job.ended_ms == 0 &&
           kit_number(db, "SELECT count(*) FROM delivery WHERE state <> 0") == 0 &&
           is_claimed_by_nobody(db);
}

static bool is_held_now(struct db *db, int64_t id)
{
    const struct db_job job = kit_get(db, id);
    return db_job_is_held(&job) && is_claimed_by_nobody(db);
}

static int say(struct db *db, int64_t id, bool accept)
{
    return db_job_review(db, &kit_now, id, accept, "the skull is whole", &kit_err);
}

static void what_passed_or_is_only_marked_is_delivered_as_ever(void)
{
    static const struct {
        enum db_review review;
        bool hold;
        const char *reason;
    } cases[] = {
        {DB_REVIEW_NONE, true, "written"},
        {DB_REVIEW_PASSED, true, "written"},
        {DB_REVIEW_PASSED, false, "written"},
        {DB_REVIEW_NEEDED, false, "written, needs review: outline 23.1 mm (at most 15)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct db *db = kit_open();
        const int64_t id = reviewed(db, 1, cases[i].review, cases[i].hold, 2);
        const struct db_job job = kit_get(db, id);
        HOLDS(job.state == DB_JOB_DELIVERING && job.review == cases[i].review);
        HOLDS(job.review_ms == (cases[i].review == DB_REVIEW_NONE ? 0 : kit_now.wall_ms));
        HOLDS(strcmp(job.reason, cases[i].reason) == 0);
        send(db, "pacs1");
        send(db, "pacs2");
        HOLDS(kit_get(db, id).state == DB_JOB_DONE && kit_get(db, id).review == cases[i].review);
        db_close(db);
        kit_remove();
    }
}

static void what_is_held_goes_nowhere(void)
{
    static const struct db_recovery recovery = {"boot", "node", 1};
    const struct db_retry retry = kit_retry();
    const struct db_delivery_retry sending = db_delivery_retry_default(0);
    const struct db_job_spec wish = kit_spec(1, 2, false);
    struct db *db = kit_open();
    struct db_recovered recovered;
    struct db_removal_list removals = {0};
    int64_t n = 0;
    int32_t expired = 0;
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, true, 2);
    HOLDS(is_held(db, id));
    HOLDS(strcmp(kit_get(db, id).reason,
                 "written, held for review: outline 23.1 mm (at most 15)") == 0);
    HOLDS(db_job_retry(db, &kit_now, id, "again", &kit_err) == DB_REFUSED && is_held(db, id));
    HOLDS(db_job_deliver(db, &kit_now, id, &wish, true, &kit_err) == DB_REFUSED);
    HOLDS(db_job_prioritise(db, &kit_now, id, 0, "urgent", &kit_err) == 0 && is_held(db, id));
    HOLDS(db_destination_wake(db, "pacs1", &kit_err) == 0 && is_held(db, id));
    kit_now.lease_ms += (int64_t)100 * KIT_LEASE_MS;
    HOLDS(db_jobs_expire(db, &kit_now, &retry, &expired, &kit_err) == 0 && expired == 0);
    HOLDS(db_deliveries_expire(db, &kit_now, &sending, &expired, &kit_err) == 0 && expired == 0);
    HOLDS(db_deliveries_next(db, &kit_now, &n, &kit_err) == DB_NONE);
    db_close(db);
    db = kit_open(); /* the daemon died, and another boot came */
    HOLDS(db_recover(db, &kit_now, &recovery, &recovered, &kit_err) == 0 && recovered.jobs == 0);
    HOLDS(is_held(db, id));
    /* Nothing of it is removed, however short the space is. */
    HOLDS(db_retention_take(db, DB_FILE_PRODUCED, INT64_MAX, 9, &removals, &kit_err) == 0);
    HOLDS(removals.n == 0);
    HOLDS(db_retention_take(db, DB_FILE_RECEIVED, INT64_MAX, 9, &removals, &kit_err) == 0);
    HOLDS(removals.n == 0 && db_result_take(db, id, &n, &kit_err) == DB_REFUSED);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void what_is_accepted_is_sent(void)
{
    struct db *db = kit_open();
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, true, 2);
    kit_now.wall_ms += 5000;
    HOLDS(say(db, id, true) == 0);
    struct db_job job = kit_get(db, id);
    HOLDS(job.review == DB_REVIEW_ACCEPTED && job.review_ms == kit_now.wall_ms);
    HOLDS(job.state == DB_JOB_DELIVERING);
    HOLDS(strcmp(job.reason, "accepted: the skull is whole") == 0);
    HOLDS(say(db, id, true) == DB_REFUSED && say(db, id, false) == DB_REFUSED);
    send(db, "pacs1");
    send(db, "pacs2");
    job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_DONE && job.review == DB_REVIEW_ACCEPTED);
    const struct db_job_spec wish = kit_spec(1, 3, false);
    HOLDS(db_job_deliver(db, &kit_now, id, &wish, false, &kit_err) == 0);
    send(db, "pacs3");
    int64_t counts[DB_JOB_STATES];
    HOLDS(db_job_counts(db, counts, &kit_err) == 0);
    HOLDS(counts[DB_JOB_DONE] == 1 && counts[DB_JOB_DELIVERING] == 0);
    db_close(db);
    kit_remove();
}

static void what_is_rejected_is_cancelled_and_may_still_be_accepted(void)
{
    struct db *db = kit_open();
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, true, 2);
    HOLDS(say(db, id, false) == 0);
    const struct db_job job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_CANCELLED && job.review == DB_REVIEW_REJECTED);
    HOLDS(strcmp(job.reason, "rejected: the skull is whole") == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM delivery WHERE state = 7") == 2);
    HOLDS(is_claimed_by_nobody(db));
    HOLDS(say(db, id, false) == DB_REFUSED);
    HOLDS(db_job_retry(db, &kit_now, id, "after all", &kit_err) == DB_REFUSED);
    HOLDS(say(db, id, true) == 0);
    HOLDS(kit_get(db, id).review == DB_REVIEW_ACCEPTED);
    send(db, "pacs1");
    send(db, "pacs2");
    HOLDS(kit_get(db, id).state == DB_JOB_DONE);
    db_close(db);
    kit_remove();
}

static void what_is_removed_or_made_by_another_cannot_be_accepted_any_more(void)
{
    struct db *db = kit_open();
    const struct db_job_spec same = kit_spec(1, 2, false);
    int64_t twin = 0;
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, true, 2);
    HOLDS(say(db, id, false) == 0);
    HOLDS(db_job_create(db, &kit_now, kit_get(db, id).series_id, &same, &twin, &kit_err) == 0);
    HOLDS(say(db, id, true) == DB_REFUSED);
    HOLDS(db_job_cancel(db, &kit_now, twin, "not that one", &kit_err) == 0);
    int64_t n = 0;
    HOLDS(db_result_take(db, id, &n, &kit_err) == 0 && n == KIT_OUTPUTS);
    HOLDS(say(db, id, true) == DB_REFUSED);
    HOLDS(kit_get(db, id).review == DB_REVIEW_REJECTED && is_claimed_by_nobody(db));
    HOLDS(say(db, 99, true) == DB_NONE);
    db_close(db);
    kit_remove();
}

static int64_t make_again(struct db *db, int64_t id)
{
    const struct db_job_spec same = kit_spec(1, 1, false);
    int64_t twin = 0;
    HOLDS(db_job_create(db, &kit_now, kit_get(db, id).series_id, &same, &twin, &kit_err) == 0);
    return twin;
}

static void what_is_made_again_takes_the_files_of_what_was_cancelled(void)
{
    struct db *db = kit_open();
    struct db_removal_list removals = {0};
    int64_t n = 0;
    const int64_t first = reviewed(db, 1, DB_REVIEW_NEEDED, true, 1);
    HOLDS(say(db, first, false) == 0);
    const int64_t second = make_again(db, first);
    /* Its worker may have found the files by now. */
    HOLDS(db_retention_take(db, DB_FILE_PRODUCED, INT64_MAX, 9, &removals, &kit_err) == 0);
    HOLDS(removals.n == 0 && db_result_take(db, first, &n, &kit_err) == DB_REFUSED);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == second && kit_checked(db, &job, DB_REVIEW_NEEDED, report) == 0);
    HOLDS(is_held_now(db, second));
    HOLDS(kit_number(db, "SELECT count(*) FROM output WHERE job_id = 1 AND file_state = 2") ==
          KIT_OUTPUTS);
    HOLDS(kit_number(db, "SELECT count(*) FROM output WHERE job_id = 2 AND file_state = 0") ==
          KIT_OUTPUTS);
    HOLDS(kit_number(db, "SELECT kept FROM job WHERE id = 1") == 0);
    HOLDS(kit_number(db, "SELECT kept FROM job WHERE id = 2") == KIT_OUTPUTS);
    /* The first has no files any more, whatever becomes of the second. */
    HOLDS(say(db, first, true) == DB_REFUSED);
    HOLDS(db_result_take(db, first, &n, &kit_err) == 0 && n == 0);
    HOLDS(db_job_cancel(db, &kit_now, second, "not that one", &kit_err) == 0);
    HOLDS(say(db, first, true) == DB_REFUSED && is_claimed_by_nobody(db));
    HOLDS(say(db, second, true) == 0);
    send(db, "pacs1");
    HOLDS(kit_get(db, second).state == DB_JOB_DONE);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void what_is_made_again_waits_until_the_old_files_are_gone(void)
{
    struct db *db = kit_open();
    struct db_removal_list going = {0};
    int64_t n = 0;
    const int64_t first = reviewed(db, 1, DB_REVIEW_NEEDED, true, 1);
    HOLDS(say(db, first, false) == 0);
    HOLDS(db_result_take(db, first, &n, &kit_err) == 0 && n == KIT_OUTPUTS);
    const int64_t second = make_again(db, first);
    struct db_job job = kit_claim(db);
    HOLDS(kit_checked(db, &job, DB_REVIEW_NEEDED, report) == 0);
    job = kit_get(db, second);
    HOLDS(job.state == DB_JOB_RETRY && job.failures == 1 && job.review == DB_REVIEW_NONE);
    HOLDS(strstr(job.reason, "being removed") != NULL);
    HOLDS(db_retention_taken(db, DB_FILE_PRODUCED, 9, &going, &kit_err) == 0);
    for (size_t i = 0; i < going.n; i++) {
        HOLDS(db_retention_done(db, DB_FILE_PRODUCED, &going.removal[i].id, 1, &kit_err) == 0);
    }
    db_removal_list_fini(&going);
    kit_now.lease_ms += KIT_LEASE_MS;
    job = kit_claim(db);
    HOLDS(job.id == second && kit_checked(db, &job, DB_REVIEW_NEEDED, report) == 0);
    HOLDS(is_held_now(db, second));
    db_close(db);
    kit_remove();
}

static void the_same_again_after_a_rejection_is_held(void)
{
    struct db *db = kit_open();
    const struct db_job_spec same = kit_spec(1, 1, false); /* which is to be only marked */
    struct db_made made = {0};
    int64_t again = 0;
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, false, 1);
    const struct db_job first = kit_get(db, id);
    HOLDS(say(db, id, false) == 0);
    HOLDS(db_batches_find_made(db, first.series_id, first.model_sha256, first.parameters, &made,
                               &kit_err) == 0);
    HOLDS(made.job_id == id && made.state == DB_JOB_CANCELLED);
    HOLDS(db_job_create(db, &kit_now, first.series_id, &same, &again, &kit_err) == 0);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == again && job.hold);
    HOLDS(kit_checked(db, &job, DB_REVIEW_NEEDED, report) == 0 && is_held_now(db, again));
    HOLDS(say(db, again, true) == 0);
    send(db, "pacs1");
    db_close(db);
    kit_remove();
}

static void what_was_delivered_is_only_marked(void)
{
    struct db *db = kit_open();
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, false, 2);
    send(db, "pacs1");
    send(db, "pacs2");
    const int64_t ended_ms = kit_get(db, id).ended_ms;
    kit_now.wall_ms += 5000;
    HOLDS(say(db, id, false) == 0);
    const struct db_job job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_DONE && job.review == DB_REVIEW_REJECTED);
    HOLDS(job.ended_ms == ended_ms && strcmp(job.reason, "delivered") == 0);
    const struct db_job_spec wish = kit_spec(1, 3, false);
    HOLDS(db_job_deliver(db, &kit_now, id, &wish, true, &kit_err) == DB_REFUSED);
    HOLDS(kit_number(db, "SELECT count(*) FROM delivery WHERE state = 5") == 2);
    HOLDS(say(db, id, true) == 0 && kit_get(db, id).state == DB_JOB_DONE);
    HOLDS(db_job_deliver(db, &kit_now, id, &wish, false, &kit_err) == 0);
    struct db_history history = {0};
    HOLDS(db_job_history(db, id, 100, &history, &kit_err) == 0);
    int marks = 0;
    for (size_t i = 0; i < history.n; i++) {
        const struct db_transition *t = &history.transition[i];
        marks += strcmp(t->from, "done") == 0 && strcmp(t->to, "done") == 0 ? 1 : 0;
    }
    HOLDS(marks == 2);
    db_history_fini(&history);
    db_close(db);
    kit_remove();
}

static void a_rejection_stops_what_is_on_its_way(void)
{
    struct db *db = kit_open();
    struct db_delivery d;
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, false, 2);
    send(db, "pacs1");
    HOLDS(claim(db, "pacs2", &d) == 0);
    HOLDS(say(db, id, false) == 0 && kit_get(db, id).state == DB_JOB_CANCELLED);
    const struct db_stored none = {NULL, 0};
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), 1, &none, &kit_err) == DB_LOST);
    HOLDS(kit_number(db, "SELECT state FROM delivery WHERE id = 1") == DB_DELIVERY_DONE);
    HOLDS(kit_number(db, "SELECT state FROM delivery WHERE id = 2") == DB_DELIVERY_CANCELLED);
    HOLDS(db_job_retry(db, &kit_now, id, "again", &kit_err) == DB_REFUSED);
    HOLDS(say(db, id, true) == 0);
    send(db, "pacs2"); /* and only there */
    HOLDS(kit_get(db, id).state == DB_JOB_DONE && is_claimed_by_nobody(db));
    db_close(db);
    kit_remove();
}

static void what_fails_after_it_was_only_marked_may_be_retried_until_it_is_rejected(void)
{
    const struct db_sent_result refused = {.sent = DB_SENT_REFUSED, .reason = "0122H"};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    struct db *db = kit_open();
    struct db_delivery d;
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, false, 1);
    HOLDS(claim(db, "pacs1", &d) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &refused, &retry, &kit_err) == 0);
    HOLDS(kit_get(db, id).state == DB_JOB_FAILED);
    HOLDS(db_job_retry(db, &kit_now, id, "again", &kit_err) == 0);
    HOLDS(claim(db, "pacs1", &d) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &refused, &retry, &kit_err) == 0);
    HOLDS(say(db, id, false) == 0 && kit_get(db, id).state == DB_JOB_CANCELLED);
    HOLDS(db_job_retry(db, &kit_now, id, "again", &kit_err) == DB_REFUSED);
    db_close(db);
    kit_remove();
}

static void what_is_kept_here_is_marked_and_sent_on_only_when_accepted(void)
{
    struct db *db = kit_open();
    struct db_job_spec wish = kit_spec(1, 2, false);
    const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, true, 0);
    const int64_t marked = reviewed(db, 2, DB_REVIEW_NEEDED, false, 0);
    HOLDS(kit_get(db, id).state == DB_JOB_DONE && kit_get(db, id).review == DB_REVIEW_NEEDED);
    HOLDS(strstr(kit_get(db, id).reason, "to be kept here, needs review") != NULL);
    HOLDS(db_job_deliver(db, &kit_now, id, &wish, false, &kit_err) == DB_REFUSED);
    HOLDS(say(db, id, true) == 0 && kit_get(db, id).state == DB_JOB_DONE);
    HOLDS(db_job_deliver(db, &kit_now, id, &wish, false, &kit_err) == 0);
    wish.hold = true; /* as it is configured by now */
    HOLDS(db_job_deliver(db, &kit_now, marked, &wish, false, &kit_err) == DB_REFUSED);
    wish.hold = false;
    HOLDS(db_job_deliver(db, &kit_now, marked, &wish, false, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static bool nobody_is_to_look(struct db *db)
{
    const struct db_job_filter filter = {
        .state = -1, .by_review = true, .review = DB_REVIEW_NEEDED, .limit = 100};
    struct db_job_page page = {0};
    struct db_review_backlog backlog;
    HOLDS(db_job_list(db, &filter, &page, &kit_err) == 0);
    HOLDS(db_jobs_to_review(db, &backlog, &kit_err) == 0);
    const bool none =
        page.n == 0 && backlog.needed == 0 && backlog.held == 0 && backlog.needed_since_ms == 0;
    db_job_page_fini(&page);
    return none;
}

static void what_is_cancelled_while_it_is_held_waits_for_nobody_and_may_still_be_accepted(void)
{
    struct db *db = kit_open();
    const int64_t held = reviewed(db, 1, DB_REVIEW_NEEDED, true, 1);
    const int64_t marked = reviewed(db, 2, DB_REVIEW_NEEDED, false, 1);
    HOLDS(db_job_cancel(db, &kit_now, held, "the wrong patient", &kit_err) == 0);
    HOLDS(db_job_cancel(db, &kit_now, marked, "the wrong patient", &kit_err) == 0);
    HOLDS(kit_get(db, held).review == DB_REVIEW_NEEDED); /* nobody looked */
    HOLDS(kit_get(db, marked).review == DB_REVIEW_NEEDED);
    HOLDS(nobody_is_to_look(db));
    HOLDS(db_job_retry(db, &kit_now, held, "again", &kit_err) == DB_REFUSED);
    HOLDS(say(db, marked, true) == 0 && kit_get(db, marked).state == DB_JOB_CANCELLED);
    HOLDS(is_claimed_by_nobody(db));
    HOLDS(say(db, held, false) == 0 && kit_get(db, held).review == DB_REVIEW_REJECTED);
    HOLDS(kit_get(db, held).state == DB_JOB_CANCELLED && is_claimed_by_nobody(db));
    HOLDS(say(db, held, true) == 0 && kit_get(db, held).review == DB_REVIEW_ACCEPTED);
    send(db, "pacs1");
    HOLDS(kit_get(db, held).state == DB_JOB_DONE);
    db_close(db);
    kit_remove();
}

static int64_t complete_with_one_more(struct db *db)
{
    const int64_t series = kit_put(db, 1, 1, 2, 1);
    const struct db_job_spec spec = kit_spec(7, 1, false);
    const struct db_completion c = {series, 2, 3, DB_EVIDENCE_QUIET, "quiet", &spec};
    int64_t id = 0;
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == 0);
    return id;
}

static void what_is_held_is_sent_by_nothing_once_it_is_superseded(void)
{
    struct db *db = kit_open();
    const int64_t held = reviewed(db, 1, DB_REVIEW_NEEDED, true, 1);
    const int64_t id = complete_with_one_more(db);
    const struct db_job job = kit_get(db, held);
    HOLDS(job.state == DB_JOB_CANCELLED && job.review == DB_REVIEW_NEEDED);
    HOLDS(job.superseded_by == id && strncmp(job.reason, "superseded", 10) == 0);
    HOLDS(!db_job_may_accept(&job) && db_job_is_barred(&job) && nobody_is_to_look(db));
    HOLDS(say(db, held, true) == DB_REFUSED);
    HOLDS(db_job_retry(db, &kit_now, held, "again", &kit_err) == DB_REFUSED);
    HOLDS(say(db, held, false) == 0 && say(db, held, true) == DB_REFUSED);
    HOLDS(kit_get(db, held).state == DB_JOB_CANCELLED && is_claimed_by_nobody(db));
    db_close(db);
    kit_remove();
}

static void what_was_rejected_or_only_marked_is_not_accepted_once_it_is_superseded(void)
{
    for (int is_rejected = 0; is_rejected < 2; is_rejected++) {
        struct db *db = kit_open();
        const struct db_job_spec wish = kit_spec(1, 3, false);
        const int64_t id = reviewed(db, 1, DB_REVIEW_NEEDED, is_rejected != 0, 1);
        if (is_rejected != 0) {
            HOLDS(say(db, id, false) == 0);
        } else {
            send(db, "pacs1");
        }
        (void)complete_with_one_more(db);
        HOLDS(say(db, id, true) == DB_REFUSED && is_claimed_by_nobody(db));
        HOLDS(db_job_deliver(db, &kit_now, id, &wish, true, &kit_err) == DB_REFUSED);
        db_close(db);
        kit_remove();
    }
}

static void a_worker_only_says_what_it_may(void)
{
    struct db *db = kit_open();
    char *text = NULL;
    static char longest[DB_QUALITY_SIZE + 1];
    (void)kit_job(db, 1, 1);
    const struct db_job job = kit_claim(db);
    HOLDS(kit_checked(db, &job, DB_REVIEW_ACCEPTED, report) == SCTD_EINVAL);
    memset(longest, ' ', DB_QUALITY_SIZE);
    HOLDS(kit_checked(db, &job, DB_REVIEW_PASSED, longest) == SCTD_EINVAL);
    HOLDS(kit_checked(db, &job, DB_REVIEW_PASSED, "\xff") == SCTD_EINVAL);
    HOLDS(db_job_quality(db, job.id, &text, &kit_err) == DB_NONE && text == NULL);
    const struct db_retry retry = kit_retry();
    const struct db_work_result failed = {
        .work = DB_WORK_FAILED, .reason = "memory", .review = DB_REVIEW_NEEDED};
    HOLDS(db_job_finish(db, &kit_now, db_job_token(&job), &failed, &retry, &kit_err) ==
          SCTD_EINVAL);
    HOLDS(kit_get(db, job.id).state == DB_JOB_RUNNING);
    longest[DB_QUALITY_SIZE - 1] = '\0';
    HOLDS(kit_checked(db, &job, DB_REVIEW_PASSED, longest) == 0);
    HOLDS(db_job_quality(db, job.id, &text, &kit_err) == 0 && strcmp(text, longest) == 0);
    free(text);
    db_close(db);
    kit_remove();
}

static size_t count(struct db *db, int state, enum db_review review)
{
    const struct db_job_filter filter = {
        .state = state, .by_review = true, .review = review, .limit = 100};
    struct db_job_page page = {0};
    HOLDS(db_job_list(db, &filter, &page, &kit_err) == 0);
    for (size_t i = 0; i < page.n; i++) {
        HOLDS(page.job[i].review == review && (state < 0 || (int)page.job[i].state == state));
        HOLDS(i == 0 || page.job[i].id < page.job[i - 1].id);
    }
    const size_t n = page.n;
    db_job_page_fini(&page);
    return n;
}

static void jobs_are_found_and_counted_by_their_review(void)
{
    struct db *db = kit_open();
    struct db_review_backlog backlog;
    HOLDS(db_jobs_to_review(db, &backlog, &kit_err) == 0);
    HOLDS(backlog.needed == 0 && backlog.needed_since_ms == 0 && backlog.held == 0);
    const int64_t first_ms = kit_now.wall_ms;
    for (int i = 1; i <= 12; i++, kit_now.wall_ms += 1000) {
        const bool is_needed = i % 3 == 0;
        (void)reviewed(db, i, is_needed ? DB_REVIEW_NEEDED : DB_REVIEW_PASSED, i % 2 == 0, 1);
    }
    (void)kit_job(db, 20, 1);
    HOLDS(count(db, -1, DB_REVIEW_NEEDED) == 4 && count(db, -1, DB_REVIEW_PASSED) == 8);
    HOLDS(count(db, -1, DB_REVIEW_NONE) == 1 && count(db, -1, DB_REVIEW_REJECTED) == 0);
    HOLDS(db_jobs_to_review(db, &backlog, &kit_err) == 0);
    HOLDS(backlog.needed == 4 && backlog.needed_since_ms == first_ms + 2000);
    HOLDS(backlog.held == 2 && backlog.held_since_ms == first_ms + 5000);
    HOLDS(say(db, 3, true) == 0 && say(db, 6, false) == 0);
    HOLDS(count(db, DB_JOB_DELIVERING, DB_REVIEW_NEEDED) == 2);
    HOLDS(count(db, DB_JOB_CANCELLED, DB_REVIEW_REJECTED) == 1);
    HOLDS(count(db, DB_JOB_DELIVERING, DB_REVIEW_PASSED) == 8);
    HOLDS(count(db, DB_JOB_DONE, DB_REVIEW_NEEDED) == 0);
    HOLDS(db_jobs_to_review(db, &backlog, &kit_err) == 0);
    HOLDS(backlog.needed == 2 && backlog.held == 1 && backlog.held_since_ms == first_ms + 11000);
    db_close(db);
    kit_remove();
}

static void a_review_is_named(void)
{
    for (int i = 0; i < DB_REVIEWS; i++) {
        HOLDS(strcmp(db_review_name((enum db_review)i), "?") != 0);
    }
}

int main(void)
{
    what_passed_or_is_only_marked_is_delivered_as_ever();
    what_is_held_goes_nowhere();
    what_is_accepted_is_sent();
    what_is_rejected_is_cancelled_and_may_still_be_accepted();
    what_is_removed_or_made_by_another_cannot_be_accepted_any_more();
    what_is_made_again_takes_the_files_of_what_was_cancelled();
    what_is_made_again_waits_until_the_old_files_are_gone();
    the_same_again_after_a_rejection_is_held();
    what_was_delivered_is_only_marked();
    a_rejection_stops_what_is_on_its_way();
    what_fails_after_it_was_only_marked_may_be_retried_until_it_is_rejected();
    what_is_kept_here_is_marked_and_sent_on_only_when_accepted();
    what_is_cancelled_while_it_is_held_waits_for_nobody_and_may_still_be_accepted();
    what_is_held_is_sent_by_nothing_once_it_is_superseded();
    what_was_rejected_or_only_marked_is_not_accepted_once_it_is_superseded();
    a_worker_only_says_what_it_may();
    jobs_are_found_and_counted_by_their_review();
    a_review_is_named();
    return 0;
}
