/* SPDX-License-Identifier: Apache-2.0 */
/* sctd view: pictures of series and jobs, for `sctd serve`, which starts it and asks it. */
#include <sys/resource.h>

#include "engine/base/error.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_child.h"
#include "server/viewer.h"

enum { NICE = 5 };

/* How much memory it may have comes with its subject. */
static int confine(struct sctd_error *err)
{
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* after those that receive and convert */
    int r = child_limit_to(0, err);
    return r < 0 ? r : child_deny_network(err);
}

int cmd_view(int argc, char **argv)
{
    static const struct cmd_child child = {
        .command = "sctd view",
        .summary = "Draw pictures.  \"sctd serve\" starts it; it is of no use by itself.",
        .confine = confine,
        .run = viewer_run,
    };
    return cmd_child(&child, argc, argv);
}
