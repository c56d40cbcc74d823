/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in force, which of them a series meets, and the configuration. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/instances.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "server/api/context.h"
#include "server/config.h"
#include "server/config_http.h"
#include "server/http/reply.h"
#include "server/http/request.h"
#include "server/rules.h"

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static void write_texts(struct json_writer *w, const char *key, char *const *texts, uint32_t n)
{
    json_write_array_begin(w, key);
    for (uint32_t i = 0; i < n; i++) {
        json_write_string(w, NULL, texts[i]);
    }
    json_write_array_end(w);
}

static void write_match(struct json_writer *w, const struct config_match *m)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"modality", m->modality},
        {"calling_ae_title", m->calling_ae_title},
        {"station_name", m->station_name},
        {"manufacturer", m->manufacturer},
        {"series_description", m->series_description},
        {"body_part_examined", m->body_part_examined},
    };
    json_write_object_begin(w, "match");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].text != NULL) {
            json_write_string(w, texts[i].key, texts[i].text);
        }
    }
    if (m->image_type_count > 0) {
        write_texts(w, "image_type", m->image_type, m->image_type_count);
    }
    if (m->min_slices > 0) {
        json_write_int(w, "min_slices", m->min_slices);
    }
    if (m->max_slices > 0) {
        json_write_int(w, "max_slices", m->max_slices);
    }
    json_write_object_end(w);
}

static void write_rules(struct json_writer *w, const char *key, const struct config *config)
{
    json_write_array_begin(w, key);
    for (uint32_t i = 0; i < config->rules_count; i++) {
        const struct config_rule *rule = &config->rules[i];
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", rule->name);
        json_write_bool(w, "ignore", rule->ignore);
        json_write_string(w, "model", text_of(rule->model));
        write_texts(w, "destinations", rule->destinations, rule->destinations_count);
        json_write_int(w, "priority", rule->priority);
        json_write_string(w, "grid", rule->grid == CONFIG_GRID_AXIAL ? "axial" : "source");
        json_write_string(w, "review", rule->review == CONFIG_REVIEW_HOLD ? "hold" : "deliver");
        write_match(w, &rule->match);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

void api_rules(struct request *request)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct json_writer w = reply_begin_json(&request->reply, &err);
    write_rules(&w, "items", api_of(request)->policy->config);
    reply_end_json(&request->reply, &w);
}

/* Which rule a series would meet */

enum { TEXTS = 7, AE_BYTES = 16 * 4 + 1 };
#define ID_MAX ((INT64_C(1) << 53) - 1) /* the greatest that every JSON reader keeps whole */

struct subject {
    char text[TEXTS][DB_TEXT_SIZE];
    struct db_series series;
    struct rules_subject rules;
};

static bool read_series(struct request *request, int64_t id, struct subject *subject)
{
    struct api *api = api_of(request);
    struct sctd_error err = {.code = SCTD_OK};
    struct db_series *s = &subject->series;
    sctd_auto(db_member_list_fini) struct db_member_list members = {.n = 0};
    int r = db_series_get(api->node.db, id, s, &err);
    r = r != 0 ? r : db_series_members(api->node.db, id, 0, &members, &err);
    if (r < 0) {
        reply_error(&request->reply, &err);
        return false;
    }
    if (r > 0) {
        reply_problem(&request->reply, 404, "there is no series %lld", (long long)id);
        return false;
    }
    int64_t slices = 0;
    for (size_t i = 0; i < members.n; i++) {
        slices += members.member[i].frames > 1 ? members.member[i].frames : 1;
    }
    subject->rules = (struct rules_subject){
        .modality = s->modality,
        .calling_ae_title = s->calling_ae,
        .station_name = s->station,
        .manufacturer = s->manufacturer,
        .series_description = s->series_description,
        .body_part_examined = s->body_part,
        .image_type = s->image_type,
        .slices = slices < INT32_MAX ? (int32_t)slices : INT32_MAX,
    };
    return true;
}

static bool read_attributes(struct request *request, const struct json *json,
                            struct subject *subject)
{
    struct rules_subject *rules = &subject->rules;
    const struct {
        const char *key;
        const char **to;
        size_t size;
    } texts[TEXTS] = {
        {"modality", &rules->modality, AE_BYTES},
        {"calling_ae_title", &rules->calling_ae_title, AE_BYTES},
        {"station_name", &rules->station_name, DB_TEXT_SIZE},
        {"manufacturer", &rules->manufacturer, DB_TEXT_SIZE},
        {"series_description", &rules->series_description, DB_TEXT_SIZE},
        {"body_part_examined", &rules->body_part_examined, DB_TEXT_SIZE},
        {"image_type", &rules->image_type, DB_TEXT_SIZE},
    };
    for (size_t i = 0; i < TEXTS; i++) {
        if (!request_get_member(request, json, texts[i].key, subject->text[i], texts[i].size)) {
            return false;
        }
        *texts[i].to = subject->text[i];
    }
    int64_t slices = 0;
    if (!request_get_whole(request, json, "slices", 0, DB_SERIES_INSTANCES_MAX, &slices)) {
        return false;
    }
    rules->slices = (int32_t)slices;
    return true;
}

static bool read_subject(struct request *request, struct subject *subject)
{
    static const char *const keys[] = {"series_id",          "modality",     "calling_ae_title",
                                       "station_name",       "manufacturer", "series_description",
                                       "body_part_examined", "image_type",   "slices"};
    sctd_auto(json_freep) struct json *json = NULL;
    int64_t id = 0;
    if (!request_get_json(request, keys, sizeof keys / sizeof *keys, true, &json) ||
        !read_attributes(request, json, subject) ||
        !request_get_whole(request, json, "series_id", 1, ID_MAX, &id)) {
        return false;
    }
    return id == 0 || read_series(request, id, subject);
}

void api_rules_test(struct request *request)
{
    const struct config *config = api_of(request)->policy->config;
    struct sctd_error err = {.code = SCTD_OK};
    struct subject subject = {.series = {.id = 0}};
    char why[RULES_WHY_SIZE];
    if (!read_subject(request, &subject)) {
        return;
    }
    const struct config_rule *found = rules_find(config, &subject.rules);
    struct json_writer w = reply_begin_json(&request->reply, &err);
    if (found == NULL) {
        json_write_null(&w, "rule");
    } else {
        json_write_string(&w, "rule", found->name);
    }
    json_write_bool(&w, "ignored", found == NULL || found->ignore);
    json_write_array_begin(&w, "rules");
    for (uint32_t i = 0; i < config->rules_count; i++) {
        const bool holds = rules_holds(&config->rules[i], &subject.rules, why);
        json_write_object_begin(&w, NULL);
        json_write_string(&w, "name", config->rules[i].name);
        json_write_bool(&w, "holds", holds);
        json_write_string(&w, "why", utf8_is_text(why) ? why : "a text differs");
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    reply_end_json(&request->reply, &w);
}

/* The configuration */

static void write_peers(struct json_writer *w, const struct config *c)
{
    json_write_array_begin(w, "peers");
    for (uint32_t i = 0; i < c->peers_count; i++) {
        json_write_object_begin(w, NULL);
        json_write_string(w, "ae_title", c->peers[i].ae_title == NULL ? "*" : c->peers[i].ae_title);
        json_write_string(w, "address", c->peers[i].address == NULL ? "*" : c->peers[i].address);
        json_write_bool(w, "compressed", c->peers[i].compressed);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_destinations(struct json_writer *w, const struct config *c)
{
    json_write_array_begin(w, "destinations");
    for (uint32_t i = 0; i < c->destinations_count; i++) {
        const struct config_destination *d = &c->destinations[i];
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", d->name);
        json_write_string(w, "ae_title", d->ae_title);
        json_write_string(w, "host", d->host);
        json_write_int(w, "port", d->port);
        json_write_bool(w, "no_storage_commitment", d->no_storage_commitment);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_http(struct json_writer *w, const struct config_http *http)
{
    json_write_object_begin(w, "http");
    json_write_string(w, "address", http->address);
    json_write_int(w, "port", config_http_port(http));
    json_write_string(w, "certificate", text_of(http->certificate));
    json_write_bool(w, "plain", http->plain);
    json_write_bool(w, "open_metrics", http->open_metrics);
    json_write_int(w, "connections", http->connections);
    json_write_int(w, "requests_per_second", http->requests_per_second);
    json_write_int(w, "failures_per_minute", http->failures_per_minute);
    json_write_array_begin(w, "tokens");
    for (uint32_t i = 0; i < http->tokens_count; i++) {
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", http->tokens[i].name);
        json_write_string(w, "role",
                          http->tokens[i].role == NULL ? "viewer" : http->tokens[i].role);
        json_write_bool(w, "identity", http->tokens[i].identity);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_numbers(struct json_writer *w, const struct config *c)
{
    json_write_object_begin(w, "completion");
    json_write_int(w, "quiet_s", c->completion.quiet_s);
    json_write_int(w, "closed_quiet_s", c->completion.closed_quiet_s);
    json_write_object_end(w);
    json_write_object_begin(w, "workers");
    json_write_int(w, "slots", c->workers.slots);
    json_write_string(w, "precision", c->workers.precision);
    json_write_int(w, "threads", c->workers.threads);
    json_write_int(w, "batch", c->workers.batch);
    json_write_int(w, "timeout_s", c->workers.timeout_s);
    json_write_int(w, "silence_s", c->workers.silence_s);
    json_write_int(w, "load_s", c->workers.load_s);
    json_write_int(w, "memory_mib", c->workers.memory_mib);
    json_write_object_end(w);
    json_write_object_begin(w, "retention");
    json_write_int(w, "received_days", c->retention.received_days);
    json_write_int(w, "produced_days", c->retention.produced_days);
    json_write_int(w, "min_free_percent", c->retention.min_free_percent);
    json_write_object_end(w);
}

void api_configuration(struct request *request)
{
    const struct config *c = api_of(request)->policy->config;
    struct sctd_error err = {.code = SCTD_OK};
    struct json_writer w = reply_begin_json(&request->reply, &err);
    json_write_string(&w, "ae_title", c->ae_title);
    json_write_string(&w, "state_dir", c->state_dir);
    json_write_string(&w, "models_dir", c->models_dir);
    json_write_object_begin(&w, "listen");
    json_write_string(&w, "address", c->listen.address);
    json_write_int(&w, "port", config_listen_port(&c->listen));
    json_write_int(&w, "associations", c->listen.associations);
    json_write_int(&w, "per_peer", c->listen.per_peer);
    json_write_object_end(&w);
    write_peers(&w, c);
    write_destinations(&w, c);
    write_rules(&w, "rules", c);
    write_numbers(&w, c);
    if (c->http != NULL) {
        write_http(&w, c->http);
    }
    reply_end_json(&request->reply, &w);
}
