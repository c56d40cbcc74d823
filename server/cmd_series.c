/* SPDX-License-Identifier: Apache-2.0 */
/* sctd series: what came in, and a hand on when it is complete. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/db.h"
#include "db/instances.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/cmd_store.h"
#include "server/config.h"
#include "server/members.h"

enum { JSON_MAX = 16 << 20, LIMIT = 50 };

struct series_args {
    const char *config;
    int64_t limit;
    bool json, open;
};

static void write_series(struct json_writer *w, const struct db_series *s)
{
    json_write_object_begin(w, NULL);
    members_write_series(w, s);
    json_write_int(w, "expected", s->expected);
    json_write_int(w, "first_ms", s->first_ms);
    json_write_int(w, "last_ms", s->last_ms);
    json_write_int(w, "closed_ms", s->closed_ms);
    json_write_object_end(w);
}

static int print_json(const struct db_series_page *page, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "series");
    for (size_t i = 0; i < page->n; i++) {
        write_series(&w, &page->series[i]);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static void print(const struct db_series_page *page)
{
    (void)fprintf(stdout, "%6s %-9s %-19s %-8s %9s %-16s %-24s %s\n", "series", "state", "last",
                  "modality", "instances", "from", "description", "reason");
    for (size_t i = 0; i < page->n; i++) {
        const struct db_series *s = &page->series[i];
        char last[CMD_TIME_SIZE];
        cmd_store_print_time(last, s->last_ms);
        (void)fprintf(stdout, "%6" PRId64 " %-9s %-19s %-8s %9d %-16s %-24.24s %s\n", s->id,
                      db_series_state_name(s->state), last, s->modality, s->instances,
                      s->calling_ae, s->series_description, s->reason);
    }
}

static int list(void *arg, char **operands, struct sctd_error *err)
{
    const struct series_args *args = arg;
    (void)operands;
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(db_series_page_fini) struct db_series_page page = {.n = 0};
    const struct db_series_filter filter = {.state = args->open ? DB_SERIES_OPEN : -1,
                                            .limit = (size_t)args->limit};
    int r = cmd_store_open(&config, &db, args->config, err);
    r = r < 0 ? r : db_series_list(db, &filter, &page, err);
    if (r == 0 && args->json) {
        return print_json(&page, err);
    }
    if (r == 0) {
        print(&page);
    }
    return r;
}

static int series_list(int argc, char **argv)
{
    struct series_args args = {.config = CONFIG_DEFAULT_PATH, .limit = LIMIT};
    const struct option table[] = {
        CMD_CONFIG_OPTION(args.config),
        {.name = "open",
         .kind = OPTION_FLAG,
         .target = &args.open,
         .help = "only those that are not complete yet"},
        CMD_LIMIT_OPTION(args.limit),
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {.command = "sctd series list",
                                    .summary = "List the series that came in, the newest first.",
                                    .option = table,
                                    .n = sizeof table / sizeof table[0]};
    return cmd_run(&options, argc, argv, list, &args);
}

static int series_complete(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd series complete", "series-complete",
        "Take an open series for complete now, whatever may still come; the rules decide what is made of it.",
        NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

static int series_discard(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd series discard", "series-discard",
        "Make nothing of an open series.  Its files go when retention lets them.", NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

static int series_reopen(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd series reopen", "series-reopen",
        "Open a discarded series again, for instance after a change of the rules.", NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

int cmd_series(int argc, char **argv)
{
    static const struct cmd table[] = {
        {"list", series_list, "what came in, the newest first"},
        {"complete", series_complete, "take an open one for complete now"},
        {"discard", series_discard, "make nothing of an open one"},
        {"reopen", series_reopen, "take that back"},
        {NULL, NULL, NULL},
    };
    return cmd_dispatch("sctd series", table, argc, argv);
}
