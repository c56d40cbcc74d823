/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus scrapes: what was counted, and what is looked up now. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "db/promises.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/api/context.h"
#include "server/config.h"
#include "server/exposition.h"
#include "server/front_door.h"
#include "server/health.h"
#include "server/http/listener.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/http/stream.h"
#include "server/intake.h"
#include "server/metrics.h"
#include "server/policy.h"
#include "server/process_facts.h"
#include "server/receivers.h"
#include "server/slot_trouble.h"
#include "server/workers.h"

static void gauge(struct exposition *e, const char *name, const char *help, double value)
{
    exposition_family(e, name, "gauge", help);
    exposition_value(e, value);
}

static double seconds_since(int64_t wall_ms)
{
    enum { SECOND_MS = 1000 };
    const int64_t passed_ms = sctd_wall_ms() - wall_ms;
    return wall_ms == 0 || passed_ms < 0 ? 0 : (double)passed_ms / SECOND_MS;
}

/* That whole queues stand still shows in the oldest, not in how many there are. */
static int write_oldest(struct exposition *e, const struct api *api, struct sctd_error *err)
{
    sctd_auto(db_job_page_fini) struct db_job_page oldest = {.n = 0};
    const struct db_job_filter filter = {.state = DB_JOB_QUEUED, .ascending = true, .limit = 1};
    const int r = db_job_list(api->node.db, &filter, &oldest, err);
    if (r == 0) {
        gauge(e, "sctd_jobs_oldest_queued_seconds",
              "Age of the oldest job that waits for a worker; 0 without any.",
              oldest.n == 0 ? 0 : seconds_since(oldest.job[0].created_ms));
    }
    return r;
}

static int write_reviews(struct exposition *e, const struct api *api, struct sctd_error *err)
{
    struct db_review_backlog backlog;
    const int r = db_jobs_to_review(api->node.db, &backlog, err);
    if (r == 0) {
        gauge(e, "sctd_review_needed", "Jobs whose result needs review.", (double)backlog.needed);
        gauge(e, "sctd_review_needed_oldest_seconds",
              "For how long the oldest of them does; 0 without any.",
              seconds_since(backlog.needed_since_ms));
        gauge(e, "sctd_review_held", "Of these: those that are held until somebody accepts them.",
              (double)backlog.held);
        gauge(e, "sctd_review_held_oldest_seconds",
              "For how long the oldest of those is held; 0 without any.",
              seconds_since(backlog.held_since_ms));
    }
    return r;
}

static int write_jobs(struct exposition *e, const struct api *api, struct sctd_error *err)
{
    int64_t counts[DB_JOB_STATES];
    sctd_auto(db_job_page_fini) struct db_job_page running = {.n = 0};
    const struct db_job_filter filter = {.state = DB_JOB_RUNNING, .limit = DB_PAGE_MAX};
    int r = db_job_counts(api->node.db, counts, err);
    r = r < 0 ? r : db_job_list(api->node.db, &filter, &running, err);
    if (r < 0) {
        return r;
    }
    exposition_family(e, "sctd_jobs", "gauge", "Jobs in the job store, by state.");
    for (int i = 0; i < DB_JOB_STATES; i++) {
        exposition_labelled(e, "state", db_job_state_name((enum db_job_state)i), (double)counts[i]);
    }
    static const char *const stages[] = {"start",   "load",  "assemble", "orient",
                                         "network", "check", "write"};
    exposition_family(e, "sctd_jobs_running", "gauge",
                      "Jobs that a worker has, by what it is doing.");
    for (size_t k = 0; k < sizeof stages / sizeof *stages; k++) {
        int n = 0;
        for (size_t i = 0; i < running.n; i++) {
            n += strcmp(running.job[i].stage, stages[k]) == 0;
        }
        exposition_labelled(e, "stage", stages[k], n);
    }
    return write_oldest(e, api, err);
}

struct destination_family {
    const char *name, *help;
    double (*value)(const struct db_destination *d);
};

static double backlog_of(const struct db_destination *d)
{
    return d->backlog;
}

static double age_of(const struct db_destination *d)
{
    return seconds_since(d->oldest_ms);
}

static double uncommitted_of(const struct db_destination *d)
{
    return d->uncommitted;
}

static double uncommitted_age_of(const struct db_destination *d)
{
    return seconds_since(d->uncommitted_since_ms);
}

static double failures_of(const struct db_destination *d)
{
    return d->failures;
}

static double success_of(const struct db_destination *d)
{
    enum { SECOND_MS = 1000 };
    return (double)d->last_success_ms / SECOND_MS;
}

static const struct db_destination *find_destination(const struct db_destination_page *page,
                                                     const char *name)
{
    static const struct db_destination none = {.backlog = 0};
    for (size_t i = 0; i < page->n; i++) {
        if (strcmp(page->destination[i].name, name) == 0) {
            return &page->destination[i];
        }
    }
    return &none;
}

static int write_destinations(struct exposition *e, const struct api *api, struct sctd_error *err)
{
    static const struct destination_family families[] = {
        {"sctd_destination_backlog", "Deliveries to a destination that have not ended.",
         backlog_of},
        {"sctd_destination_oldest_seconds", "Age of the oldest of them; 0 without any.", age_of},
        {"sctd_destination_uncommitted",
         "Of these: deliveries whose storage it was asked to commit, and has not.", uncommitted_of},
        {"sctd_destination_uncommitted_oldest_seconds",
         "For how long the oldest of those awaits it; 0 without any.", uncommitted_age_of},
        {"sctd_destination_failures", "Failures in a row of reaching it.", failures_of},
        {"sctd_destination_last_success_timestamp_seconds",
         "When something was last stored there; 0: never.", success_of},
    };
    const struct config *config = api->policy->config;
    sctd_auto(db_destination_page_fini) struct db_destination_page page = {.n = 0};
    const int r = db_destination_list(api->node.db, &page, err);
    for (size_t k = 0; r == 0 && k < sizeof families / sizeof *families; k++) {
        exposition_family(e, families[k].name, "gauge", families[k].help);
        for (uint32_t i = 0; i < config->destinations_count; i++) {
            const char *name = config->destinations[i].name;
            exposition_labelled(e, "destination", name,
                                families[k].value(find_destination(&page, name)));
        }
    }
    return r;
}

static int write_owed(struct exposition *e, const struct api *api, struct sctd_error *err)
{
    sctd_auto(db_owed_page_fini) struct db_owed_page page = {.n = 0};
    int64_t reports = 0;
    int64_t since_ms = 0;
    const int r = db_promise_owed(api->node.db, &page, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < page.n; i++) {
        reports += page.owed[i].reports;
        since_ms = i == 0 || page.owed[i].since_ms < since_ms ? page.owed[i].since_ms : since_ms;
    }
    gauge(e, "sctd_commitment_reports_owed",
          "Reports of storage commitment that a peer asked for and has not heard.",
          (double)reports);
    gauge(e, "sctd_commitment_reports_owed_oldest_seconds",
          "For how long the oldest of them is owed; 0 without any.", seconds_since(since_ms));
    return 0;
}

static void write_door(struct exposition *e, const struct api *api)
{
    const struct front_door *door = api->node.door;
    exposition_family(e, "sctd_associations_rejected_total", "counter",
                      "Associations that were turned away, by reason.");
    for (int i = 0; i < FRONT_DOOR_REASONS; i++) {
        const enum front_door_reason reason = (enum front_door_reason)i;
        exposition_labelled(e, "reason", front_door_reason_name(reason),
                            (double)front_door_get_rejected(door, reason));
    }
    gauge(e, "sctd_associations_open", "Associations that are being served.",
          receivers_count(front_door_get_receivers(door)));
    gauge(e, "sctd_associations_max", "Associations that there may be at once.",
          api->policy->config->listen.associations);
    gauge(e, "sctd_series_open", "Series that are not complete yet.",
          intake_count_open(api->node.intake));
}

static void write_engines(struct exposition *e, const struct api *api, int slots)
{
    exposition_family(e, "sctd_worker_slot_failures", "gauge",
                      "Failures in a row of a slot's engine; 0: it works.");
    for (int i = 0; i < slots; i++) {
        char number[16];
        struct workers_engine engine;
        workers_get_engine(api->node.workers, i, &engine);
        (void)snprintf(number, sizeof number, "%d", i + 1);
        const struct exposition_label slot = {"slot", number};
        const struct exposition_label backend = {"backend", engine.asked};
        exposition_sample(e, slot, backend, engine.trouble->failures);
    }
    exposition_family(e, "sctd_worker_slot_info", "gauge", "1, with what a slot computes with.");
    for (int i = 0; i < slots; i++) {
        char number[16];
        char text[DB_ENGINE_SIZE];
        if (workers_describe_engine(api->node.workers, i, text)) {
            (void)snprintf(number, sizeof number, "%d", i + 1);
            const struct exposition_label slot = {"slot", number};
            const struct exposition_label is = {"engine", text};
            exposition_sample(e, slot, is, 1);
        }
    }
}

static void write_workers(struct exposition *e, const struct api *api)
{
    struct workers_count count;
    workers_get_count(api->node.workers, &count);
    gauge(e, "sctd_worker_slots", "Workers that there may be.", count.slots);
    gauge(e, "sctd_workers_alive", "Worker processes.", count.alive);
    gauge(e, "sctd_workers_busy", "Workers with a job.", count.busy);
    gauge(e, "sctd_workers_held_back", "Slots that wait after deaths in a row.", count.dying);
    gauge(e, "sctd_workers_broken", "Slots that wait because their engine does not work.",
          count.broken);
    gauge(e, "sctd_workers_fallback", "Slots on the processor although a GPU is expected.",
          count.fallback);
    write_engines(e, api, count.slots);
    gauge(e, "sctd_engine_batch", "Slices that the network converts at once.",
          api->policy->config->workers.batch);
    exposition_family(e, "sctd_worker_attempts_total", "counter",
                      "Attempts of workers that have ended, by outcome.");
    for (int i = 0; i < WORKERS_OUTCOMES; i++) {
        exposition_labelled(e, "outcome", workers_outcome_name(i), (double)count.attempts[i]);
    }
}

static int write_disk(struct exposition *e, const struct api *api, struct sctd_error *err)
{
    enum { PERCENT = 100 };
    struct health_disk disk;
    struct db_size size;
    health_look_at_disk(api->node.spool, &disk);
    gauge(e, "sctd_disk_free_bytes", "Free on the disk of state_dir.", (double)disk.free_bytes);
    gauge(e, "sctd_disk_size_bytes", "Size of the disk of state_dir.", (double)disk.total_bytes);
    gauge(e, "sctd_disk_free_files", "Inodes free on the disk of state_dir.",
          (double)disk.free_files);
    gauge(e, "sctd_disk_min_free_ratio", "Nothing is accepted when less is free.",
          (double)api->policy->config->retention.min_free_percent / PERCENT);
    const int r = db_get_size(api->node.db, &size, err);
    if (r == 0) {
        gauge(e, "sctd_job_store_bytes", "Size of the job store.", (double)size.database_bytes);
        gauge(e, "sctd_job_store_wal_bytes", "Size of its write-ahead log.",
              (double)size.wal_bytes);
    }
    return r;
}

static void write_process(struct exposition *e, const struct api *api)
{
    enum { SECOND_MS = 1000 };
    struct process_facts facts;
    process_facts_read(&facts);
    const struct exposition_label version = {"version", api->node.version};
    const struct exposition_label precision = {"precision", api->policy->config->workers.precision};
    exposition_family(e, "sctd_build_info", "gauge", "1, with what this is.");
    exposition_sample(e, version, precision, 1);
    gauge(e, "sctd_http_connections", "Connections over HTTP.",
          listener_count_connections(api->listener));
    gauge(e, "sctd_http_streams", "Pages that watch.", stream_hub_count_streams(api->hub));
    exposition_family(e, "process_cpu_seconds_total", "counter",
                      "Processor time of the daemon without its children.");
    exposition_value(e, facts.cpu_s);
    gauge(e, "process_resident_memory_bytes", "Memory of the daemon without its children.",
          (double)facts.resident_bytes);
    gauge(e, "process_open_fds", "Open file descriptors.", (double)facts.open_files);
    gauge(e, "process_max_fds", "Most file descriptors.", (double)facts.max_files);
    gauge(e, "process_start_time_seconds", "When it started.",
          (double)api->node.started_ms / SECOND_MS);
}

static void write_health(struct exposition *e, const struct api *api)
{
    struct health health;
    api_look_at_health(api, &health);
    gauge(e, "sctd_ready", "1 if every check is well, as /readyz says.", health.is_ready);
    exposition_family(e, "sctd_check_ok", "gauge", "1 if a check of /readyz is well.");
    for (size_t i = 0; i < health.n; i++) {
        exposition_labelled(e, "check", health.check[i].name, health.check[i].ok);
    }
}

static void name_models(const struct api *api)
{
    char name[2 * MANIFEST_NAME_MAX];
    for (uint32_t i = 0; i < api->policy->config->rules_count; i++) {
        const struct policy_model *model = &api->policy->model[i];
        if (model->dir[0] != '\0') {
            (void)snprintf(name, sizeof name, "%s@%s", model->manifest.name,
                           model->manifest.version);
            metrics_model(api->node.metrics, name);
        }
    }
}

static void name_destinations(const struct api *api)
{
    const struct config *config = api->policy->config;
    for (uint32_t i = 0; i < config->destinations_count; i++) {
        metrics_destination(api->node.metrics, config->destinations[i].name);
    }
}

void api_metrics(struct request *request)
{
    const struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct exposition e = exposition_make(&request->reply.body, &err);
    name_models(api);
    name_destinations(api);
    metrics_write(api->node.metrics, &e);
    int r = write_jobs(&e, api, &err);
    r = r < 0 ? r : write_reviews(&e, api, &err);
    r = r < 0 ? r : write_destinations(&e, api, &err);
    r = r < 0 ? r : write_owed(&e, api, &err);
    write_door(&e, api);
    write_workers(&e, api);
    r = r < 0 ? r : write_disk(&e, api, &err);
    write_health(&e, api);
    write_process(&e, api);
    r = r < 0 ? r : exposition_finish(&e);
    if (r < 0) {
        reply_error(&request->reply, &err);
    }
}
