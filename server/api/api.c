/* SPDX-License-Identifier: Apache-2.0 */
#include "server/api/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/events.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/api/changes.h"
#include "server/api/context.h"
#include "server/api/pseudonym.h"
#include "server/api/routes.h"
#include "server/config.h"
#include "server/config_http.h"
#include "server/http/access.h"
#include "server/http/listener.h"
#include "server/http/rate.h"
#include "server/http/request.h"
#include "server/http/stream.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/moment.h"
#include "server/policy.h"
#include "server/viewers.h"

enum { PEM_MAX = 1 << 20 };

void api_note(const struct request *request, const char *kind, const char *subject,
              const char *text)
{
    const struct api *api = request->context;
    const struct db_now at = moment_now();
    struct sctd_error err = {.code = SCTD_OK};
    struct db_event event = {.id = 0};
    (void)snprintf(event.kind, sizeof event.kind, "%s", kind);
    (void)snprintf(event.actor, sizeof event.actor, "%s", request->who.name);
    (void)snprintf(event.subject, sizeof event.subject, "%s", subject);
    (void)snprintf(event.text, sizeof event.text, "%s", text);
    if (db_event_add(api->node.db, &at, &event, &err) < 0) {
        LOG_ERROR("job-store", log_text("reason", err.text));
    }
    LOG_INFO("http-audit", log_text("kind", kind), log_text("actor", request->who.name),
             log_text("subject", subject), log_text("address", request->address));
}

/* What requests wait for */

bool api_tasks_have_room(const struct api *api)
{
    for (size_t i = 0; i < TASKS_MAX; i++) {
        if (api->task[i].request == NULL) {
            return true;
        }
    }
    return false;
}

void api_tasks_begin(struct api *api, struct request *request, void *work,
                     void (*forget)(void *work))
{
    for (size_t i = 0; i < TASKS_MAX; i++) {
        if (api->task[i].request == NULL) {
            api->task[i] = (struct task){request, work, forget};
            return;
        }
    }
}

void api_tasks_end(struct api *api, const struct request *request)
{
    for (size_t i = 0; i < TASKS_MAX; i++) {
        if (api->task[i].request == request) {
            api->task[i] = (struct task){.request = NULL};
        }
    }
}

static void on_dropped(void *arg, struct request *request)
{
    struct api *api = arg;
    viewers_forget(api->viewers, request);
    for (size_t i = 0; i < TASKS_MAX; i++) {
        if (api->task[i].request == request) {
            api->task[i].forget(api->task[i].work);
            api->task[i] = (struct task){.request = NULL};
        }
    }
}

static void on_answered(void *arg, int status)
{
    const struct api *api = arg;
    metrics_http(api->node.metrics, status);
}

/* Configuration */

static int set_tokens(struct api *api, const struct config_http *http, struct sctd_error *err)
{
    struct access_token *tokens = calloc(http->tokens_count + 1, sizeof *tokens);
    if (tokens == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%u tokens", http->tokens_count);
    }
    for (uint32_t i = 0; i < http->tokens_count; i++) {
        config_http_read_token(&http->tokens[i], &tokens[i]);
    }
    const int r = access_set_tokens(api->access, tokens, http->tokens_count, err);
    free(tokens);
    return r;
}

static int read_pem(char **ret_text, const char *path, struct sctd_error *err)
{
    struct sctd_map map;
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    char *text = map.size > 0 && map.size < PEM_MAX ? strndup(map.data, map.size) : NULL;
    sctd_map_close(&map);
    if (text == NULL) {
        return sctd_error(err, SCTD_EIO, "http: %.160s is no PEM file", path);
    }
    *ret_text = text;
    return 0;
}

static void pem_fini(struct api_pem *pem)
{
    free(pem->certificate);
    free(pem->key);
    *pem = (struct api_pem){NULL, NULL};
}

static int read_pems(struct api_pem *pem, const struct config_http *http, struct sctd_error *err)
{
    int r = http->certificate == NULL ? 0 : read_pem(&pem->certificate, http->certificate, err);
    r = r < 0 || http->key == NULL ? r : read_pem(&pem->key, http->key, err);
    if (r < 0) {
        pem_fini(pem);
    }
    return r;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

int api_set_policy(struct api *api, const struct policy *policy, struct sctd_error *err)
{
    const struct config_http *http = policy->config->http;
    const struct config_http none = {.tokens_count = 0};
    struct api_pem pem = {NULL, NULL};
    api->policy = policy;
    stream_hub_close_streams(api->hub); /* who may watch may have changed */
    int r = set_tokens(api, http == NULL ? &none : http, err);
    if (r < 0 || http == NULL) {
        return r;
    }
    api->dispatch.open_metrics = http->open_metrics;
    r = read_pems(&pem, http, err);
    if (r < 0) {
        return r;
    }
    if (same(pem.certificate, api->pem.certificate) && same(pem.key, api->pem.key)) {
        pem_fini(&pem);
        return 0;
    }
    r = listener_set_certificate(api->listener, pem.certificate, pem.key, err);
    if (r < 0) { /* the one that worked goes on working */
        struct sctd_error again = {.code = SCTD_OK};
        pem_fini(&pem);
        if (listener_set_certificate(api->listener, api->pem.certificate, api->pem.key, &again) <
            0) {
            LOG_ERROR("http", log_text("reason", again.text));
        }
        return r;
    }
    pem_fini(&api->pem);
    api->pem = pem;
    return 0;
}

/* Beginning and end */

static int open_listener(struct api *api, struct sctd_error *err)
{
    const struct config_http *http = api->policy->config->http;
    api->dispatch = (struct dispatch){.routes = api_routes,
                                      .n_routes = api_routes_count,
                                      .access = api->access,
                                      .rate = api->rate,
                                      .failures = api->failures,
                                      .open_metrics = http->open_metrics,
                                      .context = api};
    const struct listener_options options = {.loop = api->node.loop,
                                             .address = http->address,
                                             .port = config_http_port(http),
                                             .certificate = api->pem.certificate,
                                             .key = api->pem.key,
                                             .max_connections = http->connections,
                                             .dispatch = &api->dispatch,
                                             .dropped = on_dropped,
                                             .answered = on_answered,
                                             .arg = api};
    return listener_open(&api->listener, &options, err);
}

static int open_viewers(struct api *api, struct sctd_error *err)
{
    const struct viewers_options options = {.loop = api->node.loop,
                                            .program = api->node.program,
                                            .spool = api->node.spool,
                                            .results = api->node.results};
    const struct viewers_hooks hooks = {.arg = api->node.arg, .drained = api->node.drained};
    return viewers_new(&api->viewers, &options, &hooks, err);
}

static int open_all(struct api *api, struct sctd_error *err)
{
    const struct config_http *http = api->policy->config->http;
    const double minute_s = 60;
    const double per_s = http->requests_per_second;
    const double failures = http->failures_per_minute;
    int r = access_new(&api->access, err);
    r = r < 0 ? r : set_tokens(api, http, err);
    r = r < 0 ? r : rate_new(&api->rate, per_s, per_s, err);
    r = r < 0 ? r : rate_new(&api->failures, failures / minute_s, failures, err);
    r = r < 0 ? r : stream_hub_new(&api->hub, err);
    r = r < 0 ? r : pseudonym_open(api->pseudonym_key, api->node.state_dir, err);
    r = r < 0 ? r : read_pems(&api->pem, http, err);
    r = r < 0 ? r : open_viewers(api, err);
    r = r < 0 ? r : open_listener(api, err);
    return r < 0 ? r : changes_open(&api->changes, api, err);
}

int api_open(struct api **ret_api, const struct api_node *node, const struct policy *policy,
             struct sctd_error *err)
{
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "http");
    }
    api->node = *node;
    api->policy = policy;
    const int r = open_all(api, err);
    if (r < 0) {
        api_close(api);
        return r;
    }
    *ret_api = api;
    return 0;
}

int api_get_port(const struct api *api)
{
    return listener_get_port(api->listener);
}

void api_drain(struct api *api)
{
    api->is_draining = true;
    viewers_drain(api->viewers);
}

void api_close(struct api *api)
{
    if (api == NULL) {
        return;
    }
    changes_close(api->changes);
    listener_close(api->listener);
    viewers_free(api->viewers);
    stream_hub_free(api->hub);
    rate_free(api->rate);
    rate_free(api->failures);
    access_free(api->access);
    pem_fini(&api->pem);
    free(api);
}
