/*
 * steps.h - performed procedure steps that modalities have told of (PS3.4 F.7.2): only how far each is.
 *
 * What a completed step lists becomes what its series are expected to hold (instances.h: db_series_expect).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum db_step_state { DB_STEP_IN_PROGRESS, DB_STEP_COMPLETED, DB_STEP_DISCONTINUED };

/* Returns 0 or DB_NONE (no such step).  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_step_get(struct db *db, const char *uid, enum db_step_state *ret_state,
                               struct sctd_error *err);

/* A step that begins.  Returns 0 or DB_EXISTS.  Errors: SCTD_EINVAL, SCTD_EIO. */
SCTD_NODISCARD int db_step_create(struct db *db, const struct db_now *now, const char *uid,
                                  const char *calling_ae, struct sctd_error *err);

/* How far it is now.  Returns 0, DB_NONE or DB_REFUSED (it has ended).  Errors: SCTD_EIO. */
SCTD_NODISCARD int db_step_set(struct db *db, const struct db_now *now, const char *uid,
                               enum db_step_state state, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
