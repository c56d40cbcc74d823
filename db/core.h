/*
 * core.h - what the files of db/ share: the store itself, transactions, checks of texts, history.
 *
 * Private to db/.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/sql.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CORE_CHANGES_MAX = 64 };

/* What the transaction has changed, until it is committed. */
struct core_changes {
    struct {
        enum db_change what;
        int64_t id;
    } change[CORE_CHANGES_MAX];
    size_t n;
    bool overflow;
};

struct db {
    struct sql *sql;
    int lock; /* descriptor that holds the lock; -1: a reader */
    db_changed_fn changed;
    void *changed_arg;
    struct core_changes changes;
};

/* Say at the commit that it changed; again and again is once. */
void core_changed(struct db *db, enum db_change what, int64_t id);

/*
 * A call that writes:
 *     int r = core_begin(db, err);
 *     return r < 0 ? r : core_end(db, work(db, ...), err);
 * core_end commits if r >= 0 and gives r, else it rolls back.  An outcome is returned before anything is written.
 */
SCTD_NODISCARD int core_begin(struct db *db, struct sctd_error *err);
SCTD_NODISCARD int core_begin_read(struct db *db, struct sctd_error *err);
SCTD_NODISCARD int core_end(struct db *db, int r, struct sctd_error *err);

/* A text that a caller gave, what it is called, and the size of its place in a struct. */
struct core_text {
    const char *name, *text;
    size_t size;
    bool required;
};
/* Each is UTF-8 and fits, and is there if it must be.  Errors: SCTD_EINVAL, naming it. */
SCTD_NODISCARD int core_check_texts(const struct core_text *texts, size_t n,
                                    struct sctd_error *err);
SCTD_NODISCARD int core_check_limit(size_t limit, size_t max, struct sctd_error *err);

/* One line of a job's history. */
struct core_change {
    int64_t job_id;
    int64_t delivery_id; /* 0: of the job itself */
    int32_t attempt;
    int from, to;
    const char *reason, *detail; /* NULL: "" */
};
SCTD_NODISCARD int core_note(struct db *db, const struct db_now *now,
                             const struct core_change *change, struct sctd_error *err);

struct db_event;
SCTD_NODISCARD int core_event(struct db *db, const struct db_now *now, const struct db_event *event,
                              struct sctd_error *err);

/* Step to the only row and read it.  Returns 0, or DB_NONE: there is none.  Errors: those of sql_step and sql_read. */
SCTD_NODISCARD int core_read_one(struct sql_statement *statement, const struct sql_field *field,
                                 size_t n, void *ret_struct, struct sctd_error *err);

/* One text of any length, by a literal with one int parameter; the caller frees it.  Returns 0 or DB_NONE. */
SCTD_NODISCARD int core_text_of(struct db *db, const char *query, int64_t parameter,
                                char **ret_text, struct sctd_error *err);

/* One number of a literal with at most one int parameter; 0 without a row. */
SCTD_NODISCARD int core_number(struct db *db, const char *text, int64_t parameter,
                               int64_t *ret_value, struct sctd_error *err);

/* random * min(cap, base * 2^(tries - 1)): full jitter, against herds. */
int64_t core_delay_ms(int64_t base_ms, int64_t cap_ms, int32_t tries, double random);

/* A condition of a list, "state = ?": on a text, or else on a number. */
struct core_match {
    const char *condition, *text;
    int64_t number;
    bool use;
};
/* A page of a table, by id.  Column 0 is the id, an int64_t. */
struct core_page {
    const char *select; /* up to the WHERE; literals only */
    const char *id;     /* the column, "job.id" */
    const struct core_match *match;
    size_t n_matches;
    bool ascending;
    int64_t after;
    size_t limit;
    struct sql_layout layout;
};
struct core_rows {
    void *data; /* owned by the caller, of layout.size bytes each */
    size_t n;
    int64_t next; /* 0: there are no more */
};
SCTD_NODISCARD int core_list(struct db *db, const struct core_page *page,
                             struct core_rows *ret_rows, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
