/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"

#include "tests/support/db_kit.h"

static const char *const places[] = {"pacs1", "plan"};

static int deliver(struct db *db, int64_t job_id, size_t n, bool again)
{
    const struct db_job_spec spec = {.priority = 9, .destinations = places, .n_destinations = n};
    return db_job_deliver(db, &kit_now, job_id, &spec, again, &kit_err);
}

/* Send all of the next delivery to a destination. */
static void send(struct db *db, const char *destination)
{
    const struct db_send_claim claim = {destination, 1, "kit/send", KIT_LEASE_MS};
    const struct db_sent_result result = {.sent = DB_SENT_STORED};
    const struct db_delivery_retry retry = db_delivery_retry_default(0.0);
    int32_t numbers[KIT_OUTPUTS];
    struct db_delivery d;
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0);
    HOLDS(d.instances == KIT_OUTPUTS && d.stored == 0);
    for (int32_t i = 0; i < KIT_OUTPUTS; i++) {
        numbers[i] = i;
    }
    const struct db_stored stored = {numbers, KIT_OUTPUTS};
    HOLDS(db_delivery_progress(db, &kit_now, db_delivery_token(&d), KIT_LEASE_MS, &stored,
                               &kit_err) == 0);
    HOLDS(db_delivery_finish(db, &kit_now, db_delivery_token(&d), &result, &retry, &kit_err) == 0);
}

static void a_result_goes_to_further_destinations_once(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, false);
    HOLDS(deliver(db, job, 2, false) == DB_REFUSED); /* it is on its way */
    send(db, "pacs1");
    HOLDS(kit_get(db, job).state == DB_JOB_DONE);
    HOLDS(deliver(db, job, 1, false) == DB_NONE);
    HOLDS(deliver(db, job, 0, true) == DB_NONE);
    HOLDS(deliver(db, 99, 2, false) == DB_NONE);
    HOLDS(deliver(db, job, 2, false) == 0 && kit_get(db, job).state == DB_JOB_DELIVERING);
    send(db, "plan");
    HOLDS(kit_get(db, job).state == DB_JOB_DONE);
    HOLDS(kit_number(db, "SELECT count(*) FROM delivery WHERE state = 5") == 2);
    HOLDS(deliver(db, job, 2, false) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void it_is_sent_again_only_when_asked_for(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, false);
    send(db, "pacs1");
    HOLDS(deliver(db, job, 2, true) == 0);
    send(db, "pacs1");
    HOLDS(kit_get(db, job).state == DB_JOB_DELIVERING);
    send(db, "plan");
    HOLDS(kit_get(db, job).state == DB_JOB_DONE);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void what_is_removed_cannot_be_sent(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 1, false);
    send(db, "pacs1");
    db_close(db);
    kit_sql("UPDATE job SET kept = 0");
    db = kit_open();
    HOLDS(deliver(db, job, 2, true) == DB_REFUSED);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_result_goes_to_further_destinations_once();
    it_is_sent_again_only_when_asked_for();
    what_is_removed_cannot_be_sent();
    return 0;
}
