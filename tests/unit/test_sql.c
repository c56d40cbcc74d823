/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/sql.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static struct sctd_error err;

static struct sql *fresh(void)
{
    struct sql *sql = NULL;
    (void)unlink(kit_path("s.db"));
    (void)unlink(kit_path("s.db-wal"));
    HOLDS(sql_open(&sql, kit_path("s.db"), SQL_CREATE, &err) == 0);
    HOLDS(sql_run(sql, "PRAGMA journal_mode = WAL; CREATE TABLE t (i, x, r, b)", &err) == 0);
    return sql;
}

struct row {
    int64_t wide;
    int32_t narrow;
    int kind;
    bool is;
    double real;
    char text[4];
    unsigned char bytes[2];
};

static const struct sql_field fields[] = {
    SQL_FIELD(SQL_I64, row, wide),    SQL_FIELD(SQL_I32, row, narrow),
    SQL_FIELD_ENUM(row, kind, 3),     SQL_FIELD(SQL_BOOL, row, is),
    SQL_FIELD(SQL_REAL, row, real),   SQL_FIELD(SQL_TEXT, row, text),
    SQL_FIELD(SQL_BYTES, row, bytes),
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

static int read_one(struct sql *sql, const char *text, struct row *ret_row)
{
    struct sql_statement *s = NULL;
    HOLDS(sql_prepare_once(&s, sql, text, &err) == 0);
    HOLDS(sql_step(s, &err) == SQL_ROW);
    const int r = sql_read(s, fields, N_FIELDS, ret_row, &err);
    sql_done(s);
    return r;
}

static void columns_go_into_members(void)
{
    struct sql *sql = fresh();
    struct row row;
    HOLDS(read_one(sql, "SELECT 1099511627776, -7, 2, 1, 2.5, 'abc', x'0102'", &row) == 0);
    HOLDS(row.wide == 1099511627776 && row.narrow == -7 && row.kind == 2 && row.is);
    HOLDS(row.real > 2.4 && row.real < 2.6 && strcmp(row.text, "abc") == 0);
    HOLDS(row.bytes[0] == 1 && row.bytes[1] == 2);
    HOLDS(read_one(sql, "SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL", &row) == 0);
    HOLDS(row.wide == 0 && row.narrow == INT32_MIN && row.kind == 0 && !row.is);
    HOLDS(isnan(row.real) && row.text[0] == '\0' && row.bytes[0] == 0 && row.bytes[1] == 0);
    sql_close(sql);
}

static void what_does_not_fit_is_damage(void)
{
    static const char *const texts[] = {
        "SELECT 1, 2147483648, 2, 1, 2.5, 'abc', x'0102'",
        "SELECT 1, -2147483649, 2, 1, 2.5, 'abc', x'0102'",
        "SELECT 1, 1, 3, 1, 2.5, 'abc', x'0102'",
        "SELECT 1, 1, -1, 1, 2.5, 'abc', x'0102'",
        "SELECT 1, 1, 1, 1, 2.5, 'abcd', x'0102'",
        "SELECT 1, 1, 1, 1, 2.5, 'abc', x'01'",
        "SELECT 1, 1, 1, 1, 2.5, 'abc', x'010203'",
    };
    struct sql *sql = fresh();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct row row;
        HOLDS(read_one(sql, texts[i], &row) == SCTD_EDATA);
        HOLDS(strstr(err.text, "damaged") != NULL);
    }
    sql_close(sql);
}

static void bound_values_come_back(void)
{
    struct sql *sql = fresh();
    struct sql_statement *s = NULL;
    HOLDS(sql_prepare(&s, sql, "INSERT INTO t VALUES (?1, ?2, ?3, ?4)", &err) == 0);
    sql_bind_int(s, INT64_MIN);
    sql_bind_text(s, "a'b");
    sql_bind_real(s, (double)NAN);
    sql_bind_blob(s, "\0\1", 2);
    HOLDS(sql_finish(s, &err) == 0 && sql_changes(sql) == 1 && sql_last_id(sql) == 1);
    HOLDS(sql_prepare(&s, sql, "SELECT i, x = 'a''b', r IS NULL, b FROM t", &err) == 0);
    HOLDS(sql_step(s, &err) == SQL_ROW);
    size_t size = 0;
    const void *bytes = sql_get_blob(s, 3, &size);
    HOLDS(sql_get_int(s, 0) == INT64_MIN && sql_get_int(s, 1) == 1 && sql_get_int(s, 2) == 1);
    HOLDS(size == 2 && memcmp(bytes, "\0\1", 2) == 0);
    HOLDS(sql_step(s, &err) == 0);
    sql_done(s);
    sql_close(sql);
}

static void an_absent_text_is_empty_or_null(void)
{
    struct sql *sql = fresh();
    struct sql_statement *s = NULL;
    HOLDS(sql_prepare(&s, sql, "SELECT ?1 = '', ?2 IS NULL", &err) == 0);
    sql_bind_text(s, NULL);
    sql_bind_text_or_null(s, NULL);
    HOLDS(sql_step(s, &err) == SQL_ROW && sql_get_int(s, 0) == 1 && sql_get_int(s, 1) == 1);
    sql_done(s);
    sql_close(sql);
}

static void a_literal_is_prepared_once_and_forgets_what_was_bound(void)
{
    static const char text[] = "SELECT ?1 IS NULL";
    struct sql *sql = fresh();
    struct sql_statement *first = NULL;
    struct sql_statement *second = NULL;
    HOLDS(sql_prepare(&first, sql, text, &err) == 0);
    sql_bind_int(first, 1);
    HOLDS(sql_step(first, &err) == SQL_ROW && sql_get_int(first, 0) == 0);
    sql_done(first);
    HOLDS(sql_prepare(&second, sql, text, &err) == 0 && second == first);
    HOLDS(sql_step(second, &err) == SQL_ROW && sql_get_int(second, 0) == 1);
    sql_done(second);
    sql_close(sql);
}

static void too_many_binds_come_out_at_the_step(void)
{
    struct sql *sql = fresh();
    struct sql_statement *s = NULL;
    HOLDS(sql_prepare(&s, sql, "SELECT ?1", &err) == 0);
    sql_bind_int(s, 1);
    sql_bind_int(s, 2);
    HOLDS(sql_step(s, &err) < 0);
    sql_done(s);
    sql_close(sql);
}

static void a_rollback_leaves_nothing(void)
{
    struct sql *sql = fresh();
    struct sql_statement *s = NULL;
    HOLDS(sql_begin(sql, &err) == 0);
    HOLDS(sql_run(sql, "INSERT INTO t VALUES (1, 2, 3, 4)", &err) == 0);
    sql_rollback(sql);
    sql_rollback(sql); /* none is open: nothing happens */
    HOLDS(sql_prepare(&s, sql, "SELECT count(*) FROM t", &err) == 0);
    HOLDS(sql_step(s, &err) == SQL_ROW && sql_get_int(s, 0) == 0);
    sql_done(s);
    HOLDS(!sql_is_failed(sql));
    sql_close(sql);
}

static void a_broken_constraint_is_the_callers_mistake_and_tells_no_value(void)
{
    struct sql *sql = fresh();
    HOLDS(sql_run(sql, "CREATE TABLE u (x UNIQUE); INSERT INTO u VALUES ('secret')", &err) == 0);
    HOLDS(sql_run(sql, "INSERT INTO u VALUES ('secret')", &err) == SCTD_EINVAL);
    HOLDS(strstr(err.text, "u.x") != NULL && strstr(err.text, "secret") == NULL);
    sql_close(sql);
}

/* Its statements are the program's own: that one does not fit the store is the store's fault. */
static void a_name_that_is_not_there_is_damage(void)
{
    static const char *const texts[] = {"SELECT nothing FROM t", "SELECT a FROM nowhere",
                                        "SELECT a FROM t INDEXED BY none"};
    struct sql *sql = fresh();
    struct sql_statement *s = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        HOLDS(sql_prepare(&s, sql, texts[i], &err) == SCTD_EDATA);
        HOLDS(strstr(err.text, "is damaged") != NULL);
    }
    sql_close(sql);
}

static void a_reader_does_not_write(void)
{
    struct sql *writer = fresh();
    struct sql *reader = NULL;
    HOLDS(sql_open(&reader, kit_path("s.db"), SQL_READ, &err) == 0);
    HOLDS(sql_begin(reader, &err) == SCTD_EINVAL);
    HOLDS(sql_run(reader, "INSERT INTO t VALUES (1, 2, 3, 4)", &err) == SCTD_EIO);
    sql_close(reader);
    sql_close(writer);
}

static void a_transaction_takes_the_right_to_write_when_it_begins(void)
{
    struct sql *first = fresh();
    struct sql *second = NULL;
    HOLDS(sql_open(&second, kit_path("s.db"), SQL_WRITE, &err) == 0);
    HOLDS(sql_run(second, "PRAGMA busy_timeout = 0", &err) == 0);
    HOLDS(sql_begin(first, &err) == 0);
    HOLDS(sql_begin(second, &err) == SCTD_EIO);
    sql_rollback(first);
    HOLDS(sql_begin(second, &err) == 0);
    sql_rollback(second);
    sql_close(second);
    sql_close(first);
}

static void all_rows_are_read(void)
{
    static const struct sql_layout layout = {fields, 1, sizeof(struct row)};
    struct sql *sql = fresh();
    struct sql_statement *s = NULL;
    void *rows = NULL;
    size_t n = 9;
    HOLDS(
        sql_prepare(&s, sql,
                    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?1) "
                    "SELECT x FROM c WHERE x <= ?1",
                    &err) == 0);
    sql_bind_int(s, 100);
    HOLDS(sql_read_all(s, &layout, &rows, &n, &err) == 0 && n == 100);
    const struct row *row = rows;
    HOLDS(row[0].wide == 1 && row[99].wide == 100);
    free(rows);
    HOLDS(sql_prepare(&s, sql, "SELECT 1 WHERE ?1 = 2", &err) == 0);
    sql_bind_int(s, 1);
    HOLDS(sql_read_all(s, &layout, &rows, &n, &err) == 0 && n == 0 && rows == NULL);
    sql_close(sql);
}

static void closing_leaves_the_log_alone(void)
{
    struct sql *sql = fresh();
    HOLDS(sql_run(sql, "INSERT INTO t VALUES (1, 2, 3, 4)", &err) == 0);
    HOLDS(strcmp(sql_get_path(sql), kit_path("s.db")) == 0);
    sql_close(sql);
    HOLDS(access(kit_path("s.db-wal"), F_OK) == 0);
    HOLDS(sql_open(&sql, kit_path("s.db"), SQL_WRITE, &err) == 0);
    HOLDS(sql_checkpoint(sql, true, &err) == 0);
    sql_close(sql);
}

int main(void)
{
    columns_go_into_members();
    what_does_not_fit_is_damage();
    bound_values_come_back();
    an_absent_text_is_empty_or_null();
    a_literal_is_prepared_once_and_forgets_what_was_bound();
    too_many_binds_come_out_at_the_step();
    a_rollback_leaves_nothing();
    a_broken_constraint_is_the_callers_mistake_and_tells_no_value();
    a_name_that_is_not_there_is_damage();
    a_reader_does_not_write();
    a_transaction_takes_the_right_to_write_when_it_begins();
    all_rows_are_read();
    closing_leaves_the_log_alone();
    kit_remove();
    return 0;
}
