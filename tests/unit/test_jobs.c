/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void make(struct db *db, int series, int priority)
{
    struct db_job_spec spec = kit_spec(series, 1, false);
    spec.priority = priority;
    (void)kit_job_of(db, series, &spec);
}

static void a_claim_counts_the_attempt_before_the_work(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == id && job.attempt == 1 && job.state == DB_JOB_RUNNING);
    HOLDS(strcmp(job.owner, "node/worker") == 0);
    HOLDS(job.lease_until_ms == kit_now.lease_ms + KIT_LEASE_MS);
    HOLDS(kit_get(db, id).attempt == 1);
    struct db_job none;
    HOLDS(db_job_claim(db, &kit_now, "node/w", 1, &none, &kit_err) == DB_NONE);
    HOLDS(db_job_claim(db, &kit_now, "", 1, &none, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void priority_comes_before_age(void)
{
    struct db *db = kit_open();
    make(db, 3, 5);
    make(db, 6, 2);
    make(db, 9, 2);
    make(db, 12, 0); /* all of one source */
    static const char *const order[] = {"1.2.1.12", "1.2.1.6", "1.2.1.9", "1.2.1.3"};
    for (size_t i = 0; i < 4; i++) {
        HOLDS(strcmp(kit_claim(db).series_uid, order[i]) == 0);
    }
    db_close(db);
    kit_remove();
}

static void sources_take_turns(void)
{
    struct db *db = kit_open();
    /* SCANNER0 floods with four, then SCANNER1 sends two and SCANNER2 one. */
    static const int series[] = {3, 6, 9, 12, 1, 4, 2};
    for (size_t i = 0; i < sizeof series / sizeof *series; i++) {
        make(db, series[i], 5);
    }
    static const char *const order[] = {"1.2.1.3", "1.2.1.1", "1.2.1.2", "1.2.1.6",
                                        "1.2.1.4", "1.2.1.9", "1.2.1.12"};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        HOLDS(strcmp(kit_claim(db).series_uid, order[i]) == 0);
    }
    db_close(db);
    kit_remove();
}

static void a_failure_waits_longer_each_time_then_ends_the_job(void)
{
    static const int64_t delays[] = {1000, 2000}; /* kit_retry: three failures */
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    for (int n = 0; n < 3; n++) {
        const struct db_job job = kit_claim(db);
        HOLDS(job.attempt == n + 1);
        HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_FAILED) == 0);
        if (n == 2) {
            break;
        }
        struct db_job none;
        const struct db_job waiting = kit_get(db, id);
        HOLDS(waiting.state == DB_JOB_RETRY && waiting.failures == n + 1);
        HOLDS(waiting.due_ms == kit_now.lease_ms + delays[n]);
        kit_now.lease_ms += delays[n] - 1;
        HOLDS(db_job_claim(db, &kit_now, "node/w", 1, &none, &kit_err) == DB_NONE);
        kit_now.lease_ms += 1;
    }
    const struct db_job job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_FAILED && strcmp(job.reason, "out of memory") == 0);
    HOLDS(job.ended_ms == kit_now.wall_ms);
    db_close(db);
    kit_remove();
}

static void three_deaths_park_the_job_and_others_go_on(void)
{
    struct db *db = kit_open();
    const int64_t bad = kit_job(db, 1, 1);
    const int64_t good = kit_job(db, 2, 1);
    const struct db_retry retry = kit_retry();
    const struct db_work_result death = {
        .work = DB_WORK_DIED, .reason = "killed by signal 11", .detail = "1.2 GiB of memory"};
    for (int n = 0; n < 3; n++) {
        struct db_job job = kit_claim(db);
        if (job.id == good) { /* while the bad one waits */
            HOLDS(kit_done(db, &job) == 0);
            kit_now.lease_ms += 10000;
            job = kit_claim(db);
        }
        HOLDS(job.id == bad);
        HOLDS(db_job_finish(db, &kit_now, db_job_token(&job), &death, &retry, &kit_err) == 0);
        kit_now.lease_ms += n == 0 ? 0 : 10000;
    }
    HOLDS(kit_get(db, bad).state == DB_JOB_POISON && kit_get(db, bad).deaths == 3);
    HOLDS(kit_get(db, good).state == DB_JOB_DELIVERING);
    struct db_history history = {0};
    HOLDS(db_job_history(db, bad, 1, &history, &kit_err) == 0 && history.n == 1);
    HOLDS(strcmp(history.transition[0].to, "poison") == 0);
    HOLDS(strcmp(history.transition[0].detail, "1.2 GiB of memory") == 0);
    db_history_fini(&history);
    kit_now.lease_ms += 1000000;
    struct db_job none;
    HOLDS(db_job_claim(db, &kit_now, "node/w", 1, &none, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

/* A GPU that breaks is no failure of the job, until it breaks whenever this job runs. */
static void three_broken_gpus_end_the_job_with_a_reason_and_no_failure_is_counted(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    for (int n = 1; n <= 3; n++) {
        const struct db_job job = kit_claim(db);
        HOLDS(kit_fail(db, db_job_token(&job), n == 2 ? DB_WORK_RELEASED : DB_WORK_BROKEN) == 0);
        const struct db_job after = kit_get(db, id);
        HOLDS(after.state == (n == 2 ? DB_JOB_QUEUED : DB_JOB_RETRY));
        HOLDS(after.breaks == (n == 3 ? 2 : 1) && after.failures == 0 && after.deaths == 0);
        kit_now.lease_ms += 10000;
    }
    const struct db_job last = kit_claim(db);
    HOLDS(kit_fail(db, db_job_token(&last), DB_WORK_BROKEN) == 0);
    const struct db_job job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_FAILED && job.breaks == 3);
    HOLDS(strcmp(job.reason,
                 "it broke the GPU in 3 attempts, each of a new process: out of memory") == 0);
    HOLDS(db_job_retry(db, &kit_now, id, "another GPU", &kit_err) == 0);
    HOLDS(kit_get(db, id).breaks == 0);
    db_close(db);
    kit_remove();
}

static void a_late_result_of_a_lost_lease_is_refused(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    const struct db_job first = kit_claim(db);
    const struct db_retry retry = kit_retry();
    int32_t n = 0;
    kit_now.lease_ms += KIT_LEASE_MS - 1;
    HOLDS(db_jobs_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 0);
    kit_now.lease_ms += 1;
    HOLDS(db_jobs_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 1);
    HOLDS(kit_get(db, id).deaths == 1);
    kit_now.lease_ms += 1000;
    const struct db_job second = kit_claim(db);
    HOLDS(second.id == id && second.attempt == 2);
    HOLDS(kit_done(db, &first) == DB_LOST);
    HOLDS(db_job_heartbeat(db, &kit_now, db_job_token(&first), 1, NULL, &kit_err) == DB_LOST);
    HOLDS(kit_get(db, id).state == DB_JOB_RUNNING);
    HOLDS(kit_done(db, &second) == 0);
    HOLDS(kit_done(db, &second) == DB_LOST); /* said twice */
    const struct db_token unknown = {99, 1};
    HOLDS(db_job_heartbeat(db, &kit_now, unknown, 1, NULL, &kit_err) == DB_LOST);
    db_close(db);
    kit_remove();
}

static void heartbeats_prolong_the_lease_and_note_stages_once(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    const struct db_job job = kit_claim(db);
    const struct db_token token = db_job_token(&job);
    const struct db_retry retry = kit_retry();
    const int64_t before = kit_number(db, "SELECT count(*) FROM history");
    for (int k = 0; k < 10; k++) {
        int32_t n = 0;
        kit_now.lease_ms += KIT_LEASE_MS / 2;
        HOLDS(db_job_heartbeat(db, &kit_now, token, KIT_LEASE_MS, k < 5 ? "assemble" : "convert",
                               &kit_err) == 0);
        HOLDS(db_jobs_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 0);
    }
    HOLDS(db_job_heartbeat(db, &kit_now, token, KIT_LEASE_MS, NULL, &kit_err) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM history") == before + 2);
    HOLDS(strcmp(kit_get(db, id).stage, "convert") == 0);
    HOLDS(kit_get(db, id).lease_until_ms == kit_now.lease_ms + KIT_LEASE_MS);
    db_close(db);
    kit_remove();
}

static void steps_of_the_wall_clock_change_nothing(void)
{
    static const int64_t steps[] = {(int64_t)365 * 86400000, -3600000, 0, 1000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct db *db = kit_open();
        const struct db_retry retry = kit_retry();
        const int64_t id = kit_job(db, 1, 1);
        const struct db_job job = kit_claim(db);
        struct db_job none;
        int32_t n = 0;
        kit_now.wall_ms += steps[i];
        HOLDS(db_jobs_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 0);
        HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_FAILED) == 0);
        kit_now.wall_ms -= steps[i];
        HOLDS(db_job_claim(db, &kit_now, "node/w", 1, &none, &kit_err) == DB_NONE);
        kit_now.lease_ms += 1000;
        HOLDS(kit_claim(db).id == id);
        db_close(db);
        kit_remove();
    }
}

static void a_result_must_be_of_the_uids_that_were_decided(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    const struct db_job job = kit_claim(db);
    const struct db_retry retry = kit_retry();
    struct db_output output[2] = {
        {"2.25.1.2", "1.2.840.10008.5.1.4.1.1.2", "out/a.dcm", 7, {0}},
        {"2.25.1.0", "1.2.840.10008.5.1.4.1.1.2", "out/b.dcm", 8, {1}},
    };
    struct db_work_result result = {.work = DB_WORK_DONE, .output = output, .n_outputs = 2};
    const struct db_token token = db_job_token(&job);
    output[1].sop_uid = "2.25.4.4";
    HOLDS(db_job_finish(db, &kit_now, token, &result, &retry, &kit_err) == SCTD_EINVAL);
    output[1].sop_uid = "2.25.1.2"; /* twice */
    HOLDS(db_job_finish(db, &kit_now, token, &result, &retry, &kit_err) == SCTD_EINVAL);
    result.n_outputs = 0;
    HOLDS(db_job_finish(db, &kit_now, token, &result, &retry, &kit_err) == SCTD_EINVAL);
    result.n_outputs = 2;
    output[1].sop_uid = "2.25.1.0";
    output[1].file = "out/a.dcm"; /* a file twice */
    HOLDS(db_job_finish(db, &kit_now, token, &result, &retry, &kit_err) == SCTD_EINVAL);
    HOLDS(kit_get(db, id).state == DB_JOB_RUNNING);
    output[1].file = "out/b.dcm";
    result.engine = "cuda (NVIDIA H200), fp16";
    HOLDS(kit_get(db, id).engine[0] == '\0');
    HOLDS(db_job_finish(db, &kit_now, token, &result, &retry, &kit_err) == 0);
    HOLDS(strcmp(kit_get(db, id).engine, result.engine) == 0);
    HOLDS(kit_get(db, id).outputs == 2); /* those not made are forgotten */
    struct db_file_set files = {0};
    HOLDS(db_delivery_files(db, 1, &files, &kit_err) == 0 && files.n == 2);
    HOLDS(strcmp(files.file[0].sop_uid, "2.25.1.2") == 0); /* in the order given */
    HOLDS(strcmp(files.file[1].file, "out/b.dcm") == 0 && files.file[1].sha256[0] == 1);
    db_file_set_fini(&files);
    db_close(db);
    kit_remove();
}

static void without_a_destination_a_written_job_is_done(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_written(db, 1, 0, false);
    HOLDS(kit_get(db, id).state == DB_JOB_DONE);
    db_close(db);
    kit_remove();
}

static void a_failure_needs_a_reason(void)
{
    struct db *db = kit_open();
    (void)kit_job(db, 1, 1);
    const struct db_job job = kit_claim(db);
    const struct db_retry retry = kit_retry();
    const struct db_work_result result = {.work = DB_WORK_FAILED};
    HOLDS(db_job_finish(db, &kit_now, db_job_token(&job), &result, &retry, &kit_err) ==
          SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void the_next_time_is_that_of_the_first_thing_to_do(void)
{
    struct db *db = kit_open();
    int64_t next = 0;
    HOLDS(db_jobs_next(db, &next, &kit_err) == DB_NONE);
    (void)kit_job(db, 1, 1);
    HOLDS(db_jobs_next(db, &next, &kit_err) == DB_NONE);
    const struct db_job job = kit_claim(db);
    HOLDS(db_jobs_next(db, &next, &kit_err) == 0 && next == kit_now.lease_ms + KIT_LEASE_MS);
    HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_FAILED) == 0);
    HOLDS(db_jobs_next(db, &next, &kit_err) == 0 && next == kit_now.lease_ms + 1000);
    db_close(db);
    kit_remove();
}

static void the_default_is_three_deaths_and_a_quarter_of_an_hour(void)
{
    const struct db_retry retry = db_retry_default(0.25);
    HOLDS(retry.deaths_max == 3 && retry.failures_max == 5 && retry.cap_ms == 900000);
    HOLDS(retry.base_ms == 5000 && retry.random < 0.26 && retry.random > 0.24);
}

int main(void)
{
    a_claim_counts_the_attempt_before_the_work();
    priority_comes_before_age();
    sources_take_turns();
    a_failure_waits_longer_each_time_then_ends_the_job();
    three_deaths_park_the_job_and_others_go_on();
    three_broken_gpus_end_the_job_with_a_reason_and_no_failure_is_counted();
    a_late_result_of_a_lost_lease_is_refused();
    heartbeats_prolong_the_lease_and_note_stages_once();
    steps_of_the_wall_clock_change_nothing();
    a_result_must_be_of_the_uids_that_were_decided();
    without_a_destination_a_written_job_is_done();
    a_failure_needs_a_reason();
    the_next_time_is_that_of_the_first_thing_to_do();
    the_default_is_three_deaths_and_a_quarter_of_an_hour();
    return 0;
}
