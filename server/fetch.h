/*
 * fetch.h - a fetcher's own work: one query, one series from a PACS, or one series from files.
 *
 * What it fetches goes into the spool as what a receiver receives does, by the same code and the same
 * questions (receive.h): a PACS hears success for an instance when the job store has it.
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
 * The process: say that it is ready, wait for its work, do it, say how it went.
 * Errors: SCTD_EIO, SCTD_EDATA (the parent), SCTD_ENOMEM.
 */
SCTD_NODISCARD int fetch_run(int frame_fd, const volatile sig_atomic_t *stop,
                             struct sctd_error *err);

#ifdef __cplusplus
}
#endif
