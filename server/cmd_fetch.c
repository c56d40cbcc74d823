/* SPDX-License-Identifier: Apache-2.0 */
/* sctd fetch: one query or one series, for `sctd serve` and `sctd reprocess`, which start it. */
#include "server/child.h"
#include "server/cmd.h"
#include "server/cmd_child.h"
#include "server/fetch.h"

int cmd_fetch(int argc, char **argv)
{
    static const struct cmd_child child = {
        .command = "sctd fetch",
        .summary = "Ask a PACS, or fetch a series.  Others start it; it is of no use by itself.",
        .confine = child_limit,
        .run = fetch_run,
    };
    return cmd_child(&child, argc, argv);
}
