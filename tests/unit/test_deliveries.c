/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

enum { LEASE_MS = 30000, HORIZON_MS = 100000 };

static const int32_t places[] = {0, 1, 2};

/* 1 s doubling to 8 s, without jitter. */
static struct db_delivery_retry patience(void)
{
    const struct db_delivery_retry retry = {1000, 8000, HORIZON_MS, 1.0};
    return retry;
}

static int try_claim(struct db *db, const char *destination, struct db_delivery *ret_delivery)
{
    const struct db_send_claim claim = {destination, 1, "node/sender", LEASE_MS};
    return db_delivery_claim(db, &kit_now, &claim, ret_delivery, &kit_err);
}

static struct db_delivery claim(struct db *db, const char *destination)
{
    struct db_delivery d;
    HOLDS(try_claim(db, destination, &d) == 0);
    return d;
}

static void store(struct db *db, const struct db_delivery *d, int first, int n)
{
    const struct db_stored stored = {places + first, (size_t)n};
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(d), LEASE_MS, &stored, &kit_err) ==
          0);
}

static int finish(struct db *db, const struct db_delivery *d, enum db_sent sent)
{
    const struct db_delivery_retry retry = patience();
    const struct db_sent_result result = {
        .sent = sent, .reason = "A700H", .detail = "out of space"};
    return db_delivery_finish(db, &kit_now, db_delivery_token(d), &result, &retry, &kit_err);
}

static struct db_delivery get(struct db *db, int64_t id)
{
    struct db_delivery d;
    HOLDS(db_delivery_get(db, id, &d, &kit_err) == 0);
    return d;
}

static void a_whole_delivery_ends_its_job(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, false);
    const struct db_delivery d = claim(db, "pacs1");
    HOLDS(d.job_id == job && d.attempt == 1 && d.instances == 3 && d.stored == 0);
    HOLDS(finish(db, &d, DB_SENT_STORED) == SCTD_EINVAL); /* nothing is stored yet */
    store(db, &d, 0, 2);
    HOLDS(get(db, d.id).stored == 2);
    HOLDS(finish(db, &d, DB_SENT_STORED) == SCTD_EINVAL);
    store(db, &d, 1, 2); /* one of them again */
    HOLDS(finish(db, &d, DB_SENT_STORED) == 0);
    HOLDS(get(db, d.id).state == DB_DELIVERY_DONE && kit_get(db, job).state == DB_JOB_DONE);
    db_close(db);
    kit_remove();
}

static void a_broken_transfer_goes_on_where_it_stopped(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    struct db_delivery d = claim(db, "pacs1");
    store(db, &d, 1, 1);
    HOLDS(finish(db, &d, DB_SENT_FAILED) == 0);
    HOLDS(get(db, d.id).state == DB_DELIVERY_RETRY);
    HOLDS(get(db, d.id).due_ms == kit_now.lease_ms + 1000);
    HOLDS(try_claim(db, "pacs1", &d) == DB_NONE);
    kit_now.lease_ms += 1000;
    d = claim(db, "pacs1");
    HOLDS(d.attempt == 2 && d.stored == 1 && d.failures == 1);
    struct db_file_set files = {0};
    HOLDS(db_delivery_files(db, d.id, &files, &kit_err) == 0 && files.n == 3);
    HOLDS(!files.file[0].stored && files.file[1].stored && !files.file[2].stored);
    db_file_set_fini(&files);
    db_close(db);
    kit_remove();
}

static void one_destination_does_not_hold_up_another(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 2, false);
    (void)kit_written(db, 4, 2, false);
    struct db_delivery d = claim(db, "pacs1");
    HOLDS(finish(db, &d, DB_SENT_UNREACHABLE) == 0);
    HOLDS(get(db, d.id).state == DB_DELIVERY_QUEUED);
    HOLDS(try_claim(db, "pacs1", &d) == DB_NONE); /* the second waits with the first */
    HOLDS(try_claim(db, "nobody", &d) == DB_NONE);
    for (int k = 0; k < 2; k++) {
        d = claim(db, "pacs2");
        store(db, &d, 0, 3);
        HOLDS(finish(db, &d, DB_SENT_STORED) == 0);
    }
    kit_now.lease_ms += 1000;
    d = claim(db, "pacs1");
    HOLDS(d.failures == 1 && d.attempt == 2);
    db_close(db);
    kit_remove();
}

static void a_destination_waits_longer_each_time_until_it_takes_something(void)
{
    static const int64_t delays[] = {1000, 2000, 4000, 8000, 8000};
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    struct db_delivery d;
    for (size_t i = 0; i < 5; i++) {
        d = claim(db, "pacs1");
        HOLDS(finish(db, &d, DB_SENT_UNREACHABLE) == 0);
        kit_now.lease_ms += delays[i] - 1;
        HOLDS(try_claim(db, "pacs1", &d) == DB_NONE);
        kit_now.lease_ms += 1;
    }
    d = claim(db, "pacs1");
    store(db, &d, 0, 1);
    HOLDS(get(db, d.id).failures == 0 && get(db, d.id).spent_ms == 0);
    HOLDS(finish(db, &d, DB_SENT_UNREACHABLE) == 0);
    kit_now.lease_ms += 1000;
    HOLDS(try_claim(db, "pacs1", &d) == 0);
    db_close(db);
    kit_remove();
}

static void an_echo_wakes_a_destination(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    struct db_delivery d = claim(db, "pacs1");
    HOLDS(finish(db, &d, DB_SENT_UNREACHABLE) == 0);
    HOLDS(db_destination_wake(db, "nobody", &kit_err) == DB_NONE);
    HOLDS(db_destination_wake(db, "pacs1", &kit_err) == 0);
    d = claim(db, "pacs1");
    HOLDS(finish(db, &d, DB_SENT_FAILED) == 0);
    HOLDS(try_claim(db, "pacs1", &d) == DB_NONE);
    HOLDS(db_destination_wake(db, "pacs1", &kit_err) == 0);
    (void)claim(db, "pacs1");
    db_close(db);
    kit_remove();
}

static void the_horizon_ends_it_after_waiting_and_trying_not_by_the_wall_clock(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, false);
    int64_t spent = 0;
    int tries = 0;
    for (;; tries++) {
        const struct db_delivery d = claim(db, "pacs1");
        kit_now.lease_ms += 500;                    /* each try takes half a second */
        kit_now.wall_ms += (int64_t)365 * 86400000; /* and the wall clock runs wild */
        HOLDS(finish(db, &d, DB_SENT_FAILED) == 0);
        const struct db_delivery after = get(db, d.id);
        spent += 500 + (tries < 3 ? 1000 << tries : 8000);
        HOLDS(after.spent_ms == spent);
        if (after.state == DB_DELIVERY_FAILED) {
            HOLDS(strstr(after.reason, "given up") != NULL &&
                  strstr(after.reason, "A700H") != NULL);
            break;
        }
        HOLDS(spent < HORIZON_MS && after.state == DB_DELIVERY_RETRY);
        kit_now.lease_ms += 8000;
    }
    HOLDS(spent >= HORIZON_MS && tries > 10);
    HOLDS(kit_get(db, job).state == DB_JOB_FAILED);
    db_close(db);
    kit_remove();
}

static void a_destination_that_accepts_and_loses_does_not_go_on_for_ever(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, true);
    const struct db_delivery_retry retry = patience();
    const char *failed[] = {"2.25.1.0", "2.25.1.1", "2.25.1.2"};
    int rounds = 0;
    struct db_delivery d = {0};
    while (try_claim(db, "pacs1", &d) == 0) {
        char uid[] = "2.25.100";
        uid[6] = (char)('0' + rounds / 10);
        uid[7] = (char)('0' + rounds % 10);
        store(db, &d, 0, 3);
        HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), uid, 1000, &kit_err) == 0);
        const struct db_commitment_report report = {
            .transaction_uid = uid, .destination = "pacs1", .failed = failed, .n_failed = 3};
        int64_t id = 0;
        HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == 0);
        HOLDS(get(db, id).stored == 0);
        kit_now.lease_ms += 8000;
        rounds++;
        HOLDS(rounds < 50);
    }
    HOLDS(get(db, d.id).state == DB_DELIVERY_FAILED && rounds > 5);
    db_close(db);
    kit_remove();
}

static void storage_commitment_ends_the_delivery(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, true);
    const struct db_delivery_retry retry = patience();
    struct db_delivery d = claim(db, "pacs1");
    const struct db_send_token token = db_delivery_token(&d);
    HOLDS(db_delivery_ask(db, &kit_now, token, "2.25.9", 5000, &kit_err) == SCTD_EINVAL);
    store(db, &d, 0, 3);
    HOLDS(finish(db, &d, DB_SENT_STORED) == SCTD_EINVAL); /* it is wanted */
    HOLDS(db_delivery_ask(db, &kit_now, token, "2.25.9", 5000, &kit_err) == 0);
    d = get(db, d.id);
    HOLDS(d.state == DB_DELIVERY_COMMITTING && strcmp(d.transaction_uid, "2.25.9") == 0);
    const char *all[] = {"2.25.1.0", "2.25.1.1", "2.25.1.2", "9.9"};
    struct db_commitment_report report = {
        .transaction_uid = "2.25.9", .destination = "pacs2", .committed = all, .n_committed = 4};
    int64_t id = 0;
    HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == DB_NONE);
    report.destination = "pacs1";
    report.transaction_uid = "2.25.8";
    HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == DB_NONE);
    report.transaction_uid = "2.25.9";
    HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == 0 && id == d.id);
    HOLDS(get(db, d.id).state == DB_DELIVERY_DONE && get(db, d.id).committed == 3);
    HOLDS(kit_get(db, job).state == DB_JOB_DONE);
    HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == 0); /* repeated */
    db_close(db);
    kit_remove();
}

static void commitment_that_nobody_gives_can_be_waived(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, true);
    struct db_delivery d = claim(db, "pacs1");
    store(db, &d, 0, 3);
    HOLDS(finish(db, &d, DB_SENT_REFUSED) == 0); /* the peer does none */
    HOLDS(kit_get(db, job).state == DB_JOB_FAILED);
    HOLDS(strstr(kit_get(db, job).reason, "stored, not committed") != NULL);
    HOLDS(db_job_retry(db, &kit_now, job, "an operator", &kit_err) == 0);
    d = claim(db, "pacs1");
    HOLDS(d.stored == 3 && d.commitment);
    const struct db_send_token old = {d.id, d.attempt - 1};
    HOLDS(db_delivery_waive(db, old, &kit_err) == DB_LOST);
    HOLDS(get(db, d.id).commitment);
    HOLDS(db_delivery_waive(db, db_delivery_token(&d), &kit_err) == 0);
    HOLDS(finish(db, &d, DB_SENT_STORED) == 0);
    HOLDS(kit_get(db, job).state == DB_JOB_DONE);
    db_close(db);
    kit_remove();
}

static void a_refusal_is_not_lost_beside_what_is_not_committed(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 2, true);
    struct db_delivery first = claim(db, "pacs1");
    struct db_delivery second = claim(db, "pacs2");
    store(db, &first, 0, 3);
    store(db, &second, 0, 2);
    HOLDS(finish(db, &first, DB_SENT_REFUSED) == 0 && finish(db, &second, DB_SENT_REFUSED) == 0);
    HOLDS(strcmp(kit_get(db, job).reason,
                 "1 of its destinations refused it or could not be reached; stored, "
                 "not committed: at 1") == 0);
    db_close(db);
    kit_remove();
}

static void what_failed_to_be_committed_is_stored_again(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, true);
    const struct db_delivery_retry retry = patience();
    struct db_delivery d = claim(db, "pacs1");
    store(db, &d, 0, 3);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.9", 5000, &kit_err) == 0);
    const char *good[] = {"2.25.1.0", "2.25.1.2"};
    const char *bad[] = {"2.25.1.1"};
    const struct db_commitment_report report = {"2.25.9",           "pacs1", good, 2, bad, 1,
                                                "1 instance: 0112H"};
    int64_t id = 0;
    HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == 0);
    d = get(db, id);
    HOLDS(d.state == DB_DELIVERY_RETRY && d.stored == 2 && d.committed == 2);
    HOLDS(strcmp(d.reason, "1 instance: 0112H") == 0);
    kit_now.lease_ms += 1000;
    d = claim(db, "pacs1");
    store(db, &d, 1, 1);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.10", 5000, &kit_err) == 0);
    const struct db_commitment_report rest = {
        .transaction_uid = "2.25.10", .destination = "pacs1", .committed = bad, .n_committed = 1};
    HOLDS(db_delivery_report(db, &kit_now, &rest, &retry, &id, &kit_err) == 0);
    HOLDS(get(db, id).state == DB_DELIVERY_DONE);
    db_close(db);
    kit_remove();
}

static void without_an_answer_it_is_asked_again_and_a_late_answer_counts(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, true);
    const struct db_delivery_retry retry = patience();
    struct db_delivery d = claim(db, "pacs1");
    int32_t n = 0;
    store(db, &d, 0, 3);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.9", 5000, &kit_err) == 0);
    kit_now.lease_ms += 4999;
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 0);
    kit_now.lease_ms += 1;
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 1);
    kit_now.lease_ms += 1000;
    d = claim(db, "pacs1");
    HOLDS(d.stored == 3 && d.committed == 0); /* only to be asked */
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.9", 1, &kit_err) ==
          SCTD_EINVAL); /* a transaction UID is used once */
    const char *all[] = {"2.25.1.0", "2.25.1.1", "2.25.1.2"};
    const struct db_commitment_report late = {
        .transaction_uid = "2.25.9", .destination = "pacs1", .committed = all, .n_committed = 3};
    int64_t id = 0;
    HOLDS(db_delivery_report(db, &kit_now, &late, &retry, &id, &kit_err) == 0);
    HOLDS(get(db, id).state == DB_DELIVERY_DONE);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.10", 1, &kit_err) == DB_LOST);
    db_close(db);
    kit_remove();
}

static void a_silent_sender_loses_its_lease(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    const struct db_delivery_retry retry = patience();
    const struct db_delivery first = claim(db, "pacs1");
    const struct db_stored none = {NULL, 0};
    int32_t n = 0;
    kit_now.lease_ms += LEASE_MS - 1;
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&first), LEASE_MS, &none,
                               &kit_err) == 0);
    kit_now.lease_ms += LEASE_MS - 1;
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 0);
    kit_now.lease_ms += 1;
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 1);
    kit_now.lease_ms += 1000;
    const struct db_delivery second = claim(db, "pacs1");
    HOLDS(second.attempt == 2);
    HOLDS(finish(db, &first, DB_SENT_FAILED) == DB_LOST);
    HOLDS(get(db, first.id).state == DB_DELIVERY_SENDING);
    db_close(db);
    kit_remove();
}

static void the_order_is_priority_then_age_and_at_most_so_many_at_once(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 3, 1, false);
    (void)kit_written(db, 6, 1, false);
    const int64_t urgent = kit_written(db, 9, 1, false);
    HOLDS(db_job_prioritise(db, &kit_now, urgent, 0, "emergency", &kit_err) == 0);
    struct db_delivery d = claim(db, "pacs1");
    HOLDS(d.job_id == urgent && d.priority == 0);
    HOLDS(try_claim(db, "pacs1", &d) == DB_NONE); /* one at once */
    const struct db_send_claim two = {"pacs1", 2, "node/s", LEASE_MS};
    HOLDS(db_delivery_claim(db, &kit_now, &two, &d, &kit_err) == 0);
    HOLDS(strcmp(d.output_series_uid, "2.25.3") == 0);
    HOLDS(db_delivery_claim(db, &kit_now, &two, &d, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void a_place_that_is_none_is_refused(void)
{
    static const int32_t wrong[] = {3, -1};
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    const struct db_delivery d = claim(db, "pacs1");
    for (size_t i = 0; i < 2; i++) {
        const struct db_stored stored = {&wrong[i], 1};
        HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), LEASE_MS, &stored,
                                   &kit_err) == SCTD_EINVAL);
    }
    HOLDS(get(db, d.id).stored == 0);
    db_close(db);
    kit_remove();
}

static void the_default_is_a_week(void)
{
    const struct db_delivery_retry retry = db_delivery_retry_default(0.5);
    HOLDS(retry.horizon_ms == (int64_t)7 * 24 * 3600 * 1000 && retry.cap_ms == 900000);
    HOLDS(retry.base_ms == 5000);
}

int main(void)
{
    a_whole_delivery_ends_its_job();
    a_broken_transfer_goes_on_where_it_stopped();
    one_destination_does_not_hold_up_another();
    a_destination_waits_longer_each_time_until_it_takes_something();
    an_echo_wakes_a_destination();
    the_horizon_ends_it_after_waiting_and_trying_not_by_the_wall_clock();
    a_destination_that_accepts_and_loses_does_not_go_on_for_ever();
    storage_commitment_ends_the_delivery();
    commitment_that_nobody_gives_can_be_waived();
    a_refusal_is_not_lost_beside_what_is_not_committed();
    what_failed_to_be_committed_is_stored_again();
    without_an_answer_it_is_asked_again_and_a_late_answer_counts();
    a_silent_sender_loses_its_lease();
    the_order_is_priority_then_age_and_at_most_so_many_at_once();
    a_place_that_is_none_is_refused();
    the_default_is_a_week();
    return 0;
}
