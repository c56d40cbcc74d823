/* SPDX-License-Identifier: Apache-2.0 */
/* sctd receive: one association, for `sctd serve`, which starts it and gives it the connection. */
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_child.h"
#include "server/receive.h"

int cmd_receive(int argc, char **argv)
{
    static const struct cmd_child child = {
        .command = "sctd receive",
        .summary = "Serve one association.  \"sctd serve\" starts it; it is of no use by itself.",
        .confine = child_limit,
        .run = receive_run,
    };
    return cmd_child(&child, argc, argv);
}
