/*
 * batch_dry_run.h - which series a request means and what would become of each, without doing any of it.
 *
 * Thread safety: the caller's thread runs a loop of its own until all is found.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "db/db.h"
#include "dicom/found.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/policy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct batch_dry_row {
    struct dicom_found series;
    char what[DB_REASON_SIZE]; /* for people */
};
struct batch_dry_run {
    struct batch_dry_row *row; /* [n], owned */
    size_t n;
};
void batch_dry_run_fini(struct batch_dry_run *run);

/*
 * db: a reader; NULL where there is no job store yet.
 * Errors: SCTD_EINVAL (a name that is none), SCTD_EIO (the source: not reached, refused), SCTD_ENOMEM.
 */
SCTD_NODISCARD int batch_dry_run_find(struct batch_dry_run *ret_run, const struct policy *policy,
                                      struct db *db, struct batch_request *request,
                                      struct sctd_error *err);

#ifdef __cplusplus
}
#endif
