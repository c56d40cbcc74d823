/*
 * worker.h - a worker's own work: a job of the parent's becomes files, with the model kept from job to job.
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
 * The process: say that it is ready, do jobs one by one, until the parent closes the socket or *stop is set.
 * Errors: SCTD_EIO, SCTD_EDATA (the parent), SCTD_EDEVICE (it must be replaced), SCTD_ENOMEM.
 */
SCTD_NODISCARD int worker_run(int frame_fd, const volatile sig_atomic_t *stop,
                              struct sctd_error *err);

#ifdef __cplusplus
}
#endif
