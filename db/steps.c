/* SPDX-License-Identifier: Apache-2.0 */
#include "db/steps.h"

#include <stddef.h>
#include <stdint.h>

#include "db/core.h"
#include "db/db.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

/* Returns 0 or DB_NONE. */
static int find(struct db *db, const char *uid, enum db_step_state *ret_state,
                struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "SELECT state FROM step WHERE uid = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, uid);
    r = sql_step(s, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : DB_NONE;
    }
    const int64_t state = sql_get_int(s, 0);
    if (state < DB_STEP_IN_PROGRESS || state > DB_STEP_DISCONTINUED) {
        return sctd_error(err, SCTD_EDATA,
                          "job store: a performed step has no state that is known");
    }
    *ret_state = (enum db_step_state)state;
    return 0;
}

int db_step_get(struct db *db, const char *uid, enum db_step_state *ret_state,
                struct sctd_error *err)
{
    const int r = core_begin_read(db, err);
    return r < 0 ? r : core_end(db, find(db, uid, ret_state, err), err);
}

static int create(struct db *db, const struct db_now *now, const char *uid, const char *calling_ae,
                  struct sctd_error *err)
{
    enum db_step_state state = DB_STEP_IN_PROGRESS;
    struct sql_statement *s = NULL;
    int r = find(db, uid, &state, err);
    if (r != DB_NONE) {
        return r < 0 ? r : DB_EXISTS;
    }
    r = sql_prepare(&s, db->sql, "INSERT INTO step VALUES (?1, 0, ?2, ?3, ?3)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, uid);
    sql_bind_text(s, calling_ae);
    sql_bind_int(s, now->wall_ms);
    return sql_finish(s, err);
}

int db_step_create(struct db *db, const struct db_now *now, const char *uid, const char *calling_ae,
                   struct sctd_error *err)
{
    const struct core_text texts[] = {
        {"performed step", uid, DB_UID_SIZE, true},
        {"calling AE title", calling_ae, DB_AE_SIZE, true},
    };
    int r = core_check_texts(texts, sizeof texts / sizeof *texts, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, create(db, now, uid, calling_ae, err), err);
}

static int set(struct db *db, const struct db_now *now, const char *uid, enum db_step_state state,
               struct sctd_error *err)
{
    enum db_step_state old = DB_STEP_IN_PROGRESS;
    struct sql_statement *s = NULL;
    int r = find(db, uid, &old, err);
    if (r != 0 || old != DB_STEP_IN_PROGRESS) {
        return r != 0 ? r : DB_REFUSED;
    }
    r = sql_prepare(&s, db->sql, "UPDATE step SET state = ?1, changed_ms = ?2 WHERE uid = ?3", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, state);
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, uid);
    return sql_finish(s, err);
}

int db_step_set(struct db *db, const struct db_now *now, const char *uid, enum db_step_state state,
                struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, set(db, now, uid, state, err), err);
}
