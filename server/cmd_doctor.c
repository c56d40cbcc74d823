/* SPDX-License-Identifier: Apache-2.0 */
/* sctd doctor: is all there that the daemon needs? */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/config.h"
#include "server/doctor.h"

static const char command[] = "sctd doctor";

enum { JSON_MAX = 1 << 20 };

static void print(void *arg, const struct doctor_finding *finding)
{
    (void)fprintf(arg, "%-8s %s: %s\n", doctor_outcome_name(finding->outcome), finding->subject,
                  finding->text);
    (void)fflush(arg);
}

static void write_json(void *arg, const struct doctor_finding *finding)
{
    struct json_writer *w = arg;
    json_write_object_begin(w, NULL);
    json_write_string(w, "outcome", doctor_outcome_name(finding->outcome));
    json_write_string(w, "subject", finding->subject);
    json_write_string(w, "text", finding->text);
    json_write_object_end(w);
}

static int run_json(const char *config, enum doctor_outcome *ret_worst, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "findings");
    *ret_worst = doctor_run(config, write_json, &w);
    json_write_array_end(&w);
    json_write_string(&w, "outcome", doctor_outcome_name(*ret_worst));
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

int cmd_doctor(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *config = CONFIG_DEFAULT_PATH;
    bool json = false;
    const struct option table[] = {CMD_CONFIG_OPTION(config), CMD_JSON_OPTION(json)};
    const struct options options = {
        .command = command,
        .summary =
            "Look at the configuration, the disk, the job store, each model (its hash, and a batch "
            "through it\non each of the workers' backends) and each destination (C-ECHO).  The exit status is 1 if anything failed.",
        .option = table,
        .n = sizeof table / sizeof table[0],
    };
    enum doctor_outcome worst = DOCTOR_GOOD;
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    if (r == 0 && json) {
        r = run_json(config, &worst, &err);
    } else if (r == 0) {
        worst = doctor_run(config, print, stdout);
    }
    if (r < 0) {
        return cmd_fail(command, &err);
    }
    return worst == DOCTOR_BAD ? CMD_FAILED : CMD_OK;
}
