/* SPDX-License-Identifier: Apache-2.0 */
#include "db/schema.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum { APPLICATION_ID = 0x73637464 }; /* "sctd" */

/* States and evidence are the numbers of the enums in the public headers.  Times *_ms are of the wall clock, but
 * due_ms, lease_until_ms and claimed_ms of the lease clock.  file_state: 0 kept, 1 taken for removal, 2 removed. */

static const char received[] =
    "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE source (id INTEGER PRIMARY KEY, ae TEXT NOT NULL UNIQUE,"
    "  served INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX source_served ON source (served);"
    "CREATE TABLE study (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, first_ms INTEGER NOT NULL,"
    "  last_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE identity (study_id INTEGER PRIMARY KEY REFERENCES study (id), patient_id BLOB NOT NULL,"
    "  patient_name BLOB NOT NULL, character_set BLOB NOT NULL) STRICT;"
    "CREATE TABLE series (id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE,"
    "  study_id INTEGER NOT NULL REFERENCES study (id), source_id INTEGER NOT NULL REFERENCES source (id),"
    "  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2), evidence INTEGER NOT NULL,"
    "  revision INTEGER NOT NULL CHECK (revision > 0), instances INTEGER NOT NULL, kept INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    "  closed_ms INTEGER NOT NULL, reason TEXT NOT NULL, called_ae TEXT NOT NULL, peer TEXT NOT NULL,"
    "  modality TEXT NOT NULL, series_description TEXT NOT NULL, study_description TEXT NOT NULL,"
    "  protocol TEXT NOT NULL, body_part TEXT NOT NULL, manufacturer TEXT NOT NULL,"
    "  model_name TEXT NOT NULL, station TEXT NOT NULL, image_type TEXT NOT NULL,"
    "  frame_of_reference_uid TEXT NOT NULL, series_number INTEGER,"
    "  CHECK (kept BETWEEN 0 AND instances)) STRICT;"
    "CREATE INDEX series_state ON series (state);"
    "CREATE INDEX series_study ON series (study_id);"
    "CREATE INDEX series_kept ON series (last_ms) WHERE kept > 0 AND state > 0;"
    "CREATE TABLE instance (id INTEGER PRIMARY KEY, series_id INTEGER NOT NULL REFERENCES series (id),"
    "  sop_uid TEXT NOT NULL UNIQUE, sop_class_uid TEXT NOT NULL, transfer_syntax_uid TEXT NOT NULL,"
    "  file TEXT NOT NULL, file_state INTEGER NOT NULL CHECK (file_state BETWEEN 0 AND 2),"
    "  size INTEGER NOT NULL, sha256 BLOB NOT NULL CHECK (length(sha256) = 32), received_ms INTEGER NOT NULL,"
    "  revision INTEGER NOT NULL, instance_number INTEGER, frames INTEGER NOT NULL, slice_mm REAL,"
    "  stack TEXT NOT NULL) STRICT;"
    "CREATE INDEX instance_series ON instance (series_id);"
    "CREATE UNIQUE INDEX instance_file ON instance (file) WHERE file_state < 2;"
    "CREATE INDEX instance_taken ON instance (id) WHERE file_state = 1;"
    "CREATE TABLE expected (series_uid TEXT NOT NULL PRIMARY KEY, evidence INTEGER NOT NULL,"
    "  n INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX expected_age ON expected (at_ms);"
    "CREATE TABLE expected_uid (series_uid TEXT NOT NULL"
    "  REFERENCES expected (series_uid) ON DELETE CASCADE, sop_uid TEXT NOT NULL,"
    "  PRIMARY KEY (series_uid, sop_uid)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    "  actor TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_kind ON event (kind);"
    "CREATE INDEX event_subject ON event (subject);";

static const char jobs[] =
    "CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),"
    "  series_id INTEGER NOT NULL REFERENCES series (id), source_id INTEGER NOT NULL REFERENCES source (id),"
    "  revision INTEGER NOT NULL, evidence INTEGER NOT NULL,"
    "  priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9), attempt INTEGER NOT NULL DEFAULT 0,"
    "  failures INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,"
    "  interruptions INTEGER NOT NULL DEFAULT 0, outputs INTEGER NOT NULL,"
    "  written INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0, commitment INTEGER NOT NULL,"
    "  superseded_by INTEGER REFERENCES job (id), created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL,"
    "  ended_ms INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL DEFAULT 0,"
    "  lease_until_ms INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '',"
    "  stage TEXT NOT NULL DEFAULT '', output_series_uid TEXT NOT NULL, rule TEXT NOT NULL,"
    "  model TEXT NOT NULL, model_sha256 TEXT NOT NULL, parameters TEXT NOT NULL,"
    "  reason TEXT NOT NULL) STRICT;"
    /* The queue is kept apart from the past: its indices hold what waits, not what was. */
    "CREATE INDEX job_ready ON job (priority, source_id, id) WHERE state = 0;"
    "CREATE INDEX job_due ON job (due_ms) WHERE state = 1;"
    "CREATE INDEX job_lease ON job (lease_until_ms) WHERE state = 2;"
    "CREATE UNIQUE INDEX job_output ON job (output_series_uid) WHERE state < 7;"
    "CREATE INDEX job_output_any ON job (output_series_uid);"
    "CREATE INDEX job_series ON job (series_id);"
    "CREATE INDEX job_state ON job (state);"
    "CREATE INDEX job_source ON job (source_id);"
    "CREATE INDEX job_rule ON job (rule);"
    "CREATE INDEX job_model ON job (model);"
    "CREATE INDEX job_kept ON job (ended_ms) WHERE kept > 0 AND ended_ms > 0;"
    "CREATE INDEX job_superseded ON job (superseded_by) WHERE superseded_by IS NOT NULL;"
    "CREATE TABLE job_count (state INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n >= 0)) STRICT;"
    "INSERT INTO job_count VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0);"
    "CREATE TABLE output (id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL REFERENCES job (id),"
    "  number INTEGER NOT NULL, sop_uid TEXT NOT NULL, sop_class_uid TEXT NOT NULL DEFAULT '',"
    "  place INTEGER, file TEXT NOT NULL DEFAULT '',"
    "  file_state INTEGER NOT NULL DEFAULT 2 CHECK (file_state BETWEEN 0 AND 2),"
    "  size INTEGER NOT NULL DEFAULT 0, sha256 BLOB CHECK (length(sha256) = 32), UNIQUE (job_id, number),"
    "  UNIQUE (job_id, sop_uid), UNIQUE (job_id, place)) STRICT;"
    "CREATE UNIQUE INDEX output_file ON output (file) WHERE file_state < 2;"
    "CREATE INDEX output_taken ON output (id) WHERE file_state = 1;";

static const char deliveries[] =
    "CREATE TABLE destination (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    "  failures INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL DEFAULT 0,"
    "  last_success_ms INTEGER NOT NULL DEFAULT 0, last_failure_ms INTEGER NOT NULL DEFAULT 0,"
    "  reason TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE TABLE delivery (id INTEGER PRIMARY KEY AUTOINCREMENT, job_id INTEGER NOT NULL REFERENCES job (id),"
    "  destination_id INTEGER NOT NULL REFERENCES destination (id),"
    "  state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 7), priority INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
    "  instances INTEGER NOT NULL DEFAULT 0, stored INTEGER NOT NULL DEFAULT 0,"
    "  best INTEGER NOT NULL DEFAULT 0, committed INTEGER NOT NULL DEFAULT 0,"
    /* One bit for each place, least significant first. */
    "  stored_bits BLOB NOT NULL DEFAULT x'', committed_bits BLOB NOT NULL DEFAULT x'',"
    "  commitment INTEGER NOT NULL, spent_ms INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL DEFAULT 0,"
    "  claimed_ms INTEGER NOT NULL DEFAULT 0, lease_until_ms INTEGER NOT NULL DEFAULT 0,"
    "  owner TEXT NOT NULL DEFAULT '', transaction_uid TEXT NOT NULL DEFAULT '', created_ms INTEGER NOT NULL,"
    "  changed_ms INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '',"
    "  UNIQUE (job_id, destination_id)) STRICT;"
    "CREATE INDEX delivery_ready ON delivery (destination_id, priority, id) WHERE state = 1;"
    "CREATE INDEX delivery_due ON delivery (destination_id, due_ms) WHERE state = 2;"
    "CREATE INDEX delivery_lease ON delivery (lease_until_ms) WHERE state = 3;"
    "CREATE INDEX delivery_wait ON delivery (due_ms) WHERE state = 4;"
    "CREATE INDEX delivery_open ON delivery (destination_id, created_ms) WHERE state BETWEEN 1 AND 4;"
    "CREATE INDEX delivery_state ON delivery (state);"
    "CREATE TABLE commitment (transaction_uid TEXT NOT NULL PRIMARY KEY,"
    "  delivery_id INTEGER NOT NULL REFERENCES delivery (id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE history (id INTEGER PRIMARY KEY, job_id INTEGER NOT NULL REFERENCES job (id),"
    "  delivery_id INTEGER REFERENCES delivery (id), at_ms INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    "  from_state INTEGER NOT NULL, to_state INTEGER NOT NULL, reason TEXT NOT NULL,"
    "  detail TEXT NOT NULL) STRICT;"
    "CREATE INDEX history_job ON history (job_id);";

static const char performed[] =
    "CREATE TABLE step (uid TEXT NOT NULL PRIMARY KEY, state INTEGER NOT NULL, calling_ae TEXT NOT NULL,"
    "  created_ms INTEGER NOT NULL, changed_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

/* The past by its time, for the throughput of a day. */
static const char activity[] =
    "CREATE INDEX job_ended ON job (ended_ms, state, outputs) WHERE ended_ms > 0;"
    "CREATE INDEX series_first ON series (first_ms);";

/* Reports of storage commitment that a modality was promised and has not heard. */
static const char promises[] =
    "CREATE TABLE promise (id INTEGER PRIMARY KEY AUTOINCREMENT, made_ms INTEGER NOT NULL,"
    "  instances INTEGER NOT NULL, transaction_uid TEXT NOT NULL, calling_ae TEXT NOT NULL, peer TEXT NOT NULL,"
    "  UNIQUE (calling_ae, transaction_uid)) STRICT;"
    "CREATE TABLE promised (promise_id INTEGER NOT NULL REFERENCES promise (id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL, sop_class_uid TEXT NOT NULL, sop_uid TEXT NOT NULL, reason INTEGER NOT NULL,"
    "  PRIMARY KEY (promise_id, number)) STRICT, WITHOUT ROWID;";

static const char batches[] =
    "CREATE TABLE batch (id INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),"
    "  paused INTEGER NOT NULL, force INTEGER NOT NULL, moves INTEGER NOT NULL, per_hour INTEGER NOT NULL,"
    "  from_minute INTEGER NOT NULL, to_minute INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    "  changed_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0, begun_ms INTEGER NOT NULL DEFAULT 0,"
    "  due_ms INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL,"
    "  description TEXT NOT NULL, reason TEXT NOT NULL, sha256 BLOB NOT NULL CHECK (length(sha256) = 32)) STRICT;"
    "CREATE INDEX batch_open ON batch (sha256) WHERE state < 2;"
    /* Apart, since it may name patients. */
    "CREATE TABLE batch_request (batch_id INTEGER PRIMARY KEY REFERENCES batch (id), text BLOB NOT NULL) STRICT;"
    "CREATE TABLE batch_item (id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL REFERENCES batch (id),"
    "  state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 7), attempt INTEGER NOT NULL DEFAULT 0,"
    "  failures INTEGER NOT NULL DEFAULT 0, expected INTEGER NOT NULL, instances INTEGER NOT NULL DEFAULT 0,"
    "  series_id INTEGER REFERENCES series (id),"
    "  job_id INTEGER REFERENCES job (id), has_made INTEGER NOT NULL DEFAULT 0, due_ms INTEGER NOT NULL DEFAULT 0,"
    "  begun_ms INTEGER NOT NULL DEFAULT 0, fetched_ms INTEGER NOT NULL DEFAULT 0,"
    "  ordered_ms INTEGER NOT NULL DEFAULT 0, ended_ms INTEGER NOT NULL DEFAULT 0, study_uid TEXT NOT NULL,"
    "  series_uid TEXT NOT NULL, output_series_uid TEXT NOT NULL DEFAULT '', study_date TEXT NOT NULL,"
    "  modality TEXT NOT NULL, series_description TEXT NOT NULL, method TEXT NOT NULL DEFAULT '',"
    "  folder TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', UNIQUE (batch_id, series_uid)) STRICT;"
    "CREATE INDEX batch_item_state ON batch_item (batch_id, state, id);"
    "CREATE INDEX batch_item_series ON batch_item (series_uid) WHERE state < 3;"
    "CREATE INDEX batch_item_job ON batch_item (job_id) WHERE state = 3;"
    "CREATE INDEX batch_item_of_job ON batch_item (job_id) WHERE job_id IS NOT NULL;";

/* What the checks of a result found, and what was made of it. */
static const char reviews[] =
    "ALTER TABLE job ADD COLUMN hold INTEGER NOT NULL DEFAULT 0 CHECK (hold BETWEEN 0 AND 1);"
    "ALTER TABLE job ADD COLUMN review INTEGER NOT NULL DEFAULT 0 CHECK (review BETWEEN 0 AND 4);"
    "ALTER TABLE job ADD COLUMN review_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX job_review ON job (review);"
    "CREATE INDEX job_needed ON job (review_ms, hold, state) WHERE review = 2 AND state < 7;"
    "CREATE TABLE quality (job_id INTEGER PRIMARY KEY REFERENCES job (id), text TEXT NOT NULL) STRICT;";

/* Attempts that broke the GPU they ran on. */
static const char breaks[] = "ALTER TABLE job ADD COLUMN breaks INTEGER NOT NULL DEFAULT 0;";

/* Storage commitment that is awaited, and owed, by whom and since when.  asked_ms: when it was first asked for; 0: none is
 * awaited, as of every delivery that has ended. */
static const char awaited[] =
    "ALTER TABLE delivery ADD COLUMN asked_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE delivery SET asked_ms = changed_ms WHERE state BETWEEN 1 AND 4 AND commitment = 1 "
    "  AND transaction_uid <> '';"
    "CREATE INDEX delivery_asked ON delivery (destination_id, asked_ms) WHERE asked_ms > 0;"
    "CREATE INDEX promise_peer ON promise (calling_ae, made_ms, instances);";

/* What the result was computed with. */
static const char engines[] = "ALTER TABLE job ADD COLUMN engine TEXT NOT NULL DEFAULT '';";

const char *const schema_steps[] = {received, jobs,    deliveries, performed, activity, promises,
                                    batches,  reviews, breaks,     awaited,   engines};
const size_t schema_count = sizeof schema_steps / sizeof *schema_steps;

static int read_pragma(struct sql *sql, const char *text, int64_t *ret_value,
                       struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare_once(&s, sql, text, err);
    r = r < 0 ? r : sql_step(s, err);
    if (r < 0) {
        return r;
    }
    *ret_value = r == SQL_ROW ? sql_get_int(s, 0) : 0;
    return 0;
}

int schema_get_version(struct sql *sql, size_t *ret_version, struct sctd_error *err)
{
    int64_t application = 0;
    int64_t version = 0;
    int r = read_pragma(sql, "PRAGMA application_id", &application, err);
    r = r < 0 ? r : read_pragma(sql, "PRAGMA user_version", &version, err);
    if (r < 0) {
        return r;
    }
    if (application != APPLICATION_ID || version < 1) {
        return sctd_error(err, SCTD_EDATA,
                          "this SQLite file is no job store of sctd: name another path");
    }
    if ((uint64_t)version > schema_count) {
        return sctd_error(
            err, SCTD_EDATA,
            "the job store has version %lld, this sctd knows %zu: run the newer sctd, or restore "
            "a backup from before it",
            (long long)version, schema_count);
    }
    *ret_version = (size_t)version;
    return 0;
}

static int take_steps(struct sql *sql, const char *const *steps, size_t version, size_t n,
                      struct sctd_error *err)
{
    for (size_t i = version; i < n; i++) {
        const int r = sql_run(sql, steps[i], err);
        if (r < 0) {
            return r;
        }
    }
    char text[96]; /* pragmas take no parameters */
    (void)snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %zu",
                   APPLICATION_ID, n);
    return sql_run(sql, text, err);
}

int schema_migrate(struct sql *sql, const char *const *steps, size_t version, size_t n,
                   struct sctd_error *err)
{
    int r = sql_begin(sql, err);
    if (r < 0) {
        return r;
    }
    r = take_steps(sql, steps, version, n, err);
    if (r < 0) {
        sql_rollback(sql);
        return r;
    }
    return sql_commit(sql, err);
}
