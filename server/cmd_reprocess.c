/* SPDX-License-Identifier: Apache-2.0 */
/* sctd reprocess: begin a batch of series that are there already. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "dicom/found.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "server/batch_dry_run.h"
#include "server/batch_request.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/config.h"
#include "server/control.h"
#include "server/policy.h"

enum { JSON_MAX = 256 << 20, LIST_FILE_MAX = 8 << 20, PER_HOUR_MAX = BATCH_PER_HOUR_MAX };

struct reprocess_args {
    const char *config, *pacs, *folder, *uids;
    const char *from, *to, *patient, *accession, *modality, *description, *station, *protocol;
    const char *model, *rule, *hours, *method, *name;
    struct option_list studies, series, deliver;
    int64_t min_images, max_images, limit, moves, per_hour;
    bool held, keep, hold, force, dry_run, json;
};

static struct reprocess_args args = {
    .config = CONFIG_DEFAULT_PATH, .limit = BATCH_SERIES_DEFAULT, .moves = 1};

#define TEXT(word, member, value, says)                                                            \
    {.name = (word),                                                                               \
     .kind = OPTION_TEXT,                                                                          \
     .target = (void *)&args.member,                                                               \
     .argument = (value),                                                                          \
     .help = (says)}
#define LIST(word, member, value, says)                                                            \
    {.name = (word),                                                                               \
     .kind = OPTION_LIST,                                                                          \
     .target = &args.member,                                                                       \
     .argument = (value),                                                                          \
     .help = (says)}
#define NUMBER(word, member, least, most, says)                                                    \
    {.name = (word),                                                                               \
     .kind = OPTION_NUMBER,                                                                        \
     .target = &args.member,                                                                       \
     .argument = "N",                                                                              \
     .help = (says),                                                                               \
     .min = (least),                                                                               \
     .max = (most)}
#define FLAG(word, member, says)                                                                   \
    {.name = (word), .kind = OPTION_FLAG, .target = &args.member, .help = (says)}

static const struct option table[] = {
    CMD_CONFIG_OPTION(args.config),
    TEXT("pacs", pacs, "NAME", "series of this destination, which has get: true or move: true"),
    TEXT("folder", folder, "DIR", "series in files below a folder that the daemon can read"),
    FLAG("held", held, "series that the daemon has received"),
    TEXT("from", from, "DATE", "of studies of this day (YYYY-MM-DD) or later"),
    TEXT("to", to, "DATE", "of studies of this day or earlier"),
    TEXT("patient", patient, "ID", "of this patient ID; * and ? are wildcards"),
    TEXT("accession", accession, "NUMBER", "of this accession number"),
    LIST("study", studies, "UID", "of this study; may be repeated"),
    LIST("series", series, "UID", "only this series; may be repeated"),
    TEXT("uids", uids, "FILE", "a line each: a study's UID, or a study's and a series' UID"),
    TEXT("modality", modality, "MR|CT", "only of this modality"),
    TEXT("description", description, "REGEX", "only where this is found in the series description"),
    TEXT("station", station, "PATTERN", "only of this station name; * and ? are wildcards"),
    TEXT("protocol", protocol, "PATTERN", "only of this protocol name; * and ? are wildcards"),
    NUMBER("min-images", min_images, 0, 65536, "only of so many images or more"),
    NUMBER("max-images", max_images, 0, 65536, "only of so many images or fewer"),
    NUMBER("limit", limit, 1, BATCH_SERIES_MAX,
           "refuse what means more series than that; default 10000"),
    TEXT("model", model, "NAME[@VERSION]", "convert with this one; default: the rules' models"),
    TEXT("rule", rule, "NAME",
         "by this rule, whatever its conditions; default: the first that holds"),
    LIST("deliver", deliver, "NAME",
         "to this destination; may be repeated; default: the rule's destinations"),
    FLAG("keep", keep, "deliver nothing, keep the results here"),
    NUMBER("moves", moves, 1, BATCH_MOVES_MAX, "fetch so many series at a time; default 1"),
    NUMBER("per-hour", per_hour, 1, PER_HOUR_MAX, "begin so many series an hour at most"),
    TEXT("hours", hours, "HH:MM-HH:MM", "begin series only between these times of the day"),
    {.name = "method",
     .kind = OPTION_CHOICE,
     .target = (void *)&args.method,
     .argument = "auto|get|move",
     .help = "C-GET or C-MOVE; default auto: C-GET where the PACS allows it",
     .choices = "auto|get|move"},
    TEXT("name", name, "TEXT", "what people call the batch; no patient data"),
    FLAG("hold", hold, "find the series and wait for sctd batch resume"),
    FLAG("force", force, "also what was begun or has failed before"),
    FLAG("dry-run", dry_run, "print what would happen, and do nothing"),
    CMD_JSON_OPTION(args.json),
};

static const struct options options = {
    .command = "sctd reprocess",
    .summary =
        "Convert series that are there already: those of a PACS, of a folder, or that the daemon\n"
        "holds.  The running daemon makes a batch of them; see \"sctd batch\".",
    .option = table,
    .n = sizeof table / sizeof table[0],
};

/* The request as JSON, which the daemon reads */

/* "2024-01-31" as "20240131". */
static void write_date(struct json_writer *w, const char *key, const char *text)
{
    char date[BATCH_DATE_SIZE + 2] = "";
    size_t n = 0;
    for (; text != NULL && *text != '\0' && n < sizeof date - 1; text++) {
        if (*text != '-') {
            date[n++] = *text;
        }
    }
    if (text != NULL) {
        json_write_string(w, key, date);
    }
}

static void write_text(struct json_writer *w, const char *key, const char *text)
{
    if (text != NULL) {
        json_write_string(w, key, text);
    }
}

static void write_number(struct json_writer *w, const char *key, int64_t value, int64_t usual)
{
    if (value != usual) {
        json_write_int(w, key, value);
    }
}

/* Lines of --uids: the first word is a study's, the second a series'. */
struct uid_file {
    struct sctd_buf text;
    char **study, **series; /* [n] words within text */
    size_t n_studies, n_series;
};

static void uid_file_fini(struct uid_file *file)
{
    sctd_buf_fini(&file->text);
    free((void *)file->study);
    free((void *)file->series);
}

static int read_uid_lines(struct uid_file *file, struct sctd_error *err)
{
    static const char blanks[] = " \t,;\r";
    size_t lines = 1;
    for (size_t i = 0; i < file->text.size; i++) {
        lines += file->text.data[i] == '\n' ? 1 : 0;
    }
    file->study = (char **)calloc(lines, sizeof *file->study);
    file->series = (char **)calloc(lines, sizeof *file->series);
    if (file->study == NULL || file->series == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a list of UIDs");
    }
    char *rest = file->text.data;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        char *at = NULL;
        char *const study = strtok_r(line, blanks, &at);
        char *const series = study == NULL ? NULL : strtok_r(NULL, blanks, &at);
        const bool counts = study != NULL && *study != '#';
        if (counts) {
            file->study[file->n_studies++] = study;
        }
        if (counts && series != NULL) {
            file->series[file->n_series++] = series;
        }
    }
    return 0;
}

static int read_uid_file(struct uid_file *file, struct sctd_error *err)
{
    struct sctd_map map;
    if (args.uids == NULL) {
        return 0;
    }
    int r = sctd_map_open(&map, args.uids, err);
    if (r < 0) {
        return r;
    }
    r = map.size == 0 ? sctd_error(err, SCTD_EINVAL, "%.160s is empty", args.uids)
                      : sctd_buf_append(&file->text, map.data, map.size, err);
    sctd_map_close(&map);
    return r < 0 ? r : read_uid_lines(file, err);
}

static void write_uids(struct json_writer *w, const char *key, const struct option_list *list,
                       char *const *more, size_t n)
{
    if (list->n + n == 0) {
        return;
    }
    json_write_array_begin(w, key);
    for (size_t i = 0; i < list->n; i++) {
        json_write_string(w, NULL, list->item[i]);
    }
    for (size_t i = 0; i < n; i++) {
        json_write_string(w, NULL, more[i]);
    }
    json_write_array_end(w);
}

static void write_select(struct json_writer *w, const struct uid_file *uids)
{
    json_write_object_begin(w, "select");
    write_date(w, "from", args.from);
    write_date(w, "to", args.to);
    write_text(w, "patient", args.patient);
    write_text(w, "accession", args.accession);
    write_text(w, "modality", args.modality);
    write_text(w, "description", args.description);
    write_text(w, "station", args.station);
    write_text(w, "protocol", args.protocol);
    write_number(w, "min_images", args.min_images, 0);
    write_number(w, "max_images", args.max_images, 0);
    write_number(w, "limit", args.limit, BATCH_SERIES_DEFAULT);
    write_uids(w, "studies", &args.studies, uids->study, uids->n_studies);
    write_uids(w, "series", &args.series, uids->series, uids->n_series);
    json_write_object_end(w);
}

/* As the daemon sees it. */
static int find_folder(char ret_path[SCTD_PATH_MAX], struct sctd_error *err)
{
    char *path = realpath(args.folder, NULL);
    if (path == NULL || strlen(path) >= SCTD_PATH_MAX) {
        free(path);
        return sctd_error(err, SCTD_EINVAL, "%.160s: %s", args.folder, sctd_errno_text());
    }
    (void)snprintf(ret_path, SCTD_PATH_MAX, "%s", path);
    free(path);
    return 0;
}

static int write_source(struct json_writer *w, struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    const int n = (args.pacs != NULL ? 1 : 0) + (args.folder != NULL ? 1 : 0) + (args.held ? 1 : 0);
    if (n != 1) {
        return sctd_error(err, SCTD_EINVAL, "name one source: --pacs, --folder or --held");
    }
    const int r = args.folder == NULL ? 0 : find_folder(folder, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(w, "source");
    if (args.held) {
        json_write_bool(w, "held", true);
    }
    write_text(w, "pacs", args.pacs);
    write_text(w, "folder", args.folder == NULL ? NULL : folder);
    json_write_object_end(w);
    return 0;
}

static void write_flag(struct json_writer *w, const char *key, bool value)
{
    if (value) {
        json_write_bool(w, key, true);
    }
}

static int write_request(struct sctd_buf *text, struct sctd_error *err)
{
    sctd_auto(uid_file_fini) struct uid_file uids = {.text = sctd_buf_make(LIST_FILE_MAX)};
    struct json_writer w = json_writer_make(text, false, err);
    int r = read_uid_file(&uids, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(&w, NULL);
    r = write_source(&w, err);
    if (r < 0) {
        return r;
    }
    write_select(&w, &uids);
    write_text(&w, "model", args.model);
    write_text(&w, "rule", args.rule);
    write_uids(&w, "deliver", &args.deliver, NULL, 0);
    write_flag(&w, "keep", args.keep);
    write_number(&w, "moves", args.moves, 1);
    write_number(&w, "per_hour", args.per_hour, 0);
    write_text(&w, "hours", args.hours);
    write_text(&w, "method", args.method);
    write_text(&w, "name", args.name);
    write_flag(&w, "hold", args.hold);
    write_flag(&w, "force", args.force);
    json_write_object_end(&w);
    return json_writer_finish(&w);
}

/* Without doing it */

static int open_store(struct db **ret_db, const struct policy *policy, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    const int r = sctd_path_join(path, policy->config->state_dir, "jobs.db", err);
    if (r < 0 || access(path, F_OK) != 0) {
        return r; /* no daemon has run here yet: nothing is held */
    }
    return db_open_reader(ret_db, path, err);
}

static int print_json(const struct batch_dry_run *run, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "series");
    for (size_t i = 0; i < run->n; i++) {
        const struct dicom_found *s = &run->row[i].series;
        json_write_object_begin(&w, NULL);
        json_write_string(&w, "study_uid", s->study_uid);
        json_write_string(&w, "series_uid", s->series_uid);
        json_write_string(&w, "study_date", s->study_date);
        json_write_string(&w, "accession", s->accession);
        json_write_string(&w, "patient_id", s->patient_id);
        json_write_string(&w, "modality", s->modality);
        json_write_string(&w, "series_description", s->series_description);
        json_write_string(&w, "station", s->station);
        json_write_string(&w, "protocol", s->protocol);
        json_write_int(&w, "images", s->images);
        json_write_string(&w, "what", run->row[i].what);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static void print(const struct batch_dry_run *run)
{
    (void)fprintf(stdout, "%-10s %-16s %-8s %6s %-24s %-48s %s\n", "date", "patient", "modality",
                  "images", "description", "series", "what would happen");
    for (size_t i = 0; i < run->n; i++) {
        const struct dicom_found *s = &run->row[i].series;
        (void)fprintf(stdout, "%-10s %-16.16s %-8s %6d %-24.24s %-48s %s\n", s->study_date,
                      s->patient_id, s->modality, s->images, s->series_description, s->series_uid,
                      run->row[i].what);
    }
    (void)fprintf(stdout, "%zu series\n", run->n);
}

static int dry_run(struct batch_request *request, struct sctd_error *err)
{
    sctd_auto(policy_freep) struct policy *policy = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(batch_dry_run_fini) struct batch_dry_run run = {.n = 0};
    int r = policy_load(&policy, args.config, err);
    r = r < 0 ? r : open_store(&db, policy, err);
    r = r < 0 ? r : batch_dry_run_find(&run, policy, db, request, err);
    if (r == 0 && args.json) {
        return print_json(&run, err);
    }
    if (r == 0) {
        print(&run);
    }
    return r;
}

/* Doing it */

static int begin(const struct sctd_buf *text, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(config_freep) struct config *config = NULL;
    struct control_answer answer = {.done = false};
    const struct control_request request = {
        .action = "batch-create", .text = text->data, .text_size = text->size};
    int r = config_load(&config, args.config, err);
    r = r < 0 ? r : sctd_path_join(path, config->state_dir, CONTROL_SOCKET, err);
    r = r < 0 ? r : control_ask(path, &request, &answer, err);
    if (r < 0) {
        return r;
    }
    if (!answer.done && answer.id == 0) {
        return sctd_error(err, SCTD_EIO, "%.230s", answer.text);
    }
    if (args.json) {
        (void)fprintf(stdout, "{\"batch\": %" PRId64 ", \"new\": %s}\n", answer.id,
                      answer.done ? "true" : "false");
    } else if (answer.done) {
        (void)fprintf(stdout, "batch %" PRId64 "\n", answer.id);
    } else {
        (void)fprintf(stdout, "batch %" PRId64 " does the same and has not ended\n", answer.id);
    }
    return 0;
}

int cmd_reprocess(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    char **operands = NULL;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BATCH_REQUEST_TEXT_MAX);
    sctd_auto(batch_request_fini) struct batch_request request = batch_request_make();
    int r = options_parse(&options, argc, argv, &operands, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    r = r < 0 ? r : write_request(&text, &err);
    r = r < 0 ? r : batch_request_read(&request, text.data, text.size, &err);
    if (r == 0) {
        r = args.dry_run ? dry_run(&request, &err) : begin(&text, &err);
    }
    return r < 0 ? cmd_fail(options.command, &err) : CMD_OK;
}
