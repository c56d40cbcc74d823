/*
 * receiver.h - one association as its acceptor: verification, storage into whatever the caller gives, and what
 * peers say about instances: storage commitment and performed procedure steps.
 *
 * DCMTK speaks the protocol on a socket whose association request is still to be read; it has been checked
 * (associate.h).  The data set of a C-STORE is handed on piece by piece as it came, never parsed here, and
 * answered as the caller says.  Waiting has limits: between messages, and while one flows.  The process
 * is for one association: DCMTK 3.6.7 does not clean up after hostile peers.
 *
 * Thread safety: one association for a process, which has no other thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/commitment.h"
#include "dicom/mpps.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Status of a C-STORE (PS3.4 B.2.3). */
enum dicom_store_status {
    DICOM_STORE_SUCCESS = 0x0000,
    DICOM_STORE_OUT_OF_RESOURCES = 0xA700,
    DICOM_STORE_CLASS_MISMATCH = 0xA900,
    DICOM_STORE_CANNOT_UNDERSTAND = 0xC000,
    DICOM_STORE_CONFLICT = 0xC001, /* another instance has this UID */
};

enum { DICOM_COMMENT_SIZE = 65 }; /* Error Comment (0000,0902): 64 characters */

struct dicom_store_request {
    const char *sop_class_uid, *sop_instance_uid, *transfer_syntax_uid; /* valid UIDs */
    const char *move_originator_ae; /* "" if it is no part of a C-MOVE (PS3.7 9.1.1) */
    uint16_t move_originator_id;
};

struct dicom_receiver_answer {
    uint16_t status;
    char comment[DICOM_COMMENT_SIZE]; /* "" if there is nothing to say */
    bool stop;                        /* answer nothing: abort the association and return */
};

/* Status of the normalized services (PS3.7 C). */
enum dicom_service_status {
    DICOM_SERVICE_SUCCESS = 0x0000,
    DICOM_SERVICE_FAILED = 0x0110,
    DICOM_SERVICE_DUPLICATE = 0x0111,
    DICOM_SERVICE_NO_SUCH_INSTANCE = 0x0112,
    DICOM_SERVICE_NO_SUCH_EVENT = 0x0113,
    DICOM_SERVICE_INVALID = 0x0115, /* argument */
    DICOM_SERVICE_NO_SUCH_CLASS = 0x0118,
    DICOM_SERVICE_NO_SUCH_ACTION = 0x0123,
    DICOM_SERVICE_OUT_OF_ROLE = 0x0211,
    DICOM_SERVICE_NO_ROOM = 0x0213,
};

/* A performed procedure step comes to be, or changes. */
struct dicom_performed {
    char sop_instance_uid[DICOM_UID_SIZE];
    bool is_new; /* N-CREATE */
    struct dicom_mpps step;
};

/*
 * What becomes of what peers say about instances.  Each gives the status to be answered, and may say a comment
 * or `stop`.  A request for commitment that succeeds is answered with the reasons that `commit` has put
 * into its references; `reported` says that the peer has heard them, which may be never.
 */
struct dicom_receiver_services {
    void *arg;
    void (*report)(void *arg, const struct dicom_commitment *report,
                   struct dicom_receiver_answer *ret_answer);
    void (*commit)(void *arg, struct dicom_commitment *request,
                   struct dicom_receiver_answer *ret_answer);
    void (*reported)(void *arg, const char *transaction_uid,
                     struct dicom_receiver_answer *ret_answer);
    void (*perform)(void *arg, const struct dicom_performed *performed,
                    struct dicom_receiver_answer *ret_answer);
};

/*
 * What becomes of the instances.  After a `begin` that returned true come any number of `write`, then `end`
 * or `abandon`.  `begin` and `write` return false when they do not want the (rest of the) data set: it is
 * skipped, and `end` says the answer.
 */
struct dicom_receiver_sink {
    void *arg;
    bool (*begin)(void *arg, const struct dicom_store_request *request,
                  struct dicom_receiver_answer *ret_answer);
    bool (*write)(void *arg, const void *bytes, size_t size);
    void (*end)(void *arg, struct dicom_receiver_answer *ret_answer);
    void (*abandon)(void *arg); /* the peer broke off */
};

struct dicom_receiver_options {
    int fd;        /* a connected TCP socket, taken over */
    int idle_ms;   /* longest silence between messages */
    int window_ms; /* within a message at least min_bytes come in each such time */
    int64_t min_bytes;
    bool all_syntaxes;                              /* accept.h */
    const volatile sig_atomic_t *stop;              /* set by a signal: end at the next silence */
    const struct dicom_receiver_services *services; /* NULL: such contexts are refused */
};

/* How the association ended. */
enum dicom_receiver_end {
    DICOM_END_RELEASED,
    DICOM_END_ABORTED,   /* by the peer */
    DICOM_END_LOST,      /* the connection broke or was closed */
    DICOM_END_IDLE,      /* silent for too long */
    DICOM_END_SLOW,      /* too slow within a message */
    DICOM_END_VIOLATION, /* the peer broke the protocol */
    DICOM_END_STOPPED,   /* asked for by options.stop or an answer */
};
const char *dicom_receiver_end_name(enum dicom_receiver_end end); /* "released"; never NULL */

struct dicom_receiver_result {
    enum dicom_receiver_end end;
    int64_t stored, refused, echoed; /* answers given */
    int64_t told;                    /* what peers said about instances, well or not */
    int32_t contexts;                /* presentation contexts that were accepted */
};

/* What takes time and does not need the association: the dictionary.  Errors: SCTD_EIO. */
SCTD_NODISCARD int dicom_receiver_prepare(struct sctd_error *err);

/*
 * Serve the association to its end.
 * Errors: SCTD_EINVAL, SCTD_EIO (the socket is none), SCTD_ENOMEM, SCTD_EDATA (DCMTK gave up).
 */
SCTD_NODISCARD int dicom_receiver_run(const struct dicom_receiver_options *options,
                                      const struct dicom_receiver_sink *sink,
                                      struct dicom_receiver_result *ret_result,
                                      struct sctd_error *err);

#ifdef __cplusplus
}
#endif
