/* SPDX-License-Identifier: Apache-2.0 */
#include "db/instances.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/core.h"
#include "db/db.h"
#include "db/events.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

enum { RAW_SIZE = 1025, CHARACTER_SET_SIZE = 257, FRAMES_MAX = 1 << 20 };

/* Files: kept, taken for removal, removed; as in schema.c. */
enum { KEPT = 0, TAKEN = 1, REMOVED = 2 };

static int check_instance(const struct db_instance *i, struct sctd_error *err)
{
    const struct db_series_facts *f = &i->facts;
    const struct core_text texts[] = {
        {"Study Instance UID", i->study_uid, DB_UID_SIZE, true},
        {"Series Instance UID", i->series_uid, DB_UID_SIZE, true},
        {"SOP Instance UID", i->sop_uid, DB_UID_SIZE, true},
        {"SOP Class UID", i->sop_class_uid, DB_UID_SIZE, true},
        {"transfer syntax", i->transfer_syntax_uid, DB_UID_SIZE, true},
        {"calling AE title", i->calling_ae, DB_AE_SIZE, true},
        {"called AE title", i->called_ae, DB_AE_SIZE, false},
        {"peer", i->peer, DB_NAME_SIZE, false},
        {"file", i->file, DB_FILE_SIZE, true},
        {"stack", i->stack, DB_NAME_SIZE, false},
        {"modality", f->modality, DB_AE_SIZE, false},
        {"series description", f->series_description, DB_TEXT_SIZE, false},
        {"study description", f->study_description, DB_TEXT_SIZE, false},
        {"protocol", f->protocol, DB_TEXT_SIZE, false},
        {"body part", f->body_part, DB_TEXT_SIZE, false},
        {"manufacturer", f->manufacturer, DB_TEXT_SIZE, false},
        {"model name", f->model_name, DB_TEXT_SIZE, false},
        {"station", f->station, DB_TEXT_SIZE, false},
        {"image type", f->image_type, DB_TEXT_SIZE, false},
        {"Frame of Reference UID", f->frame_of_reference_uid, DB_UID_SIZE, false},
    };
    const struct db_identity *p = &i->identity;
    if ((p->patient_id != NULL && strnlen(p->patient_id, RAW_SIZE) == RAW_SIZE) ||
        (p->patient_name != NULL && strnlen(p->patient_name, RAW_SIZE) == RAW_SIZE) ||
        (p->character_set != NULL &&
         strnlen(p->character_set, CHARACTER_SET_SIZE) == CHARACTER_SET_SIZE)) {
        return sctd_error(err, SCTD_EINVAL, "job store: an identity beyond its limit");
    }
    if (i->size < 0 || i->frames < 1 || i->frames > FRAMES_MAX) {
        return sctd_error(err, SCTD_EINVAL,
                          "job store: an instance with an impossible size or frames");
    }
    return core_check_texts(texts, sizeof texts / sizeof *texts, err);
}

/* What is there */

struct known {
    int64_t id, series_id;
    int file_state;
    unsigned char sha256[SHA256_SIZE];
    char file[DB_FILE_SIZE];
};

static int find_known(struct db *db, const char *sop_uid, struct known *ret_known,
                      struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, known, id),        SQL_FIELD(SQL_I64, known, series_id),
        SQL_FIELD_ENUM(known, file_state, 3), SQL_FIELD(SQL_BYTES, known, sha256),
        SQL_FIELD(SQL_TEXT, known, file),
    };
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "SELECT id, series_id, file_state, sha256, file FROM instance WHERE sop_uid = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, sop_uid);
    return core_read_one(s, fields, sizeof fields / sizeof *fields, ret_known, err);
}

/* The id in the first column of a statement with one text; 0: none. */
static int find_id(struct db *db, const char *text, const char *key, int64_t *ret_id,
                   struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, key);
    r = sql_step(s, err);
    if (r < 0) {
        return r;
    }
    *ret_id = r == SQL_ROW ? sql_get_int(s, 0) : 0;
    return 0;
}

static int find_source(struct db *db, const char *ae, int64_t *ret_id, struct sctd_error *err)
{
    int r = find_id(db, "SELECT id FROM source WHERE ae = ?1", ae, ret_id, err);
    if (r < 0 || *ret_id != 0) {
        return r;
    }
    struct sql_statement *s = NULL;
    r = sql_prepare(&s, db->sql, "INSERT INTO source (ae) VALUES (?1)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, ae);
    r = sql_finish(s, err);
    *ret_id = sql_last_id(db->sql);
    return r;
}

static int add_identity(struct db *db, int64_t study_id, const struct db_identity *identity,
                        struct sctd_error *err)
{
    const char *values[] = {identity->patient_id, identity->patient_name, identity->character_set};
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, db->sql, "INSERT INTO identity VALUES (?1, ?2, ?3, ?4)", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, study_id);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        sql_bind_blob(s, values[i], values[i] == NULL ? 0 : strlen(values[i]));
    }
    return sql_finish(s, err);
}

static int find_study(struct db *db, const struct db_instance *i, int64_t *ret_id,
                      struct sctd_error *err)
{
    int r = find_id(db, "SELECT id FROM study WHERE uid = ?1", i->study_uid, ret_id, err);
    if (r < 0 || *ret_id != 0) {
        return r;
    }
    struct sql_statement *s = NULL;
    r = sql_prepare(&s, db->sql, "INSERT INTO study (uid, first_ms, last_ms) VALUES (?1, ?2, ?2)",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, i->study_uid);
    sql_bind_int(s, i->received_ms);
    r = sql_finish(s, err);
    *ret_id = sql_last_id(db->sql);
    return r < 0 ? r : add_identity(db, *ret_id, &i->identity, err);
}

struct place {
    int64_t series_id, study_id;
    int state;
    int32_t revision, instances;
};

static int find_series(struct db *db, const char *uid, struct place *ret_place,
                       struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, place, series_id), SQL_FIELD(SQL_I64, place, study_id),
        SQL_FIELD_ENUM(place, state, 3),      SQL_FIELD(SQL_I32, place, revision),
        SQL_FIELD(SQL_I32, place, instances),
    };
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql, "SELECT id, study_id, state, revision, instances FROM series WHERE uid = ?1",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_text(s, uid);
    return core_read_one(s, fields, sizeof fields / sizeof *fields, ret_place, err);
}

static int add_series(struct db *db, const struct db_instance *i, struct place *ret_place,
                      struct sctd_error *err)
{
    struct place place = {0, 0, DB_SERIES_OPEN, 1, 0};
    int64_t source_id = 0;
    int r = find_source(db, i->calling_ae, &source_id, err);
    r = r < 0 ? r : find_study(db, i, &place.study_id, err);
    struct sql_statement *s = NULL;
    r = r < 0
            ? r
            : sql_prepare(
                  &s, db->sql,
                  "INSERT INTO series (study_id, source_id, first_ms, series_number, uid, called_ae, "
                  "peer, modality, series_description, study_description, protocol, body_part, "
                  "manufacturer, model_name, station, image_type, frame_of_reference_uid, last_ms, "
                  "state, evidence, revision, instances, kept, bytes, closed_ms, reason) VALUES (?1, "
                  "?2, ?3, nullif(?4, -2147483648), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
                  "?15, ?16, ?17, ?3, 0, 0, 1, 0, 0, 0, 0, '')",
                  err);
    if (r < 0) {
        return r;
    }
    const struct db_series_facts *f = &i->facts;
    const char *texts[] = {i->series_uid,
                           i->called_ae,
                           i->peer,
                           f->modality,
                           f->series_description,
                           f->study_description,
                           f->protocol,
                           f->body_part,
                           f->manufacturer,
                           f->model_name,
                           f->station,
                           f->image_type,
                           f->frame_of_reference_uid};
    sql_bind_int(s, place.study_id);
    sql_bind_int(s, source_id);
    sql_bind_int(s, i->received_ms);
    sql_bind_int(s, f->series_number);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        sql_bind_text(s, texts[k]);
    }
    r = sql_finish(s, err);
    place.series_id = sql_last_id(db->sql);
    *ret_place = place;
    return r;
}

/* Putting one */

static int add_instance(struct db *db, const struct db_instance *i, const struct place *place,
                        struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(
        &s, db->sql,
        "INSERT INTO instance (series_id, sop_uid, sop_class_uid, transfer_syntax_uid, file, size, "
        "sha256, received_ms, revision, instance_number, frames, slice_mm, stack, file_state) VALUES "
        "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, nullif(?10, -2147483648), ?11, ?12, ?13, 0) "
        "ON CONFLICT (sop_uid) DO UPDATE SET sop_class_uid = ?3, transfer_syntax_uid = ?4, file = ?5, "
        "size = ?6, sha256 = ?7, received_ms = ?8, revision = ?9, instance_number = "
        "excluded.instance_number, frames = ?11, slice_mm = ?12, stack = ?13, file_state = 0",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, place->series_id);
    sql_bind_text(s, i->sop_uid);
    sql_bind_text(s, i->sop_class_uid);
    sql_bind_text(s, i->transfer_syntax_uid);
    sql_bind_text(s, i->file);
    sql_bind_int(s, i->size);
    sql_bind_blob(s, i->sha256, sizeof i->sha256);
    sql_bind_int(s, i->received_ms);
    sql_bind_int(s, place->revision);
    sql_bind_int(s, i->instance_number);
    sql_bind_int(s, i->frames);
    sql_bind_real(s, i->slice_mm);
    sql_bind_text(s, i->stack);
    return sql_finish(s, err);
}

/* added: 1, or 0 if its row was there (a removed file has come again). */
static int count_instance(struct db *db, const struct db_instance *i, const struct place *place,
                          int32_t added, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "UPDATE series SET instances = instances + ?2, kept = kept + 1, bytes = bytes + ?3, "
        "last_ms = max(last_ms, ?4), revision = ?5, state = ?6, evidence = CASE WHEN ?6 = 0 "
        "THEN 0 ELSE evidence END, closed_ms = CASE WHEN ?6 = 0 THEN 0 ELSE closed_ms END "
        "WHERE id = ?1",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, place->series_id);
    sql_bind_int(s, added);
    sql_bind_int(s, i->size);
    sql_bind_int(s, i->received_ms);
    sql_bind_int(s, place->revision);
    sql_bind_int(s, place->state);
    r = sql_finish(s, err);
    r = r < 0 ? r
              : sql_prepare(&s, db->sql,
                            "UPDATE study SET last_ms = max(last_ms, ?2) WHERE id = ?1", err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, place->study_id);
    sql_bind_int(s, i->received_ms);
    return sql_finish(s, err);
}

static int note_event(struct db *db, const struct db_now *now, const char *kind,
                      const struct db_instance *i, struct sctd_error *err)
{
    struct db_event event = {0};
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    (void)snprintf(event.actor, sizeof event.actor, "%s", i->calling_ae);
    (void)snprintf(event.subject, sizeof event.subject, "%s", i->sop_uid);
    char hex[SHA256_HEX_SIZE];
    sha256_to_hex(i->sha256, hex);
    (void)snprintf(event.text, sizeof event.text, "%.64s: SHA-256 %.64s, %lld bytes",
                   i->peer == NULL ? "" : i->peer, hex, (long long)i->size);
    return core_event(db, now, &event, err);
}

static int say(struct db_put_result *result, enum db_put outcome, const char *reason)
{
    result->outcome = outcome;
    (void)snprintf(result->reason, sizeof result->reason, "%s", reason);
    return 0;
}

static void tell_place(struct db_put_result *result, const struct place *place)
{
    result->series_id = place->series_id;
    result->revision = place->revision;
    result->instances = place->instances;
}

static int get_place(struct db *db, int64_t series_id, struct place *ret_place,
                     struct sctd_error *err)
{
    static const struct sql_field fields[] = {
        SQL_FIELD(SQL_I64, place, series_id), SQL_FIELD(SQL_I64, place, study_id),
        SQL_FIELD_ENUM(place, state, 3),      SQL_FIELD(SQL_I32, place, revision),
        SQL_FIELD(SQL_I32, place, instances),
    };
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql,
                        "SELECT id, study_id, state, revision, instances FROM series WHERE id = ?1",
                        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, series_id);
    r = sql_step(s, err);
    return r < 0 ? r : sql_read(s, fields, sizeof fields / sizeof *fields, ret_place, err);
}

/* It is there with its file, or its file is on its way out. */
static int put_known(struct db *db, const struct db_now *now, const struct db_instance *i,
                     const struct known *known, struct db_put_result *result,
                     struct sctd_error *err)
{
    struct place place = {0};
    const int r = get_place(db, known->series_id, &place, err);
    if (r < 0) {
        return r;
    }
    tell_place(result, &place);
    (void)snprintf(result->kept_file, sizeof result->kept_file, "%s", known->file);
    if (known->file_state == TAKEN) {
        return say(result, DB_PUT_BUSY, "its earlier file is being removed: send it again later");
    }
    if (memcmp(known->sha256, i->sha256, SHA256_SIZE) == 0) {
        return say(result, DB_PUT_SAME, "");
    }
    (void)say(result, DB_PUT_CONFLICT, "an instance with this UID and other contents is kept");
    return note_event(db, now, "conflict", i, err);
}

static int name_source(struct db *db, const struct db_instance *i, int64_t series_id,
                       struct sctd_error *err)
{
    int64_t unknown_id = 0;
    int64_t source_id = 0;
    int r = find_id(db, "SELECT id FROM source WHERE ae = ?1", DB_AE_UNKNOWN, &unknown_id, err);
    if (r < 0 || unknown_id == 0 || strcmp(i->calling_ae, DB_AE_UNKNOWN) == 0) {
        return r < 0 ? r : 0;
    }
    r = find_source(db, i->calling_ae, &source_id, err);
    struct sql_statement *s = NULL;
    r = r < 0
            ? r
            : sql_prepare(&s, db->sql,
                          "UPDATE series SET source_id = ?1, called_ae = ?2, peer = ?3 WHERE id = "
                          "?4 AND source_id = ?5",
                          err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, source_id);
    sql_bind_text(s, i->called_ae);
    sql_bind_text(s, i->peer);
    sql_bind_int(s, series_id);
    sql_bind_int(s, unknown_id);
    return sql_finish(s, err);
}

static int find_or_add_series(struct db *db, const struct db_now *now, const struct db_instance *i,
                              struct place *ret_place, struct sctd_error *err)
{
    int64_t study_id = 0;
    int r = find_series(db, i->series_uid, ret_place, err);
    if (r == DB_NONE) {
        return add_series(db, i, ret_place, err);
    }
    r = r < 0 ? r
              : find_id(db, "SELECT id FROM study WHERE uid = ?1", i->study_uid, &study_id, err);
    if (r == 0 && study_id != ret_place->study_id) {
        r = note_event(db, now, "mixed-study", i, err);
    }
    return r < 0 ? r : name_source(db, i, ret_place->series_id, err);
}

static int put_new(struct db *db, const struct db_now *now, const struct db_instance *i,
                   const struct known *removed, struct db_put_result *result,
                   struct sctd_error *err)
{
    struct place place = {0};
    int r = removed == NULL ? find_or_add_series(db, now, i, &place, err)
                            : get_place(db, removed->series_id, &place, err);
    if (r < 0) {
        return r;
    }
    if (removed == NULL && place.instances >= DB_SERIES_INSTANCES_MAX) {
        tell_place(result, &place);
        return say(result, DB_PUT_FULL, "its series holds as many instances as are kept");
    }
    result->reopened = place.state == DB_SERIES_CLOSED;
    if (result->reopened) {
        place.state = DB_SERIES_OPEN;
        place.revision++;
    }
    place.instances += removed == NULL ? 1 : 0;
    r = add_instance(db, i, &place, err);
    r = r < 0 ? r : count_instance(db, i, &place, removed == NULL ? 1 : 0, err);
    if (r < 0) {
        return r;
    }
    tell_place(result, &place);
    core_changed(db, DB_CHANGE_SERIES, place.series_id);
    (void)snprintf(result->kept_file, sizeof result->kept_file, "%s", i->file);
    return say(result, DB_PUT_STORED, "");
}

/* Whether another instance has the file: names of files are ours, so this is a mistake of the caller. */
static int is_file_used(struct db *db, const char *file, const struct known *known, bool *ret_used,
                        struct sctd_error *err)
{
    int64_t id = 0;
    const int r =
        find_id(db, "SELECT id FROM instance WHERE file = ?1 AND file_state < 2", file, &id, err);
    *ret_used = id != 0 && (known == NULL || known->id != id);
    return r;
}

static int put_one(struct db *db, const struct db_now *now, const struct db_instance *i,
                   struct db_put_result *result, struct sctd_error *err)
{
    struct sctd_error invalid = {0};
    if (check_instance(i, &invalid) < 0) {
        return say(result, DB_PUT_INVALID, invalid.text);
    }
    struct known known = {0};
    bool used = false;
    const int found = find_known(db, i->sop_uid, &known, err);
    if (found == 0 && known.file_state != REMOVED) {
        return put_known(db, now, i, &known, result, err);
    }
    const struct known *removed = found == 0 ? &known : NULL;
    const int r = found < 0 ? found : is_file_used(db, i->file, removed, &used, err);
    if (r < 0) {
        return r;
    }
    return used ? say(result, DB_PUT_INVALID, "job store: another instance has this file")
                : put_new(db, now, i, removed, result, err);
}

static int put_all(struct db *db, const struct db_now *now, const struct db_instance *instances,
                   size_t n, struct db_put_result *results, struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        results[i] = (struct db_put_result){0};
        const int r = put_one(db, now, &instances[i], &results[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int db_instances_put(struct db *db, const struct db_now *now, const struct db_instance *instances,
                     size_t n, struct db_put_result *ret_results, struct sctd_error *err)
{
    int r = core_check_limit(n, DB_BATCH_MAX, err);
    r = r < 0 ? r : core_begin(db, err);
    return r < 0 ? r : core_end(db, put_all(db, now, instances, n, ret_results, err), err);
}

static int find_all(struct db *db, const char *const *sop_uids, size_t n, struct db_found *found,
                    struct sctd_error *err)
{
    static const struct sql_field fields[] = {SQL_FIELD(SQL_TEXT, db_found, sop_class_uid),
                                              SQL_FIELD(SQL_I64, db_found, series_id)};
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        found[i] = (struct db_found){0};
        r = sql_prepare(&s, db->sql,
                        "SELECT sop_class_uid, series_id FROM instance WHERE sop_uid = ?1 AND "
                        "file_state = 0",
                        err);
        if (r < 0) {
            return r;
        }
        sql_bind_text(s, sop_uids[i]);
        r = sql_step(s, err);
        found[i].found = r == SQL_ROW;
        r = r == SQL_ROW ? sql_read(s, fields, 2, &found[i], err) : r;
        sql_done(s);
    }
    return r;
}

int db_instances_find(struct db *db, const char *const *sop_uids, size_t n,
                      struct db_found *ret_found, struct sctd_error *err)
{
    const int r = core_begin_read(db, err);
    return r < 0 ? r : core_end(db, find_all(db, sop_uids, n, ret_found, err), err);
}
