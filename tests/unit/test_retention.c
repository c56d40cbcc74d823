/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/retention.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void deliver(struct db *db, const char *destination, enum db_sent sent)
{
    const struct db_send_claim claim = {destination, 1, "node/s", 1000};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    const struct db_sent_result result = {.sent = sent, .reason = "0122H"};
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    const struct db_send_token token = db_delivery_token(&d);
    HOLDS(db_delivery_progress(db, &kit_now, token, 1000, &stored, &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, token, &result, &retry, &kit_err) == 0);
}

/* How many files may go now. */
static size_t take(struct db *db, enum db_file_kind kind, int64_t before_ms)
{
    struct db_removal_list list = {0};
    HOLDS(db_retention_take(db, kind, before_ms, 100, &list, &kit_err) == 0);
    const size_t n = list.n;
    db_removal_list_fini(&list);
    return n;
}

enum history {
    STAYS_QUEUED,
    RUNS,
    WAITS_FOR_DELIVERY,
    IS_DELIVERED,
    IS_DELIVERED_TO_ONE_OF_TWO,
    IS_REFUSED_BY_ITS_DESTINATION,
    HAS_BAD_INPUT,
    IS_CANCELLED_AFTER_IT_WAS_WRITTEN,
    HAS_NO_DESTINATION,
    IS_POISON,
    IS_DELIVERED_BEFORE_ONE_MORE_CAME,
    IS_DELIVERED_BUT_A_LATER_REVISION_IS_CANCELLED,
    IS_DELIVERED_BUT_ANOTHER_JOB_FAILED,
    HISTORIES
};

static void convert(struct db *db, enum history history)
{
    struct db_retry retry = kit_retry();
    const struct db_work_result died = {.work = DB_WORK_DIED, .reason = "SIGSEGV"};
    const struct db_job job = kit_claim(db);
    retry.deaths_max = 1;
    if (history == HAS_BAD_INPUT) {
        HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_REFUSED) == 0);
    } else if (history == IS_POISON) {
        HOLDS(db_job_finish(db, &kit_now, db_job_token(&job), &died, &retry, &kit_err) == 0);
    } else if (history != RUNS) {
        HOLDS(kit_done(db, &job) == 0);
    }
}

/* What comes after the delivery. */
static void live_on(struct db *db, enum history history, int64_t series_id)
{
    const struct db_job_spec spec = kit_spec(9, 1, false);
    const struct db_completion again = {series_id, 2, 3, DB_EVIDENCE_QUIET, "quiet again", &spec};
    int64_t second = 0;
    if (history == IS_DELIVERED_BEFORE_ONE_MORE_CAME ||
        history == IS_DELIVERED_BUT_A_LATER_REVISION_IS_CANCELLED) {
        (void)kit_put(db, 1, 1, 5, 1);
    }
    if (history == IS_DELIVERED_BUT_A_LATER_REVISION_IS_CANCELLED) {
        HOLDS(db_series_complete(db, &kit_now, &again, &second, &kit_err) == 0);
        HOLDS(db_job_cancel(db, &kit_now, second, "by hand", &kit_err) == 0);
    } else if (history == IS_DELIVERED_BUT_ANOTHER_JOB_FAILED) {
        HOLDS(db_job_create(db, &kit_now, series_id, &spec, &second, &kit_err) == 0);
        const struct db_job job = kit_claim(db);
        HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_REFUSED) == 0);
    }
}

static void live_through(struct db *db, enum history history)
{
    const int destinations =
        history == HAS_NO_DESTINATION ? 0 : (history == IS_DELIVERED_TO_ONE_OF_TWO ? 2 : 1);
    const struct db_job_spec spec = kit_spec(1, destinations, false);
    const int64_t id = kit_job_of(db, 1, &spec);
    if (history != STAYS_QUEUED) {
        convert(db, history);
    }
    if (history == IS_REFUSED_BY_ITS_DESTINATION) {
        deliver(db, "pacs1", DB_SENT_REFUSED);
    } else if (history == IS_CANCELLED_AFTER_IT_WAS_WRITTEN) {
        HOLDS(db_job_cancel(db, &kit_now, id, "by hand", &kit_err) == 0);
    } else if (history == IS_DELIVERED || history == IS_DELIVERED_TO_ONE_OF_TWO ||
               history >= IS_DELIVERED_BEFORE_ONE_MORE_CAME) {
        deliver(db, "pacs1", DB_SENT_STORED);
    }
    live_on(db, history, kit_get(db, id).series_id);
}

static void nothing_undelivered_is_removed(void)
{
    /* How many files may go afterwards; all that is not named here: none. */
    static const struct {
        size_t received, produced;
    } expected[HISTORIES] = {
        [IS_DELIVERED] = {2, 3},
        [IS_CANCELLED_AFTER_IT_WAS_WRITTEN] = {0, 3},
        [IS_DELIVERED_BEFORE_ONE_MORE_CAME] = {0, 3},
        [IS_DELIVERED_BUT_A_LATER_REVISION_IS_CANCELLED] = {0, 3},
        [IS_DELIVERED_BUT_ANOTHER_JOB_FAILED] = {0, 3},
    };
    for (size_t i = 0; i < HISTORIES; i++) {
        struct db *db = kit_open();
        live_through(db, (enum history)i);
        HOLDS(take(db, DB_FILE_RECEIVED, INT64_MAX) == expected[i].received);
        HOLDS(take(db, DB_FILE_PRODUCED, INT64_MAX) == expected[i].produced);
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_remove();
    }
}

static void age_is_counted_from_the_end(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    kit_now.wall_ms += 5000;
    deliver(db, "pacs1", DB_SENT_STORED);
    HOLDS(take(db, DB_FILE_RECEIVED, kit_now.wall_ms) == 0);
    HOLDS(take(db, DB_FILE_PRODUCED, kit_now.wall_ms) == 0);
    HOLDS(take(db, DB_FILE_RECEIVED, kit_now.wall_ms + 1) == 2);
    HOLDS(take(db, DB_FILE_PRODUCED, kit_now.wall_ms + 1) == 3);
    db_close(db);
    kit_remove();
}

static void discarded_series_may_go(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_put(db, 1, 1, 0, 2);
    HOLDS(take(db, DB_FILE_RECEIVED, INT64_MAX) == 0);
    HOLDS(db_series_discard(db, &kit_now, id, "a scout", &kit_err) == 0);
    HOLDS(take(db, DB_FILE_RECEIVED, kit_now.wall_ms) == 0);
    HOLDS(take(db, DB_FILE_RECEIVED, kit_now.wall_ms + 1) == 2);
    HOLDS(take(db, DB_FILE_RECEIVED, INT64_MAX) == 0); /* taken once */
    db_close(db);
    kit_remove();
}

static void the_oldest_go_first_and_no_more_than_asked(void)
{
    struct db *db = kit_open();
    const int64_t newer = kit_put(db, 1, 1, 0, 2);
    kit_now.wall_ms -= 10000;
    const int64_t older = kit_put(db, 2, 2, 0, 2);
    kit_now.wall_ms += 10000;
    HOLDS(db_series_discard(db, &kit_now, newer, "x", &kit_err) == 0);
    HOLDS(db_series_discard(db, &kit_now, older, "x", &kit_err) == 0);
    struct db_removal_list list = {0};
    HOLDS(db_retention_take(db, DB_FILE_RECEIVED, INT64_MAX, 3, &list, &kit_err) == 0);
    HOLDS(list.n == 3 && strcmp(list.removal[0].file, "in/2-2-0.dcm") == 0);
    HOLDS(strcmp(list.removal[2].file, "in/1-1-0.dcm") == 0 && list.removal[2].size == 1000);
    db_removal_list_fini(&list);
    HOLDS(db_retention_take(db, DB_FILE_RECEIVED, 0, 0, &list, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void what_was_taken_is_given_again_until_it_is_done(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_put(db, 1, 1, 0, 2);
    HOLDS(db_series_discard(db, &kit_now, id, "x", &kit_err) == 0);
    HOLDS(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == 0);
    HOLDS(take(db, DB_FILE_RECEIVED, INT64_MAX) == 2);
    db_close(db);
    db = kit_open(); /* the daemon ended between the steps */
    HOLDS(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == DB_LOST);
    struct db_removal_list list = {0};
    HOLDS(db_retention_taken(db, DB_FILE_RECEIVED, 10, &list, &kit_err) == 0 && list.n == 2);
    const int64_t ids[] = {list.removal[0].id, 999};
    db_removal_list_fini(&list);
    HOLDS(db_retention_done(db, DB_FILE_RECEIVED, ids, 2, &kit_err) == 0);
    HOLDS(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == DB_NONE);
    HOLDS(db_retention_taken(db, DB_FILE_RECEIVED, 10, &list, &kit_err) == 0 && list.n == 1);
    db_removal_list_fini(&list);
    struct db_series s;
    HOLDS(db_series_get(db, id, &s, &kit_err) == 0 && s.instances == 2);
    struct db_member_list members = {0};
    HOLDS(db_series_members(db, id, 0, &members, &kit_err) == 0 && members.n == 0);
    db_member_list_fini(&members);
    db_close(db);
    kit_remove();
}

static void an_id_that_was_not_taken_is_left_alone(void)
{
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 1);
    const int64_t id = kit_number(db, "SELECT id FROM instance");
    HOLDS(db_retention_done(db, DB_FILE_RECEIVED, &id, 1, &kit_err) == 0);
    HOLDS(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void kept_files_are_listed_for_the_sweep(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    struct db_removal_list list = {0};
    HOLDS(db_file_list(db, DB_FILE_PRODUCED, 0, 2, &list, &kit_err) == 0 && list.n == 2);
    const int64_t after = list.removal[1].id;
    db_removal_list_fini(&list);
    HOLDS(db_file_list(db, DB_FILE_PRODUCED, after, 2, &list, &kit_err) == 0 && list.n == 1);
    HOLDS(strcmp(list.removal[0].file, "out/1/2.dcm") == 0);
    HOLDS(db_file_find(db, DB_FILE_PRODUCED, "out/1/2.dcm", &kit_err) == 0);
    HOLDS(db_file_find(db, DB_FILE_PRODUCED, "in/1-1-0.dcm", &kit_err) == DB_NONE);
    db_removal_list_fini(&list);
    HOLDS(db_file_list(db, DB_FILE_RECEIVED, 0, 10, &list, &kit_err) == 0 && list.n == 2);
    db_removal_list_fini(&list);
    db_close(db);
    kit_remove();
}

int main(void)
{
    nothing_undelivered_is_removed();
    age_is_counted_from_the_end();
    discarded_series_may_go();
    the_oldest_go_first_and_no_more_than_asked();
    what_was_taken_is_given_again_until_it_is_done();
    an_id_that_was_not_taken_is_left_alone();
    kept_files_are_listed_for_the_sweep();
    return 0;
}
