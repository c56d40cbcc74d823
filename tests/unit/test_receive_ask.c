/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/instance_list.h"
#include "server/receive_ask.h"
#include "server/receive_messages.h"

static struct sctd_error err;

/* The parent's part, in a process of its own: answer one question, with each reason one more than it was. */
static void answer_one(int fd, enum receive_type type, const struct receive_message *answer)
{
    struct frame_reader reader;
    struct receive_message question;
    sctd_auto(json_freep) struct json *json = NULL;
    frame_reader_init(&reader, fd);
    assert(frame_wait(&reader, 10000, &json, &err) == 0);
    assert(receive_messages_read(&question, json, &err) == 0 && question.type == type);
    const int list_fd = frame_take_fd(&reader);
    assert((list_fd >= 0) == (type != RECEIVE_REPORTED));
    if (list_fd >= 0) {
        sctd_auto(dicom_references_fini) struct dicom_references list = {.n = 0};
        assert(instance_list_read(&list, list_fd, 2, &err) == 0);
        list.item[0].reason++;
        list.item[1].reason++;
        assert(instance_list_write(list_fd, &list, &err) == 0);
        (void)close(list_fd);
    }
    if (answer != NULL) {
        assert(receive_messages_send(fd, answer, -1, 10000, &err) == 0);
    }
    frame_reader_fini(&reader);
}

/* Two instances with the reasons 0 and 7. */
static void make(struct dicom_references *ret_list)
{
    *ret_list = (struct dicom_references){.n = 0};
    for (uint16_t i = 0; i < 2; i++) {
        assert(dicom_references_add(ret_list, i == 0 ? 0 : 7, &err) == 0);
        memcpy(ret_list->item[i].series_uid, "1.9", sizeof "1.9");
        memcpy(ret_list->item[i].sop_class_uid, "1.2", sizeof "1.2");
        memcpy(ret_list->item[i].sop_instance_uid, "1.3", sizeof "1.3");
    }
}

static void call(const struct dicom_receiver_services *services, enum receive_type type,
                 struct dicom_commitment *commitment, struct dicom_receiver_answer *ret_answer)
{
    if (type == RECEIVE_REPORT) {
        services->report(services->arg, commitment, ret_answer);
    } else if (type == RECEIVE_COMMITMENT) {
        services->commit(services->arg, commitment, ret_answer);
    } else if (type == RECEIVE_REPORTED) {
        services->reported(services->arg, commitment->transaction_uid, ret_answer);
    } else {
        const struct dicom_performed performed = {
            .sop_instance_uid = "1.5",
            .step = {.status = DICOM_MPPS_COMPLETED, .references = commitment->references}};
        services->perform(services->arg, &performed, ret_answer);
    }
}

/* What the peer hears when the parent answers so; NULL: the parent goes away. */
static struct dicom_receiver_answer ask(enum receive_type type,
                                        const struct receive_message *answer, uint16_t *ret_reason)
{
    int fd[2];
    struct frame_reader parent;
    struct dicom_receiver_answer heard = {.status = 0};
    sctd_auto(dicom_commitment_fini) struct dicom_commitment commitment = {.transaction_uid =
                                                                               "1.4"};
    make(&commitment.references);
    assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
    const pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        (void)close(fd[0]);
        answer_one(fd[1], type, answer);
        _exit(0);
    }
    (void)close(fd[1]);
    frame_reader_init(&parent, fd[0]);
    const struct dicom_receiver_services services = receive_ask_services(&parent);
    call(&services, type, &commitment, &heard);
    *ret_reason = commitment.references.item[1].reason;
    frame_reader_fini(&parent);
    (void)close(fd[0]);
    int status = -1;
    assert(waitpid(pid, &status, 0) == pid && status == 0);
    return heard;
}

static void each_reply_has_its_status(void)
{
    static const struct {
        enum receive_type type;
        enum receive_reply reply;
        uint16_t status;
    } rows[] = {
        {RECEIVE_REPORT, RECEIVE_TAKEN, 0x0000},
        {RECEIVE_REPORT, RECEIVE_UNKNOWN, 0x0110},
        {RECEIVE_REPORT, RECEIVE_NO_ROOM, 0x0213},
        {RECEIVE_COMMITMENT, RECEIVE_TAKEN, 0x0000},
        {RECEIVE_COMMITMENT, RECEIVE_DUPLICATE, 0x0115},
        {RECEIVE_COMMITMENT, RECEIVE_NO_ROOM, 0x0213},
        {RECEIVE_PERFORMED, RECEIVE_TAKEN, 0x0000},
        {RECEIVE_PERFORMED, RECEIVE_UNKNOWN, 0x0112},
        {RECEIVE_PERFORMED, RECEIVE_DUPLICATE, 0x0111},
        {RECEIVE_PERFORMED, RECEIVE_FINAL, 0x0110},
        {RECEIVE_PERFORMED, RECEIVE_NO_ROOM, 0x0213},
        {RECEIVE_REPORTED, RECEIVE_TAKEN, 0x0000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t reason = 0;
        const struct receive_message answer = {.type = RECEIVE_ANSWERED,
                                               .answered = {.reply = (int32_t)rows[i].reply}};
        const struct dicom_receiver_answer heard = ask(rows[i].type, &answer, &reason);
        const bool takes_reasons =
            rows[i].type == RECEIVE_COMMITMENT && rows[i].reply == RECEIVE_TAKEN;
        assert(!heard.stop && heard.status == rows[i].status);
        assert((heard.status == 0) == (heard.comment[0] == '\0'));
        assert(reason == (takes_reasons ? 8 : 7));
    }
}

static void without_a_sound_answer_nothing_is_said(void)
{
    static const enum receive_type types[] = {RECEIVE_REPORT, RECEIVE_COMMITMENT, RECEIVE_PERFORMED,
                                              RECEIVE_REPORTED};
    static const struct receive_message broken = {.type = RECEIVE_ANSWERED,
                                                  .answered = {.reply = RECEIVE_BROKEN}};
    static const struct receive_message other = {.type = RECEIVE_READY};
    const struct receive_message *const answers[] = {NULL, &broken, &other};
    for (size_t i = 0; i < 12; i++) {
        uint16_t reason = 0;
        assert(ask(types[i / 3], answers[i % 3], &reason).stop);
    }
}

int main(void)
{
    each_reply_has_its_status();
    without_a_sound_answer_nothing_is_said();
    return 0;
}
