/*
 * receive_messages.h - what the parent and a receiver say to each other (frame.h).
 *
 *     receiver: ready                        it has started and waits for a connection
 *     parent:   serve, with the connection   who it is, and the limits
 *     receiver: keep                         one instance is durable: may it be acknowledged?
 *     parent:   kept                         yes, no, and which file stays
 *     receiver: report, with its instances   a PACS reports what it has committed itself to
 *               commitment, the same         a modality asks us to: the reasons are written into the list
 *               reported                     it has heard our answer
 *               performed, with instances    a modality tells what it has made
 *     parent:   answered                     what the peer is told
 *     receiver: end                          how the association ended
 *
 * Lists of instances are in a file that goes along (instance_list.h).
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/associate.h"
#include "dicom/index.h"
#include "dicom/receiver.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "server/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PEER_SIZE = 64 }; /* an address as text */

struct receive_serve {
    char peer[PEER_SIZE];
    char calling_ae[DICOM_AE_SIZE], called_ae[DICOM_AE_SIZE];
    char spool[SCTD_PATH_MAX];
    int64_t reserve_bytes, reserve_files;
    int64_t max_instance_bytes;
    int32_t idle_ms, window_ms;
    int64_t min_window_bytes;
    bool all_syntaxes;
    bool adopt; /* what comes along is no connection but a list of files: adopt.h */
};

struct receive_keep {
    struct dicom_index index;
    char transfer_syntax_uid[DICOM_UID_SIZE];
    char move_originator_ae[DICOM_AE_SIZE];
    int32_t move_originator_id;
    char file[SPOOL_NAME_SIZE];
    int64_t size;                      /* of the file */
    unsigned char sha256[SHA256_SIZE]; /* of the data set */
    int64_t received_ms;               /* wall clock, of its last byte */
};

enum receive_outcome {
    RECEIVE_STORED,
    RECEIVE_SAME,     /* it was known with the same bytes */
    RECEIVE_CONFLICT, /* it is known with other bytes */
    RECEIVE_FULL,     /* its series has as many instances as it may */
    RECEIVE_NOT_KEPT, /* the job store has no room now; the file may be another's too and stays */
    RECEIVE_FAILED,   /* the job store failed: nothing is acknowledged any more */
};

struct receive_kept {
    int32_t outcome;            /* enum receive_outcome */
    char file[SPOOL_NAME_SIZE]; /* that stays; any other one given is to be removed */
};

struct receive_end {
    int32_t end;                           /* enum dicom_receiver_end */
    int64_t stored, refused, echoed, told; /* as in struct dicom_receiver_result */
    int32_t contexts;                      /* presentation contexts that were accepted */
    bool spool_failed;                     /* a sync failed: stop accepting and end */
};

/* A report, a request for commitment, or that ours was heard (then without instances). */
struct receive_commitment {
    char transaction_uid[DICOM_UID_SIZE];
    int32_t n; /* instances in the list */
};

struct receive_performed {
    char sop_instance_uid[DICOM_UID_SIZE];
    bool is_new;    /* N-CREATE, else N-SET */
    int32_t status; /* enum dicom_mpps_status */
    int32_t n;      /* instances in the list */
};

/* What the parent says to what a peer tells or asks. */
enum receive_reply {
    RECEIVE_TAKEN,     /* it is kept: success */
    RECEIVE_UNKNOWN,   /* no such transaction or step */
    RECEIVE_DUPLICATE, /* such a transaction or step is there already */
    RECEIVE_FINAL,     /* the step has ended: it may not change any more */
    RECEIVE_NO_ROOM,   /* not now */
    RECEIVE_BROKEN,    /* the job store failed: nothing is answered any more */
};

struct receive_answered {
    int32_t reply; /* enum receive_reply */
};

enum receive_type {
    RECEIVE_READY,
    RECEIVE_SERVE,
    RECEIVE_KEEP,
    RECEIVE_KEPT,
    RECEIVE_REPORT,
    RECEIVE_COMMITMENT,
    RECEIVE_REPORTED,
    RECEIVE_PERFORMED,
    RECEIVE_ANSWERED,
    RECEIVE_END,
};

struct receive_message {
    enum receive_type type;
    union { /* as the type says; READY has nothing */
        struct receive_serve serve;
        struct receive_keep keep;
        struct receive_kept kept;
        struct receive_commitment commitment; /* REPORT, COMMITMENT, REPORTED */
        struct receive_performed performed;
        struct receive_answered answered;
        struct receive_end end;
    };
};

/* Send one; passed_fd and timeout_ms as frame_send.  Errors: as frame_send, SCTD_ENOMEM. */
SCTD_NODISCARD int receive_messages_send(int fd, const struct receive_message *message,
                                         int passed_fd, int timeout_ms, struct sctd_error *err);
/* Errors: SCTD_EDATA (no such type, a field that is missing or does not fit). */
SCTD_NODISCARD int receive_messages_read(struct receive_message *ret_message,
                                         const struct json *json, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
