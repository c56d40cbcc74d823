/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cmd.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/options.h"

enum { CMDS_MAX = 32 };

static void print_table(const char *parent, const struct cmd *table, FILE *out)
{
    (void)fprintf(out, "usage: %s COMMAND [OPTION]...\n\nCommands:\n", parent);
    for (size_t i = 0; table[i].name != NULL; i++) {
        if (table[i].help != NULL) {
            (void)fprintf(out, "  %-10s %s\n", table[i].name, table[i].help);
        }
    }
    (void)fprintf(out, "\n\"%s COMMAND --help\" tells the options of a command.\n", parent);
}

static const struct cmd *find(const struct cmd *table, const char *name)
{
    for (size_t i = 0; table[i].name != NULL; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static int refuse(const char *parent, const struct cmd *table, const char *name)
{
    const char *words[CMDS_MAX] = {NULL};
    size_t n = 0;
    for (size_t i = 0; n < CMDS_MAX && table[i].name != NULL; i++) {
        if (table[i].help != NULL) {
            words[n++] = table[i].name;
        }
    }
    const char *nearest = options_suggest(name, words, n);
    if (nearest != NULL) {
        (void)fprintf(stderr, "%s: there is no command \"%.64s\": did you mean \"%s\"?\n", parent,
                      name, nearest);
    } else {
        (void)fprintf(stderr, "%s: there is no command \"%.64s\": see %s --help\n", parent, name,
                      parent);
    }
    return CMD_USAGE;
}

/* words: {name, --help} or {name, name within it, --help}. */
static int run_help(const char *parent, const struct cmd *table, int n, char **names)
{
    if (n == 0) {
        print_table(parent, table, stdout);
        return CMD_OK;
    }
    const struct cmd *cmd = find(table, names[0]);
    if (cmd == NULL) {
        return refuse(parent, table, names[0]);
    }
    char help[] = "--help";
    char *words[] = {names[0], help, NULL, NULL};
    if (n > 1) {
        words[1] = names[1];
        words[2] = help;
    }
    return cmd->run(n > 1 ? 3 : 2, words);
}

int cmd_dispatch(const char *parent, const struct cmd *table, int argc, char **argv)
{
    if (argc < 2) {
        print_table(parent, table, stderr);
        return CMD_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return run_help(parent, table, argc - 2, argv + 2);
    }
    const struct cmd *cmd = find(table, name);
    return cmd == NULL ? refuse(parent, table, name) : cmd->run(argc - 1, argv + 1);
}

int cmd_fail(const char *command, const struct sctd_error *err)
{
    (void)fprintf(stderr, "%s: %s\n", command, err->text);
    return err->code == SCTD_EINVAL ? CMD_USAGE : CMD_FAILED;
}

int cmd_print_json(const struct json_writer *w)
{
    int r = json_writer_finish(w);
    if (r == 0) {
        (void)fprintf(stdout, "%s\n", sctd_buf_get_text(w->buf));
    }
    return r;
}

const char *cmd_models_dir(void)
{
    const char *dir = getenv("SCTD_MODELS_DIR"); // NOLINT(concurrency-mt-unsafe): one thread yet
    return dir != NULL && *dir != '\0' ? dir : "/var/lib/sctd/models";
}

int cmd_run(const struct options *options, int argc, char **argv, cmd_work work, void *args)
{
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    int r = options_parse(options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    r = r < 0 ? r : work(args, operands, &err);
    return r < 0 ? cmd_fail(options->command, &err) : CMD_OK;
}
