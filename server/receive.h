/*
 * receive.h - a receiver's own work: what comes over one association goes into the spool, and is acknowledged
 * when the parent says that it is kept.
 *
 * The order is the promise (docs/architecture.md, From a scanner to the spool): the file is whole, synced, named
 * and its folder synced; then the parent commits its row; only then the peer hears success.
 *
 * Thread safety: one for a process.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "dicom/receiver.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "server/frame.h"
#include "server/receive_messages.h"
#include "server/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct receive {
    const struct receive_serve *serve; /* borrowed */
    struct frame_reader *parent;       /* borrowed */
    const char *series_uid; /* borrowed: what belongs to another series is refused; NULL: nothing */
    struct spool spool;
    /* the instance on its way */
    struct spool_file file;
    struct receive_keep keep;
    struct sha256 hash;
    uint64_t size; /* of its data set */
    struct dicom_receiver_answer answer;
    bool is_wanted; /* false: `answer` says why */
};

/* Open the spool.  `serve` and `parent` must outlive it.  Errors: SCTD_EIO, SCTD_EINVAL. */
SCTD_NODISCARD int receive_open(struct receive *ret_receive, const struct receive_serve *serve,
                                struct frame_reader *parent, struct sctd_error *err);
void receive_close(struct receive *receive); /* what is on its way is removed */

/* Ask the parent whether receive->keep is kept.  False: there is no parent any more. */
bool receive_ask(struct receive *receive, struct receive_kept *ret_kept);

/* What dicom_receiver_run calls; arg is the struct receive. */
struct dicom_receiver_sink receive_sink(struct receive *receive);

/*
 * The process: say that it is ready, wait for a connection, serve it, say how it ended.
 * frame_fd: the socket to the parent.  *stop: set by a signal.
 * Errors: as of its parts; the parent hears of what matters to it.
 */
SCTD_NODISCARD int receive_run(int frame_fd, const volatile sig_atomic_t *stop,
                               struct sctd_error *err);

#ifdef __cplusplus
}
#endif
