/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "server/view_subject.h"

#include "tests/support/db_kit.h"
#include "tests/support/torture.h"

struct store {
    struct db *db;
    int64_t job, series;
};

static int look(void *arg)
{
    const struct store *store = arg;
    struct sctd_error err = {.code = SCTD_OK};
    struct viewers_subject subject = {.key = ""};
    int r = view_subject_of_job(&subject, store->db, store->job, &err);
    view_subject_fini(&subject);
    r = r != 0 ? r : view_subject_of_series(&subject, store->db, store->series, &err);
    view_subject_fini(&subject);
    HOLDS(r == 0 || r == SCTD_ENOMEM);
    return r;
}

int main(void)
{
    struct store store = {.db = kit_open()};
    store.job = kit_written(store.db, 1, 0, false);
    store.series = kit_get(store.db, store.job).series_id;
    HOLDS(look(&store) == 0); /* statements are prepared once */
    HOLDS(torture_run(look, &store) >= 8);
    db_close(store.db);
    kit_remove();
    return 0;
}
