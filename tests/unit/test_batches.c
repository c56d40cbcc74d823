/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/events.h"
#include "db/instances.h"
#include "db/jobs.h"

#include "tests/support/db_kit.h"

static int64_t make_batch(struct db *db, unsigned char tag, bool force)
{
    struct db_batch_spec spec = {.name = "cohort",
                                 .description = "PACS a",
                                 .request = "{\"a\": 1}",
                                 .force = force,
                                 .moves = 1};
    int64_t id = 0;
    memset(spec.sha256, tag, sizeof spec.sha256);
    HOLDS(db_batch_create(db, &kit_now, &spec, &id, &kit_err) == 0);
    return id;
}

static struct db_item found(int number)
{
    struct db_item item = {.expected = 2};
    (void)snprintf(item.study_uid, sizeof item.study_uid, "1.2.1.%d", number);
    (void)snprintf(item.series_uid, sizeof item.series_uid, "1.2.2.%d", number);
    return item;
}

/* `n` series, found and planned. */
static int64_t make_running(struct db *db, unsigned char tag, int n)
{
    const int64_t id = make_batch(db, tag, false);
    for (int i = 0; i < n; i++) {
        const struct db_item item = found(i);
        HOLDS(db_batch_add(db, &kit_now, id, &item, 1, &kit_err) == 0);
    }
    HOLDS(db_batch_planned(db, &kit_now, id, "found", &kit_err) == 0);
    return id;
}

static struct db_batch get(struct db *db, int64_t id)
{
    struct db_batch batch = {0};
    HOLDS(db_batch_get(db, id, &batch, &kit_err) == 0);
    return batch;
}

static struct db_item claim(struct db *db, int64_t id)
{
    struct db_item item = {0};
    HOLDS(db_item_claim(db, &kit_now, id, &item, &kit_err) == 0);
    return item;
}

static void the_same_request_is_begun_once_unless_forced(void)
{
    struct db *db = kit_open();
    const int64_t first = make_batch(db, 1, false);
    struct db_batch_spec spec = {.description = "x", .request = "{}", .moves = 1};
    int64_t id = 0;
    memset(spec.sha256, 1, sizeof spec.sha256);
    HOLDS(db_batch_create(db, &kit_now, &spec, &id, &kit_err) == DB_EXISTS && id == first);
    HOLDS(make_batch(db, 1, true) != first);
    HOLDS(db_batch_planned(db, &kit_now, first, "nothing was found", &kit_err) == 0);
    HOLDS(get(db, first).state == DB_BATCH_DONE);
    HOLDS(db_batch_planned(db, &kit_now, first, "again", &kit_err) == DB_REFUSED);
    HOLDS(db_batch_fail(db, &kit_now, 99, "why", &kit_err) == DB_NONE);
    char *text = NULL;
    HOLDS(db_batch_request_get(db, first, &text, &kit_err) == 0);
    HOLDS(strcmp(text, "{\"a\": 1}") == 0);
    free(text);
    db_close(db);
    kit_remove();
}

static void series_are_found_once_and_claimed_in_order(void)
{
    struct db *db = kit_open();
    const int64_t id = make_batch(db, 1, false);
    const struct db_item items[] = {found(1), found(2), found(1)};
    struct db_item item;
    HOLDS(db_batch_add(db, &kit_now, id, items, 3, &kit_err) == 0);
    HOLDS(db_batch_add(db, &kit_now, id, items, 1, &kit_err) == 0);
    HOLDS(get(db, id).items[DB_ITEM_WAITING] == 2);
    HOLDS(db_batch_planned(db, &kit_now, id, "found", &kit_err) == 0);
    HOLDS(db_batch_add(db, &kit_now, id, items, 1, &kit_err) == DB_REFUSED);
    HOLDS(db_batches_claim_series(db, "1.2.2.1", &kit_err) == DB_NONE);
    item = claim(db, id);
    HOLDS(strcmp(item.series_uid, "1.2.2.1") == 0 && item.attempt == 1 && item.expected == 2);
    HOLDS(db_batches_claim_series(db, "1.2.2.1", &kit_err) == 0);
    item.state = DB_ITEM_WAITING;
    item.due_ms = kit_now.lease_ms + 1;
    HOLDS(db_item_set(db, &kit_now, &item, DB_ITEM_FETCHING, &kit_err) == 0);
    HOLDS(db_item_set(db, &kit_now, &item, DB_ITEM_FETCHING, &kit_err) == DB_LOST);
    HOLDS(db_batches_claim_series(db, "1.2.2.1", &kit_err) == 0); /* some of it may be here */
    item = claim(db, id);
    HOLDS(strcmp(item.series_uid, "1.2.2.2") == 0);
    HOLDS(db_item_claim(db, &kit_now, id, &item, &kit_err) == DB_NONE);
    kit_now.lease_ms += 1;
    item = claim(db, id);
    HOLDS(strcmp(item.series_uid, "1.2.2.1") == 0 && item.attempt == 2);
    db_close(db);
    kit_remove();
}

static void what_was_fetched_when_the_daemon_died_waits_again(void)
{
    static const struct db_recovery recovery = {.boot_id = "b", .node = "serve"};
    struct db_recovered recovered;
    struct db *db = kit_open();
    const int64_t id = make_running(db, 1, 2);
    (void)claim(db, id);
    struct db_item ready = claim(db, id);
    ready.state = DB_ITEM_READY;
    HOLDS(db_item_set(db, &kit_now, &ready, DB_ITEM_FETCHING, &kit_err) == 0);
    db_close(db);
    db = kit_open();
    HOLDS(db_recover(db, &kit_now, &recovery, &recovered, &kit_err) == 0);
    HOLDS(get(db, id).items[DB_ITEM_WAITING] == 1 && get(db, id).items[DB_ITEM_READY] == 1);
    const struct db_item item = claim(db, id);
    HOLDS(item.attempt == 2 && item.failures == 0);
    db_close(db);
    kit_remove();
}

/* An item of the batch has the job. */
static struct db_item order(struct db *db, int64_t batch_id, int64_t job_id, bool has_made)
{
    struct db_item item = claim(db, batch_id);
    item.state = DB_ITEM_CONVERTING;
    item.job_id = job_id;
    item.has_made = has_made;
    HOLDS(db_item_set(db, &kit_now, &item, DB_ITEM_FETCHING, &kit_err) == 0);
    return item;
}

static void an_item_ends_with_its_job_and_the_batch_with_its_last_item(void)
{
    struct db *db = kit_open();
    const int64_t id = make_running(db, 1, 2);
    const int64_t good = kit_job(db, 1, 0);
    const int64_t bad = kit_job(db, 2, 0);
    int64_t ahead = 0;
    int32_t n = 0;
    (void)order(db, id, good, true);
    (void)order(db, id, bad, true);
    HOLDS(db_batches_count_ahead(db, &ahead, &kit_err) == 0 && ahead == 2);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == 0 && n == 0);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == good && kit_done(db, &job) == 0);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == 0 && n == 1);
    HOLDS(get(db, id).items[DB_ITEM_DONE] == 1 && get(db, id).state == DB_BATCH_RUNNING);
    HOLDS(db_batches_count_ahead(db, &ahead, &kit_err) == 0 && ahead == 1);
    const struct db_job other = kit_claim(db);
    HOLDS(kit_fail(db, db_job_token(&other), DB_WORK_REFUSED) == 0);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == DB_NONE && n == 2);
    struct db_batch batch = get(db, id);
    HOLDS(batch.state == DB_BATCH_DONE && batch.items[DB_ITEM_FAILED] == 1 && batch.ended_ms > 0);
    struct db_item_page page = {0};
    const struct db_item_filter filter = {.batch_id = id, .state = DB_ITEM_FAILED, .limit = 10};
    HOLDS(db_item_list(db, &filter, &page, &kit_err) == 0 && page.n == 1);
    HOLDS(page.item[0].reason[0] != '\0' && page.item[0].job_id == bad);
    db_item_page_fini(&page);
    db_close(db);
    kit_remove();
}

static void what_is_held_has_not_ended(void)
{
    struct db *db = kit_open();
    const int64_t id = make_running(db, 1, 1);
    struct db_job_spec spec = kit_spec(1, 1, false);
    spec.hold = true;
    const int64_t held = kit_job_of(db, 1, &spec);
    const struct db_item_filter filter = {.batch_id = id, .state = -1, .limit = 10};
    struct db_item_page page = {0};
    int32_t n = 0;
    (void)order(db, id, held, true);
    const struct db_job job = kit_claim(db);
    HOLDS(kit_checked(db, &job, DB_REVIEW_NEEDED, "{}") == 0);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == 0 && n == 0);
    const struct db_batch batch = get(db, id);
    HOLDS(batch.state == DB_BATCH_RUNNING && batch.held == 1);
    HOLDS(db_item_list(db, &filter, &page, &kit_err) == 0 && page.n == 1);
    HOLDS(page.item[0].is_held && page.item[0].review == DB_REVIEW_NEEDED);
    db_item_page_fini(&page);
    HOLDS(db_job_review(db, &kit_now, held, false, "a hole", &kit_err) == 0);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == DB_NONE && n == 2);
    HOLDS(get(db, id).state == DB_BATCH_DONE && get(db, id).held == 0);
    HOLDS(db_item_list(db, &filter, &page, &kit_err) == 0 && page.n == 1);
    HOLDS(!page.item[0].is_held && page.item[0].review == DB_REVIEW_REJECTED);
    HOLDS(page.item[0].state == DB_ITEM_CANCELLED);
    HOLDS(strcmp(page.item[0].reason, "rejected: a hole") == 0);
    db_item_page_fini(&page);
    db_close(db);
    kit_remove();
}

static void cancelling_ends_what_waits_and_its_own_jobs(void)
{
    struct db *db = kit_open();
    const int64_t id = make_running(db, 1, 4);
    const int64_t own = kit_job(db, 1, 0);
    const int64_t foreign = kit_job(db, 2, 0);
    int32_t n = 0;
    struct db_series series;
    (void)order(db, id, own, true);
    (void)order(db, id, foreign, false);
    struct db_item part = claim(db, id);
    const int64_t series_id = kit_put(db, 7, 7, 1, 2); /* came in part */
    HOLDS(db_series_get(db, series_id, &series, &kit_err) == 0);
    char text[256];
    (void)snprintf(text, sizeof text, "UPDATE batch_item SET series_uid = '%s' WHERE id = %lld",
                   series.series_uid, (long long)part.id);
    db_close(db);
    kit_sql(text);
    db = kit_open();
    HOLDS(db_batch_cancel(db, &kit_now, id, "not wanted", &kit_err) == 0);
    HOLDS(db_batch_cancel(db, &kit_now, id, "not wanted", &kit_err) == DB_REFUSED);
    HOLDS(kit_get(db, own).state == DB_JOB_CANCELLED);
    HOLDS(kit_get(db, foreign).state == DB_JOB_QUEUED);
    HOLDS(db_series_get(db, series_id, &series, &kit_err) == 0);
    HOLDS(series.state == DB_SERIES_DISCARDED);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == 0);
    const struct db_batch batch = get(db, id);
    HOLDS(batch.state == DB_BATCH_CANCELLED && batch.items[DB_ITEM_CANCELLED] == 3);
    part.state = DB_ITEM_READY; /* its fetcher did not know yet */
    HOLDS(db_item_set(db, &kit_now, &part, DB_ITEM_FETCHING, &kit_err) == DB_LOST);
    db_close(db);
    kit_remove();
}

static void pausing_and_resuming_are_refused_where_they_change_nothing(void)
{
    struct db *db = kit_open();
    const int64_t id = make_running(db, 1, 1);
    HOLDS(db_batch_pause(db, &kit_now, id, false, "go", &kit_err) == DB_REFUSED);
    HOLDS(db_batch_pause(db, &kit_now, id, true, "stop", &kit_err) == 0);
    HOLDS(db_batch_pause(db, &kit_now, id, true, "stop", &kit_err) == DB_REFUSED);
    HOLDS(get(db, id).paused && strcmp(get(db, id).reason, "stop") == 0);
    HOLDS(db_batch_pause(db, &kit_now, id, false, "go", &kit_err) == 0);
    HOLDS(db_batch_pause(db, &kit_now, 99, true, "stop", &kit_err) == DB_NONE);
    HOLDS(db_batch_defer(db, id, 5000, &kit_err) == 0);
    HOLDS(db_batch_defer(db, id, 6000, &kit_err) == 0);
    HOLDS(get(db, id).due_ms == 6000 && get(db, id).failures == 2);
    HOLDS(db_batch_defer(db, id, 0, &kit_err) == 0);
    HOLDS(get(db, id).due_ms == 0 && get(db, id).failures == 0);
    db_close(db);
    kit_remove();
}

static void the_same_work_is_found_by_model_and_parameters(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_job(db, 1, 0);
    const struct db_job made = kit_get(db, job);
    struct db_made known = {0};
    HOLDS(db_batches_find_made(db, made.series_id, made.model_sha256, made.parameters, &known,
                               &kit_err) == 0);
    HOLDS(known.job_id == job && known.state == DB_JOB_QUEUED);
    HOLDS(strcmp(known.output_series_uid, made.output_series_uid) == 0);
    HOLDS(db_batches_find_made(db, made.series_id, "another", made.parameters, &known, &kit_err) ==
          DB_NONE);
    HOLDS(db_batches_find_made(db, made.series_id, made.model_sha256, "another", &known,
                               &kit_err) == DB_NONE);
    HOLDS(db_job_cancel(db, &kit_now, job, "not wanted", &kit_err) == 0);
    HOLDS(db_batches_find_made(db, made.series_id, made.model_sha256, made.parameters, &known,
                               &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void on_changed(void *arg, enum db_change what, int64_t id)
{
    int64_t *told = arg;
    *told += what == DB_CHANGE_BATCH ? id : 0;
}

/* Whether the batch was told of since the last time. */
static bool was_told(int64_t *told, int64_t id)
{
    const bool was = *told == id;
    *told = 0;
    return was;
}

static void who_listens_is_told_of_each_change_of_a_batch(void)
{
    struct db *db = kit_open();
    int64_t told = 0;
    int32_t n = 0;
    const struct db_item item = found(1);
    db_set_changed(db, on_changed, &told);
    make_batch(db, 1, false);
    told = 0;
    const int64_t id = make_batch(db, 2, false);
    HOLDS(was_told(&told, id));
    HOLDS(db_batch_add(db, &kit_now, id, &item, 1, &kit_err) == 0 && was_told(&told, id));
    HOLDS(db_batch_planned(db, &kit_now, id, "found", &kit_err) == 0 && was_told(&told, id));
    HOLDS(db_batch_pause(db, &kit_now, id, true, "wait", &kit_err) == 0 && was_told(&told, id));
    HOLDS(db_batch_pause(db, &kit_now, id, true, "wait", &kit_err) == DB_REFUSED && told == 0);
    HOLDS(db_batch_defer(db, id, 5000, &kit_err) == 0 && was_told(&told, id));
    struct db_item claimed = claim(db, id);
    HOLDS(was_told(&told, id));
    claimed.state = DB_ITEM_SKIPPED;
    HOLDS(db_item_set(db, &kit_now, &claimed, DB_ITEM_FETCHING, &kit_err) == 0 &&
          was_told(&told, id));
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == DB_NONE && was_told(&told, id));
    HOLDS(get(db, id).state == DB_BATCH_DONE);
    HOLDS(db_batches_settle(db, &kit_now, &n, &kit_err) == DB_NONE && told == 0);
    db_close(db);
    kit_remove();
}

static void the_pace_is_told_until_the_batch_ends(void)
{
    struct db *db = kit_open();
    int32_t n = 0;
    struct db_now later = kit_now;
    const int64_t id = make_running(db, 1, 2);
    for (int i = 0; i < 2; i++) {
        struct db_item item = claim(db, id);
        item.state = DB_ITEM_DONE;
        later.wall_ms = kit_now.wall_ms + 500;
        HOLDS(db_item_set(db, &later, &item, DB_ITEM_FETCHING, &kit_err) == 0);
        const struct db_batch batch = get(db, id);
        HOLDS(batch.spent_ms == INT64_C(500) * (i + 1) && batch.ended_items == i + 1);
        HOLDS(batch.items[DB_ITEM_DONE] == i + 1 && batch.items[DB_ITEM_WAITING] == 1 - i);
    }
    HOLDS(db_batches_settle(db, &later, &n, &kit_err) == DB_NONE && n == 1);
    HOLDS(get(db, id).items[DB_ITEM_DONE] == 2 && get(db, id).spent_ms == 0);
    db_close(db);
    kit_remove();
}

static void who_began_it_is_known_by_its_event(void)
{
    struct db *db = kit_open();
    const int64_t first = make_batch(db, 1, false);
    const int64_t second = make_batch(db, 2, false);
    const struct db_event events[] = {{.kind = "job-cancel", .actor = "somebody", .subject = "1"},
                                      {.kind = "batch-create", .actor = "ann", .subject = "1"},
                                      {.kind = "batch-cancel", .actor = "bob", .subject = "1"}};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        HOLDS(db_event_add(db, &kit_now, &events[i], &kit_err) == 0);
    }
    HOLDS(first == 1 && strcmp(get(db, first).created_by, "ann") == 0);
    HOLDS(strcmp(get(db, second).created_by, "") == 0);
    db_close(db);
    kit_remove();
}

int main(void)
{
    who_listens_is_told_of_each_change_of_a_batch();
    who_began_it_is_known_by_its_event();
    the_pace_is_told_until_the_batch_ends();
    the_same_request_is_begun_once_unless_forced();
    series_are_found_once_and_claimed_in_order();
    what_was_fetched_when_the_daemon_died_waits_again();
    an_item_ends_with_its_job_and_the_batch_with_its_last_item();
    what_is_held_has_not_ended();
    cancelling_ends_what_waits_and_its_own_jobs();
    pausing_and_resuming_are_refused_where_they_change_nothing();
    the_same_work_is_found_by_model_and_parameters();
    return 0;
}
