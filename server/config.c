/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/parse.h"
#include "server/config_http.h"
#include "server/config_schema.h"
#include "server/options.h"
#include "server/rules.h"

enum {
    MAX_FILE = 1024 * 1024,
    MAX_SLICES = 100000,
    DAY_MAX = 36500,
    RETRIEVALS_MAX = 16,
    SILENCE_MIN_S = 2,
    SILENCE_MAX_S = 3600
};

/*
 * libcyaml tells what is wrong first ("Unexpected key: ..."), then where, innermost first: "in mapping
 * field 'port' (line: 7, column: 11)".  The first of each is kept.
 */
struct complaint {
    char what[128];
    int64_t line; /* 0: unknown */
};

__attribute__((format(printf, 3, 0))) static void hear(cyaml_log_t level, void *arg,
                                                       const char *format, va_list args)
{
    static const char before_line[] = "(line: ";
    struct complaint *c = arg;
    char text[256];
    const int n = vsnprintf(text, sizeof text, format, args);
    if (level < CYAML_LOG_ERROR || n <= 0) {
        return;
    }
    text[strcspn(text, "\n")] = '\0';
    char *line = strstr(text, before_line);
    if (line != NULL) {
        line += sizeof before_line - 1;
        line[strcspn(line, ",)")] = '\0';
        if (c->line == 0 && sctd_parse_i64(&c->line, line, 1, INT32_MAX, NULL) < 0) {
            c->line = 0;
        }
        return;
    }
    const char *what = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
    if (c->what[0] == '\0' && strcmp(what, "Backtrace:") != 0) {
        (void)snprintf(c->what, sizeof c->what, "%.*s", (int)sizeof c->what - 1, what);
    }
}

static void *allocate(void *arg, void *p, size_t size)
{
    return cyaml_mem(arg, p, size);
}

static cyaml_config_t make_cyaml(struct complaint *complaint)
{
    return (cyaml_config_t){.log_fn = hear,
                            .log_ctx = complaint,
                            .mem_fn = allocate,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_NO_ALIAS};
}

void config_free(struct config *config)
{
    struct complaint unheard = {{0}, 0};
    const cyaml_config_t cyaml = make_cyaml(&unheard);
    (void)cyaml_free(&cyaml, &config_schema, config, 0);
}

/* Defaults */

static int set_text(char **text, const char *value, struct sctd_error *err)
{
    if (*text == NULL) {
        *text = strdup(value);
    }
    return *text == NULL ? sctd_error(err, SCTD_ENOMEM, "configuration") : 0;
}

static void set_number(int32_t *number, int32_t value)
{
    *number = *number == 0 ? value : *number;
}

static int set_defaults(struct config *c, struct sctd_error *err)
{
    int r = set_text(&c->ae_title, "SCTD", err);
    r = r < 0 ? r : set_text(&c->state_dir, "/var/lib/sctd", err);
    r = r < 0 ? r : set_text(&c->listen.address, "0.0.0.0", err);
    r = r < 0 ? r : set_text(&c->workers.precision, "auto", err);
    if (r < 0) {
        return r;
    }
    if (c->models_dir == NULL) {
        char path[SCTD_PATH_MAX];
        r = sctd_path_join(path, c->state_dir, "models", err);
        r = r < 0 ? r : set_text(&c->models_dir, path, err);
    }
    set_number(&c->listen.associations, 64);
    set_number(&c->listen.per_peer, 8);
    set_number(&c->completion.quiet_s, 60);
    set_number(&c->completion.closed_quiet_s, 5);
    set_number(&c->workers.slots, 1);
    set_number(&c->workers.timeout_s, 3600);
    set_number(&c->workers.silence_s, 60);
    set_number(&c->workers.load_s, 600);
    set_number(&c->workers.memory_mib, 8192);
    set_number(&c->retention.received_days, 7);
    set_number(&c->retention.produced_days, 7);
    set_number(&c->retention.min_free_percent, 10);
    for (uint32_t i = 0; i < c->rules_count; i++) {
        set_number(&c->rules[i].series_number_offset, 1000);
    }
    for (uint32_t i = 0; i < c->destinations_count; i++) {
        set_number(&c->destinations[i].retrievals, 2);
        set_number(&c->destinations[i].silence_s, 120);
    }
    return r;
}

/* Checks */

/* PS3.5 6.2: the default repertoire without backslash and control characters, not only spaces. */
static bool is_ae_title(const char *text)
{
    const size_t n = strlen(text);
    bool letter = false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~' || text[i] == '\\' || text[i] == '/') {
            return false;
        }
        letter = letter || text[i] != ' ';
    }
    return letter && n <= CONFIG_AE_TITLE_MAX;
}

struct number_rule {
    const char *key;
    int32_t value, min, max;
};

static int check_numbers(const struct config *c, const char *path, struct sctd_error *err)
{
    const struct number_rule rules[] = {
        {"listen.associations", c->listen.associations, 1, 1024},
        {"listen.per_peer", c->listen.per_peer, 1, 1024},
        {"completion.quiet_s", c->completion.quiet_s, 1, 86400},
        {"completion.closed_quiet_s", c->completion.closed_quiet_s, 1, 86400},
        {"workers.slots", c->workers.slots, 1, 64},
        {"workers.threads", c->workers.threads, 0, 1024},
        {"workers.batch", c->workers.batch, 0, 256},
        {"workers.timeout_s", c->workers.timeout_s, 10, 86400},
        {"workers.silence_s", c->workers.silence_s, 2, 3600},
        {"workers.load_s", c->workers.load_s, 2, 3600},
        {"workers.memory_mib", c->workers.memory_mib, 512, 1048576},
        {"workers.gpu_memory_mib", c->workers.gpu_memory_mib, 0, 1048576},
        {"retention.received_days", c->retention.received_days, 1, DAY_MAX},
        {"retention.produced_days", c->retention.produced_days, 1, DAY_MAX},
        {"retention.min_free_percent", c->retention.min_free_percent, 1, 90},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].value < rules[i].min || rules[i].value > rules[i].max) {
            return sctd_error(err, SCTD_EDATA, "%.100s: %s is %d: it must be %d to %d", path,
                              rules[i].key, rules[i].value, rules[i].min, rules[i].max);
        }
    }
    return 0;
}

/* What a slot asks for. */
static const char *wish_of(const struct config_workers *workers, int slot)
{
    const char *backend = config_worker_backend(workers, slot);
    return strcmp(backend, "auto") == 0 ? "cuda" : backend;
}

void config_worker_turn(const struct config_workers *workers, int slot, int32_t *ret_turn,
                        int32_t *ret_turns)
{
    *ret_turn = *ret_turns = 0;
    for (int i = 0; i < workers->slots; i++) {
        if (strcmp(wish_of(workers, i), wish_of(workers, slot)) == 0) {
            *ret_turn += i < slot ? 1 : 0;
            ++*ret_turns;
        }
    }
}

static int check_backends(const struct config *c, const char *path, struct sctd_error *err)
{
    for (uint32_t i = 0; i < c->workers.backends_count; i++) {
        if (!options_has_choice(OPTIONS_BACKENDS, c->workers.backends[i])) {
            return sctd_error(err, SCTD_EDATA, "%.100s: workers.backends: \"%.40s\": use one of %s",
                              path, c->workers.backends[i], OPTIONS_BACKENDS);
        }
    }
    return 0;
}

static int check_peers(const struct config *c, const char *path, struct sctd_error *err)
{
    for (uint32_t i = 0; i < c->peers_count; i++) {
        if (c->peers[i].report_host != NULL && c->peers[i].report_port == 0) {
            return sctd_error(err, SCTD_EDATA,
                              "%.100s: peer %u: report_host needs a report_port (1 to 65535)", path,
                              i + 1);
        }
    }
    return 0;
}

static int check_destinations(const struct config *c, const char *path, struct sctd_error *err)
{
    for (uint32_t i = 0; i < c->destinations_count; i++) {
        const struct config_destination *d = &c->destinations[i];
        if (strlen(d->name) > CONFIG_NAME_MAX) {
            return sctd_error(err, SCTD_EDATA, "%.100s: destination %u: the name is longer than %d",
                              path, i + 1, (int)CONFIG_NAME_MAX);
        }
        if (config_find_destination(c, d->name) != d) {
            return sctd_error(err, SCTD_EDATA, "%.100s: destination \"%s\" is there twice", path,
                              d->name);
        }
        if (!is_ae_title(d->ae_title)) {
            return sctd_error(err, SCTD_EDATA,
                              "%.100s: destination \"%s\": ae_title: up to 16 characters without / "
                              "and \\",
                              path, d->name);
        }
        if (d->port == 0) {
            return sctd_error(err, SCTD_EDATA, "%.100s: destination \"%s\": port: 1 to 65535", path,
                              d->name);
        }
        if (d->retrievals < 1 || d->retrievals > RETRIEVALS_MAX) {
            return sctd_error(err, SCTD_EDATA, "%.100s: destination \"%s\": retrievals: 1 to %d",
                              path, d->name, (int)RETRIEVALS_MAX);
        }
        if (d->silence_s < SILENCE_MIN_S || d->silence_s > SILENCE_MAX_S) {
            return sctd_error(err, SCTD_EDATA, "%.100s: destination \"%s\": silence_s: %d to %d",
                              path, d->name, (int)SILENCE_MIN_S, (int)SILENCE_MAX_S);
        }
    }
    return 0;
}

static int check_rule_values(const struct config_rule *rule, const char *path,
                             struct sctd_error *err)
{
    if (rule->rescale_intercept != 0 && rule->rescale_intercept != -1024) {
        return sctd_error(err, SCTD_EDATA, "%.100s: rule \"%.64s\": rescale_intercept: 0 or -1024",
                          path, rule->name);
    }
    if (rule->priority < -100 || rule->priority > 100) {
        return sctd_error(err, SCTD_EDATA, "%.100s: rule \"%.64s\": priority: -100 to 100", path,
                          rule->name);
    }
    const struct config_match *m = &rule->match;
    if (m->series_description != NULL && !rules_is_pattern(m->series_description)) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: rule \"%.64s\": series_description is no regular expression",
                          path, rule->name);
    }
    if (m->min_slices < 0 || m->max_slices < 0 || m->min_slices > MAX_SLICES ||
        (m->max_slices > 0 && m->max_slices < m->min_slices)) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: rule \"%.64s\": min_slices and max_slices do not fit", path,
                          rule->name);
    }
    return 0;
}

static int check_selectors(const struct config_rule *rule, const char *path, struct sctd_error *err)
{
    for (uint32_t i = 0; i < rule->select_count; i++) {
        struct dicom_selector selector;
        struct sctd_error why = {.code = SCTD_OK};
        if (dicom_selector_parse(&selector, rule->select[i], &why) < 0) {
            return sctd_error(err, SCTD_EDATA, "%.60s: rule \"%.40s\": %s", path, rule->name,
                              why.text);
        }
    }
    return 0;
}

static int check_rule(const struct config *c, uint32_t i, const char *path, struct sctd_error *err)
{
    const struct config_rule *rule = &c->rules[i];
    for (uint32_t k = 0; k < i; k++) {
        if (strcmp(c->rules[k].name, rule->name) == 0) {
            return sctd_error(err, SCTD_EDATA, "%.100s: rule \"%.64s\" is there twice", path,
                              rule->name);
        }
    }
    if (rule->ignore == (rule->model != NULL)) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s: rule \"%.64s\": give either a model or ignore: true", path,
                          rule->name);
    }
    for (uint32_t k = 0; k < rule->destinations_count; k++) {
        if (config_find_destination(c, rule->destinations[k]) == NULL) {
            return sctd_error(err, SCTD_EDATA,
                              "%.80s: rule \"%.64s\": there is no destination \"%.64s\"", path,
                              rule->name, rule->destinations[k]);
        }
    }
    int r = check_selectors(rule, path, err);
    return r < 0 ? r : check_rule_values(rule, path, err);
}

static int check(const struct config *c, const char *path, struct sctd_error *err)
{
    if (!is_ae_title(c->ae_title)) {
        return sctd_error(err, SCTD_EDATA, "%.100s: ae_title: up to 16 characters without / and \\",
                          path);
    }
    int r = check_numbers(c, path, err);
    r = r < 0 ? r : check_backends(c, path, err);
    r = r < 0 ? r : check_peers(c, path, err);
    r = r < 0 ? r : check_destinations(c, path, err);
    for (uint32_t i = 0; r == 0 && i < c->rules_count; i++) {
        r = check_rule(c, i, path, err);
    }
    return r;
}

const struct config_destination *config_find_destination(const struct config *config,
                                                         const char *name)
{
    for (uint32_t i = 0; i < config->destinations_count; i++) {
        if (strcmp(config->destinations[i].name, name) == 0) {
            return &config->destinations[i];
        }
    }
    return NULL;
}

struct config_text {
    const char *bytes;
    size_t size;
};

/* The line of a key that libcyaml did not expect: it gives that of what stands before. */
static int64_t find_key_line(const struct config_text *text, int64_t line, const char *key)
{
    const size_t n = strlen(key);
    const char *end = text->bytes + text->size;
    int64_t at = 1;
    for (const char *p = text->bytes; p + n < end; p++) {
        if (at >= line && strncmp(p, key, n) == 0 && p[n] == ':' &&
            (p == text->bytes || strchr("\n {,'\"", p[-1]) != NULL)) {
            return at;
        }
        at += *p == '\n';
    }
    return line;
}

/* What libcyaml heard, as one sentence with the line and, for a key, what may have been meant. */
static int refuse(const struct complaint *complaint, cyaml_err_t e, const char *path,
                  const struct config_text *text, struct sctd_error *err)
{
    static const char unexpected[] = "Unexpected key: ";
    const char *what = complaint->what[0] != '\0' ? complaint->what : cyaml_strerror(e);
    int64_t line = complaint->line;
    const char *meant = NULL;
    if (strncmp(what, unexpected, sizeof unexpected - 1) == 0) {
        const char *key = what + sizeof unexpected - 1;
        line = find_key_line(text, line, key);
        meant = config_schema_suggest(key);
    }
    char where[32] = "";
    if (line > 0) {
        (void)snprintf(where, sizeof where, ", line %lld", (long long)line);
    }
    return sctd_error(err, SCTD_EDATA, "%.80s%s: %s%s%s%s", path, where, what,
                      meant == NULL ? "" : ": did you mean \"", meant == NULL ? "" : meant,
                      meant == NULL ? "" : "\"?");
}

int config_parse(struct config **ret_config, const char *path, const char *text, size_t size,
                 struct sctd_error *err)
{
    struct complaint complaint = {{0}, 0};
    const cyaml_config_t cyaml = make_cyaml(&complaint);
    cyaml_data_t *data = NULL;
    const cyaml_err_t e =
        cyaml_load_data((const uint8_t *)text, size, &cyaml, &config_schema, &data, NULL);
    if (e == CYAML_ERR_OOM) {
        return sctd_error(err, SCTD_ENOMEM, "configuration");
    }
    if (e != CYAML_OK) {
        return refuse(&complaint, e, path, &(struct config_text){text, size}, err);
    }
    sctd_auto(config_freep) struct config *config = data;
    if (config == NULL) {
        return sctd_error(err, SCTD_EDATA, "%.160s: it is empty: see docs/configuration.md", path);
    }
    int r = set_defaults(config, err);
    r = r < 0 ? r : check(config, path, err);
    if (r == 0 && config->http != NULL) {
        r = config_http_finish(config->http, path, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_config = sctd_steal(&config);
    return 0;
}

int config_load(struct config **ret_config, const char *path, struct sctd_error *err)
{
    struct sctd_map map;
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    if (map.size == 0 || map.size > MAX_FILE) {
        r = sctd_error(err, SCTD_EDATA, "%.160s: %zu bytes: between 1 and %d are expected", path,
                       map.size, (int)MAX_FILE);
    } else {
        r = config_parse(ret_config, path, map.data, map.size, err);
    }
    sctd_map_close(&map);
    return r;
}
