/* SPDX-License-Identifier: Apache-2.0 */
/* sctd batch: retrospective batches of the daemon, and a hand on them. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "db/batches.h"
#include "db/db.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/parse.h"
#include "server/batch_view.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/cmd_store.h"
#include "server/config.h"

enum { REPORT_MAX = 256 << 20, LIMIT = 50, LEFT_SIZE = 32, MINUTE_MS = 60000 };

struct batch_args {
    const char *config, *output;
    int64_t limit;
    bool json;
};

static void print_left(char text[LEFT_SIZE], const struct db_batch *batch)
{
    const int64_t ms = batch_view_left_ms(batch);
    if (batch->state > DB_BATCH_RUNNING) {
        (void)snprintf(text, LEFT_SIZE, "-");
    } else if (ms < 0) {
        (void)snprintf(text, LEFT_SIZE, "?");
    } else {
        const int64_t minutes = (ms + MINUTE_MS - 1) / MINUTE_MS;
        (void)snprintf(text, LEFT_SIZE, "%" PRId64 ":%02d h", minutes / 60, (int)(minutes % 60));
    }
}

/* The list */

static int print_list_json(const struct db_batch_page *page, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(REPORT_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "batches");
    for (size_t i = 0; i < page->n; i++) {
        batch_view_write(&w, NULL, &page->batch[i]);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static void print_list(const struct db_batch_page *page)
{
    (void)fprintf(stdout, "%6s %-10s %-19s %13s %9s %s\n", "batch", "state", "created", "series",
                  "left", "what");
    for (size_t i = 0; i < page->n; i++) {
        const struct db_batch *b = &page->batch[i];
        char created[CMD_TIME_SIZE];
        char left[LEFT_SIZE];
        cmd_store_print_time(created, b->created_ms);
        print_left(left, b);
        (void)fprintf(stdout, "%6" PRId64 " %-10s %-19s %6" PRId64 "/%-6" PRId64 " %9s %s%s%s\n",
                      b->id, batch_view_state(b), created, batch_view_ended(b), batch_view_total(b),
                      left, b->name, b->name[0] == '\0' ? "" : ": ", b->description);
    }
}

static int list(void *arg, char **operands, struct sctd_error *err)
{
    const struct batch_args *args = arg;
    (void)operands;
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(db_batch_page_fini) struct db_batch_page page = {.n = 0};
    const struct db_batch_filter filter = {.state = -1, .limit = (size_t)args->limit};
    int r = cmd_store_open(&config, &db, args->config, err);
    r = r < 0 ? r : db_batch_list(db, &filter, &page, err);
    if (r == 0 && args->json) {
        return print_list_json(&page, err);
    }
    if (r == 0) {
        print_list(&page);
    }
    return r;
}

static int batch_list(int argc, char **argv)
{
    struct batch_args args = {.config = CONFIG_DEFAULT_PATH, .limit = LIMIT};
    const struct option table[] = {
        CMD_CONFIG_OPTION(args.config),
        CMD_LIMIT_OPTION(args.limit),
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {.command = "sctd batch list",
                                    .summary = "List batches, the newest first.",
                                    .option = table,
                                    .n = sizeof table / sizeof table[0]};
    return cmd_run(&options, argc, argv, list, &args);
}

/* One batch */

static int print_item(void *arg, const struct db_item *item, struct sctd_error *err)
{
    const char *reason = batch_view_reason(item);
    (void)arg;
    (void)err;
    (void)fprintf(stdout, "  %-10s %-8s %-4s %5d  %-24.24s %s%s%s\n",
                  db_item_state_name(item->state), item->study_date, item->modality, item->expected,
                  item->series_description, item->series_uid, reason[0] == '\0' ? "" : ": ",
                  reason);
    return 0;
}

static int print_batch(struct db *db, int64_t id, struct sctd_error *err)
{
    struct db_batch b;
    char left[LEFT_SIZE];
    const int r = db_batch_get(db, id, &b, err);
    if (r != 0) {
        return r;
    }
    print_left(left, &b);
    (void)fprintf(stdout, "batch %" PRId64 "%s%s: %s, %" PRId64 " of %" PRId64 " series, left %s\n",
                  b.id, b.name[0] == '\0' ? "" : " ", b.name, batch_view_state(&b),
                  batch_view_ended(&b), batch_view_total(&b), left);
    (void)fprintf(stdout, "  from      %s\n  last      %s\n  series   ", b.description, b.reason);
    for (int i = 0; i < DB_ITEM_STATES; i++) {
        if (b.items[i] > 0) {
            (void)fprintf(stdout, " %" PRId64 " %s", b.items[i],
                          db_item_state_name((enum db_item_state)i));
        }
    }
    (void)fprintf(stdout, "\n");
    return batch_view_for_items(db, id, print_item, NULL, err);
}

static int open_one(const struct batch_args *args, const char *id_text, struct config **config,
                    struct db **db, int64_t *ret_id, struct sctd_error *err)
{
    const int r = sctd_parse_i64(ret_id, id_text, 1, INT64_MAX, err);
    return r < 0 ? r : cmd_store_open(config, db, args->config, err);
}

static int no_such(int64_t id, struct sctd_error *err)
{
    return sctd_error(err, SCTD_EINVAL, "there is no batch %" PRId64, id);
}

static int show(void *arg, char **operands, struct sctd_error *err)
{
    const struct batch_args *args = arg;
    const char *id_text = operands[0];
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(REPORT_MAX);
    int64_t id = 0;
    int r = open_one(args, id_text, &config, &db, &id, err);
    if (r < 0) {
        return r;
    }
    if (!args->json) {
        r = print_batch(db, id, err);
    } else {
        r = batch_view_report_json(&text, db, id, err);
        (void)fprintf(stdout, "%s\n", r == 0 ? sctd_buf_get_text(&text) : "");
    }
    return r == DB_NONE ? no_such(id, err) : r;
}

static int batch_show(int argc, char **argv)
{
    struct batch_args args = {.config = CONFIG_DEFAULT_PATH};
    const struct option table[] = {CMD_CONFIG_OPTION(args.config), CMD_JSON_OPTION(args.json)};
    const struct options options = {.command = "sctd batch show",
                                    .operands = "ID",
                                    .summary = "Show one batch and how far each of its series is.",
                                    .option = table,
                                    .n = sizeof table / sizeof table[0],
                                    .min_operands = 1,
                                    .max_operands = 1};
    return cmd_run(&options, argc, argv, show, &args);
}

/* The report */

static int report(void *arg, char **operands, struct sctd_error *err)
{
    const struct batch_args *args = arg;
    const char *id_text = operands[0];
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(REPORT_MAX);
    int64_t id = 0;
    int r = open_one(args, id_text, &config, &db, &id, err);
    if (r < 0) {
        return r;
    }
    r = args->json ? batch_view_report_json(&text, db, id, err)
                   : batch_view_report_csv(&text, db, id, err);
    if (r != 0) {
        return r == DB_NONE ? no_such(id, err) : r;
    }
    if (args->output != NULL) {
        return sctd_file_replace(args->output, text.data, text.size, err);
    }
    (void)fwrite(text.data, 1, text.size, stdout);
    return 0;
}

static int batch_report(int argc, char **argv)
{
    struct batch_args args = {.config = CONFIG_DEFAULT_PATH};
    const struct option table[] = {
        CMD_CONFIG_OPTION(args.config),
        {.name = "output",
         .kind = OPTION_TEXT,
         .target = (void *)&args.output,
         .argument = "FILE",
         .help = "write it there; default: standard output"},
        {.name = "json", .kind = OPTION_FLAG, .target = &args.json, .help = "JSON instead of CSV"},
    };
    const struct options options = {
        .command = "sctd batch report",
        .operands = "ID",
        .summary =
            "Write each series of a batch with its result or reason, times and UIDs, as CSV.",
        .option = table,
        .n = sizeof table / sizeof table[0],
        .min_operands = 1,
        .max_operands = 1};
    return cmd_run(&options, argc, argv, report, &args);
}

/* The hand */

static int batch_pause(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd batch pause", "batch-pause",
        "Begin no further series of a batch.  What is on its way goes on to its end.", NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

static int batch_resume(int argc, char **argv)
{
    static const struct cmd_action action = {"sctd batch resume", "batch-resume",
                                             "Go on with a paused batch.", NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

static int batch_cancel(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd batch cancel", "batch-cancel",
        "End a batch, with its jobs that have no result yet.  What was made and delivered stays.",
        NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

int cmd_batch(int argc, char **argv)
{
    static const struct cmd table[] = {
        {"list", batch_list, "the batches, the newest first"},
        {"show", batch_show, "one batch and its series"},
        {"pause", batch_pause, "begin nothing more of it"},
        {"resume", batch_resume, "go on with it"},
        {"cancel", batch_cancel, "end it"},
        {"report", batch_report, "each series with its result or reason, as CSV or JSON"},
        {NULL, NULL, NULL},
    };
    return cmd_dispatch("sctd batch", table, argc, argv);
}
