/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/query.h"
#include "engine/engine.h"
#include "server/batch_request.h"
#include "server/batch_series.h"
#include "server/batch_terms.h"
#include "server/config.h"
#include "server/fetch_messages.h"
#include "server/order.h"
#include "server/policy.h"

#include "tests/support/db_kit.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { IMAGES = 5 };

static char head[] = "head";
static char mr[] = "MR";
static char fp32[] = "fp32";
static struct config_rule rules[1];
static struct config config;
static struct policy_model models[1];
static const struct policy policy = {&config, models};

static struct batch_request request;
static struct batch_terms terms;
static struct batch_series s;
static struct db *db;

/* A batch of one PACS series, and a rule that converts MR and keeps the result. */
static struct db_item begin(enum batch_source source, const char *series_uid, int expected)
{
    struct db_item item = {.expected = expected};
    struct db_batch_spec spec = {.description = "x", .request = "{}", .force = true, .moves = 1};
    int64_t id = 0;
    rules[0] = (struct config_rule){
        .name = head, .match = {.modality = mr}, .model = head, .series_number_offset = 1000};
    config = (struct config){.rules = rules, .rules_count = 1, .workers = {.precision = fp32}};
    models[0].manifest = (struct manifest){.name = "head",
                                           .version = "1",
                                           .weights_sha256 = SHA,
                                           .height = 256,
                                           .width = 256,
                                           .recipe = {.modality = "MR"}};
    request = batch_request_make();
    request.source = source;
    HOLDS(batch_terms_init(&terms, &policy, &request, &kit_err) == 0);
    HOLDS(db_batch_create(db, &kit_now, &spec, &id, &kit_err) == 0);
    (void)snprintf(item.study_uid, sizeof item.study_uid, "1.2.3");
    (void)snprintf(item.series_uid, sizeof item.series_uid, "%s", series_uid);
    HOLDS(db_batch_add(db, &kit_now, id, &item, 1, &kit_err) == 0);
    HOLDS(db_batch_planned(db, &kit_now, id, "found", &kit_err) == 0);
    s = (struct batch_series){db, &policy, &request, &terms, id};
    HOLDS(db_item_claim(db, &kit_now, id, &item, &kit_err) == 0);
    return item;
}

static int begin_it(struct db_item *item)
{
    return batch_series_begin(&s, &kit_now, item, &kit_err);
}

static struct db_item again(void)
{
    struct db_item item;
    kit_now.lease_ms += BATCH_SERIES_RETRY_CAP_MS;
    HOLDS(db_item_claim(db, &kit_now, s.batch_id, &item, &kit_err) == 0);
    return item;
}

static int fetched(struct db_item *item, enum dicom_query_end end, int completed, bool may_move)
{
    const struct fetch_end said = {
        .end = (int32_t)end, .completed = completed, .reason = "as the test says"};
    const struct batch_fetched f = {.end = &said, .may_move = may_move};
    return batch_series_fetched(&s, &kit_now, item, &f, &kit_err);
}

/* The same with all that a PACS says. */
static int ended(struct db_item *item, struct fetch_end end, int stalled_s)
{
    (void)snprintf(end.reason, sizeof end.reason, "as the test says");
    const struct batch_fetched f = {.end = &end, .stalled_s = stalled_s};
    return batch_series_fetched(&s, &kit_now, item, &f, &kit_err);
}

/* A series of a PACS that lists so many images, and holds `here` of them after the first attempt. */
static struct db_item begin_with(int expected, int here)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    struct db_item item = begin(BATCH_PACS, first.series_uid, expected);
    HOLDS(begin_it(&item) == BATCH_NEXT_FETCH);
    (void)snprintf(item.method, sizeof item.method, "move");
    if (here > 0) {
        (void)kit_put(db, 1, 1, 0, here);
    }
    return item;
}

static void end_it(void)
{
    db_close(db);
    kit_remove();
}

static struct db_series get_series(int64_t id)
{
    struct db_series series;
    HOLDS(db_series_get(db, id, &series, &kit_err) == 0);
    return series;
}

static void an_unknown_series_is_fetched_and_ordered_when_all_came(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    HOLDS(begin_it(&item) == BATCH_NEXT_FETCH && item.state == DB_ITEM_FETCHING);
    const int64_t id = kit_put(db, 1, 1, 0, IMAGES - 1);
    HOLDS(fetched(&item, DICOM_QUERY_DONE, IMAGES - 1, false) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_WAITING && item.failures == 1);
    HOLDS(strcmp(item.reason, "4 of 5 images came") == 0);
    item = again();
    HOLDS(begin_it(&item) == BATCH_NEXT_FETCH); /* open, but by this batch */
    HOLDS(kit_put(db, 1, 1, IMAGES - 1, 1) == id);
    HOLDS(fetched(&item, DICOM_QUERY_DONE, IMAGES, false) == BATCH_NEXT_ORDER);
    HOLDS(batch_series_order(&s, &kit_now, &item, &kit_err) == BATCH_NEXT_MADE);
    HOLDS(item.state == DB_ITEM_CONVERTING && item.has_made && item.job_id > 0);
    const struct db_job job = kit_get(db, item.job_id);
    HOLDS(job.priority == POLICY_PRIORITY_BATCH && job.evidence == DB_EVIDENCE_COUNT);
    HOLDS(strcmp(item.output_series_uid, job.output_series_uid) == 0);
    HOLDS(get_series(id).state == DB_SERIES_CLOSED);
    db_close(db);
    kit_remove();
}

static void what_is_being_received_is_left_alone(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    (void)kit_put(db, 1, 1, 0, 2);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    HOLDS(begin_it(&item) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_WAITING && item.attempt == 0);
    HOLDS(item.due_ms == kit_now.lease_ms + BATCH_SERIES_RECEIVING_MS);
    HOLDS(db_batches_claim_series(db, first.series_uid, &kit_err) == DB_NONE);
    db_close(db);
    kit_remove();
}

/* A series that the live rules have discarded, with all its images. */
static int64_t discard_one(int n)
{
    const int64_t id = kit_put(db, 1, 1, 0, n);
    HOLDS(db_series_discard(db, &kit_now, id, "no rule", &kit_err) == 0);
    return id;
}

static void what_is_held_is_not_fetched_and_nothing_is_made_twice(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    (void)discard_one(IMAGES);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    HOLDS(begin_it(&item) == BATCH_NEXT_ORDER && strcmp(item.method, "held") == 0);
    HOLDS(batch_series_order(&s, &kit_now, &item, &kit_err) == BATCH_NEXT_MADE);
    const int64_t made = item.job_id;
    kit_now.wall_ms += 1000;
    item = begin(BATCH_PACS, first.series_uid, IMAGES); /* while it is made */
    HOLDS(begin_it(&item) == BATCH_NEXT_MADE && item.job_id == made && !item.has_made);
    const struct db_job job = kit_claim(db);
    HOLDS(job.id == made && kit_fail(db, db_job_token(&job), DB_WORK_REFUSED) == 0);
    item = begin(BATCH_HELD, first.series_uid, IMAGES); /* when it has failed */
    HOLDS(begin_it(&item) == BATCH_NEXT_NOTHING && item.state == DB_ITEM_SKIPPED);
    HOLDS(strstr(item.reason, "--force") != NULL);
    item = begin(BATCH_HELD, first.series_uid, IMAGES);
    request.force = true;
    HOLDS(begin_it(&item) == BATCH_NEXT_MADE && item.job_id == made);
    HOLDS(kit_get(db, made).state == DB_JOB_QUEUED);
    db_close(db);
    kit_remove();
}

static void what_was_rejected_is_not_made_again(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    (void)discard_one(KIT_OUTPUTS);
    struct db_item item = begin(BATCH_PACS, first.series_uid, KIT_OUTPUTS);
    HOLDS(begin_it(&item) == BATCH_NEXT_ORDER);
    HOLDS(batch_series_order(&s, &kit_now, &item, &kit_err) == BATCH_NEXT_MADE);
    const struct db_job job = kit_claim(db);
    HOLDS(kit_checked(db, &job, DB_REVIEW_NEEDED, "{}") == 0);
    HOLDS(db_job_review(db, &kit_now, job.id, false, "a hole", &kit_err) == 0);
    kit_now.wall_ms += 1000;
    for (int i = 0; i < 4; i++) {
        if (i == 2) { /* as if it had been on its way */
            db_close(db);
            kit_sql("UPDATE job SET state = 7");
            db = kit_open();
        }
        item = begin(BATCH_HELD, first.series_uid, KIT_OUTPUTS);
        request.force = i % 2 == 1;
        HOLDS(begin_it(&item) == BATCH_NEXT_NOTHING && item.state == DB_ITEM_SKIPPED);
        HOLDS(strstr(item.reason, "rejected: accept it, or use another model") != NULL);
    }
    db_close(db);
    kit_remove();
}

static void more_images_at_the_pacs_than_here_are_fetched(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    (void)discard_one(IMAGES - 1);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    HOLDS(begin_it(&item) == BATCH_NEXT_FETCH);
    db_close(db);
    kit_remove();
}

static void who_cannot_be_reached_costs_no_attempt_and_who_refuses_ends_it(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    for (int i = 0; i < 2 * BATCH_SERIES_FAILURES_MAX; i++) {
        HOLDS(fetched(&item, DICOM_QUERY_UNREACHABLE, 0, false) == BATCH_NEXT_NOTHING);
        HOLDS(item.state == DB_ITEM_WAITING && item.failures == 0);
        item = again();
    }
    HOLDS(fetched(&item, DICOM_QUERY_REFUSED, 0, true) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_WAITING && strcmp(item.method, "move") == 0);
    item = again();
    const int64_t id = kit_put(db, 1, 1, 0, 2);
    HOLDS(fetched(&item, DICOM_QUERY_REFUSED, 0, false) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_FAILED);
    HOLDS(strcmp(item.reason, "as the test says; 2 of 5 images are here") == 0);
    HOLDS(get_series(id).state == DB_SERIES_DISCARDED); /* never half a volume */
    db_close(db);
    kit_remove();
}

static void five_failures_end_it(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    for (int i = 1; i < BATCH_SERIES_FAILURES_MAX; i++) {
        HOLDS(fetched(&item, DICOM_QUERY_FAILED, 0, true) == BATCH_NEXT_NOTHING);
        HOLDS(item.state == DB_ITEM_WAITING && item.failures == i);
        item = again();
    }
    HOLDS(fetched(&item, DICOM_QUERY_FAILED, 0, true) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_FAILED);
    db_close(db);
    kit_remove();
}

/* As a quality page of ours in a PACS that does not tell who made it. */
static void what_is_neither_mr_nor_ct_is_not_even_fetched(void)
{
    db = kit_open();
    struct db_item item = begin(BATCH_PACS, "1.2.9", 1);
    struct db_series guessed = {.modality = "OT"};
    struct order_terms decided;
    rules[0].match.modality = NULL; /* a rule for everything */
    (void)snprintf(item.modality, sizeof item.modality, "OT");
    HOLDS(begin_it(&item) == BATCH_NEXT_NOTHING && item.state == DB_ITEM_SKIPPED);
    HOLDS(strcmp(item.reason, "modality OT: only MR and CT are sources") == 0);
    batch_terms_decide(&terms, &guessed, 1, &decided);
    HOLDS(decided.decision.verdict == POLICY_IGNORE);
    HOLDS(strcmp(decided.decision.reason, item.reason) == 0);
    (void)snprintf(guessed.modality, sizeof guessed.modality, "MR");
    batch_terms_decide(&terms, &guessed, 1, &decided);
    HOLDS(decided.decision.verdict == POLICY_CONVERT);
    db_close(db);
    kit_remove();
}

static void fewer_than_announced_are_never_the_series(void)
{
    static const struct {
        int expected, here;
        struct fetch_end end;
        const char *reason;
    } rows[] = {
        /* the list says nothing, and the PACS on the way more than at the end */
        {-1, 5, {.completed = 5, .announced = 8}, "5 of 8 images came"},
        {-1, 5, {.completed = 5, .failed = 3, .announced = 8}, "5 of 8 images came"},
        {-1, 5, {.completed = 0}, "5 images came, and the PACS does not say how many there are"},
        {0, 5, {.completed = 0}, "5 images came, and the PACS does not say how many there are"},
        {-1, 0, {.completed = 0}, "0 of 0 images came"},
        /* more than the list says */
        {8, 8, {.completed = 8, .failed = 2, .announced = 10}, "8 of 10 images came"},
        {8,
         8,
         {.end = DICOM_QUERY_FAILED, .announced = 10},
         "as the test says; 8 of 8 images are here"},
        /* to somebody else */
        {8,
         0,
         {.completed = 8, .announced = 8},
         "0 of 8 images came, though the PACS says that it sent 8: see whether it has this node's "
         "address and port"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct db_item item = begin_with(rows[i].expected, rows[i].here);
        HOLDS(ended(&item, rows[i].end, 0) == BATCH_NEXT_NOTHING);
        HOLDS(item.state == DB_ITEM_WAITING && item.failures == 1);
        HOLDS(strcmp(item.reason, rows[i].reason) == 0);
        item = again();
        HOLDS(begin_it(&item) == BATCH_NEXT_FETCH); /* not by the list alone */
        end_it();
    }
}

static void all_that_was_announced_is_the_series_however_it_ends(void)
{
    static const struct {
        int expected, stalled_s;
        struct fetch_end end;
    } rows[] = {
        {-1, 0, {.completed = 8, .announced = 8}},
        {8, 0, {.completed = 0}},
        {8, 0, {.completed = 8, .announced = 9}}, /* a count of one too many on the way */
        {8, 120, {.end = DICOM_QUERY_FAILED, .completed = 7, .announced = 8}},
        {8, 0, {.end = DICOM_QUERY_REFUSED}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct db_item item = begin_with(rows[i].expected, 8);
        HOLDS(ended(&item, rows[i].end, rows[i].stalled_s) == BATCH_NEXT_ORDER);
        HOLDS(item.state == DB_ITEM_READY);
        end_it();
    }
}

static void a_stall_is_told(void)
{
    struct db_item item = begin_with(8, 3);
    HOLDS(ended(&item, (struct fetch_end){.end = DICOM_QUERY_FAILED, .announced = 8}, 120) ==
          BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_WAITING && item.failures == 1 && item.instances == 3);
    HOLDS(strcmp(item.reason, "no new image came for 120 s; 3 of 8 images are here") == 0);
    end_it();
}

static void what_no_rule_wants_is_skipped_with_the_reason(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    const int64_t id = kit_put(db, 1, 1, 0, IMAGES);
    rules[0].match.min_slices = IMAGES + 1;
    HOLDS(fetched(&item, DICOM_QUERY_DONE, IMAGES, false) == BATCH_NEXT_ORDER);
    HOLDS(batch_series_order(&s, &kit_now, &item, &kit_err) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_SKIPPED && strstr(item.reason, "no rule holds") != NULL);
    HOLDS(get_series(id).state == DB_SERIES_DISCARDED);
    db_close(db);
    kit_remove();
}

static void a_cancelled_item_stays_so(void)
{
    db = kit_open();
    const struct db_instance first = kit_instance(1, 1, 0);
    struct db_item item = begin(BATCH_PACS, first.series_uid, IMAGES);
    HOLDS(db_batch_cancel(db, &kit_now, s.batch_id, "not wanted", &kit_err) == 0);
    const int64_t id = kit_put(db, 1, 1, 0, IMAGES);
    HOLDS(fetched(&item, DICOM_QUERY_DONE, IMAGES, false) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_CANCELLED);
    HOLDS(batch_series_give_up(&s, &kit_now, &item, "cancelled", &kit_err) == BATCH_NEXT_NOTHING);
    HOLDS(item.state == DB_ITEM_CANCELLED);
    HOLDS(get_series(id).state == DB_SERIES_DISCARDED);
    struct db_batch batch;
    HOLDS(db_batch_get(db, s.batch_id, &batch, &kit_err) == 0);
    HOLDS(batch.items[DB_ITEM_CANCELLED] == 1);
    db_close(db);
    kit_remove();
}

int main(void)
{
    an_unknown_series_is_fetched_and_ordered_when_all_came();
    what_is_being_received_is_left_alone();
    what_is_held_is_not_fetched_and_nothing_is_made_twice();
    what_was_rejected_is_not_made_again();
    more_images_at_the_pacs_than_here_are_fetched();
    who_cannot_be_reached_costs_no_attempt_and_who_refuses_ends_it();
    five_failures_end_it();
    what_is_neither_mr_nor_ct_is_not_even_fetched();
    fewer_than_announced_are_never_the_series();
    all_that_was_announced_is_the_series_however_it_ends();
    a_stall_is_told();
    what_no_rule_wants_is_skipped_with_the_reason();
    a_cancelled_item_stays_so();
    return 0;
}
