/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/uid.h"
#include "engine/engine.h"
#include "server/completion.h"
#include "server/config.h"
#include "server/order.h"
#include "server/policy.h"

#include "tests/support/db_kit.h"

#define SHA_A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA_B "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { SLICES = 5 };

static char mr[] = "MR", pacs[] = "pacs", tps[] = "tps", head[] = "head", local[] = "localisers",
            fp32[] = "fp32", ct[] = "CT";
static char *destinations[] = {pacs, tps};
static struct config_destination places[] = {{.name = tps, .no_storage_commitment = true},
                                             {.name = pacs}};
static struct config_rule rules[2];
static struct config config;
static struct policy_model models[2];
static const struct policy policy = {&config, models};

/* One rule that converts MR to two destinations, one that ignores CT. */
static void begin_policy(void)
{
    rules[0] = (struct config_rule){.name = head,
                                    .match = {.modality = mr},
                                    .model = head,
                                    .destinations = destinations,
                                    .destinations_count = 2,
                                    .series_number_offset = 1000,
                                    .priority = 100};
    rules[1] = (struct config_rule){.name = local, .match = {.modality = ct}, .ignore = true};
    config = (struct config){.destinations = places,
                             .destinations_count = 2,
                             .rules = rules,
                             .rules_count = 2,
                             .workers = {.precision = fp32}};
    models[0].manifest = (struct manifest){.name = "head",
                                           .version = "1",
                                           .weights_sha256 = SHA_A,
                                           .height = 256,
                                           .width = 256,
                                           .recipe = {.modality = "MR"}};
}

static int make(struct order_result *ret_result, struct db *db, int64_t series_id)
{
    struct db_series series;
    struct db_member_list members = {0};
    const struct completion completion = {
        .is_complete = true, .evidence = DB_EVIDENCE_QUIET, .reason = "quiet"};
    HOLDS(db_series_get(db, series_id, &series, &kit_err) == 0);
    HOLDS(db_series_members(db, series_id, 0, &members, &kit_err) == 0);
    const struct order order = {&series, &members, &completion, NULL};
    const int r = order_make(ret_result, db, &kit_now, &policy, &order, &kit_err);
    db_member_list_fini(&members);
    return r;
}

static void a_series_becomes_a_job_with_all_that_is_decided(void)
{
    struct db *db = kit_open();
    struct order_result result;
    struct db_series series;
    char uids[SLICES][DB_UID_SIZE];
    begin_policy();
    const int64_t id = kit_put(db, 1, 1, 0, SLICES);
    HOLDS(make(&result, db, id) == 0 && result.outcome == ORDER_CREATED);
    HOLDS(result.decision.rule == &rules[0] && result.decision.model == &models[0]);
    const struct db_job job = kit_get(db, result.job_id);
    HOLDS(job.state == DB_JOB_QUEUED && job.series_id == id && job.priority == 0);
    HOLDS(strcmp(job.model, "head@1") == 0 && strcmp(job.model_sha256, SHA_A) == 0);
    HOLDS(strcmp(job.rule, "head") == 0 && job.outputs == SLICES);
    HOLDS(strstr(job.parameters, "\"grid\":\"source\"") != NULL);
    HOLDS(db_job_output_uids(db, job.id, uids, SLICES, &kit_err) == 0);
    for (int i = 0; i < SLICES; i++) {
        HOLDS(dicom_uid_is_valid(uids[i]) && strncmp(uids[i], "2.25.", 5) == 0);
        for (int k = 0; k < i; k++) {
            HOLDS(strcmp(uids[i], uids[k]) != 0);
        }
    }
    HOLDS(db_series_get(db, id, &series, &kit_err) == 0 && series.state == DB_SERIES_CLOSED);
    HOLDS(series.evidence == DB_EVIDENCE_QUIET && strcmp(series.reason, "quiet") == 0);

    struct db_delivery_page page = {0};
    const struct db_delivery_filter filter = {.job_id = job.id, .state = -1, .limit = 10};
    HOLDS(db_delivery_list(db, &filter, &page, &kit_err) == 0 && page.n == 2);
    for (size_t i = 0; i < 2; i++) { /* commitment, but where it is not wanted */
        const bool is_pacs = strcmp(page.delivery[i].destination, "pacs") == 0;
        HOLDS(page.delivery[i].commitment == is_pacs);
    }
    db_delivery_page_fini(&page);
    db_close(db);
    kit_remove();
}

/* The output series of `n` slices of series 1, and of its first instance, in a store of its own. */
struct uids {
    char series[DB_UID_SIZE], first[DB_UID_SIZE];
};

static struct uids order_fresh(int n)
{
    static char all[65536][DB_UID_SIZE];
    struct uids uids;
    struct db *db = kit_open();
    struct order_result result;
    HOLDS(make(&result, db, kit_put(db, 1, 1, 0, n)) == 0 && result.outcome == ORDER_CREATED);
    const struct db_job job = kit_get(db, result.job_id);
    HOLDS(db_job_output_uids(db, job.id, all, (size_t)job.outputs, &kit_err) == 0);
    memcpy(uids.series, job.output_series_uid, sizeof uids.series);
    memcpy(uids.first, all[0], sizeof uids.first);
    db_close(db);
    kit_remove();
    return uids;
}

static bool are_same(const struct uids *a, const struct uids *b)
{
    return strcmp(a->series, b->series) == 0 && strcmp(a->first, b->first) == 0;
}

static bool share_any(const struct uids *a, const struct uids *b)
{
    return strcmp(a->series, b->series) == 0 || strcmp(a->first, b->first) == 0;
}

static void the_same_work_has_the_same_uids_and_other_work_has_others(void)
{
    struct uids seen[8];
    size_t n = 0;
    begin_policy();
    seen[n++] = order_fresh(SLICES);
    const struct uids again = order_fresh(SLICES);
    HOLDS(are_same(&seen[0], &again));

    rules[0].priority = -100; /* changes nothing of the result */
    rules[0].destinations_count = 1;
    const struct uids elsewhere = order_fresh(SLICES);
    HOLDS(are_same(&seen[0], &elsewhere));

    seen[n++] = order_fresh(SLICES + 1);
    memcpy(models[0].manifest.weights_sha256, SHA_B, sizeof SHA_B);
    seen[n++] = order_fresh(SLICES);
    begin_policy();
    rules[0].grid = CONFIG_GRID_AXIAL;
    seen[n++] = order_fresh(SLICES);
    begin_policy();
    rules[0].rescale_intercept = -1024;
    seen[n++] = order_fresh(SLICES);
    begin_policy();
    char bf16[] = "bf16";
    config.workers.precision = bf16;
    seen[n++] = order_fresh(SLICES);
    begin_policy();
    models[0].manifest.recipe.clip_low = 1.0F;
    seen[n++] = order_fresh(SLICES);
    begin_policy();
    char echo[] = "echo=1";
    char *select[] = {echo};
    rules[0].select = select;
    rules[0].select_count = 1;
    seen[n++] = order_fresh(SLICES);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            HOLDS(!share_any(&seen[i], &seen[k]));
        }
    }
}

static void a_later_revision_makes_another_result(void)
{
    struct db *db = kit_open();
    struct order_result first;
    struct order_result second;
    begin_policy();
    const int64_t id = kit_put(db, 1, 1, 0, SLICES);
    HOLDS(make(&first, db, id) == 0 && first.outcome == ORDER_CREATED);
    HOLDS(kit_put(db, 1, 1, SLICES, 1) == id);
    HOLDS(make(&second, db, id) == 0 && second.outcome == ORDER_CREATED);
    const struct db_job old = kit_get(db, first.job_id);
    const struct db_job new = kit_get(db, second.job_id);
    HOLDS(old.state == DB_JOB_CANCELLED && old.superseded_by == new.id &&new.revision == 2);
    HOLDS(strcmp(old.output_series_uid, new.output_series_uid) != 0);
    HOLDS(new.outputs == SLICES + 1);
    db_close(db);
    kit_remove();
}

static void a_result_that_another_job_makes_is_not_made_twice(void)
{
    struct order_result result;
    begin_policy();
    const struct uids uids = order_fresh(SLICES); /* in a store that is gone */
    struct db *db = kit_open();
    struct db_job_spec spec = kit_spec(1, 0, false);
    spec.output_series_uid = uids.series;
    const int64_t other = kit_job_of(db, 9, &spec);
    const int64_t id = kit_put(db, 1, 1, 0, SLICES);
    HOLDS(make(&result, db, id) == 0 && result.outcome == ORDER_EXISTS);
    HOLDS(result.job_id == other);
    struct db_series series;
    HOLDS(db_series_get(db, id, &series, &kit_err) == 0 && series.state == DB_SERIES_CLOSED);
    HOLDS(kit_number(db, "SELECT count(*) FROM job") == 1);
    db_close(db);
    kit_remove();
}

static void discard(struct db *db, int64_t id, const char *reason)
{
    struct order_result result;
    struct db_series series;
    HOLDS(make(&result, db, id) == 0 && result.outcome == ORDER_DISCARDED);
    HOLDS(strstr(result.decision.reason, reason) != NULL);
    HOLDS(db_series_get(db, id, &series, &kit_err) == 0 && series.state == DB_SERIES_DISCARDED);
    HOLDS(strcmp(series.reason, result.decision.reason) == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM job") == 0);
}

static int64_t put(struct db *db, const struct db_instance *i)
{
    struct db_put_result result;
    HOLDS(db_instances_put(db, &kit_now, i, 1, &result, &kit_err) == 0);
    HOLDS(result.outcome == DB_PUT_STORED);
    return result.series_id;
}

static void what_no_job_can_be_made_of_is_discarded_with_its_reason(void)
{
    struct db *db = kit_open();
    begin_policy();
    struct db_instance i = kit_instance(1, 1, 0);
    i.facts.modality = "CT";
    discard(db, put(db, &i), "rule \"localisers\" ignores it");
    i = kit_instance(1, 2, 0);
    i.facts.modality = "US";
    discard(db, put(db, &i), "no rule holds");
    i = kit_instance(1, 3, 0);
    i.facts.manufacturer = "sctd";
    discard(db, put(db, &i), "never a source");
    i = kit_instance(1, 4, 0);
    i.frames = DB_OUTPUTS_MAX;
    (void)put(db, &i);
    i = kit_instance(1, 4, 1);
    discard(db, put(db, &i), "a series of 65537 frames");
    i = kit_instance(1, 5, 0);
    i.frames = 1 << 20;
    (void)put(db, &i);
    i = kit_instance(1, 5, 1);
    i.frames = 1 << 20;
    discard(db, put(db, &i), "a series of 2097152 frames");
    db_close(db);
    kit_remove();
}

static void an_sct_that_comes_back_under_another_name_is_no_source(void)
{
    struct db *db = kit_open();
    struct order_result result;
    begin_policy();
    struct db_job_spec spec = kit_spec(1, 0, false);
    spec.output_series_uid = "1.2.1.5";
    (void)kit_job_of(db, 1, &spec);
    HOLDS(make(&result, db, kit_put(db, 1, 5, 0, SLICES)) == 0);
    HOLDS(result.outcome == ORDER_DISCARDED);
    HOLDS(strstr(result.decision.reason, "never a source") != NULL);
    db_close(db);
    kit_remove();
}

static void what_changed_meanwhile_is_left_as_it_is(void)
{
    struct db *db = kit_open();
    begin_policy();
    for (int ignored = 0; ignored < 2; ignored++) {
        struct db_series series;
        struct db_member_list members = {0};
        struct order_result result;
        const struct completion completion = {
            .is_complete = true, .evidence = DB_EVIDENCE_QUIET, .reason = "quiet"};
        rules[0].ignore = ignored == 1;
        const int64_t id = kit_put(db, 1, 1 + ignored, 0, SLICES);
        HOLDS(db_series_get(db, id, &series, &kit_err) == 0);
        HOLDS(db_series_members(db, id, 0, &members, &kit_err) == 0);
        if (ignored == 1) {
            HOLDS(db_series_discard(db, &kit_now, id, "by hand", &kit_err) == 0);
        } else {
            (void)kit_put(db, 1, 1, SLICES, 1);
        }
        const struct order order = {&series, &members, &completion, NULL};
        HOLDS(order_make(&result, db, &kit_now, &policy, &order, &kit_err) == 0);
        HOLDS(result.outcome == ORDER_CHANGED);
        db_member_list_fini(&members);
    }
    HOLDS(kit_number(db, "SELECT count(*) FROM job") == 0);
    HOLDS(kit_number(db, "SELECT count(*) FROM series WHERE state = 0") == 1);
    db_close(db);
    kit_remove();
}

static void an_axial_grid_may_need_more_slices_than_there_are(void)
{
    struct db *db = kit_open();
    struct order_result result;
    begin_policy();
    rules[0].grid = CONFIG_GRID_AXIAL;
    HOLDS(make(&result, db, kit_put(db, 1, 1, 0, SLICES)) == 0);
    HOLDS(kit_get(db, result.job_id).outputs == 4 * SLICES + 1024);
    struct db_instance i = kit_instance(1, 2, 0);
    i.frames = 65536;
    HOLDS(make(&result, db, put(db, &i)) == 0 && result.outcome == ORDER_CREATED);
    HOLDS(kit_get(db, result.job_id).outputs == DB_OUTPUTS_MAX);
    db_close(db);
    kit_remove();
}

int main(void)
{
    a_series_becomes_a_job_with_all_that_is_decided();
    the_same_work_has_the_same_uids_and_other_work_has_others();
    a_later_revision_makes_another_result();
    a_result_that_another_job_makes_is_not_made_twice();
    what_no_job_can_be_made_of_is_discarded_with_its_reason();
    an_sct_that_comes_back_under_another_name_is_no_source();
    what_changed_meanwhile_is_left_as_it_is();
    an_axial_grid_may_need_more_slices_than_there_are();
    return 0;
}
