/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db.h"
#include "db/jobs.h"
#include "dicom/quality_page.h"
#include "dicom/source.h"
#include "dicom/uid.h"
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

static void leave_file(const char *folder, const char *file)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%.90s/%.30s", folder, file);
    FILE *f = fopen(at(name), "we");
    HOLDS(f != NULL && fputs("x", f) >= 0 && fclose(f) == 0);
}

/* A folder of two files, as a worker leaves it. */
static void leave(const char *folder)
{
    HOLDS(mkdir(at(folder), 0700) == 0);
    leave_file(folder, "0.dcm");
    leave_file(folder, "1.dcm");
}

static void leave_page_of(const char *sct_series_uid, char ret_folder[DICOM_UID_SIZE])
{
    char instance_uid[DICOM_UID_SIZE];
    HOLDS(dicom_uid_for_page(ret_folder, instance_uid, sct_series_uid, &kit_err) == 0);
    HOLDS(mkdir(at(ret_folder), 0700) == 0);
    leave_file(ret_folder, QUALITY_PAGE_NAME);
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

static void a_page_without_its_sct_goes(void)
{
    struct db *db = kit_open();
    int64_t n = -1;
    char lone[DICOM_UID_SIZE];
    char kept[DICOM_UID_SIZE];
    char of_cancelled[DICOM_UID_SIZE];
    const int64_t cancelled = kit_job(db, 5, 1);
    const struct db_job job = kit_get(db, cancelled);
    cancel(db, cancelled);
    leave_of(db, cancelled);
    leave_page_of(job.output_series_uid, of_cancelled);
    leave("2.25.815"); /* a worker had finished both, and the store does not know yet */
    leave_page_of("2.25.815", kept);
    leave_page_of("2.25.816", lone);
    HOLDS(sweep_results(db, results, &n, &kit_err) == 0);
    HOLDS(n >= 2 && !is_there(db, cancelled));
    HOLDS(access(at(of_cancelled), F_OK) != 0 && access(at(lone), F_OK) != 0);
    HOLDS(access(at(kept), F_OK) == 0 && access(at("2.25.815/1.dcm"), F_OK) == 0);
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
    a_page_without_its_sct_goes();
    what_rows_name_is_left_to_retention();
    only_what_cancelled_jobs_left_goes();
    a_folder_that_is_not_there_is_an_error();
    kit_remove();
    return 0;
}
