/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/jobs.h"
#include "server/view_subject.h"

#include "tests/support/db_kit.h"

static void a_series_is_its_files_and_the_latest_job_selects(void)
{
    struct db *db = kit_open();
    struct viewers_subject subject;
    struct viewers_subject later;
    const int64_t series = kit_put(db, 1, 1, 1, 2);
    HOLDS(view_subject_of_series(&subject, db, series, &kit_err) == 0);
    HOLDS(subject.list.n_files == 2 && subject.list.n_results == 0);
    HOLDS(subject.parameters[0] == '\0' && subject.key[0] != '\0');
    (void)kit_put(db, 1, 1, 3, 1);
    HOLDS(view_subject_of_series(&later, db, series, &kit_err) == 0 && later.list.n_files == 3);
    HOLDS(strcmp(later.key, subject.key) != 0);
    view_subject_fini(&later);
    HOLDS(view_subject_of_series(&later, db, series + 1, &kit_err) == DB_NONE);
    view_subject_fini(&subject);
    HOLDS(subject.list.n_files == 0 && subject.list.file == NULL);
    const int64_t job = kit_job(db, 2, 0);
    const int64_t its_series = kit_get(db, job).series_id;
    HOLDS(view_subject_of_series(&subject, db, its_series, &kit_err) == 0);
    HOLDS(strcmp(subject.parameters, kit_get(db, job).parameters) == 0);
    view_subject_fini(&subject);
    db_close(db);
    kit_remove();
}

static void a_job_is_its_source_and_its_result(void)
{
    struct db *db = kit_open();
    struct viewers_subject before;
    struct viewers_subject after;
    const int64_t job = kit_job(db, 1, 1);
    HOLDS(view_subject_of_job(&before, db, job, &kit_err) == 0);
    HOLDS(before.list.n_files == 2 && before.list.n_results == 0);
    const struct db_job claimed = kit_claim(db);
    HOLDS(claimed.id == job && kit_done(db, &claimed) == 0);
    HOLDS(view_subject_of_job(&after, db, job, &kit_err) == 0);
    HOLDS(after.list.n_files == 2 && after.list.n_results == KIT_OUTPUTS);
    HOLDS(strcmp(before.key, after.key) != 0);
    HOLDS(strcmp(after.parameters, claimed.parameters) == 0);
    view_subject_fini(&before);
    view_subject_fini(&after);
    HOLDS(view_subject_of_job(&after, db, job + 1, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

static void what_was_removed_is_not_shown(void)
{
    struct db *db = kit_open();
    struct viewers_subject subject;
    const int64_t job = kit_written(db, 1, 0, false);
    const int64_t series = kit_get(db, job).series_id;
    db_close(db);
    kit_sql("UPDATE instance SET file_state = 2");
    db = kit_open();
    HOLDS(view_subject_of_series(&subject, db, series, &kit_err) == DB_NONE);
    HOLDS(view_subject_of_job(&subject, db, job, &kit_err) == 0);
    HOLDS(subject.list.n_files == 0 && subject.list.n_results == KIT_OUTPUTS);
    view_subject_fini(&subject);
    db_close(db);
    kit_sql("UPDATE output SET file_state = 2");
    db = kit_open();
    HOLDS(view_subject_of_job(&subject, db, job, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_series_is_its_files_and_the_latest_job_selects();
    a_job_is_its_source_and_its_result();
    what_was_removed_is_not_shown();
    return 0;
}
