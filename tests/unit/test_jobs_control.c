/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/retention.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void a_retry_begins_its_counts_anew_but_not_its_attempts(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    struct db_job job = kit_claim(db);
    HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_DIED) == 0);
    kit_now.lease_ms += 10000;
    job = kit_claim(db);
    HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_REFUSED) == 0);
    HOLDS(db_job_retry(db, &kit_now, id, "input mended", &kit_err) == 0);
    job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_QUEUED && job.deaths == 0 && job.failures == 0 && job.attempt == 2);
    HOLDS(job.ended_ms == 0 && strcmp(job.reason, "input mended") == 0);
    HOLDS(kit_claim(db).attempt == 3); /* tokens never come back */
    db_close(db);
    kit_remove();
}

static void a_cancelled_job_is_delivered_after_a_retry(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 2);
    HOLDS(db_job_cancel(db, &kit_now, id, "by hand", &kit_err) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM delivery WHERE state = 7") == 2);
    HOLDS(db_job_retry(db, &kit_now, id, "after all", &kit_err) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM delivery WHERE state = 0") == 2);
    const struct db_job job = kit_claim(db);
    HOLDS(kit_done(db, &job) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM delivery WHERE state = 1") == 2);
    db_close(db);
    kit_remove();
}

static void what_is_written_is_only_delivered_again(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_written(db, 1, 1, false);
    const struct db_send_claim claim = {"pacs1", 1, "node/s", 1000};
    const int32_t some[] = {0, 2};
    const struct db_stored stored = {some, 2};
    const struct db_sent_result refused = {.sent = DB_SENT_REFUSED, .reason = "0122H"};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), 1000, &stored, &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &refused, &retry, &kit_err) == 0);
    HOLDS(kit_get(db, id).state == DB_JOB_FAILED);
    HOLDS(db_job_retry(db, &kit_now, id, "the PACS is mended", &kit_err) == 0);
    HOLDS(kit_get(db, id).state == DB_JOB_DELIVERING);
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(d.stored == 2 && d.failures == 0 && d.spent_ms == 0); /* it goes on where it stopped */
    db_close(db);
    kit_remove();
}

static void a_retry_whose_files_are_gone_is_refused(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_written(db, 1, 1, false);
    struct db_removal_list list = {0};
    HOLDS(db_job_cancel(db, &kit_now, id, "by hand", &kit_err) == 0);
    HOLDS(db_retention_take(db, DB_FILE_PRODUCED, INT64_MAX, 1, &list, &kit_err) == 0);
    HOLDS(list.n == 1);
    db_removal_list_fini(&list);
    HOLDS(db_job_retry(db, &kit_now, id, "after all", &kit_err) == DB_REFUSED);
    const int64_t other = kit_job(db, 2, 1);
    HOLDS(db_job_cancel(db, &kit_now, other, "by hand", &kit_err) == 0);
    db_close(db);
    kit_sql("UPDATE instance SET file_state = 2 WHERE file = 'in/1-2-0.dcm';"
            "UPDATE series SET kept = 1 WHERE uid = '1.2.1.2'");
    db = kit_open();
    HOLDS(db_job_retry(db, &kit_now, other, "after all", &kit_err) == DB_REFUSED);
    db_close(db);
    kit_remove();
}

static void a_priority_moves_the_job_and_its_deliveries(void)
{
    struct db *db = kit_open();
    (void)kit_job(db, 3, 1);
    const int64_t id = kit_job(db, 6, 1);
    HOLDS(db_job_prioritise(db, &kit_now, id, 0, "emergency", &kit_err) == 0);
    HOLDS(kit_claim(db).id == id);
    HOLDS(kit_number(db, "SELECT priority FROM delivery WHERE id = 2") == 0);
    struct db_history history = {0};
    HOLDS(db_job_history(db, id, 2, &history, &kit_err) == 0 && history.n == 2);
    HOLDS(strcmp(history.transition[0].reason, "priority 5 to 0: emergency") == 0);
    HOLDS(strcmp(history.transition[0].from, history.transition[0].to) == 0);
    db_history_fini(&history);
    HOLDS(db_job_prioritise(db, &kit_now, id, 10, "x", &kit_err) == SCTD_EINVAL);
    HOLDS(db_job_prioritise(db, &kit_now, id, -1, "x", &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

static void orders_need_a_job_and_a_reason(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 1);
    HOLDS(db_job_cancel(db, &kit_now, 99, "x", &kit_err) == DB_NONE);
    HOLDS(db_job_retry(db, &kit_now, 99, "x", &kit_err) == DB_NONE);
    HOLDS(db_job_prioritise(db, &kit_now, 99, 1, "x", &kit_err) == DB_NONE);
    HOLDS(db_job_cancel(db, &kit_now, id, NULL, &kit_err) == SCTD_EINVAL);
    HOLDS(kit_get(db, id).state == DB_JOB_QUEUED);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_retry_begins_its_counts_anew_but_not_its_attempts();
    a_cancelled_job_is_delivered_after_a_retry();
    what_is_written_is_only_delivered_again();
    a_retry_whose_files_are_gone_is_refused();
    a_priority_moves_the_job_and_its_deliveries();
    orders_need_a_job_and_a_reason();
    return 0;
}
