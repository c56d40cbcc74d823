/* SPDX-License-Identifier: Apache-2.0 */
/* sctd rules: what the configuration says of series, before one arrives. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/config.h"
#include "server/options.h"
#include "server/rules.h"

enum { JSON_MAX = 64 << 20 };

struct rules_args {
    const char *config, *calling_ae_title;
    struct option_list input;
    bool json;
};

static struct rules_subject subject_of(const struct dicom_series_facts *facts,
                                       const struct rules_args *args)
{
    return (struct rules_subject){.modality = facts->modality,
                                  .calling_ae_title = args->calling_ae_title,
                                  .station_name = facts->station_name,
                                  .manufacturer = facts->manufacturer,
                                  .series_description = facts->series_description,
                                  .body_part_examined = facts->body_part_examined,
                                  .image_type = facts->image_type,
                                  .slices = facts->frames};
}

static void print_series(const struct config *config, size_t number,
                         const struct dicom_series_facts *facts,
                         const struct rules_subject *subject)
{
    const struct config_rule *hit = rules_find(config, subject);
    (void)fprintf(stdout, "series %zu: %s, %d slices, %s\n", number + 1, facts->modality,
                  facts->frames, facts->series_description);
    for (uint32_t i = 0; i < config->rules_count; i++) {
        const struct config_rule *rule = &config->rules[i];
        char why[RULES_WHY_SIZE];
        if (rule == hit) {
            (void)fprintf(stdout, "  %-20s HIT: %s\n", rule->name,
                          rule->ignore ? "ignore" : rule->model);
        } else if (rules_holds(rule, subject, why)) {
            (void)fprintf(stdout, "  %-20s holds too, but a rule before it wins\n", rule->name);
        } else {
            (void)fprintf(stdout, "  %-20s %s\n", rule->name, why);
        }
    }
    if (hit == NULL) {
        (void)fprintf(stdout, "  no rule holds: nothing is done with it\n");
    }
}

static void write_series(struct json_writer *w, const struct config *config,
                         const struct dicom_series_facts *facts,
                         const struct rules_subject *subject)
{
    const struct config_rule *hit = rules_find(config, subject);
    json_write_object_begin(w, NULL);
    json_write_string(w, "series_instance_uid", facts->series_instance_uid);
    json_write_string(w, "modality", facts->modality);
    json_write_string(w, "series_description", facts->series_description);
    json_write_int(w, "slices", facts->frames);
    if (hit == NULL) {
        json_write_null(w, "rule");
    } else {
        json_write_string(w, "rule", hit->name);
    }
    json_write_array_begin(w, "rules");
    for (uint32_t i = 0; i < config->rules_count; i++) {
        char why[RULES_WHY_SIZE];
        json_write_object_begin(w, NULL);
        json_write_string(w, "name", config->rules[i].name);
        json_write_bool(w, "holds", rules_holds(&config->rules[i], subject, why));
        json_write_string(w, "why", why);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

static int print_json(const struct config *config, const struct dicom_scan *scan,
                      const struct rules_args *args, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "series");
    for (size_t i = 0; i < dicom_scan_get_series_count(scan); i++) {
        struct dicom_series_facts facts;
        dicom_scan_get_series(scan, i, &facts);
        const struct rules_subject subject = subject_of(&facts, args);
        write_series(&w, config, &facts, &subject);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    if (r == 0) {
        (void)fprintf(stdout, "%s\n", sctd_buf_get_text(&buf));
    }
    return r;
}

static int test(void *arg, char **operands, struct sctd_error *err)
{
    const struct rules_args *args = arg;
    (void)operands;
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    int r = config_load(&config, args->config, err);
    if (r == 0) {
        r = dicom_scan_paths(&scan, args->input.item, args->input.n, err);
    }
    if (r < 0) {
        return r;
    }
    if (args->json) {
        return print_json(config, scan, args, err);
    }
    for (size_t i = 0; i < dicom_scan_get_series_count(scan); i++) {
        struct dicom_series_facts facts;
        dicom_scan_get_series(scan, i, &facts);
        const struct rules_subject subject = subject_of(&facts, args);
        print_series(config, i, &facts, &subject);
    }
    return 0;
}

static int rules_test(int argc, char **argv)
{
    struct rules_args args = {.config = CONFIG_DEFAULT_PATH, .calling_ae_title = ""};
    const struct option table[] = {
        {.name = "input",
         .kind = OPTION_LIST,
         .target = &args.input,
         .argument = "PATH",
         .help = "a file, or a folder that is searched; may be repeated",
         .required = true},
        {.name = "calling-ae-title",
         .kind = OPTION_TEXT,
         .target = (void *)&args.calling_ae_title,
         .argument = "AE",
         .help = "who would send them; files do not tell"},
        CMD_CONFIG_OPTION(args.config),
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {
        .command = "sctd rules test",
        .summary = "Tell which rule each series in files would meet, and why it does not meet the "
                   "others.",
        .option = table,
        .n = sizeof table / sizeof *table,
    };
    return cmd_run(&options, argc, argv, test, &args);
}

static int rules_check(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct rules_args args = {.config = CONFIG_DEFAULT_PATH};
    const struct option table[] = {CMD_CONFIG_OPTION(args.config)};
    const struct options options = {
        .command = "sctd rules check",
        .summary = "Read the configuration and say whether it is good.",
        .option = table,
        .n = sizeof table / sizeof *table,
    };
    char **operands = NULL;
    sctd_auto(config_freep) struct config *config = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    r = r < 0 ? r : config_load(&config, args.config, &err);
    if (r < 0) {
        return cmd_fail(options.command, &err);
    }
    (void)fprintf(stdout, "%s: good: %u peers, %u destinations, %u rules\n", args.config,
                  config->peers_count, config->destinations_count, config->rules_count);
    return CMD_OK;
}

int cmd_rules(int argc, char **argv)
{
    static const struct cmd table[] = {
        {"check", rules_check, "read the configuration and say whether it is good"},
        {"test", rules_test, "which rule series in files would meet, and why"},
        {NULL, NULL, NULL},
    };
    return cmd_dispatch("sctd rules", table, argc, argv);
}
