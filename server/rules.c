/* SPDX-License-Identifier: Apache-2.0 */
#include "server/rules.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"

static bool fits(const char *pattern, const char *text)
{
    return fnmatch(pattern, text, FNM_CASEFOLD) == 0;
}

static bool is_found(const char *pattern, const char *text)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0) {
        return false;
    }
    const bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

bool rules_is_pattern(const char *text)
{
    regex_t regex;
    if (regcomp(&regex, text, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0) {
        return false;
    }
    regfree(&regex);
    return true;
}

/* Value by value; the rule may have fewer, the image must have them all. */
static bool fits_image_type(const struct config_match *match, const char *image_type)
{
    const char *at = image_type;
    for (uint32_t i = 0; i < match->image_type_count; i++) {
        char value[65];
        if (at == NULL) {
            return false;
        }
        const size_t n = strcspn(at, "\\");
        (void)snprintf(value, sizeof value, "%.*s", (int)(n < sizeof value ? n : sizeof value - 1),
                       at);
        if (!fits(match->image_type[i], value)) {
            return false;
        }
        at = at[n] == '\\' ? at + n + 1 : NULL;
    }
    return true;
}

struct condition {
    const char *key, *wanted, *is;
    bool (*holds)(const char *wanted, const char *is);
};

/* How many conditions do not hold; ret_why names the first of them. */
static int count_misses(const struct config_rule *rule, const struct rules_subject *s,
                        char ret_why[RULES_WHY_SIZE])
{
    const struct config_match *m = &rule->match;
    const struct condition conditions[] = {
        {"modality", m->modality, s->modality, fits},
        {"calling_ae_title", m->calling_ae_title, s->calling_ae_title, fits},
        {"station_name", m->station_name, s->station_name, fits},
        {"manufacturer", m->manufacturer, s->manufacturer, fits},
        {"series_description", m->series_description, s->series_description, is_found},
        {"body_part_examined", m->body_part_examined, s->body_part_examined, fits},
    };
    int misses = 0;
    ret_why[0] = '\0';
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct condition *c = &conditions[i];
        if (c->wanted != NULL && !c->holds(c->wanted, c->is) && misses++ == 0) {
            (void)snprintf(ret_why, RULES_WHY_SIZE, "%s is \"%.60s\", the rule wants \"%.60s\"",
                           c->key, c->is, c->wanted);
        }
    }
    if (!fits_image_type(m, s->image_type) && misses++ == 0) {
        (void)snprintf(ret_why, RULES_WHY_SIZE, "image_type is \"%.100s\"", s->image_type);
    }
    const bool too_few = s->slices < m->min_slices;
    if ((too_few || (m->max_slices > 0 && s->slices > m->max_slices)) && misses++ == 0) {
        (void)snprintf(ret_why, RULES_WHY_SIZE, "it has %d slices, the rule wants %s %d", s->slices,
                       too_few ? "at least" : "at most", too_few ? m->min_slices : m->max_slices);
    }
    return misses;
}

bool rules_holds(const struct config_rule *rule, const struct rules_subject *subject,
                 char ret_why[RULES_WHY_SIZE])
{
    return count_misses(rule, subject, ret_why) == 0;
}

const struct config_rule *rules_nearest(const struct config *config,
                                        const struct rules_subject *subject, int *ret_misses,
                                        char ret_why[RULES_WHY_SIZE])
{
    const struct config_rule *nearest = NULL;
    char why[RULES_WHY_SIZE];
    for (uint32_t i = 0; i < config->rules_count; i++) {
        const int misses = count_misses(&config->rules[i], subject, why);
        if (misses > 0 && (nearest == NULL || misses < *ret_misses)) {
            nearest = &config->rules[i];
            *ret_misses = misses;
            memcpy(ret_why, why, sizeof why);
        }
    }
    return nearest;
}

const struct config_rule *rules_find(const struct config *config,
                                     const struct rules_subject *subject)
{
    char why[RULES_WHY_SIZE];
    for (uint32_t i = 0; i < config->rules_count; i++) {
        if (rules_holds(&config->rules[i], subject, why)) {
            return &config->rules[i];
        }
    }
    return NULL;
}
