/*
 * services.h - what peers say about instances, kept: reports and requests of storage commitment, performed steps.
 *
 * A request for commitment whose instances are all there, and a step that is completed, say what their series will
 * hold: the strongest evidence that a series is complete.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "db/db.h"
#include "engine/base/error.h"
#include "server/deliver.h"
#include "server/intake.h"
#include "server/receivers.h"

#ifdef __cplusplus
extern "C" {
#endif

struct services {
    struct db *db;
    struct deliver *deliver;
    struct intake *intake;
};

/* As the hooks of receivers.h.  Errors: SCTD_EIO, SCTD_ENOMEM: the process must end. */
SCTD_NODISCARD int services_report(const struct services *services,
                                   const struct receivers_report *report,
                                   enum receive_reply *ret_reply, struct sctd_error *err);
SCTD_NODISCARD int services_commitment(const struct services *services,
                                       struct receivers_commitment *commitment,
                                       enum receive_reply *ret_reply, struct sctd_error *err);
SCTD_NODISCARD int services_performed(const struct services *services,
                                      const struct receivers_performed *performed,
                                      enum receive_reply *ret_reply, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
