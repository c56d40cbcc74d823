/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/core.h"
#include "db/schema.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

static const char *why(int error)
{
    const char *text = strerrordesc_np(error);
    return text == NULL ? "unknown error" : text;
}

/* "PATHsuffix" into ret_path[SCTD_PATH_MAX]. */
static int add_suffix(char *ret_path, const char *path, const char *suffix, struct sctd_error *err)
{
    const int n = snprintf(ret_path, SCTD_PATH_MAX, "%s%s", path, suffix);
    if (n < 0 || n >= SCTD_PATH_MAX) {
        return sctd_error(err, SCTD_EINVAL, "path %.160s is too long", path);
    }
    return 0;
}

/* The file's size; -1 if there is none. */
static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* Who has the lock, as he wrote it; 0: unknown. */
static long read_holder(int fd)
{
    char text[32] = "";
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long pid = 0;
    for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && pid < 100000000; i++) {
        pid = 10 * pid + (text[i] - '0');
    }
    return pid;
}

/*
 * The lock is on a file of its own: SQLite's locks are lost when any descriptor of the database is closed.
 * It ends with the process, however that ends.
 */
static int take_lock(int *ret_fd, const char *path, struct sctd_error *err)
{
    char lock[SCTD_PATH_MAX];
    const int r = add_suffix(lock, path, ".lock", err);
    if (r < 0) {
        return r;
    }
    const int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", lock, why(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        const long pid = read_holder(fd);
        (void)close(fd);
        if (error != EWOULDBLOCK) {
            return sctd_error(err, SCTD_EIO, "%.160s: %s", lock, why(error));
        }
        return sctd_error(err, SCTD_EIO,
                          "%.120s: process %ld has this job store open: stop it first", path, pid);
    }
    char text[32];
    const int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        const int error = errno;
        (void)close(fd);
        return sctd_error(err, SCTD_EIO, "%.160s: %s", lock, why(error));
    }
    *ret_fd = fd;
    return 0;
}

static int make_file(const char *path, struct sctd_error *err)
{
    sctd_auto(sql_closep) struct sql *sql = NULL;
    (void)unlink(path); /* of a start that was cut off */
    const int r = sql_open(&sql, path, SQL_CREATE, err);
    return r < 0 ? r : schema_migrate(sql, schema_steps, 0, schema_count, err);
}

/* A new store comes to be at once, so that an empty or half file is always damage. */
static int create(const char *path, struct sctd_error *err)
{
    char made[SCTD_PATH_MAX];
    int r = add_suffix(made, path, ".new", err);
    if (r < 0) {
        return r;
    }
    r = make_file(made, err);
    struct sctd_map map = {0};
    r = r < 0 ? r : sctd_map_open(&map, made, err);
    r = r < 0 ? r : sctd_file_replace(path, map.data, map.size, err);
    sctd_map_close(&map);
    (void)unlink(made);
    if (r == 0 && chmod(path, 0600) != 0) { /* it will hold the names of patients */
        r = sctd_error(err, SCTD_EIO, "%.160s: %s", path, why(errno));
    }
    return r;
}

/* Nothing is opened for this: see take_lock. */
static int look(bool *ret_there, const char *path, struct sctd_error *err)
{
    char log[SCTD_PATH_MAX];
    const int r = add_suffix(log, path, "-wal", err);
    if (r < 0) {
        return r;
    }
    const int64_t size = size_of(path);
    if (size == 0) {
        return sctd_error(
            err, SCTD_EDATA,
            "job store %.100s is damaged (it is empty): restore a backup, or move it away to "
            "begin anew",
            path);
    }
    if (size < 0 && size_of(log) > 0) {
        return sctd_error(
            err, SCTD_EDATA,
            "job store %.80s is missing, but its log is there: restore both, or move NAME-wal "
            "away to begin anew",
            path);
    }
    *ret_there = size > 0;
    return 0;
}

static const char settings[] = "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON;"
                               "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
                               "PRAGMA cache_size = -8192;";

static int set_up_writer(struct sql *sql, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_run(sql, settings, err);
    r = r < 0 ? r : sql_prepare_once(&s, sql, "PRAGMA journal_mode = WAL", err);
    r = r < 0 ? r : sql_step(s, err);
    if (r < 0) {
        return r;
    }
    size_t size = 0;
    const char *mode = r == SQL_ROW ? sql_get_blob(s, 0, &size) : NULL;
    if (mode == NULL || size != 3 || memcmp(mode, "wal", 3) != 0) {
        return sctd_error(
            err, SCTD_EIO,
            "the job store's folder must be on a local disk: a log with shared memory is not "
            "possible there");
    }
    sql_done(s);
    return sql_run(sql, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864", err);
}

/* The version and the pages are looked at before anything is written. */
static int open_file(struct sql **ret_sql, const char *path, enum db_check check,
                     struct sctd_error *err)
{
    sctd_auto(sql_closep) struct sql *sql = NULL;
    size_t version = 0;
    int r = sql_open(&sql, path, SQL_WRITE, err);
    r = r < 0 ? r : schema_get_version(sql, &version, err);
    r = r < 0 ? r : sql_check(sql, check == DB_CHECK_FULL, err);
    r = r < 0 ? r : set_up_writer(sql, err);
    if (r == 0 && version < schema_count) {
        r = schema_migrate(sql, schema_steps, version, schema_count, err);
    }
    /* What the log holds is in the database before the first new commit. */
    r = r < 0 ? r : sql_checkpoint(sql, true, err);
    if (r < 0) {
        return r;
    }
    *ret_sql = sctd_steal(&sql);
    return 0;
}

static int open_locked(struct db *db, const char *path, const struct db_options *options,
                       struct sctd_error *err)
{
    bool there = false;
    int r = take_lock(&db->lock, path, err);
    r = r < 0 ? r : look(&there, path, err);
    if (r < 0) {
        return r;
    }
    if (!there && !options->create) {
        return sctd_error(err, SCTD_EIO, "%.160s: there is no job store", path);
    }
    r = there ? 0 : create(path, err);
    return r < 0 ? r : open_file(&db->sql, path, options->check, err);
}

static struct db *new_db(void)
{
    struct db *db = calloc(1, sizeof *db);
    if (db != NULL) {
        db->lock = -1;
    }
    return db;
}

int db_open(struct db **ret_db, const char *path, const struct db_options *options,
            struct sctd_error *err)
{
    sctd_auto(db_closep) struct db *db = new_db();
    if (db == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "job store");
    }
    const int r = open_locked(db, path, options, err);
    if (r < 0) {
        return r;
    }
    *ret_db = sctd_steal(&db);
    return 0;
}

static int open_for_reading(struct db *db, const char *path, struct sctd_error *err)
{
    bool there = false;
    size_t version = 0;
    int r = look(&there, path, err);
    if (r == 0 && !there) {
        r = sctd_error(err, SCTD_EIO, "%.160s: there is no job store", path);
    }
    r = r < 0 ? r : sql_open(&db->sql, path, SQL_READ, err);
    r = r < 0 ? r : sql_run(db->sql, settings, err);
    r = r < 0 ? r : sql_run(db->sql, "PRAGMA query_only = ON", err);
    r = r < 0 ? r : schema_get_version(db->sql, &version, err);
    if (r == 0 && version < schema_count) {
        r = sctd_error(
            err, SCTD_EDATA,
            "the job store has version %zu, this sctd reads %zu: start the daemon once, it migrates",
            version, schema_count);
    }
    return r;
}

int db_open_reader(struct db **ret_db, const char *path, struct sctd_error *err)
{
    sctd_auto(db_closep) struct db *db = new_db();
    if (db == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "job store");
    }
    const int r = open_for_reading(db, path, err);
    if (r < 0) {
        return r;
    }
    *ret_db = sctd_steal(&db);
    return 0;
}

void db_close(struct db *db)
{
    if (db != NULL) {
        sql_close(db->sql);
        if (db->lock >= 0) {
            (void)close(db->lock);
        }
        free(db);
    }
}

int db_checkpoint(struct db *db, int64_t *ret_wal_bytes, struct sctd_error *err)
{
    struct db_size size = {0};
    int r = sql_checkpoint(db->sql, true, err);
    r = r < 0 ? r : db_get_size(db, &size, err);
    if (r < 0) {
        return r;
    }
    *ret_wal_bytes = size.wal_bytes;
    return 0;
}

/* Sums that are kept, against what they are sums of.  Each finds 0 in a sound store. */
static const struct {
    const char *what, *text;
} sums[] = {
    {"jobs by state", "SELECT count(*) FROM job_count AS c WHERE n <> "
                      "(SELECT count(*) FROM job WHERE job.state = c.state)"},
    {"instances of series",
     "SELECT count(*) FROM series AS s WHERE instances <> "
     "(SELECT count(*) FROM instance WHERE series_id = s.id) OR kept <> (SELECT "
     "count(*) FROM instance WHERE series_id = s.id AND file_state = 0)"},
    {"files of jobs",
     "SELECT count(*) FROM job AS j WHERE kept <> (SELECT count(*) FROM output WHERE "
     "job_id = j.id AND file_state = 0)"},
    {"references between tables", "SELECT count(*) FROM pragma_foreign_key_check"},
};

int db_verify(struct db *db, enum db_check check, struct sctd_error *err)
{
    int r = core_begin_read(db, err);
    if (r < 0) {
        return r;
    }
    r = sql_check(db->sql, check == DB_CHECK_FULL, err);
    for (size_t i = 0; r == 0 && check == DB_CHECK_FULL && i < sizeof sums / sizeof *sums; i++) {
        int64_t wrong = 0;
        r = core_number(db, sums[i].text, 0, &wrong, err);
        if (r == 0 && wrong != 0) {
            r = sctd_error(err, SCTD_EDATA, "the job store is damaged: %lld of its %s do not agree",
                           (long long)wrong, sums[i].what);
        }
    }
    return core_end(db, r, err);
}

bool db_is_failed(const struct db *db)
{
    return sql_is_failed(db->sql);
}

int db_get_size(struct db *db, struct db_size *ret_size, struct sctd_error *err)
{
    char log[SCTD_PATH_MAX];
    const int r = add_suffix(log, sql_get_path(db->sql), "-wal", err);
    if (r < 0) {
        return r;
    }
    const int64_t wal = size_of(log);
    ret_size->database_bytes = size_of(sql_get_path(db->sql));
    ret_size->wal_bytes = wal < 0 ? 0 : wal;
    return 0;
}

void db_set_changed(struct db *db, db_changed_fn changed, void *arg)
{
    db->changed = changed;
    db->changed_arg = arg;
}
