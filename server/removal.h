/*
 * removal.h - files that may go are removed, the oldest first, so that nothing undelivered ever is.
 *
 * Thread safety: as of the job store.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct removal {
    struct db *db;
    const char *spool, *results; /* folders */
    int64_t received_before_ms;  /* wall clock: files of series that ended before; INT64_MAX: all */
    int64_t produced_before_ms;
};

/* What retention asks for at wall_ms; as much as may go at all if the disk is nearly full. */
struct removal removal_of(struct db *db, const char *spool, const char *results,
                          const struct config_retention *retention, int64_t wall_ms);

/* Remove what was marked before, then what may go now, at most a few thousand files.
 * *ret_n: how many, also with an error, which keeps the other files from nothing.
 * Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int removal_run(const struct removal *removal, int64_t *ret_n,
                               struct sctd_error *err);

#ifdef __cplusplus
}
#endif
