/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker_result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/worker_messages.h"

void worker_result_fini(struct worker_result *result)
{
    free(result->output);
    free(result->quality);
    *result = (struct worker_result){.output = NULL};
}

bool worker_result_add_output(struct worker_result *result, const struct worker_output *output)
{
    enum { FIRST = 256 };
    if (result->n_outputs == result->capacity) {
        const size_t capacity = result->capacity == 0 ? FIRST : 2 * result->capacity;
        struct worker_output *grown = capacity > 2 * (size_t)DB_OUTPUTS_MAX
                                          ? NULL
                                          : realloc(result->output, capacity * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        result->output = grown;
        result->capacity = capacity;
    }
    result->output[result->n_outputs++] = *output;
    return true;
}

bool worker_result_add_quality(struct worker_result *result, const struct worker_quality *quality)
{
    if (result->quality != NULL) {
        return false;
    }
    result->quality = malloc(sizeof *result->quality);
    if (result->quality == NULL) {
        return false; /* nothing goes out unchecked */
    }
    *result->quality = *quality;
    return true;
}

static int list_outputs(const struct worker_result *result, struct db_output **ret_outputs,
                        struct sctd_error *err)
{
    struct db_output *outputs = calloc(result->n_outputs + 1, sizeof *outputs);
    if (outputs == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu outputs", result->n_outputs);
    }
    for (size_t i = 0; i < result->n_outputs; i++) {
        const struct worker_output *from = &result->output[i];
        outputs[i] = (struct db_output){.sop_uid = from->sop_uid,
                                        .sop_class_uid = from->sop_class_uid,
                                        .file = from->file,
                                        .size = from->size};
        memcpy(outputs[i].sha256, from->sha256, sizeof outputs[i].sha256);
    }
    *ret_outputs = outputs;
    return 0;
}

/* What its checks say, and which of them failed. */
static int add_review(struct worker_result *result, struct db_work_result *work,
                      struct sctd_error *err)
{
    const struct worker_quality *quality = result->quality;
    struct quality_report report;
    if (quality == NULL) {
        return 0;
    }
    work->quality = quality->report;
    work->review = quality->needs_review ? DB_REVIEW_NEEDED : DB_REVIEW_PASSED;
    if (!quality->needs_review) {
        return 0;
    }
    int r = quality_report_read(&report, quality->report, strlen(quality->report), err);
    if (r == 0) {
        quality_report_summarise(&report, result->failed, sizeof result->failed);
        work->reason = result->failed;
    }
    return r;
}

int worker_result_finish(struct worker_result *result, struct db *db,
                         const struct worker_ending *ending, struct db_work_result *work,
                         struct sctd_error *err)
{
    struct db_output *outputs = NULL;
    int r = 0;
    if (work->work == DB_WORK_DONE) {
        r = list_outputs(result, &outputs, err);
        work->output = outputs;
        work->n_outputs = result->n_outputs;
        r = r < 0 ? r : add_review(result, work, err);
    }
    if (r == 0) {
        r = db_job_finish(db, &ending->now, ending->token, work, &ending->retry, err);
    }
    free(outputs);
    work->output = NULL;
    return r;
}
