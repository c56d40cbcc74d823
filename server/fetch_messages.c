/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fetch_messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/query.h"
#include "dicom/uid.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/message.h"
#include "server/record.h"

#define FIELD(kind, member) RECORD_FIELD(RECORD_##kind, struct fetch_message, member, #member)
#define COUNT(table)        (sizeof(table) / sizeof(table)[0])

static const struct record_field work_fields[] = {
    FIELD(I32, work.kind),        FIELD(RAW, work.host),          FIELD(I32, work.port),
    FIELD(TEXT, work.calling_ae), FIELD(TEXT, work.called_ae),    FIELD(I32, work.connect_ms),
    FIELD(I32, work.answer_ms),   FIELD(BOOL, work.all_syntaxes), FIELD(TEXT, work.from),
    FIELD(TEXT, work.to),         FIELD(RAW, work.patient_id),    FIELD(RAW, work.accession),
    FIELD(TEXT, work.modality),   FIELD(I32, work.limit),         FIELD(TEXT, work.study_uid),
    FIELD(TEXT, work.series_uid), FIELD(RAW, work.folder),
};

static const struct record_field found_fields[] = {
    FIELD(TEXT, found.series.study_uid),
    FIELD(TEXT, found.series.series_uid),
    FIELD(TEXT, found.series.study_date),
    FIELD(TEXT, found.series.accession),
    FIELD(TEXT, found.series.patient_id),
    FIELD(TEXT, found.series.modality),
    FIELD(TEXT, found.series.study_description),
    FIELD(TEXT, found.series.series_description),
    FIELD(TEXT, found.series.station),
    FIELD(TEXT, found.series.protocol),
    FIELD(TEXT, found.series.body_part),
    FIELD(TEXT, found.series.manufacturer),
    FIELD(I32, found.series.images),
    FIELD(TEXT, found.image_type),
    FIELD(RAW, found.folder),
};

static const struct record_field end_fields[] = {
    FIELD(I32, end.end),     FIELD(I32, end.completed), FIELD(I32, end.failed),
    FIELD(I32, end.warned),  FIELD(I32, end.announced), FIELD(BOOL, end.spool_failed),
    FIELD(TEXT, end.reason),
};

static const struct message_type types[] = {
    [FETCH_READY] = {"fetch-ready", {NULL, 0}},
    [FETCH_WORK] = {"fetch-work", {work_fields, COUNT(work_fields)}},
    [FETCH_FOUND] = {"fetch-found", {found_fields, COUNT(found_fields)}},
    [FETCH_MOVING] = {"fetch-moving", {NULL, 0}},
    [FETCH_END] = {"fetch-end", {end_fields, COUNT(end_fields)}},
};

int fetch_messages_send(int fd, const struct fetch_message *message, int passed_fd, int timeout_ms,
                        struct sctd_error *err)
{
    return message_send(fd, &types[message->type], message, passed_fd, timeout_ms, err);
}

static bool is_uid_or_none(const char *uid)
{
    return *uid == '\0' || dicom_uid_is_valid(uid);
}

static int check(const struct fetch_message *m, struct sctd_error *err)
{
    const char *what = NULL;
    const bool has_uids =
        m->type == FETCH_WORK
            ? is_uid_or_none(m->work.study_uid) && is_uid_or_none(m->work.series_uid)
            : m->type != FETCH_FOUND || (dicom_uid_is_valid(m->found.series.study_uid) &&
                                         dicom_uid_is_valid(m->found.series.series_uid));
    if (m->type == FETCH_WORK && (m->work.kind < 0 || m->work.kind >= FETCH_KINDS)) {
        what = "kind";
    } else if (!has_uids) {
        what = "UID";
    } else if (m->type == FETCH_END &&
               (m->end.end < DICOM_QUERY_DONE || m->end.end > DICOM_QUERY_REFUSED)) {
        what = "end";
    }
    return what == NULL ? 0 : sctd_error(err, SCTD_EDATA, "a message with an impossible %s", what);
}

int fetch_messages_read(struct fetch_message *ret_message, const struct json *json,
                        struct sctd_error *err)
{
    size_t type = 0;
    struct fetch_message message = {.type = FETCH_READY};
    int r = message_read(&message, &type, types, COUNT(types), json, err);
    message.type = (enum fetch_type)type;
    r = r < 0 ? r : check(&message, err);
    if (r == 0) {
        *ret_message = message;
    }
    return r;
}
