/*
 * send_messages.h - what the parent and a sender say to each other (frame.h).
 *
 *     sender: ready      it has started
 *     parent: send       whereto, with the files as a file (send_list.h); without one: an echo only; or a report
 *                        of storage commitment, with its instances as a file (instance_list.h)
 *     sender: moving     some of a large instance went out, once a second
 *     sender: stored     one instance is at the destination
 *     sender: ask        all are: may storage commitment be asked for?
 *     parent: asked      yes or no
 *     sender: committed  one instance of a report
 *     sender: reported   that was all of the report
 *     sender: end        how it went; then it exits
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/associate.h"
#include "dicom/sender.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SEND_HOST_SIZE = 256, SEND_REASON_SIZE = 241 };

struct send_send {
    char host[SEND_HOST_SIZE];
    int32_t port;
    char calling_ae[DICOM_AE_SIZE], called_ae[DICOM_AE_SIZE];
    char folder[SCTD_PATH_MAX];           /* the files are below it */
    char transaction_uid[DICOM_UID_SIZE]; /* "": no storage commitment */
    int32_t connect_ms, answer_ms, report_ms;
    int32_t
        promised; /* > 0: the file is a list of so many (instance_list.h) to be reported, and no more */
};

struct send_stored {
    int32_t number, status;
};

struct send_asked {
    bool yes;
};

struct send_committed {
    char sop_uid[DICOM_UID_SIZE];
    int32_t failure; /* 0: committed */
};

struct send_reported {
    char transaction_uid[DICOM_UID_SIZE];
};

struct send_end {
    int32_t end; /* enum dicom_sender_end */
    char reason[SEND_REASON_SIZE];
};

enum send_type {
    SEND_READY,
    SEND_SEND,
    SEND_MOVING,
    SEND_STORED,
    SEND_ASK,
    SEND_ASKED,
    SEND_COMMITTED,
    SEND_REPORTED,
    SEND_END
};

struct send_message {
    enum send_type type;
    union { /* as the type says; READY, MOVING and ASK have nothing */
        struct send_send send;
        struct send_stored stored;
        struct send_asked asked;
        struct send_committed committed;
        struct send_reported reported;
        struct send_end end;
    };
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int send_messages_send(int fd, const struct send_message *message, int passed_fd,
                                      int timeout_ms, struct sctd_error *err);
/* Errors: SCTD_EDATA (no such type, a field that is missing or does not fit). */
SCTD_NODISCARD int send_messages_read(struct send_message *ret_message, const struct json *json,
                                      struct sctd_error *err);

#ifdef __cplusplus
}
#endif
