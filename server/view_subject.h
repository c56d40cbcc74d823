/*
 * view_subject.h - what a viewer is to show: the files of a source series, of its sCT, or of both.
 *
 * Thread safety: pure functions, besides the job store's own rules.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"
#include "server/view_messages.h"
#include "server/worker_list.h"

#ifdef __cplusplus
extern "C" {
#endif

struct db;

struct viewers_subject {
    /* Subjects of one key are one and the same: another revision or other files have another key. */
    char key[65];
    char parameters
        [VIEW_PARAMETERS_SIZE]; /* of the job, which select the source's frames; "": none */
    struct worker_list list;    /* owned: `file` is the source, `result` the sCT */
};
void view_subject_fini(struct viewers_subject *subject); /* leaves it empty */

/*
 * A series as it is now, seen as the latest job that was made of it selects its frames.
 * *ret_subject: the caller frees it with view_subject_fini.
 * Returns 0 or DB_NONE (no such series, or all its files are removed).  Errors: SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int view_subject_of_series(struct viewers_subject *ret_subject, struct db *db,
                                          int64_t series_id, struct sctd_error *err);

/*
 * A job: its source as of its revision, and its sCT where that is written; what of both has not been removed.
 * Returns 0 or DB_NONE (no such job, or all files are removed).  Errors: SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int view_subject_of_job(struct viewers_subject *ret_subject, struct db *db,
                                       int64_t job_id, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
