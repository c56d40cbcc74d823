/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static struct db_recovered recover(struct db *db, const char *boot, const char *node, int32_t max)
{
    const struct db_recovery recovery = {boot, node, max};
    struct db_recovered recovered = {-1, -1};
    HOLDS(db_recover(db, &kit_now, &recovery, &recovered, &kit_err) == 0);
    return recovered;
}

static struct db_job claim_as(struct db *db, const char *owner)
{
    struct db_job job;
    HOLDS(db_job_claim(db, &kit_now, owner, KIT_LEASE_MS, &job, &kit_err) == 0);
    return job;
}

static void leases_of_the_dead_process_are_taken_back_at_once(void)
{
    struct db *db = kit_open();
    (void)recover(db, "boot1", "nodea", 0);
    (void)kit_job(db, 1, 1);
    (void)kit_job(db, 2, 1);
    (void)kit_job(db, 4, 1);
    const struct db_job mine = claim_as(db, "nodea/worker-0");
    const struct db_job others = claim_as(db, "nodeb/worker-0");
    const struct db_job similar = claim_as(db, "nodea2/worker-0");
    db_close(db);
    db = kit_open();
    const struct db_recovered recovered = recover(db, "boot1", "nodea", 0);
    HOLDS(recovered.jobs == 1 && recovered.deliveries == 0);
    HOLDS(kit_get(db, mine.id).state == DB_JOB_QUEUED);
    HOLDS(kit_get(db, mine.id).interruptions == 1 && kit_get(db, mine.id).deaths == 0);
    HOLDS(kit_get(db, others.id).state == DB_JOB_RUNNING);
    HOLDS(kit_get(db, similar.id).state == DB_JOB_RUNNING);
    HOLDS(kit_done(db, &mine) == DB_LOST);
    db_close(db);
    kit_remove();
}

static void after_a_boot_every_lease_is_taken_back_and_every_time_is_due(void)
{
    struct db *db = kit_open();
    (void)recover(db, "boot1", "nodea", 0);
    (void)kit_job(db, 1, 1);
    (void)kit_job(db, 2, 1);
    const struct db_job other = claim_as(db, "nodeb/worker-0");
    const struct db_job late = claim_as(db, "nodea/worker-0");
    HOLDS(kit_fail(db, db_job_token(&late), DB_WORK_FAILED) == 0);
    kit_now.lease_ms = 50; /* the lease clock began anew */
    HOLDS(recover(db, "boot2", "nodea", 0).jobs == 1);
    HOLDS(kit_get(db, other.id).state == DB_JOB_QUEUED);
    HOLDS(claim_as(db, "nodea/w").id != claim_as(db, "nodea/w").id); /* both are due */
    kit_now.lease_ms = 1000000;
    db_close(db);
    kit_remove();
}

static void senders_are_taken_back_without_a_failure(void)
{
    struct db *db = kit_open();
    (void)kit_written(db, 1, 1, true);
    const struct db_send_claim claim = {"pacs1", 1, "node/sender", 1000};
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(recover(db, "boot1", "node", 0).deliveries == 1);
    HOLDS(db_delivery_get(db, d.id, &d, &kit_err) == 0);
    HOLDS(d.state == DB_DELIVERY_QUEUED && d.failures == 0 && d.spent_ms == 0);
    db_close(db);
    kit_remove();
}

static void a_request_for_commitment_outlives_the_process_but_not_the_boot(void)
{
    struct db *db = kit_open();
    (void)recover(db, "boot1", "node", 0);
    (void)kit_written(db, 1, 1, true);
    const struct db_send_claim claim = {"pacs1", 1, "node/sender", 1000};
    const int32_t all[] = {0, 1, 2};
    const struct db_stored stored = {all, 3};
    const struct db_delivery_retry retry = db_delivery_retry_default(0);
    struct db_delivery d;
    int32_t n = 0;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    const struct db_send_token token = db_delivery_token(&d);
    HOLDS(db_delivery_progress(db, &kit_now, token, 1000, &stored, &kit_err) == 0);
    HOLDS(db_delivery_ask(db, &kit_now, token, "2.25.7", 60000, &kit_err) == 0);
    HOLDS(recover(db, "boot1", "node", 0).deliveries == 0);
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 0);
    (void)recover(db, "boot2", "node", 0);
    HOLDS(db_deliveries_expire(db, &kit_now, &retry, &n, &kit_err) == 0 && n == 1);
    db_close(db);
    kit_remove();
}

static void interruptions_in_a_row_park_a_job_only_where_a_limit_is_set(void)
{
    struct db *db = kit_open();
    (void)recover(db, "boot1", "node", 0);
    const int64_t id = kit_job(db, 1, 1);
    for (int k = 0; k < 10; k++) {
        (void)kit_claim(db);
        HOLDS(recover(db, "boot1", "node", 0).jobs == 1);
    }
    HOLDS(kit_get(db, id).state == DB_JOB_QUEUED && kit_get(db, id).interruptions == 10);
    struct db_job job = kit_claim(db);
    HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_RELEASED) == 0);
    HOLDS(kit_get(db, id).interruptions == 0);
    for (int k = 0; k < 3; k++) {
        (void)kit_claim(db);
        HOLDS(recover(db, "boot1", "node", 3).jobs == 1);
    }
    HOLDS(kit_get(db, id).state == DB_JOB_POISON);
    db_close(db);
    kit_remove();
}

static void more_than_fit_at_once_are_all_taken_back(void)
{
    struct db *db = kit_open();
    for (int k = 1; k <= 300; k++) {
        (void)kit_job(db, k, 0);
    }
    for (int k = 1; k <= 300; k++) {
        (void)kit_claim(db);
    }
    HOLDS(recover(db, "boot1", "node", 0).jobs == 300);
    HOLDS(kit_number(db, "SELECT count(*) FROM job WHERE state = 0") == 300);
    db_close(db);
    kit_remove();
}

static void recovery_needs_a_boot_and_a_node(void)
{
    struct db *db = kit_open();
    struct db_recovered recovered;
    const struct db_recovery no_boot = {"", "node", 0};
    const struct db_recovery no_node = {"boot", "", 0};
    HOLDS(db_recover(db, &kit_now, &no_boot, &recovered, &kit_err) == SCTD_EINVAL);
    HOLDS(db_recover(db, &kit_now, &no_node, &recovered, &kit_err) == SCTD_EINVAL);
    db_close(db);
    kit_remove();
}

int main(void)
{
    leases_of_the_dead_process_are_taken_back_at_once();
    after_a_boot_every_lease_is_taken_back_and_every_time_is_due();
    senders_are_taken_back_without_a_failure();
    a_request_for_commitment_outlives_the_process_but_not_the_boot();
    interruptions_in_a_row_park_a_job_only_where_a_limit_is_set();
    more_than_fit_at_once_are_all_taken_back();
    recovery_needs_a_boot_and_a_node();
    return 0;
}
