/* SPDX-License-Identifier: Apache-2.0 */
#include "server/batch_dry_run.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "db/batches.h"
#include "db/db.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "dicom/found.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/engine.h"
#include "server/batch_plan.h"
#include "server/batch_request.h"
#include "server/batch_terms.h"
#include "server/child.h"
#include "server/config.h"
#include "server/fetch_messages.h"
#include "server/order.h"
#include "server/policy.h"

struct finding {
    struct batch_dry_run run;
    size_t capacity;
    struct db *db;
    const struct batch_request *request;
    struct batch_terms terms;
    char source_ae[DB_AE_SIZE];
    struct batch_plan_end end;
    struct sctd_error err;
    int status;
};

void batch_dry_run_fini(struct batch_dry_run *run)
{
    free(run->row);
    *run = (struct batch_dry_run){.n = 0};
}

static void tell_made(struct batch_dry_row *row, const struct db_made *made,
                      const struct order_terms *terms, bool force)
{
    const bool has_failed = made->state == DB_JOB_FAILED || made->state == DB_JOB_POISON;
    if (made->state == DB_JOB_DONE && !made->is_rejected &&
        terms->decision.rule->destinations_count > 0) {
        (void)snprintf(row->what, sizeof row->what,
                       "deliver%s: job %" PRId64 " has made the same before",
                       force ? " again" : " where it is not yet", made->job_id);
        return;
    }
    (void)snprintf(row->what, sizeof row->what, "%s: job %" PRId64 " %s",
                   force && has_failed ? "try again" : "skip", made->job_id,
                   made->is_rejected ? "has made the same before, and its result was rejected"
                   : made->state == DB_JOB_DONE ? "has made the same before"
                   : has_failed                 ? "has failed with the same"
                                                : "makes the same now");
}

/* *ret_made: a job makes the same.  Without a series here nothing is known of jobs. */
static int look_back(struct finding *f, const struct batch_dry_row *row,
                     struct db_series *ret_series, struct order_terms *terms,
                     struct db_made *ret_made, struct sctd_error *err)
{
    int r =
        f->db == NULL ? DB_NONE : db_series_find(f->db, row->series.series_uid, ret_series, err);
    if (r != 0) {
        batch_terms_guess(ret_series, &row->series, f->source_ae);
        ret_series->id = 0;
    }
    if (r < 0) {
        return r;
    }
    batch_terms_decide(&f->terms, ret_series, ret_series->instances, terms);
    if (ret_series->id == 0 || terms->decision.verdict != POLICY_CONVERT ||
        (f->request->source != BATCH_HELD && ret_series->instances < row->series.images)) {
        return DB_NONE;
    }
    return batch_terms_find_made(&f->terms, terms, f->db, ret_series->id, ret_made, err);
}

static int describe(struct finding *f, struct batch_dry_row *row, struct sctd_error *err)
{
    struct db_series series;
    struct order_terms terms;
    struct db_made made = {.job_id = 0};
    const int r = look_back(f, row, &series, &terms, &made, err);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        tell_made(row, &made, &terms, f->request->force);
    } else if (terms.decision.verdict == POLICY_IGNORE) {
        (void)snprintf(row->what, sizeof row->what, "skip: %.220s", terms.decision.reason);
    } else {
        const struct manifest *m = &terms.decision.model->manifest;
        const bool is_here = series.id != 0 && series.state != DB_SERIES_OPEN &&
                             series.instances >= row->series.images;
        (void)snprintf(row->what, sizeof row->what, "%s with %.60s@%.30s by %.60s%s",
                       is_here ? "convert" : "fetch, convert", m->name, m->version,
                       terms.decision.reason,
                       terms.decision.rule->destinations_count == 0 ? ", keep" : ", deliver");
    }
    return 0;
}

static bool on_found(void *arg, const struct fetch_found *found)
{
    struct finding *f = arg;
    if (f->run.n == f->capacity) {
        const size_t capacity = f->capacity == 0 ? 256 : 2 * f->capacity;
        struct batch_dry_row *row = realloc(f->run.row, capacity * sizeof *row);
        if (row == NULL) {
            f->status = sctd_error(&f->err, SCTD_ENOMEM, "a list of series");
            return false;
        }
        f->run.row = row;
        f->capacity = capacity;
    }
    struct batch_dry_row *row = &f->run.row[f->run.n++];
    *row = (struct batch_dry_row){.series = found->series};
    f->status = describe(f, row, &f->err);
    return f->status == 0;
}

static void on_ended(void *arg, const struct batch_plan_end *end)
{
    struct finding *f = arg;
    f->end = *end;
}

static int find(struct finding *f, const struct batch_plan_options *options, struct sctd_error *err)
{
    const struct batch_plan_hooks hooks = {.arg = f, .found = on_found, .ended = on_ended};
    struct batch_plan *plan = NULL;
    int r = batch_plan_start(&plan, options, &hooks, err);
    if (r < 0) {
        return r;
    }
    (void)uv_run(options->loop, UV_RUN_DEFAULT);
    if (f->status < 0) {
        *err = f->err;
        return f->status;
    }
    return f->end.done ? 0 : sctd_error(err, SCTD_EIO, "%s", f->end.reason);
}

int batch_dry_run_find(struct batch_dry_run *ret_run, const struct policy *policy, struct db *db,
                       struct batch_request *request, struct sctd_error *err)
{
    char program[SCTD_PATH_MAX];
    uv_loop_t loop;
    struct finding f = {.db = db, .request = request};
    const struct config_destination *pacs = config_find_destination(policy->config, request->place);
    (void)snprintf(f.source_ae, sizeof f.source_ae, "%.16s",
                   pacs == NULL ? policy->config->ae_title : pacs->ae_title);
    int r = child_find_program(program, err);
    r = r < 0 ? r : batch_terms_init(&f.terms, policy, request, err);
    if (r == 0 && uv_loop_init(&loop) != 0) {
        r = sctd_error(err, SCTD_ENOMEM, "an event loop");
    }
    if (r < 0) {
        return r;
    }
    const struct batch_plan_options options = {
        .loop = &loop, .program = program, .config = policy->config, .db = db, .request = request};
    r = find(&f, &options, err);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    if (r < 0) {
        batch_dry_run_fini(&f.run);
        return r;
    }
    *ret_run = f.run;
    return 0;
}
