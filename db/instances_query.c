/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

static const char *const evidence_names[] = {
    [DB_EVIDENCE_NONE] = "none",       [DB_EVIDENCE_COMMITMENT] = "commitment",
    [DB_EVIDENCE_MPPS] = "mpps",       [DB_EVIDENCE_COUNT] = "count",
    [DB_EVIDENCE_RELEASE] = "release", [DB_EVIDENCE_GEOMETRY] = "geometry",
    [DB_EVIDENCE_QUIET] = "quiet",     [DB_EVIDENCE_REQUEST] = "request",
};

static const char *const state_names[] = {
    [DB_SERIES_OPEN] = "open",
    [DB_SERIES_CLOSED] = "closed",
    [DB_SERIES_DISCARDED] = "discarded",
};

const char *db_series_state_name(enum db_series_state state)
{
    return (unsigned)state < DB_SERIES_STATES ? state_names[state] : "?";
}

const char *db_evidence_name(enum db_evidence evidence)
{
    return (unsigned)evidence < DB_EVIDENCES ? evidence_names[evidence] : "?";
}

#define SERIES_SELECT                                                                                  \
    "SELECT s.id, s.study_id, t.uid, s.uid, s.state, s.evidence, s.revision, s.instances, s.bytes, "   \
    "s.first_ms, s.last_ms, t.last_ms, s.closed_ms, ifnull(e.evidence, 0), ifnull(e.n, 0), "           \
    "CASE WHEN EXISTS (SELECT 1 FROM expected_uid WHERE series_uid = s.uid) THEN (SELECT count(*) "    \
    "FROM expected_uid AS u WHERE u.series_uid = s.uid AND NOT EXISTS (SELECT 1 FROM instance AS i "   \
    "WHERE i.sop_uid = u.sop_uid AND i.file_state = 0)) ELSE -1 END, a.ae, s.called_ae, s.peer, "      \
    "s.modality, s.series_description, s.study_description, s.protocol, s.body_part, s.manufacturer, " \
    "s.model_name, s.station, s.image_type, s.frame_of_reference_uid, s.series_number, s.reason "      \
    "FROM series AS s JOIN study AS t ON t.id = s.study_id JOIN source AS a ON a.id = s.source_id "    \
    "LEFT JOIN expected AS e ON e.series_uid = s.uid"

static const struct sql_field series_fields[] = {
    SQL_FIELD(SQL_I64, db_series, id),
    SQL_FIELD(SQL_I64, db_series, study_id),
    SQL_FIELD(SQL_TEXT, db_series, study_uid),
    SQL_FIELD(SQL_TEXT, db_series, series_uid),
    SQL_FIELD_ENUM(db_series, state, DB_SERIES_DISCARDED + 1),
    SQL_FIELD_ENUM(db_series, evidence, DB_EVIDENCES),
    SQL_FIELD(SQL_I32, db_series, revision),
    SQL_FIELD(SQL_I32, db_series, instances),
    SQL_FIELD(SQL_I64, db_series, bytes),
    SQL_FIELD(SQL_I64, db_series, first_ms),
    SQL_FIELD(SQL_I64, db_series, last_ms),
    SQL_FIELD(SQL_I64, db_series, study_last_ms),
    SQL_FIELD(SQL_I64, db_series, closed_ms),
    SQL_FIELD_ENUM(db_series, expected_by, DB_EVIDENCES),
    SQL_FIELD(SQL_I32, db_series, expected),
    SQL_FIELD(SQL_I32, db_series, missing),
    SQL_FIELD(SQL_TEXT, db_series, calling_ae),
    SQL_FIELD(SQL_TEXT, db_series, called_ae),
    SQL_FIELD(SQL_TEXT, db_series, peer),
    SQL_FIELD(SQL_TEXT, db_series, modality),
    SQL_FIELD(SQL_TEXT, db_series, series_description),
    SQL_FIELD(SQL_TEXT, db_series, study_description),
    SQL_FIELD(SQL_TEXT, db_series, protocol),
    SQL_FIELD(SQL_TEXT, db_series, body_part),
    SQL_FIELD(SQL_TEXT, db_series, manufacturer),
    SQL_FIELD(SQL_TEXT, db_series, model_name),
    SQL_FIELD(SQL_TEXT, db_series, station),
    SQL_FIELD(SQL_TEXT, db_series, image_type),
    SQL_FIELD(SQL_TEXT, db_series, frame_of_reference_uid),
    SQL_FIELD(SQL_I32, db_series, series_number),
    SQL_FIELD(SQL_TEXT, db_series, reason),
};
enum { N_SERIES_FIELDS = sizeof series_fields / sizeof *series_fields };

static int read_series(struct sql_statement *s, struct db_series *ret_series,
                       struct sctd_error *err)
{
    return core_read_one(s, series_fields, N_SERIES_FIELDS, ret_series, err);
}

int db_series_get(struct db *db, int64_t id, struct db_series *ret_series, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, SERIES_SELECT " WHERE s.id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, id);
    return read_series(s, ret_series, err);
}

int db_series_find(struct db *db, const char *series_uid, struct db_series *ret_series,
                   struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, SERIES_SELECT " WHERE s.uid = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, series_uid);
    return read_series(s, ret_series, err);
}

int db_series_list(struct db *db, const struct db_series_filter *filter,
                   struct db_series_page *ret_list, struct sctd_error *err)
{
    const struct core_match matches[] = {
        {"s.state = ?", NULL, filter->state, filter->state >= 0},
        {"t.uid = ?", filter->study_uid, 0, filter->study_uid != NULL},
    };
    const struct core_page page = {
        .select = SERIES_SELECT,
        .id = "s.id",
        .match = matches,
        .n_matches = sizeof matches / sizeof *matches,
        .ascending = filter->ascending,
        .after = filter->after,
        .limit = filter->limit,
        .layout = {series_fields, N_SERIES_FIELDS, sizeof(struct db_series)},
    };
    struct core_rows rows = {0};
    const int r = core_list(db, &page, &rows, err);
    if (r == 0) {
        *ret_list = (struct db_series_page){rows.data, rows.n, rows.next};
    }
    return r;
}

void db_series_page_fini(struct db_series_page *list)
{
    free(list->series);
    *list = (struct db_series_page){0};
}

int db_series_members(struct db *db, int64_t series_id, int32_t revision,
                      struct db_member_list *ret_list, struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, db_member, id),
        SQL_FIELD(SQL_TEXT, db_member, sop_uid),
        SQL_FIELD(SQL_TEXT, db_member, sop_class_uid),
        SQL_FIELD(SQL_TEXT, db_member, transfer_syntax_uid),
        SQL_FIELD(SQL_TEXT, db_member, file),
        SQL_FIELD(SQL_BYTES, db_member, sha256),
        SQL_FIELD(SQL_I64, db_member, size),
        SQL_FIELD(SQL_I64, db_member, received_ms),
        SQL_FIELD(SQL_I32, db_member, revision),
        SQL_FIELD(SQL_I32, db_member, instance_number),
        SQL_FIELD(SQL_I32, db_member, frames),
        SQL_FIELD(SQL_REAL, db_member, slice_mm),
        SQL_FIELD(SQL_TEXT, db_member, stack),
    };
    static const struct sql_layout layout = {fields, sizeof fields / sizeof *fields,
                                             sizeof(struct db_member)};
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "SELECT id, sop_uid, sop_class_uid, transfer_syntax_uid, file, sha256, size, "
        "received_ms, revision, instance_number, frames, slice_mm, stack FROM instance "
        "WHERE series_id = ?1 AND file_state = 0 AND (?2 = 0 OR revision <= ?2) ORDER BY id",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, series_id);
    sql_bind_int(s, revision);
    void *rows = NULL;
    size_t n = 0;
    r = sql_read_all(s, &layout, &rows, &n, err);
    if (r == 0) {
        *ret_list = (struct db_member_list){rows, n};
    }
    return r;
}

void db_member_list_fini(struct db_member_list *list)
{
    free(list->member);
    *list = (struct db_member_list){0};
}

/* What is expected of a series */

static int check_expectation(const struct db_expectation *e, struct sctd_error *err)
{
    const struct core_text uid = {"Series Instance UID", e->series_uid, DB_UID_SIZE, true};
    int r = core_check_texts(&uid, 1, err);
    if (r == 0 && (e->count < 1 || e->count > DB_SERIES_INSTANCES_MAX ||
                   e->n_sop_uids > DB_SERIES_INSTANCES_MAX)) {
        r = sctd_error(err, SCTD_EINVAL, "job store: a series of %d expected instances (1 to %d)",
                       (int)e->count, (int)DB_SERIES_INSTANCES_MAX);
    }
    if (r == 0 && e->evidence != DB_EVIDENCE_COMMITMENT && e->evidence != DB_EVIDENCE_MPPS &&
        e->evidence != DB_EVIDENCE_COUNT) {
        r = sctd_error(err, SCTD_EINVAL, "job store: %s tells no count of instances",
                       db_evidence_name(e->evidence));
    }
    for (size_t i = 0; r == 0 && i < e->n_sop_uids; i++) {
        const struct core_text sop = {"SOP Instance UID", e->sop_uids[i], DB_UID_SIZE, true};
        r = core_check_texts(&sop, 1, err);
    }
    return r;
}

static int add_expected_uid(struct db *db, const char *series_uid, const char *sop_uid,
                            struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r =
        sql_prepare(&s, db->sql, "INSERT OR IGNORE INTO expected_uid VALUES (?1, ?2)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, series_uid);
    sql_bind_text(s, sop_uid);
    return sql_finish(s, err);
}

static int expect(struct db *db, const struct db_now *now, const struct db_expectation *e,
                  struct sctd_error *err)
{
    /* What was announced and never came must not pile up. */
    const int64_t age_ms = (int64_t)30 * 24 * 3600 * 1000;
    struct sql_statement *s = NULL;
    int r =
        sql_prepare(&s, db->sql, "DELETE FROM expected WHERE series_uid = ?1 OR at_ms < ?2", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, e->series_uid);
    sql_bind_int(s, now->wall_ms - age_ms);
    r = sql_finish(s, err);
    r = r < 0 ? r : sql_prepare(&s, db->sql, "INSERT INTO expected VALUES (?1, ?2, ?3, ?4)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, e->series_uid);
    sql_bind_int(s, (int64_t)e->evidence);
    sql_bind_int(s, e->count);
    sql_bind_int(s, now->wall_ms);
    r = sql_finish(s, err);
    for (size_t i = 0; r == 0 && i < e->n_sop_uids; i++) {
        r = add_expected_uid(db, e->series_uid, e->sop_uids[i], err);
    }
    return r;
}

int db_series_expect(struct db *db, const struct db_now *now,
                     const struct db_expectation *expectation, struct sctd_error *err)
{
    int r = check_expectation(expectation, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, expect(db, now, expectation, err), err);
}

/* Discarding */

struct discarding {
    int64_t series_id;
    enum db_series_state from, to;
    const char *reason;
};

static int change_series(struct db *db, const struct db_now *now, const struct discarding *d,
                         struct sctd_error *err)
{
    struct db_series series = {0};
    int r = db_series_get(db, d->series_id, &series, err);
    if (r != 0) {
        return r;
    }
    if (series.state != d->from) {
        return DB_REFUSED;
    }
    struct sql_statement *s = NULL;
    r = sql_prepare(&s, db->sql,
                    "UPDATE series SET state = ?2, closed_ms = ?3, reason = ?4 WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, d->series_id);
    sql_bind_int(s, (int64_t)d->to);
    sql_bind_int(s, d->to == DB_SERIES_OPEN ? 0 : now->wall_ms);
    sql_bind_text(s, d->reason);
    core_changed(db, DB_CHANGE_SERIES, d->series_id);
    return sql_finish(s, err);
}

static int begin_change(struct db *db, const struct db_now *now, const struct discarding *d,
                        struct sctd_error *err)
{
    const struct core_text reason = {"reason", d->reason, DB_REASON_SIZE, true};
    int r = core_check_texts(&reason, 1, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, change_series(db, now, d, err), err);
}

int db_series_discard(struct db *db, const struct db_now *now, int64_t series_id,
                      const char *reason, struct sctd_error *err)
{
    const struct discarding d = {series_id, DB_SERIES_OPEN, DB_SERIES_DISCARDED, reason};
    return begin_change(db, now, &d, err);
}

int db_series_reopen(struct db *db, const struct db_now *now, int64_t series_id, const char *reason,
                     struct sctd_error *err)
{
    const struct discarding d = {series_id, DB_SERIES_DISCARDED, DB_SERIES_OPEN, reason};
    return begin_change(db, now, &d, err);
}

int db_series_is_ours(struct db *db, const char *series_uid, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, "SELECT 1 FROM job WHERE output_series_uid = ?1 LIMIT 1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, series_uid);
    r = sql_step(s, err);
    return r < 0 ? r : (r == SQL_ROW ? 0 : DB_NONE);
}

int db_subject_get(struct db *db, int64_t series_id, struct db_subject *ret_subject,
                   struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_TEXT, db_subject, modality),
        SQL_FIELD(SQL_TEXT, db_subject, series_description),
        SQL_FIELD(SQL_TEXT, db_subject, study_uid),
        SQL_FIELD(SQL_TEXT, db_subject, patient_id),
        SQL_FIELD(SQL_TEXT, db_subject, patient_name),
        SQL_FIELD(SQL_TEXT, db_subject, character_set),
    };
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r =
        sql_prepare(&s, db->sql,
                    "SELECT s.modality, s.series_description, t.uid, ifnull(i.patient_id, x''), "
                    "ifnull(i.patient_name, x''), ifnull(i.character_set, x'') FROM series AS s "
                    "JOIN study AS t ON t.id = s.study_id LEFT JOIN identity AS i ON "
                    "i.study_id = t.id WHERE s.id = ?1",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, series_id);
    return core_read_one(s, fields, sizeof fields / sizeof *fields, ret_subject, err);
}
