/* SPDX-License-Identifier: Apache-2.0 */
#include "db/outputs.h"

#include <stdint.h>

#include "db/core.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/output_rows.h"
#include "engine/base/error.h"

static int collect(struct db *db, int64_t job_id, struct db_file_set *files, struct sctd_error *err)
{
    struct db_job job;
    int r = db_job_get(db, job_id, &job, err);
    return r != 0
               ? r
               : output_rows_read(db,
                                  "SELECT sop_uid, sop_class_uid, file, sha256, size FROM output "
                                  "WHERE job_id = ?1 AND place IS NOT NULL AND file_state = 0 "
                                  "ORDER BY place",
                                  job_id, files, err);
}

int db_job_files(struct db *db, int64_t job_id, struct db_file_set *ret_files,
                 struct sctd_error *err)
{
    struct db_file_set files = {.n = 0};
    int r = core_begin_read(db, err);
    r = r < 0 ? r : core_end(db, collect(db, job_id, &files, err), err);
    if (r != 0) {
        db_file_set_fini(&files);
        return r;
    }
    *ret_files = files;
    return 0;
}
