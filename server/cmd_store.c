/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cmd_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "db/db.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/parse.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/config.h"
#include "server/control.h"

enum { VALUE_MAX = 9 };

int cmd_store_open(struct config **ret_config, struct db **ret_db, const char *path,
                   struct sctd_error *err)
{
    char store[SCTD_PATH_MAX];
    sctd_auto(config_freep) struct config *config = NULL;
    int r = config_load(&config, path, err);
    r = r < 0 ? r : sctd_path_join(store, config->state_dir, "jobs.db", err);
    r = r < 0 ? r : db_open_reader(ret_db, store, err);
    if (r == 0) {
        *ret_config = sctd_steal(&config);
    }
    return r;
}

void cmd_store_print_time(char text[CMD_TIME_SIZE], int64_t wall_ms)
{
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm local;
    if (wall_ms == 0 || localtime_r(&s, &local) == NULL ||
        strftime(text, CMD_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        (void)snprintf(text, CMD_TIME_SIZE, "-");
    }
}

static int ask(const char *config_path, const struct control_request *request,
               struct control_answer *ret_answer, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(config_freep) struct config *config = NULL;
    int r = config_load(&config, config_path, err);
    r = r < 0 ? r : sctd_path_join(path, config->state_dir, CONTROL_SOCKET, err);
    return r < 0 ? r : control_ask(path, request, ret_answer, err);
}

int cmd_store_ask(const struct cmd_action *action, int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *config = CONFIG_DEFAULT_PATH;
    const char *reason = "";
    const int operands_wanted = action->value == NULL ? 1 : 2;
    const struct option table[] = {
        CMD_CONFIG_OPTION(config),
        {.name = "reason",
         .kind = OPTION_TEXT,
         .target = (void *)&reason,
         .argument = "TEXT",
         .help = "kept in the history; no patient data"},
    };
    const struct options options = {
        .command = action->command,
        .operands = action->value == NULL ? "ID" : action->value,
        .summary = action->summary,
        .option = table,
        .n = sizeof table / sizeof table[0],
        .min_operands = operands_wanted,
        .max_operands = operands_wanted,
    };
    char **operands = NULL;
    struct control_request request = {.id = 0};
    struct control_answer answer = {.done = false};
    int64_t value = 0;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    r = r < 0 ? r : sctd_parse_i64(&request.id, operands[0], 1, INT64_MAX, &err);
    if (r == 0 && operands_wanted == 2) {
        r = sctd_parse_i64(&value, operands[1], 0, VALUE_MAX, &err);
    }
    if (r == 0 && action->needs_reason && reason[0] == '\0') {
        r = sctd_error(&err, SCTD_EINVAL, "--reason is missing: say why, without patient data");
    }
    request.value = (int32_t)value;
    (void)snprintf(request.action, sizeof request.action, "%s", action->action);
    (void)snprintf(request.reason, sizeof request.reason, "%.240s", reason);
    r = r < 0 ? r : ask(config, &request, &answer, &err);
    if (r < 0) {
        return cmd_fail(action->command, &err);
    }
    if (!answer.done) {
        (void)fprintf(stderr, "%s: %s\n", action->command, answer.text);
        return CMD_FAILED;
    }
    return CMD_OK;
}
