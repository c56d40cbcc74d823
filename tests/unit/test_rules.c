/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "server/config.h"
#include "server/rules.h"

static const struct rules_subject head = {.modality = "MR",
                                          .calling_ae_title = "MR_ROOM_3",
                                          .station_name = "mr3",
                                          .manufacturer = "SIEMENS",
                                          .series_description = "t1_mprage sag Head",
                                          .body_part_examined = "HEAD",
                                          .image_type = "ORIGINAL\\PRIMARY\\M\\ND",
                                          .slices = 176};

static struct config *load(const char *match)
{
    char text[512];
    struct sctd_error err = {0};
    struct config *config = NULL;
    (void)snprintf(text, sizeof text, "rules: [{name: a, model: m, match: {%s}}]\n", match);
    const int r = config_parse(&config, "sctd.yaml", text, strlen(text), &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(r == 0);
    return config;
}

static void each_condition_holds_or_says_why_not(void)
{
    static const struct {
        const char *match;
        const char *why; /* NULL: it holds */
    } cases[] = {
        {"", NULL},
        {"modality: MR", NULL},
        {"modality: mr", NULL},
        {"modality: CT", "modality is \"MR\", the rule wants \"CT\""},
        {"calling_ae_title: MR_*", NULL},
        {"calling_ae_title: CT_*", "calling_ae_title is \"MR_ROOM_3\""},
        {"station_name: MR3", NULL},
        {"station_name: mr", "station_name is \"mr3\""},
        {"manufacturer: siemens*", NULL},
        {"manufacturer: GE*", "manufacturer is \"SIEMENS\""},
        {"series_description: '^t1.*(head|brain)$'", NULL},
        {"series_description: '^head'", "series_description is"},
        {"body_part_examined: HEAD", NULL},
        {"body_part_examined: PELVIS", "body_part_examined is \"HEAD\""},
        {"image_type: [ORIGINAL, '*', M]", NULL},
        {"image_type: [ORIGINAL, PRIMARY, P]", "image_type is"},
        {"image_type: ['*', '*', '*', '*', '*']", "image_type is"},
        {"min_slices: 176, max_slices: 176", NULL},
        {"min_slices: 177", "it has 176 slices, the rule wants at least 177"},
        {"max_slices: 175", "it has 176 slices, the rule wants at most 175"},
        {"modality: MR, max_slices: 10", "at most 10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config *config = load(cases[i].match);
        char why[RULES_WHY_SIZE] = "?";
        const bool holds = rules_holds(&config->rules[0], &head, why);
        if (holds != (cases[i].why == NULL) ||
            strstr(why, cases[i].why == NULL ? "" : cases[i].why) == NULL) {
            (void)fprintf(stderr, "%s: %d %s\n", cases[i].match, holds, why);
        }
        assert(holds == (cases[i].why == NULL));
        assert(strstr(why, cases[i].why == NULL ? "" : cases[i].why) != NULL);
        assert((rules_find(config, &head) != NULL) == holds);
        config_free(config);
    }
}

static void first_rule_that_holds_wins(void)
{
    static const char text[] = "rules:\n"
                               "  - {name: ct, match: {modality: CT}, model: a}\n"
                               "  - {name: mr, match: {modality: MR}, model: b}\n"
                               "  - {name: rest, ignore: true}\n";
    struct sctd_error err = {0};
    struct config *config = NULL;
    assert(config_parse(&config, "sctd.yaml", text, sizeof text - 1, &err) == 0);
    assert(strcmp(rules_find(config, &head)->name, "mr") == 0);
    struct rules_subject other = head;
    other.modality = "PT";
    assert(strcmp(rules_find(config, &other)->name, "rest") == 0);
    config_free(config);
}

static void broken_pattern_is_refused_when_the_file_is_read(void)
{
    static const char text[] =
        "rules: [{name: a, model: m, match: {series_description: '(head'}}]\n";
    struct sctd_error err = {0};
    struct config *config = NULL;
    assert(config_parse(&config, "sctd.yaml", text, sizeof text - 1, &err) == SCTD_EDATA);
    assert(strstr(err.text, "rule \"a\": series_description is no regular expression") != NULL);
}

int main(void)
{
    each_condition_holds_or_says_why_not();
    first_rule_that_holds_wins();
    broken_pattern_is_refused_when_the_file_is_read();
    return 0;
}
