/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"

#include "tests/support/db_kit.h"

static void completing_closes_the_series_and_creates_the_job_whole(void)
{
    struct db *db = kit_open();
    const int64_t id = kit_job(db, 1, 2);
    const struct db_job job = kit_get(db, id);
    HOLDS(job.state == DB_JOB_QUEUED && job.revision == 1 && job.attempt == 0);
    HOLDS(job.priority == 5 && job.outputs == KIT_OUTPUTS && job.superseded_by == 0);
    HOLDS(job.evidence == DB_EVIDENCE_QUIET && job.created_ms == kit_now.wall_ms);
    HOLDS(strcmp(job.rule, "head") == 0 && strcmp(job.model, "mr-head@1") == 0);
    HOLDS(strcmp(job.parameters, "grid=source") == 0);
    HOLDS(strcmp(job.source_ae, "SCANNER1") == 0 && strcmp(job.series_uid, "1.2.1.1") == 0);
    HOLDS(strcmp(job.output_series_uid, "2.25.1") == 0 && strcmp(job.study_uid, "1.2.1") == 0);
    char uids[KIT_OUTPUTS][DB_UID_SIZE];
    HOLDS(db_job_output_uids(db, id, uids, KIT_OUTPUTS, &kit_err) == 0);
    HOLDS(strcmp(uids[0], "2.25.1.0") == 0 && strcmp(uids[2], "2.25.1.2") == 0);
    HOLDS(db_job_output_uids(db, id, uids, KIT_OUTPUTS - 1, &kit_err) == SCTD_EINVAL);
    const struct db_delivery_filter filter = {.job_id = id, .state = -1, .limit = 10};
    struct db_delivery_page list = {0};
    HOLDS(db_delivery_list(db, &filter, &list, &kit_err) == 0 && list.n == 2);
    HOLDS(list.delivery[0].state == DB_DELIVERY_WAITING && list.delivery[0].instances == 0);
    HOLDS(strcmp(list.delivery[1].destination, "pacs2") == 0);
    db_delivery_page_fini(&list);
    struct db_history history = {0};
    HOLDS(db_job_history(db, id, 10, &history, &kit_err) == 0 && history.n == 1);
    HOLDS(strcmp(history.transition[0].reason, "no byte for 60 s") == 0);
    db_history_fini(&history);
    HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
    db_close(db);
    kit_remove();
}

static void a_decision_on_an_old_view_is_refused(void)
{
    struct db *db = kit_open();
    const struct db_job_spec spec = kit_spec(1, 1, false);
    struct db_completion c = {.series_id = kit_put(db, 1, 1, 0, 2),
                              .revision = 1,
                              .instances = 2,
                              .evidence = DB_EVIDENCE_GEOMETRY,
                              .reason = "uniform",
                              .job = &spec};
    int64_t id = 0;
    (void)kit_put(db, 1, 1, 2, 1); /* one more came meanwhile */
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == DB_CHANGED);
    c.instances = 3;
    c.revision = 2;
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == DB_CHANGED);
    c.revision = 1;
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == 0);
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == DB_CHANGED); /* closed */
    c.series_id = 99;
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == DB_NONE);
    HOLDS(kit_number(db, "SELECT count(*) FROM job") == 1);
    db_close(db);
    kit_remove();
}

/* Complete revision 2 of series 1, which has `instances` by now. */
static int64_t complete_again(struct db *db, int tag, int instances, int expected)
{
    const struct db_job_spec spec = kit_spec(tag, 1, false);
    struct db_series s;
    HOLDS(db_series_find(db, "1.2.1.1", &s, &kit_err) == 0);
    const struct db_completion c = {.series_id = s.id,
                                    .revision = 2,
                                    .instances = instances,
                                    .evidence = DB_EVIDENCE_QUIET,
                                    .reason = "quiet again",
                                    .job = &spec};
    int64_t id = 0;
    HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == expected);
    return id;
}

static void a_revision_supersedes_the_jobs_before_it(void)
{
    static const struct {
        enum db_job_state before, after;
    } cases[] = {
        {DB_JOB_QUEUED, DB_JOB_CANCELLED},  {DB_JOB_RETRY, DB_JOB_CANCELLED},
        {DB_JOB_RUNNING, DB_JOB_CANCELLED}, {DB_JOB_DELIVERING, DB_JOB_DELIVERING},
        {DB_JOB_FAILED, DB_JOB_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct db *db = kit_open();
        const int64_t old = kit_job(db, 1, 1);
        struct db_job job = kit_get(db, old);
        if (cases[i].before != DB_JOB_QUEUED) {
            job = kit_claim(db);
        }
        if (cases[i].before == DB_JOB_RETRY) {
            HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_FAILED) == 0);
        } else if (cases[i].before == DB_JOB_FAILED) {
            HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_REFUSED) == 0);
        } else if (cases[i].before == DB_JOB_DELIVERING) {
            HOLDS(kit_done(db, &job) == 0);
        }
        HOLDS(kit_get(db, old).state == cases[i].before);
        (void)kit_put(db, 1, 1, 2, 1);
        const int64_t new = complete_again(db, 2, 3, 0);
        HOLDS(new != old &&kit_get(db, new).revision == 2);
        HOLDS(kit_get(db, old).state == cases[i].after);
        HOLDS(kit_get(db, old).superseded_by == new && kit_get(db, new).superseded_by == 0);
        if (cases[i].before == DB_JOB_RUNNING) { /* its late result is refused */
            HOLDS(kit_fail(db, db_job_token(&job), DB_WORK_DIED) == DB_LOST);
        }
        HOLDS(db_verify(db, DB_CHECK_FULL, &kit_err) == 0);
        db_close(db);
        kit_remove();
    }
}

static void the_same_output_is_made_once(void)
{
    struct db *db = kit_open();
    const int64_t first = kit_job(db, 1, 1);
    (void)kit_put(db, 1, 1, 2, 1);
    HOLDS(complete_again(db, 1, 3, DB_EXISTS) == first);
    HOLDS(kit_number(db, "SELECT state FROM series") == DB_SERIES_CLOSED);
    const struct db_job_spec spec = kit_spec(1, 1, false);
    struct db_series s;
    int64_t id = 0;
    HOLDS(db_series_find(db, "1.2.1.1", &s, &kit_err) == 0);
    HOLDS(db_job_create(db, &kit_now, s.id, &spec, &id, &kit_err) == DB_EXISTS && id == first);
    HOLDS(db_job_cancel(db, &kit_now, first, "by hand", &kit_err) == 0);
    HOLDS(db_job_create(db, &kit_now, s.id, &spec, &id, &kit_err) == 0 && id != first);
    HOLDS(db_job_retry(db, &kit_now, first, "too late", &kit_err) == DB_REFUSED);
    db_close(db);
    kit_remove();
}

static void another_job_needs_a_closed_series(void)
{
    struct db *db = kit_open();
    const struct db_job_spec spec = kit_spec(7, 1, false);
    int64_t id = 0;
    const int64_t series = kit_put(db, 1, 1, 0, 1);
    HOLDS(db_job_create(db, &kit_now, series, &spec, &id, &kit_err) == DB_REFUSED);
    HOLDS(db_job_create(db, &kit_now, 99, &spec, &id, &kit_err) == DB_NONE);
    const int64_t first = kit_job(db, 2, 1);
    struct db_job job = kit_get(db, first);
    HOLDS(db_job_create(db, &kit_now, job.series_id, &spec, &id, &kit_err) == 0);
    job = kit_get(db, id);
    HOLDS(job.evidence == DB_EVIDENCE_QUIET && job.revision == 1);
    HOLDS(kit_get(db, first).superseded_by == 0);
    db_close(db);
    kit_remove();
}

static void impossible_specs_are_refused_and_leave_the_series_open(void)
{
    static char long_text[DB_PARAMETERS_SIZE + 1];
    memset(long_text, 'x', DB_PARAMETERS_SIZE);
    const char *empty[] = {""};
    const char *twice[] = {"2.25.5", "2.25.5"};
    struct db *db = kit_open();
    const int64_t series = kit_put(db, 1, 1, 0, 1);
    for (int k = 0; k < 10; k++) {
        struct db_job_spec spec = kit_spec(1, 2, false);
        struct db_completion c = {series, 1, 1, DB_EVIDENCE_QUIET, "quiet", &spec};
        switch (k) {
        case 0:
            spec.priority = 10;
            break;
        case 1:
            spec.priority = -1;
            break;
        case 2:
            spec.rule = "";
            break;
        case 3:
            spec.parameters = long_text;
            break;
        case 4:
            spec.n_outputs = 0;
            break;
        case 5:
            spec.n_destinations = DB_DESTINATIONS_MAX + 1;
            break;
        case 6:
            spec.output_uids = empty;
            spec.n_outputs = 1;
            break;
        case 7:
            spec.output_uids = twice;
            spec.n_outputs = 2;
            break;
        case 8:
            c.evidence = DB_EVIDENCE_NONE;
            break;
        default:
            c.reason = "";
            break;
        }
        int64_t id = 0;
        HOLDS(db_series_complete(db, &kit_now, &c, &id, &kit_err) == SCTD_EINVAL && id == 0);
    }
    HOLDS(kit_number(db, "SELECT state FROM series") == DB_SERIES_OPEN);
    HOLDS(kit_number(db, "SELECT count(*) FROM job") == 0);
    db_close(db);
    kit_remove();
}

int main(void)
{
    completing_closes_the_series_and_creates_the_job_whole();
    a_decision_on_an_old_view_is_refused();
    a_revision_supersedes_the_jobs_before_it();
    the_same_output_is_made_once();
    another_job_needs_a_closed_series();
    impossible_specs_are_refused_and_leave_the_series_open();
    return 0;
}
