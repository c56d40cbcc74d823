/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_schema.h"

#include <cyaml/cyaml.h>
#include <stddef.h>

#include "server/config.h"
#include "server/options.h"

enum { TEXT_MAX = 255, ITEMS_MAX = 256, KEYS_MAX = 32 };

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define TEXT(key, structure, member, flags)                                                        \
    CYAML_FIELD_STRING_PTR(key, flags, struct structure, member, 1, TEXT_MAX)
#define LIST(key, structure, member, entry, flags)                                                 \
    CYAML_FIELD_SEQUENCE(key, (flags) | CYAML_FLAG_POINTER, struct structure, member, entry, 0,    \
                         ITEMS_MAX)

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT_MAX)};

static const cyaml_schema_field_t peer_fields[] = {
    TEXT("ae_title", config_peer, ae_title, OPTIONAL),
    TEXT("address", config_peer, address, OPTIONAL),
    CYAML_FIELD_BOOL("compressed", OPTIONAL, struct config_peer, compressed),
    TEXT("report_host", config_peer, report_host, OPTIONAL),
    CYAML_FIELD_UINT("report_port", OPTIONAL, struct config_peer, report_port),
    CYAML_FIELD_END};
static const cyaml_schema_value_t peer_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_peer, peer_fields)};

static const cyaml_schema_field_t destination_fields[] = {
    TEXT("name", config_destination, name, CYAML_FLAG_DEFAULT),
    TEXT("ae_title", config_destination, ae_title, CYAML_FLAG_DEFAULT),
    TEXT("host", config_destination, host, CYAML_FLAG_DEFAULT),
    CYAML_FIELD_UINT("port", CYAML_FLAG_DEFAULT, struct config_destination, port),
    CYAML_FIELD_BOOL("no_storage_commitment", OPTIONAL, struct config_destination,
                     no_storage_commitment),
    CYAML_FIELD_BOOL("get", OPTIONAL, struct config_destination, get),
    CYAML_FIELD_BOOL("move", OPTIONAL, struct config_destination, move),
    CYAML_FIELD_BOOL("compressed", OPTIONAL, struct config_destination, compressed),
    CYAML_FIELD_INT("retrievals", OPTIONAL, struct config_destination, retrievals),
    CYAML_FIELD_INT("silence_s", OPTIONAL, struct config_destination, silence_s),
    CYAML_FIELD_END};
static const cyaml_schema_value_t destination_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_destination, destination_fields)};

static const cyaml_schema_field_t match_fields[] = {
    TEXT("modality", config_match, modality, OPTIONAL),
    TEXT("calling_ae_title", config_match, calling_ae_title, OPTIONAL),
    TEXT("station_name", config_match, station_name, OPTIONAL),
    TEXT("manufacturer", config_match, manufacturer, OPTIONAL),
    TEXT("series_description", config_match, series_description, OPTIONAL),
    TEXT("body_part_examined", config_match, body_part_examined, OPTIONAL),
    LIST("image_type", config_match, image_type, &text_entry, OPTIONAL),
    CYAML_FIELD_INT("min_slices", OPTIONAL, struct config_match, min_slices),
    CYAML_FIELD_INT("max_slices", OPTIONAL, struct config_match, max_slices),
    CYAML_FIELD_END};

static const cyaml_strval_t grids[] = {{"source", CONFIG_GRID_SOURCE},
                                       {"axial", CONFIG_GRID_AXIAL}};

static const cyaml_strval_t reviews[] = {{"hold", CONFIG_REVIEW_HOLD},
                                         {"deliver", CONFIG_REVIEW_DELIVER}};

static const cyaml_schema_field_t rule_fields[] = {
    TEXT("name", config_rule, name, CYAML_FLAG_DEFAULT),
    CYAML_FIELD_MAPPING("match", OPTIONAL, struct config_rule, match, match_fields),
    CYAML_FIELD_BOOL("ignore", OPTIONAL, struct config_rule, ignore),
    TEXT("model", config_rule, model, OPTIONAL),
    LIST("select", config_rule, select, &text_entry, OPTIONAL),
    LIST("destinations", config_rule, destinations, &text_entry, OPTIONAL),
    TEXT("series_description", config_rule, series_description, OPTIONAL),
    CYAML_FIELD_INT("series_number_offset", OPTIONAL, struct config_rule, series_number_offset),
    CYAML_FIELD_INT("rescale_intercept", OPTIONAL, struct config_rule, rescale_intercept),
    CYAML_FIELD_ENUM("grid", OPTIONAL | CYAML_FLAG_STRICT, struct config_rule, grid, grids,
                     CYAML_ARRAY_LEN(grids)),
    CYAML_FIELD_ENUM("review", OPTIONAL | CYAML_FLAG_STRICT, struct config_rule, review, reviews,
                     CYAML_ARRAY_LEN(reviews)),
    CYAML_FIELD_INT("priority", OPTIONAL, struct config_rule, priority),
    CYAML_FIELD_END};
static const cyaml_schema_value_t rule_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_rule, rule_fields)};

static const cyaml_schema_field_t listen_fields[] = {
    TEXT("address", config_listen, address, OPTIONAL),
    CYAML_FIELD_UINT_PTR("port", OPTIONAL | CYAML_FLAG_POINTER, struct config_listen, port),
    CYAML_FIELD_INT("associations", OPTIONAL, struct config_listen, associations),
    CYAML_FIELD_INT("per_peer", OPTIONAL, struct config_listen, per_peer), CYAML_FIELD_END};

static const cyaml_schema_field_t completion_fields[] = {
    CYAML_FIELD_INT("quiet_s", OPTIONAL, struct config_completion, quiet_s),
    CYAML_FIELD_INT("closed_quiet_s", OPTIONAL, struct config_completion, closed_quiet_s),
    CYAML_FIELD_END};

static const cyaml_schema_field_t worker_fields[] = {
    CYAML_FIELD_INT("slots", OPTIONAL, struct config_workers, slots),
    TEXT("precision", config_workers, precision, OPTIONAL),
    CYAML_FIELD_INT("threads", OPTIONAL, struct config_workers, threads),
    CYAML_FIELD_INT("batch", OPTIONAL, struct config_workers, batch),
    CYAML_FIELD_INT("timeout_s", OPTIONAL, struct config_workers, timeout_s),
    CYAML_FIELD_INT("silence_s", OPTIONAL, struct config_workers, silence_s),
    CYAML_FIELD_INT("load_s", OPTIONAL, struct config_workers, load_s),
    CYAML_FIELD_INT("memory_mib", OPTIONAL, struct config_workers, memory_mib),
    LIST("backends", config_workers, backends, &text_entry, OPTIONAL),
    CYAML_FIELD_INT("gpu_memory_mib", OPTIONAL, struct config_workers, gpu_memory_mib),
    CYAML_FIELD_END};

static const cyaml_schema_field_t retention_fields[] = {
    CYAML_FIELD_INT("received_days", OPTIONAL, struct config_retention, received_days),
    CYAML_FIELD_INT("produced_days", OPTIONAL, struct config_retention, produced_days),
    CYAML_FIELD_INT("min_free_percent", OPTIONAL, struct config_retention, min_free_percent),
    CYAML_FIELD_END};

static const cyaml_schema_field_t token_fields[] = {
    TEXT("name", config_token, name, CYAML_FLAG_DEFAULT),
    TEXT("role", config_token, role, OPTIONAL),
    CYAML_FIELD_BOOL("identity", OPTIONAL, struct config_token, identity),
    TEXT("sha256", config_token, sha256, CYAML_FLAG_DEFAULT), CYAML_FIELD_END};
static const cyaml_schema_value_t token_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_token, token_fields)};

static const cyaml_schema_field_t http_fields[] = {
    TEXT("address", config_http, address, OPTIONAL),
    CYAML_FIELD_UINT_PTR("port", OPTIONAL | CYAML_FLAG_POINTER, struct config_http, port),
    TEXT("certificate", config_http, certificate, OPTIONAL),
    TEXT("key", config_http, key, OPTIONAL),
    CYAML_FIELD_BOOL("plain", OPTIONAL, struct config_http, plain),
    CYAML_FIELD_BOOL("open_metrics", OPTIONAL, struct config_http, open_metrics),
    CYAML_FIELD_INT("connections", OPTIONAL, struct config_http, connections),
    CYAML_FIELD_INT("requests_per_second", OPTIONAL, struct config_http, requests_per_second),
    CYAML_FIELD_INT("failures_per_minute", OPTIONAL, struct config_http, failures_per_minute),
    LIST("tokens", config_http, tokens, &token_entry, OPTIONAL),
    CYAML_FIELD_END};

static const cyaml_strval_t log_formats[] = {
    {"auto", CONFIG_LOG_AUTO}, {"text", CONFIG_LOG_TEXT}, {"json", CONFIG_LOG_JSON}};

static const cyaml_schema_field_t top_fields[] = {
    TEXT("ae_title", config, ae_title, OPTIONAL),
    TEXT("state_dir", config, state_dir, OPTIONAL),
    TEXT("models_dir", config, models_dir, OPTIONAL),
    CYAML_FIELD_MAPPING("listen", OPTIONAL, struct config, listen, listen_fields),
    LIST("peers", config, peers, &peer_entry, OPTIONAL),
    LIST("destinations", config, destinations, &destination_entry, OPTIONAL),
    LIST("rules", config, rules, &rule_entry, OPTIONAL),
    CYAML_FIELD_MAPPING("completion", OPTIONAL, struct config, completion, completion_fields),
    CYAML_FIELD_MAPPING("workers", OPTIONAL, struct config, workers, worker_fields),
    CYAML_FIELD_MAPPING("retention", OPTIONAL, struct config, retention, retention_fields),
    CYAML_FIELD_ENUM("log_format", OPTIONAL | CYAML_FLAG_STRICT, struct config, log_format,
                     log_formats, CYAML_ARRAY_LEN(log_formats)),
    CYAML_FIELD_MAPPING_PTR("http", OPTIONAL, struct config, http, http_fields),
    CYAML_FIELD_END};

const cyaml_schema_value_t config_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, top_fields)};

const char *config_schema_suggest(const char *word)
{
    static const cyaml_schema_field_t *const mappings[] = {
        top_fields,        listen_fields, peer_fields,   destination_fields,
        rule_fields,       match_fields,  worker_fields, retention_fields,
        completion_fields, http_fields,   token_fields};
    for (size_t i = 0; i < sizeof mappings / sizeof *mappings; i++) {
        const char *keys[KEYS_MAX];
        size_t n = 0;
        while (n < KEYS_MAX && mappings[i][n].key != NULL) {
            keys[n] = mappings[i][n].key;
            n++;
        }
        const char *nearest = options_suggest(word, keys, n);
        if (nearest != NULL) {
            return nearest;
        }
    }
    return NULL;
}
