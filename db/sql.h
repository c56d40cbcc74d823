/*
 * sql.h - the one place that calls SQLite: connections, statements, and rows from and to structs.
 *
 * Private to db/.  Every statement is a string literal and is prepared once for each connection.  Values
 * are always bound.  Errors: SCTD_EDATA (the file is damaged), SCTD_EIO (disk full, I/O, locked), SCTD_ENOMEM,
 * SCTD_EINVAL (a constraint); their texts name the file, never a value.
 *
 * Thread safety: a connection and its statements belong to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/attr.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sql;
struct sql_statement;

enum sql_mode { SQL_READ, SQL_WRITE, SQL_CREATE };

/* *ret_sql: the caller closes it.  The path is kept for messages. */
SCTD_NODISCARD int sql_open(struct sql **ret_sql, const char *path, enum sql_mode mode,
                            struct sctd_error *err);
void sql_close(struct sql *sql); /* NULL is a no-op; does not move the log into the database */
static inline void sql_closep(struct sql **sql)
{
    sql_close(*sql);
}

const char *sql_get_path(const struct sql *sql);

/* Run every statement of a text, dropping rows. */
SCTD_NODISCARD int sql_run(struct sql *sql, const char *text, struct sctd_error *err);

SCTD_NODISCARD int sql_begin(struct sql *sql, struct sctd_error *err); /* BEGIN IMMEDIATE */
SCTD_NODISCARD int sql_begin_read(struct sql *sql, struct sctd_error *err);
SCTD_NODISCARD int sql_commit(struct sql *sql, struct sctd_error *err); /* an error rolls back */
void sql_rollback(struct sql *sql);
/* A sync failed: nobody knows what is on the disk, and sql_begin refuses from then on. */
bool sql_is_failed(const struct sql *sql);

/* Move the log into the database as far as readers allow; `all`: wait for them, then cut the log. */
SCTD_NODISCARD int sql_checkpoint(struct sql *sql, bool all, struct sctd_error *err);

/* Look at the structure of every page; `full`: and at every index against its table. */
SCTD_NODISCARD int sql_check(struct sql *sql, bool full, struct sctd_error *err);

/*
 * The prepared statement of a literal: `text` is compared by address.  It must not be in use.  Give it back with
 * sql_done.  sql_prepare_once: of a text that was put together; one at a time.
 */
SCTD_NODISCARD int sql_prepare(struct sql_statement **ret_statement, struct sql *sql,
                               const char *text, struct sctd_error *err);
SCTD_NODISCARD int sql_prepare_once(struct sql_statement **ret_statement, struct sql *sql,
                                    const char *text, struct sctd_error *err);
void sql_done(struct sql_statement *statement); /* NULL is a no-op */
static inline void sql_donep(struct sql_statement **statement)
{
    sql_done(*statement);
}

/* Parameters ?1 ?2 ... in this order; a failed bind comes out at sql_step.  The bytes must stay until sql_done. */
void sql_bind_int(struct sql_statement *statement, int64_t value);
void sql_bind_real(struct sql_statement *statement, double value);     /* NAN becomes NULL */
void sql_bind_text(struct sql_statement *statement, const char *text); /* NULL becomes "" */
void sql_bind_text_or_null(struct sql_statement *statement, const char *text);
void sql_bind_blob(struct sql_statement *statement, const void *bytes, size_t size);

enum { SQL_ROW = 1 };
/* Returns SQL_ROW, or 0 at the end. */
SCTD_NODISCARD int sql_step(struct sql_statement *statement, struct sctd_error *err);
/* sql_step for what has no rows, then sql_done in any case. */
SCTD_NODISCARD int sql_finish(struct sql_statement *statement, struct sctd_error *err);

int64_t sql_get_int(const struct sql_statement *statement, int column);
/* Bytes of a column as they are; valid until the next step. */
const void *sql_get_blob(const struct sql_statement *statement, int column, size_t *ret_size);
int64_t sql_last_id(const struct sql *sql);
int64_t sql_changes(const struct sql *sql); /* rows that the last statement changed */

/* How a column goes into a member of a struct. */
enum sql_type {
    SQL_I64,
    SQL_I32,  /* NULL becomes INT32_MIN */
    SQL_ENUM, /* an enum or an int, 0 ... size - 1 */
    SQL_BOOL,
    SQL_REAL,  /* NULL becomes NAN */
    SQL_TEXT,  /* char[size]; NULL becomes "" */
    SQL_BYTES, /* unsigned char[size], of exactly this size; NULL becomes zeros */
};
struct sql_field {
    enum sql_type type;
    size_t offset, size;
};
#define SQL_FIELD(type, st, member)                                                                \
    {(type), offsetof(struct st, member), sizeof(((struct st *)0)->member)}
#define SQL_FIELD_ENUM(st, member, n) {SQL_ENUM, offsetof(struct st, member), (n)}

/* Columns 0 ... n - 1 into *ret_struct.  Errors: SCTD_EDATA (a value that does not fit: the file is damaged). */
SCTD_NODISCARD int sql_read(const struct sql_statement *statement, const struct sql_field *field,
                            size_t n, void *ret_struct, struct sctd_error *err);

/*
 * Every row of a prepared and bound statement, which is done afterwards: *ret_rows is an array of structs of `size`
 * bytes, the caller's to free (NULL if there are none).
 */
struct sql_layout {
    const struct sql_field *field;
    size_t n_fields, size;
};
SCTD_NODISCARD int sql_read_all(struct sql_statement *statement, const struct sql_layout *layout,
                                void **ret_rows, size_t *ret_n, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
