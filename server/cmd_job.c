/* SPDX-License-Identifier: Apache-2.0 */
/* sctd job: what the daemon does and did, and a hand on it. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/parse.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/cmd_options.h"
#include "server/cmd_store.h"
#include "server/config.h"
#include "server/members.h"

enum { JSON_MAX = 16 << 20, LIMIT = 50, NAME_SIZE = 64, LIMITS_SIZE = 64 };

struct job_args {
    const char *config, *state, *review;
    int64_t limit;
    bool json;
};

/* What is shown of one job, whole. */
struct job_view {
    struct db_job job;
    struct db_delivery_page deliveries;
    struct db_history history;
    bool is_checked;
    struct quality_report report;
};

static void job_view_fini(struct job_view *view)
{
    db_delivery_page_fini(&view->deliveries);
    db_history_fini(&view->history);
}

static void write_job(struct json_writer *w, const char *key, const struct db_job *job)
{
    json_write_object_begin(w, key);
    members_write_job(w, job);
    json_write_string(w, "stage", job->stage);
    json_write_int(w, "reviewed_ms", job->review_ms);
    json_write_int(w, "series", job->series_id);
    json_write_string(w, "model_sha256", job->model_sha256);
    json_write_string(w, "engine", job->engine);
    json_write_int(w, "superseded_by", job->superseded_by);
    json_write_int(w, "created_ms", job->created_ms);
    json_write_int(w, "changed_ms", job->changed_ms);
    json_write_int(w, "ended_ms", job->ended_ms);
}

/* The list */

static int find_state(const char *name, int *ret_state, struct sctd_error *err)
{
    for (int i = 0; i < DB_JOB_STATES; i++) {
        if (strcmp(db_job_state_name((enum db_job_state)i), name) == 0) {
            *ret_state = i;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "--state %.20s: there are queued, retry, running, delivering, done, failed, "
                      "poison and cancelled",
                      name);
}

static int find_review(const char *name, enum db_review *ret_review, struct sctd_error *err)
{
    for (int i = 0; i < DB_REVIEWS; i++) {
        if (strcmp(db_review_name((enum db_review)i), name) == 0) {
            *ret_review = (enum db_review)i;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EINVAL,
                      "--review %.20s: there are unchecked, passed, needed, accepted and rejected",
                      name);
}

static int print_list_json(const struct db_job_page *page, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_array_begin(&w, "jobs");
    for (size_t i = 0; i < page->n; i++) {
        write_job(&w, NULL, &page->job[i]);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static void print_list(const struct db_job_page *page)
{
    (void)fprintf(stdout, "%6s %-10s %-9s %-19s %-16s %-16s %-16s %s\n", "job", "state", "review",
                  "changed", "source", "rule", "model", "reason");
    for (size_t i = 0; i < page->n; i++) {
        const struct db_job *job = &page->job[i];
        char changed[CMD_TIME_SIZE];
        cmd_store_print_time(changed, job->changed_ms);
        (void)fprintf(stdout, "%6" PRId64 " %-10s %-9s %-19s %-16s %-16s %-16s %s\n", job->id,
                      db_job_state_name(job->state), db_review_name(job->review), changed,
                      job->source_ae, job->rule, job->model,
                      job->state == DB_JOB_RUNNING ? job->stage : job->reason);
    }
}

static int list(void *arg, char **operands, struct sctd_error *err)
{
    const struct job_args *args = arg;
    (void)operands;
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(db_job_page_fini) struct db_job_page page = {.n = 0};
    struct db_job_filter filter = {
        .state = -1, .by_review = args->review != NULL, .limit = (size_t)args->limit};
    int r = args->state == NULL ? 0 : find_state(args->state, &filter.state, err);
    r = r < 0 || args->review == NULL ? r : find_review(args->review, &filter.review, err);
    r = r < 0 ? r : cmd_store_open(&config, &db, args->config, err);
    r = r < 0 ? r : db_job_list(db, &filter, &page, err);
    if (r == 0 && args->json) {
        return print_list_json(&page, err);
    }
    if (r == 0) {
        print_list(&page);
    }
    return r;
}

static int job_list(int argc, char **argv)
{
    struct job_args args = {.config = CONFIG_DEFAULT_PATH, .limit = LIMIT};
    const struct option table[] = {
        CMD_CONFIG_OPTION(args.config),
        {.name = "state",
         .kind = OPTION_TEXT,
         .target = (void *)&args.state,
         .argument = "STATE",
         .help = "only those in this state"},
        {.name = "review",
         .kind = OPTION_TEXT,
         .target = (void *)&args.review,
         .argument = "REVIEW",
         .help = "only those whose result is unchecked, passed, needed (somebody has to look), "
                 "accepted or rejected"},
        CMD_LIMIT_OPTION(args.limit),
        CMD_JSON_OPTION(args.json),
    };
    const struct options options = {.command = "sctd job list",
                                    .summary = "List jobs, the newest first.",
                                    .option = table,
                                    .n = sizeof table / sizeof table[0]};
    return cmd_run(&options, argc, argv, list, &args);
}

/* One job */

static void write_transition(struct json_writer *w, const struct db_transition *t)
{
    json_write_object_begin(w, NULL);
    json_write_int(w, "at_ms", t->at_ms);
    members_write_transition(w, t);
    json_write_object_end(w);
}

static int print_job_json(const struct job_view *view, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    write_job(&w, NULL, &view->job);
    json_write_array_begin(&w, "deliveries");
    for (size_t i = 0; i < view->deliveries.n; i++) {
        json_write_object_begin(&w, NULL);
        members_write_delivery(&w, &view->deliveries.delivery[i]);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    if (view->is_checked) {
        json_write_object_begin(&w, "quality");
        quality_report_write_members(&view->report, &w);
        json_write_object_end(&w);
    } else {
        json_write_null(&w, "quality");
    }
    json_write_array_begin(&w, "history");
    for (size_t i = 0; i < view->history.n; i++) {
        write_transition(&w, &view->history.transition[i]);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    return cmd_print_json(&w);
}

static void print_limits(char text[LIMITS_SIZE], const struct quality_finding *f)
{
    if (isfinite(f->low) && isfinite(f->high)) {
        (void)snprintf(text, LIMITS_SIZE, "%g to %g", f->low, f->high);
    } else if (isfinite(f->high)) {
        (void)snprintf(text, LIMITS_SIZE, "at most %g", f->high);
    } else if (isfinite(f->low)) {
        (void)snprintf(text, LIMITS_SIZE, "at least %g", f->low);
    } else {
        (void)snprintf(text, LIMITS_SIZE, "-");
    }
}

static void print_finding(const struct quality_finding *f)
{
    char name[NAME_SIZE];
    char value[LIMITS_SIZE];
    char limits[LIMITS_SIZE];
    (void)snprintf(name, sizeof name, "%s%s%s", quality_check_name(f->check),
                   f->what[0] == '\0' ? "" : " ", f->what);
    if (isfinite(f->value)) {
        const bool is_ratio = strcmp(f->unit, "1") == 0;
        (void)snprintf(value, sizeof value, "%.4g%s%s", f->value, is_ratio ? "" : " ",
                       is_ratio ? "" : f->unit);
    } else {
        (void)snprintf(value, sizeof value, "-");
    }
    print_limits(limits, f);
    (void)fprintf(stdout, "    %-28s %-12s %-16s %-9s %s\n", name, value, limits,
                  quality_verdict_name(f->verdict), f->text);
}

static void print_findings(const struct quality_report *report, bool failed)
{
    for (size_t i = 0; i < report->n; i++) {
        if ((report->finding[i].verdict == QUALITY_FAILED) == failed) {
            print_finding(&report->finding[i]);
        }
    }
}

static void print_report(const struct quality_report *report)
{
    (void)fprintf(stdout, "    %-28s %-12s %-16s %-9s %s\n", "check", "value", "limits", "verdict",
                  "in words");
    print_findings(report, true);
    print_findings(report, false);
}

static void print_review(const struct job_view *view)
{
    char since[CMD_TIME_SIZE];
    cmd_store_print_time(since, view->job.review_ms);
    (void)fprintf(stdout, "  review    %s", db_review_name(view->job.review));
    if (view->job.review_ms != 0) {
        (void)fprintf(stdout, " since %s%s", since,
                      db_job_is_held(&view->job) ? ": held, it is sent when it is accepted" : "");
    }
    (void)fprintf(stdout, "\n");
    if (view->is_checked) {
        print_report(&view->report);
    }
}

static void print_job(const struct job_view *view)
{
    const struct db_job *job = &view->job;
    (void)fprintf(stdout,
                  "job %" PRId64 ": %s, attempt %d\n"
                  "  source    series %" PRId64 " revision %d (%s), from %s\n"
                  "            %s\n"
                  "  made by   rule %s, model %s (%.12s...)\n"
                  "  makes     %s\n",
                  job->id, db_job_state_name(job->state), job->attempt, job->series_id,
                  job->revision, db_evidence_name(job->evidence), job->source_ae, job->series_uid,
                  job->rule, job->model, job->model_sha256, job->output_series_uid);
    if (job->engine[0] != '\0') {
        (void)fprintf(stdout, "  computed  %s\n", job->engine);
    }
    if (job->superseded_by != 0) {
        (void)fprintf(stdout, "  superseded by job %" PRId64 ", of more images of the series\n",
                      job->superseded_by);
    }
    print_review(view);
    for (size_t i = 0; i < view->deliveries.n; i++) {
        const struct db_delivery *d = &view->deliveries.delivery[i];
        (void)fprintf(stdout, "  to        %s: %s, %d of %d stored, %d committed%s%s\n",
                      d->destination, db_delivery_state_name(d->state), d->stored, d->instances,
                      d->committed, d->reason[0] == '\0' ? "" : ": ", d->reason);
    }
    for (size_t i = 0; i < view->history.n; i++) {
        const struct db_transition *t = &view->history.transition[i];
        char at[CMD_TIME_SIZE];
        cmd_store_print_time(at, t->at_ms);
        (void)fprintf(stdout, "  %s  %s%s%-10s %s%s%s\n", at, t->destination,
                      t->destination[0] == '\0' ? "" : ": ", t->to, t->reason,
                      t->detail[0] == '\0' ? "" : "; ", t->detail);
    }
}

static int read_report(struct db *db, int64_t id, struct job_view *view, struct sctd_error *err)
{
    char *text = NULL;
    int r = db_job_quality(db, id, &text, err);
    if (r == 0) {
        r = quality_report_read(&view->report, text, strlen(text), err);
        view->is_checked = r == 0;
    }
    free(text);
    return r < 0 ? r : 0;
}

static int show(void *arg, char **operands, struct sctd_error *err)
{
    const struct job_args *args = arg;
    const char *id_text = operands[0];
    sctd_auto(config_freep) struct config *config = NULL;
    sctd_auto(db_closep) struct db *db = NULL;
    sctd_auto(job_view_fini) struct job_view view = {.job = {.id = 0}};
    int64_t id = 0;
    int r = sctd_parse_i64(&id, id_text, 1, INT64_MAX, err);
    r = r < 0 ? r : cmd_store_open(&config, &db, args->config, err);
    r = r < 0 ? r : db_job_get(db, id, &view.job, err);
    if (r == DB_NONE) {
        return sctd_error(err, SCTD_EINVAL, "there is no job %" PRId64, id);
    }
    const struct db_delivery_filter filter = {.job_id = id, .state = -1, .limit = DB_PAGE_MAX};
    r = r < 0 ? r : db_delivery_list(db, &filter, &view.deliveries, err);
    r = r < 0 ? r : db_job_history(db, id, DB_PAGE_MAX, &view.history, err);
    r = r < 0 ? r : read_report(db, id, &view, err);
    if (r == 0 && args->json) {
        return print_job_json(&view, err);
    }
    if (r == 0) {
        print_job(&view);
    }
    return r;
}

static int job_show(int argc, char **argv)
{
    struct job_args args = {.config = CONFIG_DEFAULT_PATH};
    const struct option table[] = {CMD_CONFIG_OPTION(args.config), CMD_JSON_OPTION(args.json)};
    const struct options options = {
        .command = "sctd job show",
        .operands = "ID",
        .summary =
            "Show one job with what the checks of its result found, its deliveries and its history.",
        .option = table,
        .n = sizeof table / sizeof table[0],
        .min_operands = 1,
        .max_operands = 1};
    return cmd_run(&options, argc, argv, show, &args);
}

/* The hand */

static int job_cancel(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd job cancel", "job-cancel",
        "Cancel a job and those of its deliveries that are not done.  What was delivered stays.",
        NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

static int job_retry(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd job retry", "job-retry",
        "Try a failed, parked or cancelled job again; what it has written is only delivered.", NULL,
        false};
    return cmd_store_ask(&action, argc, argv);
}

static int job_prioritise(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd job prioritise", "job-prioritise",
        "Move a job and its deliveries in the queues: priority 0 goes first, 9 last.",
        "ID PRIORITY", false};
    return cmd_store_ask(&action, argc, argv);
}

static int job_accept(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd job accept", "job-accept",
        "Somebody has looked at a result that needs review, and it is good: what was held is sent.  "
        "Also after a rejection, while its files are there.",
        NULL, false};
    return cmd_store_ask(&action, argc, argv);
}

static int job_reject(int argc, char **argv)
{
    static const struct cmd_action action = {
        "sctd job reject", "job-reject",
        "Somebody has looked at a result that needs review, and it is no good: it is sent nowhere "
        "any more.  What was delivered stays there.  --reason is required.",
        NULL, true};
    return cmd_store_ask(&action, argc, argv);
}

int cmd_job(int argc, char **argv)
{
    static const struct cmd table[] = {
        {"list", job_list, "the jobs, the newest first"},
        {"show", job_show, "one job, its checks, its deliveries and its history"},
        {"cancel", job_cancel, "make nothing of it"},
        {"retry", job_retry, "try a failed, parked or cancelled one again"},
        {"prioritise", job_prioritise, "move it in the queues"},
        {"accept", job_accept, "a result that needs review is good: send it"},
        {"reject", job_reject, "a result that needs review is no good: do not send it"},
        {NULL, NULL, NULL},
    };
    return cmd_dispatch("sctd job", table, argc, argv);
}
