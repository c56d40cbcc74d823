/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sql.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

enum {
    STATEMENTS =
        192, /* more than there are literals; a lint of its own is not worth it: asserted */
    BUSY_MS = 5000,
    CHECKPOINT_PAGES = 1000,
};

struct sql_statement {
    struct sql *sql;
    sqlite3_stmt *raw;
    const char *text; /* NULL: free, or of sql_prepare_once */
    int bound;        /* parameters so far */
    int failed;       /* of a bind */
    bool used, once;
};

struct sql {
    sqlite3 *raw;
    bool writes, failed;
    int log_pages; /* after the last commit */
    struct sql_statement statement[STATEMENTS];
    struct sql_statement once;
    char path[SCTD_PATH_MAX];
};

/* The last part of the path: texts of errors have little room. */
static const char *name_of(const struct sql *sql)
{
    const char *slash = strrchr(sql->path, '/');
    return slash == NULL ? sql->path : slash + 1;
}

static int fail(struct sql *sql, int rc, struct sctd_error *err)
{
    const char *why = sqlite3_errstr(rc);
    /* What is on the disk after a failed sync nobody knows, and a second one may lie (fsyncgate). */
    sql->failed = sql->failed || rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
    switch (rc == SQLITE_IOERR_NOMEM ? SQLITE_NOMEM : rc & 0xff) {
    case SQLITE_NOMEM:
        return sctd_error(err, SCTD_ENOMEM, "job store %.60s", name_of(sql));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return sctd_error(
            err, SCTD_EDATA,
            "job store %.60s is damaged (%.60s): keep the file, and restore a backup or move it "
            "and its -wal away to begin anew",
            name_of(sql), why);
    case SQLITE_CONSTRAINT:
        return sctd_error(err, SCTD_EINVAL, "job store %.60s: %.120s", name_of(sql),
                          sqlite3_errmsg(sql->raw));
    case SQLITE_FULL:
        return sctd_error(err, SCTD_EIO, "job store %.60s: the disk is full", name_of(sql));
    case SQLITE_READONLY:
        return sctd_error(err, SCTD_EIO, "job store %.60s: no permission to write it or its folder",
                          name_of(sql));
    case SQLITE_IOERR:
        return sctd_error(err, SCTD_EIO, "job store %.60s: the disk failed (%d)", name_of(sql), rc);
    default:
        return sctd_error(err, SCTD_EIO, "job store %.60s: %.60s (%d)", name_of(sql), why, rc);
    }
}

/* Instead of SQLite's own checkpoints, whose errors nobody gets to see. */
static int note_log(void *arg, sqlite3 *raw, const char *schema, int pages)
{
    (void)raw;
    (void)schema;
    struct sql *sql = (struct sql *)arg;
    sql->log_pages = pages;
    return SQLITE_OK;
}

int sql_open(struct sql **ret_sql, const char *path, enum sql_mode mode, struct sctd_error *err)
{
    static const int flags[] = {
        [SQL_READ] = SQLITE_OPEN_READONLY,
        [SQL_WRITE] = SQLITE_OPEN_READWRITE,
        [SQL_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
    };
    const size_t size = strlen(path);
    if (size >= SCTD_PATH_MAX - 8) {
        return sctd_error(err, SCTD_EINVAL, "path %.160s is too long", path);
    }
    sctd_auto(sql_closep) struct sql *sql = calloc(1, sizeof *sql);
    if (sql == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "job store");
    }
    memcpy(sql->path, path, size + 1);
    sql->writes = mode != SQL_READ;
    int rc = sqlite3_open_v2(path, &sql->raw,
                             flags[mode] | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    /* Closing must not checkpoint: a store that is refused stays as it is. */
    rc = rc != SQLITE_OK ? rc
                         : sqlite3_db_config(sql->raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    rc = rc != SQLITE_OK ? rc : sqlite3_db_config(sql->raw, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    rc =
        rc != SQLITE_OK ? rc : sqlite3_db_config(sql->raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    rc = rc != SQLITE_OK ? rc : sqlite3_busy_timeout(sql->raw, BUSY_MS);
    if (rc != SQLITE_OK) {
        return fail(sql, rc, err);
    }
    (void)sqlite3_wal_hook(sql->raw, note_log, sql); /* replaces automatic checkpoints */
    *ret_sql = sctd_steal(&sql);
    return 0;
}

void sql_close(struct sql *sql)
{
    if (sql != NULL) {
        for (size_t i = 0; i < STATEMENTS; i++) {
            (void)sqlite3_finalize(sql->statement[i].raw);
        }
        (void)sqlite3_finalize(sql->once.raw);
        (void)sqlite3_close(sql->raw);
        free(sql);
    }
}

const char *sql_get_path(const struct sql *sql)
{
    return sql->path;
}

static void finalize(sqlite3_stmt **raw)
{
    (void)sqlite3_finalize(*raw);
}

int sql_run(struct sql *sql, const char *text, struct sctd_error *err)
{
    while (*text != '\0') {
        sctd_auto(finalize) sqlite3_stmt *raw = NULL;
        int rc = sqlite3_prepare_v2(sql->raw, text, -1, &raw, &text);
        while (rc == SQLITE_OK && raw != NULL && (rc = sqlite3_step(raw)) == SQLITE_ROW) {
            rc = SQLITE_OK;
        }
        if (rc != SQLITE_OK && rc != SQLITE_DONE) {
            return fail(sql, rc, err);
        }
    }
    return 0;
}

static int run_literal(struct sql *sql, const char *text, struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r = sql_prepare(&s, sql, text, err);
    return r < 0 ? r : sql_finish(s, err);
}

int sql_begin(struct sql *sql, struct sctd_error *err)
{
    if (!sql->writes) {
        return sctd_error(err, SCTD_EINVAL, "job store %.60s is open for reading", name_of(sql));
    }
    if (sql->failed) {
        return sctd_error(err, SCTD_EIO, "job store %.60s failed before: it must be opened again",
                          name_of(sql));
    }
    return run_literal(sql, "BEGIN IMMEDIATE", err);
}

int sql_begin_read(struct sql *sql, struct sctd_error *err)
{
    return run_literal(sql, "BEGIN", err);
}

void sql_rollback(struct sql *sql)
{
    /* An error may have rolled back already. */
    struct sctd_error ignored = {0};
    if (sqlite3_get_autocommit(sql->raw) == 0 && run_literal(sql, "ROLLBACK", &ignored) < 0) {
        sql->failed = true;
    }
}

int sql_commit(struct sql *sql, struct sctd_error *err)
{
    const int r = run_literal(sql, "COMMIT", err);
    if (r < 0) {
        sql_rollback(sql);
        return r;
    }
    struct sctd_error late = {0};
    if (sql->log_pages >= CHECKPOINT_PAGES && sql_checkpoint(sql, false, &late) < 0) {
        /* This transaction is kept.  A failed sync is told to the next one; a full disk may pass. */
        return 0;
    }
    return 0;
}

bool sql_is_failed(const struct sql *sql)
{
    return sql->failed;
}

int sql_checkpoint(struct sql *sql, bool all, struct sctd_error *err)
{
    int left = 0;
    int moved = 0;
    const int rc = sqlite3_wal_checkpoint_v2(
        sql->raw, NULL, all ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, &left,
        &moved);
    if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY) {
        sql->log_pages = left - moved;
        return 0;
    }
    return fail(sql, rc, err);
}

/* A check that lacks memory or cannot read calls the page damaged too, and says so in its text. */
static int read_code(const char *finding)
{
    static const char mark[] = "error code=";
    const char *at = strstr(finding, mark);
    int code = 0;
    for (at = at == NULL ? "" : at + sizeof mark - 1; *at >= '0' && *at <= '9' && code < 10000;
         at++) {
        code = 10 * code + (*at - '0');
    }
    return code;
}

int sql_check(struct sql *sql, bool full, struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare_once(&s, sql, full ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)",
                             err);
    r = r < 0 ? r : sql_step(s, err);
    if (r < 0) {
        return r;
    }
    const char *finding = r == SQL_ROW ? (const char *)sqlite3_column_text(s->raw, 0) : NULL;
    if (finding == NULL) {
        return fail(sql, SQLITE_NOMEM, err);
    }
    if (strcmp(finding, "ok") == 0) {
        return 0;
    }
    const int code = read_code(finding);
    if (code != 0 && (code & 0xff) != SQLITE_CORRUPT) {
        return fail(sql, code, err);
    }
    return sctd_error(
        err, SCTD_EDATA,
        "job store %.40s is damaged (%.60s): keep the file, and restore a backup or move it and "
        "its -wal away to begin anew",
        name_of(sql), finding);
}

/* Statements */

static int prepare(struct sql_statement *s, struct sql *sql, const char *text, unsigned flags,
                   struct sctd_error *err)
{
    const int rc = sqlite3_prepare_v3(sql->raw, text, -1, flags, &s->raw, NULL);
    if (rc != SQLITE_OK) {
        s->raw = NULL;
        /* A statement of ours fits the schema of ours: a name in it is damaged, which no check of the pages finds. */
        return fail(sql, rc == SQLITE_ERROR ? SQLITE_CORRUPT : rc, err);
    }
    s->sql = sql;
    return 0;
}

static void begin_use(struct sql_statement *s)
{
    assert(!s->used);
    s->used = true;
    s->bound = 0;
    s->failed = SQLITE_OK;
}

int sql_prepare(struct sql_statement **ret_statement, struct sql *sql, const char *text,
                struct sctd_error *err)
{
    struct sql_statement *s = sql->statement;
    while (s->text != NULL && s->text != text) {
        s++;
        assert(s < sql->statement + STATEMENTS);
    }
    if (s->raw == NULL) {
        const int r = prepare(s, sql, text, SQLITE_PREPARE_PERSISTENT, err);
        if (r < 0) {
            return r;
        }
        s->text = text;
    }
    begin_use(s);
    *ret_statement = s;
    return 0;
}

int sql_prepare_once(struct sql_statement **ret_statement, struct sql *sql, const char *text,
                     struct sctd_error *err)
{
    struct sql_statement *s = &sql->once;
    const int r = prepare(s, sql, text, 0, err);
    if (r < 0) {
        return r;
    }
    s->once = true;
    begin_use(s);
    *ret_statement = s;
    return 0;
}

void sql_done(struct sql_statement *statement)
{
    if (statement == NULL || !statement->used) {
        return;
    }
    if (statement->once) {
        (void)sqlite3_finalize(statement->raw);
        statement->raw = NULL;
    } else {
        (void)sqlite3_reset(statement->raw);
        (void)sqlite3_clear_bindings(statement->raw);
    }
    statement->used = false;
}

static void note_bind(struct sql_statement *s, int rc)
{
    if (rc != SQLITE_OK && s->failed == SQLITE_OK) {
        s->failed = rc;
    }
}

void sql_bind_int(struct sql_statement *statement, int64_t value)
{
    note_bind(statement, sqlite3_bind_int64(statement->raw, ++statement->bound, value));
}

void sql_bind_real(struct sql_statement *statement, double value)
{
    note_bind(statement, sqlite3_bind_double(statement->raw, ++statement->bound, value));
}

void sql_bind_text(struct sql_statement *statement, const char *text)
{
    sql_bind_text_or_null(statement, text == NULL ? "" : text);
}

void sql_bind_text_or_null(struct sql_statement *statement, const char *text)
{
    note_bind(statement,
              sqlite3_bind_text(statement->raw, ++statement->bound, text, -1, SQLITE_STATIC));
}

void sql_bind_blob(struct sql_statement *statement, const void *bytes, size_t size)
{
    statement->bound++;
    note_bind(statement, bytes == NULL
                             ? sqlite3_bind_zeroblob64(statement->raw, statement->bound, size)
                             : sqlite3_bind_blob64(statement->raw, statement->bound, bytes, size,
                                                   SQLITE_STATIC));
}

int sql_step(struct sql_statement *statement, struct sctd_error *err)
{
    const int rc =
        statement->failed != SQLITE_OK ? statement->failed : sqlite3_step(statement->raw);
    if (rc == SQLITE_ROW) {
        return SQL_ROW;
    }
    return rc == SQLITE_DONE ? 0 : fail(statement->sql, rc, err);
}

int sql_finish(struct sql_statement *statement, struct sctd_error *err)
{
    const int r = sql_step(statement, err);
    sql_done(statement);
    return r < 0 ? r : 0;
}

int64_t sql_get_int(const struct sql_statement *statement, int column)
{
    return sqlite3_column_int64(statement->raw, column);
}

const void *sql_get_blob(const struct sql_statement *statement, int column, size_t *ret_size)
{
    const void *bytes = sqlite3_column_blob(statement->raw, column);
    *ret_size = (size_t)sqlite3_column_bytes(statement->raw, column);
    return bytes;
}

int64_t sql_last_id(const struct sql *sql)
{
    return sqlite3_last_insert_rowid(sql->raw);
}

int64_t sql_changes(const struct sql *sql)
{
    return sqlite3_changes64(sql->raw);
}

/* Rows */

/* Whether the column's value fits; it is written to `to`, which has the type that the field says. */
static bool read_field(sqlite3_stmt *raw, int column, const struct sql_field *f, void *to)
{
    const bool null = sqlite3_column_type(raw, column) == SQLITE_NULL;
    const int64_t value = f->type < SQL_REAL ? sqlite3_column_int64(raw, column) : 0;
    switch (f->type) {
    case SQL_I64:
        memcpy(to, &value, sizeof value);
        return true;
    case SQL_I32: {
        const int32_t narrow = null ? INT32_MIN : (int32_t)value;
        memcpy(to, &narrow, sizeof narrow);
        return value >= INT32_MIN && value <= INT32_MAX;
    }
    case SQL_ENUM: {
        const int number = (int)value;
        memcpy(to, &number, sizeof number);
        return value >= 0 && (uint64_t)value < f->size;
    }
    case SQL_BOOL: {
        const bool is = value != 0;
        memcpy(to, &is, sizeof is);
        return true;
    }
    case SQL_REAL: {
        const double real = null ? (double)NAN : sqlite3_column_double(raw, column);
        memcpy(to, &real, sizeof real);
        return true;
    }
    case SQL_TEXT:
    case SQL_BYTES:
        break;
    }
    const void *bytes = f->type == SQL_TEXT ? (const void *)sqlite3_column_text(raw, column)
                                            : sqlite3_column_blob(raw, column);
    const size_t n = (size_t)sqlite3_column_bytes(raw, column);
    memset(to, 0, f->size);
    if (n > 0 && bytes != NULL && n <= f->size) {
        memcpy(to, bytes, n);
    }
    return f->type == SQL_TEXT ? n < f->size : null || n == f->size;
}

int sql_read(const struct sql_statement *statement, const struct sql_field *field, size_t n,
             void *ret_struct, struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!read_field(statement->raw, (int)i, &field[i], (char *)ret_struct + field[i].offset)) {
            return fail(statement->sql, SQLITE_CORRUPT, err);
        }
    }
    /* A text that SQLite had no memory to convert reads as empty. */
    return sqlite3_errcode(statement->sql->raw) == SQLITE_NOMEM
               ? fail(statement->sql, SQLITE_NOMEM, err)
               : 0;
}

struct rows {
    char *data; /* owned */
    size_t n, capacity;
};

static int read_row(struct rows *rows, const struct sql_statement *statement,
                    const struct sql_layout *layout, struct sctd_error *err)
{
    if (rows->n == rows->capacity) {
        const size_t capacity = rows->capacity == 0 ? 16 : 2 * rows->capacity;
        char *data = realloc(rows->data, capacity * layout->size);
        if (data == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "%zu rows of the job store", capacity);
        }
        rows->data = data;
        rows->capacity = capacity;
    }
    char *row = rows->data + rows->n * layout->size;
    memset(row, 0, layout->size);
    const int r = sql_read(statement, layout->field, layout->n_fields, row, err);
    rows->n += r < 0 ? 0 : 1;
    return r;
}

int sql_read_all(struct sql_statement *statement, const struct sql_layout *layout, void **ret_rows,
                 size_t *ret_n, struct sctd_error *err)
{
    struct rows rows = {NULL, 0, 0};
    int r = 0;
    while ((r = sql_step(statement, err)) == SQL_ROW) {
        r = read_row(&rows, statement, layout, err);
        if (r < 0) {
            break;
        }
    }
    sql_done(statement);
    if (r < 0) {
        free(rows.data);
        return r;
    }
    *ret_rows = rows.data;
    *ret_n = rows.n;
    return 0;
}
