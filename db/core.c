/* SPDX-License-Identifier: Apache-2.0 */
#include "db/core.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/events.h"
#include "db/sql.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

int core_begin(struct db *db, struct sctd_error *err)
{
    return sql_begin(db->sql, err);
}

int core_begin_read(struct db *db, struct sctd_error *err)
{
    return sql_begin_read(db->sql, err);
}

void core_changed(struct db *db, enum db_change what, int64_t id)
{
    struct core_changes *c = &db->changes;
    if (db->changed == NULL) {
        return;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->change[i].what == what && c->change[i].id == id) {
            return;
        }
    }
    if (c->n == CORE_CHANGES_MAX) {
        c->overflow = true;
        return;
    }
    c->change[c->n].what = what;
    c->change[c->n].id = id;
    c->n++;
}

static void tell_changes(struct db *db)
{
    struct core_changes *c = &db->changes;
    for (size_t i = 0; i < c->n; i++) {
        db->changed(db->changed_arg, c->change[i].what, c->change[i].id);
    }
    if (c->overflow) {
        db->changed(db->changed_arg, DB_CHANGE_MANY, 0);
    }
}

int core_end(struct db *db, int r, struct sctd_error *err)
{
    if (r < 0) {
        sql_rollback(db->sql);
    }
    const int ended = r < 0 ? r : sql_commit(db->sql, err);
    if (ended >= 0) {
        tell_changes(db);
    }
    db->changes.n = 0;
    db->changes.overflow = false;
    return ended < 0 ? ended : r;
}

int core_check_texts(const struct core_text *texts, size_t n, struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct core_text *t = &texts[i];
        const size_t size = t->text == NULL ? 0 : strlen(t->text);
        if (size == 0 && t->required) {
            return sctd_error(err, SCTD_EINVAL, "job store: no %s", t->name);
        }
        if (size >= t->size) {
            return sctd_error(err, SCTD_EINVAL, "job store: a %s of %zu bytes (%zu are kept)",
                              t->name, size, t->size - 1);
        }
        if (size > 0 && !utf8_is_text(t->text)) {
            return sctd_error(err, SCTD_EINVAL, "job store: a %s that is no UTF-8", t->name);
        }
    }
    return 0;
}

int core_check_limit(size_t limit, size_t max, struct sctd_error *err)
{
    if (limit < 1 || limit > max) {
        return sctd_error(err, SCTD_EINVAL, "job store: %zu at once (1 to %zu)", limit, max);
    }
    return 0;
}

int core_note(struct db *db, const struct db_now *now, const struct core_change *change,
              struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    int r = sql_prepare(
        &s, db->sql,
        "INSERT INTO history (job_id, delivery_id, at_ms, attempt, from_state, to_state, "
        "reason, detail) VALUES (?1, nullif(?2, 0), ?3, ?4, ?5, ?6, ?7, ?8)",
        err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, change->job_id);
    sql_bind_int(s, change->delivery_id);
    sql_bind_int(s, now->wall_ms);
    sql_bind_int(s, change->attempt);
    sql_bind_int(s, change->from);
    sql_bind_int(s, change->to);
    sql_bind_text(s, change->reason);
    sql_bind_text(s, change->detail);
    core_changed(db, DB_CHANGE_JOB, change->job_id);
    return sql_finish(s, err);
}

int core_event(struct db *db, const struct db_now *now, const struct db_event *event,
               struct sctd_error *err)
{
    struct sql_statement *s = NULL;
    const int r =
        sql_prepare(&s, db->sql,
                    "INSERT INTO event (at_ms, kind, actor, subject, text) VALUES (?1, ?2, ?3, "
                    "?4, ?5)",
                    err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(s, now->wall_ms);
    sql_bind_text(s, event->kind);
    sql_bind_text(s, event->actor);
    sql_bind_text(s, event->subject);
    sql_bind_text(s, event->text);
    return sql_finish(s, err);
}

int core_read_one(struct sql_statement *statement, const struct sql_field *field, size_t n,
                  void *ret_struct, struct sctd_error *err)
{
    const int r = sql_step(statement, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : DB_NONE;
    }
    return sql_read(statement, field, n, ret_struct, err);
}

int core_text_of(struct db *db, const char *query, int64_t parameter, char **ret_text,
                 struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *statement = NULL;
    int r = sql_prepare(&statement, db->sql, query, err);
    if (r < 0) {
        return r;
    }
    sql_bind_int(statement, parameter);
    r = sql_step(statement, err);
    if (r != SQL_ROW) {
        return r < 0 ? r : DB_NONE;
    }
    size_t size = 0;
    const void *bytes = sql_get_blob(statement, 0, &size);
    char *text = malloc(size + 1);
    if (text == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "job store: a text of %zu bytes", size);
    }
    if (size > 0) {
        memcpy(text, bytes, size);
    }
    text[size] = '\0';
    *ret_text = text;
    return 0;
}

int core_number(struct db *db, const char *text, int64_t parameter, int64_t *ret_value,
                struct sctd_error *err)
{
    sctd_auto(sql_donep) struct sql_statement *s = NULL;
    int r = sql_prepare(&s, db->sql, text, err);
    if (r < 0) {
        return r;
    }
    if (strchr(text, '?') != NULL) {
        sql_bind_int(s, parameter);
    }
    r = sql_step(s, err);
    if (r < 0) {
        return r;
    }
    *ret_value = r == SQL_ROW ? sql_get_int(s, 0) : 0;
    return 0;
}

int64_t core_delay_ms(int64_t base_ms, int64_t cap_ms, int32_t tries, double random)
{
    int64_t most = base_ms < cap_ms ? base_ms : cap_ms;
    for (int32_t i = 1; i < tries && most < cap_ms; i++) {
        most = most > cap_ms / 2 ? cap_ms : 2 * most;
    }
    return (int64_t)(random * (double)most);
}

/* Pages */

enum { LIST_TEXT_MAX = 4096 };

static int write_query(struct sctd_buf *text, const struct core_page *page, struct sctd_error *err)
{
    int r = sctd_buf_text(text, page->select, err);
    const char *word = "WHERE";
    for (size_t i = 0; r == 0 && i < page->n_matches; i++) {
        if (page->match[i].use) {
            r = sctd_buf_printf(text, err, " %s %s", word, page->match[i].condition);
            word = "AND";
        }
    }
    if (r == 0 && page->after != 0) {
        r = sctd_buf_printf(text, err, " %s %s %s ?", word, page->id, page->ascending ? ">" : "<");
    }
    return r < 0 ? r
                 : sctd_buf_printf(text, err, " ORDER BY %s%s LIMIT ?", page->id,
                                   page->ascending ? "" : " DESC");
}

static void bind_query(struct sql_statement *s, const struct core_page *page)
{
    for (size_t i = 0; i < page->n_matches; i++) {
        const struct core_match *m = &page->match[i];
        if (m->use && m->text != NULL) {
            sql_bind_text(s, m->text);
        } else if (m->use) {
            sql_bind_int(s, m->number);
        }
    }
    if (page->after != 0) {
        sql_bind_int(s, page->after);
    }
    sql_bind_int(s, (int64_t)page->limit + 1);
}

int core_list(struct db *db, const struct core_page *page, struct core_rows *ret_rows,
              struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(LIST_TEXT_MAX);
    struct sql_statement *s = NULL;
    struct core_rows rows = {NULL, 0, 0};
    int r = core_check_limit(page->limit, DB_PAGE_MAX, err);
    r = r < 0 ? r : write_query(&text, page, err);
    r = r < 0 ? r : sql_prepare_once(&s, db->sql, sctd_buf_get_text(&text), err);
    if (r < 0) {
        return r;
    }
    bind_query(s, page);
    r = sql_read_all(s, &page->layout, &rows.data, &rows.n, err);
    if (r < 0) {
        return r;
    }
    if (rows.n > page->limit) { /* one more than asked for tells that there are more */
        rows.n = page->limit;
        const char *last = (const char *)rows.data + (rows.n - 1) * page->layout.size;
        memcpy(&rows.next, last + page->layout.field[0].offset, sizeof rows.next);
    }
    *ret_rows = rows;
    return 0;
}
