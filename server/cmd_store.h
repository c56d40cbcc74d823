/* cmd_store.h - what subcommands about jobs and series share: the store read, the daemon asked. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CMD_TIME_SIZE = 32 };

/* The configuration and, beside a daemon or without one, its job store for reading.  The caller frees both.
 * Errors: those of config_load and db_open_reader. */
SCTD_NODISCARD int cmd_store_open(struct config **ret_config, struct db **ret_db, const char *path,
                                  struct sctd_error *err);

/* "2026-11-25 14:03:07" in local time; "-" for 0. */
void cmd_store_print_time(char text[CMD_TIME_SIZE], int64_t wall_ms);

/* An action of operate.h by its words: argv as of a subcommand that takes one ID and --reason (and a value).
 * Returns the subcommand's exit status. */
struct cmd_action {
    const char *command, *action, *summary;
    const char *value; /* what the second operand is called; NULL: there is none */
    bool needs_reason;
};
int cmd_store_ask(const struct cmd_action *action, int argc, char **argv);

#ifdef __cplusplus
}
#endif
