/*
 * instances.h - what came in: instances by series and study, and when a series is complete.
 *
 * A series is open while instances come.  It is closed with the evidence that it is complete (jobs.h:
 * db_series_complete) or discarded.  An instance that comes to a closed series opens it again as its next
 * revision.  A discarded series stays so.
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

/* Who the patient is, as the peer's bytes; only db_subject_get gives it back. */
struct db_identity {
    const char *patient_id,
        *patient_name;         /* raw values, no NUL inside; at most 1,024 bytes; NULL: none */
    const char *character_set; /* (0008,0005); at most 256 bytes; NULL: none */
};

/* What rules match on; UTF-8; NULL or "": absent. */
struct db_series_facts {
    const char *modality, *series_description, *study_description, *protocol, *body_part;
    const char *manufacturer, *model_name, *station, *image_type;
    const char *frame_of_reference_uid;
    int32_t series_number; /* INT32_MIN: absent */
};

/* The calling AE title of what was found in the spool; the next sender of the series takes its place. */
#define DB_AE_UNKNOWN "?"

/* An instance whose file is on the disk, synced, under its final name. */
struct db_instance {
    const char *study_uid, *series_uid, *sop_uid, *sop_class_uid, *transfer_syntax_uid;
    const char *calling_ae, *called_ae,
        *peer; /* peer: the address as text, at most 64 characters */
    const char *file;
    int64_t size;
    unsigned char
        sha256[SHA256_SIZE]; /* of the data set as received: equal means the same instance */
    int64_t received_ms;     /* wall clock, of its last byte */
    int32_t instance_number; /* INT32_MIN: absent */
    int32_t frames;          /* 1 in a single-frame instance */
    double slice_mm;         /* position along the slice normal; NAN: none */
    const char
        *stack; /* what tells apart volumes in a series, opaque; at most 64 characters; NULL: one */
    struct db_series_facts facts; /* the first instance of a series counts */
    struct db_identity identity;  /* the first instance of a study counts */
};

enum db_put {
    DB_PUT_STORED,   /* new, or again after its file was removed */
    DB_PUT_SAME,     /* known with the same bytes: a success to the peer, nothing changed */
    DB_PUT_CONFLICT, /* known with other bytes: the first is kept, an event is recorded */
    DB_PUT_FULL,     /* the series has DB_SERIES_INSTANCES_MAX instances */
    DB_PUT_BUSY,     /* its earlier file is just being removed: may be sent again later */
    DB_PUT_INVALID,  /* a text or number beyond its limit, a file that another instance has */
};

enum db_series_state {
    DB_SERIES_OPEN,      /* "open" */
    DB_SERIES_CLOSED,    /* "closed" */
    DB_SERIES_DISCARDED, /* "discarded" */
    DB_SERIES_STATES
};
const char *db_series_state_name(enum db_series_state state); /* never NULL */

struct db_put_result {
    int64_t series_id;
    enum db_put outcome;
    int32_t revision;             /* of the series, after this instance */
    int32_t instances;            /* in the series now */
    bool reopened;                /* it had been closed, and this instance began a new revision */
    char kept_file[DB_FILE_SIZE]; /* that the store names now: remove another one that was given */
    char reason[DB_REASON_SIZE];  /* of FULL, BUSY, INVALID, CONFLICT */
};

/*
 * Keep instances[n] in one transaction, 1 <= n <= DB_BATCH_MAX, of any associations: only after this may
 * they be acknowledged.  ret_results[n]; a conflict does not undo the others.
 * Errors: SCTD_EINVAL (a text or count beyond its limit, naming it), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int db_instances_put(struct db *db, const struct db_now *now,
                                    const struct db_instance *instances, size_t n,
                                    struct db_put_result *ret_results, struct sctd_error *err);

struct db_found {
    bool found; /* known, and its file not removed */
    int64_t series_id;
    char sop_class_uid[DB_UID_SIZE];
};
/* Which of sop_uids[n] are kept (storage commitment, MPPS).  ret_found[n].  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_instances_find(struct db *db, const char *const *sop_uids, size_t n,
                                     struct db_found *ret_found, struct sctd_error *err);

/* What closed a series. */
enum db_evidence {
    DB_EVIDENCE_NONE,       /* it is open */
    DB_EVIDENCE_COMMITMENT, /* the modality asked for storage commitment of all its instances */
    DB_EVIDENCE_MPPS,       /* a performed procedure step COMPLETED lists them */
    DB_EVIDENCE_COUNT,      /* a count that was known */
    DB_EVIDENCE_RELEASE,    /* the association was released */
    DB_EVIDENCE_GEOMETRY,   /* positions uniform, no gap */
    DB_EVIDENCE_QUIET,      /* nothing came for a while */
    DB_EVIDENCE_REQUEST,    /* an operator, or a query that fetched it, said so */
    DB_EVIDENCES
};
const char *db_evidence_name(enum db_evidence evidence); /* "commitment" ...; never NULL */

/*
 * What a peer said that a series will hold, before or after its instances come; said again, it replaces what
 * stood.  sop_uids[n_sop_uids] may be NULL, then only `count` is known.
 */
struct db_expectation {
    const char *series_uid;
    enum db_evidence evidence; /* COMMITMENT, MPPS or COUNT */
    int32_t count;
    const char *const *sop_uids;
    size_t n_sop_uids; /* at most DB_SERIES_INSTANCES_MAX */
};
/* Errors: SCTD_EINVAL, SCTD_EIO. */
SCTD_NODISCARD int db_series_expect(struct db *db, const struct db_now *now,
                                    const struct db_expectation *expectation,
                                    struct sctd_error *err);

struct db_series {
    int64_t id;
    int64_t study_id;
    char study_uid[DB_UID_SIZE], series_uid[DB_UID_SIZE];
    enum db_series_state state;
    enum db_evidence evidence; /* that closed the revision */
    int32_t revision;          /* from 1 */
    int32_t instances;
    int64_t bytes;
    int64_t first_ms, last_ms;    /* wall clock, of its first and last instance */
    int64_t study_last_ms;        /* of the last instance of any series of the study */
    int64_t closed_ms;            /* 0: open */
    enum db_evidence expected_by; /* NONE: nothing is expected */
    int32_t expected;             /* how many instances */
    int32_t missing;              /* of those expected by UID; -1: only the count is known */
    char calling_ae[DB_AE_SIZE], called_ae[DB_AE_SIZE],
        peer[DB_NAME_SIZE]; /* of its first instance */
    char modality[DB_AE_SIZE];
    char series_description[DB_TEXT_SIZE], study_description[DB_TEXT_SIZE], protocol[DB_TEXT_SIZE];
    char body_part[DB_TEXT_SIZE], manufacturer[DB_TEXT_SIZE], model_name[DB_TEXT_SIZE];
    char station[DB_TEXT_SIZE], image_type[DB_TEXT_SIZE];
    char frame_of_reference_uid[DB_UID_SIZE];
    int32_t series_number;       /* INT32_MIN: absent */
    char reason[DB_REASON_SIZE]; /* of what closed or discarded it */
};

/* Returns 0 or DB_NONE.  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_series_get(struct db *db, int64_t id, struct db_series *ret_series,
                                 struct sctd_error *err);
SCTD_NODISCARD int db_series_find(struct db *db, const char *series_uid,
                                  struct db_series *ret_series, struct sctd_error *err);

struct db_series_page {
    struct db_series *series; /* [n], owned */
    size_t n;
    int64_t next; /* pass as `after` for what follows; 0: that was all */
};
void db_series_page_fini(struct db_series_page *list); /* leaves it empty */

struct db_series_filter {
    int state;             /* enum db_series_state; -1: any */
    const char *study_uid; /* NULL: any */
    bool ascending;        /* oldest first; else newest first */
    int64_t after;         /* 0: from the start */
    size_t limit;          /* 1 ... DB_PAGE_MAX */
};
/* Errors: SCTD_EINVAL (limit), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int db_series_list(struct db *db, const struct db_series_filter *filter,
                                  struct db_series_page *ret_list, struct sctd_error *err);

/* One instance as the scheduler and the worker see it. */
struct db_member {
    int64_t id;
    int64_t size;
    int64_t received_ms;
    double slice_mm; /* position along the slice normal; NAN: none */
    char sop_uid[DB_UID_SIZE], sop_class_uid[DB_UID_SIZE], transfer_syntax_uid[DB_UID_SIZE];
    char file[DB_FILE_SIZE];
    unsigned char sha256[SHA256_SIZE];
    int32_t revision; /* of the series in which it came */
    int32_t instance_number;
    int32_t frames;
    char stack[DB_NAME_SIZE];
};
struct db_member_list {
    struct db_member *member; /* [n], owned; in the order in which they came */
    size_t n;
};
void db_member_list_fini(struct db_member_list *list); /* leaves it empty */

/*
 * The instances of a series up to `revision` (0: all) whose files are not removed.
 * Errors: SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int db_series_members(struct db *db, int64_t series_id, int32_t revision,
                                     struct db_member_list *ret_list, struct sctd_error *err);

/*
 * Never make anything of an open series: by an operator, a rule, or because it is our own.  Jobs of its
 * earlier revisions go on.  Returns 0, DB_NONE or DB_REFUSED (it is not open).
 * Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_series_discard(struct db *db, const struct db_now *now, int64_t series_id,
                                     const char *reason, struct sctd_error *err);
/* Take that back: open again.  Returns 0, DB_NONE or DB_REFUSED (it is not discarded). */
SCTD_NODISCARD int db_series_reopen(struct db *db, const struct db_now *now, int64_t series_id,
                                    const char *reason, struct sctd_error *err);

/* Whether a series is one that a job of ours made or will make: 0 (yes) or DB_NONE. */
SCTD_NODISCARD int db_series_is_ours(struct db *db, const char *series_uid, struct sctd_error *err);

/* What and whose a series is.  The last three are raw bytes with a NUL, "" where there are none: whoever shows them
 * decodes them by the character set, and is allowed to. */
struct db_subject {
    char modality[DB_AE_SIZE], series_description[DB_TEXT_SIZE], study_uid[DB_UID_SIZE];
    char patient_id[1025], patient_name[1025], character_set[DB_TEXT_SIZE];
};
/* Returns 0 or DB_NONE.  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_subject_get(struct db *db, int64_t series_id, struct db_subject *ret_subject,
                                  struct sctd_error *err);

#ifdef __cplusplus
}
#endif
