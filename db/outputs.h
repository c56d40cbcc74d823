/*
 * outputs.h - the files that a job has made.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Those that have not been removed, in the order of the slices; `stored` and `committed` are of deliveries and stay false.
 * Returns 0 or DB_NONE (no such job).  Errors: SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int db_job_files(struct db *db, int64_t job_id, struct db_file_set *ret_files,
                                struct sctd_error *err);

#ifdef __cplusplus
}
#endif
