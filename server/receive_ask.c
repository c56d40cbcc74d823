/* SPDX-License-Identifier: Apache-2.0 */
#include "server/receive_ask.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "dicom/commitment.h"
#include "dicom/receiver.h"
#include "dicom/references.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/frame.h"
#include "server/instance_list.h"
#include "server/receive_messages.h"

enum { ANSWER_TIMEOUT_MS = 60000, SEND_TIMEOUT_MS = 10000 };

/* Ask with a list, or without one (fd -1).  Errors: the parent is gone, or answers nonsense. */
static int ask(struct frame_reader *parent, const struct receive_message *question, int fd,
               enum receive_reply *ret_reply, struct sctd_error *err)
{
    struct receive_message answer;
    sctd_auto(json_freep) struct json *json = NULL;
    int r = receive_messages_send(parent->fd, question, fd, SEND_TIMEOUT_MS, err);
    if (r == 0) {
        r = frame_wait(parent, ANSWER_TIMEOUT_MS, &json, err);
    }
    if (r == 0) {
        r = receive_messages_read(&answer, json, err);
    }
    if (r != 0 || answer.type != RECEIVE_ANSWERED) {
        return r < 0 ? r : sctd_error(err, SCTD_EIO, "no answer of the parent");
    }
    *ret_reply = (enum receive_reply)answer.answered.reply;
    return 0;
}

/* What the peer hears of a reply. */
struct wording {
    enum dicom_service_status status;
    const char *comment;
};

static void say(struct dicom_receiver_answer *ret_answer, const struct wording *wording)
{
    ret_answer->status = (uint16_t)wording->status;
    (void)snprintf(ret_answer->comment, sizeof ret_answer->comment, "%s", wording->comment);
}

static const struct wording no_room = {DICOM_SERVICE_NO_ROOM, "out of resources"};

/*
 * Ask about a list; the reasons come back in it.  `wordings` is by enum receive_reply, up to NO_ROOM; without a
 * sound answer there is none to give.
 */
static void ask_about(struct frame_reader *parent, const struct receive_message *question,
                      struct dicom_references *references, const struct wording *wordings,
                      struct dicom_receiver_answer *ret_answer)
{
    struct sctd_error err = {.code = SCTD_OK};
    enum receive_reply reply = RECEIVE_BROKEN;
    int fd = -1;
    if (instance_list_new(&fd, references, &err) < 0) {
        say(ret_answer, &no_room);
        return;
    }
    int r = ask(parent, question, fd, &reply, &err);
    ret_answer->stop = r < 0 || reply == RECEIVE_BROKEN;
    if (!ret_answer->stop && question->type == RECEIVE_COMMITMENT && reply == RECEIVE_TAKEN) {
        struct dicom_references answered;
        r = instance_list_read(&answered, fd, references->n, &err);
        if (r == 0) {
            dicom_references_fini(references);
            *references = answered;
        }
        ret_answer->stop = r < 0;
    }
    if (!ret_answer->stop) {
        say(ret_answer, &wordings[reply]);
    }
    (void)close(fd);
}

static struct receive_message about_transaction(enum receive_type type, const char *transaction_uid,
                                                size_t n)
{
    struct receive_message message = {.type = type, .commitment = {.n = (int32_t)n}};
    (void)snprintf(message.commitment.transaction_uid, DICOM_UID_SIZE, "%s", transaction_uid);
    return message;
}

static void report(void *arg, const struct dicom_commitment *report,
                   struct dicom_receiver_answer *ret_answer)
{
    static const struct wording wordings[] = {
        [RECEIVE_TAKEN] = {DICOM_SERVICE_SUCCESS, ""},
        [RECEIVE_UNKNOWN] = {DICOM_SERVICE_FAILED, "Transaction UID is unknown"},
        [RECEIVE_DUPLICATE] = {DICOM_SERVICE_FAILED, "Transaction UID was reported before"},
        [RECEIVE_FINAL] = {DICOM_SERVICE_FAILED, "the transaction has ended"},
        [RECEIVE_NO_ROOM] = {DICOM_SERVICE_NO_ROOM, "out of resources"},
    };
    const struct receive_message question =
        about_transaction(RECEIVE_REPORT, report->transaction_uid, report->references.n);
    struct dicom_references references = report->references;
    ask_about(arg, &question, &references, wordings, ret_answer);
}

static void commit(void *arg, struct dicom_commitment *request,
                   struct dicom_receiver_answer *ret_answer)
{
    static const struct wording wordings[] = {
        [RECEIVE_TAKEN] = {DICOM_SERVICE_SUCCESS, ""},
        [RECEIVE_UNKNOWN] = {DICOM_SERVICE_FAILED, "not possible"},
        [RECEIVE_DUPLICATE] = {DICOM_SERVICE_INVALID, "Transaction UID was used before"},
        [RECEIVE_FINAL] = {DICOM_SERVICE_FAILED, "not possible"},
        [RECEIVE_NO_ROOM] = {DICOM_SERVICE_NO_ROOM, "out of resources"},
    };
    const struct receive_message question =
        about_transaction(RECEIVE_COMMITMENT, request->transaction_uid, request->references.n);
    ask_about(arg, &question, &request->references, wordings, ret_answer);
}

static void reported(void *arg, const char *transaction_uid,
                     struct dicom_receiver_answer *ret_answer)
{
    struct sctd_error err = {.code = SCTD_OK};
    enum receive_reply reply = RECEIVE_BROKEN;
    const struct receive_message question = about_transaction(RECEIVE_REPORTED, transaction_uid, 0);
    ret_answer->stop = ask(arg, &question, -1, &reply, &err) < 0 || reply == RECEIVE_BROKEN;
}

static void perform(void *arg, const struct dicom_performed *performed,
                    struct dicom_receiver_answer *ret_answer)
{
    static const struct wording wordings[] = {
        [RECEIVE_TAKEN] = {DICOM_SERVICE_SUCCESS, ""},
        [RECEIVE_UNKNOWN] = {DICOM_SERVICE_NO_SUCH_INSTANCE, "no such performed procedure step"},
        [RECEIVE_DUPLICATE] = {DICOM_SERVICE_DUPLICATE, "the performed procedure step exists"},
        /* PS3.4 table F.7.2-2 */
        [RECEIVE_FINAL] = {DICOM_SERVICE_FAILED,
                           "Performed Procedure Step Object may no longer be updated"},
        [RECEIVE_NO_ROOM] = {DICOM_SERVICE_NO_ROOM, "out of resources"},
    };
    struct receive_message question = {.type = RECEIVE_PERFORMED,
                                       .performed = {.is_new = performed->is_new,
                                                     .status = (int32_t)performed->step.status,
                                                     .n = (int32_t)performed->step.references.n}};
    struct dicom_references references = performed->step.references;
    (void)snprintf(question.performed.sop_instance_uid, DICOM_UID_SIZE, "%s",
                   performed->sop_instance_uid);
    ask_about(arg, &question, &references, wordings, ret_answer);
}

struct dicom_receiver_services receive_ask_services(struct frame_reader *parent)
{
    const struct dicom_receiver_services services = {.arg = parent,
                                                     .report = report,
                                                     .commit = commit,
                                                     .reported = reported,
                                                     .perform = perform};
    return services;
}
