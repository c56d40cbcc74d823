/* db_kit.h - what the tests of db/ share: a store in a folder of its own, instances and jobs to put in it. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/sha256.h"

/* assert, but always on, and one statement to the tools that count them. */
#define HOLDS(condition) kit_check((condition), #condition, __FILE__, __LINE__)
static inline void kit_check(bool holds, const char *condition, const char *file, int line)
{
    if (!holds) {
        (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
        abort();
    }
}

enum { KIT_OUTPUTS = 3, KIT_LEASE_MS = 60000 };

extern struct sctd_error kit_err; /* of the last failure */
extern struct db_now kit_now;     /* tests move it on */

/* A folder under /tmp; kit_remove takes it and the files in it away. */
const char *kit_folder(void);
const char *kit_path(const char *name); /* in it; four at a time */
void kit_remove(void);

struct db *kit_open(void); /* "jobs.db" in the folder, made if it is not there */
struct db *kit_open_reader(void);

/* Statements on the file, as somebody else would: with the sqlite3 program. */
void kit_sql(const char *text);
int64_t kit_number(struct db *db, const char *text); /* a literal */

/* Instance `number` of series `series` in study `study`; texts are good until the next KIT_INSTANCES calls. */
struct db_instance kit_instance(int study, int series, int number);
/* Put `n` of them; each must be stored.  The id of the series. */
int64_t kit_put(struct db *db, int study, int series, int first, int n);

/* A spec with KIT_OUTPUTS outputs to `n` destinations "pacs1" ..., whose UIDs depend on `tag`. */
struct db_job_spec kit_spec(int tag, int n_destinations, bool commitment);
/* Put a series of two instances and complete it.  The id of its job. */
int64_t kit_job(struct db *db, int series, int n_destinations);
int64_t kit_job_of(struct db *db, int series, const struct db_job_spec *spec);

struct db_job kit_claim(struct db *db);
struct db_job kit_get(struct db *db, int64_t job_id);
struct db_retry kit_retry(void); /* 1 s doubling to 4 s without jitter; 3 failures, 3 deaths */
int kit_fail(struct db *db, struct db_token token, enum db_work work);
/* Finish a claimed job with its outputs. */
int kit_done(struct db *db, const struct db_job *job);
/* The same, with what its checks found; quality: NULL: no report. */
int kit_checked(struct db *db, const struct db_job *job, enum db_review review,
                const char *quality);
/* Claimed and done: its deliveries are queued. */
int64_t kit_written(struct db *db, int series, int n_destinations, bool commitment);
