/*
 * adopt.h - a receiver's other work: files that lie in the spool and that the job store does not know.
 *
 * Each is read like what a stranger sends and offered to the parent like what was just received; only nobody waits
 * for an answer.  What cannot be taken in is moved to the spool's folder "quarantine", never removed.
 *
 * Thread safety: one for a process.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>

#include "engine/base/error.h"
#include "server/frame.h"
#include "server/receive_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* list_fd: a worker_list of files.  *ret_end: what to say at the end.
 * Errors: SCTD_EDATA (the list), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int adopt_run(struct receive_end *ret_end, struct frame_reader *parent,
                             const struct receive_serve *serve, int list_fd,
                             const volatile sig_atomic_t *stop, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
