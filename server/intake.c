/* SPDX-License-Identifier: Apache-2.0 */
#include "server/intake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/instances.h"
#include "dicom/index.h"
#include "dicom/receiver.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "server/completion.h"
#include "server/config.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/order.h"
#include "server/policy.h"
#include "server/receive_messages.h"
#include "server/receivers.h"

enum {
    KEEP_MAX = 256,
    SETTLE_MS = 100, /* of what is looked at soon: many changes are looked at once */
    RETRY_MS = 10000,
    BATCH_MS = 5000,
};

/* A series that is open, as this process saw it. */
struct watched {
    struct watched *next;
    int64_t series_id, study_id;
    int64_t last_ms, again_ms; /* lease clock */
    bool was_broken, is_held;
};

/* That an open association sent to a series. */
struct sending {
    struct sending *next;
    int64_t association_id, series_id;
};

struct intake {
    struct intake_options options;
    struct intake_hooks hooks;
    uv_timer_t timer;
    struct watched *watched;
    struct sending *sending;
    bool is_stopped;
    struct db_instance instances[KEEP_MAX];
    struct db_put_result results[KEEP_MAX];
};

static void on_timer(uv_timer_t *timer);

static void schedule(struct intake *intake)
{
    int64_t next_ms = INT64_MAX;
    for (const struct watched *w = intake->watched; w != NULL; w = w->next) {
        next_ms = w->again_ms < next_ms ? w->again_ms : next_ms;
    }
    if (next_ms == INT64_MAX || intake->is_stopped) {
        (void)uv_timer_stop(&intake->timer);
        return;
    }
    const int64_t wait_ms = next_ms - sctd_boot_ms();
    (void)uv_timer_start(&intake->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static struct watched *find(const struct intake *intake, int64_t series_id)
{
    struct watched *w = intake->watched;
    while (w != NULL && w->series_id != series_id) {
        w = w->next;
    }
    return w;
}

static void forget(struct intake *intake, struct watched *gone)
{
    struct watched **at = &intake->watched;
    while (*at != gone) {
        at = &(*at)->next;
    }
    *at = gone->next;
    free(gone);
}

/* NULL: no memory. */
static struct watched *watch(struct intake *intake, int64_t series_id, int64_t study_id)
{
    struct watched *w = find(intake, series_id);
    if (w == NULL) {
        w = calloc(1, sizeof *w);
        if (w == NULL) {
            return NULL;
        }
        w->series_id = series_id;
        w->study_id = study_id;
        w->next = intake->watched;
        intake->watched = w;
    }
    w->last_ms = sctd_boot_ms();
    w->again_ms = w->last_ms + SETTLE_MS;
    return w;
}

/* Instances */

static void to_db(struct db_instance *to, const struct receivers_keep *keep)
{
    const struct receive_keep *from = keep->instance;
    const struct dicom_index *index = &from->index;
    *to = (struct db_instance){
        .study_uid = index->study_uid,
        .series_uid = index->series_uid,
        .sop_uid = index->sop_instance_uid,
        .sop_class_uid = index->sop_class_uid,
        .transfer_syntax_uid = from->transfer_syntax_uid,
        .calling_ae = keep->association.serve->calling_ae,
        .called_ae = keep->association.serve->called_ae,
        .peer = keep->association.serve->peer,
        .file = from->file,
        .size = from->size,
        .received_ms = from->received_ms,
        .instance_number = index->instance_number,
        .frames = index->frames,
        .slice_mm = index->slice_mm,
        .stack = index->stack,
        .facts = {.modality = index->modality,
                  .series_description = index->series_description,
                  .study_description = index->study_description,
                  .protocol = index->protocol,
                  .body_part = index->body_part,
                  .manufacturer = index->manufacturer,
                  .model_name = index->model_name,
                  .station = index->station,
                  .image_type = index->image_type,
                  .frame_of_reference_uid = index->frame_of_reference_uid,
                  .series_number = index->series_number},
        .identity = {.patient_id = index->patient_id,
                     .patient_name = index->patient_name,
                     .character_set = index->character_set},
    };
    memcpy(to->sha256, from->sha256, sizeof to->sha256);
}

static enum receive_outcome outcome_of(enum db_put put)
{
    switch (put) {
    case DB_PUT_STORED:
        return RECEIVE_STORED;
    case DB_PUT_SAME:
        return RECEIVE_SAME;
    case DB_PUT_CONFLICT:
        return RECEIVE_CONFLICT;
    case DB_PUT_FULL:
    case DB_PUT_BUSY:
    case DB_PUT_INVALID:
        break;
    }
    return RECEIVE_FULL;
}

static void add_sending(struct intake *intake, int64_t association_id, int64_t series_id)
{
    for (const struct sending *s = intake->sending; s != NULL; s = s->next) {
        if (s->association_id == association_id && s->series_id == series_id) {
            return;
        }
    }
    struct sending *s = malloc(sizeof *s);
    if (s != NULL) { /* without it the series only looks quiet earlier, after its quiet time */
        *s = (struct sending){intake->sending, association_id, series_id};
        intake->sending = s;
    }
}

static void fail_to_watch(struct intake *intake)
{
    intake->hooks.failed(intake->hooks.arg, "no memory to watch a series");
}

/* A series that an instance came to and that is not watched yet. */
static void watch_new(struct intake *intake, int64_t series_id)
{
    struct db_series series = {.state = DB_SERIES_OPEN};
    struct sctd_error err = {.code = SCTD_OK};
    const int r = db_series_get(intake->options.db, series_id, &series, &err);
    if (r < 0) { /* the instance is kept, so the series must be looked at all the same */
        LOG_ERROR("series-error", log_number("series", series_id), log_text("reason", err.text));
        series.study_id = -series_id; /* a study of its own */
    } else if (r > 0 || series.state != DB_SERIES_OPEN) {
        return; /* discarded: what comes changes nothing */
    } else {
        LOG_INFO("series-open", log_number("series", series_id),
                 log_text("series_uid", series.series_uid), log_text("modality", series.modality),
                 log_text("calling_ae", series.calling_ae));
    }
    if (watch(intake, series_id, series.study_id) == NULL) {
        fail_to_watch(intake);
    }
}

static void took(struct intake *intake, const struct receivers_keep *keep,
                 const struct db_put_result *result)
{
    if (result->outcome == DB_PUT_STORED) {
        if (result->reopened) {
            LOG_INFO("series-reopened", log_number("series", result->series_id),
                     log_number("revision", result->revision));
        }
        struct watched *w = find(intake, result->series_id);
        if (w == NULL) {
            watch_new(intake, result->series_id);
        } else {
            w->last_ms = sctd_boot_ms();
        }
        add_sending(intake, keep->association.id, result->series_id);
    } else if (result->outcome != DB_PUT_SAME) {
        LOG_WARNING("instance-refused", log_number("series", result->series_id),
                    log_text("calling_ae", keep->association.serve->calling_ae),
                    log_text("reason", result->reason));
    }
}

/* A full disk, or a moment without memory: nothing of the call was kept, the next one may be. */
static bool may_pass(const struct intake *intake, int r)
{
    return (r == SCTD_EIO || r == SCTD_ENOMEM) && !db_is_failed(intake->options.db);
}

static void keep_nothing(struct receive_kept *ret_kept, size_t n, const struct sctd_error *why)
{
    LOG_ERROR("instances-not-kept", log_number("instances", (int64_t)n),
              log_text("reason", why->text));
    for (size_t i = 0; i < n; i++) {
        ret_kept[i] = (struct receive_kept){.outcome = RECEIVE_NOT_KEPT};
    }
}

int intake_keep(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err)
{
    struct intake *intake = arg;
    const struct db_now at = moment_now();
    for (size_t begin = 0; begin < n; begin += KEEP_MAX) {
        const size_t count = n - begin < KEEP_MAX ? n - begin : KEEP_MAX;
        for (size_t i = 0; i < count; i++) {
            to_db(&intake->instances[i], &instances[begin + i]);
        }
        int r = db_instances_put(intake->options.db, &at, intake->instances, count, intake->results,
                                 err);
        if (r < 0 && !may_pass(intake, r)) {
            return r;
        }
        if (r < 0) {
            keep_nothing(&ret_kept[begin], count, err);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            struct receive_kept *kept = &ret_kept[begin + i];
            *kept =
                (struct receive_kept){.outcome = (int32_t)outcome_of(intake->results[i].outcome)};
            (void)snprintf(kept->file, sizeof kept->file, "%.127s", intake->results[i].kept_file);
            took(intake, &instances[begin + i], &intake->results[i]);
        }
    }
    schedule(intake);
    return 0;
}

/* Associations */

void intake_opened(void *arg, const struct receivers_association *association)
{
    (void)arg;
    LOG_INFO("association-open", log_number("association", association->id),
             log_text("peer", association->serve->peer),
             log_text("calling_ae", association->serve->calling_ae));
}

void intake_ended(void *arg, const struct receivers_association *association,
                  const struct receive_end *end, int status)
{
    struct intake *intake = arg;
    /* What was found in the spool may have been cut off. */
    const bool is_released =
        end != NULL && end->end == DICOM_END_RELEASED && !association->serve->adopt;
    struct sending **at = &intake->sending;
    LOG(end == NULL ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "association-end",
        log_number("association", association->id), log_text("peer", association->serve->peer),
        log_text("calling_ae", association->serve->calling_ae),
        log_text("end",
                 end == NULL ? "died" : dicom_receiver_end_name((enum dicom_receiver_end)end->end)),
        log_number("status", status), log_number("stored", end == NULL ? 0 : end->stored),
        log_number("refused", end == NULL ? 0 : end->refused));
    while (*at != NULL) {
        struct sending *s = *at;
        if (s->association_id != association->id) {
            at = &s->next;
            continue;
        }
        struct watched *w = find(intake, s->series_id);
        if (w != NULL) {
            w->was_broken = !is_released; /* the last one tells: a sender may try again */
            w->again_ms = sctd_boot_ms();
        }
        *at = s->next;
        free(s);
    }
    schedule(intake);
}

/* Completion */

static bool is_sending(const struct intake *intake, int64_t series_id)
{
    const struct sending *s = intake->sending;
    while (s != NULL && s->series_id != series_id) {
        s = s->next;
    }
    return s != NULL;
}

static int64_t study_last_ms(const struct intake *intake, const struct watched *watched)
{
    int64_t last_ms = watched->last_ms;
    for (const struct watched *w = intake->watched; w != NULL; w = w->next) {
        if (w->study_id == watched->study_id && w->last_ms > last_ms) {
            last_ms = w->last_ms;
        }
    }
    return last_ms;
}

static void log_order(const struct db_series *series, const struct completion *completion,
                      const struct order_result *result)
{
    if (result->outcome == ORDER_DISCARDED) {
        LOG_INFO("series-discarded", log_number("series", series->id),
                 log_text("series_uid", series->series_uid),
                 log_text("reason", result->decision.reason));
    } else if (result->outcome == ORDER_CREATED || result->outcome == ORDER_EXISTS) {
        LOG_INFO(result->outcome == ORDER_CREATED ? "series-complete" : "series-known",
                 log_number("series", series->id), log_text("series_uid", series->series_uid),
                 log_number("revision", series->revision),
                 log_number("instances", series->instances),
                 log_text("evidence", db_evidence_name(completion->evidence)),
                 log_text("reason", completion->reason),
                 log_text("rule", result->decision.rule->name), log_number("job", result->job_id));
    }
}

/* *ret_done: nothing more is to be watched. */
static int make_order(struct intake *intake, const struct db_series *series,
                      const struct db_member_list *members, const struct completion *completion,
                      bool *ret_done, struct sctd_error *err)
{
    const struct order order = {series, members, completion, NULL};
    const struct db_now at = moment_now();
    struct order_result result;
    int r = order_make(&result, intake->options.db, &at, intake->options.policy, &order, err);
    if (r < 0) {
        return r;
    }
    log_order(series, completion, &result);
    *ret_done = result.outcome != ORDER_CHANGED;
    if (result.outcome == ORDER_CREATED) {
        intake->hooks.job_made(intake->hooks.arg, result.job_id);
    } else if (result.outcome == ORDER_DISCARDED) {
        intake->hooks.discarded(intake->hooks.arg, series, &result.decision);
    }
    return 0;
}

static void hold(struct watched *w, const struct db_series *series,
                 const struct completion *completion)
{
    if (completion->is_held && !w->is_held) {
        LOG_WARNING("series-incomplete", log_number("series", series->id),
                    log_text("series_uid", series->series_uid),
                    log_text("reason", completion->reason));
    }
    w->is_held = completion->is_held;
}

/* Whether a watched series is complete, as it is now.  Returns 0, or DB_NONE: it is not open. */
static int judge(struct intake *intake, const struct watched *w, struct db_series *series,
                 struct db_member_list *members, struct completion *completion,
                 struct sctd_error *err)
{
    struct db *db = intake->options.db;
    const struct config_completion *config = &intake->options.policy->config->completion;
    int r = db_series_get(db, w->series_id, series, err);
    if (r != 0 || series->state != DB_SERIES_OPEN) {
        return r < 0 ? r : DB_NONE;
    }
    r = db_batches_claim_series(db, series->series_uid, err);
    if (r <= 0) { /* what a batch fetches is complete when the batch says so */
        *completion = (struct completion){.again_ms = sctd_boot_ms() + BATCH_MS,
                                          .reason = "a batch is fetching it"};
        return r;
    }
    r = db_series_members(db, w->series_id, 0, members, err);
    if (r < 0) {
        return r;
    }
    const struct completion_view view = {
        .series = series,
        .members = members,
        .is_sending = is_sending(intake, w->series_id),
        .was_broken = w->was_broken,
        .last_ms = w->last_ms,
        .study_last_ms = study_last_ms(intake, w),
        .now_ms = sctd_boot_ms(),
        .quiet_ms = (int64_t)config->quiet_s * 1000,
        .closed_quiet_ms = (int64_t)config->closed_quiet_s * 1000,
    };
    completion_judge(&view, completion);
    return 0;
}

static int look(struct intake *intake, struct watched *w, bool *ret_done, struct sctd_error *err)
{
    struct db_series series;
    struct completion completion;
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    const int r = judge(intake, w, &series, &members, &completion, err);
    if (r != 0) {
        *ret_done = r > 0;
        return r < 0 ? r : 0;
    }
    w->again_ms = completion.again_ms;
    hold(w, &series, &completion);
    if (!completion.is_complete) {
        return 0;
    }
    w->again_ms = sctd_boot_ms() + SETTLE_MS; /* unless an order is made of it */
    return make_order(intake, &series, &members, &completion, ret_done, err);
}

/* An error of the store that may pass is tried again; one that may not ends the process. */
static void bear(struct intake *intake, struct watched *w, const struct sctd_error *err)
{
    LOG_ERROR("series-error", log_number("series", w->series_id), log_text("reason", err->text));
    w->again_ms = sctd_boot_ms() + RETRY_MS;
    if (db_is_failed(intake->options.db)) {
        intake->hooks.failed(intake->hooks.arg, err->text);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct intake *intake = timer->data;
    const int64_t now_ms = sctd_boot_ms();
    struct watched *next = NULL;
    for (struct watched *w = intake->watched; w != NULL && !intake->is_stopped; w = next) {
        struct sctd_error err = {.code = SCTD_OK};
        bool is_done = false;
        next = w->next;
        if (w->again_ms > now_ms) {
            continue;
        }
        if (look(intake, w, &is_done, &err) < 0) {
            bear(intake, w, &err);
        } else if (is_done) {
            forget(intake, w);
        }
    }
    schedule(intake);
}

void intake_watch(struct intake *intake, int64_t series_id)
{
    struct db_series series;
    struct sctd_error err = {.code = SCTD_OK};
    if (db_series_get(intake->options.db, series_id, &series, &err) == 0) {
        struct watched *w = watch(intake, series_id, series.study_id);
        if (w == NULL) {
            fail_to_watch(intake);
        } else {
            w->was_broken = true; /* nobody knows how its associations ended */
        }
        schedule(intake);
    }
}

void intake_touch(struct intake *intake, int64_t series_id)
{
    struct watched *w = find(intake, series_id);
    if (w != NULL) {
        w->again_ms = sctd_boot_ms() + SETTLE_MS;
        schedule(intake);
    }
}

int intake_complete_now(struct intake *intake, int64_t series_id, const char *reason,
                        struct sctd_error *err)
{
    struct watched *w = find(intake, series_id);
    struct db_series series;
    struct completion completion = {.is_complete = true, .evidence = DB_EVIDENCE_REQUEST};
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    bool is_done = false;
    (void)snprintf(completion.reason, sizeof completion.reason, "%s", reason);
    int r = db_series_get(intake->options.db, series_id, &series, err);
    if (r != 0 || series.state != DB_SERIES_OPEN) {
        return r < 0 ? r : DB_NONE;
    }
    r = db_series_members(intake->options.db, series_id, 0, &members, err);
    if (r == 0) {
        r = make_order(intake, &series, &members, &completion, &is_done, err);
    }
    if (r == 0 && is_done && w != NULL) {
        forget(intake, w);
    }
    return r;
}

int intake_explain(struct intake *intake, int64_t series_id, struct completion *ret_completion,
                   struct sctd_error *err)
{
    const struct watched *w = intake->watched;
    struct db_series series;
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    while (w != NULL && w->series_id != series_id) {
        w = w->next;
    }
    return w == NULL ? DB_NONE : judge(intake, w, &series, &members, ret_completion, err);
}

int32_t intake_count_open(const struct intake *intake)
{
    int32_t n = 0;
    for (const struct watched *w = intake->watched; w != NULL; w = w->next) {
        n++;
    }
    return n;
}

/* Beginning and end */

static int watch_page(struct intake *intake, const struct db_series_page *page,
                      struct sctd_error *err)
{
    for (size_t i = 0; i < page->n; i++) {
        struct watched *w = watch(intake, page->series[i].id, page->series[i].study_id);
        if (w == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "open series");
        }
        w->was_broken = true; /* by the end of the process that was sent to */
    }
    return 0;
}

static int watch_open_series(struct intake *intake, struct sctd_error *err)
{
    int64_t after = 0;
    do {
        sctd_auto(db_series_page_fini) struct db_series_page page = {.n = 0};
        const struct db_series_filter filter = {
            .state = DB_SERIES_OPEN, .ascending = true, .after = after, .limit = DB_PAGE_MAX};
        int r = db_series_list(intake->options.db, &filter, &page, err);
        r = r < 0 ? r : watch_page(intake, &page, err);
        if (r < 0) {
            return r;
        }
        after = page.next;
    } while (after != 0);
    return 0;
}

int intake_new(struct intake **ret_intake, const struct intake_options *options,
               const struct intake_hooks *hooks, struct sctd_error *err)
{
    struct intake *intake = calloc(1, sizeof *intake);
    if (intake == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "intake");
    }
    intake->options = *options;
    intake->hooks = *hooks;
    (void)uv_timer_init(options->loop, &intake->timer);
    intake->timer.data = intake;
    int r = watch_open_series(intake, err);
    if (r < 0) {
        intake_free(intake);
        return r;
    }
    schedule(intake);
    *ret_intake = intake;
    return 0;
}

void intake_set_policy(struct intake *intake, const struct policy *policy)
{
    intake->options.policy = policy;
}

void intake_stop(struct intake *intake)
{
    intake->is_stopped = true;
    schedule(intake);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void intake_free(struct intake *intake)
{
    if (intake == NULL) {
        return;
    }
    while (intake->watched != NULL) {
        forget(intake, intake->watched);
    }
    while (intake->sending != NULL) {
        struct sending *s = intake->sending;
        intake->sending = s->next;
        free(s);
    }
    uv_close((uv_handle_t *)&intake->timer, on_closed);
}
