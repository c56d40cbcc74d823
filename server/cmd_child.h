/* cmd_child.h - the subcommands that only `sctd serve` starts: receive, worker, view and send. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cmd_child {
    const char *command, *summary;
    /* What this process gives up before it begins. */
    int (*confine)(struct sctd_error *err);
    /* Its work, until the parent closes the socket or SIGTERM sets *stop. */
    int (*run)(int frame_fd, const volatile sig_atomic_t *stop, struct sctd_error *err);
};

/* Returns the exit status. */
int cmd_child(const struct cmd_child *child, int argc, char **argv);

#ifdef __cplusplus
}
#endif
