/* SPDX-License-Identifier: Apache-2.0 */
/* How the daemon is: health, status, throughput, troubles, and what changes. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/activity.h"
#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/promises.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/assets.h"
#include "server/api/context.h"
#include "server/api/destinations.h"
#include "server/config.h"
#include "server/diagnosis.h"
#include "server/front_door.h"
#include "server/health.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/stream.h"
#include "server/intake.h"
#include "server/receivers.h"
#include "server/reporter.h"
#include "server/slot_trouble.h"
#include "server/worker_messages.h"
#include "server/workers.h"

enum { UNCOMMITTED_MS = 600000 }; /* when it is asked for again, as deliver.c does */

void api_look_at_health(const struct api *api, struct health *ret_health)
{
    const struct health_parts parts = {.db = api->node.db,
                                       .workers = api->node.workers,
                                       .door = api->node.door,
                                       .policy = api->policy,
                                       .spool = api->node.spool,
                                       .is_draining = api->is_draining};
    health_look(&parts, ret_health);
}

static void write_checks(struct json_writer *w, const struct health *health, bool vital_only)
{
    json_write_array_begin(w, "checks");
    for (size_t i = 0; i < health->n; i++) {
        const struct health_check *check = &health->check[i];
        if (vital_only && !check->is_vital) {
            continue;
        }
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", check->name);
        json_write_bool(w, "ok", check->ok);
        json_write_string(w, "detail", check->detail);
        json_write_string(w, "mend", check->mend);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void reply_health(struct request *request, bool vital_only)
{
    struct health health;
    struct sctd_error err = {.code = SCTD_OK};
    api_look_at_health(api_of(request), &health);
    const bool ok = vital_only ? health.is_alive : health.is_ready;
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_string(&w, "status", ok ? "ok" : "failed");
    write_checks(&w, &health, vital_only);
    request->reply.status = ok ? 200 : 503;
    reply_end_json(&request->reply, &w);
}

void api_healthz(struct request *request)
{
    reply_health(request, true);
}

void api_readyz(struct request *request)
{
    reply_health(request, false);
}

/* Status */

static int write_counts(struct json_writer *w, const struct api *api, struct sctd_error *err)
{
    int64_t counts[DB_JOB_STATES];
    const int r = db_job_counts(api->node.db, counts, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(w, "jobs");
    for (int i = 0; i < DB_JOB_STATES; i++) {
        json_write_int(w, db_job_state_name((enum db_job_state)i), counts[i]);
    }
    json_write_object_end(w);
    return 0;
}

static int write_reviews(struct json_writer *w, const struct api *api, struct sctd_error *err)
{
    struct db_review_backlog backlog;
    const int r = db_jobs_to_review(api->node.db, &backlog, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(w, "review");
    json_write_int(w, "needed", backlog.needed);
    reply_write_time_or_null(w, "needed_since", backlog.needed_since_ms);
    json_write_int(w, "held", backlog.held);
    reply_write_time_or_null(w, "held_since", backlog.held_since_ms);
    json_write_object_end(w);
    return 0;
}

static void write_modality(struct json_writer *w, const struct api *api, const struct db_owed *owed)
{
    enum { SECOND_MS = 1000 };
    struct reporter_trial trial;
    reporter_get_trial(api->node.reporter, owed->calling_ae, &trial);
    const int64_t rest_ms = trial.due_ms - sctd_boot_ms();
    json_write_object_begin(w, NULL);
    json_write_string(w, "ae_title", owed->calling_ae);
    json_write_int(w, "reports", owed->reports);
    json_write_int(w, "instances", owed->instances);
    reply_write_time(w, "since", owed->since_ms);
    json_write_int(w, "attempts", trial.tries);
    json_write_string(w, "reason", trial.reason);
    json_write_double(w, "next_try_s", rest_ms > 0 ? (double)rest_ms / SECOND_MS : (double)NAN);
    json_write_object_end(w);
}

static int write_owed(struct json_writer *w, const struct api *api, struct sctd_error *err)
{
    sctd_auto(db_owed_page_fini) struct db_owed_page page = {.n = 0};
    const int r = db_promise_owed(api->node.db, &page, err);
    if (r < 0) {
        return r;
    }
    json_write_array_begin(w, "reports_owed");
    for (size_t i = 0; i < page.n; i++) {
        write_modality(w, api, &page.owed[i]);
    }
    json_write_array_end(w);
    return 0;
}

static void write_door(struct json_writer *w, const struct api *api)
{
    const struct front_door *door = api->node.door;
    json_write_object_begin(w, "associations");
    json_write_int(w, "open", receivers_count(front_door_get_receivers(door)));
    json_write_int(w, "max", api->policy->config->listen.associations);
    json_write_int(w, "waiting", front_door_count_waiting(door));
    json_write_object_end(w);
    json_write_object_begin(w, "rejected");
    for (int i = 0; i < FRONT_DOOR_REASONS; i++) {
        const enum front_door_reason reason = (enum front_door_reason)i;
        json_write_int(w, front_door_reason_name(reason), front_door_get_rejected(door, reason));
    }
    json_write_object_end(w);
}

static void write_text_or_null(struct json_writer *w, const char *key, const char *text)
{
    if (text[0] == '\0') {
        json_write_null(w, key);
    } else {
        json_write_string(w, key, text);
    }
}

/* The engine of a slot. */
static void write_engine(struct json_writer *w, const struct api *api, int slot)
{
    struct workers_engine engine;
    workers_get_engine(api->node.workers, slot, &engine);
    const struct slot_trouble *trouble = engine.trouble;
    const struct worker_engine *is = engine.is;
    json_write_object_begin(w, NULL);
    json_write_int(w, "slot", slot + 1);
    json_write_string(w, "asked", engine.asked);
    json_write_bool(w, "works", !trouble->needs_trial);
    json_write_int(w, "failures", trouble->failures);
    json_write_string(w, "reason", trouble->reason);
    reply_write_time_or_null(w, "since", trouble->since_ms);
    write_text_or_null(w, "backend", is == NULL ? "" : is->backend);
    write_text_or_null(w, "device", is == NULL ? "" : is->device);
    json_write_int(w, "device_mib", is == NULL ? 0 : is->device_mib);
    write_text_or_null(w, "arithmetic", is == NULL ? "" : is->arithmetic);
    write_text_or_null(w, "choice", is == NULL ? "" : is->reason);
    write_text_or_null(w, "remark", is == NULL ? "" : is->remark);
    json_write_bool(w, "fallback", is != NULL && is->is_fallback);
    json_write_object_end(w);
}

static void write_workers(struct json_writer *w, const struct api *api)
{
    struct workers_count count;
    workers_get_count(api->node.workers, &count);
    json_write_object_begin(w, "workers");
    json_write_int(w, "slots", count.slots);
    json_write_int(w, "running", count.busy);
    json_write_int(w, "alive", count.alive);
    json_write_string(w, "precision", api->policy->config->workers.precision);
    json_write_array_begin(w, "engines");
    for (int i = 0; i < count.slots; i++) {
        write_engine(w, api, i);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static int write_disk(struct json_writer *w, const struct api *api, struct sctd_error *err)
{
    struct health_disk disk;
    struct db_size size;
    health_look_at_disk(api->node.spool, &disk);
    json_write_object_begin(w, "disk");
    json_write_int(w, "free_bytes", disk.free_bytes);
    json_write_int(w, "total_bytes", disk.total_bytes);
    json_write_double(w, "free_percent", disk.free_percent);
    json_write_int(w, "min_free_percent", api->policy->config->retention.min_free_percent);
    json_write_int(w, "free_files", disk.free_files);
    json_write_object_end(w);
    const int r = db_get_size(api->node.db, &size, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(w, "job_store");
    json_write_int(w, "database_bytes", size.database_bytes);
    json_write_int(w, "wal_bytes", size.wal_bytes);
    json_write_object_end(w);
    return 0;
}

void api_status(struct request *request)
{
    struct api *api = api_of(request);
    struct health health;
    struct sctd_error err = {.code = SCTD_OK};
    api_look_at_health(api, &health);
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_string(&w, "version", api->node.version);
    json_write_string(&w, "ae_title", api->node.ae_title);
    json_write_int(&w, "port", front_door_get_port(api->node.door));
    reply_write_time(&w, "started", api->node.started_ms);
    reply_write_time(&w, "now", sctd_wall_ms());
    json_write_bool(&w, "ready", health.is_ready);
    json_write_bool(&w, "draining", api->is_draining);
    write_checks(&w, &health, false);
    int r = write_counts(&w, api, &err);
    r = r < 0 ? r : write_reviews(&w, api, &err);
    write_door(&w, api);
    write_workers(&w, api);
    json_write_int(&w, "series_open", intake_count_open(api->node.intake));
    r = r < 0 ? r : write_disk(&w, api, &err);
    json_write_array_begin(&w, "destinations");
    r = r < 0 ? r : api_destinations_write(&w, api, &err);
    json_write_array_end(&w);
    r = r < 0 ? r : write_owed(&w, api, &err);
    if (r < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    reply_end_json(&request->reply, &w);
}

/* Throughput */

void api_activity(struct request *request)
{
    enum {
        HOURS = 24,
        HOURS_MAX = 168,
        HOUR_MS = 3600000,
        MINUTES_15_MS = 900000,
        FRESH_MS = 2000
    };
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct api_activity_cache *cache = &api->activity;
    int64_t hours = HOURS;
    if (!request_get_int(request, "hours", 1, HOURS_MAX, &hours)) {
        return;
    }
    const int64_t step_ms = hours <= HOURS ? MINUTES_15_MS : HOUR_MS;
    const size_t n = (size_t)(hours * HOUR_MS / step_ms) + 1;
    if (cache->hours != hours || cache->until_ms < sctd_boot_ms()) {
        cache->hours = 0;
        cache->from_ms = (sctd_wall_ms() - hours * HOUR_MS) / step_ms * step_ms;
        if (db_activity_list(api->node.db, cache->from_ms, step_ms, cache->step, n, &err) < 0) {
            reply_error(&request->reply, &err);
            return;
        }
        cache->hours = hours;
        cache->until_ms = sctd_boot_ms() + FRESH_MS;
    }
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_int(&w, "bucket_s", step_ms / 1000);
    json_write_array_begin(&w, "buckets");
    for (size_t i = 0; i < n; i++) {
        json_write_object_begin(&w, NULL);
        reply_write_time(&w, "from", cache->from_ms + (int64_t)i * step_ms);
        json_write_int(&w, "received", cache->step[i].received);
        json_write_int(&w, "done", cache->step[i].done);
        json_write_int(&w, "failed", cache->step[i].failed);
        json_write_int(&w, "slices", cache->step[i].slices);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    reply_end_json(&request->reply, &w);
}

/* Troubles */

static void write_trouble(struct json_writer *w, const struct diagnosis_line *line)
{
    json_write_object_begin(w, NULL);
    json_write_string(w, "kind", line->kind);
    json_write_string(w, "severity", diagnosis_severity_name(line->severity));
    json_write_string(w, "title", line->title);
    json_write_string(w, "mend", line->mend);
    json_write_int(w, "count", line->count);
    reply_write_time(w, "last", line->last_ms);
    json_write_string(w, "peer", line->peer);
    json_write_string(w, "ae_title", line->ae_title);
    json_write_object_end(w);
}

/* It answers, and has not committed what it was asked for twice. */
static void say_uncommitted(struct diagnosis_line *line, const struct db_destination *d,
                            const struct config_destination *c, const struct api *api)
{
    line->severity = DIAGNOSIS_WARNING;
    line->count = d->uncommitted;
    line->last_ms = d->uncommitted_since_ms;
    (void)snprintf(line->kind, sizeof line->kind, "uncommitted");
    (void)snprintf(line->title, sizeof line->title,
                   "\"%.64s\" has not committed the storage of what it was sent (sCTs: %d)",
                   d->name, d->uncommitted);
    (void)snprintf(line->mend, sizeof line->mend,
                   "Check that %s does storage commitment and can report to %s at port %d of this "
                   "node; it is asked again by itself. Where it does none, set "
                   "no_storage_commitment for it",
                   c->ae_title, api->node.ae_title, front_door_get_port(api->node.door));
    (void)snprintf(line->ae_title, sizeof line->ae_title, "%s", c->ae_title);
}

/* A destination that does not answer, or that nobody knows any more, is told from what the store knows of it. */
static int write_destination_troubles(struct json_writer *w, const struct api *api,
                                      struct sctd_error *err)
{
    const struct config *config = api->policy->config;
    sctd_auto(db_destination_page_fini) struct db_destination_page page = {.n = 0};
    const int r = db_destination_list(api->node.db, &page, err);
    for (size_t i = 0; r == 0 && i < page.n; i++) {
        const struct db_destination *d = &page.destination[i];
        const struct config_destination *c = config_find_destination(config, d->name);
        struct diagnosis_line line = {.severity = DIAGNOSIS_ERROR, .count = d->failures};
        line.last_ms = d->last_failure_ms;
        if (c == NULL && d->backlog > 0) {
            (void)snprintf(line.kind, sizeof line.kind, "destination_unknown");
            (void)snprintf(line.title, sizeof line.title,
                           "%d deliveries wait for \"%.64s\", which the configuration does not "
                           "name any more",
                           d->backlog, d->name);
            (void)snprintf(line.mend, sizeof line.mend,
                           "Add the destination again, or cancel these jobs");
            line.last_ms = d->oldest_ms;
            line.count = d->backlog;
        } else if (c != NULL && d->failures > 0) {
            (void)snprintf(line.kind, sizeof line.kind, "destination_down");
            (void)snprintf(line.title, sizeof line.title, "\"%.64s\" cannot be reached: %.100s",
                           d->name, d->reason);
            (void)snprintf(line.mend, sizeof line.mend,
                           "Check that %s at %.100s port %d runs and knows us as %s; deliveries "
                           "wait and go on by themselves, an echo on its page tries at once",
                           c->ae_title, c->host, c->port, api->node.ae_title);
            (void)snprintf(line.ae_title, sizeof line.ae_title, "%s", c->ae_title);
        } else if (c != NULL && d->uncommitted > 0 &&
                   sctd_wall_ms() - d->uncommitted_since_ms > UNCOMMITTED_MS) {
            say_uncommitted(&line, d, c, api);
        } else {
            continue;
        }
        write_trouble(w, &line);
    }
    return r;
}

static void write_fallback(struct json_writer *w, int slot, const struct worker_engine *is)
{
    struct diagnosis_line line = {
        .kind = "engine_fallback", .severity = DIAGNOSIS_WARNING, .count = 1};
    (void)snprintf(line.title, sizeof line.title,
                   "Slot %d converts on the processor although a GPU is expected: %.110s", slot,
                   is->reason);
    (void)snprintf(
        line.mend, sizeof line.mend,
        "What it makes is sound, and slower. Look at nvidia-smi; it looks again by itself. "
        "If no GPU is meant, set workers.backends to [cpu]");
    line.last_ms = sctd_wall_ms();
    write_trouble(w, &line);
}

/* A slot whose engine does not work, or has not done a job since it broke. */
static void write_engine_troubles(struct json_writer *w, const struct api *api)
{
    struct workers_count count;
    workers_get_count(api->node.workers, &count);
    for (int i = 0; i < count.slots; i++) {
        struct workers_engine engine;
        struct diagnosis_line line = {.kind = "engine_down", .severity = DIAGNOSIS_ERROR};
        workers_get_engine(api->node.workers, i, &engine);
        if (engine.is != NULL && engine.is->is_fallback) {
            write_fallback(w, i + 1, engine.is);
        }
        if (engine.trouble->failures == 0) {
            continue;
        }
        (void)snprintf(line.title, sizeof line.title, "Slot %d (%s) cannot convert: %.160s", i + 1,
                       engine.asked, engine.trouble->reason);
        (void)snprintf(line.mend, sizeof line.mend,
                       "Look at nvidia-smi and the kernel's log (Xid), and run sctd doctor; jobs "
                       "wait or go to other slots, and it goes on by itself");
        line.count = engine.trouble->failures;
        line.last_ms = engine.trouble->last_ms;
        write_trouble(w, &line);
    }
}

/* A report that could not be told yet. */
static int write_owed_troubles(struct json_writer *w, const struct api *api, struct sctd_error *err)
{
    sctd_auto(db_owed_page_fini) struct db_owed_page page = {.n = 0};
    const int r = db_promise_owed(api->node.db, &page, err);
    for (size_t i = 0; r == 0 && i < page.n; i++) {
        const struct db_owed *owed = &page.owed[i];
        struct diagnosis_line line = {.kind = "report_owed", .severity = DIAGNOSIS_WARNING};
        struct reporter_trial trial;
        reporter_get_trial(api->node.reporter, owed->calling_ae, &trial);
        if (*trial.reason == '\0') {
            continue;
        }
        (void)snprintf(line.title, sizeof line.title,
                       "%s does not hear the storage commitment that it asked for (reports: %d): "
                       "%.100s",
                       owed->calling_ae, owed->reports, trial.reason);
        (void)snprintf(line.mend, sizeof line.mend,
                       "Check that it listens for reports where report_port and report_host of its "
                       "entry under peers say, and knows us as %s; it is tried again by itself for "
                       "a day, after which it has to ask again",
                       api->node.ae_title);
        (void)snprintf(line.ae_title, sizeof line.ae_title, "%s", owed->calling_ae);
        line.count = trial.tries;
        line.last_ms = trial.tried_ms;
        write_trouble(w, &line);
    }
    return r;
}

void api_diagnosis(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    const struct diagnosis_line *lines = NULL;
    const size_t n = diagnosis_list(api->node.diagnosis, &lines);
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_array_begin(&w, "items");
    if (write_destination_troubles(&w, api, &err) < 0 || write_owed_troubles(&w, api, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    write_engine_troubles(&w, api);
    for (size_t i = 0; i < n; i++) {
        write_trouble(&w, &lines[i]);
    }
    json_write_array_end(&w);
    reply_end_json(&request->reply, &w);
}

/* What changes */

void api_events(struct request *request)
{
    request->reply.stream = stream_new(api_of(request)->hub, request->headers.last_event_id);
    if (request->reply.stream == NULL) {
        request->reply.retry_after_s = 10;
        reply_problem(&request->reply, 503, "%d pages watch already: close one", STREAMS_MAX);
    }
}

void api_openapi(struct request *request)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct asset *document = api_assets_find("openapi.json");
    if (document == NULL ||
        sctd_buf_append(&request->reply.body, document->bytes, document->size, &err) < 0) {
        reply_problem(&request->reply, 500, "the document is missing");
    }
}
