/*
 * sender.h - one association as its requestor: verification, storage of a series, storage commitment of it, or the
 * report of storage commitment that the peer asked us for.
 *
 * The instances go one by one in their order (PS3.4 annex B), each answered before the next is sent.  Waiting has
 * limits throughout.  Storage commitment (PS3.4 annex J) is asked for on the same association; the report may
 * come on it, or later on one that the peer opens to us (receiver.h).
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
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_sender_options {
    const char *host;
    int port;
    const char *calling_ae, *called_ae;
    int connect_ms;
    int answer_ms; /* longest wait for an answer, or for the next bytes of it */
    int report_ms; /* how long to wait for the report of storage commitment on this association */
    const volatile sig_atomic_t *stop; /* set by a signal: end at the next wait; or NULL */
};

struct dicom_sender_file {
    const char *path; /* Part 10, uncompressed */
    char sop_class_uid[DICOM_UID_SIZE], sop_instance_uid[DICOM_UID_SIZE];
    bool is_stored; /* the peer has it: only to be committed */
};

/* One instance of a report (PS3.4 J.3.3). */
struct dicom_sender_committed {
    const char *sop_instance_uid;
    uint16_t failure; /* Failure Reason (0008,1197); 0: committed */
};

struct dicom_sender_sink {
    void *arg;
    /* Some of an instance went out: a large one over a slow line takes longer than any wait. */
    void (*moving)(void *arg);
    /* The peer has file i; status: 0, a warning (PS3.4 B.2.3), or 0x0111: it had it already. */
    void (*stored)(void *arg, size_t i, uint16_t status);
    /* All are stored, and commitment is about to be asked for.  false: do not. */
    bool (*may_ask)(void *arg);
    void (*reported)(void *arg, const char *transaction_uid,
                     const struct dicom_sender_committed *committed, size_t n);
};

struct dicom_sender_work {
    const struct dicom_sender_file *file; /* [n]; n 0: verification only (C-ECHO) */
    size_t n;
    const char *transaction_uid; /* NULL: no storage commitment is wanted */
    /* NULL; else n is 0 and only this is told: the peer asked us for it, and its association has ended. */
    const struct dicom_commitment *report;
};

enum dicom_sender_end {
    DICOM_SENDER_STORED, /* all are stored (and nothing more was wanted), the echo came back, or the
                              report was heard */
    DICOM_SENDER_ASKED,  /* and commitment was accepted to be decided later */
    DICOM_SENDER_REPORTED,    /* and `reported` was called */
    DICOM_SENDER_FAILED,      /* broken or refused in a way that may pass */
    DICOM_SENDER_UNREACHABLE, /* no association */
    DICOM_SENDER_REFUSED,     /* never again without a change at the peer or of the configuration */
    DICOM_SENDER_UNCOMMITTED, /* all are stored, but the peer does no storage commitment, which is wanted */
};

struct dicom_sender_result {
    enum dicom_sender_end end;
    char reason[200]; /* for people; "" if all went well */
};

/*
 * *ret_result says how it went; what the peer does is no error.
 * Errors: SCTD_EIO (a file cannot be read), SCTD_EDATA (it is no DICOM), SCTD_ENOMEM, SCTD_EINVAL.
 */
SCTD_NODISCARD int dicom_sender_run(const struct dicom_sender_options *options,
                                    const struct dicom_sender_work *work,
                                    const struct dicom_sender_sink *sink,
                                    struct dicom_sender_result *ret_result, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
