/* SPDX-License-Identifier: Apache-2.0 */
/* sctd send: one delivery, for `sctd serve`, which starts it and says what goes where. */
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_child.h"
#include "server/send.h"

int cmd_send(int argc, char **argv)
{
    static const struct cmd_child child = {
        .command = "sctd send",
        .summary = "Deliver a series.  \"sctd serve\" starts it; it is of no use by itself.",
        .confine = child_limit,
        .run = send_run,
    };
    return cmd_child(&child, argc, argv);
}
