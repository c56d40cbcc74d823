/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
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
    assert(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    const struct db_send_token token = db_delivery_token(&d);
    assert(db_delivery_progress(db, &kit_now, token, 1000, &stored, &kit_err) == 0);
    assert(db_delivery_finish(db, &kit_now, token, &result, &retry, &kit_err) == 0);
}

/* How many files may go now. */
static size_t take(struct db *db, enum db_file_kind kind, int64_t before_ms)
{
    struct db_removal_list list = {0};
    assert(db_retention_take(db, kind, before_ms, 100, &list, &kit_err) == 0);
    const size_t n = list.n;
    db_removal_list_fini(&list);
    return n;
}

static void nothing_undelivered_is_removed(void)
{
    /* What happens to the job, and how many files of it may go afterwards. */
    static const struct {
        int what;
        size_t received, produced;
    } cases[] = {
        {0, 0, 0},  /* queued */
        {1, 0, 0},  /* running */
        {2, 0, 0},  /* written, to be delivered */
        {3, 2, 3},  /* delivered */
        {4, 0, 0},  /* delivered to one of two */
        {5, 0, 0},  /* refused by the destination */
        {6, 0, 0},  /* its input was refused */
        {7, 0, 3},  /* cancelled after it was written: the input was delivered nowhere */
        {8, 0, 0},  /* written, without a destination */
        {9, 0, 0},  /* poison */
        {10, 0, 0}, /* delivered, but an instance came afterwards */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct db *db = kit_open();
        const int what = cases[i].what;
        const int destinations = what == 8 ? 0 : (what == 4 ? 2 : 1);
        const struct db_job_spec spec = kit_spec(1, destinations, false);
        const int64_t id = kit_job_of(db, 1, &spec);
        if (what > 0) {
            const struct db_job job = kit_claim(db);
            if (what == 6) {
                assert(kit_fail(db, db_job_token(&job), DB_WORK_REFUSED) == 0);
            } else if (what == 9) {
                struct db_retry retry = kit_retry();
                const struct db_work_result died = {.work = DB_WORK_DIED, .reason = "SIGSEGV"};
                retry.deaths_max = 1;
                assert(db_job_finish(db, &kit_now, db_job_token(&job), &died, &retry, &kit_err) ==
                       0);
            } else if (what > 1) {
                assert(kit_done(db, &job) == 0);
            }
        }
        if (what == 3 || what == 4 || what == 5 || what == 10) {
            deliver(db, "pacs1", what == 5 ? DB_SENT_REFUSED : DB_SENT_STORED);
        }
        if (what == 7) {
            assert(db_job_cancel(db, &kit_now, id, "by hand", &kit_err) == 0);
        }
        if (what == 10) {
            (void)kit_put(db, 1, 1, 5, 1);
        }
        assert(take(db, DB_FILE_RECEIVED, INT64_MAX) == cases[i].received);
        assert(take(db, DB_FILE_PRODUCED, INT64_MAX) == (what == 10 ? 3 : cases[i].produced));
        assert(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
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
    assert(take(db, DB_FILE_RECEIVED, kit_now.wall_ms) == 0);
    assert(take(db, DB_FILE_PRODUCED, kit_now.wall_ms) == 0);
    assert(take(db, DB_FILE_RECEIVED, kit_now.wall_ms + 1) == 2);
    assert(take(db, DB_FILE_PRODUCED, kit_now.wall_ms + 1) == 3);
    db_close(db);
    kit_remove();
}

static void discarded_series_may_go(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_put(db, 1, 1, 0, 2);
    assert(take(db, DB_FILE_RECEIVED, INT64_MAX) == 0);
    assert(db_series_discard(db, &kit_now, id, "a scout", &kit_err) == 0);
    assert(take(db, DB_FILE_RECEIVED, kit_now.wall_ms) == 0);
    assert(take(db, DB_FILE_RECEIVED, kit_now.wall_ms + 1) == 2);
    assert(take(db, DB_FILE_RECEIVED, INT64_MAX) == 0); /* taken once */
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
    assert(db_series_discard(db, &kit_now, newer, "x", &kit_err) == 0);
    assert(db_series_discard(db, &kit_now, older, "x", &kit_err) == 0);
    struct db_removal_list list = {0};
    assert(db_retention_take(db, DB_FILE_RECEIVED, INT64_MAX, 3, &list, &kit_err) == 0);
    assert(list.n == 3 && strcmp(list.removal[0].file, "in/2-2-0.dcm") == 0);
    assert(strcmp(list.removal[2].file, "in/1-1-0.dcm") == 0 && list.removal[2].size == 1000);
    db_removal_list_fini(&list);
    assert(db_retention_take(db, DB_FILE_RECEIVED, 0, 0, &list, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void what_was_taken_is_given_again_until_it_is_done(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_put(db, 1, 1, 0, 2);
    assert(db_series_discard(db, &kit_now, id, "x", &kit_err) == 0);
    assert(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == 0);
    assert(take(db, DB_FILE_RECEIVED, INT64_MAX) == 2);
    db_close(db);
    db = kit_open(); /* the daemon ended between the steps */
    assert(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == DB_LOST);
    struct db_removal_list list = {0};
    assert(db_retention_taken(db, DB_FILE_RECEIVED, 10, &list, &kit_err) == 0 && list.n == 2);
    const int64_t ids[] = {list.removal[0].id, 999};
    db_removal_list_fini(&list);
    assert(db_retention_done(db, DB_FILE_RECEIVED, ids, 2, &kit_err) == 0);
    assert(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == DB_NONE);
    assert(db_retention_taken(db, DB_FILE_RECEIVED, 10, &list, &kit_err) == 0 && list.n == 1);
    db_removal_list_fini(&list);
    struct db_series s;
    assert(db_series_get(db, id, &s, &kit_err) == 0 && s.instances == 2);
    struct db_member_list members = {0};
    assert(db_series_members(db, id, 0, &members, &kit_err) == 0 && members.n == 0);
    db_member_list_fini(&members);
    db_close(db);
    kit_remove();
}

static void an_id_that_was_not_taken_is_left_alone(void)
{
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 1);
    const int64_t id = kit_number(db, "SELECT id FROM instance");
    assert(db_retention_done(db, DB_FILE_RECEIVED, &id, 1, &kit_err) == 0);
    assert(db_file_find(db, DB_FILE_RECEIVED, "in/1-1-0.dcm", &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void kept_files_are_listed_for_the_sweep(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, false);
    struct db_removal_list list = {0};
    assert(db_file_list(db, DB_FILE_PRODUCED, 0, 2, &list, &kit_err) == 0 && list.n == 2);
    const int64_t after = list.removal[1].id;
    db_removal_list_fini(&list);
    assert(db_file_list(db, DB_FILE_PRODUCED, after, 2, &list, &kit_err) == 0 && list.n == 1);
    assert(strcmp(list.removal[0].file, "out/1/2.dcm") == 0);
    assert(db_file_find(db, DB_FILE_PRODUCED, "out/1/2.dcm", &kit_err) == 0);
    assert(db_file_find(db, DB_FILE_PRODUCED, "in/1-1-0.dcm", &kit_err) == DB_NONE);
    db_removal_list_fini(&list);
    assert(db_file_list(db, DB_FILE_RECEIVED, 0, 10, &list, &kit_err) == 0 && list.n == 2);
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
