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

struct receivers_hooks {
    void *arg;
    /*
     * Keep instances[n] durably, in one transaction, and say what became of each: ret_kept[n].
     * An error stops everything: nothing of the call is acknowledged, and `failed` is called.
     */
    int (*keep)(void *arg, const struct receivers_keep *instances, size_t n,
                struct receive_kept *ret_kept, struct sctd_error *err);
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

/* No new ones; spares go.  Those that serve have grace_ms, then are asked to end, and at last are killed. */
void receivers_drain(struct receivers *receivers, int grace_ms);

/* After `drained`, before the loop ends: closes what is left. */
void receivers_free(struct receivers *receivers);

#ifdef __cplusplus
}
#endif
