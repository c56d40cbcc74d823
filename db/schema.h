/*
 * schema.h - the tables, as numbered steps that a new store takes all and an older one those it lacks.
 *
 * Private to db/.  PRAGMA user_version is the number of steps taken.  A step that was released is never
 * changed: what must change is a further step.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "db/sql.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each a text of statements; schema_count of them. */
extern const char *const schema_steps[];
extern const size_t schema_count;

/*
 * Whether this is a job store, and of which version.
 * Errors: SCTD_EDATA (something else, or newer than schema_count), as sql.h.
 */
SCTD_NODISCARD int schema_get_version(struct sql *sql, size_t *ret_version, struct sctd_error *err);

/*
 * Take steps[version ... n - 1] in one transaction, so that a crash leaves the old version or the new.
 * Errors: as sql.h.
 */
SCTD_NODISCARD int schema_migrate(struct sql *sql, const char *const *steps, size_t version,
                                  size_t n, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
