/* SPDX-License-Identifier: Apache-2.0 */
#include "server/operate.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "db/db.h"
#include "db/events.h"
#include "db/instances.h"
#include "db/jobs.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "server/batches.h"
#include "server/control.h"
#include "server/intake.h"
#include "server/log.h"
#include "server/moment.h"

struct request {
    const struct operate *operate;
    const struct control_request *control;
    struct db_now now;
    const char *reason;
    int64_t *ret_id; /* of what was made */
};

static int job_cancel(const struct request *q, struct sctd_error *err)
{
    return db_job_cancel(q->operate->db, &q->now, q->control->id, q->reason, err);
}

static int job_retry(const struct request *q, struct sctd_error *err)
{
    return db_job_retry(q->operate->db, &q->now, q->control->id, q->reason, err);
}

static int job_prioritise(const struct request *q, struct sctd_error *err)
{
    return db_job_prioritise(q->operate->db, &q->now, q->control->id, q->control->value, q->reason,
                             err);
}

/* The history says who looked. */
static int review(const struct request *q, bool accept, struct sctd_error *err)
{
    char text[DB_REASON_SIZE];
    const bool is_said = q->control->reason[0] != '\0';
    if (!accept && !is_said) {
        return sctd_error(err, SCTD_EINVAL, "say in the reason why the result is no good");
    }
    (void)snprintf(text, sizeof text, "by %s%s%.180s", q->operate->actor, is_said ? ": " : "",
                   q->control->reason);
    utf8_clean(text); /* it may have been cut within a character */
    return db_job_review(q->operate->db, &q->now, q->control->id, accept, text, err);
}

static int job_accept(const struct request *q, struct sctd_error *err)
{
    return review(q, true, err);
}

static int job_reject(const struct request *q, struct sctd_error *err)
{
    return review(q, false, err);
}

static int series_complete(const struct request *q, struct sctd_error *err)
{
    return intake_complete_now(q->operate->intake, q->control->id, q->reason, err);
}

static int series_discard(const struct request *q, struct sctd_error *err)
{
    return db_series_discard(q->operate->db, &q->now, q->control->id, q->reason, err);
}

static int series_reopen(const struct request *q, struct sctd_error *err)
{
    const int r = db_series_reopen(q->operate->db, &q->now, q->control->id, q->reason, err);
    if (r == 0) {
        intake_watch(q->operate->intake, q->control->id);
    }
    return r;
}

static int batch_create(const struct request *q, struct sctd_error *err)
{
    if (q->control->text == NULL) {
        return sctd_error(err, SCTD_EINVAL, "a batch without a request");
    }
    return batches_create(q->operate->batches, q->control->text, q->control->text_size, q->ret_id,
                          err);
}

static int batch_pause(const struct request *q, struct sctd_error *err)
{
    return batches_pause(q->operate->batches, q->control->id, q->reason, err);
}

static int batch_resume(const struct request *q, struct sctd_error *err)
{
    return batches_resume(q->operate->batches, q->control->id, q->reason, err);
}

static int batch_cancel(const struct request *q, struct sctd_error *err)
{
    return batches_cancel(q->operate->batches, q->control->id, q->reason, err);
}

static const struct {
    const char *name;
    int (*run)(const struct request *q, struct sctd_error *err);
    const char *refused; /* what it means that the state does not allow it */
} actions[] = {
    {"job-cancel", job_cancel, "it is done or cancelled already"},
    {"job-retry", job_retry,
     "only failed, poison and cancelled jobs whose files are there can be tried again, and no "
     "result that was rejected: accept it instead"},
    {"job-prioritise", job_prioritise, "it has ended"},
    {"job-accept", job_accept,
     "only a result that needs review, or was rejected and is still here, can be accepted"},
    {"job-reject", job_reject, "only a result that needs review can be rejected"},
    {"series-complete", series_complete, "it is not open"},
    {"series-discard", series_discard, "it is not open"},
    {"series-reopen", series_reopen, "it is not discarded"},
    {"batch-create", batch_create, "a batch of the same request has not ended: see its id"},
    {"batch-pause", batch_pause, "it is paused, or has ended"},
    {"batch-resume", batch_resume, "it is not paused, or has ended"},
    {"batch-cancel", batch_cancel, "it has ended"},
};

static void say_refused(const struct request *q, const char *refused, struct control_answer *answer)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct db_job job = {.superseded_by = 0};
    if (strncmp(q->control->action, "job-", strlen("job-")) == 0 &&
        db_job_get(q->operate->db, q->control->id, &job, &err) == 0 && job.superseded_by != 0) {
        (void)snprintf(answer->text, sizeof answer->text,
                       "superseded by job %" PRId64
                       ", which is made of more images of the series: %s",
                       job.superseded_by, refused);
    } else {
        (void)snprintf(answer->text, sizeof answer->text, "%s", refused);
    }
}

static void note(const struct request *q)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct db_event event = {.id = 0};
    (void)snprintf(event.kind, sizeof event.kind, "%s", q->control->action);
    (void)snprintf(event.actor, sizeof event.actor, "%s", q->operate->actor);
    const int64_t id = q->control->id != 0 ? q->control->id : *q->ret_id;
    (void)snprintf(event.subject, sizeof event.subject, "%" PRId64, id);
    (void)snprintf(event.text, sizeof event.text, "%s", q->reason);
    if (db_event_add(q->operate->db, &q->now, &event, &err) < 0) {
        LOG_ERROR("job-store", log_text("reason", err.text));
    }
    LOG_INFO("operator", log_text("actor", q->operate->actor),
             log_text("action", q->control->action), log_number("id", id),
             log_text("reason", q->reason));
}

enum operate_outcome operate_do(const struct operate *operate,
                                const struct control_request *request,
                                struct control_answer *ret_answer)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct request q = {
        .operate = operate,
        .control = request,
        .now = moment_now(),
        .reason = request->reason[0] == '\0' ? "asked for by an operator" : request->reason,
        .ret_id = &ret_answer->id,
    };
    *ret_answer = (struct control_answer){.done = false};
    char *text = ret_answer->text;
    const size_t size = sizeof ret_answer->text;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, request->action) != 0) {
            continue;
        }
        const int r = actions[i].run(&q, &err);
        ret_answer->done = r == 0;
        if (r < 0) {
            (void)snprintf(text, size, "%s", err.text);
        } else if (r == DB_NONE) {
            (void)snprintf(text, size, "there is no such thing, or it is not open: %" PRId64,
                           request->id);
        } else if (r > 0) {
            say_refused(&q, actions[i].refused, ret_answer);
        } else {
            note(&q);
        }
        return r < 0          ? OPERATE_FAILED
               : r == DB_NONE ? OPERATE_NONE
               : r > 0        ? OPERATE_REFUSED
                              : OPERATE_DONE;
    }
    (void)snprintf(text, size, "action \"%.32s\" is unknown: is the daemon older?",
                   request->action);
    return OPERATE_FAILED;
}
