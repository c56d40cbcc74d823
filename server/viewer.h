/*
 * viewer.h - a viewer's own work: the volumes of one subject are read once, and shown slice by slice.
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
 * The process: say that it is ready, read the subject, answer one request after the other, until the parent
 * closes the socket or *stop is set.
 * Errors: SCTD_EIO, SCTD_EDATA (the parent), SCTD_ENOMEM.
 */
SCTD_NODISCARD int viewer_run(int frame_fd, const volatile sig_atomic_t *stop,
                              struct sctd_error *err);

#ifdef __cplusplus
}
#endif
