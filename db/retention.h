/*
 * retention.h - which files may be removed, so that nothing undelivered ever is.
 *
 * In three steps, so that a crash between them leaves nothing behind: db_retention_take marks files in one
 * transaction and names them, the caller unlinks them and syncs their folder, db_retention_done forgets them.
 * What was taken and not done is given again after a restart.
 *
 * Received files may go when their series is discarded, or every job of it has ended as DONE or CANCELLED, at
 * least one is DONE and was delivered, and none of an earlier revision alone.  Produced files may go when
 * their job is DONE and delivered, or CANCELLED.  What was delivered nowhere (no destination) stays.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum db_file_kind { DB_FILE_RECEIVED, DB_FILE_PRODUCED };

struct db_removal {
    int64_t id; /* of the file, within its kind */
    char file[DB_FILE_SIZE];
    int64_t size;
};
struct db_removal_list {
    struct db_removal *removal; /* [n], owned */
    size_t n;
};
void db_removal_list_fini(struct db_removal_list *list); /* leaves it empty */

/*
 * Take files of series or jobs that ended before `before_ms` (wall clock; INT64_MAX: of any age, when space is
 * short), the oldest first, at most `limit` (1 ... DB_BATCH_MAX).
 * Errors: SCTD_EINVAL, SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int db_retention_take(struct db *db, enum db_file_kind kind, int64_t before_ms,
                                     size_t limit, struct db_removal_list *ret_list,
                                     struct sctd_error *err);
/* The same with all files that a job has produced, whatever their age: *ret_n of them.  Returns 0, DB_NONE, or
 * DB_REFUSED: only what is DONE or CANCELLED, and is not being made again, may go.  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_result_take(struct db *db, int64_t job_id, int64_t *ret_n,
                                  struct sctd_error *err);
/* Files that were taken and are not done: unlink them (again) and call db_retention_done. */
SCTD_NODISCARD int db_retention_taken(struct db *db, enum db_file_kind kind, size_t limit,
                                      struct db_removal_list *ret_list, struct sctd_error *err);
/* They are gone; ids[n], n <= DB_BATCH_MAX.  An id that was not taken is left alone. */
SCTD_NODISCARD int db_retention_done(struct db *db, enum db_file_kind kind, const int64_t *ids,
                                     size_t n, struct sctd_error *err);

/*
 * What the store knows of a file, for the sweep of the spool at start: 0 if it is to be kept, DB_NONE if no
 * row names it, DB_LOST if it was taken for removal.  Errors: SCTD_EIO.
 */
SCTD_NODISCARD int db_file_find(struct db *db, enum db_file_kind kind, const char *file,
                                struct sctd_error *err);
/*
 * Whether a folder of results is of cancelled jobs alone, and no row names a file in it (a crash came between the
 * writing and the keeping of a result, or its removal): 0 if so, DB_NONE if no job has this output series, DB_REFUSED if
 * it may still be wanted.  Errors: SCTD_EIO.
 */
SCTD_NODISCARD int db_result_is_left(struct db *db, const char *output_series_uid,
                                     struct sctd_error *err);
/* Kept files by id, `after` 0 from the start, to look whether each is there: n < limit at the end. */
SCTD_NODISCARD int db_file_list(struct db *db, enum db_file_kind kind, int64_t after, size_t limit,
                                struct db_removal_list *ret_list, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
