/*
 * cmd.h - the subcommands of sctd, each in its cmd_NAME.c.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A subcommand is a function over its own words, argv[0] being its name.  It prints what it found on
 * standard output and what went wrong on standard error, and returns the exit status.
 */
#pragma once

#include "engine/base/error.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum cmd_status {
    CMD_OK = 0,
    CMD_FAILED = 1, /* the work could not be done */
    CMD_USAGE = 2,  /* what was asked for cannot be done: an option, an operand, a name */
};

struct cmd {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* one line, no full stop; NULL: it is not shown */
};

int cmd_batch(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_bench_ingest(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_infer(int argc, char **argv);
int cmd_model(int argc, char **argv);
int cmd_model_limits(int argc, char **argv);
int cmd_phantom(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_fetch(int argc, char **argv);
int cmd_job(int argc, char **argv);
int cmd_series(int argc, char **argv);
int cmd_receive(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_worker(int argc, char **argv);
int cmd_view(int argc, char **argv);
int cmd_reprocess(int argc, char **argv);
int cmd_rules(int argc, char **argv);

/*
 * Run the command of `table`, which a row of NULL ends, that argv[1] names.  Without a word or with
 * an unknown one: CMD_USAGE; "--help", "-h" and "help" print what `parent` ("sctd") can do, and
 * "help NAME..." what a command can.
 */
int cmd_dispatch(const char *parent, const struct cmd *table, int argc, char **argv);

struct options;

/*
 * A subcommand from its words to its exit status: read them, do the work unless --help was asked for, say what went wrong.
 * operands: as options_parse gives them.
 */
typedef int (*cmd_work)(void *args, char **operands, struct sctd_error *err);
int cmd_run(const struct options *options, int argc, char **argv, cmd_work work, void *args);

/* Print "command: text" on standard error and return CMD_USAGE for SCTD_EINVAL, else CMD_FAILED. */
int cmd_fail(const char *command, const struct sctd_error *err);

/* Print what a writer has put into its buffer, if it succeeded.  Errors: those of json_writer_finish. */
SCTD_NODISCARD int cmd_print_json(const struct json_writer *w);

/* The models folder when --models-dir is not given: SCTD_MODELS_DIR, else /var/lib/sctd/models. */
const char *cmd_models_dir(void);

#ifdef __cplusplus
}
#endif
