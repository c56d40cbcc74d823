/*
 * db.h - the job store: everything that a restart of the daemon needs, besides the files it names.
 *
 * One process writes: it holds the lock and the only connection that writes.  Others read, each for a
 * moment.  A call that writes is one transaction: it is kept whole and on the disk when the call returns 0 or a
 * positive outcome, and not at all when it returns an error.  The one exception is an error of the
 * commit itself (db_is_failed): what was written may or may not be there after the next start, and the
 * process must end, as after every failed sync.
 *
 * Time is passed in, never read here (struct db_now), so that steps of the wall clock cannot lose,
 * double or expire a job.
 *
 * The other headers: instances.h (what came in), jobs.h (what is to be made of it), deliveries.h (where it
 * goes), retention.h (what may be removed), events.h (what was noteworthy).  docs/job-store.md has the states.
 *
 * Thread safety: one struct db belongs to one thread at a time; a thread that reads opens its own.  A struct
 * db does not survive a fork: the child must not touch it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes of texts with their NUL: what is longer is refused with SCTD_EINVAL, never cut. */
enum {
    DB_UID_SIZE = 65,          /* PS3.5 6.2 */
    DB_AE_SIZE = 17,           /* PS3.5 6.2 */
    DB_NAME_SIZE = 65,         /* of a rule, a model, a destination, an owner */
    DB_TEXT_SIZE = 257,        /* an attribute: 64 characters of UTF-8 */
    DB_ENGINE_SIZE = 241,      /* what a result was computed with */
    DB_REASON_SIZE = 241,      /* one line, no patient data; as sctd_error's */
    DB_DETAIL_SIZE = 1025,     /* evidence, no patient data */
    DB_FILE_SIZE = 129,        /* a file of ours, below the folder that the caller knows */
    DB_PARAMETERS_SIZE = 2049, /* everything that changes a result, as text */
};

/* Most things in one call, one series, one job, one page. */
enum {
    DB_BATCH_MAX = 4096,
    DB_SERIES_INSTANCES_MAX = 65536,
    DB_OUTPUTS_MAX = 65536,
    DB_DESTINATIONS_MAX = 32,
    DB_PAGE_MAX = 500,
};

/* Outcomes that are no errors; each function says which of them it has. */
enum {
    DB_NONE = 1,    /* there is no such thing, or nothing to do */
    DB_LOST = 2,    /* the lease is not the caller's any more: drop the work, nothing was changed */
    DB_REFUSED = 3, /* the state does not allow it; nothing was changed */
    DB_CHANGED = 4, /* it changed since the caller looked: look again; nothing was changed */
    DB_EXISTS = 5,  /* it is there already; nothing was changed */
};

struct db_now {
    int64_t wall_ms;  /* since 1970, UTC: only shown and compared with ages; may step */
    int64_t lease_ms; /* CLOCK_BOOTTIME: what leases, retries and deadlines are measured with */
};

struct db;

enum db_check {
    DB_CHECK_QUICK, /* the structure of every page */
    DB_CHECK_FULL,  /* and every index against its table */
};

struct db_options {
    bool create; /* make a new store if there is none; else that is an error */
    enum db_check check;
};

/*
 * Open the store for writing.  `path`: the database file; beside it lie NAME.lock and, while it is open,
 * NAME-wal and NAME-shm.  An older version is migrated.  A store that is damaged, of a newer version or
 * something else altogether is refused and left as it is: nothing here ever removes one.
 * *ret_db: the caller closes it.
 * Errors: SCTD_EIO (another process has it, the folder cannot be written, there is none), SCTD_EDATA
 * (damaged, newer, foreign; the text says what to do), SCTD_ENOMEM.
 */
SCTD_NODISCARD int db_open(struct db **ret_db, const char *path, const struct db_options *options,
                           struct sctd_error *err);

/*
 * Open it for reading, beside a writer or without one.  Calls that write give SCTD_EINVAL.
 * Errors: as db_open; SCTD_EDATA also for an older version, which only the writer migrates.
 */
SCTD_NODISCARD int db_open_reader(struct db **ret_db, const char *path, struct sctd_error *err);

void db_close(struct db *db); /* NULL is a no-op */
static inline void db_closep(struct db **db)
{
    db_close(*db);
}

struct db_recovery {
    const char *boot_id;       /* /proc/sys/kernel/random/boot_id */
    const char *node;          /* what this process's owners begin with, before their '/' */
    int32_t interruptions_max; /* this many in a row park a job as POISON; 0: never */
};
struct db_recovered {
    int32_t jobs;       /* taken back from dead workers */
    int32_t deliveries; /* the same of senders, to be claimed again */
};

/*
 * Once after db_open, before anything is claimed: take back all leases of owners "NODE/..." at once, since the
 * process that had them is dead, and all leases of an earlier boot.  It counts as an interruption of the
 * job, not as a death of its worker.  Retries that waited for a time of an earlier boot are due.
 * Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int db_recover(struct db *db, const struct db_now *now,
                              const struct db_recovery *recovery,
                              struct db_recovered *ret_recovered, struct sctd_error *err);

/*
 * Move the log into the database and cut it to nothing, when idle.  *ret_wal_bytes: what is left of it;
 * more than 64 MiB for long means that a reader does not end.
 * Errors: SCTD_EIO.
 */
SCTD_NODISCARD int db_checkpoint(struct db *db, int64_t *ret_wal_bytes, struct sctd_error *err);

/* Check the whole store, and that its own sums agree.  Errors: SCTD_EDATA with the first finding, SCTD_EIO. */
SCTD_NODISCARD int db_verify(struct db *db, enum db_check check, struct sctd_error *err);

/* A sync or commit failed: all that writes gives SCTD_EIO from then on.  End the process, start again. */
bool db_is_failed(const struct db *db);

enum db_change {
    DB_CHANGE_JOB,    /* a job or a delivery of it */
    DB_CHANGE_SERIES, /* its instances or its state */
    DB_CHANGE_BATCH,  /* its state, or how far a series of it is */
    DB_CHANGE_MANY,   /* more than are named; id is 0 */
};
/* Called after each commit for what it changed, from within the call that changed it: it must not call the store. */
typedef void (*db_changed_fn)(void *arg, enum db_change what, int64_t id);
void db_set_changed(struct db *db, db_changed_fn changed, void *arg); /* NULL: nobody listens */

/* Bytes of the database and of its log. */
struct db_size {
    int64_t database_bytes, wal_bytes;
};
SCTD_NODISCARD int db_get_size(struct db *db, struct db_size *ret_size, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
