/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cmd_child.h"

#include <signal.h>
#include <stddef.h>

#include "engine/base/error.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/options.h"

static volatile sig_atomic_t stop;

static void ask_to_stop(int number)
{
    (void)number;
    stop = 1;
}

int cmd_child(const struct cmd_child *child, int argc, char **argv)
{
    const struct options options = {.command = child->command, .summary = child->summary};
    const struct sigaction action = {.sa_handler = ask_to_stop};
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    if (r == 0 && !child_is_one()) {
        r = sctd_error(&err, SCTD_EINVAL, "not started by \"sctd serve\"");
    }
    if (r < 0) {
        return cmd_fail(child->command, &err);
    }
    child_end_with_parent();
    (void)sigaction(SIGTERM, &action, NULL);
    r = child->confine(&err);
    r = r < 0 ? r : child->run(CHILD_FRAME_FD, &stop, &err);
    return r < 0 ? cmd_fail(child->command, &err) : CMD_OK;
}
