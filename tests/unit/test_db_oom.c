/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way of a series through the store, with every allocation of ours and of SQLite's failing. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/events.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/promises.h"
#include "db/retention.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"
#include "tests/support/sqlite_memory.h"
#include "tests/support/torture.h"

static int series; /* a new one each time */
static struct sctd_error err;

static int receive(struct db *db, int64_t *ret_job)
{
    struct db_instance batch[2];
    struct db_put_result results[2] = {0};
    series++;
    for (int k = 0; k < 2; k++) {
        batch[k] = kit_instance(1, series, k);
    }
    int r = db_instances_put(db, &kit_now, batch, 2, results, &err);
    if (r < 0) {
        return r;
    }
    HOLDS(results[1].outcome == DB_PUT_STORED); /* memory is no reason to call it invalid */
    const char *uids[] = {batch[0].sop_uid, batch[1].sop_uid};
    const struct db_expectation e = {batch[0].series_uid, DB_EVIDENCE_MPPS, 2, uids, 2};
    struct db_job_spec spec = kit_spec(series, 2, true);
    spec.hold = true;
    const struct db_completion c = {results[0].series_id, 1,          2,
                                    DB_EVIDENCE_MPPS,     "all came", &spec};
    struct db_series s;
    struct db_member_list members = {0};
    r = db_series_expect(db, &kit_now, &e, &err);
    r = r < 0 ? r : db_series_get(db, c.series_id, &s, &err);
    r = r < 0 ? r : db_series_members(db, c.series_id, 0, &members, &err);
    db_member_list_fini(&members);
    return r < 0 ? r : db_series_complete(db, &kit_now, &c, ret_job, &err);
}

static int convert(struct db *db)
{
    struct db_job job;
    int r = db_job_claim(db, &kit_now, "node/w", KIT_LEASE_MS, &job, &err);
    r = r != 0 ? r
               : db_job_heartbeat(db, &kit_now, db_job_token(&job), KIT_LEASE_MS, "convert", &err);
    char uids[KIT_OUTPUTS][DB_UID_SIZE];
    struct db_output output[KIT_OUTPUTS];
    char file[KIT_OUTPUTS][64];
    r = r != 0 ? r : db_job_output_uids(db, job.id, uids, KIT_OUTPUTS, &err);
    for (int i = 0; r == 0 && i < KIT_OUTPUTS; i++) {
        (void)snprintf(file[i], sizeof file[i], "out/%lld/%d.dcm", (long long)job.id, i);
        output[i] = (struct db_output){uids[i], "1.2.840.10008.5.1.4.1.1.2", file[i], 7, {0}};
    }
    const struct db_retry retry = kit_retry();
    const struct db_work_result result = {.work = DB_WORK_DONE,
                                          .output = output,
                                          .n_outputs = KIT_OUTPUTS,
                                          .review = DB_REVIEW_NEEDED,
                                          .quality = "{}"};
    r = r != 0 ? r : db_job_finish(db, &kit_now, db_job_token(&job), &result, &retry, &err);
    r = r != 0 ? r : db_job_review(db, &kit_now, job.id, false, "a hole", &err);
    return r != 0 ? r : db_job_review(db, &kit_now, job.id, true, "looked again", &err);
}

static int deliver(struct db *db, int64_t job)
{
    const struct db_send_claim claim = {"pacs1", 1000, "node/s", 1000};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    struct db_delivery d;
    struct db_file_set files = {0};
    char uid[DB_UID_SIZE];
    (void)snprintf(uid, sizeof uid, "2.25.9.%d", series);
    int r = db_delivery_claim(db, &kit_now, &claim, &d, &err);
    r = r != 0 ? r : db_delivery_files(db, d.id, &files, &err);
    db_file_set_fini(&files);
    r = r != 0 ? r : db_delivery_progress(db, &kit_now, db_delivery_token(&d), 1000, &stored, &err);
    r = r != 0 ? r : db_delivery_ask(db, &kit_now, db_delivery_token(&d), uid, 1000, &err);
    const char *failed[] = {"2.25.1.0"};
    const struct db_commitment_report report = {uid, "pacs1", NULL, 0, failed, 1, "0112H"};
    int64_t id = 0;
    r = r != 0 ? r : db_delivery_report(db, &kit_now, &report, &retry, &id, &err);
    return r != 0 ? r : db_job_cancel(db, &kit_now, job, "by hand", &err);
}

static int look(struct db *db, int64_t job)
{
    const struct db_job_filter jobs = {.state = -1, .limit = 5};
    const struct db_series_filter all = {.state = -1, .limit = 5};
    const struct db_event_filter events = {.limit = 5};
    const struct db_delivery_filter deliveries = {.state = -1, .limit = 5};
    struct db_job_page job_page = {0};
    struct db_series_page series_page = {0};
    struct db_event_page event_page = {0};
    struct db_delivery_page delivery_page = {0};
    struct db_destination_page destination_page = {0};
    struct db_owed_page owed_page = {0};
    struct db_history history = {0};
    struct db_removal_list removals = {0};
    struct db_review_backlog backlog;
    char *quality = NULL;
    int r = db_job_list(db, &jobs, &job_page, &err);
    db_job_page_fini(&job_page);
    r = r < 0 ? r : db_series_list(db, &all, &series_page, &err);
    db_series_page_fini(&series_page);
    r = r < 0 ? r : db_event_list(db, &events, &event_page, &err);
    db_event_page_fini(&event_page);
    r = r < 0 ? r : db_delivery_list(db, &deliveries, &delivery_page, &err);
    db_delivery_page_fini(&delivery_page);
    r = r < 0 ? r : db_destination_list(db, &destination_page, &err);
    db_destination_page_fini(&destination_page);
    r = r < 0 ? r : db_promise_owed(db, &owed_page, &err);
    db_owed_page_fini(&owed_page);
    r = r < 0 ? r : db_jobs_to_review(db, &backlog, &err);
    r = r < 0 ? r : db_job_quality(db, job, &quality, &err);
    HOLDS(r < 0 || strcmp(quality, "{}") == 0);
    free(quality);
    r = r < 0 ? r : db_job_history(db, job, 100, &history, &err);
    db_history_fini(&history);
    r = r < 0 ? r : db_retention_take(db, DB_FILE_PRODUCED, INT64_MAX, 10, &removals, &err);
    db_removal_list_fini(&removals);
    return r;
}

static int go_through(struct db *db)
{
    const struct db_recovery recovery = {"boot", "node", 0};
    struct db_recovered recovered;
    int64_t job = 0;
    int r = db_recover(db, &kit_now, &recovery, &recovered, &err);
    r = r < 0 ? r : receive(db, &job);
    r = r < 0 ? r : convert(db);
    r = r < 0 ? r : deliver(db, job);
    return r < 0 ? r : look(db, job);
}

static int whole_way(void *arg)
{
    (void)arg;
    const struct db_options options = {true, DB_CHECK_QUICK};
    struct db *db = NULL;
    struct db *reader = NULL;
    int r = db_open(&db, kit_path("jobs.db"), &options, &err);
    r = r < 0 ? r : go_through(db);
    r = r < 0 ? r : db_open_reader(&reader, kit_path("jobs.db"), &err);
    db_close(reader);
    db_close(db);
    return r;
}

static void begin_anew(void)
{
    kit_remove();
    (void)kit_folder();
}

static void every_allocation_of_ours_may_fail(void)
{
    HOLDS(torture_run(whole_way, NULL) > 10);
    begin_anew();
}

/* SQLite does without some of its allocations: what counts is that nothing is lost or half. */
static void check_after(long nth, int r)
{
    if (r < 0 && r != SCTD_ENOMEM) {
        (void)fprintf(stderr, "allocation %ld: %s\n", nth, err.text);
    }
    HOLDS(r >= 0 || r == SCTD_ENOMEM);
    struct db *db = kit_open();
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM series WHERE instances <> 2") == 0);
    db_close(db);
}

static long torture_sqlite(bool all, long step)
{
    long failures = 0;
    for (long nth = 0;; nth += nth < 64 ? 1 : step) {
        if (nth % 512 < step) {
            begin_anew(); /* with and without a store that is there */
        }
        sqlite_memory_fail(nth, all);
        const int r = whole_way(NULL);
        const bool failed = sqlite_memory_has_failed();
        sqlite_memory_fail(-1, false);
        if (!failed) {
            HOLDS(r == 0);
            return failures;
        }
        failures += r < 0 ? 1 : 0;
        check_after(nth, r);
    }
}

int main(void)
{
    sqlite_memory_install();
    every_allocation_of_ours_may_fail();
    HOLDS(torture_sqlite(false, 11) > 100);
    HOLDS(torture_sqlite(true, 29) > 40);
    kit_remove();
    return 0;
}
