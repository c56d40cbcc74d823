/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "server/sweep.h"

#include "tests/support/db_kit.h"

static char results[256];

static const char *at(const char *name)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", results, name);
    return path[turn];
}

/* A folder of two files, as a worker leaves it. */
static void leave(const char *folder)
{
    HOLDS(mkdir(at(folder), 0700) == 0);
    for (int i = 0; i < 2; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%.90s/%d.dcm", folder, i);
        FILE *f = fopen(at(name), "we");
        HOLDS(f != NULL && fputs("x", f) >= 0 && fclose(f) == 0);
    }
}

static void leave_of(struct db *db, int64_t job_id)
{
    const struct db_job job = kit_get(db, job_id);
    leave(job.output_series_uid);
}

static bool is_there(struct db *db, int64_t job_id)
{
    const struct db_job job = kit_get(db, job_id);
    return access(at(job.output_series_uid), F_OK) == 0;
}

static void cancel(struct db *db, int64_t job_id)
{
    HOLDS(db_job_cancel(db, &kit_now, job_id, "an operator", &kit_err) == 0);
}

static void only_what_cancelled_jobs_left_goes(void)
{
    struct db *db = kit_open();
    int64_t n = -1;
    const int64_t cancelled = kit_job(db, 1, 1);
    const int64_t waiting = kit_job(db, 2, 1);
    leave_of(db, cancelled);
    leave_of(db, waiting); /* a dead worker had finished: it is found, and not made again */
    cancel(db, cancelled);
    cancel(db, waiting);
    HOLDS(db_job_retry(db, &kit_now, waiting, "an operator", &kit_err) == 0);
    leave("2.25.4711"); /* a store that was lost: what was made then is found again */
    leave(".convert-1");
    HOLDS(sweep_results(db, results, &n, &kit_err) == 0);
    HOLDS(n == 1);
    HOLDS(!is_there(db, cancelled) && is_there(db, waiting));
    HOLDS(access(at("2.25.4711/1.dcm"), F_OK) == 0 && access(at(".convert-1/1.dcm"), F_OK) == 0);
    HOLDS(sweep_results(db, results, &n, &kit_err) == 0);
    HOLDS(n == 0);
    db_close(db);
}

static void what_rows_name_is_left_to_retention(void)
{
    struct db *db = kit_open();
    int64_t n = -1;
    const int64_t written = kit_written(db, 3, 1, false);
    leave_of(db, written);
    cancel(db, written);
    HOLDS(sweep_results(db, results, &n, &kit_err) == 0);
    HOLDS(n == 0 && is_there(db, written));
    db_close(db);
}

static void a_folder_that_is_not_there_is_an_error(void)
{
    struct db *db = kit_open();
    int64_t n = -1;
    HOLDS(sweep_results(db, "/nonexistent/results", &n, &kit_err) == SCTD_EIO && n == -1);
    db_close(db);
}

int main(void)
{
    (void)snprintf(results, sizeof results, "%s", kit_path("results"));
    HOLDS(mkdir(results, 0700) == 0);
    what_rows_name_is_left_to_retention();
    only_what_cancelled_jobs_left_goes();
    a_folder_that_is_not_there_is_an_error();
    kit_remove();
    return 0;
}
