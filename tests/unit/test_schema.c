/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/schema.h"
#include "db/sql.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"

#include "tests/support/db_kit.h"

static const struct db_options options = {false, DB_CHECK_FULL};

/* A store of an older version. */
static void make_version(size_t version)
{
    struct sql *sql = NULL;
    HOLDS(sql_open(&sql, kit_path("jobs.db"), SQL_CREATE, &kit_err) == 0);
    HOLDS(schema_migrate(sql, schema_steps, 0, version, &kit_err) == 0);
    sql_close(sql);
}

static void hash_store(char ret_hex[SHA256_HEX_SIZE])
{
    struct sctd_map map = {0};
    HOLDS(sctd_map_open(&map, kit_path("jobs.db"), &kit_err) == 0);
    sha256_hex_of(map.data, map.size, ret_hex);
    sctd_map_close(&map);
}

/* The store works after it was migrated, and what was in it is there. */
static void every_older_version_is_migrated(void)
{
    for (size_t version = 1; version <= schema_count; version++) {
        make_version(version);
        kit_sql(
            "INSERT INTO source (ae) VALUES ('OLD'); INSERT INTO event VALUES (1, 2, 'k', 'a', 's', 't')");
        struct db *db = NULL;
        HOLDS(db_open(&db, kit_path("jobs.db"), &options, &kit_err) == 0);
        HOLDS(kit_number(db, "PRAGMA user_version") == (int64_t)schema_count);
        HOLDS(kit_number(db, "SELECT count(*) FROM source WHERE ae = 'OLD'") == 1);
        HOLDS(kit_number(db, "SELECT count(*) FROM event") == 1);
        const int64_t job = kit_written(db, 1, 1, true);
        HOLDS(kit_get(db, job).state == DB_JOB_DELIVERING);
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_remove();
    }
}

/* Of version 7, before results were checked: a job that is written and on its way, and one that waits. */
static void jobs_of_the_version_before_reviews_go_on_unchecked(void)
{
    enum { BEFORE = 7 };
    struct db *db = NULL;
    struct db_delivery d;
    char *text = NULL;
    make_version(BEFORE);
    kit_sql(
        "INSERT INTO source (ae) VALUES ('OLD');"
        "INSERT INTO study (id, uid, first_ms, last_ms) VALUES (1, '1.2', 5, 5);"
        "INSERT INTO series VALUES (1, '1.2.3', 1, 1, 1, 1, 1, 1, 1, 9, 5, 5, 6, 'quiet', 'SCTD', 'p', 'MR', "
        "'', '', '', '', '', '', '', '', '', NULL);"
        "INSERT INTO job (id, state, series_id, source_id, revision, evidence, priority, outputs, written, "
        "kept, commitment, created_ms, changed_ms, output_series_uid, rule, model, model_sha256, parameters, "
        "reason) VALUES (1, 3, 1, 1, 1, 1, 5, 1, 1, 1, 0, 7, 8, '2.25.1', 'r', 'm', 'h', '', 'written'), "
        "(2, 0, 1, 1, 1, 1, 5, 1, 0, 0, 0, 7, 8, '2.25.2', 'r', 'm', 'h', '', 'created');"
        "UPDATE job_count SET n = 1 WHERE state IN (0, 3);"
        "INSERT INTO destination (id, name) VALUES (1, 'pacs1');"
        "INSERT INTO delivery (job_id, destination_id, state, priority, instances, stored_bits, "
        "committed_bits, commitment, created_ms, changed_ms) VALUES (1, 1, 1, 5, 1, x'00', x'00', 0, 7, 8)");
    HOLDS(db_open(&db, kit_path("jobs.db"), &options, &kit_err) == 0);
    for (int64_t id = 1; id <= 2; id++) {
        const struct db_job job = kit_get(db, id);
        HOLDS(job.review == DB_REVIEW_NONE && job.review_ms == 0 && !job.hold);
        HOLDS(db_job_review(db, &kit_now, id, true, "?", &kit_err) == DB_REFUSED);
        HOLDS(db_job_quality(db, id, &text, &kit_err) == DB_NONE);
    }
    const struct db_send_claim claim = {"pacs1", 1, "node/s", KIT_LEASE_MS};
    HOLDS(db_delivery_claim(db, &kit_now, &claim, &d, &kit_err) == 0 && d.job_id == 1);
    HOLDS(kit_claim(db).id == 2);
    db_close(db);
    kit_remove();
}

/* Of version 9: one delivery that awaits its commitment, one that has it, one that never asked. */
static void what_was_asked_for_before_it_was_counted_is_awaited(void)
{
    enum { BEFORE = 9 };
    struct db *db = NULL;
    struct db_destination_page list = {0};
    make_version(BEFORE);
    kit_sql(
        "PRAGMA foreign_keys = OFF; INSERT INTO destination (id, name) VALUES (1, 'pacs1');"
        "INSERT INTO delivery (job_id, destination_id, state, priority, instances, commitment, transaction_uid, "
        "created_ms, changed_ms) VALUES (1, 1, 4, 5, 1, 1, '2.25.1', 7, 9), (2, 1, 5, 5, 1, 1, '2.25.2', 7, 8), "
        "(3, 1, 1, 5, 1, 1, '', 7, 8)");
    HOLDS(db_open(&db, kit_path("jobs.db"), &options, &kit_err) == 0);
    HOLDS(db_destination_list(db, &list, &kit_err) == 0 && list.n == 1);
    HOLDS(list.destination[0].uncommitted == 1 && list.destination[0].uncommitted_since_ms == 9);
    db_destination_page_fini(&list);
    db_close(db);
    kit_remove();
}

static void a_newer_version_is_refused_and_left_alone(void)
{
    char before[SHA256_HEX_SIZE];
    char after[SHA256_HEX_SIZE];
    char text[64];
    struct db *db = NULL;
    make_version(schema_count);
    (void)snprintf(text, sizeof text, "PRAGMA user_version = %zu", schema_count + 1);
    kit_sql(text);
    hash_store(before);
    HOLDS(db_open(&db, kit_path("jobs.db"), &options, &kit_err) == SCTD_EDATA);
    HOLDS(strstr(kit_err.text, "newer") != NULL && db == NULL);
    HOLDS(db_open_reader(&db, kit_path("jobs.db"), &kit_err) == SCTD_EDATA);
    hash_store(after);
    HOLDS(strcmp(before, after) == 0);
    kit_remove();
}

static void an_older_version_is_not_for_readers(void)
{
    struct db *db = NULL;
    make_version(1);
    HOLDS(db_open_reader(&db, kit_path("jobs.db"), &kit_err) == SCTD_EDATA);
    HOLDS(strstr(kit_err.text, "version 1") != NULL);
    kit_remove();
}

static void another_programs_file_is_refused_and_left_alone(void)
{
    char before[SHA256_HEX_SIZE];
    char after[SHA256_HEX_SIZE];
    struct db *db = NULL;
    kit_sql("CREATE TABLE holiday (photo BLOB); PRAGMA user_version = 1");
    hash_store(before);
    HOLDS(db_open(&db, kit_path("jobs.db"), &options, &kit_err) == SCTD_EDATA);
    HOLDS(strstr(kit_err.text, "no job store") != NULL);
    hash_store(after);
    HOLDS(strcmp(before, after) == 0);
    kit_remove();
}

static void a_migration_that_fails_leaves_the_old_version(void)
{
    static const char *const steps[] = {"CREATE TABLE a (x)", "CREATE TABLE b (x)",
                                        "CREATE TABLE c (x); CREATE TABLE b (x)"};
    struct sql *sql = NULL;
    size_t version = 0;
    HOLDS(sql_open(&sql, kit_path("jobs.db"), SQL_CREATE, &kit_err) == 0);
    HOLDS(schema_migrate(sql, steps, 0, 1, &kit_err) == 0);
    HOLDS(schema_migrate(sql, steps, 1, 3, &kit_err) < 0);
    HOLDS(schema_get_version(sql, &version, &kit_err) == 0 && version == 1);
    HOLDS(sql_run(sql, "SELECT x FROM b", &kit_err) < 0);
    HOLDS(schema_migrate(sql, steps, 1, 2, &kit_err) == 0);
    HOLDS(schema_get_version(sql, &version, &kit_err) == 0 && version == 2);
    sql_close(sql);
    kit_remove();
}

int main(void)
{
    every_older_version_is_migrated();
    jobs_of_the_version_before_reviews_go_on_unchecked();
    what_was_asked_for_before_it_was_counted_is_awaited();
    a_newer_version_is_refused_and_left_alone();
    an_older_version_is_not_for_readers();
    another_programs_file_is_refused_and_left_alone();
    a_migration_that_fails_leaves_the_old_version();
    return 0;
}
