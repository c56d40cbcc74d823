/* SPDX-License-Identifier: Apache-2.0 */
#include "server/receive_messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/mpps.h"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "dicom/uid.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/message.h"
#include "server/record.h"
#include "server/spool.h"

#define FIELD(kind, member) RECORD_FIELD(RECORD_##kind, struct receive_message, member, #member)
#define COUNT(table)        (sizeof(table) / sizeof(table)[0])

static const struct record_field serve_fields[] = {
    FIELD(TEXT, serve.peer),
    FIELD(TEXT, serve.calling_ae),
    FIELD(TEXT, serve.called_ae),
    FIELD(RAW, serve.spool),
    FIELD(I64, serve.reserve_bytes),
    FIELD(I64, serve.reserve_files),
    FIELD(I64, serve.max_instance_bytes),
    FIELD(I32, serve.idle_ms),
    FIELD(I32, serve.window_ms),
    FIELD(I64, serve.min_window_bytes),
    FIELD(BOOL, serve.all_syntaxes),
    FIELD(BOOL, serve.adopt),
};

static const struct record_field keep_fields[] = {
    FIELD(TEXT, keep.index.sop_class_uid),
    FIELD(TEXT, keep.index.sop_instance_uid),
    FIELD(TEXT, keep.index.study_uid),
    FIELD(TEXT, keep.index.series_uid),
    FIELD(TEXT, keep.index.frame_of_reference_uid),
    FIELD(RAW, keep.index.patient_id),
    FIELD(RAW, keep.index.patient_name),
    FIELD(RAW, keep.index.character_set),
    FIELD(TEXT, keep.index.modality),
    FIELD(TEXT, keep.index.series_description),
    FIELD(TEXT, keep.index.study_description),
    FIELD(TEXT, keep.index.protocol),
    FIELD(TEXT, keep.index.body_part),
    FIELD(TEXT, keep.index.manufacturer),
    FIELD(TEXT, keep.index.model_name),
    FIELD(TEXT, keep.index.station),
    FIELD(TEXT, keep.index.image_type),
    FIELD(TEXT, keep.index.stack),
    FIELD(DOUBLE, keep.index.slice_mm),
    FIELD(I32, keep.index.series_number),
    FIELD(I32, keep.index.instance_number),
    FIELD(I32, keep.index.frames),
    FIELD(TEXT, keep.transfer_syntax_uid),
    FIELD(RAW, keep.move_originator_ae),
    FIELD(I32, keep.move_originator_id),
    FIELD(TEXT, keep.file),
    FIELD(I64, keep.size),
    FIELD(BYTES, keep.sha256),
    FIELD(I64, keep.received_ms),
};

static const struct record_field kept_fields[] = {
    FIELD(I32, kept.outcome),
    FIELD(TEXT, kept.file),
};

static const struct record_field commitment_fields[] = {
    FIELD(TEXT, commitment.transaction_uid),
    FIELD(I32, commitment.n),
};

static const struct record_field performed_fields[] = {
    FIELD(TEXT, performed.sop_instance_uid),
    FIELD(BOOL, performed.is_new),
    FIELD(I32, performed.status),
    FIELD(I32, performed.n),
};

static const struct record_field answered_fields[] = {
    FIELD(I32, answered.reply),
};

static const struct record_field end_fields[] = {
    FIELD(I32, end.end),           FIELD(I64, end.stored), FIELD(I64, end.refused),
    FIELD(I64, end.echoed),        FIELD(I64, end.told),   FIELD(I32, end.contexts),
    FIELD(BOOL, end.spool_failed),
};

static const struct message_type types[] = {
    [RECEIVE_READY] = {"ready", {NULL, 0}},
    [RECEIVE_SERVE] = {"serve", {serve_fields, COUNT(serve_fields)}},
    [RECEIVE_KEEP] = {"keep", {keep_fields, COUNT(keep_fields)}},
    [RECEIVE_KEPT] = {"kept", {kept_fields, COUNT(kept_fields)}},
    [RECEIVE_REPORT] = {"report", {commitment_fields, COUNT(commitment_fields)}},
    [RECEIVE_COMMITMENT] = {"commitment", {commitment_fields, COUNT(commitment_fields)}},
    [RECEIVE_REPORTED] = {"reported", {commitment_fields, COUNT(commitment_fields)}},
    [RECEIVE_PERFORMED] = {"performed", {performed_fields, COUNT(performed_fields)}},
    [RECEIVE_ANSWERED] = {"answered", {answered_fields, COUNT(answered_fields)}},
    [RECEIVE_END] = {"end", {end_fields, COUNT(end_fields)}},
};

int receive_messages_send(int fd, const struct receive_message *message, int passed_fd,
                          int timeout_ms, struct sctd_error *err)
{
    return message_send(fd, &types[message->type], message, passed_fd, timeout_ms, err);
}

static bool is_within(int32_t value, int32_t first, int32_t last)
{
    return value >= first && value <= last;
}

static int check(const struct receive_message *m, struct sctd_error *err)
{
    const char *what = NULL;
    switch (m->type) {
    case RECEIVE_KEPT:
        what = is_within(m->kept.outcome, RECEIVE_STORED, RECEIVE_FAILED) ? NULL : "outcome";
        break;
    case RECEIVE_END:
        what = is_within(m->end.end, DICOM_END_RELEASED, DICOM_END_STOPPED) ? NULL : "end";
        break;
    case RECEIVE_KEEP:
        what = spool_is_name(m->keep.file) ? NULL : "file, which is not of the spool";
        break;
    case RECEIVE_REPORT:
    case RECEIVE_COMMITMENT:
    case RECEIVE_REPORTED:
        what = !dicom_uid_is_valid(m->commitment.transaction_uid)     ? "transaction"
               : !is_within(m->commitment.n, 0, DICOM_REFERENCES_MAX) ? "number of instances"
                                                                      : NULL;
        break;
    case RECEIVE_PERFORMED:
        what = !dicom_uid_is_valid(m->performed.sop_instance_uid)    ? "instance"
               : !is_within(m->performed.n, 0, DICOM_REFERENCES_MAX) ? "number of instances"
               : !is_within(m->performed.status, DICOM_MPPS_UNSAID, DICOM_MPPS_DISCONTINUED)
                   ? "status"
                   : NULL;
        break;
    case RECEIVE_ANSWERED:
        what = is_within(m->answered.reply, RECEIVE_TAKEN, RECEIVE_BROKEN) ? NULL : "reply";
        break;
    case RECEIVE_READY:
    case RECEIVE_SERVE:
        break;
    }
    return what == NULL ? 0 : sctd_error(err, SCTD_EDATA, "a message with an impossible %s", what);
}

int receive_messages_read(struct receive_message *ret_message, const struct json *json,
                          struct sctd_error *err)
{
    size_t type = 0;
    struct receive_message message = {.type = RECEIVE_READY};
    int r = message_read(&message, &type, types, COUNT(types), json, err);
    message.type = (enum receive_type)type;
    r = r < 0 ? r : check(&message, err);
    if (r == 0) {
        *ret_message = message;
    }
    return r;
}
