/* SPDX-License-Identifier: Apache-2.0 */
/* sctd worker: jobs, for `sctd serve`, which starts it and gives them to it. */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "engine/base/error.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/options.h"
#include "server/worker.h"

static volatile sig_atomic_t stop;

static void ask_to_stop(int number)
{
    (void)number;
    stop = 1;
}

int cmd_worker(int argc, char **argv)
{
    static const char command[] = "sctd worker";
    const struct options options = {
        .command = command,
        .summary = "Do jobs.  \"sctd serve\" starts it; it is of no use by itself.",
    };
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
        return cmd_fail(command, &err);
    }
    child_end_with_parent();
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    const struct sigaction action = {.sa_handler = ask_to_stop};
    (void)sigaction(SIGTERM, &action, NULL);
    if (child_deny_network(&err) < 0) {
        return cmd_fail(command, &err);
    }
    return worker_run(CHILD_FRAME_FD, &stop, &err) < 0 ? cmd_fail(command, &err) : CMD_OK;
}
