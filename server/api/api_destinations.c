/* SPDX-License-Identifier: Apache-2.0 */
/* Where results go, and whether it answers. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/deliveries.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/act.h"
#include "server/api/context.h"
#include "server/api/destinations.h"
#include "server/config.h"
#include "server/control.h"
#include "server/echo.h"
#include "server/http/listener.h"
#include "server/http/reply.h"
#include "server/http/request.h"

/* A destination of the configuration, of the store, or of both. */
static void write_destination(struct json_writer *w, const char *name,
                              const struct config_destination *configured,
                              const struct db_destination *known)
{
    enum { SECOND_MS = 1000 };
    const struct db_destination none = {.backlog = 0};
    const struct db_destination *d = known == NULL ? &none : known;
    const int64_t rest_ms = d->due_ms - sctd_boot_ms();
    json_write_string(w, "name", name);
    json_write_string(w, "ae_title", configured == NULL ? "" : configured->ae_title);
    json_write_string(w, "host", configured == NULL ? "" : configured->host);
    json_write_int(w, "port", configured == NULL ? 0 : configured->port);
    json_write_bool(w, "configured", configured != NULL);
    json_write_bool(w, "storage_commitment",
                    configured != NULL && !configured->no_storage_commitment);
    json_write_int(w, "backlog", d->backlog);
    reply_write_time_or_null(w, "oldest", d->oldest_ms);
    json_write_int(w, "uncommitted", d->uncommitted);
    reply_write_time_or_null(w, "uncommitted_since", d->uncommitted_since_ms);
    json_write_int(w, "failures", d->failures);
    reply_write_time_or_null(w, "last_success", d->last_success_ms);
    reply_write_time_or_null(w, "last_failure", d->last_failure_ms);
    json_write_string(w, "reason", d->failures > 0 ? d->reason : "");
    json_write_double(w, "next_try_s",
                      d->backlog > 0 && rest_ms > 0 ? (double)rest_ms / SECOND_MS : (double)NAN);
}

static const struct db_destination *find_known(const struct db_destination_page *page,
                                               const char *name)
{
    for (size_t i = 0; i < page->n; i++) {
        if (strcmp(page->destination[i].name, name) == 0) {
            return &page->destination[i];
        }
    }
    return NULL;
}

int api_destinations_write(struct json_writer *w, struct api *api, struct sctd_error *err)
{
    const struct config *config = api->policy->config;
    sctd_auto(db_destination_page_fini) struct db_destination_page page = {.n = 0};
    const int r = db_destination_list(api->node.db, &page, err);
    if (r < 0) {
        return r;
    }
    for (uint32_t i = 0; i < config->destinations_count; i++) {
        const struct config_destination *d = &config->destinations[i];
        json_write_object_begin(w, NULL);
        write_destination(w, d->name, d, find_known(&page, d->name));
        json_write_object_end(w);
    }
    for (size_t i = 0; i < page.n; i++) {
        const struct db_destination *known = &page.destination[i];
        if (config_find_destination(config, known->name) == NULL && known->backlog > 0) {
            json_write_object_begin(w, NULL);
            write_destination(w, known->name, NULL, known);
            json_write_object_end(w);
        }
    }
    return 0;
}

void api_destinations(struct request *request)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_array_begin(&w, "items");
    if (api_destinations_write(&w, api_of(request), &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    json_write_array_end(&w);
    reply_end_json(&request->reply, &w);
}

static const struct config_destination *find_configured(struct request *request)
{
    const struct config_destination *d =
        config_find_destination(api_of(request)->policy->config, request->found.name);
    if (d == NULL) {
        reply_problem(&request->reply, 404, "there is no destination \"%.64s\"",
                      request->found.name);
    }
    return d;
}

void api_destination(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    sctd_auto(db_destination_page_fini) struct db_destination_page page = {.n = 0};
    const struct config_destination *d = find_configured(request);
    if (d == NULL) {
        return;
    }
    if (db_destination_list(api->node.db, &page, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    struct json_writer w = reply_begin_json(&request->reply, &err);
    write_destination(&w, d->name, d, find_known(&page, d->name));
    reply_end_json(&request->reply, &w);
}

/* C-ECHO */

static void on_echo(void *arg, bool answered, const char *reason, double ms)
{
    struct request *request = arg;
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_error why = {.code = SCTD_OK};
    api_tasks_end(api, request);
    /* The one that was forgotten for good may be tried at once. */
    if (answered && db_destination_wake(api->node.db, request->found.name, &why) < 0) {
        reply_error(&request->reply, &why);
        listener_answer(request);
        return;
    }
    if (answered) {
        api->node.kick(api->node.arg);
    }
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_bool(&w, "ok", answered);
    json_write_string(&w, "detail", answered ? "it answers" : reason);
    json_write_double(&w, "milliseconds", ms);
    reply_end_json(&request->reply, &w);
    listener_answer(request);
}

static void forget_echo(void *task)
{
    echo_forget(task);
}

void api_destination_echo(struct request *request)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct echo *echo = NULL;
    char reason[CONTROL_TEXT_SIZE];
    const struct config_destination *d = find_configured(request);
    if (d == NULL || !act_read_reason(request, reason, sizeof reason)) {
        return;
    }
    if (!api_tasks_have_room(api)) {
        request->reply.retry_after_s = 1;
        reply_problem(&request->reply, 503, "too much is being looked at: try again");
        return;
    }
    const struct echo_options options = {.loop = api->node.loop,
                                         .program = api->node.program,
                                         .ae_title = api->node.ae_title,
                                         .destination = d};
    if (echo_start(&echo, &options, on_echo, request, &err) < 0) {
        reply_error(&request->reply, &err);
        return;
    }
    api_tasks_begin(api, request, echo, forget_echo);
    request->reply.is_later = true;
}
