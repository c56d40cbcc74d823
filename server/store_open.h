/*
 * store_open.h - the job store as the daemon opens it: what dead processes had is taken back first.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "db/db.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Open "jobs.db" in state_dir, or make it; node: what owners begin with.  *ret_db: the caller closes it, also after an
 * error if it is not NULL.  Errors: as db_open and db_recover.
 */
SCTD_NODISCARD int store_open(struct db **ret_db, const char *state_dir, const char *node,
                              struct sctd_error *err);

#ifdef __cplusplus
}
#endif
