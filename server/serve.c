/* SPDX-License-Identifier: Apache-2.0 */
#include "server/serve.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>
#include <uv.h>

#include "db/db.h"
#include "db/instances.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/allow.h"
#include "server/api/api.h"
#include "server/batches.h"
#include "server/config.h"
#include "server/control.h"
#include "server/deliver.h"
#include "server/diagnosis.h"
#include "server/front_door.h"
#include "server/intake.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/operate.h"
#include "server/policy.h"
#include "server/receivers.h"
#include "server/reload.h"
#include "server/removal.h"
#include "server/reporter.h"
#include "server/serve_parts.h"
#include "server/spool.h"
#include "server/store_open.h"
#include "server/sweep.h"
#include "server/workers.h"

enum {
    GRACE_MS = 60000, /* for what is on its way when the daemon ends */
    UPKEEP_MS = 600000,
    FIRST_UPKEEP_MS = 5000,
    REQUEST_MS = 10000, /* of the front door: docs/architecture.md */
    SPARES = 3,
};

static const char node[] = "serve";

/* The end */

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && uv_is_closing(handle) == 0) {
        uv_close(handle, NULL);
    }
}

/* A second SIGTERM finds no handler any more, and must not end the process before it has closed the store. */
static void block_signals(void)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
}

static void close_handles(struct serve *s)
{
    block_signals();
    uv_handle_t *const handles[] = {(uv_handle_t *)&s->terminate, (uv_handle_t *)&s->interrupt,
                                    (uv_handle_t *)&s->hangup,    (uv_handle_t *)&s->upkeep,
                                    (uv_handle_t *)&s->watchdog,  (uv_handle_t *)&s->sweep,
                                    (uv_handle_t *)&s->end,       (uv_handle_t *)&s->reload};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        close_handle(handles[i]);
    }
}

/* What was opened, in the opposite order; the loop must still run once more. */
static void close_parts(struct serve *s)
{
    api_close(s->api);
    control_close(s->control);
    front_door_free(s->door);
    batches_free(s->batches);
    reporter_free(s->reporter);
    deliver_free(s->deliver);
    workers_free(s->workers);
    intake_free(s->intake);
    s->api = NULL;
    s->control = NULL;
    s->door = NULL;
    s->reporter = NULL;
    s->batches = NULL;
    s->deliver = NULL;
    s->workers = NULL;
    s->intake = NULL;
    close_handles(s);
}

static void on_end(uv_timer_t *timer)
{
    close_parts(timer->data);
}

/* A part may say this while it works with what close_parts frees. */
static void on_drained(void *arg)
{
    struct serve *s = arg;
    if (--s->to_drain == 0) {
        (void)uv_timer_start(&s->end, on_end, 0, 0);
    }
}

/* Called again it sets the grace anew. */
static void drain(struct serve *s, int grace_ms)
{
    const bool is_first = !s->is_draining;
    if (s->door == NULL) {
        return; /* it is over already */
    }
    s->is_draining = true;
    if (is_first) {
        (void)sd_notify(0, "STOPPING=1");
        intake_stop(s->intake);
        s->to_drain = s->api == NULL ? 5 : 6;
        batches_drain(s->batches);
    }
    front_door_drain(s->door, grace_ms);
    workers_drain(s->workers, grace_ms);
    deliver_drain(s->deliver, grace_ms);
    if (is_first) {
        reporter_drain(s->reporter);
        if (s->api != NULL) {
            api_drain(s->api);
        }
    }
}

static void on_failed(void *arg, const char *reason)
{
    struct serve *s = arg;
    if (!s->has_failed) {
        s->has_failed = true;
        LOG_ERROR("failed", log_text("reason", reason));
        (void)sctd_error(&s->failure, SCTD_EIO, "%s", reason);
        drain(s, 0); /* what still waits for its grace can be kept nowhere */
    }
}

static void on_terminate(uv_signal_t *handle, int number)
{
    struct serve *s = handle->data;
    LOG_INFO("stopping", log_number("signal", number));
    if (!s->is_draining) {
        drain(s, GRACE_MS);
    }
}

/* Configuration */

static void adopt_policy(struct serve *s, struct policy *policy, struct allow_rule *allow)
{
    if (!reload_is_whole(s->policy->config, policy->config)) {
        LOG_WARNING("reload-partial",
                    log_text("reason", "ae_title, state_dir, models_dir, listen, workers (but for "
                                       "precision) and where http listens change with the next "
                                       "start only"));
    }
    struct sctd_error err = {.code = SCTD_OK};
    if (deliver_set_config(s->deliver, policy->config, &err) < 0) {
        LOG_ERROR("reload", log_text("reason", err.text));
    }
    if (s->api != NULL && api_set_policy(s->api, policy, &err) < 0) {
        LOG_ERROR("reload", log_text("reason", err.text));
    }
    log_open(policy->config->log_format);
    intake_set_policy(s->intake, policy);
    batches_set_policy(s->batches, policy);
    front_door_set_allow(s->door, allow, policy->config->peers_count);
    reporter_set_config(s->reporter, policy->config, allow);
    free(s->allow);
    s->allow = allow;
    policy_free(s->policy);
    s->policy = policy;
    deliver_kick(s->deliver);
    LOG_INFO("reloaded", log_text("config", s->options->config),
             log_number("rules", policy->config->rules_count),
             log_number("destinations", policy->config->destinations_count));
}

static void reload(struct serve *s)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct policy *policy = NULL;
    struct allow_rule *allow = NULL;
    if (s->is_draining) {
        return;
    }
    int r = policy_load(&policy, s->options->config, &err);
    r = r < 0 ? r : reload_make_allow(&allow, policy->config, &err);
    if (r < 0) {
        policy_free(policy);
        LOG_ERROR("reload-refused", log_text("reason", err.text),
                  log_text("effect", "the configuration stays as it was"));
        return;
    }
    adopt_policy(s, policy, allow);
}

static void on_hangup(uv_signal_t *handle, int number)
{
    (void)number;
    reload(handle->data);
}

static void on_reload(uv_idle_t *idle)
{
    (void)uv_idle_stop(idle);
    reload(idle->data);
}

/* Not at once: whoever asks works with what a reload frees. */
static void reload_soon(void *arg)
{
    struct serve *s = arg;
    (void)uv_idle_start(&s->reload, on_reload);
}

/* Upkeep */

static void on_upkeep(uv_timer_t *timer)
{
    struct serve *s = timer->data;
    struct sctd_error err = {.code = SCTD_OK};
    int64_t n = 0;
    int64_t wal_bytes = 0;
    const struct removal removal =
        removal_of(s->db, s->spool, s->results, &s->policy->config->retention, sctd_wall_ms());
    int r = removal_run(&removal, &n, &err);
    r = r < 0 ? r : db_checkpoint(s->db, &wal_bytes, &err);
    if (n > 0) {
        LOG_INFO("removed", log_number("files", n));
    }
    if (r < 0) {
        LOG_ERROR("upkeep", log_text("reason", err.text));
        if (db_is_failed(s->db)) {
            on_failed(s, err.text);
        }
    }
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    (void)sd_notify(0, "WATCHDOG=1");
}

/* Jobs */

static void on_job_made(void *arg, int64_t job_id)
{
    struct serve *s = arg;
    (void)job_id;
    workers_kick(s->workers);
    deliver_kick(s->deliver); /* a batch may only want a result sent on */
}

static void on_finished(void *arg, int64_t job_id)
{
    struct serve *s = arg;
    (void)job_id;
    if (!s->is_draining) {
        deliver_kick(s->deliver);
        batches_kick(s->batches);
    }
}

/* A rule that all but holds is a mistake in it, or in the series' description. */
static void on_discarded(void *arg, const struct db_series *series,
                         const struct policy_decision *decision)
{
    const struct serve *s = arg;
    struct diagnosis_line line = {.severity = DIAGNOSIS_WARNING};
    if (decision->almost == NULL) {
        return;
    }
    (void)snprintf(line.kind, sizeof line.kind, "almost_matched");
    (void)snprintf(line.peer, sizeof line.peer, "%s", series->peer);
    (void)snprintf(line.ae_title, sizeof line.ae_title, "%s", series->calling_ae);
    (void)snprintf(line.title, sizeof line.title, "Series %lld was left alone: %.160s",
                   (long long)series->id, decision->reason);
    (void)snprintf(
        line.mend, sizeof line.mend,
        "If it should be converted, mend that condition of the rule, reload (SIGHUP), and "
        "open the series again (sctd series reopen %lld)",
        (long long)series->id);
    diagnosis_note(s->diagnosis, &line, sctd_wall_ms());
}

static void kick(void *arg)
{
    const struct serve *s = arg;
    if (!s->is_draining) {
        workers_kick(s->workers);
        deliver_kick(s->deliver);
        batches_kick(s->batches);
    }
}

/* A job that was cancelled while it runs is noticed at its worker's next word. */
static void on_control(void *arg, const struct control_request *request,
                       struct control_answer *ret_answer)
{
    struct serve *s = arg;
    const struct operate operate = {
        .db = s->db, .intake = s->intake, .batches = s->batches, .actor = "operator"};
    if (operate_do(&operate, request, ret_answer) == OPERATE_DONE) {
        kick(s);
    }
}

static void on_rejected(void *arg, enum front_door_reason reason, const char *peer,
                        const char *calling_ae, const char *text)
{
    const struct serve *s = arg;
    diagnosis_rejected(s->diagnosis, front_door_reason_name(reason), peer, calling_ae, text,
                       sctd_wall_ms());
    LOG_WARNING("association-rejected", log_text("peer", peer), log_text("calling_ae", calling_ae),
                log_text("why", front_door_reason_name(reason)), log_text("reason", text));
}

/* The beginning */

static int open_folders(struct serve *s, struct sctd_error *err)
{
    const char *state = s->policy->config->state_dir;
    const struct spool_reserve none = {0, 0};
    struct spool spool;
    int n = 0;
    int r = sctd_dir_make(state, err);
    r = r < 0 ? r : sctd_path_join(s->spool, state, "spool", err);
    r = r < 0 ? r : sctd_path_join(s->results, state, "results", err);
    r = r < 0 ? r : sctd_dir_make(s->results, err);
    if (r < 0) {
        return r;
    }
    r = spool_open(&spool, s->spool, &none, err);
    if (r == 0) {
        r = spool_clean(&spool, &n, err);
        spool_close(&spool);
    }
    if (r == 0 && n > 0) {
        LOG_INFO("spool-cleaned", log_number("files", n));
    }
    return r;
}

static int open_workers(struct serve *s, struct sctd_error *err)
{
    const struct config *config = s->policy->config;
    const struct workers_options options = {
        .loop = &s->loop,
        .program = s->options->program,
        .db = s->db,
        .node = node,
        .spool = s->spool,
        .results = s->results,
        .models_dir = s->models_dir,
        .workers = config->workers,
    };
    const struct workers_hooks hooks = {
        .arg = s, .finished = on_finished, .failed = on_failed, .drained = on_drained};
    return workers_new(&s->workers, &options, &hooks, err);
}

static int open_deliver(struct serve *s, struct sctd_error *err)
{
    const struct config *config = s->policy->config;
    const struct deliver_options options = {
        .loop = &s->loop,
        .program = s->options->program,
        .db = s->db,
        .node = node,
        .ae_title = s->ae_title,
        .results = s->results,
    };
    const struct deliver_hooks hooks = {.arg = s, .failed = on_failed, .drained = on_drained};
    return deliver_new(&s->deliver, &options, config, &hooks, err);
}

static int open_reporter(struct serve *s, struct sctd_error *err)
{
    const struct reporter_options options = {.loop = &s->loop,
                                             .program = s->options->program,
                                             .db = s->db,
                                             .metrics = s->metrics,
                                             .ae_title = s->ae_title};
    const struct reporter_hooks hooks = {.arg = s, .failed = on_failed, .drained = on_drained};
    return reporter_new(&s->reporter, &options, s->policy->config, s->allow, &hooks, err);
}

static int open_intake(struct serve *s, struct sctd_error *err)
{
    const struct intake_options options = {.loop = &s->loop, .db = s->db, .policy = s->policy};
    const struct intake_hooks hooks = {
        .arg = s, .job_made = on_job_made, .discarded = on_discarded, .failed = on_failed};
    return intake_new(&s->intake, &options, &hooks, err);
}

/* Before there are workers. */
static int clean_results(const struct serve *s, struct sctd_error *err)
{
    int64_t n = 0;
    int r = sweep_results(s->db, s->results, &n, err);
    if (r == 0 && n > 0) {
        LOG_INFO("results-cleaned", log_number("series", n));
    }
    return r;
}

static int open_control(struct serve *s, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    int r = sctd_path_join(path, s->policy->config->state_dir, CONTROL_SOCKET, err);
    return r < 0 ? r : control_open(&s->control, &s->loop, path, on_control, s, err);
}

static int open_batches(struct serve *s, struct sctd_error *err)
{
    const struct batches_options options = {
        .loop = &s->loop,
        .program = s->options->program,
        .db = s->db,
        .policy = s->policy,
        .serve = limits_serve(s->spool, &s->policy->config->retention),
        .ahead = s->policy->config->workers.slots + 1,
    };
    const struct batches_hooks hooks = {.arg = s,
                                        .keep = serve_receive_keep,
                                        .ended = serve_receive_fetched,
                                        .job_made = on_job_made,
                                        .failed = on_failed,
                                        .drained = on_drained};
    return batches_new(&s->batches, &options, &hooks, err);
}

static int open_door(struct serve *s, struct sctd_error *err)
{
    const struct config *config = s->policy->config;
    s->called_ae[0] = s->ae_title;
    const struct front_door_options options = {
        .address = config->listen.address,
        .port = config_listen_port(&config->listen),
        .called_ae = s->called_ae,
        .n_called_ae = 1,
        .allow = s->allow,
        .n_allow = config->peers_count,
        .max_associations = config->listen.associations,
        .max_of_peer = config->listen.per_peer,
        .request_ms = REQUEST_MS,
        .room_for_series = limits_series_room(s->spool),
        .program = s->options->program,
        .spares = SPARES,
        .serve = limits_serve(s->spool, &s->policy->config->retention),
    };
    struct front_door_hooks hooks = {.rejected = on_rejected};
    serve_receive_hooks(&hooks.receivers, s);
    hooks.receivers.failed = on_failed;
    hooks.receivers.drained = on_drained;
    return front_door_open(&s->door, &s->loop, &options, &hooks, err);
}

static void remove_soon(void *arg)
{
    struct serve *s = arg;
    (void)uv_timer_start(&s->upkeep, on_upkeep, 0, UPKEEP_MS);
}

static int open_api(struct serve *s, struct sctd_error *err)
{
    const struct config *config = s->policy->config;
    const struct api_node lent = {
        .loop = &s->loop,
        .program = s->options->program,
        .version = SCTD_VERSION,
        .ae_title = s->ae_title,
        .state_dir = config->state_dir,
        .spool = s->spool,
        .results = s->results,
        .models_dir = s->models_dir,
        .db = s->db,
        .intake = s->intake,
        .workers = s->workers,
        .deliver = s->deliver,
        .reporter = s->reporter,
        .batches = s->batches,
        .door = s->door,
        .diagnosis = s->diagnosis,
        .metrics = s->metrics,
        .started_ms = sctd_wall_ms(),
        .kick = kick,
        .remove = remove_soon,
        .reload = reload_soon,
        .drained = on_drained,
        .arg = s,
    };
    return config->http == NULL ? 0 : api_open(&s->api, &lent, s->policy, err);
}

static void start_handles(struct serve *s)
{
    uint64_t watchdog_us = 0;
    const struct {
        uv_signal_t *handle;
        uv_signal_cb callback;
        int number;
    } signals[] = {{&s->terminate, on_terminate, SIGTERM},
                   {&s->interrupt, on_terminate, SIGINT},
                   {&s->hangup, on_hangup, SIGHUP}};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)uv_signal_init(&s->loop, signals[i].handle);
        signals[i].handle->data = s;
        (void)uv_signal_start(signals[i].handle, signals[i].callback, signals[i].number);
    }
    (void)uv_timer_init(&s->loop, &s->upkeep);
    (void)uv_timer_init(&s->loop, &s->watchdog);
    (void)uv_timer_init(&s->loop, &s->sweep);
    (void)uv_timer_init(&s->loop, &s->end);
    (void)uv_idle_init(&s->loop, &s->reload);
    s->reload.data = s->upkeep.data = s->watchdog.data = s->sweep.data = s->end.data = s;
    (void)uv_timer_start(&s->upkeep, on_upkeep, FIRST_UPKEEP_MS, UPKEEP_MS);
    if (sd_watchdog_enabled(0, &watchdog_us) > 0) {
        (void)uv_timer_start(&s->watchdog, on_watchdog, 0, watchdog_us / 2000);
    }
}

static int open_parts(struct serve *s, struct sctd_error *err)
{
    int r = policy_load(&s->policy, s->options->config, err);
    if (r < 0) {
        return r;
    }
    log_open(s->policy->config->log_format);
    (void)snprintf(s->ae_title, sizeof s->ae_title, "%s", s->policy->config->ae_title);
    (void)snprintf(s->models_dir, sizeof s->models_dir, "%s", s->policy->config->models_dir);
    r = diagnosis_new(&s->diagnosis, err);
    r = r < 0 ? r : metrics_new(&s->metrics, err);
    r = r < 0 ? r : reload_make_allow(&s->allow, s->policy->config, err);
    r = r < 0 ? r : open_folders(s, err);
    r = r < 0 ? r : store_open(&s->db, s->policy->config->state_dir, node, err);
    r = r < 0 ? r : clean_results(s, err);
    r = r < 0 ? r : open_workers(s, err);
    r = r < 0 ? r : open_deliver(s, err);
    r = r < 0 ? r : open_reporter(s, err);
    r = r < 0 ? r : open_intake(s, err);
    r = r < 0 ? r : open_batches(s, err);
    r = r < 0 ? r : open_control(s, err);
    r = r < 0 ? r : open_door(s, err);
    return r < 0 ? r : open_api(s, err);
}

static void announce(const struct serve *s)
{
    const int port = front_door_get_port(s->door);
    LOG_INFO("ready", log_text("version", SCTD_VERSION),
             log_text("ae_title", s->policy->config->ae_title), log_number("port", port),
             log_number("rules", s->policy->config->rules_count));
    (void)sd_notifyf(0, "READY=1\nSTATUS=listening on port %d", port);
    if (s->api != NULL) {
        LOG_INFO("http", log_text("address", s->policy->config->http->address),
                 log_number("port", api_get_port(s->api)));
    }
    if (s->options->print_port) {
        (void)fprintf(stdout, "port %d\n", port);
        if (s->api != NULL) {
            (void)fprintf(stdout, "http %d\n", api_get_port(s->api));
        }
        (void)fflush(stdout);
    }
}

int serve_run(const struct serve_options *options, struct sctd_error *err)
{
    struct serve s = {.options = options};
    if (uv_loop_init(&s.loop) != 0) {
        return sctd_error(err, SCTD_ENOMEM, "an event loop");
    }
    (void)umask(027); /* what is kept names patients */
    int r = open_parts(&s, err);
    if (r == 0) {
        start_handles(&s);
        r = serve_receive_sweep(&s, err);
    }
    if (r == 0) {
        announce(&s);
        workers_kick(s.workers);
        deliver_kick(s.deliver);
        batches_kick(s.batches);
    } else {
        close_parts(&s);
    }
    (void)uv_run(&s.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s.loop);
    if (r == 0) {
        LOG_INFO("stopped", log_text("version", SCTD_VERSION));
    }
    db_close(s.db);
    free(s.allow);
    policy_free(s.policy);
    diagnosis_free(s.diagnosis);
    metrics_free(s.metrics);
    if (r == 0 && s.has_failed) {
        *err = s.failure;
        r = SCTD_EIO;
    }
    return r;
}
