/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker_messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/quality.h"
#include "server/message.h"
#include "server/record.h"

#define FIELD(kind, member) RECORD_FIELD(RECORD_##kind, struct worker_message, member, #member)
#define COUNT(table)        (sizeof(table) / sizeof(table)[0])

static const struct record_field job_fields[] = {
    FIELD(I64, job.job_id),      FIELD(I32, job.attempt),        FIELD(RAW, job.model_dir),
    FIELD(RAW, job.spool),       FIELD(RAW, job.results),        FIELD(TEXT, job.model_sha256),
    FIELD(TEXT, job.parameters), FIELD(I32, job.threads),        FIELD(I32, job.batch),
    FIELD(I32, job.memory_mib),  FIELD(I32, job.gpu_memory_mib), FIELD(TEXT, job.backend),
    FIELD(I32, job.turn),        FIELD(I32, job.turns),          FIELD(TEXT, job.source_series_uid),
    FIELD(TEXT, job.series_uid),
};

static const struct record_field stage_fields[] = {
    FIELD(TEXT, stage.stage),
    FIELD(I64, stage.done),
    FIELD(I64, stage.total),
};

static const struct record_field engine_fields[] = {
    FIELD(TEXT, engine.backend),     FIELD(TEXT, engine.device), FIELD(I32, engine.device_mib),
    FIELD(TEXT, engine.arithmetic),  FIELD(TEXT, engine.reason), FIELD(TEXT, engine.remark),
    FIELD(BOOL, engine.is_fallback),
};

static const struct record_field output_fields[] = {
    FIELD(TEXT, output.sop_uid), FIELD(TEXT, output.sop_class_uid), FIELD(TEXT, output.file),
    FIELD(I64, output.size),     FIELD(BYTES, output.sha256),
};

static const struct record_field quality_fields[] = {
    FIELD(BOOL, quality.needs_review),
    FIELD(TEXT, quality.report),
};

static const struct record_field end_fields[] = {
    FIELD(I32, end.outcome),        FIELD(TEXT, end.reason),        FIELD(DOUBLE, end.stage_ms[0]),
    FIELD(DOUBLE, end.stage_ms[1]), FIELD(DOUBLE, end.stage_ms[2]), FIELD(DOUBLE, end.stage_ms[3]),
    FIELD(DOUBLE, end.stage_ms[4]), FIELD(DOUBLE, end.load_ms),     FIELD(I32, end.instances),
    FIELD(BOOL, end.was_there),
};

static const struct message_type types[] = {
    [WORKER_READY] = {"ready", {NULL, 0}},
    [WORKER_JOB] = {"job", {job_fields, COUNT(job_fields)}},
    [WORKER_TRIAL] = {"trial", {job_fields, COUNT(job_fields)}},
    [WORKER_STAGE] = {"stage", {stage_fields, COUNT(stage_fields)}},
    [WORKER_ENGINE] = {"engine", {engine_fields, COUNT(engine_fields)}},
    [WORKER_OUTPUT] = {"output", {output_fields, COUNT(output_fields)}},
    [WORKER_QUALITY] = {"quality", {quality_fields, COUNT(quality_fields)}},
    [WORKER_END] = {"end", {end_fields, COUNT(end_fields)}},
};

int worker_messages_send(int fd, const struct worker_message *message, int passed_fd,
                         int timeout_ms, struct sctd_error *err)
{
    return message_send(fd, &types[message->type], message, passed_fd, timeout_ms, err);
}

bool worker_messages_is_file(const char *text)
{
    static const char word[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-";
    const size_t folder = strspn(text, word);
    const char *name = text + folder + 1;
    return folder > 0 && text[0] != '.' && text[folder] == '/' && name[0] != '.' &&
           name[0] != '\0' && name[strspn(name, word)] == '\0' && strlen(text) < WORKER_FILE_SIZE;
}

/* The report is read as a report, so that what goes on into the store is one and says what the message says. */
static int check_quality(const struct worker_quality *quality, struct sctd_error *err)
{
    struct quality_report report;
    const int r = quality_report_read(&report, quality->report, strlen(quality->report), err);
    return r == 0 && report.needs_review != quality->needs_review
               ? sctd_error(err, SCTD_EDATA, "a report that contradicts its message")
               : r;
}

int worker_messages_read(struct worker_message *ret_message, const struct json *json,
                         struct sctd_error *err)
{
    size_t type = 0;
    struct worker_message message = {.type = WORKER_READY};
    int r = message_read(&message, &type, types, COUNT(types), json, err);
    if (r < 0) {
        return r;
    }
    message.type = (enum worker_type)type;
    if (message.type == WORKER_END &&
        (message.end.outcome < 0 || message.end.outcome >= WORKER_OUTCOMES)) {
        return sctd_error(err, SCTD_EDATA, "outcome %d", message.end.outcome);
    }
    if (message.type == WORKER_OUTPUT &&
        (!worker_messages_is_file(message.output.file) || message.output.size < 0)) {
        return sctd_error(err, SCTD_EDATA, "an output that is no file of ours");
    }
    r = message.type == WORKER_QUALITY ? check_quality(&message.quality, err) : 0;
    if (r == 0) {
        *ret_message = message;
    }
    return r;
}
