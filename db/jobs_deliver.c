/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/moves.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static const char asked[] = "to be sent on";

struct wish {
    int64_t job_id;
    const struct db_job_spec *spec;
    bool again;
};

/* 0: none. */
static int find_delivery(struct db *db, int64_t job_id, const char *destination, int64_t *ret_id,
                         struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT d.id FROM delivery AS d JOIN destination AS t ON t.id = "
                        "d.destination_id WHERE d.job_id = ?1 AND t.name = ?2",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, job_id);
    sql_bind_text(s, destination);
    r = sql_step(s, err);
    *ret_id = r == SQL_ROW ? sql_get_int(s, 0) : 0;
    return r < 0 ? r : 0;
}

/* Nothing of them is stored or committed. */
static int empty(struct db *db, const char *text, int64_t id, int64_t instances,
                 struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    sql_bind_int(s, instances);
    return sql_finish(s, err);
}

static int send_again(struct db *db, const struct db_now *now, int64_t id, int64_t instances,
                      struct sctd_error *err)
{
    const struct moves_why why = {asked, NULL};
    struct moves_sending m = {0};
    int r = empty(
        db,
        "UPDATE delivery SET stored = 0, committed = 0, stored_bits = zeroblob((?2 + 7) / 8), "
        "committed_bits = zeroblob((?2 + 7) / 8) WHERE id = ?1",
        id, instances, err);
    r = r < 0 ? r : moves_get_delivery(db, id, &m, err);
    if (r != 0) {
        return r;
    }
    m.d.failures = 0;
    m.d.spent_ms = 0;
    m.best = 0;
    return moves_delivery(db, now, &m, DB_DELIVERY_QUEUED, &why, err);
}

/* *n: how many are to be sent now. */
static int add_all(struct db *db, const struct db_now *now, const struct wish *wish,
                   int64_t instances, int32_t *n, struct sctd_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < wish->spec->n_destinations; i++) {
        int64_t id = 0;
        r = find_delivery(db, wish->job_id, wish->spec->destinations[i], &id, err);
        if (r < 0 || (id != 0 && !wish->again)) {
            continue;
        }
        r = id == 0 ? jobs_create_delivery(db, now, wish->job_id, wish->spec, i, err)
                    : send_again(db, now, id, instances, err);
        (*n)++;
    }
    const struct moves_group group = {wish->job_id, 1U << DB_DELIVERY_WAITING, DB_DELIVERY_QUEUED};
    r = r < 0 ? r
              : empty(db,
                      "UPDATE delivery SET instances = ?2, stored_bits = zeroblob((?2 + 7) / 8), "
                      "committed_bits = zeroblob((?2 + 7) / 8) WHERE job_id = ?1 AND state = 0",
                      wish->job_id, instances, err);
    return r < 0 ? r : moves_deliveries(db, now, &group, asked, err);
}

static int deliver(struct db *db, const struct db_now *now, const struct wish *wish,
                   struct sctd_error *err)
{
    const struct moves_why why = {asked, NULL};
    struct db_job job = {0};
    int64_t missing = 0;
    int32_t n = 0;
    int r = db_job_get(db, wish->job_id, &job, err);
    r = r != 0 ? r
               : core_number(db, "SELECT outputs - kept FROM job WHERE id = ?1", wish->job_id,
                             &missing, err);
    if (r != 0 || job.state != DB_JOB_DONE || missing > 0 || db_job_is_barred(&job) ||
        (job.review == DB_REVIEW_NEEDED && wish->spec->hold)) {
        return r != 0 ? r : DB_REFUSED;
    }
    r = add_all(db, now, wish, job.outputs, &n, err);
    if (r < 0 || n == 0) {
        return r < 0 ? r : DB_NONE;
    }
    return moves_job(db, now, &job, DB_JOB_DELIVERING, &why, err);
}

int db_job_deliver(struct db *db, const struct db_now *now, int64_t job_id,
                   const struct db_job_spec *spec, bool again, struct sctd_error *err)
{
    const struct wish wish = {job_id, spec, again};
    if (spec->n_destinations > DB_DESTINATIONS_MAX) {
        return sctd_error(err, SCTD_EINVAL, "job store: %zu destinations (at most %d)",
                          spec->n_destinations, DB_DESTINATIONS_MAX);
    }
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, deliver(db, now, &wish, err), err);
}
