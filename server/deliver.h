/*
 * deliver.h - what is written goes to where it belongs: a queue and a sender process for each destination.
 *
 * A destination that is down, slow or hangs holds up nobody else.  A series goes over one association, in order; what
 * is stored is kept in the job store as it goes, and a broken transfer goes on where it stopped, with the same
 * UIDs.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "db/db.h"
#include "db/deliveries.h"
#include "engine/base/error.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct deliver;

struct deliver_hooks {
    void *arg;
    void (*failed)(void *arg, const char *reason); /* the job store: end the process */
    void (*drained)(void *arg);                    /* after deliver_drain: none is left */
};

struct deliver_options {
    struct uv_loop_s *loop;
    const char *program; /* the path of sctd */
    struct db *db;       /* borrowed */
    const char *node;    /* owners are NODE/send */
    const char *ae_title;
    const char *results;           /* the files are below it */
    int32_t connect_ms, answer_ms; /* 0: 10 s and 60 s */
    int32_t report_ms;             /* for the report on the same association; 0: 2 s */
    int32_t commitment_ms;         /* for the report in all; 0: 10 min */
    int32_t slack_ms; /* that a sender may be silent beyond these before it is killed; 0: 15 s */
};

/* The texts must outlive it.  *ret_deliver: freed by deliver_free.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int deliver_new(struct deliver **ret_deliver, const struct deliver_options *options,
                               const struct config *config, const struct deliver_hooks *hooks,
                               struct sctd_error *err);

/* Other destinations from now on; transfers that are on their way go on.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int deliver_set_config(struct deliver *deliver, const struct config *config,
                                      struct sctd_error *err);

/* There may be something to send. */
void deliver_kick(struct deliver *deliver);

/*
 * A report of storage commitment that came on an association of calling_ae; report->destination is not used.
 * Returns 0, or DB_NONE: the transaction is none of ours with such a peer.  Errors: SCTD_EINVAL, SCTD_EIO.
 */
SCTD_NODISCARD int deliver_report(struct deliver *deliver, const char *calling_ae,
                                  const struct db_commitment_report *report,
                                  struct sctd_error *err);

/* Begin no more.  Transfers that are on their way have grace_ms; then they are broken off, to go on later.  Called
 * again it sets that anew. */
void deliver_drain(struct deliver *deliver, int grace_ms);

/* After `drained`; its handles close as the loop runs on.  NULL is a no-op. */
void deliver_free(struct deliver *deliver);

#ifdef __cplusplus
}
#endif
