/* SPDX-License-Identifier: Apache-2.0 */
/* The writer is killed at random moments; what it was told is kept is there, and nothing is half. */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "db/schema.h"
#include "db/sql.h"
#include "engine/base/rng.h"

#include "tests/support/db_kit.h"

enum { ROUNDS = 200, MIGRATIONS = 60, BATCH_MAX = 16, LONGEST_US = 25000 };

/* What the writer was told, shared with whoever kills it. */
struct ledger {
    atomic_int ready;                         /* the store is open */
    atomic_int time;                          /* the lease clock: it goes on when a writer ends */
    atomic_int put, completed, written, sent; /* series up to these, all rounds */
};

static int batch_size(int series)
{
    struct sctd_rng rng = {(uint64_t)series};
    return 1 + (int)(sctd_rng_next(&rng) % BATCH_MAX);
}

static void put_batch(struct db *db, int series, int64_t *ret_series_id)
{
    const int n = batch_size(series);
    struct db_instance batch[BATCH_MAX];
    struct db_put_result results[BATCH_MAX];
    for (int k = 0; k < n; k++) {
        batch[k] = kit_instance(1, series, k);
    }
    HOLDS(db_instances_put(db, &kit_now, batch, (size_t)n, results, &kit_err) == 0);
    /* After a kill it may be there although nobody was told: then it is the same. */
    HOLDS(results[0].outcome == DB_PUT_STORED || results[0].outcome == DB_PUT_SAME);
    *ret_series_id = results[0].series_id;
}

static void complete(struct db *db, int series, int64_t series_id)
{
    struct db_job_spec spec = kit_spec(series, 1, true);
    spec.hold = true;
    const struct db_completion c = {.series_id = series_id,
                                    .revision = 1,
                                    .instances = batch_size(series),
                                    .evidence = DB_EVIDENCE_QUIET,
                                    .reason = "quiet",
                                    .job = &spec};
    int64_t id = 0;
    const int r = db_series_complete(db, &kit_now, &c, &id, &kit_err);
    HOLDS(r == 0 || r == DB_CHANGED);
}

static void convert(struct db *db)
{
    struct db_job job;
    while (db_job_claim(db, &kit_now, "node/w", KIT_LEASE_MS, &job, &kit_err) == 0) {
        const bool is_bad = job.id % 3 == 0;
        HOLDS(kit_checked(db, &job, is_bad ? DB_REVIEW_NEEDED : DB_REVIEW_PASSED, "{}") == 0);
    }
}

/* Also what a killed writer left held. */
static void accept_all(struct db *db)
{
    const struct db_job_filter filter = {
        .state = -1, .by_review = true, .review = DB_REVIEW_NEEDED, .limit = 100};
    struct db_job_page page = {0};
    HOLDS(db_job_list(db, &filter, &page, &kit_err) == 0);
    for (size_t i = 0; i < page.n; i++) {
        HOLDS(db_job_review(db, &kit_now, page.job[i].id, true, "looked", &kit_err) == 0);
    }
    db_job_page_fini(&page);
}

static void send_all(struct db *db)
{
    const struct db_send_claim claim = {"pacs1", 1, "node/s", KIT_LEASE_MS};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    struct db_delivery d;
    int32_t n = 0;
    /* A request for commitment that a killed writer made is never answered. */
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0);
    while (db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0) {
        const struct db_send_token token = db_delivery_token(&d);
        char uid[DB_UID_SIZE];
        (void)snprintf(uid, sizeof uid, "%.50s.%d", d.output_series_uid, (int)d.attempt);
        HOLDS(db_delivery_progress(db, &kit_now, token, KIT_LEASE_MS, &stored, &kit_err) == 0);
        HOLDS(db_delivery_ask(db, &kit_now, token, uid, KIT_LEASE_MS, &kit_err) == 0);
        char uids[KIT_OUTPUTS][DB_UID_SIZE];
        HOLDS(db_job_output_uids(db, d.job_id, uids, KIT_OUTPUTS, &kit_err) == 0);
        const char *committed[] = {uids[0], uids[1], uids[2]};
        const struct db_commitment_report report = {.transaction_uid = uid,
                                                    .destination = "pacs1",
                                                    .committed = committed,
                                                    .n_committed = 3};
        int64_t id = 0;
        HOLDS(db_delivery_report(db, &kit_now, &report, &retry, &id, &kit_err) == 0);
    }
}

/* Never returns: it is killed. */
static void write_for_ever(struct ledger *ledger)
{
    const struct db_recovery recovery = {"boot", "node", 0};
    struct db_recovered recovered;
    struct db *db = kit_open();
    HOLDS(db_recover(db, &kit_now, &recovery, &recovered, &kit_err) == 0);
    atomic_store(&ledger->ready, 1);
    for (int series = atomic_load(&ledger->sent) + 1;; series++) {
        int64_t id = 0;
        kit_now.lease_ms = (int64_t)atomic_fetch_add(&ledger->time, 1) * 10 * KIT_LEASE_MS;
        put_batch(db, series, &id);
        atomic_store(&ledger->put, series);
        complete(db, series, id);
        atomic_store(&ledger->completed, series);
        convert(db);
        atomic_store(&ledger->written, series);
        accept_all(db);
        send_all(db);
        atomic_store(&ledger->sent, series);
    }
}

static void sleep_us(long us)
{
    const struct timespec t = {0, us * 1000};
    (void)nanosleep(&t, NULL);
}

static void start_and_kill(struct ledger *ledger, struct sctd_rng *rng)
{
    atomic_store(&ledger->ready, 0);
    const pid_t child = fork();
    if (child == 0) {
        write_for_ever(ledger);
    }
    /* One round in four is killed while it opens the store. */
    const long us = (long)(sctd_rng_next(rng) % LONGEST_US);
    for (int i = 0; sctd_rng_next(rng) % 4 != 0 && i < 10000 && atomic_load(&ledger->ready) == 0;
         i++) {
        sleep_us(1000);
    }
    sleep_us(us);
    int status = 0;
    HOLDS(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* and not by an assertion */
}

static int64_t number_of(struct db *db, const char *text, int64_t parameter)
{
    int64_t value = 0;
    HOLDS(core_number(db, text, parameter, &value, &kit_err) == 0);
    return value;
}

static void check_series(struct db *db, const struct ledger *ledger, int series)
{
    const struct db_instance i = kit_instance(1, series, 0);
    struct db_series s = {0};
    const int r = db_series_find(db, i.series_uid, &s, &kit_err);
    HOLDS(r == 0 || (r == DB_NONE && series > atomic_load(&ledger->put)));
    if (r == DB_NONE) {
        return;
    }
    HOLDS(s.instances == batch_size(series)); /* all of its batch or nothing */
    const int64_t state =
        number_of(db, "SELECT ifnull((SELECT state FROM job WHERE series_id = ?1), -1)", s.id);
    HOLDS(number_of(db, "SELECT count(*) FROM job WHERE series_id = ?1", s.id) <= 1);
    HOLDS((s.state == DB_SERIES_CLOSED) == (state >= 0));
    HOLDS(state >= 0 || series > atomic_load(&ledger->completed));
    HOLDS(state >= DB_JOB_DELIVERING || series > atomic_load(&ledger->written));
    HOLDS(state == DB_JOB_DONE || series > atomic_load(&ledger->sent));
}

static void check_store(const struct ledger *ledger)
{
    struct db *db = kit_open(); /* a full check of every page and index */
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    const int last = atomic_load(&ledger->put) + 1;
    const int first = last > 40 ? last - 40 : 1;
    for (int series = first; series <= last; series++) {
        check_series(db, ledger, series);
    }
    /* A result comes with its verdict and its report, and what is held is nowhere on its way. */
    HOLDS(
        number_of(db,
                  "SELECT count(*) FROM job AS j WHERE j.written <> (j.review > 0) OR j.written <> "
                  "(SELECT count(*) FROM quality AS q WHERE q.job_id = j.id)",
                  0) == 0);
    HOLDS(number_of(db,
                    "SELECT count(*) FROM job AS j JOIN delivery AS d ON d.job_id = j.id WHERE "
                    "j.review = 2 AND d.state <> 0",
                    0) == 0);
    HOLDS(number_of(db,
                    "SELECT count(*) FROM job AS j JOIN delivery AS d ON d.job_id = j.id WHERE "
                    "j.review IN (1, 3) AND d.state = 0",
                    0) == 0);
    HOLDS(number_of(db, "SELECT count(*) FROM series", 0) >= atomic_load(&ledger->put));
    HOLDS(number_of(db, "SELECT count(*) FROM job WHERE state = 4", 0) >=
          atomic_load(&ledger->sent));
    db_close(db);
}

static void kills_lose_nothing_that_was_told_and_leave_nothing_half(void)
{
    struct ledger *ledger =
        mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HOLDS(ledger != MAP_FAILED);
    struct sctd_rng rng = {2024};
    (void)kit_folder();
    for (int round = 0; round < ROUNDS; round++) {
        start_and_kill(ledger, &rng);
        check_store(ledger);
    }
    (void)fprintf(stderr, "%d kills; %d series put, %d delivered\n", ROUNDS,
                  atomic_load(&ledger->put), atomic_load(&ledger->sent));
    HOLDS(atomic_load(&ledger->sent) > 0); /* how many depends on how busy the machine is */
    HOLDS(munmap(ledger, sizeof *ledger) == 0);
    kit_remove();
}

static void a_killed_migration_leaves_the_old_version_or_the_new(void)
{
    static const struct db_options options = {false, DB_CHECK_FULL};
    struct sctd_rng rng = {7};
    int versions[2] = {0, 0};
    for (int round = 0; round < MIGRATIONS; round++) {
        struct sql *sql = NULL;
        HOLDS(sql_open(&sql, kit_path("jobs.db"), SQL_CREATE, &kit_err) == 0);
        HOLDS(schema_migrate(sql, schema_steps, 0, 1, &kit_err) == 0);
        sql_close(sql);
        const char *path = kit_path("jobs.db");
        const pid_t child = fork();
        if (child == 0) {
            struct db *db = NULL;
            _exit(db_open(&db, path, &options, &kit_err) == 0 ? 0 : 1);
        }
        sleep_us((long)(sctd_rng_next(&rng) % 12000));
        int status = 0;
        (void)kill(child, SIGKILL);
        HOLDS(waitpid(child, &status, 0) == child);
        HOLDS(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        HOLDS(sql_open(&sql, path, SQL_WRITE, &kit_err) == 0);
        size_t version = 0;
        HOLDS(schema_get_version(sql, &version, &kit_err) == 0);
        HOLDS(version == 1 || version == schema_count);
        HOLDS(sql_check(sql, true, &kit_err) == 0);
        versions[version == 1 ? 0 : 1]++;
        sql_close(sql);
        db_close(kit_open());
        kit_remove();
    }
    (void)fprintf(stderr, "%d of %d killed migrations left the old version\n", versions[0],
                  MIGRATIONS);
}

static void a_killed_creation_leaves_no_store_or_a_whole_one(void)
{
    struct sctd_rng rng = {9};
    for (int round = 0; round < MIGRATIONS; round++) {
        (void)kit_folder();
        const pid_t child = fork();
        if (child == 0) {
            db_close(kit_open());
            _exit(0);
        }
        sleep_us((long)(sctd_rng_next(&rng) % 12000));
        int status = 0;
        (void)kill(child, SIGKILL);
        HOLDS(waitpid(child, &status, 0) == child);
        HOLDS(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        struct db *db = kit_open();
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_remove();
    }
}

int main(void)
{
    kills_lose_nothing_that_was_told_and_leave_nothing_half();
    a_killed_migration_leaves_the_old_version_or_the_new();
    a_killed_creation_leaves_no_store_or_a_whole_one();
    return 0;
}
