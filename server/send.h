/*
 * send.h - a sender's own work: one delivery, or one report, over one association.
 *
 * Thread safety: one for a process.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <signal.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The process: say that it is ready, wait for what is to be sent, send it, say how it went.
 * Errors: SCTD_EIO, SCTD_EDATA (the parent), SCTD_ENOMEM.
 */
SCTD_NODISCARD int send_run(int frame_fd, const volatile sig_atomic_t *stop,
                            struct sctd_error *err);

#ifdef __cplusplus
}
#endif
