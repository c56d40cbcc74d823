/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/outputs.h"

#include "tests/support/db_kit.h"

static void a_job_has_its_files_with_and_without_a_destination(void)
{
    struct db *db = kit_open();
    for (int destinations = 0; destinations < 3; destinations++) {
        const int64_t job = kit_written(db, 1 + destinations, destinations, false);
        struct db_file_set files = {.n = 0};
        HOLDS(db_job_files(db, job, &files, &kit_err) == 0 && files.n == KIT_OUTPUTS);
        for (size_t i = 0; i < files.n; i++) {
            HOLDS(files.file[i].size == 2000 + (int64_t)i && files.file[i].sha256[0] == i);
            HOLDS(files.file[i].file[0] != '\0' && !files.file[i].stored);
        }
        db_file_set_fini(&files);
    }
    db_close(db);
    kit_remove();
}

static void a_job_without_a_result_has_none(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_job(db, 1, 1);
    struct db_file_set files = {.n = 7};
    HOLDS(db_job_files(db, job, &files, &kit_err) == 0 && files.n == 0);
    db_file_set_fini(&files);
    HOLDS(db_job_files(db, 99, &files, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void files_that_were_removed_are_not_named(void)
{
    struct db *db = kit_open();
    const int64_t job = kit_written(db, 1, 0, false);
    struct db_file_set files = {.n = 0};
    db_close(db);
    kit_sql("UPDATE output SET file_state = 2 WHERE place = 1");
    db = kit_open();
    HOLDS(db_job_files(db, job, &files, &kit_err) == 0 && files.n == KIT_OUTPUTS - 1);
    HOLDS(files.file[0].sha256[0] == 0 && files.file[1].sha256[0] == 2);
    db_file_set_fini(&files);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_job_has_its_files_with_and_without_a_destination();
    a_job_without_a_result_has_none();
    files_that_were_removed_are_not_named();
    return 0;
}
