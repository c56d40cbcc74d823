/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batches.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uv.h>

#include "db/batches.h"
#include "db/db.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "server/batch_plan.h"
#include "server/batch_request.h"
#include "server/batch_series.h"
#include "server/batch_terms.h"
#include "server/batches_parts.h"
#include "server/config.h"
#include "server/fetcher.h"
#include "server/log.h"
#include "server/moment.h"
#include "server/policy.h"

enum {
    TICK_MS = 1000,
    SOON_MS = 5,
    AT_ONCE = 32,    /* series that are looked at in one turn of the loop */
    DEFER_MS = 5000, /* doubling */
    DEFER_CAP_MS = 300000,
    HOUR_MS = 3600000,
};

static void kick(struct batches *all, int ms);

void batches_bear(struct batches *all, const struct sctd_error *err)
{
    LOG_ERROR("batch-error", log_text("reason", err->text));
    if (db_is_failed(all->options.db)) {
        all->hooks.failed(all->hooks.arg, err->text);
    }
}

struct batch_series batches_series_of(struct batches_active *batch)
{
    const struct batches_options *o = &batch->all->options;
    const struct batch_series s = {.db = o->db,
                                   .policy = o->policy,
                                   .request = &batch->request,
                                   .terms = &batch->terms,
                                   .batch_id = batch->id};
    return s;
}

static void free_active(struct batches_active *batch)
{
    struct batches_active **at = &batch->all->active;
    while (*at != batch) {
        at = &(*at)->next;
    }
    *at = batch->next;
    batch_request_fini(&batch->request);
    free(batch);
}

void batches_free_if_unused(struct batches_active *batch)
{
    if (batch->is_gone && batch->plan == NULL && batch->n_fetching == 0) {
        free_active(batch);
    }
}

static bool is_busy(const struct batches *all)
{
    for (const struct batches_active *b = all->active; b != NULL; b = b->next) {
        if (b->plan != NULL) {
            return true;
        }
    }
    return all->fetching != NULL;
}

static void tell_drained(struct batches *all)
{
    if (all->is_draining && !all->is_drained && !all->is_freed && !is_busy(all)) {
        all->is_drained = true;
        all->hooks.drained(all->hooks.arg);
    }
}

static void free_if_closed(struct batches *all)
{
    if (!all->is_freed || !all->is_closed || is_busy(all)) {
        return;
    }
    while (all->active != NULL) {
        free_active(all->active);
    }
    free(all);
}

/* Something on its way has ended. */
void batches_ended_one(struct batches *all)
{
    tell_drained(all);
    if (!all->is_draining) {
        kick(all, SOON_MS);
    }
    free_if_closed(all);
}

/* Batches in memory */

/* Named rules, models and destinations may be gone since: then the batch waits, and says so. */
int batches_set_terms(struct batches_active *batch, struct sctd_error *err)
{
    return batch_terms_init(&batch->terms, batch->all->options.policy, &batch->request, err);
}

static int read_request(struct batches_active *batch, struct sctd_error *err)
{
    char *text = NULL;
    int r = db_batch_request_get(batch->all->options.db, batch->id, &text, err);
    if (r == 0) {
        r = batch_request_read(&batch->request, text, strlen(text), err);
    }
    free(text);
    return r > 0 ? sctd_error(err, SCTD_EIO, "a batch without a request") : r;
}

static int load(struct batches *all, int64_t id, struct batches_active **ret_batch,
                struct sctd_error *err)
{
    struct batches_active *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a batch");
    }
    batch->all = all;
    batch->id = id;
    const int r = read_request(batch, err);
    if (r < 0) {
        free(batch);
        return r;
    }
    batch->next = all->active;
    all->active = batch;
    *ret_batch = batch;
    return 0;
}

static struct batches_active *find_active(const struct batches *all, int64_t id)
{
    struct batches_active *batch = all->active;
    while (batch != NULL && batch->id != id) {
        batch = batch->next;
    }
    return batch;
}

/* Series */

/* After a source that was not reached, so many milliseconds. */
static int64_t defer_ms(int32_t failures)
{
    int64_t ms = DEFER_MS;
    for (int32_t i = 0; i < failures && ms < DEFER_CAP_MS; i++) {
        ms *= 2;
    }
    return ms < DEFER_CAP_MS ? ms : DEFER_CAP_MS;
}

void batches_defer(struct batches_active *batch, const char *reason)
{
    struct db *db = batch->all->options.db;
    struct sctd_error err = {.code = SCTD_OK};
    struct db_batch b;
    LOG_WARNING("batch-waits", log_number("batch", batch->id), log_text("reason", reason));
    int r = db_batch_get(db, batch->id, &b, &err);
    r = r != 0 ? r : db_batch_defer(db, batch->id, sctd_boot_ms() + defer_ms(b.failures), &err);
    if (r < 0) {
        batches_bear(batch->all, &err);
    }
}

static void log_item(const struct batches_active *batch, const struct db_item *item)
{
    LOG(item->state == DB_ITEM_FAILED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "batch-series",
        log_number("batch", batch->id), log_number("item", item->id),
        log_text("state", db_item_state_name(item->state)), log_number("attempt", item->attempt),
        log_text("method", item->method), log_number("images", item->instances),
        log_number("job", item->job_id), log_text("reason", item->reason));
}

/* What follows a decision about a series. */
int batches_follow(struct batches_active *batch, struct db_item *item, int next,
                   struct sctd_error *err)
{
    const struct batch_series s = batches_series_of(batch);
    const struct db_now now = moment_now();
    if (next == BATCH_NEXT_ORDER && !batch->all->is_draining) {
        next = batch_series_order(&s, &now, item, err);
    }
    if (next >= 0) {
        log_item(batch, item);
    }
    if (next == BATCH_NEXT_MADE) {
        batch->all->hooks.job_made(batch->all->hooks.arg, item->job_id);
    }
    return next;
}

/* Running */

static int32_t minute_of_day(int64_t wall_ms)
{
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm local = {.tm_hour = 0};
    (void)localtime_r(&s, &local);
    return local.tm_hour * 60 + local.tm_min;
}

/* Whether its limits allow one more now. */
static bool may_begin(const struct batches_active *batch, const struct db_batch *b,
                      const struct db_now *now)
{
    const struct batches *all = batch->all;
    if (b->due_ms > now->lease_ms ||
        batch_request_wait_minutes(b->from_minute, b->to_minute, minute_of_day(now->wall_ms)) > 0) {
        return false;
    }
    if (b->per_hour > 0 && b->begun_ms <= now->wall_ms &&
        now->wall_ms - b->begun_ms < HOUR_MS / b->per_hour) {
        return false;
    }
    if (batch->n_fetching >= b->moves) {
        return false;
    }
    const struct config_destination *pacs =
        batch->request.source == BATCH_PACS
            ? config_find_destination(all->options.policy->config, batch->request.place)
            : NULL;
    return pacs == NULL || batches_fetch_count(all, pacs->name) < pacs->retrievals;
}

/* One series begins.  Returns an enum batch_next, DB_NONE where none is due, or an error. */
static int begin_one(struct batches_active *batch, const struct db_now *now, struct sctd_error *err)
{
    struct db *db = batch->all->options.db;
    const struct batch_series s = batches_series_of(batch);
    struct sctd_error why = {.code = SCTD_OK};
    struct db_item item;
    int r = db_item_claim(db, now, batch->id, &item, err);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    r = batch_series_begin(&s, now, &item, err);
    if (r == BATCH_NEXT_FETCH) {
        if (batches_fetch_start(batch, &item, &why) < 0) {
            r = batch_series_give_up(&s, now, &item, why.text, err);
        }
    }
    r = r < 0 || r == BATCH_NEXT_FETCH ? r : batches_follow(batch, &item, r, err);
    if (r == BATCH_NEXT_FETCH || r == BATCH_NEXT_MADE) {
        const int begun = db_batch_begin(db, now, batch->id, err);
        r = begun < 0 ? begun : r;
    }
    return r;
}

/* Series that were all here when the daemon ended, and were not ordered. */
static int order_ready(struct batches_active *batch, const struct db_now *now,
                       struct sctd_error *err)
{
    sctd_auto(db_item_page_fini) struct db_item_page page = {.n = 0};
    const struct db_item_filter filter = {
        .batch_id = batch->id, .state = DB_ITEM_READY, .limit = AT_ONCE};
    int r = db_item_list(batch->all->options.db, &filter, &page, err);
    (void)now;
    for (size_t i = 0; r >= 0 && i < page.n; i++) {
        r = batches_follow(batch, &page.item[i], BATCH_NEXT_ORDER, err);
    }
    return r;
}

/* *ret_more: there is more to do at once. */
static int run(struct batches_active *batch, const struct db_now *now, bool *ret_more,
               struct sctd_error *err)
{
    struct batches *all = batch->all;
    struct db_batch b;
    int r = order_ready(batch, now, err);
    for (int i = 0; r >= 0 && i < AT_ONCE; i++) {
        int64_t ahead = 0;
        r = db_batch_get(all->options.db, batch->id, &b, err);
        r = r != 0 ? r : db_batches_count_ahead(all->options.db, &ahead, err);
        if (r != 0 || b.paused || !may_begin(batch, &b, now) ||
            ahead + batches_fetch_count(all, NULL) >= all->options.ahead) {
            return r < 0 ? r : 0;
        }
        r = begin_one(batch, now, err);
        if (r == 0) {
            return 0;
        }
        *ret_more = i + 1 == AT_ONCE;
    }
    return r < 0 ? r : 0;
}

static int step(struct batches *all, const struct db_batch *b, const struct db_now *now,
                bool *ret_more, struct sctd_error *err)
{
    struct batches_active *batch = find_active(all, b->id);
    int r = batch != NULL ? 0 : load(all, b->id, &batch, err);
    if (r < 0) {
        return r;
    }
    if (b->state == DB_BATCH_PLANNING) {
        if (batch->plan == NULL && b->due_ms <= now->lease_ms) {
            batches_plan_start(batch);
        }
        return 0;
    }
    struct sctd_error why = {.code = SCTD_OK};
    if (batches_set_terms(batch, &why) < 0) {
        if (strcmp(b->reason, why.text) != 0 && !b->paused) {
            LOG_ERROR("batch-paused", log_number("batch", b->id), log_text("reason", why.text));
            r = db_batch_pause(all->options.db, now, b->id, true, why.text, err);
        }
        return r < 0 ? r : 0;
    }
    return b->paused ? 0 : run(batch, now, ret_more, err);
}

static void forget_ended(struct batches *all, const struct db_batch_page *open)
{
    struct batches_active *next = NULL;
    for (struct batches_active *batch = all->active; batch != NULL; batch = next) {
        bool is_open = false;
        next = batch->next;
        for (size_t i = 0; i < open->n; i++) {
            is_open = is_open || open->batch[i].id == batch->id;
        }
        batch->is_gone = batch->is_gone || !is_open;
        batches_free_if_unused(batch);
    }
}

/* Batches that have not ended, the oldest first. */
static int list_open(struct batches *all, struct db_batch_page *ret_open, struct sctd_error *err)
{
    sctd_auto(db_batch_page_fini) struct db_batch_page planning = {.n = 0};
    sctd_auto(db_batch_page_fini) struct db_batch_page running = {.n = 0};
    const struct db_batch_filter first = {
        .state = DB_BATCH_PLANNING, .ascending = true, .limit = DB_PAGE_MAX};
    const struct db_batch_filter second = {
        .state = DB_BATCH_RUNNING, .ascending = true, .limit = DB_PAGE_MAX};
    int r = db_batch_list(all->options.db, &first, &planning, err);
    r = r < 0 ? r : db_batch_list(all->options.db, &second, &running, err);
    if (r < 0) {
        return r;
    }
    struct db_batch *both = calloc(planning.n + running.n + 1, sizeof *both);
    if (both == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "batches");
    }
    for (size_t i = 0; i < planning.n; i++) {
        both[i] = planning.batch[i];
    }
    for (size_t i = 0; i < running.n; i++) {
        both[planning.n + i] = running.batch[i];
    }
    *ret_open = (struct db_batch_page){.batch = both, .n = planning.n + running.n};
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct batches *all = timer->data;
    const struct db_now now = moment_now();
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(db_batch_page_fini) struct db_batch_page open = {.n = 0};
    int32_t settled = 0;
    bool more = false;
    int r = db_batches_settle(all->options.db, &now, &settled, &err);
    const bool is_watching = r == 0; /* jobs, also of batches that were cancelled */
    r = r < 0 ? r : list_open(all, &open, &err);
    if (r < 0) {
        batches_bear(all, &err);
        kick(all, TICK_MS);
        return;
    }
    forget_ended(all, &open);
    batches_fetch_end_stalled(all);
    for (size_t i = 0; i < open.n; i++) {
        if (step(all, &open.batch[i], &now, &more, &err) < 0) {
            batches_bear(all, &err);
        }
    }
    if (open.n > 0 || is_watching || is_busy(all)) {
        kick(all, more ? SOON_MS : TICK_MS);
    }
}

/* The nearest time wins. */
static void kick(struct batches *all, int ms)
{
    if (all->is_draining || all->is_freed) {
        return;
    }
    if (uv_is_active((const uv_handle_t *)&all->timer) == 0 ||
        uv_timer_get_due_in(&all->timer) > (uint64_t)ms) {
        (void)uv_timer_start(&all->timer, on_timer, (uint64_t)ms, 0);
    }
}

void batches_kick(struct batches *batches)
{
    kick(batches, SOON_MS);
}

void batches_set_policy(struct batches *batches, const struct policy *policy)
{
    batches->options.policy = policy;
    kick(batches, SOON_MS);
}

/* What operators ask */

static int check_names(struct batches *all, struct batch_request *request, struct sctd_error *err)
{
    struct batch_terms terms;
    const struct config_destination *pacs =
        config_find_destination(all->options.policy->config, request->place);
    if (request->source == BATCH_PACS && pacs == NULL) {
        return sctd_error(err, SCTD_EINVAL, "there is no destination \"%.64s\" to ask",
                          request->place);
    }
    if (request->source == BATCH_PACS && !((pacs->get && request->method != BATCH_MOVE) ||
                                           (pacs->move && request->method != BATCH_GET))) {
        return sctd_error(err, SCTD_EINVAL,
                          "destination \"%.64s\" may not be asked so: set get: true or move: true "
                          "for it",
                          request->place);
    }
    return batch_terms_init(&terms, all->options.policy, request, err);
}

static int create(struct batches *all, struct batch_request *request, int64_t *ret_id,
                  struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BATCH_REQUEST_TEXT_MAX);
    const struct db_now now = moment_now();
    char description[DB_REASON_SIZE];
    int r = check_names(all, request, err);
    r = r < 0 ? r : batch_request_write(&text, request, err);
    if (r < 0) {
        return r;
    }
    batch_request_describe(description, sizeof description, request);
    struct db_batch_spec spec = {
        .name = request->name,
        .description = description,
        .request = sctd_buf_get_text(&text),
        .paused = request->hold,
        .force = request->force,
        .moves = request->moves,
        .per_hour = request->per_hour,
        .from_minute = request->from_minute,
        .to_minute = request->to_minute,
    };
    struct sha256 hash;
    sha256_init(&hash);
    sha256_update(&hash, text.data, text.size);
    sha256_final(&hash, spec.sha256);
    r = db_batch_create(all->options.db, &now, &spec, ret_id, err);
    if (r == 0) {
        LOG_INFO("batch-created", log_number("batch", *ret_id),
                 log_text("description", description));
        kick(all, SOON_MS);
    }
    return r;
}

int batches_create(struct batches *batches, const char *request, size_t size, int64_t *ret_id,
                   struct sctd_error *err)
{
    sctd_auto(batch_request_fini) struct batch_request q = batch_request_make();
    const int r = batch_request_read(&q, request, size, err);
    return r < 0 ? r : create(batches, &q, ret_id, err);
}

int batches_pause(struct batches *batches, int64_t id, const char *reason, struct sctd_error *err)
{
    const struct db_now now = moment_now();
    return db_batch_pause(batches->options.db, &now, id, true, reason, err);
}

int batches_resume(struct batches *batches, int64_t id, const char *reason, struct sctd_error *err)
{
    const struct db_now now = moment_now();
    const int r = db_batch_pause(batches->options.db, &now, id, false, reason, err);
    kick(batches, SOON_MS);
    return r;
}

int batches_cancel(struct batches *batches, int64_t id, const char *reason, struct sctd_error *err)
{
    const struct db_now now = moment_now();
    const int r = db_batch_cancel(batches->options.db, &now, id, reason, err);
    struct batches_active *batch = find_active(batches, id);
    if (r == 0 && batch != NULL) {
        batch->is_gone = true;
        if (batch->plan != NULL) {
            batch_plan_kill(batch->plan);
        }
        batches_fetch_stop(batch);
        batches_free_if_unused(batch);
    }
    return r;
}

/* Beginning and end */

int batches_new(struct batches **ret_batches, const struct batches_options *options,
                const struct batches_hooks *hooks, struct sctd_error *err)
{
    struct batches *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "batches");
    }
    all->options = *options;
    all->hooks = *hooks;
    (void)uv_timer_init(options->loop, &all->timer);
    all->timer.data = all;
    *ret_batches = all;
    return 0;
}

static void stop_all(struct batches *all, bool kill)
{
    for (struct batches_active *batch = all->active; batch != NULL; batch = batch->next) {
        if (batch->plan != NULL) {
            batch_plan_kill(batch->plan);
        }
    }
    for (struct batches_fetching *f = all->fetching; f != NULL; f = f->next) {
        if (kill) {
            fetcher_kill(f->fetcher);
        } else {
            fetcher_stop(f->fetcher);
        }
    }
}

void batches_drain(struct batches *batches)
{
    if (batches->is_draining) {
        return;
    }
    batches->is_draining = true;
    (void)uv_timer_stop(&batches->timer);
    stop_all(batches, false);
    tell_drained(batches);
}

static void on_closed(uv_handle_t *handle)
{
    struct batches *all = handle->data;
    all->is_closed = true;
    free_if_closed(all);
}

void batches_free(struct batches *batches)
{
    if (batches == NULL || batches->is_freed) {
        return;
    }
    batches->is_freed = batches->is_draining = true;
    stop_all(batches, true);
    uv_close((uv_handle_t *)&batches->timer, on_closed);
}
