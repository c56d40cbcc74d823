/*
 * deliveries.h - where the instances of a job go: one delivery for each destination.
 *
 *     WAITING -> QUEUED -> SENDING -> COMMITTING -> DONE
 *
 * A destination has a queue of its own: what it refuses or is too broken to take never holds up another.
 * It is claimed in the order of priority and age; which instances have been stored is kept, so that a broken
 * transfer goes on where it stopped.  A retry gives up after a horizon of waiting and trying, measured
 * with the lease clock while the daemon runs.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

enum db_delivery_state {
    DB_DELIVERY_WAITING,    /* "waiting": the job has no files yet */
    DB_DELIVERY_QUEUED,     /* "queued": to be claimed */
    DB_DELIVERY_RETRY,      /* "retry": waits for its time */
    DB_DELIVERY_SENDING,    /* "sending": under a lease */
    DB_DELIVERY_COMMITTING, /* "committing": all stored, storage commitment asked for */
    DB_DELIVERY_DONE,       /* "done" */
    DB_DELIVERY_FAILED,     /* "failed": refused for good, or the horizon is past */
    DB_DELIVERY_CANCELLED,  /* "cancelled" */
    DB_DELIVERY_STATES
};
const char *db_delivery_state_name(enum db_delivery_state state); /* never NULL */

struct db_delivery {
    int64_t id;
    int64_t job_id;
    enum db_delivery_state state;
    int32_t priority;
    int32_t attempt;    /* claims so far: with the id the fencing token */
    int32_t failures;   /* in a row */
    int32_t instances;  /* to be stored; 0 while WAITING */
    int32_t stored;     /* of these */
    int32_t committed;  /* of these */
    bool commitment;    /* wanted */
    int64_t spent_ms;   /* waited and tried since the last progress, of the horizon */
    int64_t due_ms;     /* lease clock: RETRY: not before; COMMITTING: until then */
    int64_t changed_ms; /* wall clock */
    char destination[DB_NAME_SIZE];
    char output_series_uid[DB_UID_SIZE];
    char transaction_uid[DB_UID_SIZE]; /* of the last request for commitment; "": none */
    char reason[DB_REASON_SIZE];       /* of the last transition */
};

struct db_send_token {
    int64_t delivery_id;
    int32_t attempt;
};

struct db_send_claim {
    const char *destination;
    int32_t max_active; /* of its deliveries may be SENDING at once */
    const char *owner;  /* "NODE/sender" */
    int64_t lease_ms;
};
/*
 * Claim the next delivery to a destination that is due: of the best priority, the oldest.
 * Returns 0 or DB_NONE (none, max_active are being sent, or the destination could not be reached and waits).
 * Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_delivery_claim(struct db *db, const struct db_now *now,
                                     const struct db_send_claim *claim,
                                     struct db_delivery *ret_delivery, struct sctd_error *err);
static inline struct db_send_token db_delivery_token(const struct db_delivery *delivery)
{
    const struct db_send_token token = {delivery->id, delivery->attempt};
    return token;
}

struct db_delivery_file {
    char sop_uid[DB_UID_SIZE], sop_class_uid[DB_UID_SIZE];
    char file[DB_FILE_SIZE];
    unsigned char sha256[SHA256_SIZE];
    int64_t size;
    bool stored, committed;
};
struct db_file_set {
    struct db_delivery_file *file; /* [n], owned; in the order in which they are to be sent */
    size_t n;
};
void db_file_set_fini(struct db_file_set *files); /* leaves it empty */
/* Returns 0 or DB_NONE.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int db_delivery_files(struct db *db, int64_t delivery_id,
                                     struct db_file_set *ret_files, struct sctd_error *err);

/* Instances that a destination has taken: their places in struct db_file_set. */
struct db_stored {
    const int32_t *number; /* [n] */
    size_t n;              /* 0: only the lease is prolonged */
};
/*
 * Keep that instances have been stored, and prolong the lease to lease_ms from now.  Each call is a sync:
 * once a second is enough, since to store an instance again is harmless.
 * Returns 0 or DB_LOST.  Errors: SCTD_EINVAL (a number), SCTD_EIO.
 */
SCTD_NODISCARD int db_delivery_progress(struct db *db, const struct db_now *now,
                                        struct db_send_token token, int64_t lease_ms,
                                        const struct db_stored *stored, struct sctd_error *err);

/* Delays have full jitter: random * min(cap, base * 2^(tries - 1)). */
struct db_delivery_retry {
    int64_t base_ms, cap_ms;
    int64_t horizon_ms; /* so much spent without progress ends the delivery as FAILED */
    double random;      /* [0, 1): drawn by the caller */
};
/* 5 s doubling to 15 min, for 7 days. */
struct db_delivery_retry db_delivery_retry_default(double random);

enum db_sent {
    DB_SENT_STORED,      /* every instance is stored and nothing more was wanted: DONE */
    DB_SENT_FAILED,      /* refused or broken, may pass: again later */
    DB_SENT_UNREACHABLE, /* no association: the whole destination waits */
    DB_SENT_REFUSED,     /* never again by itself: FAILED */
    DB_SENT_DIED,        /* the sender died or hung */
    DB_SENT_RELEASED,    /* given back untouched: the daemon drains */
};
struct db_sent_result {
    enum db_sent sent;
    const char *reason; /* required unless STORED */
    const char *detail; /* status codes and the like; NULL: none */
};
/*
 * End an attempt.  After db_delivery_ask it says how the request itself went: FAILED, UNREACHABLE and REFUSED
 * end the waiting, DIED and RELEASED leave it, for the answer may still come.
 * Returns 0 or DB_LOST.
 * Errors: SCTD_EINVAL (STORED with instances that are not, or with storage commitment wanted), SCTD_EIO.
 */
SCTD_NODISCARD int db_delivery_finish(struct db *db, const struct db_now *now,
                                      struct db_send_token token,
                                      const struct db_sent_result *result,
                                      const struct db_delivery_retry *retry,
                                      struct sctd_error *err);

/*
 * Storage commitment of all instances is about to be asked for (PS3.4 J.3.2): call it before the N-ACTION.
 * The delivery is COMMITTING; without a report within wait_ms it is asked again.  A new transaction UID
 * each time; reports of earlier ones still count.
 * Returns 0 or DB_LOST.  Errors: SCTD_EINVAL (not all are stored, not wanted, the UID was used), SCTD_EIO.
 */
SCTD_NODISCARD int db_delivery_ask(struct db *db, const struct db_now *now,
                                   struct db_send_token token, const char *transaction_uid,
                                   int64_t wait_ms, struct sctd_error *err);

/*
 * Storage commitment is not wanted any more of a delivery that is being sent: it ends with the last stored instance.
 * Returns 0 or DB_LOST.  Errors: SCTD_EIO.
 */
SCTD_NODISCARD int db_delivery_waive(struct db *db, struct db_send_token token,
                                     struct sctd_error *err);

/* An N-EVENT-REPORT (PS3.4 J.3.3). */
struct db_commitment_report {
    const char *transaction_uid;
    const char *destination;      /* that sent it; another one's transaction is not found */
    const char *const *committed; /* [n_committed] SOP Instance UIDs; those not ours are ignored */
    size_t n_committed;
    const char *const *failed; /* [n_failed] these are to be stored again */
    size_t n_failed;
    const char *reason; /* of the failures, with their codes; NULL: none failed */
};
/*
 * Keep what it says.  All committed: DONE.  Else the delivery is tried again later.  *ret_delivery_id: whose it was.
 * Returns 0 (also for a repeated report) or DB_NONE (no such transaction).
 * Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_delivery_report(struct db *db, const struct db_now *now,
                                      const struct db_commitment_report *report,
                                      const struct db_delivery_retry *retry,
                                      int64_t *ret_delivery_id, struct sctd_error *err);

/* Leases that are over (the sender is taken for dead) and requests without an answer.  *ret_n: how many. */
SCTD_NODISCARD int db_deliveries_expire(struct db *db, const struct db_now *now,
                                        const struct db_delivery_retry *retry, int32_t *ret_n,
                                        struct sctd_error *err);

struct db_delivery_page {
    struct db_delivery *delivery; /* [n], owned */
    size_t n;
    int64_t next; /* pass as `after` for what follows; 0: that was all */
};
void db_delivery_page_fini(struct db_delivery_page *list); /* leaves it empty */
struct db_delivery_filter {
    int64_t job_id;          /* 0: any */
    int state;               /* enum db_delivery_state; -1: any */
    const char *destination; /* NULL: any */
    int64_t after;           /* 0: from the start; oldest first */
    size_t limit;            /* 1 ... DB_PAGE_MAX */
};
/* Errors: SCTD_EINVAL (limit), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int db_delivery_list(struct db *db, const struct db_delivery_filter *filter,
                                    struct db_delivery_page *ret_list, struct sctd_error *err);
/* Returns 0 or DB_NONE. */
SCTD_NODISCARD int db_delivery_get(struct db *db, int64_t delivery_id,
                                   struct db_delivery *ret_delivery, struct sctd_error *err);

/* A destination as its deliveries know it; it comes to be with the first of them. */
struct db_destination {
    char name[DB_NAME_SIZE];
    int32_t backlog;         /* deliveries that have not ended and are not WAITING */
    int32_t failures;        /* in a row, of reaching it */
    int64_t due_ms;          /* lease clock: not before; 0: now */
    int64_t last_success_ms; /* wall clock; 0: never */
    int64_t last_failure_ms;
    int64_t oldest_ms; /* wall clock, when the oldest of the backlog was created; 0: none */
    /* Of the backlog: storage commitment was asked for and is not there.  since: wall clock, of the first request
     * for the oldest of them; 0: none. */
    int32_t uncommitted;
    int64_t uncommitted_since_ms;
    char reason[DB_REASON_SIZE]; /* of the last failure */
};
struct db_destination_page {
    struct db_destination *destination; /* [n], owned; by name; at most DB_PAGE_MAX */
    size_t n;
};
void db_destination_page_fini(struct db_destination_page *list); /* leaves it empty */
SCTD_NODISCARD int db_destination_list(struct db *db, struct db_destination_page *ret_list,
                                       struct sctd_error *err);
/* It can be reached again (an echo came back, an operator says so): what waits is due.  Returns 0 or DB_NONE. */
SCTD_NODISCARD int db_destination_wake(struct db *db, const char *name, struct sctd_error *err);

/*
 * The earliest lease-clock time at which a delivery becomes due after `now`, or a lease or request is over; 0 or
 * DB_NONE.  What is due already waits for no time but for a sender, or for its destination to be configured.
 */
SCTD_NODISCARD int db_deliveries_next(struct db *db, const struct db_now *now,
                                      int64_t *ret_lease_ms, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
