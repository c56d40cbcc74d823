/* SPDX-License-Identifier: Apache-2.0 */
/* sctd token: a new token for the HTTP API, with what the configuration must say of it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/http/access.h"
#include "server/options.h"

static const char command[] = "sctd token";

struct token_words {
    const char *name, *role;
    bool identity, json;
};

static int print_token(void *arg, char **operands, struct sctd_error *err)
{
    const struct token_words *words = arg;
    (void)operands;
    enum { TEXT_MAX = 4096 };
    char token[ACCESS_SECRET_SIZE];
    char sha256[SHA256_HEX_SIZE];
    int r = access_make_token(token, err);
    if (r < 0) {
        return r;
    }
    sha256_hex_of(token, strlen(token), sha256);
    if (!words->json) {
        (void)fprintf(stdout,
                      "%s\n\nIt is shown this once.  In sctd.yaml, and then SIGHUP:\n\n"
                      "http:\n  tokens:\n    - name: %s\n      role: %s\n%s      sha256: %s\n",
                      token, words->name, words->role,
                      words->identity ? "      identity: true\n" : "", sha256);
        return 0;
    }
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(TEXT_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "token", token);
    json_write_string(&w, "name", words->name);
    json_write_string(&w, "role", words->role);
    json_write_bool(&w, "identity", words->identity);
    json_write_string(&w, "sha256", sha256);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

int cmd_token(int argc, char **argv)
{
    struct token_words words = {.role = "viewer"};
    const struct option table[] = {
        {.name = "name",
         .kind = OPTION_TEXT,
         .target = (void *)&words.name,
         .argument = "NAME",
         .help = "whose it is, for the audit log",
         .required = true},
        {.name = "role",
         .kind = OPTION_CHOICE,
         .target = (void *)&words.role,
         .argument = "ROLE",
         .help = "viewer reads, operator also acts on jobs, series and destinations, admin does "
                 "everything (default: viewer)",
         .choices = "viewer|operator|admin"},
        {.name = "identity",
         .kind = OPTION_FLAG,
         .target = &words.identity,
         .help = "may also see who patients are"},
        CMD_JSON_OPTION(words.json),
    };
    const struct options options = {
        .command = command,
        .summary = "Make a token for the HTTP API.  The configuration keeps only its hash.",
        .option = table,
        .n = sizeof table / sizeof table[0],
    };
    return cmd_run(&options, argc, argv, print_token, &words);
}
