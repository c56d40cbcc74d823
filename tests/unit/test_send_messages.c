/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dicom/sender.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/send_messages.h"

static struct sctd_error err;

/* Through a socket pair. */
static int pass(const struct send_message *message, struct send_message *ret_message)
{
    int fd[2];
    struct frame_reader reader;
    sctd_auto(json_freep) struct json *json = NULL;
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    frame_reader_init(&reader, fd[1]);
    assert(send_messages_send(fd[0], message, -1, 0, &err) == 0);
    assert(frame_next(&reader, &json, &err) == 0);
    const int r = send_messages_read(ret_message, json, &err);
    frame_reader_fini(&reader);
    (void)close(fd[0]);
    (void)close(fd[1]);
    return r;
}

static void what_is_to_be_sent_comes_back_as_it_was(void)
{
    static struct send_message again;
    static struct send_message m = {.type = SEND_SEND,
                                    .send = {.host = "pacs.example",
                                             .port = 104,
                                             .calling_ae = "SCTD",
                                             .called_ae = "PACS 1",
                                             .transaction_uid = "2.25.7",
                                             .connect_ms = 1,
                                             .answer_ms = 2,
                                             .report_ms = 3}};
    memset(m.send.folder, 0xff, sizeof m.send.folder - 1);
    assert(pass(&m, &again) == 0 && again.type == SEND_SEND);
    assert(strcmp(again.send.folder, m.send.folder) == 0);
    assert(strcmp(again.send.host, "pacs.example") == 0 && again.send.port == 104);
    assert(strcmp(again.send.calling_ae, "SCTD") == 0);
    assert(strcmp(again.send.called_ae, "PACS 1") == 0);
    assert(strcmp(again.send.transaction_uid, "2.25.7") == 0);
    assert(again.send.connect_ms == 1 && again.send.answer_ms == 2 && again.send.report_ms == 3);
}

static void the_talk_comes_back_as_it_was(void)
{
    static struct send_message again;
    const struct send_message bare[] = {
        {.type = SEND_READY}, {.type = SEND_ASK}, {.type = SEND_MOVING}};
    assert(pass(&bare[0], &again) == 0 && again.type == SEND_READY);
    assert(pass(&bare[1], &again) == 0 && again.type == SEND_ASK);
    assert(pass(&bare[2], &again) == 0 && again.type == SEND_MOVING);
    const struct send_message stored = {.type = SEND_STORED,
                                        .stored = {.number = 7, .status = 0xb000}};
    assert(pass(&stored, &again) == 0 && again.type == SEND_STORED);
    assert(again.stored.number == 7 && again.stored.status == 0xb000);
    for (int yes = 0; yes < 2; yes++) {
        const struct send_message asked = {.type = SEND_ASKED, .asked = {.yes = yes == 1}};
        assert(pass(&asked, &again) == 0 && again.asked.yes == (yes == 1));
    }
}

static void a_report_and_the_end_come_back_as_they_were(void)
{
    static struct send_message again;
    const struct send_message committed = {.type = SEND_COMMITTED,
                                           .committed = {.sop_uid = "2.25.1", .failure = 0x0110}};
    assert(pass(&committed, &again) == 0 && again.committed.failure == 0x0110);
    assert(strcmp(again.committed.sop_uid, "2.25.1") == 0);
    const struct send_message reported = {.type = SEND_REPORTED,
                                          .reported = {.transaction_uid = "2.25.8"}};
    assert(pass(&reported, &again) == 0);
    assert(strcmp(again.reported.transaction_uid, "2.25.8") == 0);
    for (int32_t end = DICOM_SENDER_STORED; end <= DICOM_SENDER_UNCOMMITTED; end++) {
        const struct send_message m = {.type = SEND_END, .end = {.end = end, .reason = "why"}};
        assert(pass(&m, &again) == 0 && again.end.end == end);
        assert(strcmp(again.end.reason, "why") == 0);
    }
}

static void what_makes_no_sense_is_refused(void)
{
    static struct send_message again = {.type = SEND_READY};
    struct send_message m = {.type = SEND_END, .end = {.end = DICOM_SENDER_UNCOMMITTED + 1}};
    assert(pass(&m, &again) == SCTD_EDATA);
    m.end.end = -1;
    assert(pass(&m, &again) == SCTD_EDATA);
    static const char *const texts[] = {
        "{}",
        "{\"type\":\"x\"}",
        "{\"type\":\"send\"}",
        "{\"type\":\"asked\",\"asked.yes\":1}",
        "{\"type\":\"stored\",\"stored.number\":1}",
        "{\"type\":\"stored\",\"stored.number\":4294967297,\"stored.status\":0}",
        "{\"type\":\"reported\"}",
        "{\"type\":\"reported\",\"reported.transaction_uid\":7}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sctd_auto(json_freep) struct json *json = NULL;
        assert(json_parse(&json, texts[i], strlen(texts[i]), &err) == 0);
        assert(send_messages_read(&again, json, &err) == SCTD_EDATA);
    }
    assert(again.type == SEND_READY);
}

int main(void)
{
    what_is_to_be_sent_comes_back_as_it_was();
    the_talk_comes_back_as_it_was();
    a_report_and_the_end_come_back_as_they_were();
    what_makes_no_sense_is_refused();
    return 0;
}
