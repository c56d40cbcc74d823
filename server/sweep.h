/*
 * sweep.h - spool, results and job store against each other: files that no row names, rows whose file is gone.
 *
 * A file that no row names was whole when its process died before the store heard of it, or the store was restored from
 * an earlier time; either way it is taken in again (adopt.h).
 *
 * Thread safety: as of the job store; nobody may be writing to the spool meanwhile.
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

struct sweep {
    char **file; /* [n], owned: names in the spool that no row has */
    size_t n;
    int64_t missing; /* rows whose file is not there */
};
void sweep_fini(struct sweep *sweep); /* leaves it empty */

/* Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int sweep_spool(struct sweep *ret_sweep, struct db *db, const char *spool,
                               struct sctd_error *err);

/*
 * Remove the results of cancelled jobs that no row names, and quality pages without their sCT: their worker, or the
 * removal, died with the daemon.  *ret_n: series removed.  No worker may be running.  Errors: SCTD_EIO.
 */
SCTD_NODISCARD int sweep_results(struct db *db, const char *results, int64_t *ret_n,
                                 struct sctd_error *err);

#ifdef __cplusplus
}
#endif
