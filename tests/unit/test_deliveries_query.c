/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"

#include "tests/support/db_kit.h"

static size_t count(struct db *db, struct db_delivery_filter filter)
{
    struct db_delivery_page list = {0};
    filter.limit = 100;
    HOLDS(db_delivery_list(db, &filter, &list, &kit_err) == 0);
    const size_t n = list.n;
    db_delivery_page_fini(&list);
    return n;
}

static void lists_are_filtered(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 2, false);
    (void)kit_job(db, 2, 1);
    HOLDS(count(db, (struct db_delivery_filter){.state = -1}) == 3);
    HOLDS(count(db, (struct db_delivery_filter){.state = -1, .job_id = job}) == 2);
    HOLDS(count(db, (struct db_delivery_filter){.state = DB_DELIVERY_WAITING}) == 1);
    HOLDS(count(db, (struct db_delivery_filter){.state = -1, .destination = "pacs1"}) == 2);
    HOLDS(count(db, (struct db_delivery_filter){.state = -1, .destination = "pacs3"}) == 0);
    db_close(db);
    kit_remove();
}

static void files_come_in_their_order_with_their_hashes(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    struct db_file_set files = {0};
    HOLDS(db_delivery_files(db, 1, &files, &kit_err) == 0 && files.n == KIT_OUTPUTS);
    for (size_t i = 0; i < files.n; i++) {
        HOLDS(files.file[i].size == 2000 + (int64_t)i && files.file[i].sha256[0] == i);
        HOLDS(strcmp(files.file[i].sop_class_uid, "1.2.840.10008.5.1.4.1.1.2") == 0);
        HOLDS(!files.file[i].stored && !files.file[i].committed);
    }
    db_file_set_fini(&files);
    HOLDS(db_delivery_files(db, 99, &files, &kit_err) == DB_NONE);
    (void)kit_job(db, 2, 1); /* not written yet */
    HOLDS(db_delivery_files(db, 2, &files, &kit_err) == 0 && files.n == 0);
    db_file_set_fini(&files);
    db_close(db);
    kit_remove();
}

static void a_destination_tells_its_backlog_and_health(void)
{
    struct db *db = kit_open();
    const int64_t started = kit_now.wall_ms;
    (void)kit_written(db, 1, 2, false);
    kit_now.wall_ms += 1000;
    (void)kit_written(db, 4, 2, false);
    const struct db_send_claim first = {"pacs1", 1, "node/s", 1000};
    const struct db_send_claim second = {"pacs2", 1, "node/s", 1000};
    const struct db_delivery_retry retry = {1000, 8000, 100000, 1.0};
    const struct db_sent_result down = {.sent = DB_SENT_UNREACHABLE,
                                        .reason = "connection refused"};
    const struct db_sent_result done = {.sent = DB_SENT_STORED};
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &first, &d, &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &down, &retry, &kit_err) == 0);
    HOLDS(db_delivery_claim(db, &kit_now, &second, &d, &kit_err) == 0);
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), 1000, &stored, &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &done, &retry, &kit_err) == 0);
    struct db_destination_page list = {0};
    HOLDS(db_destination_list(db, &list, &kit_err) == 0 && list.n == 2);
    const struct db_destination *one = &list.destination[0];
    const struct db_destination *two = &list.destination[1];
    HOLDS(strcmp(one->name, "pacs1") == 0 && one->backlog == 2 && one->failures == 1);
    HOLDS(one->due_ms == kit_now.lease_ms + 1000 && one->oldest_ms == started);
    HOLDS(one->last_failure_ms == kit_now.wall_ms && one->last_success_ms == 0);
    HOLDS(strcmp(one->reason, "connection refused") == 0);
    HOLDS(two->backlog == 1 && two->failures == 0 && two->due_ms == 0);
    HOLDS(two->last_success_ms == kit_now.wall_ms && two->oldest_ms == started + 1000);
    db_destination_page_fini(&list);
    db_close(db);
    kit_remove();
}

static void assert_uncommitted(struct db *db, int32_t n, int64_t since_ms)
{
    struct db_destination_page list = {0};
    HOLDS(db_destination_list(db, &list, &kit_err) == 0 && list.n == 2);
    HOLDS(list.destination[0].uncommitted == n);
    HOLDS(list.destination[0].uncommitted_since_ms == since_ms);
    HOLDS(list.destination[1].uncommitted == 0 && list.destination[1].uncommitted_since_ms == 0);
    db_destination_page_fini(&list);
}

static struct db_delivery store_all(struct db *db, const int32_t *numbers, size_t n)
{
    const struct db_send_claim claim = {"pacs1", 2, "node/s", 1000};
    const struct db_stored stored = {numbers, n};
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), 1000, &stored, &kit_err) == 0);
    return d;
}

/* Through a refusal of one instance and a second request: since the first one. */
static void what_is_not_committed_is_told_since_it_was_first_asked_for(void)
{
    static const int32_t all[] = {0, 1, 2};
    static const char *const uids[] = {"2.25.1.0", "2.25.1.1", "2.25.1.2"};
    const struct db_delivery_retry retry = {1000, 8000, 100000, 1.0};
    const int64_t first_ms = kit_now.wall_ms + 500;
    struct db *db = kit_open();
    int64_t id = 0;
    (void)kit_written(db, 1, 2, true);
    struct db_delivery d = store_all(db, all, 3);
    assert_uncommitted(db, 0, 0);
    kit_now.wall_ms = first_ms;
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.9", 5000, &kit_err) == 0);
    assert_uncommitted(db, 1, first_ms);
    const struct db_commitment_report partly = {"2.25.9", "pacs1", uids, 2, uids + 2, 1, "0112H"};
    HOLDS(db_delivery_report(db, &kit_now, &partly, &retry, &id, &kit_err) == 0);
    assert_uncommitted(db, 1, first_ms);
    kit_now.wall_ms += 2000;
    kit_now.lease_ms += 2000;
    d = store_all(db, all, 3);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.10", 5000, &kit_err) == 0);
    assert_uncommitted(db, 1, first_ms);
    (void)kit_written(db, 4, 1, true);
    d = store_all(db, all, 3);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.11", 5000, &kit_err) == 0);
    assert_uncommitted(db, 2, first_ms);
    const struct db_commitment_report whole = {
        .transaction_uid = "2.25.10", .destination = "pacs1", .committed = uids, .n_committed = 3};
    HOLDS(db_delivery_report(db, &kit_now, &whole, &retry, &id, &kit_err) == 0);
    assert_uncommitted(db, 1, first_ms + 2000);
    HOLDS(db_job_cancel(db, &kit_now, d.job_id, "by hand", &kit_err) == 0);
    assert_uncommitted(db, 0, 0);
    HOLDS(db_job_retry(db, &kit_now, d.job_id, "again", &kit_err) ==
          0); /* asked for anew, and not yet */
    assert_uncommitted(db, 0, 0);
    db_close(db);
    kit_remove();
}

static void what_is_waived_is_not_awaited(void)
{
    static const int32_t all[] = {0, 1, 2};
    const struct db_delivery_retry retry = {1000, 8000, 100000, 1.0};
    struct db *db = kit_open();
    int32_t n = 0;
    (void)kit_written(db, 1, 2, true);
    struct db_delivery d = store_all(db, all, 3);
    HOLDS(db_delivery_ask(db, &kit_now, db_delivery_token(&d), "2.25.9", 5000, &kit_err) == 0);
    kit_now.lease_ms += 5000;
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 1);
    kit_now.lease_ms += 1000;
    d = store_all(db, all, 3);
    assert_uncommitted(db, 1, kit_now.wall_ms);
    HOLDS(db_delivery_waive(db, db_delivery_token(&d), &kit_err) == 0);
    assert_uncommitted(db, 0, 0);
    db_close(db);
    kit_remove();
}

static void the_next_time_is_that_of_the_first_thing_to_do(void)
{
    struct db *db = kit_open();
    int64_t next = 0;
    const struct db_send_claim claim = {"pacs1", 1, "node/s", 3000};
    const struct db_delivery_retry retry = {1000, 8000, 100000, 1.0};
    struct db_sent_result result = {.sent = DB_SENT_FAILED, .reason = "A700H"};
    struct db_delivery d;
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == DB_NONE);
    (void)kit_written(db, 1, 1, false);
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == DB_NONE);
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == 0 &&
          next == kit_now.lease_ms + 3000);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &result, &retry, &kit_err) == 0);
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == 0 &&
          next == kit_now.lease_ms + 1000);
    kit_now.lease_ms += 1000;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    result.sent = DB_SENT_UNREACHABLE;
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &result, &retry, &kit_err) == 0);
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == 0 &&
          next == kit_now.lease_ms + 1000);
    db_close(db);
    kit_remove();
}

static void what_is_due_already_is_no_time_to_wait_for(void)
{
    struct db *db = kit_open();
    int64_t next = 0;
    const struct db_send_claim claim = {"pacs1", 1, "node/s", 9000};
    const struct db_delivery_retry retry = {1000, 8000, 100000, 1.0};
    struct db_sent_result result = {.sent = DB_SENT_FAILED, .reason = "A700H"};
    struct db_delivery d;
    (void)kit_written(db, 1, 1, false);
    (void)kit_written(db, 2, 1, false);
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &result, &retry, &kit_err) == 0);
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    const int64_t lease_ms = kit_now.lease_ms + 9000;
    kit_now.lease_ms += 1000; /* the first is due, and waits for the second */
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == 0 && next == lease_ms);
    result.sent = DB_SENT_UNREACHABLE;
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &result, &retry, &kit_err) == 0);
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == 0 &&
          next == kit_now.lease_ms + 1000);
    kit_now.lease_ms += 1000; /* nobody sends to it any more */
    HOLDS(db_deliveries_next(db, &kit_now, &next, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void states_have_names(void)
{
    for (int i = 0; i < DB_DELIVERY_STATES; i++) {
        const char *name = db_delivery_state_name((enum db_delivery_state)i);
        HOLDS(strcmp(name, "?") != 0 && strlen(name) < DB_AE_SIZE);
    }
}

int main(void)
{
    lists_are_filtered();
    files_come_in_their_order_with_their_hashes();
    a_destination_tells_its_backlog_and_health();
    what_is_not_committed_is_told_since_it_was_first_asked_for();
    what_is_waived_is_not_awaited();
    the_next_time_is_that_of_the_first_thing_to_do();
    what_is_due_already_is_no_time_to_wait_for();
    states_have_names();
    return 0;
}
