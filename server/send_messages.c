/* SPDX-License-Identifier: Apache-2.0 */
#include "server/send_messages.h"

#include <stddef.h>

#include "dicom/sender.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/message.h"
#include "server/record.h"

#define FIELD(kind, member) RECORD_FIELD(RECORD_##kind, struct send_message, member, #member)
#define COUNT(table)        (sizeof(table) / sizeof(table)[0])

static const struct record_field send_fields[] = {
    FIELD(RAW, send.host),       FIELD(I32, send.port),      FIELD(TEXT, send.calling_ae),
    FIELD(TEXT, send.called_ae), FIELD(RAW, send.folder),    FIELD(TEXT, send.transaction_uid),
    FIELD(I32, send.connect_ms), FIELD(I32, send.answer_ms), FIELD(I32, send.report_ms),
    FIELD(I32, send.promised),
};

static const struct record_field stored_fields[] = {
    FIELD(I32, stored.number),
    FIELD(I32, stored.status),
};

static const struct record_field asked_fields[] = {FIELD(BOOL, asked.yes)};

static const struct record_field committed_fields[] = {
    FIELD(TEXT, committed.sop_uid),
    FIELD(I32, committed.failure),
};

static const struct record_field reported_fields[] = {FIELD(TEXT, reported.transaction_uid)};

static const struct record_field end_fields[] = {
    FIELD(I32, end.end),
    FIELD(TEXT, end.reason),
};

static const struct message_type types[] = {
    [SEND_READY] = {"ready", {NULL, 0}},
    [SEND_SEND] = {"send", {send_fields, COUNT(send_fields)}},
    [SEND_MOVING] = {"moving", {NULL, 0}},
    [SEND_STORED] = {"stored", {stored_fields, COUNT(stored_fields)}},
    [SEND_ASK] = {"ask", {NULL, 0}},
    [SEND_ASKED] = {"asked", {asked_fields, COUNT(asked_fields)}},
    [SEND_COMMITTED] = {"committed", {committed_fields, COUNT(committed_fields)}},
    [SEND_REPORTED] = {"reported", {reported_fields, COUNT(reported_fields)}},
    [SEND_END] = {"end", {end_fields, COUNT(end_fields)}},
};

int send_messages_send(int fd, const struct send_message *message, int passed_fd, int timeout_ms,
                       struct sctd_error *err)
{
    return message_send(fd, &types[message->type], message, passed_fd, timeout_ms, err);
}

int send_messages_read(struct send_message *ret_message, const struct json *json,
                       struct sctd_error *err)
{
    size_t type = 0;
    struct send_message message = {.type = SEND_READY};
    int r = message_read(&message, &type, types, COUNT(types), json, err);
    if (r < 0) {
        return r;
    }
    message.type = (enum send_type)type;
    if (message.type == SEND_END &&
        (message.end.end < DICOM_SENDER_STORED || message.end.end > DICOM_SENDER_UNCOMMITTED)) {
        return sctd_error(err, SCTD_EDATA, "end %d", message.end.end);
    }
    *ret_message = message;
    return 0;
}
