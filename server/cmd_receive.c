/* SPDX-License-Identifier: Apache-2.0 */
/* sctd receive: one association, for `sctd serve`, which starts it and gives it the connection. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "engine/base/error.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/options.h"
#include "server/receive.h"

enum { FILES_MAX = 64 };
#define STACK_MAX  ((rlim_t)1 << 20)
#define MEMORY_MAX ((rlim_t)1 << 30)

static volatile sig_atomic_t stop;

static void ask_to_stop(int number)
{
    (void)number;
    stop = 1;
}

/* What a hostile peer makes this process do ends with this process. */
static void limit(void)
{
    const struct {
        int resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_STACK, STACK_MAX},
        {RLIMIT_NOFILE, FILES_MAX},
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        {RLIMIT_AS, MEMORY_MAX}, /* sanitizers reserve terabytes */
#endif
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct rlimit r = {limits[i].value, limits[i].value};
        (void)setrlimit((__rlimit_resource_t)limits[i].resource, &r);
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int cmd_receive(int argc, char **argv)
{
    static const char command[] = "sctd receive";
    const struct options options = {
        .command = command,
        .summary = "Serve one association.  \"sctd serve\" starts it; it is of no use by itself.",
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
    limit();
    const struct sigaction action = {.sa_handler = ask_to_stop};
    (void)sigaction(SIGTERM, &action, NULL);
    return receive_run(CHILD_FRAME_FD, &stop, &err) < 0 ? cmd_fail(command, &err) : CMD_OK;
}
