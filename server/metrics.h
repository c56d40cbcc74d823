/*
 * metrics.h - what the daemon counts as it works; docs/monitoring.md has every family.
 *
 * What can be looked up when it is asked for is not kept here.  No label ever holds what a patient or a peer chooses.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "db/deliveries.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/exposition.h"
#include "server/receive_messages.h"
#include "server/timings.h"

#ifdef __cplusplus
extern "C" {
#endif

enum metrics_stage {
    METRICS_QUEUE,
    METRICS_LOAD,
    METRICS_ASSEMBLE,
    METRICS_CONVERT,
    METRICS_CHECK,
    METRICS_WRITE,
    METRICS_DELIVER,
    METRICS_COMMIT,
    METRICS_TOTAL,
    METRICS_STAGES
};

/* What became of a report of storage commitment that a modality was promised. */
enum metrics_report {
    METRICS_REPORT_HEARD,       /* on the association that asked for it */
    METRICS_REPORT_HEARD_LATER, /* on one of ours */
    METRICS_REPORT_GIVEN_UP,    /* it was not heard in time */
    METRICS_REPORT_LOST,        /* it could not be kept, to be told later */
    METRICS_REPORTS
};

struct metrics;

/* *ret_metrics: freed by metrics_free.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int metrics_new(struct metrics **ret_metrics, struct sctd_error *err);
void metrics_free(struct metrics *metrics); /* NULL is a no-op */

/* An instance was answered: enum receive_outcome. */
void metrics_instance(struct metrics *metrics, int32_t outcome, int64_t bytes);
void metrics_association_opened(struct metrics *metrics);
/* end: NULL: its receiver died. */
void metrics_association_ended(struct metrics *metrics, const struct receive_end *end);
/* There may be jobs of it: its counters are written from now on, so that the first one is seen as a rise. */
void metrics_model(struct metrics *metrics, const char *model);
/* A job has ended; the same end is counted once, however often it is told. */
void metrics_job_ended(struct metrics *metrics, const struct db_job *job,
                       const struct timings *timings);
/* A job's result was checked; it is counted once, however often it is told. */
void metrics_job_checked(struct metrics *metrics, const struct db_job *job,
                         const struct quality_report *report);
/* There may be deliveries to it: as metrics_model. */
void metrics_destination(struct metrics *metrics, const char *destination);
/* A delivery has ended: whether its storage was committed, if that was wanted; counted once, however often it is told. */
void metrics_delivery_ended(struct metrics *metrics, const struct db_delivery *delivery);
void metrics_report(struct metrics *metrics, enum metrics_report report);
void metrics_http(struct metrics *metrics, int status);

/* Write the families that are kept here. */
void metrics_write(const struct metrics *metrics, struct exposition *e);

#ifdef __cplusplus
}
#endif
