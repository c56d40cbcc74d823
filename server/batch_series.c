/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_series.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/accept.h"
#include "dicom/query.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "server/batch_request.h"
#include "server/batch_terms.h"
#include "server/completion.h"
#include "server/config.h"
#include "server/fetch_messages.h"
#include "server/order.h"
#include "server/policy.h"

/* The next state */

SCTD_PRINTF(2, 3) static void say(struct db_item *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(item->reason, sizeof item->reason, format, args);
    va_end(args);
}

/* Keep it.  One that was cancelled meanwhile stays so. */
static int move_to(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                   enum db_item_state to, struct sctd_error *err)
{
    const enum db_item_state from = item->state;
    item->state = to;
    const int r = db_item_set(s->db, now, item, from, err);
    if (r == DB_LOST) {
        item->state = DB_ITEM_CANCELLED;
    }
    return r < 0 ? r : BATCH_NEXT_NOTHING;
}

/* What came of it was for this batch alone, and is less than the series, or unwanted. */
static int put_aside(const struct batch_series *s, const struct db_now *now,
                     const struct db_item *item, struct sctd_error *err)
{
    struct db_series series;
    char reason[DB_REASON_SIZE];
    int r = db_series_find(s->db, item->series_uid, &series, err);
    if (r != 0 || series.state != DB_SERIES_OPEN || item->attempt == 0) {
        return r < 0 ? r : 0;
    }
    (void)snprintf(reason, sizeof reason, "batch %" PRId64 ": %.200s", s->batch_id, item->reason);
    r = db_series_discard(s->db, now, series.id, reason, err);
    return r < 0 ? r : 0;
}

static int end_with(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                    enum db_item_state to, struct sctd_error *err)
{
    int r = put_aside(s, now, item, err);
    if (r == 0 && db_item_has_ended(item->state)) {
        return BATCH_NEXT_NOTHING; /* it was cancelled, and stays so */
    }
    return r < 0 ? r : move_to(s, now, item, to, err);
}

int batch_series_give_up(const struct batch_series *s, const struct db_now *now,
                         struct db_item *item, const char *reason, struct sctd_error *err)
{
    say(item, "%s", reason);
    return end_with(s, now, item, DB_ITEM_FAILED, err);
}

/* Again later, unless it has failed often enough.  item->reason says why. */
static int try_again(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                     struct sctd_error *err)
{
    int64_t wait_ms = BATCH_SERIES_RETRY_MS;
    item->failures++;
    if (item->failures >= BATCH_SERIES_FAILURES_MAX) {
        return end_with(s, now, item, DB_ITEM_FAILED, err);
    }
    for (int32_t i = 1; i < item->failures && wait_ms < BATCH_SERIES_RETRY_CAP_MS; i++) {
        wait_ms *= 2;
    }
    item->due_ms = now->lease_ms + wait_ms;
    return move_to(s, now, item, DB_ITEM_WAITING, err);
}

/* The beginning */

/* Why what a job has made is not sent on.  refused: it may not be; else all have it. */
static int say_made_before(const struct batch_series *s, struct db_item *item, bool refused,
                           struct sctd_error *err)
{
    struct db_job job = {.id = 0};
    const int r = refused ? db_job_get(s->db, item->job_id, &job, err) : 0;
    say(item, "job %" PRId64 " has made the same before%s", item->job_id,
        !refused ? ""
        : job.review == DB_REVIEW_NEEDED && job.hold
            ? ", and its result is to be accepted before it is sent"
            : ", and its files are removed");
    return r < 0 ? r : 0;
}

/* A job that makes, or made, the same.  Returns an enum batch_next, or 0: there is none that counts. */
static int take_made(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                     const struct db_made *made, const struct config_rule *rule,
                     struct sctd_error *err)
{
    item->job_id = made->job_id;
    (void)snprintf(item->output_series_uid, sizeof item->output_series_uid, "%s",
                   made->output_series_uid);
    item->has_made = item->begun_ms > 0 && made->created_ms >= item->begun_ms;
    if (!item->has_made && made->is_rejected) { /* made again it would be the same */
        say(item,
            "job %" PRId64
            " has made the same before, and its result was rejected: accept it, or use another model",
            made->job_id);
        return move_to(s, now, item, DB_ITEM_SKIPPED, err);
    }
    if (s->request->force && (made->state == DB_JOB_FAILED || made->state == DB_JOB_POISON)) {
        const int r = db_job_retry(s->db, now, made->job_id, "a batch by force", err);
        if (r < 0) {
            return r;
        }
    } else if (!item->has_made && made->state == DB_JOB_DONE) {
        int r = batch_terms_deliver(s->terms, rule, s->db, now, made->job_id, err);
        if (r != 0) {
            const bool refused = r == DB_REFUSED && rule->destinations_count > 0;
            r = r < 0 ? r : say_made_before(s, item, refused, err);
            return r < 0 ? r : move_to(s, now, item, DB_ITEM_SKIPPED, err);
        }
    } else if (!item->has_made && (made->state == DB_JOB_FAILED || made->state == DB_JOB_POISON)) {
        say(item, "job %" PRId64 " has failed with the same before: --force tries it again",
            made->job_id);
        return move_to(s, now, item, DB_ITEM_SKIPPED, err);
    }
    item->ordered_ms = item->ordered_ms == 0 ? now->wall_ms : item->ordered_ms;
    item->reason[0] = '\0';
    const int r = move_to(s, now, item, DB_ITEM_CONVERTING, err);
    return r < 0 ? r : BATCH_NEXT_MADE;
}

static int find_kept(struct db *db, const struct db_series *series, bool *ret_all,
                     struct sctd_error *err)
{
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    const int r = db_series_members(db, series->id, 0, &members, err);
    *ret_all = r == 0 && series->instances > 0 && members.n == (size_t)series->instances;
    return r;
}

static int begin_known(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                       const struct db_series *series, struct sctd_error *err)
{
    struct order_terms terms;
    struct db_made made;
    bool has_all = false;
    const bool is_held = s->request->source == BATCH_HELD;
    item->series_id = series->id;
    item->instances = series->instances;
    if (series->state == DB_SERIES_OPEN && item->attempt == 1) {
        say(item, "it is being received");
        item->attempt = 0; /* live work goes its own way */
        item->due_ms = now->lease_ms + BATCH_SERIES_RECEIVING_MS;
        return move_to(s, now, item, DB_ITEM_WAITING, err);
    }
    batch_terms_decide(s->terms, series, series->instances, &terms);
    /* One that an attempt before has left open is whole when the end of an attempt says so: its source may have more
     * images than its list tells. */
    const bool is_whole = series->state != DB_SERIES_OPEN &&
                          (is_held || (item->expected >= 0 && series->instances >= item->expected));
    int r = DB_NONE;
    if (is_whole && terms.decision.verdict == POLICY_CONVERT) {
        r = batch_terms_find_made(s->terms, &terms, s->db, series->id, &made, err);
    }
    if (r <= 0) {
        return r < 0 ? r : take_made(s, now, item, &made, terms.decision.rule, err);
    }
    r = find_kept(s->db, series, &has_all, err);
    if (r < 0) {
        return r;
    }
    if (is_whole && has_all) {
        (void)snprintf(item->method, sizeof item->method, "held");
        item->fetched_ms = now->wall_ms;
        r = move_to(s, now, item, DB_ITEM_READY, err);
        return r < 0 ? r : item->state == DB_ITEM_READY ? BATCH_NEXT_ORDER : r;
    }
    if (is_held) {
        return batch_series_give_up(s, now, item, "its files have been removed", err);
    }
    return BATCH_NEXT_FETCH;
}

int batch_series_begin(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                       struct sctd_error *err)
{
    struct db_series series;
    int r = db_series_is_ours(s->db, item->series_uid, err);
    if (r <= 0) {
        say(item, "an sCT of ours is never a source");
        return r < 0 ? r : move_to(s, now, item, DB_ITEM_SKIPPED, err);
    }
    if (!dicom_accept_modality(item->modality)) { /* a quality page of ours among them */
        say(item, "modality %.16s: only MR and CT are sources", item->modality);
        return move_to(s, now, item, DB_ITEM_SKIPPED, err);
    }
    r = db_series_find(s->db, item->series_uid, &series, err);
    if (r == 0) {
        return begin_known(s, now, item, &series, err);
    }
    if (r == DB_NONE && s->request->source == BATCH_HELD) {
        return batch_series_give_up(s, now, item, "it is not held any more", err);
    }
    return r < 0 ? r : BATCH_NEXT_FETCH;
}

/* Its arrival */

/*
 * How many images the source has.  Where its list and the end of the transfer agree, what it said on the way does not
 * count: some count wrongly then.  0: it never said.
 */
static int32_t count_wanted(const struct db_item *item, const struct fetch_end *end)
{
    const int32_t told = end->completed + end->failed + end->warned;
    const int32_t listed = item->expected > told ? item->expected : told;
    return item->expected > 0 || end->announced < listed ? listed : end->announced;
}

static int count_held(const struct batch_series *s, struct db_item *item, struct sctd_error *err)
{
    struct db_series series;
    const int r = db_series_find(s->db, item->series_uid, &series, err);
    if (r >= 0) {
        item->instances = r == 0 ? series.instances : 0;
        item->series_id = r == 0 ? series.id : 0;
    }
    return r < 0 ? r : 0;
}

/* What came is less than the source has, or nobody knows. */
static void say_short(struct db_item *item, const struct fetch_end *end, int32_t wanted)
{
    const bool is_move = strcmp(item->method, "move") == 0;
    if (wanted == 0 && item->instances > 0) {
        say(item, "%d images came, and the PACS does not say how many there are", item->instances);
    } else if (end->end == DICOM_QUERY_DONE && end->completed > item->instances) {
        say(item, "%d of %d images came, though the PACS says that it sent %d%s", item->instances,
            wanted, end->completed,
            is_move ? ": see whether it has this node's address and port" : "");
    } else {
        say(item, "%d of %d images came", item->instances, wanted);
    }
}

static int take_whole(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                      struct sctd_error *err)
{
    item->fetched_ms = now->wall_ms;
    item->reason[0] = '\0';
    const int r = move_to(s, now, item, DB_ITEM_READY, err);
    return r < 0 ? r : item->state == DB_ITEM_READY ? BATCH_NEXT_ORDER : r;
}

/* Why it did not go well, and how far it came. */
static void say_failed(struct db_item *item, const struct batch_fetched *fetched, int32_t wanted)
{
    char came[64] = "";
    if (wanted > 0) {
        (void)snprintf(came, sizeof came, "; %d of %d images are here", item->instances, wanted);
    }
    if (fetched->stalled_s > 0) {
        say(item, "no new image came for %d s%s", fetched->stalled_s, came);
    } else {
        say(item, "%.200s%s", fetched->end->reason, came);
    }
}

/* Whether its end may be told by counting: after one that went wrong the list and all that was said must agree. */
static bool is_trusted(const struct db_item *item, const struct fetch_end *end)
{
    return end->end == DICOM_QUERY_DONE || (item->expected > 0 && end->announced <= item->expected);
}

int batch_series_fetched(const struct batch_series *s, const struct db_now *now,
                         struct db_item *item, const struct batch_fetched *fetched,
                         struct sctd_error *err)
{
    const struct fetch_end *end = fetched->end;
    const int32_t wanted = count_wanted(item, end);
    const int r = count_held(s, item, err);
    if (r < 0) {
        return r;
    }
    const bool is_stopped = fetched->is_stopped || end->end == DICOM_QUERY_UNREACHABLE;
    if (wanted > 0 && item->instances >= wanted && !is_stopped && is_trusted(item, end)) {
        return take_whole(s, now, item, err);
    }
    if (end->end == DICOM_QUERY_DONE) {
        say_short(item, end, wanted);
        return try_again(s, now, item, err);
    }
    say_failed(item, fetched, item->expected > 0 ? item->expected : wanted);
    item->due_ms = 0;
    if (is_stopped) {
        return move_to(s, now, item, DB_ITEM_WAITING, err);
    }
    if (end->end == DICOM_QUERY_REFUSED && fetched->may_move) {
        (void)snprintf(item->method, sizeof item->method, "move");
        return move_to(s, now, item, DB_ITEM_WAITING, err);
    }
    return end->end == DICOM_QUERY_REFUSED ? end_with(s, now, item, DB_ITEM_FAILED, err)
                                           : try_again(s, now, item, err);
}

/* Its order */

static int32_t count_frames(const struct db_member_list *members)
{
    int64_t n = 0;
    for (size_t i = 0; i < members->n; i++) {
        n += members->member[i].frames > 1 ? members->member[i].frames : 1;
    }
    return n < INT32_MAX ? (int32_t)n : INT32_MAX;
}

/* One that no rule wanted when it came is wanted now. */
static int open_again(const struct batch_series *s, const struct db_now *now,
                      struct db_series *series, struct sctd_error *err)
{
    char reason[DB_REASON_SIZE];
    (void)snprintf(reason, sizeof reason, "batch %" PRId64 " asks for it", s->batch_id);
    const int r = db_series_reopen(s->db, now, series->id, reason, err);
    return r < 0 ? r : db_series_get(s->db, series->id, series, err);
}

static int take_order(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                      const struct order_result *result, struct sctd_error *err)
{
    struct db_job job;
    if (result->outcome == ORDER_CHANGED) {
        say(item, "the series changed while it was ordered");
        return try_again(s, now, item, err);
    }
    if (result->outcome == ORDER_DISCARDED) {
        say(item, "%s", result->decision.reason);
        return end_with(s, now, item, DB_ITEM_SKIPPED, err);
    }
    int r = db_job_get(s->db, result->job_id, &job, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EIO, "a job that was made is not there");
    }
    struct db_made made = {.job_id = job.id, .state = (int)job.state, .created_ms = job.created_ms};
    (void)snprintf(made.output_series_uid, sizeof made.output_series_uid, "%s",
                   job.output_series_uid);
    return take_made(s, now, item, &made, result->decision.rule, err);
}

int batch_series_order(const struct batch_series *s, const struct db_now *now, struct db_item *item,
                       struct sctd_error *err)
{
    struct db_series series;
    struct order_terms terms;
    struct order_result result;
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    int r = db_series_find(s->db, item->series_uid, &series, err);
    if (r != 0) {
        say(item, "the series is not here any more");
        return r < 0 ? r : try_again(s, now, item, err);
    }
    if (series.state == DB_SERIES_DISCARDED) {
        r = open_again(s, now, &series, err);
    }
    r = r < 0 ? r : db_series_members(s->db, series.id, 0, &members, err);
    if (r < 0) {
        return r;
    }
    batch_terms_decide(s->terms, &series, count_frames(&members), &terms);
    struct completion completion = {.is_complete = true,
                                    .evidence = item->expected >= 0 ? DB_EVIDENCE_COUNT
                                                                    : DB_EVIDENCE_REQUEST};
    (void)snprintf(completion.reason, sizeof completion.reason,
                   "batch %" PRId64 ": all %d images are here", s->batch_id, series.instances);
    const struct order order = {&series, &members, &completion, &terms};
    r = order_make(&result, s->db, now, s->policy, &order, err);
    return r < 0 ? r : take_order(s, now, item, &result, err);
}
