/*
 * serve.h - the daemon: from a scanner's C-STORE to an sCT in the PACS.
 *
 * Its parts, in the order in which a series meets them: front_door.h, receivers.h, intake.h, order.h, workers.h,
 * deliver.h; removal.h comes last.
 *
 * Thread safety: one for a process, whose main thread it takes.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct serve_options {
    const char *config;  /* path of sctd.yaml */
    const char *program; /* path of sctd, for the children */
    bool print_port;     /* on standard output when it is ready */
};

/*
 * Run until SIGTERM or SIGINT, and then until what is on its way has ended or was given back.  SIGHUP reads the
 * configuration again.
 * Errors: SCTD_EDATA, SCTD_EINVAL (the configuration), SCTD_EIO (the store, the spool, the port; also when one
 * of them failed later), SCTD_ENOMEM.
 */
SCTD_NODISCARD int serve_run(const struct serve_options *options, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
