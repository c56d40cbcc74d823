/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/deliveries.h"
#include "db/jobs.h"
#include "dicom/receiver.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/exposition.h"
#include "server/metrics.h"
#include "server/receive_messages.h"
#include "server/timings.h"

static struct sctd_buf buf;

static int has(const struct metrics *metrics, const char *line)
{
    struct sctd_error err = {.code = SCTD_OK};
    sctd_buf_fini(&buf);
    buf = sctd_buf_make(1 << 20);
    struct exposition e = exposition_make(&buf, &err);
    metrics_write(metrics, &e);
    assert(exposition_finish(&e) == 0);
    return strstr(buf.data, line) != NULL;
}

static struct db_job make_job(int64_t id, const char *model, enum db_job_state state)
{
    struct db_job job = {.id = id, .state = state, .outputs = 12, .ended_ms = 1000 + id};
    (void)snprintf(job.model, sizeof job.model, "%s", model);
    return job;
}

static void check_stages(struct metrics *m)
{
    assert(has(m, "sctd_job_stage_seconds_count{stage=\"load\"} 1\n"));
    assert(has(m, "sctd_job_stage_seconds_count{stage=\"check\"} 1\n"));
    assert(has(m, "sctd_job_stage_seconds_count{stage=\"commit\"} 0\n"));
}

static void an_end_is_counted_once_and_a_second_end_again(struct metrics *m)
{
    const struct timings t = {0.5, 1, 0.2, 4, 0.3, 0.1, 3, (double)NAN, 9};
    struct db_job job = make_job(1, "a@1", DB_JOB_DONE);
    job.outputs++; /* a page, which is no slice */
    job.review = DB_REVIEW_ACCEPTED;
    metrics_job_ended(m, &job, &t);
    metrics_job_ended(m, &job, &t);
    assert(has(m, "sctd_jobs_ended_total{model=\"a@1\",outcome=\"done\"} 1\n"));
    assert(has(m, "sctd_engine_slices_total{model=\"a@1\"} 12\n"));
    assert(has(m, "sctd_engine_seconds_total{model=\"a@1\"} 4\n"));
    assert(has(m, "sctd_engine_last_slices_per_second 3\n"));
    assert(has(m, "sctd_job_turnaround_seconds_bucket{le=\"5\"} 0\n"));
    assert(has(m, "sctd_job_turnaround_seconds_bucket{le=\"10\"} 1\n"));
    check_stages(m);
    job.state = DB_JOB_FAILED;
    job.ended_ms++;
    metrics_job_ended(m, &job, &t);
    assert(has(m, "sctd_jobs_ended_total{model=\"a@1\",outcome=\"failed\"} 1\n"));
    assert(has(m, "sctd_engine_slices_total{model=\"a@1\"} 12\n"));
}

static void a_model_is_there_before_its_first_job(struct metrics *m)
{
    assert(!has(m, "b@1"));
    metrics_model(m, "b@1");
    metrics_model(m, "b@1");
    assert(has(m, "sctd_jobs_ended_total{model=\"b@1\",outcome=\"poison\"} 0\n"));
}

static void a_failed_check_is_counted_once_for_each_result(struct metrics *m)
{
    const struct db_job job = make_job(1, "a@1", DB_JOB_DONE);
    const struct db_job next = make_job(2, "a@1", DB_JOB_DONE);
    struct quality_report report = {.is_checked = true, .needs_review = true, .n = 4};
    report.finding[0] = (struct quality_finding){.check = QUALITY_HOLES, .verdict = QUALITY_PASSED};
    report.finding[1] =
        (struct quality_finding){.check = QUALITY_TISSUE, .verdict = QUALITY_FAILED};
    report.finding[2] =
        (struct quality_finding){.check = QUALITY_TISSUE, .verdict = QUALITY_FAILED};
    report.finding[3] =
        (struct quality_finding){.check = QUALITY_INTENSITY, .verdict = QUALITY_MEASURED};
    metrics_job_checked(m, &job, &report);
    metrics_job_checked(m, &job, &report);
    assert(has(m, "sctd_results_checked_total{model=\"a@1\",verdict=\"review\"} 1\n"));
    assert(has(m, "sctd_checks_failed_total{model=\"a@1\",check=\"tissue\"} 1\n"));
    assert(has(m, "sctd_checks_failed_total{model=\"a@1\",check=\"holes\"} 0\n"));
    assert(has(m, "sctd_checks_failed_total{model=\"a@1\",check=\"intensity\"} 0\n"));
    report = (struct quality_report){.is_checked = true};
    metrics_job_checked(m, &next, &report);
    assert(has(m, "sctd_results_checked_total{model=\"a@1\",verdict=\"passed\"} 1\n"));
    report.is_checked = false; /* its model has no limits */
    metrics_job_checked(m, &next, &report);
    assert(has(m, "sctd_results_checked_total{model=\"a@1\",verdict=\"passed\"} 1\n"));
}

static void models_without_end_are_one(struct metrics *m)
{
    const struct timings t = {0, 0, 0, 1, 0, 0, 0, 0, 1};
    char name[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "c%d@1", i);
        const struct db_job job = make_job(100 + i, name, DB_JOB_DONE);
        metrics_job_ended(m, &job, &t);
    }
    assert(has(m, "model=\"c61@1\"") && !has(m, "model=\"c62@1\""));
    assert(has(m, "sctd_jobs_ended_total{model=\"other\",outcome=\"done\"} 38\n"));
}

static struct db_delivery make_delivery(int64_t id, enum db_delivery_state state, int32_t stored)
{
    struct db_delivery d = {.id = id, .state = state, .instances = 12, .stored = stored};
    d.commitment = true;
    d.changed_ms = 1000 + id;
    (void)snprintf(d.destination, sizeof d.destination, "pacs");
    return d;
}

static void a_commitment_is_counted_once_and_a_refusal_to_store_is_none(struct metrics *m)
{
    struct db_delivery d = make_delivery(1, DB_DELIVERY_DONE, 12);
    metrics_destination(m, "quiet");
    metrics_delivery_ended(m, &d);
    metrics_delivery_ended(m, &d);
    assert(has(m, "sctd_commitments_total{destination=\"pacs\",outcome=\"committed\"} 1\n"));
    assert(has(m, "sctd_commitments_total{destination=\"quiet\",outcome=\"given_up\"} 0\n"));
    d = make_delivery(2, DB_DELIVERY_FAILED, 11); /* refused, and never asked */
    metrics_delivery_ended(m, &d);
    d = make_delivery(3, DB_DELIVERY_COMMITTING, 12);
    metrics_delivery_ended(m, &d);
    d = make_delivery(4, DB_DELIVERY_DONE, 12);
    d.commitment = false;
    metrics_delivery_ended(m, &d);
    assert(has(m, "sctd_commitments_total{destination=\"pacs\",outcome=\"committed\"} 1\n"));
    assert(has(m, "sctd_commitments_total{destination=\"pacs\",outcome=\"given_up\"} 0\n"));
    d = make_delivery(5, DB_DELIVERY_FAILED, 12); /* it does no storage commitment */
    metrics_delivery_ended(m, &d);
    d = make_delivery(6, DB_DELIVERY_FAILED, 11); /* it lost one, and did not take it again */
    (void)snprintf(d.transaction_uid, sizeof d.transaction_uid, "2.25.1");
    metrics_delivery_ended(m, &d);
    assert(has(m, "sctd_commitments_total{destination=\"pacs\",outcome=\"given_up\"} 2\n"));
}

static void destinations_without_end_are_one(struct metrics *m)
{
    char name[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "d%d", i);
        metrics_destination(m, name);
    }
    assert(has(m, "{destination=\"d61\"") && !has(m, "{destination=\"d62\""));
    assert(has(m, "sctd_commitments_total{destination=\"other\",outcome=\"committed\"} 0\n"));
}

static void what_became_of_a_report_is_counted(struct metrics *m)
{
    metrics_report(m, METRICS_REPORT_HEARD);
    metrics_report(m, METRICS_REPORT_GIVEN_UP);
    metrics_report(m, METRICS_REPORT_GIVEN_UP);
    assert(has(m, "sctd_commitment_reports_total{outcome=\"heard\"} 1\n"));
    assert(has(m, "sctd_commitment_reports_total{outcome=\"heard_later\"} 0\n"));
    assert(has(m, "sctd_commitment_reports_total{outcome=\"given_up\"} 2\n"));
    assert(has(m, "sctd_commitment_reports_total{outcome=\"lost\"} 0\n"));
}

static void peers_are_counted(struct metrics *m)
{
    const struct receive_end end = {.end = DICOM_END_IDLE, .stored = 40, .refused = 2};
    metrics_association_opened(m);
    metrics_association_opened(m);
    metrics_association_ended(m, &end);
    metrics_association_ended(m, NULL);
    metrics_instance(m, RECEIVE_STORED, 100);
    metrics_instance(m, RECEIVE_CONFLICT, 100);
    metrics_instance(m, -1, 100);
    metrics_instance(m, RECEIVE_FAILED + 1, 100);
    metrics_http(m, 404);
    metrics_http(m, 99);
    metrics_http(m, 600);
    assert(has(m, "sctd_associations_accepted_total 2\n"));
    assert(has(m, "sctd_associations_ended_total{end=\"idle\"} 1\n"));
    assert(has(m, "sctd_associations_ended_total{end=\"died\"} 1\n"));
    assert(has(m, "sctd_instances_answered_total{answer=\"stored\"} 40\n"));
    assert(has(m, "sctd_instances_answered_total{answer=\"refused\"} 2\n"));
    assert(has(m, "sctd_instances_received_total{outcome=\"conflict\"} 1\n"));
    assert(has(m, "sctd_received_bytes_total 100\n"));
    assert(has(m, "sctd_http_requests_total{code=\"4xx\"} 1\n"));
    assert(has(m, "sctd_http_requests_total{code=\"5xx\"} 0\n"));
}

int main(void)
{
    struct metrics *m = NULL;
    struct sctd_error err = {.code = SCTD_OK};
    assert(metrics_new(&m, &err) == 0);
    an_end_is_counted_once_and_a_second_end_again(m);
    a_model_is_there_before_its_first_job(m);
    a_failed_check_is_counted_once_for_each_result(m);
    models_without_end_are_one(m);
    a_commitment_is_counted_once_and_a_refusal_to_store_is_none(m);
    destinations_without_end_are_one(m);
    what_became_of_a_report_is_counted(m);
    peers_are_counted(m);
    metrics_free(m);
    sctd_buf_fini(&buf);
    return 0;
}
