/* SPDX-License-Identifier: Apache-2.0 */
#include "db/retention.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "db/core.h"
#include "db/db.h"
#include "db/jobs.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

/* The statements of each kind of file. */
struct kind {
    const char *removable; /* ?1: before, ?2: limit */
    const char *taken;     /* ?1: limit */
    const char *mark;      /* ?1: id */
    const char *uncount;   /* ?1: id */
    const char *forget;    /* ?1: id */
    const char *find;      /* ?1: file */
    const char *list;      /* ?1: after, ?2: limit */
};

static const struct kind kinds[] = {
    [DB_FILE_RECEIVED] =
        {
            "SELECT i.id, i.file, i.size FROM series AS s CROSS JOIN instance AS i ON i.series_id = s.id "
            "WHERE s.kept > 0 AND s.state > 0 AND s.last_ms < ?1 AND i.file_state = 0 AND s.closed_ms < ?1 "
            "AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.series_id = s.id AND (j.state NOT IN (4, 7) OR "
            "j.ended_ms >= ?1)) AND (s.state = 2 OR EXISTS (SELECT 1 FROM job AS j JOIN delivery AS d ON "
            "d.job_id = j.id AND d.state = 5 WHERE j.series_id = s.id AND j.revision = s.revision AND "
            "j.state = 4)) ORDER BY s.last_ms, s.id, i.id LIMIT ?2",
            "SELECT id, file, size FROM instance WHERE file_state = 1 ORDER BY id LIMIT ?1",
            "UPDATE instance SET file_state = 1 WHERE id = ?1 AND file_state = 0",
            "UPDATE series SET kept = kept - 1 WHERE id = (SELECT series_id FROM instance WHERE id = ?1)",
            "UPDATE instance SET file_state = 2 WHERE id = ?1 AND file_state = 1",
            "SELECT file_state FROM instance WHERE file = ?1 AND file_state < 2",
            "SELECT id, file, size FROM instance WHERE file_state = 0 AND id > ?1 ORDER BY id LIMIT ?2",
        },
    [DB_FILE_PRODUCED] =
        {
            "SELECT o.id, o.file, o.size FROM job AS j CROSS JOIN output AS o ON o.job_id = j.id "
            "WHERE j.kept > 0 AND j.ended_ms > 0 AND j.ended_ms < ?1 AND o.file_state = 0 AND ((j.state = 7 AND NOT "
            "EXISTS (SELECT 1 FROM job AS k WHERE k.output_series_uid = j.output_series_uid AND k.state < 3)) OR "
            "(j.state = 4 AND EXISTS (SELECT 1 FROM delivery AS d WHERE d.job_id = j.id AND d.state = 5))) "
            "ORDER BY j.ended_ms, j.id, o.place LIMIT ?2",
            "SELECT id, file, size FROM output WHERE file_state = 1 ORDER BY id LIMIT ?1",
            "UPDATE output SET file_state = 1 WHERE id = ?1 AND file_state = 0",
            "UPDATE job SET kept = kept - 1 WHERE id = (SELECT job_id FROM output WHERE id = ?1)",
            "UPDATE output SET file_state = 2 WHERE id = ?1 AND file_state = 1",
            "SELECT file_state FROM output WHERE file = ?1 AND file_state < 2",
            "SELECT id, file, size FROM output WHERE file_state = 0 AND id > ?1 ORDER BY id LIMIT ?2",
        },
};

static int run_with_id(struct db *db, const char *text, int64_t id, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    return sql_finish(s, err);
}

/* first: bound unless it is NULL, before the limit. */
static int read_removals(struct db *db, const char *text, const int64_t *first, size_t limit,
                         struct db_removal_list *ret_list, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, db_removal, id),
        SQL_FIELD(SQL_TEXT, db_removal, file),
        SQL_FIELD(SQL_I64, db_removal, size),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct db_removal)};
    struct sql_statement *s = NULL;
    int r = core_check_limit(limit, DB_BATCH_MAX, err);
    r = r < 0 ? r : sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    if (first != NULL) {
        sql_bind_int(s, *first);
    }
    sql_bind_int(s, (int64_t)limit);
    void *rows = NULL;
    size_t n = 0;
    r = sql_read_all(s, &layout, &rows, &n, err);
    if (r == 0) {
        *ret_list = (struct db_removal_list){rows, n};
    }
    return r;
}

void db_removal_list_fini(struct db_removal_list *list)
{
    free(list->removal);
    *list = (struct db_removal_list){0};
}

static int take(struct db *db, const struct kind *kind, int64_t before_ms, size_t limit,
                struct db_removal_list *list, struct sctd_error *err)
{
    int r = read_removals(db, kind->removable, &before_ms, limit, list, err);
    for (size_t i = 0; r == 0 && i < list->n; i++) {
        r = run_with_id(db, kind->mark, list->removal[i].id, err);
        r = r < 0 ? r : run_with_id(db, kind->uncount, list->removal[i].id, err);
    }
    return r;
}

int db_retention_take(struct db *db, enum db_file_kind kind, int64_t before_ms, size_t limit,
                      struct db_removal_list *ret_list, struct sctd_error *err)
{
    struct db_removal_list list = {0};
    int r = core_begin(db, err);
    r = r < 0 ? r : core_end(db, take(db, &kinds[kind], before_ms, limit, &list, err), err);
    if (r < 0) {
        db_removal_list_fini(&list);
        return r;
    }
    *ret_list = list;
    return 0;
}

static int take_result(struct db *db, int64_t job_id, int64_t *ret_n, struct sctd_error *err)
{
    struct db_job job = {0};
    int64_t makers = 0; /* which may have found its files, and make nothing anew */
    int r = db_job_get(db, job_id, &job, err);
    if (r != 0) {
        return r;
    }
    if (job.state != DB_JOB_DONE && job.state != DB_JOB_CANCELLED) {
        return DB_REFUSED;
    }
    r = core_number(db,
                    "SELECT count(*) FROM job AS j JOIN job AS k ON k.output_series_uid = "
                    "j.output_series_uid AND k.id <> j.id AND k.state < 3 WHERE j.id = ?1",
                    job_id, &makers, err);
    if (r < 0 || makers > 0) {
        return r < 0 ? r : DB_REFUSED;
    }
    r = core_number(db, "SELECT count(*) FROM output WHERE job_id = ?1 AND file_state = 0", job_id,
                    ret_n, err);
    r = r < 0 ? r
              : run_with_id(db,
                            "UPDATE output SET file_state = 1 WHERE job_id = ?1 AND file_state = 0",
                            job_id, err);
    core_changed(db, DB_CHANGE_JOB, job_id);
    return r < 0 ? r : run_with_id(db, "UPDATE job SET kept = 0 WHERE id = ?1", job_id, err);
}

int db_result_take(struct db *db, int64_t job_id, int64_t *ret_n, struct sctd_error *err)
{
    const int r = core_begin(db, err);
    return r < 0 ? r : core_end(db, take_result(db, job_id, ret_n, err), err);
}

int db_retention_taken(struct db *db, enum db_file_kind kind, size_t limit,
                       struct db_removal_list *ret_list, struct sctd_error *err)
{
    return read_removals(db, kinds[kind].taken, NULL, limit, ret_list, err);
}

static int forget(struct db *db, const struct kind *kind, const int64_t *ids, size_t n,
                  struct sctd_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = run_with_id(db, kind->forget, ids[i], err);
    }
    return r;
}

int db_retention_done(struct db *db, enum db_file_kind kind, const int64_t *ids, size_t n,
                      struct sctd_error *err)
{
    int r = core_check_limit(n, DB_BATCH_MAX, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, forget(db, &kinds[kind], ids, n, err), err);
}

int db_file_find(struct db *db, enum db_file_kind kind, const char *file, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, kinds[kind].find, err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, file);
    r = sql_step(s, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : DB_NONE;
    }
    return sql_get_int(s, 0) == 0 ? 0 : DB_LOST;
}

int db_file_list(struct db *db, enum db_file_kind kind, int64_t after, size_t limit,
                 struct db_removal_list *ret_list, struct sctd_error *err)
{
    return read_removals(db, kinds[kind].list, &after, limit, ret_list, err);
}

int db_result_is_left(struct db *db, const char *output_series_uid, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "SELECT count(*), coalesce(sum(state <> 7), 0), coalesce(sum(EXISTS (SELECT 1 FROM "
        "output AS o WHERE o.job_id = job.id AND o.file_state < 2)), 0) FROM job WHERE "
        "output_series_uid = ?1",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, output_series_uid);
    r = sql_step(s, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "job store: no count");
    }
    if (sql_get_int(s, 0) == 0) {
        return DB_NONE;
    }
    return sql_get_int(s, 1) > 0 || sql_get_int(s, 2) > 0 ? DB_REFUSED : 0;
}
