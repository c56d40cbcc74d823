/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "db/db.h"
#include "db/steps.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static enum db_step_state state_of(struct db *db, const char *uid)
{
    enum db_step_state state = DB_STEP_IN_PROGRESS;
    HOLDS(db_step_get(db, uid, &state, &kit_err) == 0);
    return state;
}

static void a_step_begins_once_and_ends_once(void)
{
    enum db_step_state state = DB_STEP_IN_PROGRESS;
    struct db *db = kit_open();
    HOLDS(db_step_get(db, "1.2.3", &state, &kit_err) == DB_NONE);
    HOLDS(db_step_set(db, &kit_now, "1.2.3", DB_STEP_COMPLETED, &kit_err) == DB_NONE);
    HOLDS(db_step_create(db, &kit_now, "1.2.3", "MR1", &kit_err) == 0);
    HOLDS(db_step_create(db, &kit_now, "1.2.3", "MR2", &kit_err) == DB_EXISTS);
    HOLDS(db_step_create(db, &kit_now, "1.2.4", "MR1", &kit_err) == 0);
    HOLDS(db_step_set(db, &kit_now, "1.2.3", DB_STEP_IN_PROGRESS, &kit_err) == 0);
    HOLDS(db_step_set(db, &kit_now, "1.2.3", DB_STEP_COMPLETED, &kit_err) == 0);
    HOLDS(state_of(db, "1.2.3") == DB_STEP_COMPLETED);
    HOLDS(db_step_set(db, &kit_now, "1.2.3", DB_STEP_DISCONTINUED, &kit_err) == DB_REFUSED);
    HOLDS(state_of(db, "1.2.3") == DB_STEP_COMPLETED);
    HOLDS(state_of(db, "1.2.4") == DB_STEP_IN_PROGRESS);
    db_close(db);
}

static void a_step_outlives_the_process(void)
{
    struct db *db = kit_open();
    HOLDS(db_step_create(db, &kit_now, "1.2.9", "MR1", &kit_err) == 0);
    HOLDS(db_step_set(db, &kit_now, "1.2.9", DB_STEP_DISCONTINUED, &kit_err) == 0);
    db_close(db);
    db = kit_open();
    HOLDS(state_of(db, "1.2.9") == DB_STEP_DISCONTINUED);
    db_close(db);
}

static void a_step_without_a_name_or_a_sender_is_refused(void)
{
    struct db *db = kit_open();
    HOLDS(db_step_create(db, &kit_now, "", "MR1", &kit_err) == SCTD_EINVAL);
    HOLDS(db_step_create(db, &kit_now, "1.2.3", "", &kit_err) == SCTD_EINVAL);
    db_close(db);
}

int main(void)
{
    a_step_begins_once_and_ends_once();
    a_step_outlives_the_process();
    a_step_without_a_name_or_a_sender_is_refused();
    kit_remove();
    return 0;
}
