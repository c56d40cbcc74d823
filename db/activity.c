/* SPDX-License-Identifier: Apache-2.0 */
#include "db/activity.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

struct window {
    int64_t from_ms, step_ms;
    size_t n;
};

/* Rows are: step, state, how many, slices. */
static int count(struct db *db, const char *text, const struct window *w,
                 void (*take)(struct db_activity *step, const struct sql_statement *s),
                 struct db_activity *steps, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, w->from_ms);
    sql_bind_int(s, w->step_ms);
    sql_bind_int(s, w->from_ms + w->step_ms * (int64_t)w->n);
    while ((r = sql_step(s, err)) == SQL_ROW) {
        const int64_t step = sql_get_int(s, 0);
        if (step >= 0 && (size_t)step < w->n) {
            take(&steps[step], s);
        }
    }
    return r;
}

static void take_series(struct db_activity *step, const struct sql_statement *s)
{
    step->received += sql_get_int(s, 2);
}

static void take_jobs(struct db_activity *step, const struct sql_statement *s)
{
    const int64_t state = sql_get_int(s, 1);
    if (state == DB_JOB_DONE) {
        step->done += sql_get_int(s, 2);
        step->slices += sql_get_int(s, 3);
    } else if (state == DB_JOB_FAILED || state == DB_JOB_POISON) {
        step->failed += sql_get_int(s, 2);
    }
}

int db_activity_list(struct db *db, int64_t from_ms, int64_t step_ms,
                     struct db_activity *ret_activity, size_t n, struct sctd_error *err)
{
    const struct window w = {from_ms, step_ms, n};
    struct db_activity steps[DB_ACTIVITY_MAX] = {{0}};
    if (n < 1 || n > DB_ACTIVITY_MAX || step_ms < 1 || from_ms < 0) {
        return sctd_error(err, SCTD_EINVAL, "job store: %zu steps of %lld ms", n,
                          (long long)step_ms);
    }
    int r = count(db,
                  "SELECT (first_ms - ?1) / ?2, 0, count(*) FROM series WHERE first_ms >= ?1 AND "
                  "first_ms < ?3 GROUP BY 1",
                  &w, take_series, steps, err);
    r = r < 0 ? r
              : count(db,
                      "SELECT (ended_ms - ?1) / ?2, state, count(*), sum(outputs) FROM job WHERE "
                      "ended_ms > 0 AND ended_ms >= ?1 AND ended_ms < ?3 GROUP BY 1, 2",
                      &w, take_jobs, steps, err);
    if (r == 0) {
        memcpy(ret_activity, steps, n * sizeof *steps);
    }
    return r;
}
