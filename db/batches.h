/*
 * batches.h - retrospective work: a batch is a request, and the series that it found, each with how far it is.
 *
 *     batch   PLANNING -> RUNNING -> DONE       or FAILED (nothing could be found out), CANCELLED
 *     item    WAITING -> FETCHING -> READY -> CONVERTING -> DONE, or SKIPPED, FAILED, CANCELLED
 *
 * A series that is WAITING without having been fetched, or held already, goes to READY at once.  Whatever
 * ends the daemon, what was FETCHING is WAITING afterwards; nothing else changes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DB_BATCH_REQUEST_MAX = 8 << 20,
    DB_FOLDER_SIZE = 4096,
    DB_DATE_SIZE = 17,
};

enum db_batch_state {
    DB_BATCH_PLANNING,  /* "planning": its series are being looked for */
    DB_BATCH_RUNNING,   /* "running" */
    DB_BATCH_DONE,      /* "done": every series has its end */
    DB_BATCH_FAILED,    /* "failed": its series could not be found out */
    DB_BATCH_CANCELLED, /* "cancelled" */
    DB_BATCH_STATES
};
const char *db_batch_state_name(enum db_batch_state state); /* never NULL */

enum db_item_state {
    DB_ITEM_WAITING,    /* "waiting" */
    DB_ITEM_FETCHING,   /* "fetching" */
    DB_ITEM_READY,      /* "ready": all of it is here */
    DB_ITEM_CONVERTING, /* "converting": a job has it */
    DB_ITEM_DONE,       /* "done" */
    DB_ITEM_SKIPPED,    /* "skipped": it was done before, or nothing is to be made of it */
    DB_ITEM_FAILED,     /* "failed" */
    DB_ITEM_CANCELLED,  /* "cancelled" */
    DB_ITEM_STATES
};
const char *db_item_state_name(enum db_item_state state); /* never NULL */
static inline bool db_item_has_ended(enum db_item_state state)
{
    return state >= DB_ITEM_DONE;
}

struct db_batch_spec {
    const char *name;        /* "" or NULL: none */
    const char *description; /* one line, no patient data */
    const char *request;     /* as it was asked for; may name patients: db_batch_request_get */
    unsigned char sha256[SHA256_SIZE]; /* of the request: the same is not begun twice */
    bool paused, force;
    int32_t moves, per_hour, from_minute, to_minute;
};
/*
 * Returns 0, or DB_EXISTS with the id of a batch of the same request that has not ended, unless `force`.
 * Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_batch_create(struct db *db, const struct db_now *now,
                                   const struct db_batch_spec *spec, int64_t *ret_id,
                                   struct sctd_error *err);

struct db_batch {
    int64_t id;
    enum db_batch_state state;
    bool paused, force;
    int32_t moves, per_hour, from_minute, to_minute;
    int64_t created_ms, changed_ms, ended_ms; /* wall clock; 0: not yet */
    int64_t begun_ms;                         /* wall clock, of the last series; 0: none */
    int64_t due_ms;                /* lease clock: its source was not reached: not before */
    int32_t failures;              /* of reaching it, in a row */
    int64_t items[DB_ITEM_STATES]; /* how many are in each state */
    int64_t held;                  /* CONVERTING: of these, whose result is held for review */
    /* Unless it has ended, of the series that were done: from its begin to its end. */
    int64_t spent_ms, ended_items;
    char name[DB_NAME_SIZE], description[DB_REASON_SIZE];
    char reason[DB_REASON_SIZE];   /* of the last change */
    char created_by[DB_NAME_SIZE]; /* of its event "batch-create"; "": there is none */
};
/* Returns 0 or DB_NONE. */
SCTD_NODISCARD int db_batch_get(struct db *db, int64_t id, struct db_batch *ret_batch,
                                struct sctd_error *err);
/* *ret_text: the caller frees it.  Returns 0 or DB_NONE. */
SCTD_NODISCARD int db_batch_request_get(struct db *db, int64_t id, char **ret_text,
                                        struct sctd_error *err);

struct db_batch_page {
    struct db_batch *batch; /* [n], owned */
    size_t n;
    int64_t next; /* pass as `after` for what follows; 0: that was all */
};
void db_batch_page_fini(struct db_batch_page *list); /* leaves it empty */
struct db_batch_filter {
    int state; /* enum db_batch_state; -1: any */
    bool ascending;
    int64_t after;
    size_t limit; /* 1 ... DB_PAGE_MAX */
};
SCTD_NODISCARD int db_batch_list(struct db *db, const struct db_batch_filter *filter,
                                 struct db_batch_page *ret_list, struct sctd_error *err);

struct db_item {
    int64_t id, batch_id;
    enum db_item_state state;
    int32_t attempt;           /* fetches begun */
    int32_t failures;          /* of these: that failed, and were not interrupted */
    int32_t expected;          /* images, as its source says; -1: it does not */
    int32_t instances;         /* that are here, when it was ordered */
    int64_t series_id, job_id; /* 0: none yet */
    bool has_made;             /* the job is this batch's own */
    enum db_review review;     /* of the job, as it is now */
    bool is_held;              /* the job is: db_job_is_held */
    int64_t due_ms;            /* lease clock: WAITING: not before */
    int64_t begun_ms, fetched_ms, ordered_ms, ended_ms; /* wall clock; 0: not yet */
    char study_uid[DB_UID_SIZE], series_uid[DB_UID_SIZE], output_series_uid[DB_UID_SIZE];
    char study_date[DB_DATE_SIZE], modality[DB_AE_SIZE];
    char series_description[DB_TEXT_SIZE];
    char method[DB_AE_SIZE]; /* how it was fetched: "get", "move", "files", "held"; "" */
    char folder[DB_FOLDER_SIZE];
    char reason[DB_REASON_SIZE];
};

/*
 * Series that were found, while PLANNING; one that the batch has already is left as it is.
 * n <= DB_BATCH_MAX.  Of items[n] only what is known then is taken: UIDs, texts, expected, folder.
 * Returns 0, DB_NONE or DB_REFUSED (not PLANNING).  Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_batch_add(struct db *db, const struct db_now *now, int64_t id,
                                const struct db_item *items, size_t n, struct sctd_error *err);
/* All were found: RUNNING, or DONE if there are none.  Returns 0, DB_NONE or DB_REFUSED. */
SCTD_NODISCARD int db_batch_planned(struct db *db, const struct db_now *now, int64_t id,
                                    const char *reason, struct sctd_error *err);
/* They could not be: FAILED.  Returns the same. */
SCTD_NODISCARD int db_batch_fail(struct db *db, const struct db_now *now, int64_t id,
                                 const char *reason, struct sctd_error *err);

/*
 * What an operator asks for.  Each returns 0, DB_NONE or DB_REFUSED (it has ended; is paused, or not).
 * cancel: what waits is cancelled, and so are jobs that the batch made and that have no result; a series that came in
 * part is discarded.
 */
SCTD_NODISCARD int db_batch_pause(struct db *db, const struct db_now *now, int64_t id, bool paused,
                                  const char *reason, struct sctd_error *err);
SCTD_NODISCARD int db_batch_cancel(struct db *db, const struct db_now *now, int64_t id,
                                   const char *reason, struct sctd_error *err);

/*
 * The oldest series that waits and is due becomes FETCHING, its attempt counted.
 * Returns 0 or DB_NONE.
 */
SCTD_NODISCARD int db_item_claim(struct db *db, const struct db_now *now, int64_t batch_id,
                                 struct db_item *ret_item, struct sctd_error *err);
/* How it goes on: state, attempt, due_ms, what was found out, times and reason, of an item as it was read or claimed.
 * Returns 0 or DB_LOST (it is not in the state `from` any more: cancelled). */
SCTD_NODISCARD int db_item_set(struct db *db, const struct db_now *now, const struct db_item *item,
                               enum db_item_state from, struct sctd_error *err);
/* A series of it begins now: what series/hour counts. */
SCTD_NODISCARD int db_batch_begin(struct db *db, const struct db_now *now, int64_t id,
                                  struct sctd_error *err);
/* The source could not be reached: nothing more of the batch before due_ms (lease clock); 0: it was reached. */
SCTD_NODISCARD int db_batch_defer(struct db *db, int64_t id, int64_t due_ms,
                                  struct sctd_error *err);

struct db_item_filter {
    int64_t batch_id; /* 0: any */
    int state;        /* enum db_item_state; -1: any */
    int64_t after;
    size_t limit; /* 1 ... DB_PAGE_MAX */
};
struct db_item_page {
    struct db_item *item; /* [n], owned; in the order in which they were found */
    size_t n;
    int64_t next;
};
void db_item_page_fini(struct db_item_page *list); /* leaves it empty */
SCTD_NODISCARD int db_item_list(struct db *db, const struct db_item_filter *filter,
                                struct db_item_page *ret_list, struct sctd_error *err);

/* Items whose jobs have ended, and batches whose items have.  *ret_n: how many changed.
 * Returns 0, or DB_NONE: no item waits for a job any more. */
SCTD_NODISCARD int db_batches_settle(struct db *db, const struct db_now *now, int32_t *ret_n,
                                     struct sctd_error *err);

/* Series that batches have ordered and no worker has finished. */
SCTD_NODISCARD int db_batches_count_ahead(struct db *db, int64_t *ret_n, struct sctd_error *err);

/* Whether a batch has begun to fetch a series and has not ordered it yet: 0 (yes) or DB_NONE. */
SCTD_NODISCARD int db_batches_claim_series(struct db *db, const char *series_uid,
                                           struct sctd_error *err);

/* A job that made, or will make, of a series what this model and these parameters make: 0 or DB_NONE.  A cancelled one
 * is one whose result was rejected. */
struct db_made {
    int64_t job_id;
    int state; /* enum db_job_state */
    bool is_rejected;
    int64_t created_ms;
    char output_series_uid[DB_UID_SIZE];
};
SCTD_NODISCARD int db_batches_find_made(struct db *db, int64_t series_id, const char *model_sha256,
                                        const char *parameters, struct db_made *ret_made,
                                        struct sctd_error *err);

#ifdef __cplusplus
}
#endif
