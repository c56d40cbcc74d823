/*
 * events.h - what was noteworthy, for the audit log: who did what to which thing.  Never changed afterwards.
 *
 * Jobs have a history of their own (jobs.h).  An event of kind "conflict" is recorded by db_instances_put.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct db_event {
    int64_t id, at_ms;          /* set by the store; wall clock */
    char kind[DB_NAME_SIZE];    /* "conflict", "login", "job-cancel" ... */
    char actor[DB_NAME_SIZE];   /* an AE title, a user, or "" for the daemon */
    char subject[DB_NAME_SIZE]; /* a UID or an id; "" for none */
    char text[DB_REASON_SIZE];  /* no patient data */
};
/* Errors: SCTD_EINVAL (no kind), SCTD_EIO. */
SCTD_NODISCARD int db_event_add(struct db *db, const struct db_now *now,
                                const struct db_event *event, struct sctd_error *err);

struct db_event_page {
    struct db_event *event; /* [n], owned */
    size_t n;
    int64_t next; /* pass as `after` for what follows; 0: that was all */
};
void db_event_page_fini(struct db_event_page *list); /* leaves it empty */
struct db_event_filter {
    const char *kind, *subject; /* NULL: any */
    bool ascending;             /* oldest first; else newest first */
    int64_t after;              /* 0: from the start */
    size_t limit;               /* 1 ... DB_PAGE_MAX */
};
/* Errors: SCTD_EINVAL (limit), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int db_event_list(struct db *db, const struct db_event_filter *filter,
                                 struct db_event_page *ret_list, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
