/*
 * receivers.h - the processes that each serve one association, from their start to their end.
 *
 * A few spares are started ahead, since starting one takes longer than most associations.  What all of
 * them ask to keep in one turn of the loop is kept by one call.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/mpps.h"
#include "dicom/references.h"
#include "engine/base/error.h"
#include "server/receive_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct receivers;

/* An association as the parent knows it. */
struct receivers_association {
    int64_t id;                        /* counted from 1 */
    const struct receive_serve *serve; /* who it is */
};

/* One instance that may be acknowledged when it is kept. */
struct receivers_keep {
    struct receivers_association association;
    const struct receive_keep *instance;
};

/*
 * A PACS has committed itself to instances that were sent to it, or has not (N-EVENT-REPORT, PS3.4 J.3.3).  An
 * instance may be named twice.
 */
struct receivers_report {
    struct receivers_association association;
    const char *transaction_uid;
    const char *const *committed; /* [n_committed] SOP Instance UIDs */
    size_t n_committed;
    const char *const *failed; /* [n_failed] */
    size_t n_failed;
    const uint16_t *reason; /* [n_failed] why, never 0 (PS3.3 C.14.1.1) */
};

/* A modality asks whether instances are kept for good (N-ACTION, PS3.4 J.3.2), and is told by a report. */
struct receivers_commitment {
    struct receivers_association association;
    const char *transaction_uid;
    struct dicom_reference
        *instance; /* [n]; reason: 0 if it is kept, else enum dicom_commitment_reason */
    size_t n;
};

/* A modality tells what it makes (N-CREATE, N-SET, PS3.4 F.7.2). */
struct receivers_performed_series {
    const char *series_uid;
    const char *const *sop_uids; /* [n] */
    size_t n;
};
struct receivers_performed {
    struct receivers_association association;
    const char *sop_instance_uid; /* of the step */
    bool is_new;                  /* N-CREATE, else N-SET */
    enum dicom_mpps_status status;
    const struct receivers_performed_series *series; /* [n]; a series may be there twice */
    size_t n;
};

struct receivers_hooks {
    void *arg;
    /*
     * Keep instances[n] durably, in one transaction, and say what became of each: ret_kept[n].
     * An error stops everything: nothing of the call is acknowledged, and `failed` is called.  So what may pass
     * is an outcome.
     */
    int (*keep)(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err);
    /*
     * What peers say about instances.  Each keeps it durably before it returns, with the reply in *ret_reply.
     * An error stops everything as above.  NULL: no such request is taken (RECEIVE_NO_ROOM).
     */
    int (*report)(void *arg, const struct receivers_report *report, enum receive_reply *ret_reply,
                  struct sctd_error *err);
    /* Writes the reasons; they are taken for 0 before.  TAKEN: a report will be sent. */
    int (*commitment)(void *arg, struct receivers_commitment *commitment,
                      enum receive_reply *ret_reply, struct sctd_error *err);
    int (*performed)(void *arg, const struct receivers_performed *performed,
                     enum receive_reply *ret_reply, struct sctd_error *err);
    /* The modality has heard the report of a commitment that was TAKEN.  An error stops everything. */
    int (*reported)(void *arg, const struct receivers_association *association,
                    const char *transaction_uid, struct sctd_error *err);
    /*
     * It has not, and the association or its process has ended: it is to be told on another one.  Called
     * before `ended`.  commitment: as it was answered.
     */
    void (*unreported)(void *arg, const struct receivers_commitment *commitment);
    void (*opened)(void *arg, const struct receivers_association *association);
    /* end: NULL if the process died without a word; `status` is its wait status then. */
    void (*ended)(void *arg, const struct receivers_association *association,
                  const struct receive_end *end, int status);
    /* The disk or the job store cannot be trusted any more: end the process. */
    void (*failed)(void *arg, const char *reason);
    void (*drained)(void *arg); /* after receivers_drain: none is left */
};

struct receivers_options {
    struct uv_loop_s *loop;
    const char *program; /* the path of sctd; its argument is "receive" */
    int spares;
};

/* *ret_receivers: freed by receivers_free.  Errors: SCTD_ENOMEM, SCTD_EIO (no process could be started). */
SCTD_NODISCARD int receivers_new(struct receivers **ret_receivers,
                                 const struct receivers_options *options,
                                 const struct receivers_hooks *hooks, struct sctd_error *err);

/*
 * Hand over a connection; fd is closed here when the process has it, or on failure.
 * Errors: SCTD_EIO (no process could be started), SCTD_ENOMEM.
 */
SCTD_NODISCARD int receivers_serve(struct receivers *receivers, int fd,
                                   const struct receive_serve *serve, struct sctd_error *err);

int receivers_count(const struct receivers *receivers); /* associations being served */
int receivers_count_peer(const struct receivers *receivers, const char *peer); /* of one address */

/* No new ones; spares go.  Called again it only sets the grace anew.  Those that serve have grace_ms, then are asked to end, and at last are killed. */
void receivers_drain(struct receivers *receivers, int grace_ms);

/* After `drained`, before the loop ends: closes what is left. */
void receivers_free(struct receivers *receivers);

#ifdef __cplusplus
}
#endif
