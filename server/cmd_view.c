/* SPDX-License-Identifier: Apache-2.0 */
/* sctd view: pictures of series and jobs, for `sctd serve`, which starts it and asks it. */
#include "engine/base/error.h"
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_child.h"
#include "server/viewer.h"

/* How much memory it may have comes with its subject. */
static int confine(struct sctd_error *err)
{
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
