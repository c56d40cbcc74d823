/*
 * activity.h - how much came and ended in each stretch of time.
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

enum { DB_ACTIVITY_MAX = 256 };

struct db_activity {
    int64_t received; /* series whose first instance came */
    int64_t done;     /* jobs */
    int64_t failed;   /* jobs that ended as FAILED or POISON */
    int64_t slices;   /* instances that the jobs that are done have made */
};

/* ret[n]: from_ms (wall clock) on in steps of step_ms.  Errors: SCTD_EINVAL (n, step_ms), SCTD_EIO. */
SCTD_NODISCARD int db_activity_list(struct db *db, int64_t from_ms, int64_t step_ms,
                                    struct db_activity *ret_activity, size_t n,
                                    struct sctd_error *err);

#ifdef __cplusplus
}
#endif
