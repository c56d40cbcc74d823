/* SPDX-License-Identifier: Apache-2.0 */
/* sctd worker: jobs, for `sctd serve`, which starts it and gives them to it. */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "engine/base/error.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_child.h"
#include "server/worker.h"

/* How much memory it may have comes with the first job. */
static int confine(struct sctd_error *err)
{
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return child_deny_network(err);
}

int cmd_worker(int argc, char **argv)
{
    static const struct cmd_child child = {
        .command = "sctd worker",
        .summary = "Do jobs.  \"sctd serve\" starts it; it is of no use by itself.",
        .confine = confine,
        .run = worker_run,
    };
    return cmd_child(&child, argc, argv);
}
