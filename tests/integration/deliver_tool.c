/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries without the rest of the daemon: jobs whose files are there already, and deadlines as short as a test wants.
 * usage: deliver_tool --sctd PROGRAM --folder DIR --config FILE [OPTION]...
 * The store and `results` lie in the folder.  Reads commands, one a line, and answers each with lines and "ok":
 *     job NAME 0|1 DESTINATION...        what results/NAME.list lists ("CLASS UID FILE"); 1: with commitment
 *     report AE TRANSACTION UID[=CODE]...  of storage commitment, on an association of its own
 *     wake DESTINATION     config     show     drain MS
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/config.h"
#include "server/deliver.h"
#include "server/log.h"
#include "server/options.h"

enum { FILES = 512, LINE_SIZE = 1 << 15, WORDS = 512, NUMBER_SIZE = 32 };

struct tool {
    uv_loop_t loop;
    uv_poll_t input;
    struct db *db;
    struct deliver *deliver;
    struct config *config;
    const char *folder, *config_path;
    char results[SCTD_PATH_MAX];
    char line[LINE_SIZE];
    size_t size;
    int series;
    bool has_failed;
};

struct listed {
    char sop_class[DB_UID_SIZE], uid[DB_UID_SIZE], file[DB_FILE_SIZE];
};

static struct db_now now(void)
{
    const struct db_now now = {.wall_ms = sctd_wall_ms(), .lease_ms = sctd_boot_ms()};
    return now;
}

static void check(int r, const struct sctd_error *err)
{
    if (r != 0) {
        (void)fprintf(stderr, "deliver_tool: %d %s\n", r, err->text);
        abort();
    }
}

static size_t read_list(const struct tool *tool, const char *name, struct listed *listed)
{
    char path[SCTD_PATH_MAX + 64];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s.list", tool->results, name);
    FILE *f = fopen(path, "re");
    while (f != NULL && n < FILES &&
           fscanf(f, "%64s %64s %200s", listed[n].sop_class, listed[n].uid, listed[n].file) == 3) {
        n++;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return n;
}

/* A series of one instance, as if it had been received. */
static int64_t put_series(struct tool *tool)
{
    char uid[2 * NUMBER_SIZE];
    char series_uid[NUMBER_SIZE];
    struct sctd_error err = {.code = SCTD_OK};
    const struct db_now at = now();
    struct db_put_result result;
    (void)snprintf(series_uid, sizeof series_uid, "1.2.3.%d", ++tool->series);
    (void)snprintf(uid, sizeof uid, "%s.1", series_uid);
    struct db_instance instance = {
        .study_uid = "1.2.3",
        .series_uid = series_uid,
        .sop_uid = uid,
        .sop_class_uid = "1.2.840.10008.5.1.4.1.1.4",
        .transfer_syntax_uid = "1.2.840.10008.1.2.1",
        .calling_ae = "SCANNER",
        .called_ae = "SCTD",
        .peer = "127.0.0.1",
        .file = uid,
        .size = 1,
        .received_ms = at.wall_ms,
        .frames = 1,
        .facts = {.modality = "MR"},
    };
    instance.sha256[0] = (unsigned char)tool->series;
    check(db_instances_put(tool->db, &at, &instance, 1, &result, &err), &err);
    return result.series_id;
}

static void finish_job(struct tool *tool, const struct listed *listed, size_t n)
{
    static struct db_output outputs[FILES];
    struct sctd_error err = {.code = SCTD_OK};
    const struct db_now at = now();
    const struct db_retry retry = db_retry_default(0);
    struct db_job job;
    for (size_t i = 0; i < n; i++) {
        outputs[i] = (struct db_output){.sop_uid = listed[i].uid,
                                        .sop_class_uid = listed[i].sop_class,
                                        .file = listed[i].file,
                                        .size = 1};
    }
    const struct db_work_result result = {.work = DB_WORK_DONE, .output = outputs, .n_outputs = n};
    check(db_job_claim(tool->db, &at, "test/worker", 60000, &job, &err), &err);
    check(db_job_finish(tool->db, &at, db_job_token(&job), &result, &retry, &err), &err);
}

static void add_job(struct tool *tool, char **word, size_t n_words)
{
    static struct listed listed[FILES];
    const char *uids[FILES];
    struct sctd_error err = {.code = SCTD_OK};
    const struct db_now at = now();
    int64_t id = 0;
    const size_t n = read_list(tool, word[1], listed);
    for (size_t i = 0; i < n; i++) {
        uids[i] = listed[i].uid;
    }
    const int64_t series_id = put_series(tool);
    char series_uid[NUMBER_SIZE];
    (void)snprintf(series_uid, sizeof series_uid, "2.25.%d", tool->series);
    const struct db_job_spec spec = {
        .priority = 5,
        .rule = "test",
        .model = "none@1",
        .model_sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        .parameters = "none",
        .output_series_uid = series_uid,
        .output_uids = uids,
        .n_outputs = n,
        .destinations = (const char *const *)&word[3],
        .n_destinations = n_words - 3,
        .commitment = *word[2] == '1',
    };
    const struct db_completion completion = {.series_id = series_id,
                                             .revision = 1,
                                             .instances = 1,
                                             .evidence = DB_EVIDENCE_QUIET,
                                             .reason = "test",
                                             .job = &spec};
    check(db_series_complete(tool->db, &at, &completion, &id, &err), &err);
    finish_job(tool, listed, n);
    deliver_kick(tool->deliver);
}

static void report(struct tool *tool, char **word, size_t n_words)
{
    const char *committed[WORDS];
    const char *failed[WORDS];
    struct sctd_error err = {.code = SCTD_OK};
    struct db_commitment_report said = {
        .transaction_uid = word[2], .committed = committed, .failed = failed};
    for (size_t i = 3; i < n_words; i++) {
        char *code = strchr(word[i], '=');
        if (code == NULL) {
            committed[said.n_committed++] = word[i];
        } else {
            *code = '\0';
            said.reason = code + 1;
            failed[said.n_failed++] = word[i];
        }
    }
    const int r = deliver_report(tool->deliver, word[1], &said, &err);
    (void)printf("%d\n", r);
}

static void show(const struct tool *tool)
{
    const struct db_delivery_filter filter = {.state = -1, .limit = 100};
    struct sctd_error err = {.code = SCTD_OK};
    struct db_delivery_page page;
    check(db_delivery_list(tool->db, &filter, &page, &err), &err);
    for (size_t i = 0; i < page.n; i++) {
        const struct db_delivery *d = &page.delivery[i];
        (void)printf("%s %s %d %d %d %s\n", d->destination, db_delivery_state_name(d->state),
                     d->stored, d->committed, d->attempt, d->reason);
    }
    db_delivery_page_fini(&page);
}

static void load_config(struct tool *tool)
{
    struct config *config = NULL;
    struct sctd_error err = {.code = SCTD_OK};
    check(config_load(&config, tool->config_path, &err), &err);
    if (tool->deliver != NULL) {
        check(deliver_set_config(tool->deliver, config, &err), &err);
        deliver_kick(tool->deliver);
    }
    config_free(tool->config);
    tool->config = config;
}

static void obey(struct tool *tool, char *line)
{
    char *word[WORDS] = {NULL};
    size_t n = 0;
    struct sctd_error err = {.code = SCTD_OK};
    char *rest = NULL;
    for (char *w = strtok_r(line, " ", &rest); w != NULL && n < WORDS;
         w = strtok_r(NULL, " ", &rest)) {
        word[n++] = w;
    }
    if (n >= 4 && strcmp(word[0], "job") == 0) {
        add_job(tool, word, n);
    } else if (n >= 3 && strcmp(word[0], "report") == 0) {
        report(tool, word, n);
    } else if (n == 2 && strcmp(word[0], "wake") == 0) {
        check(db_destination_wake(tool->db, word[1], &err), &err);
        deliver_kick(tool->deliver);
    } else if (n == 1 && strcmp(word[0], "config") == 0) {
        load_config(tool);
    } else if (n == 1 && strcmp(word[0], "show") == 0) {
        show(tool);
    } else if (n == 2 && strcmp(word[0], "drain") == 0) {
        deliver_drain(tool->deliver, (int)strtol(word[1], NULL, 10));
    } else {
        (void)fprintf(stderr, "deliver_tool: what is \"%s\"?\n", line);
        abort();
    }
    (void)printf("ok\n");
}

static void on_input(uv_poll_t *poll, int status, int events)
{
    struct tool *tool = poll->data;
    (void)events;
    const ssize_t got =
        status < 0 ? -1 : read(STDIN_FILENO, tool->line + tool->size, LINE_SIZE - 1 - tool->size);
    if (got <= 0) {
        (void)uv_poll_stop(poll);
        deliver_drain(tool->deliver, 0);
        return;
    }
    tool->size += (size_t)got;
    tool->line[tool->size] = '\0';
    for (char *end = strchr(tool->line, '\n'); end != NULL; end = strchr(tool->line, '\n')) {
        *end = '\0';
        obey(tool, tool->line);
        tool->size -= (size_t)(end + 1 - tool->line);
        memmove(tool->line, end + 1, tool->size + 1);
    }
}

static void failed(void *arg, const char *reason)
{
    struct tool *tool = arg;
    (void)fprintf(stderr, "deliver_tool: the store failed: %s\n", reason);
    tool->has_failed = true;
    deliver_drain(tool->deliver, 0);
}

static void drained(void *arg)
{
    struct tool *tool = arg;
    deliver_free(tool->deliver);
    uv_close((uv_handle_t *)&tool->input, NULL);
}

struct waits {
    int64_t connect_ms, answer_ms, report_ms, commitment_ms, slack_ms;
};

static int open_all(struct tool *tool, const char *program, const struct waits *waits,
                    struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    const struct db_options options = {.create = true, .check = DB_CHECK_QUICK};
    const struct db_recovery recovery = {.boot_id = "test", .node = "test", .interruptions_max = 3};
    struct db_recovered recovered;
    const struct db_now at = now();
    int r = sctd_path_join(path, tool->folder, "jobs.db", err);
    r = r < 0 ? r : sctd_path_join(tool->results, tool->folder, "results", err);
    r = r < 0 ? r : db_open(&tool->db, path, &options, err);
    r = r < 0 ? r : db_recover(tool->db, &at, &recovery, &recovered, err);
    if (r < 0) {
        return r;
    }
    const struct deliver_options o = {.loop = &tool->loop,
                                      .program = program,
                                      .db = tool->db,
                                      .node = "test",
                                      .ae_title = "SCTD",
                                      .results = tool->results,
                                      .connect_ms = (int32_t)waits->connect_ms,
                                      .answer_ms = (int32_t)waits->answer_ms,
                                      .report_ms = (int32_t)waits->report_ms,
                                      .commitment_ms = (int32_t)waits->commitment_ms,
                                      .slack_ms = (int32_t)waits->slack_ms};
    const struct deliver_hooks hooks = {.arg = tool, .failed = failed, .drained = drained};
    return deliver_new(&tool->deliver, &o, tool->config, &hooks, err);
}

int main(int argc, char **argv)
{
    static struct tool tool;
    const char *program = NULL;
    struct waits waits = {0};
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    const int64_t most = INT32_MAX;
    const struct option table[] = {
        {.name = "sctd", .kind = OPTION_TEXT, .target = (void *)&program, .required = true},
        {.name = "folder", .kind = OPTION_TEXT, .target = (void *)&tool.folder, .required = true},
        {.name = "config",
         .kind = OPTION_TEXT,
         .target = (void *)&tool.config_path,
         .required = true},
        {.name = "connect-ms", .kind = OPTION_NUMBER, .target = &waits.connect_ms, .max = most},
        {.name = "answer-ms", .kind = OPTION_NUMBER, .target = &waits.answer_ms, .max = most},
        {.name = "report-ms", .kind = OPTION_NUMBER, .target = &waits.report_ms, .max = most},
        {.name = "commitment-ms",
         .kind = OPTION_NUMBER,
         .target = &waits.commitment_ms,
         .max = most},
        {.name = "slack-ms", .kind = OPTION_NUMBER, .target = &waits.slack_ms, .max = most},
    };
    const struct options options = {.command = "deliver_tool",
                                    .summary = "",
                                    .option = table,
                                    .n = sizeof table / sizeof *table};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    check(options_parse(&options, argc, argv, &operands, &err), &err);
    log_open(CONFIG_LOG_JSON);
    load_config(&tool);
    (void)uv_loop_init(&tool.loop);
    check(open_all(&tool, program, &waits, &err), &err);
    (void)uv_poll_init(&tool.loop, &tool.input, STDIN_FILENO);
    tool.input.data = &tool;
    (void)uv_poll_start(&tool.input, UV_READABLE, on_input);
    deliver_kick(tool.deliver);
    (void)uv_run(&tool.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&tool.loop);
    db_close(tool.db);
    config_free(tool.config);
    return tool.has_failed ? 3 : 0;
}
