/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "db/jobs.h"
#include "dicom/receiver.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/exposition.h"
#include "server/receive_messages.h"
#include "server/timings.h"

enum {
    MODELS_MAX = 64,       /* more are "other" */
    ENDED_MAX = 1024,      /* ends that are remembered, so that none is counted twice */
    CHECKED_MAX = 1024,    /* the same of results */
    DESTINATIONS_MAX = 64, /* as of models */
    ENDS_MAX = 8,          /* of associations */
    OUTCOMES = RECEIVE_FAILED + 1,
    CLASSES = 6, /* of HTTP statuses */
};

struct model_count {
    char model[DB_NAME_SIZE];
    int64_t ended[DB_JOB_STATES];
    int64_t slices;
    double seconds; /* of the engine */
    int64_t passed, review;
    int64_t failed[QUALITY_CHECKS];
};

struct ended {
    int64_t id, ended_ms;
};
/* Those that were counted last; the oldest make place. */
struct ended_list {
    struct ended ended[ENDED_MAX];
    size_t next;
};

struct destination_count {
    char destination[DB_NAME_SIZE];
    int64_t committed, given_up;
};

struct association_ends {
    const char *end;
    int64_t n;
};

struct metrics {
    int64_t instances[OUTCOMES], bytes;
    int64_t answered_stored, answered_refused;
    int64_t associations;
    struct association_ends ends[ENDS_MAX];
    struct model_count model[MODELS_MAX + 1];
    size_t n_models;
    struct exposition_histogram stage[METRICS_STAGES];
    double last_slices_per_s;
    int64_t http[CLASSES];
    struct ended_list jobs, deliveries;
    struct destination_count destination[DESTINATIONS_MAX + 1];
    size_t n_destinations;
    int64_t reports[METRICS_REPORTS];
    int64_t checked[CHECKED_MAX]; /* ids of jobs */
    size_t next_checked;
};

int metrics_new(struct metrics **ret_metrics, struct sctd_error *err)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "metrics");
    }
    for (int i = 0; i <= DICOM_END_STOPPED; i++) {
        m->ends[i].end = dicom_receiver_end_name((enum dicom_receiver_end)i);
    }
    m->ends[DICOM_END_STOPPED + 1].end = "died";
    *ret_metrics = m;
    return 0;
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

void metrics_instance(struct metrics *metrics, int32_t outcome, int64_t bytes)
{
    if (outcome >= 0 && outcome < OUTCOMES) {
        metrics->instances[outcome]++;
    }
    if (outcome == RECEIVE_STORED) {
        metrics->bytes += bytes;
    }
}

void metrics_association_opened(struct metrics *metrics)
{
    metrics->associations++;
}

void metrics_association_ended(struct metrics *metrics, const struct receive_end *end)
{
    const char *name =
        end == NULL ? "died" : dicom_receiver_end_name((enum dicom_receiver_end)end->end);
    for (size_t i = 0; i < ENDS_MAX && metrics->ends[i].end != NULL; i++) {
        metrics->ends[i].n += strcmp(metrics->ends[i].end, name) == 0;
    }
    if (end != NULL) {
        metrics->answered_stored += end->stored;
        metrics->answered_refused += end->refused;
    }
}

void metrics_http(struct metrics *metrics, int status)
{
    enum { CLASS = 100 };
    const int class = status / CLASS;
    if (class >= 1 && class < CLASSES) {
        metrics->http[class]++;
    }
}

static struct model_count *find_model(struct metrics *m, const char *model)
{
    size_t i = 0;
    while (i < m->n_models && i < MODELS_MAX && strcmp(m->model[i].model, model) != 0) {
        i++;
    }
    if (i == m->n_models) {
        (void)snprintf(m->model[i].model, sizeof m->model[i].model, "%s",
                       i < MODELS_MAX ? model : "other");
        m->n_models++;
    }
    return &m->model[i];
}

void metrics_model(struct metrics *metrics, const char *model)
{
    (void)find_model(metrics, model);
}

static bool is_counted(struct ended_list *list, int64_t id, int64_t ended_ms)
{
    for (size_t i = 0; i < ENDED_MAX; i++) {
        if (list->ended[i].id == id && list->ended[i].ended_ms == ended_ms) {
            return true;
        }
    }
    list->ended[list->next] = (struct ended){id, ended_ms};
    list->next = (list->next + 1) % ENDED_MAX;
    return false;
}

void metrics_job_ended(struct metrics *metrics, const struct db_job *job,
                       const struct timings *timings)
{
    const double seconds[METRICS_STAGES] = {
        [METRICS_QUEUE] = timings->queue_s,       [METRICS_LOAD] = timings->load_s,
        [METRICS_ASSEMBLE] = timings->assemble_s, [METRICS_CONVERT] = timings->convert_s,
        [METRICS_CHECK] = timings->check_s,       [METRICS_WRITE] = timings->write_s,
        [METRICS_DELIVER] = timings->deliver_s,   [METRICS_COMMIT] = timings->commit_s,
        [METRICS_TOTAL] = timings->total_s,
    };
    if (is_counted(&metrics->jobs, job->id, job->ended_ms)) {
        return;
    }
    struct model_count *model = find_model(metrics, job->model);
    model->ended[job->state]++;
    if (job->state != DB_JOB_DONE) {
        return;
    }
    for (int i = 0; i < METRICS_STAGES; i++) {
        exposition_observe(&metrics->stage[i], seconds[i]);
    }
    if (isfinite(timings->convert_s) && timings->convert_s > 0) {
        model->slices += db_job_slices(job);
        model->seconds += timings->convert_s;
        metrics->last_slices_per_s = db_job_slices(job) / timings->convert_s;
    }
}

static bool is_checked(struct metrics *m, int64_t job_id)
{
    for (size_t i = 0; i < CHECKED_MAX; i++) {
        if (m->checked[i] == job_id) {
            return true;
        }
    }
    m->checked[m->next_checked] = job_id;
    m->next_checked = (m->next_checked + 1) % CHECKED_MAX;
    return false;
}

void metrics_job_checked(struct metrics *metrics, const struct db_job *job,
                         const struct quality_report *report)
{
    bool failed[QUALITY_CHECKS] = {false};
    if (!report->is_checked || is_checked(metrics, job->id)) {
        return;
    }
    struct model_count *model = find_model(metrics, job->model);
    model->passed += report->needs_review ? 0 : 1;
    model->review += report->needs_review ? 1 : 0;
    for (size_t i = 0; i < report->n; i++) { /* of every tissue and percentile: one check */
        failed[report->finding[i].check] =
            failed[report->finding[i].check] || report->finding[i].verdict == QUALITY_FAILED;
    }
    for (int i = 0; i < QUALITY_CHECKS; i++) {
        model->failed[i] += failed[i] ? 1 : 0;
    }
}

static struct destination_count *find_destination(struct metrics *m, const char *destination)
{
    size_t i = 0;
    while (i < m->n_destinations && i < DESTINATIONS_MAX &&
           strcmp(m->destination[i].destination, destination) != 0) {
        i++;
    }
    if (i == m->n_destinations) {
        (void)snprintf(m->destination[i].destination, sizeof m->destination[i].destination, "%s",
                       i < DESTINATIONS_MAX ? destination : "other");
        m->n_destinations++;
    }
    return &m->destination[i];
}

void metrics_destination(struct metrics *metrics, const char *destination)
{
    (void)find_destination(metrics, destination);
}

void metrics_delivery_ended(struct metrics *metrics, const struct db_delivery *delivery)
{
    const bool is_stored = delivery->instances > 0 && delivery->stored == delivery->instances;
    const bool is_committed = delivery->state == DB_DELIVERY_DONE;
    /* Where some were lost and not taken again, the request is what tells it from one that never came there. */
    const bool is_given_up = delivery->state == DB_DELIVERY_FAILED &&
                             (is_stored || delivery->transaction_uid[0] != '\0');
    if (!delivery->commitment || (!is_committed && !is_given_up) ||
        is_counted(&metrics->deliveries, delivery->id, delivery->changed_ms)) {
        return;
    }
    struct destination_count *count = find_destination(metrics, delivery->destination);
    count->committed += is_committed ? 1 : 0;
    count->given_up += is_given_up ? 1 : 0;
}

void metrics_report(struct metrics *metrics, enum metrics_report report)
{
    metrics->reports[report]++;
}

/* Writing */

static void write_receiving(const struct metrics *m, struct exposition *e)
{
    static const char *const outcomes[OUTCOMES] = {"stored",      "duplicate", "conflict",
                                                   "series_full", "no_room",   "failed"};
    exposition_family(e, "sctd_instances_received_total", "counter",
                      "Instances that peers sent, by what became of them.");
    for (int i = 0; i < OUTCOMES; i++) {
        exposition_labelled(e, "outcome", outcomes[i], (double)m->instances[i]);
    }
    exposition_family(e, "sctd_received_bytes_total", "counter",
                      "Bytes of the instances that were stored.");
    exposition_value(e, (double)m->bytes);
    exposition_family(e, "sctd_instances_answered_total", "counter",
                      "Instances of associations that have ended, by what the peer was told.");
    exposition_labelled(e, "answer", "stored", (double)m->answered_stored);
    exposition_labelled(e, "answer", "refused", (double)m->answered_refused);
    exposition_family(e, "sctd_associations_accepted_total", "counter",
                      "Associations that were let in.");
    exposition_value(e, (double)m->associations);
    exposition_family(e, "sctd_associations_ended_total", "counter",
                      "Associations that have ended, by how.");
    for (size_t i = 0; i < ENDS_MAX && m->ends[i].end != NULL; i++) {
        exposition_labelled(e, "end", m->ends[i].end, (double)m->ends[i].n);
    }
}

static void write_models(const struct metrics *m, struct exposition *e)
{
    static const enum db_job_state ends[] = {DB_JOB_DONE, DB_JOB_FAILED, DB_JOB_POISON,
                                             DB_JOB_CANCELLED};
    exposition_family(e, "sctd_jobs_ended_total", "counter",
                      "Jobs that have ended, by model and outcome.");
    for (size_t i = 0; i < m->n_models; i++) {
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
            const struct exposition_label model = {"model", m->model[i].model};
            const struct exposition_label outcome = {"outcome", db_job_state_name(ends[k])};
            exposition_sample(e, model, outcome, (double)m->model[i].ended[ends[k]]);
        }
    }
    exposition_family(e, "sctd_engine_slices_total", "counter",
                      "Slices that the network has converted, by model.");
    for (size_t i = 0; i < m->n_models; i++) {
        exposition_labelled(e, "model", m->model[i].model, (double)m->model[i].slices);
    }
    exposition_family(e, "sctd_engine_seconds_total", "counter",
                      "Time that the network took for them, by model.");
    for (size_t i = 0; i < m->n_models; i++) {
        exposition_labelled(e, "model", m->model[i].model, m->model[i].seconds);
    }
    exposition_family(e, "sctd_engine_last_slices_per_second", "gauge",
                      "Speed of the network in the last job; 0 before the first.");
    exposition_value(e, m->last_slices_per_s);
}

static void write_checks(const struct metrics *m, struct exposition *e)
{
    exposition_family(e, "sctd_results_checked_total", "counter",
                      "Results that were checked, by model and verdict.");
    for (size_t i = 0; i < m->n_models; i++) {
        const struct exposition_label model = {"model", m->model[i].model};
        const struct exposition_label passed = {"verdict", "passed"};
        const struct exposition_label review = {"verdict", "review"};
        exposition_sample(e, model, passed, (double)m->model[i].passed);
        exposition_sample(e, model, review, (double)m->model[i].review);
    }
    exposition_family(e, "sctd_checks_failed_total", "counter",
                      "Results of which a check failed, by model and check.");
    for (size_t i = 0; i < m->n_models; i++) {
        for (int k = 0; k < QUALITY_CHECKS; k++) {
            const struct exposition_label model = {"model", m->model[i].model};
            const struct exposition_label check = {"check",
                                                   quality_check_name((enum quality_check)k)};
            exposition_sample(e, model, check, (double)m->model[i].failed[k]);
        }
    }
}

static void write_stages(const struct metrics *m, struct exposition *e)
{
    static const char *const names[METRICS_STAGES] = {
        [METRICS_QUEUE] = "queue",     [METRICS_LOAD] = "load",     [METRICS_ASSEMBLE] = "assemble",
        [METRICS_CONVERT] = "convert", [METRICS_CHECK] = "check",   [METRICS_WRITE] = "write",
        [METRICS_DELIVER] = "deliver", [METRICS_COMMIT] = "commit", [METRICS_TOTAL] = "turnaround"};
    const struct exposition_label none = {NULL, NULL};
    exposition_family(e, "sctd_job_stage_seconds", "histogram",
                      "How long the stages of jobs that are done took.");
    for (int i = 0; i < METRICS_TOTAL; i++) {
        const struct exposition_label stage = {"stage", names[i]};
        exposition_write_histogram(e, stage, &m->stage[i]);
    }
    exposition_family(e, "sctd_job_turnaround_seconds", "histogram",
                      "From a complete series to a job that is done.");
    exposition_write_histogram(e, none, &m->stage[METRICS_TOTAL]);
}

static void write_commitment(const struct metrics *m, struct exposition *e)
{
    static const char *const reports[METRICS_REPORTS] = {"heard", "heard_later", "given_up",
                                                         "lost"};
    exposition_family(e, "sctd_commitments_total", "counter",
                      "Deliveries whose storage a destination was to commit, by what it did.");
    for (size_t i = 0; i < m->n_destinations; i++) {
        const struct exposition_label name = {"destination", m->destination[i].destination};
        const struct exposition_label committed = {"outcome", "committed"};
        const struct exposition_label given_up = {"outcome", "given_up"};
        exposition_sample(e, name, committed, (double)m->destination[i].committed);
        exposition_sample(e, name, given_up, (double)m->destination[i].given_up);
    }
    exposition_family(
        e, "sctd_commitment_reports_total", "counter",
        "Reports of storage commitment that peers asked for, by what became of them.");
    for (int i = 0; i < METRICS_REPORTS; i++) {
        exposition_labelled(e, "outcome", reports[i], (double)m->reports[i]);
    }
}

void metrics_write(const struct metrics *metrics, struct exposition *e)
{
    static const char *const classes[CLASSES] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    write_receiving(metrics, e);
    write_models(metrics, e);
    write_checks(metrics, e);
    write_stages(metrics, e);
    write_commitment(metrics, e);
    exposition_family(e, "sctd_http_requests_total", "counter",
                      "Requests over HTTP, by the class of their status.");
    for (int i = 2; i < CLASSES; i++) {
        exposition_labelled(e, "code", classes[i], (double)metrics->http[i]);
    }
}
