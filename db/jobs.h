/*
 * jobs.h - what is to be made of a series: created with every output UID, claimed under a lease, finished.
 *
 *     QUEUED -> RUNNING -> DELIVERING -> DONE        RETRY -> QUEUED when its time has come
 *
 * A claim counts an attempt before the work begins.  Job id and attempt are the fencing token of the
 * lease: whoever comes with an older one has lost it (DB_LOST), and his result is dropped.
 * A result that its checks want looked at is marked, and where the job says so held: DELIVERING with its
 * deliveries WAITING, until somebody accepts or rejects it.  docs/job-store.md has every transition.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/instances.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

enum db_job_state {
    DB_JOB_QUEUED,     /* "queued": to be claimed */
    DB_JOB_RETRY,      /* "retry": an attempt failed, it waits for its time */
    DB_JOB_RUNNING,    /* "running": under a lease */
    DB_JOB_DELIVERING, /* "delivering": its files are written */
    DB_JOB_DONE,       /* "done": everything is where it belongs */
    DB_JOB_FAILED, /* "failed": its input is no good, tries are used up, or a delivery failed for good */
    DB_JOB_POISON, /* "poison": parked, since its workers died */
    DB_JOB_CANCELLED, /* "cancelled": by an operator, or superseded before it had a result or while it was held */
    DB_JOB_STATES
};
const char *db_job_state_name(enum db_job_state state); /* never NULL */

enum { DB_QUALITY_SIZE = 16385 };

enum db_review {
    DB_REVIEW_NONE,     /* "unchecked": there is no result, or nothing was checked */
    DB_REVIEW_PASSED,   /* "passed": every check */
    DB_REVIEW_NEEDED,   /* "needed": a check failed, and nobody has looked */
    DB_REVIEW_ACCEPTED, /* "accepted": by somebody who looked */
    DB_REVIEW_REJECTED, /* "rejected": by somebody who looked */
    DB_REVIEWS
};
const char *db_review_name(enum db_review review); /* never NULL */

/* Everything about a job that is decided before it runs. */
struct db_job_spec {
    int32_t priority; /* 0 (first) ... 9 */
    const char *rule;
    const char *model;        /* name and version */
    const char *model_sha256; /* 64 hex digits */
    const char *parameters;   /* everything else that changes the result, as text */
    const char *output_series_uid;
    const char *const *output_uids;  /* [n_outputs] SOP Instance UIDs, in the order of the slices */
    size_t n_outputs;                /* 1 ... DB_OUTPUTS_MAX */
    const char *const *destinations; /* [n_destinations] names; none: the result is only kept */
    size_t n_destinations;
    bool commitment;           /* delivered means: its storage is committed */
    const bool *no_commitment; /* [n_destinations] not at these; NULL: at all */
    bool
        hold; /* a result that needs review is sent nowhere before it is accepted; on, if its like was rejected or held */
};

struct db_completion {
    int64_t series_id;
    int32_t revision, instances; /* as the caller saw them */
    enum db_evidence evidence;
    const char *reason; /* for people: "no byte for 60 s" */
    const struct db_job_spec *job;
};

/*
 * Close an open series and create its job, in one transaction.  Jobs of its earlier revisions are superseded:
 * those without a result are cancelled, the others keep it; all name the new one.
 * Returns 0 and *ret_job_id, or DB_NONE (no such series), DB_CHANGED (an instance came, or it is not open), or
 * DB_EXISTS with the id of the job that makes the same output series: then the series is closed and no job
 * was created.
 * Errors: SCTD_EINVAL (a value beyond its limit), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int db_series_complete(struct db *db, const struct db_now *now,
                                      const struct db_completion *completion, int64_t *ret_job_id,
                                      struct sctd_error *err);

/*
 * Another job on a closed series as it is: another model, other parameters.  Supersedes nothing.
 * Returns 0, DB_NONE, DB_REFUSED (not closed, or files of it are removed) or DB_EXISTS, as above.
 */
SCTD_NODISCARD int db_job_create(struct db *db, const struct db_now *now, int64_t series_id,
                                 const struct db_job_spec *spec, int64_t *ret_job_id,
                                 struct sctd_error *err);

struct db_job {
    int64_t id;
    enum db_job_state state;
    int64_t series_id;
    int32_t revision; /* of the series: its instances up to this one are the input */
    int32_t priority;
    int32_t attempt;                          /* claims so far */
    int32_t failures;                         /* attempts that ended with an error that may pass */
    int32_t deaths;                           /* attempts whose worker died or hung */
    int32_t breaks;                           /* attempts that broke the GPU they ran on */
    int32_t interruptions;                    /* attempts that ended with the daemon */
    int32_t outputs;                          /* instances to be made; once written: that were */
    int64_t superseded_by;                    /* 0: it is the latest */
    int64_t created_ms, changed_ms, ended_ms; /* wall clock; 0: not yet */
    int64_t due_ms;                           /* lease clock: RETRY: not before */
    int64_t lease_until_ms;                   /* lease clock: RUNNING */
    int64_t review_ms;                        /* wall clock: of `review`; 0: never */
    enum db_review review;
    bool hold;                 /* as in the spec, or since its like was rejected or held */
    enum db_evidence evidence; /* that closed the revision */
    char owner[DB_NAME_SIZE];  /* RUNNING */
    char stage[DB_NAME_SIZE];  /* what the worker said last */
    char source_ae[DB_AE_SIZE];
    char series_uid[DB_UID_SIZE], study_uid[DB_UID_SIZE], output_series_uid[DB_UID_SIZE];
    char rule[DB_NAME_SIZE], model[DB_NAME_SIZE], model_sha256[SHA256_HEX_SIZE];
    char parameters[DB_PARAMETERS_SIZE];
    char reason[DB_REASON_SIZE]; /* of the last transition */
    char engine
        [DB_ENGINE_SIZE]; /* what its result was computed with; "": there is none, or it is not known */
};

/* Its files are written, and none of them goes anywhere before somebody accepts them. */
static inline bool db_job_is_held(const struct db_job *job)
{
    return job->state == DB_JOB_DELIVERING && job->review == DB_REVIEW_NEEDED && job->hold;
}

/* Instances of the sCT that was written: what needs or needed a review has a page besides. */
static inline int32_t db_job_slices(const struct db_job *job)
{
    return job->outputs - (job->review >= DB_REVIEW_NEEDED ? 1 : 0);
}

/* db_job_is_held in SQL, of the table or alias `job`. */
#define DB_JOB_IS_HELD(job) "(" job ".state = 3 AND " job ".review = 2 AND " job ".hold = 1)"

/* db_job_review may accept it: a check failed, and no job makes the sCT of more images of its series. */
static inline bool db_job_may_accept(const struct db_job *job)
{
    return job->superseded_by == 0 &&
           (job->review == DB_REVIEW_NEEDED || job->review == DB_REVIEW_REJECTED);
}

/* No retry and no batch sends it: it was rejected, is to be held until somebody looks, or is superseded. */
static inline bool db_job_is_barred(const struct db_job *job)
{
    return job->superseded_by != 0 || job->review == DB_REVIEW_REJECTED ||
           (job->review == DB_REVIEW_NEEDED && job->hold);
}

struct db_token {
    int64_t job_id;
    int32_t attempt;
};

/*
 * Claim the next job that is due: of the best priority, of the source served longest ago, the oldest.
 * owner: "NODE/worker"; the lease lasts lease_ms unless db_job_heartbeat prolongs it.
 * Returns 0 or DB_NONE.  Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_job_claim(struct db *db, const struct db_now *now, const char *owner,
                                int64_t lease_ms, struct db_job *ret_job, struct sctd_error *err);
static inline struct db_token db_job_token(const struct db_job *job)
{
    const struct db_token token = {job->id, job->attempt};
    return token;
}

/*
 * Prolong the lease to lease_ms from now; a stage that differs from the last one goes into the history (NULL:
 * none).  Returns 0 or DB_LOST.
 */
SCTD_NODISCARD int db_job_heartbeat(struct db *db, const struct db_now *now, struct db_token token,
                                    int64_t lease_ms, const char *stage, struct sctd_error *err);

/* The UIDs that were decided; ret_uids[n] with n = db_job.outputs.  Errors: SCTD_EINVAL (n), SCTD_EIO. */
SCTD_NODISCARD int db_job_output_uids(struct db *db, int64_t job_id, char (*ret_uids)[DB_UID_SIZE],
                                      size_t n, struct sctd_error *err);

/* How often and how long. Delays have full jitter: random * min(cap, base * 2^(tries - 1)). */
struct db_retry {
    int64_t base_ms, cap_ms;
    int32_t failures_max; /* this many failures end the job as FAILED */
    int32_t deaths_max;   /* this many deaths end it as POISON */
    int32_t breaks_max;   /* this many broken GPUs end it as FAILED */
    double random;        /* [0, 1): drawn by the caller */
};
/* 5 s doubling to 15 min; 5 failures, 3 deaths, 3 broken GPUs. */
struct db_retry db_retry_default(double random);

enum db_work {
    DB_WORK_DONE,    /* the files are written and synced */
    DB_WORK_FAILED,  /* something that may pass: again later */
    DB_WORK_REFUSED, /* the input is no good: never again by itself */
    DB_WORK_DIED,    /* the worker crashed, was killed, hung or wrote nothing */
    DB_WORK_RELEASED, /* given back untouched: the daemon drains, the disk is full, there is no GPU */
    DB_WORK_BROKEN,   /* the GPU broke under it: again later, which is no failure of the job */
};

/* An instance that was written, of the UIDs decided at creation. */
struct db_output {
    const char *sop_uid, *sop_class_uid, *file;
    int64_t size;
    unsigned char sha256[SHA256_SIZE]; /* of the file */
};

struct db_work_result {
    enum db_work work;
    const char *reason; /* required unless DONE; with NEEDED: which checks failed */
    const char *detail; /* evidence: signal, memory, last words; NULL: none */
    const struct db_output
        *output; /* DONE: [n_outputs], in the order in which they are to be sent */
    size_t n_outputs;
    enum db_review review; /* DONE: NONE, PASSED or NEEDED; else NONE */
    const char
        *quality; /* the report of the checks as text, below DB_QUALITY_SIZE bytes; NULL: none */
    const char *engine; /* DONE: what the result was computed with; NULL: not known */
};

/*
 * End an attempt.  DONE: the job is DELIVERING, or DONE if it has no destination; one that is to be held and needs
 * review keeps its deliveries WAITING.  Files of cancelled jobs that made the same are its own then; where some of
 * these are being removed, the attempt has failed instead, and is tried again.
 * Returns 0 or DB_LOST.
 * Errors: SCTD_EINVAL (an output UID that was not decided, one twice, none), SCTD_EIO.
 */
SCTD_NODISCARD int db_job_finish(struct db *db, const struct db_now *now, struct db_token token,
                                 const struct db_work_result *result, const struct db_retry *retry,
                                 struct sctd_error *err);

/* Every RUNNING job whose lease is over: its worker is taken for dead.  *ret_n: how many. */
SCTD_NODISCARD int db_jobs_expire(struct db *db, const struct db_now *now,
                                  const struct db_retry *retry, int32_t *ret_n,
                                  struct sctd_error *err);

/*
 * What an operator asks for; `reason` goes into the history.  Each returns 0, DB_NONE or DB_REFUSED.
 * cancel: anything but DONE and CANCELLED; deliveries that are not done are cancelled with it.
 * retry: FAILED, POISON and CANCELLED ones; counts begin anew.  What has its files is delivered again where it
 * was not.  Refused if files it needs are removed, another job makes the same series by now, it is
 * superseded, or its result was rejected or is to be held for a review.
 * prioritise: what has not ended, its deliveries too.
 */
SCTD_NODISCARD int db_job_cancel(struct db *db, const struct db_now *now, int64_t job_id,
                                 const char *reason, struct sctd_error *err);
SCTD_NODISCARD int db_job_retry(struct db *db, const struct db_now *now, int64_t job_id,
                                const char *reason, struct sctd_error *err);
SCTD_NODISCARD int db_job_prioritise(struct db *db, const struct db_now *now, int64_t job_id,
                                     int32_t priority, const char *reason, struct sctd_error *err);

/*
 * What somebody who looked says of a result that needs review.
 * accept: NEEDED or REJECTED.  What was held is sent, and so is what was rejected before it was all delivered, or
 * cancelled while it was held.
 * reject: NEEDED.  The job is cancelled unless it is DONE; what was delivered stays where it is.
 * Returns 0, DB_NONE, or DB_REFUSED: there is nothing to review, it is to be accepted and is superseded, or what
 * is to be sent is removed or made by another job by now.
 */
SCTD_NODISCARD int db_job_review(struct db *db, const struct db_now *now, int64_t job_id,
                                 bool accept, const char *reason, struct sctd_error *err);

/*
 * Send the result of a DONE job to further destinations, those of `spec` (of which only these, commitment, hold and
 * priority count); `again`: also to those that have it.
 * Returns 0 (it is DELIVERING), DB_NONE (there is no such job, or all of them have it), or DB_REFUSED (it is not DONE,
 * its files are removed, it is superseded, or its result was rejected or is to be held for a review).
 */
SCTD_NODISCARD int db_job_deliver(struct db *db, const struct db_now *now, int64_t job_id,
                                  const struct db_job_spec *spec, bool again,
                                  struct sctd_error *err);

/* Returns 0 or DB_NONE. */
SCTD_NODISCARD int db_job_get(struct db *db, int64_t job_id, struct db_job *ret_job,
                              struct sctd_error *err);

/* What its checks found, as it was given; *ret_text: the caller frees it.  Returns 0 or DB_NONE. */
SCTD_NODISCARD int db_job_quality(struct db *db, int64_t job_id, char **ret_text,
                                  struct sctd_error *err);

struct db_job_filter {
    int state; /* enum db_job_state; -1: any */
    bool
        by_review; /* only those with `review`; NEEDED in any state: but those that are cancelled */
    enum db_review review;
    const char *source_ae, *rule, *model, *series_uid, *output_series_uid; /* NULL: any */
    int64_t created_from_ms, created_before_ms;                            /* 0: any */
    bool ascending; /* oldest first; else newest first */
    int64_t after;  /* 0: from the start */
    size_t limit;   /* 1 ... DB_PAGE_MAX */
};
struct db_job_page {
    struct db_job *job; /* [n], owned */
    size_t n;
    int64_t next; /* pass as `after` for what follows; 0: that was all */
};
void db_job_page_fini(struct db_job_page *list); /* leaves it empty */
/* Errors: SCTD_EINVAL (limit), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int db_job_list(struct db *db, const struct db_job_filter *filter,
                               struct db_job_page *ret_list, struct sctd_error *err);

/* How many jobs are in each state; does not depend on how many there are. */
SCTD_NODISCARD int db_job_counts(struct db *db, int64_t ret_counts[DB_JOB_STATES],
                                 struct sctd_error *err);
/* Jobs that need review and are not cancelled: how many, and since when the oldest of them does (wall clock; 0: there is none). */
struct db_review_backlog {
    int64_t needed, needed_since_ms;
    int64_t held, held_since_ms; /* of these: those that are held */
};
SCTD_NODISCARD int db_jobs_to_review(struct db *db, struct db_review_backlog *ret_backlog,
                                     struct sctd_error *err);
/* *ret_lease_ms: the lease clock's time at which db_job_claim or db_jobs_expire next has something to do that it
 * does not have now: returns 0, or DB_NONE if that needs something else to happen first. */
SCTD_NODISCARD int db_jobs_next(struct db *db, int64_t *ret_lease_ms, struct sctd_error *err);

/* One line of a job's history. */
struct db_transition {
    int64_t at_ms; /* wall clock */
    int32_t attempt;
    char destination[DB_NAME_SIZE];        /* of the delivery that changed; "": the job itself */
    char from[DB_AE_SIZE], to[DB_AE_SIZE]; /* state names; equal: a stage or a change of priority */
    char reason[DB_REASON_SIZE];
    char detail[DB_DETAIL_SIZE];
};
struct db_history {
    struct db_transition *transition; /* [n], owned; oldest first */
    size_t n;
};
void db_history_fini(struct db_history *history); /* leaves it empty */
/* The last `limit` transitions (1 ... DB_PAGE_MAX).  Returns 0 (none: n = 0).  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int db_job_history(struct db *db, int64_t job_id, size_t limit,
                                  struct db_history *ret_history, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
