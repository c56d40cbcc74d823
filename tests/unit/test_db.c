/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/core.h"
#include "db/db.h"
#include "db/events.h"
#include "db/instances.h"
#include "db/sql.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static const struct db_options options = {false, DB_CHECK_FULL};
static char path_of_store[64];

static void a_store_is_made_once_and_kept(void)
{
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 3);
    db_close(db);
    db_close(NULL);
    db = kit_open();
    HOLDS(kit_number(db, "SELECT count(*) FROM instance") == 3);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0 && !db_is_failed(db));
    db_close(db);
    kit_remove();
}

static void it_is_durable_by_its_settings(void)
{
    struct db *db = kit_open();
    HOLDS(kit_number(db, "PRAGMA synchronous") == 2); /* FULL */
    HOLDS(kit_number(db, "PRAGMA foreign_keys") == 1);
    HOLDS(kit_number(db, "PRAGMA mmap_size") == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'") ==
          1);
    HOLDS(kit_number(
              db, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE "
                  "'sqlite_%' AND NOT strict") == 0);
    db_close(db);
    kit_remove();
}

static void nobody_else_may_read_the_file(void)
{
    struct stat st;
    struct db *db = kit_open();
    static const char *const names[] = {"jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"};
    (void)kit_put(db, 1, 1, 0, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        HOLDS(stat(kit_path(names[i]), &st) == 0 && (st.st_mode & 077) == 0);
    }
    db_close(db);
    kit_remove();
}

static void without_create_a_missing_store_is_an_error(void)
{
    struct db *db = NULL;
    HOLDS(db_open(&db, kit_path("jobs.db"), &options, &kit_err) == SCTD_EIO);
    HOLDS(strstr(kit_err.text, "no job store") != NULL);
    HOLDS(db_open_reader(&db, kit_path("jobs.db"), &kit_err) == SCTD_EIO);
    HOLDS(access(kit_path("jobs.db"), F_OK) != 0);
    kit_remove();
}

static void an_empty_file_and_a_log_alone_are_damage(void)
{
    const struct db_options create = {true, DB_CHECK_QUICK};
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 1);
    db_close(db);
    HOLDS(rename(kit_path("jobs.db"), kit_path("away")) == 0);
    HOLDS(db_open(&db, kit_path("jobs.db"), &create, &kit_err) == SCTD_EDATA);
    HOLDS(strstr(kit_err.text, "log") != NULL && access(kit_path("jobs.db"), F_OK) != 0);
    HOLDS(rename(kit_path("away"), kit_path("jobs.db")) == 0);
    db_close(kit_open());
    HOLDS(truncate(kit_path("jobs.db"), 0) == 0);
    HOLDS(db_open(&db, kit_path("jobs.db"), &create, &kit_err) == SCTD_EDATA);
    HOLDS(strstr(kit_err.text, "empty") != NULL);
    kit_remove();
}

static void a_second_opener_is_refused_at_once(void)
{
    struct db *db = kit_open();
    struct db *second = NULL;
    char holder[32];
    (void)snprintf(holder, sizeof holder, "process %ld ", (long)getpid());
    HOLDS(db_open(&second, kit_path("jobs.db"), &options, &kit_err) == SCTD_EIO);
    HOLDS(strstr(kit_err.text, holder) != NULL);
    const int child = fork();
    if (child == 0) {
        const int r = db_open(&second, kit_path("jobs.db"), &options, &kit_err);
        _exit(r == SCTD_EIO ? 0 : 1);
    }
    int status = 1;
    HOLDS(waitpid(child, &status, 0) == child && status == 0);
    db_close(db);
    HOLDS(db_open(&second, kit_path("jobs.db"), &options, &kit_err) == 0);
    db_close(second);
    kit_remove();
}

static void a_reader_sees_what_is_committed_and_writes_nothing(void)
{
    const struct db_event event = {.kind = "k"};
    struct db *db = kit_open();
    struct db *reader = kit_open_reader();
    HOLDS(kit_number(reader, "SELECT count(*) FROM instance") == 0);
    (void)kit_put(db, 1, 1, 0, 2);
    HOLDS(kit_number(reader, "SELECT count(*) FROM instance") == 2);
    HOLDS(db_event_add(reader, &kit_now, &event, &kit_err) == SCTD_EINVAL);
    db_close(reader);
    db_close(db);
    reader = kit_open_reader(); /* without a writer, with its log */
    HOLDS(kit_number(reader, "SELECT count(*) FROM instance") == 2);
    db_close(reader);
    kit_remove();
}

static void a_checkpoint_cuts_the_log(void)
{
    int64_t left = 1;
    struct db_size size;
    struct db *db = kit_open();
    (void)kit_put(db, 1, 1, 0, 20);
    HOLDS(db_get_size(db, &size, &kit_err) == 0 && size.wal_bytes > 0 && size.database_bytes > 0);
    HOLDS(db_checkpoint(db, &left, &kit_err) == 0 && left == 0);
    db_close(db);
    kit_remove();
}

static void the_log_does_not_grow_without_bound_while_nobody_reads(void)
{
    struct db_size size;
    struct db *db = kit_open();
    for (int i = 0; i < 400; i++) {
        (void)kit_put(db, 1, 1, 10 * i, 10);
    }
    HOLDS(db_get_size(db, &size, &kit_err) == 0);
    HOLDS(size.wal_bytes < (int64_t)3 * 1000 * 4096); /* a checkpoint every 1,000 pages */
    db_close(db);
    kit_remove();
}

static void a_reader_that_stays_makes_the_log_grow_and_its_end_lets_it_be_cut(void)
{
    int64_t left = 0;
    struct db *db = kit_open();
    struct db *reader = kit_open_reader();
    (void)kit_put(db, 1, 1, 0, 1);
    HOLDS(core_begin_read(reader, &kit_err) == 0);
    HOLDS(kit_number(reader, "SELECT count(*) FROM instance") == 1);
    (void)kit_put(db, 1, 1, 1, 200);
    HOLDS(sql_checkpoint(db->sql, false, &kit_err) == 0);
    HOLDS(kit_number(reader, "SELECT count(*) FROM instance") == 1);
    HOLDS(core_end(reader, 0, &kit_err) == 0);
    HOLDS(db_checkpoint(db, &left, &kit_err) == 0 && left == 0);
    db_close(reader);
    db_close(db);
    kit_remove();
}

static atomic_bool writing = true;

/* Sees pairs of instances only whole, whatever the writer is doing. */
static void *read_on(void *arg)
{
    int *turns = arg;
    struct sctd_error err;
    struct db *reader = NULL;
    HOLDS(db_open_reader(&reader, path_of_store, &err) == 0);
    while (atomic_load(&writing) || *turns == 0) {
        struct db_series s = {0};
        const int r = db_series_find(reader, "1.2.1.1", &s, &err);
        HOLDS(r == DB_NONE || (r == 0 && s.instances % 2 == 0));
        (*turns)++;
    }
    db_close(reader);
    return NULL;
}

static void threads_with_a_store_each_read_while_one_writes(void)
{
    struct db *db = kit_open();
    (void)snprintf(path_of_store, sizeof path_of_store, "%s", kit_path("jobs.db"));
    pthread_t thread[3];
    int turns[3] = {0};
    for (int i = 0; i < 3; i++) {
        HOLDS(pthread_create(&thread[i], NULL, read_on, &turns[i]) == 0);
    }
    for (int k = 0; k < 60; k += 2) {
        const struct db_instance pair[] = {kit_instance(1, 1, k), kit_instance(1, 1, k + 1)};
        struct db_put_result results[2];
        HOLDS(db_instances_put(db, &kit_now, pair, 2, results, &kit_err) == 0);
    }
    atomic_store(&writing, false);
    for (int i = 0; i < 3; i++) {
        HOLDS(pthread_join(thread[i], NULL) == 0 && turns[i] > 0);
    }
    db_close(db);
    kit_remove();
}

static void verify_finds_sums_that_do_not_agree(void)
{
    static const char *const wrongs[] = {
        "UPDATE job_count SET n = n + 1 WHERE state = 0",
        "UPDATE series SET instances = instances + 1",
        "UPDATE series SET kept = kept - 1",
        "UPDATE job SET kept = 1",
        "DELETE FROM study",
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        struct db *db = kit_open();
        (void)kit_job(db, 1, 1);
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_sql(wrongs[i]);
        db = kit_open();
        HOLDS(db_verify(db, DB_CHECK_QUICK, &kit_err) == 0);
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == SCTD_EDATA);
        db_close(db);
        kit_remove();
    }
}

int main(void)
{
    a_store_is_made_once_and_kept();
    it_is_durable_by_its_settings();
    nobody_else_may_read_the_file();
    without_create_a_missing_store_is_an_error();
    an_empty_file_and_a_log_alone_are_damage();
    a_second_opener_is_refused_at_once();
    a_reader_sees_what_is_committed_and_writes_nothing();
    a_checkpoint_cuts_the_log();
    the_log_does_not_grow_without_bound_while_nobody_reads();
    a_reader_that_stays_makes_the_log_grow_and_its_end_lets_it_be_cut();
    threads_with_a_store_each_read_while_one_writes();
    verify_finds_sums_that_do_not_agree();
    return 0;
}
