/*
 * reporter.h - reports of storage commitment that modalities have not heard, told on associations of our own.
 *
 * A modality that asks for storage commitment is told on the association that it asked on.  One that ends it before is
 * told here: what was promised is kept in the job store, a sender opens an association to it, and
 * tries again, more and more seldom, for a day from the start of the daemon or from the promise.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "db/db.h"
#include "engine/base/error.h"
#include "server/allow.h"
#include "server/config.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s;
struct metrics;
struct reporter;

struct reporter_hooks {
    void *arg;
    void (*failed)(void *arg, const char *reason); /* the job store: end the process */
    void (*drained)(void *arg);                    /* after reporter_drain: none is left */
};

struct reporter_options {
    struct uv_loop_s *loop;
    const char *program; /* the path of sctd */
    struct db *db;       /* borrowed, as metrics */
    struct metrics *metrics;
    const char *ae_title;
    int32_t connect_ms, answer_ms; /* 0: 10 s and 30 s */
};

/*
 * What the store still holds is due at once.  The texts must outlive it, and so must config and allow (as
 * report_address_find wants them) until reporter_set_config.
 * *ret_reporter: freed by reporter_free.  Errors: SCTD_EIO, SCTD_EDATA, SCTD_ENOMEM.
 */
SCTD_NODISCARD int reporter_new(struct reporter **ret_reporter,
                                const struct reporter_options *options, const struct config *config,
                                const struct allow_rule *allow, const struct reporter_hooks *hooks,
                                struct sctd_error *err);

/* Other addresses from now on; all reports are due. */
void reporter_set_config(struct reporter *reporter, const struct config *config,
                         const struct allow_rule *allow);

/* A modality has not heard this: keep it, and tell it.  Where that cannot be it is logged, and it has to ask again. */
void reporter_take(struct reporter *reporter, const struct receivers_commitment *commitment);

/* How it goes with what a modality is owed: of the report that was tried most often since the daemon started. */
struct reporter_trial {
    int tries;        /* that have begun; 0: none */
    int64_t tried_ms; /* wall clock, the last of them; 0: none */
    int64_t
        due_ms; /* lease clock: the next one; what is past is being tried, or waits for its turn */
    const char *
        reason; /* why the last one that ended failed; "": none has; valid until the loop goes on */
};
void reporter_get_trial(const struct reporter *reporter, const char *calling_ae,
                        struct reporter_trial *ret_trial);

/* Tell no more; what is on its way is broken off, to be told at the next start. */
void reporter_drain(struct reporter *reporter);

/* After `drained`; its handles close as the loop runs on.  NULL is a no-op. */
void reporter_free(struct reporter *reporter);

#ifdef __cplusplus
}
#endif
