/* SPDX-License-Identifier: Apache-2.0 */
#include "server/send.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "dicom/commitment.h"
#include "dicom/sender.h"
#include "engine/base/attr.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "server/frame.h"
#include "server/instance_list.h"
#include "server/send_list.h"
#include "server/send_messages.h"

enum { PARENT_MS = 60000, MOVING_MS = 1000 };

struct sending {
    int fd;
    struct frame_reader parent;
    int64_t said_ms; /* that it is moving */
};

static int say(const struct sending *s, const struct send_message *message, struct sctd_error *err)
{
    return send_messages_send(s->fd, message, -1, PARENT_MS, err);
}

/* Without the parent there is nothing more to do: its end kills this process. */
static void tell(const struct sending *s, const struct send_message *message)
{
    struct sctd_error err = {.code = SCTD_OK};
    (void)say(s, message, &err);
}

static int hear(struct sending *s, enum send_type type, struct send_message *ret_message,
                struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = frame_wait(&s->parent, PARENT_MS, &json, err);
    if (r > 0) {
        return sctd_error(err, SCTD_EIO, "the parent says nothing");
    }
    r = r < 0 ? r : send_messages_read(ret_message, json, err);
    if (r == 0 && ret_message->type != type) {
        r = sctd_error(err, SCTD_EDATA, "the parent says something else");
    }
    return r;
}

static void on_moving(void *arg)
{
    struct sending *s = arg;
    const struct send_message message = {.type = SEND_MOVING};
    const int64_t now_ms = sctd_boot_ms();
    if (now_ms - s->said_ms >= MOVING_MS) {
        s->said_ms = now_ms;
        tell(s, &message);
    }
}

static void on_stored(void *arg, size_t i, uint16_t status)
{
    const struct send_message message = {.type = SEND_STORED,
                                         .stored = {.number = (int32_t)i, .status = status}};
    tell(arg, &message);
}

static bool may_ask(void *arg)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct send_message ask = {.type = SEND_ASK};
    struct send_message answer;
    tell(arg, &ask);
    return hear(arg, SEND_ASKED, &answer, &err) == 0 && answer.asked.yes;
}

static void on_reported(void *arg, const char *transaction_uid,
                        const struct dicom_sender_committed *committed, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct send_message message = {.type = SEND_COMMITTED,
                                       .committed = {.failure = committed[i].failure}};
        (void)snprintf(message.committed.sop_uid, sizeof message.committed.sop_uid, "%.64s",
                       committed[i].sop_instance_uid);
        utf8_clean(message.committed.sop_uid); /* the peer's bytes */
        tell(arg, &message);
    }
    struct send_message message = {.type = SEND_REPORTED};
    (void)snprintf(message.reported.transaction_uid, sizeof message.reported.transaction_uid,
                   "%.64s", transaction_uid);
    utf8_clean(message.reported.transaction_uid);
    tell(arg, &message);
}

static int do_work(struct sending *s, const struct send_send *send, int list_fd,
                   const volatile sig_atomic_t *stop, struct dicom_sender_result *ret_result,
                   struct sctd_error *err)
{
    sctd_auto(send_list_fini) struct send_list list = {.n = 0};
    sctd_auto(dicom_commitment_fini) struct dicom_commitment report = {.references = {.n = 0}};
    const size_t promised = send->promised > 0 ? (size_t)send->promised : 0;
    int r = 0;
    (void)snprintf(report.transaction_uid, sizeof report.transaction_uid, "%s",
                   send->transaction_uid);
    if (promised > 0) {
        r = instance_list_read(&report.references, list_fd, promised, err);
    } else if (list_fd >= 0) {
        r = send_list_read(&list, list_fd, send->folder, err);
    }
    if (r < 0) {
        return r;
    }
    const struct dicom_sender_options options = {
        .host = send->host,
        .port = send->port,
        .calling_ae = send->calling_ae,
        .called_ae = send->called_ae,
        .connect_ms = send->connect_ms,
        .answer_ms = send->answer_ms,
        .report_ms = send->report_ms,
        .stop = stop,
    };
    const struct dicom_sender_work work = {
        .file = list.file,
        .n = list.n,
        .transaction_uid = send->transaction_uid[0] == '\0' ? NULL : send->transaction_uid,
        .report = promised > 0 ? &report : NULL,
    };
    const struct dicom_sender_sink sink = {
        .arg = s,
        .moving = on_moving,
        .stored = on_stored,
        .may_ask = may_ask,
        .reported = on_reported,
    };
    return dicom_sender_run(&options, &work, &sink, ret_result, err);
}

static int serve(struct sending *s, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    const struct send_message ready = {.type = SEND_READY};
    struct send_message message;
    struct sctd_error why = {.code = SCTD_OK};
    struct dicom_sender_result result = {.end = DICOM_SENDER_FAILED};
    int r = say(s, &ready, err);
    r = r < 0 ? r : hear(s, SEND_SEND, &message, err);
    if (r < 0) {
        return r;
    }
    const int list_fd = frame_take_fd(&s->parent);
    r = do_work(s, &message.send, list_fd, stop, &result, &why);
    if (list_fd >= 0) {
        (void)close(list_fd);
    }
    struct send_message end = {.type = SEND_END, .end = {.end = (int32_t)result.end}};
    (void)snprintf(end.end.reason, sizeof end.end.reason, "%s", r < 0 ? why.text : result.reason);
    utf8_clean(end.end.reason);
    return say(s, &end, err);
}

int send_run(int frame_fd, const volatile sig_atomic_t *stop, struct sctd_error *err)
{
    struct sending s = {.fd = frame_fd, .said_ms = sctd_boot_ms()};
    frame_reader_init(&s.parent, frame_fd);
    int r = serve(&s, stop, err);
    frame_reader_fini(&s.parent);
    return r;
}
