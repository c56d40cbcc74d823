/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

/* Ten jobs, a second apart; the first is cancelled, the fourth is running. */
static struct db *ten(int64_t *ret_started)
{
    struct db *db = kit_open();
    *ret_started = kit_now.wall_ms;
    for (int k = 1; k <= 10; k++) {
        struct db_job_spec spec = kit_spec(k, 1, false);
        spec.rule = k % 2 == 0 ? "even" : "odd";
        (void)kit_job_of(db, k, &spec);
        kit_now.wall_ms += 1000;
    }
    HOLDS(db_job_cancel(db, &kit_now, 1, "by hand", &kit_err) == 0);
    HOLDS(kit_claim(db).id == 4); /* the oldest of SCANNER1, which was met first */
    return db;
}

static size_t count(struct db *db, struct db_job_filter filter)
{
    struct db_job_page list = {0};
    filter.limit = 100;
    HOLDS(db_job_list(db, &filter, &list, &kit_err) == 0);
    const size_t n = list.n;
    db_job_page_fini(&list);
    return n;
}

static void lists_are_filtered(void)
{
    int64_t started = 0;
    struct db *db = ten(&started);
    HOLDS(count(db, (struct db_job_filter){.state = -1}) == 10);
    HOLDS(count(db, (struct db_job_filter){.state = DB_JOB_QUEUED}) == 8);
    HOLDS(count(db, (struct db_job_filter){.state = DB_JOB_CANCELLED}) == 1);
    HOLDS(count(db, (struct db_job_filter){.state = -1, .rule = "even"}) == 5);
    HOLDS(count(db, (struct db_job_filter){.state = DB_JOB_QUEUED, .rule = "odd"}) == 4);
    HOLDS(count(db, (struct db_job_filter){.state = -1, .source_ae = "SCANNER1"}) == 4);
    HOLDS(count(db, (struct db_job_filter){.state = -1, .source_ae = "NOBODY"}) == 0);
    HOLDS(count(db, (struct db_job_filter){.state = -1, .model = "mr-head@1"}) == 10);
    HOLDS(count(db, (struct db_job_filter){.state = -1, .series_uid = "1.2.1.4"}) == 1);
    HOLDS(count(db, (struct db_job_filter){.state = -1, .output_series_uid = "2.25.4"}) == 1);
    HOLDS(count(db, (struct db_job_filter){.state = -1,
                                           .created_from_ms = started + 2000,
                                           .created_before_ms = started + 5000}) == 3);
    db_close(db);
    kit_remove();
}

static void pages_follow_each_other_whatever_comes_meanwhile(void)
{
    int64_t started = 0;
    struct db *db = ten(&started);
    struct db_job_filter filter = {.state = -1, .limit = 4};
    struct db_job_page list = {0};
    HOLDS(db_job_list(db, &filter, &list, &kit_err) == 0 && list.n == 4);
    HOLDS(list.job[0].id == 10 && list.job[3].id == 7 && list.next == 7);
    filter.after = list.next;
    db_job_page_fini(&list);
    (void)kit_job(db, 11, 1);
    HOLDS(db_job_list(db, &filter, &list, &kit_err) == 0 && list.n == 4);
    HOLDS(list.job[0].id == 6 && list.job[3].id == 3);
    filter.after = list.next;
    db_job_page_fini(&list);
    HOLDS(db_job_list(db, &filter, &list, &kit_err) == 0 && list.n == 2 && list.next == 0);
    db_job_page_fini(&list);
    filter.limit = DB_PAGE_MAX + 1;
    HOLDS(db_job_list(db, &filter, &list, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void counts_are_those_of_the_table(void)
{
    int64_t started = 0;
    int64_t counts[DB_JOB_STATES];
    struct db *db = ten(&started);
    HOLDS(db_job_counts(db, counts, &kit_err) == 0);
    HOLDS(counts[DB_JOB_QUEUED] == 8 && counts[DB_JOB_RUNNING] == 1);
    HOLDS(counts[DB_JOB_CANCELLED] == 1 && counts[DB_JOB_DONE] == 0);
    db_close(db);
    kit_remove();
}

static void history_tells_each_step_with_its_time(void)
{
    static const struct {
        const char *from, *to, *destination;
    } steps[] = {
        {"queued", "queued", ""},       {"queued", "running", ""}, {"running", "retry", ""},
        {"retry", "queued", ""},        {"queued", "running", ""}, {"running", "delivering", ""},
        {"waiting", "queued", "pacs1"},
    };
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    struct db_job job = kit_claim(db);
    kit_now.wall_ms += 500;
    HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_FAILED) == 0);
    kit_now.lease_ms += 1000;
    job = kit_claim(db);
    HOLDS(kit_done(db, &job) == 0);
    struct db_history history = {0};
    HOLDS(db_job_history(db, id, 100, &history, &kit_err) == 0);
    HOLDS(history.n == sizeof steps / sizeof *steps);
    for (size_t i = 0; i < history.n; i++) {
        const struct db_transition *t = &history.transition[i];
        HOLDS(strcmp(t->from, steps[i].from) == 0 && strcmp(t->to, steps[i].to) == 0);
        HOLDS(strcmp(t->destination, steps[i].destination) == 0 && t->reason[0] != '\0');
        HOLDS(t->at_ms == kit_now.wall_ms - (i < 2 ? 500 : 0));
    }
    HOLDS(history.transition[1].attempt == 1 && history.transition[4].attempt == 2);
    db_history_fini(&history);
    HOLDS(db_job_history(db, id, 2, &history, &kit_err) == 0 && history.n == 2);
    HOLDS(strcmp(history.transition[1].destination, "pacs1") == 0); /* the last ones */
    db_history_fini(&history);
    HOLDS(db_job_history(db, 99, 2, &history, &kit_err) == 0 && history.n == 0);
    db_history_fini(&history);
    HOLDS(db_job_history(db, id, 0, &history, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void states_have_names(void)
{
    for (int i = 0; i < DB_JOB_STATES; i++) {
        const char *name = db_job_state_name((enum db_job_state)i);
        HOLDS(strcmp(name, "?") != 0 && strlen(name) < DB_AE_SIZE);
    }
    struct db *db = kit_open();
    struct db_job job;
    HOLDS(db_job_get(db, 1, &job, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

int main(void)
{
    lists_are_filtered();
    pages_follow_each_other_whatever_comes_meanwhile();
    counts_are_those_of_the_table();
    history_tells_each_step_with_its_time();
    states_have_names();
    return 0;
}
