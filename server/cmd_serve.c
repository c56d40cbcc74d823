/* SPDX-License-Identifier: Apache-2.0 */
/* sctd serve: the daemon. */
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/config.h"
#include "server/serve.h"

static const char command[] = "sctd serve";

int cmd_serve(int argc, char **argv)
{
    char program[SCTD_PATH_MAX];
    struct sctd_error err = {.code = SCTD_OK};
    struct serve_options serve = {.config = CONFIG_DEFAULT_PATH, .program = program};
    const struct option table[] = {
        CMD_CONFIG_OPTION(serve.config),
        {.name = "print-port",
         .kind = OPTION_FLAG,
         .target = &serve.print_port,
         .help = "print \"port N\" on standard output when peers may come"},
    };
    const struct options options = {
        .command = command,
        .summary = "Receive series, convert them and send the synthetic CT on, until SIGTERM.\n"
                   "SIGHUP reads the configuration again; a mistake in it changes nothing.",
        .option = table,
        .n = sizeof table / sizeof table[0],
    };
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    r = r < 0 ? r : child_find_program(program, &err);
    r = r < 0 ? r : serve_run(&serve, &err);
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}
