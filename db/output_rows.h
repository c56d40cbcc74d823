/*
 * output_rows.h - what a job has written, as files to be sent or shown.
 *
 * Private to db/.
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

/* text: selects sop_uid, sop_class_uid, file, sha256 and size by ?1, in the order of the places.  files: filled in; the
 * caller frees them also after an error.  Errors: SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int output_rows_read(struct db *db, const char *text, int64_t id,
                                    struct db_file_set *files, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
