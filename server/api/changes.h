/*
 * changes.h - what the job store says has changed, gathered for a moment and told to those who watch.
 *
 * Private to server/api.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h"
#include "server/api/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Listen to the store of `api`.  *ret_changes: freed by changes_close.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int changes_open(struct changes **ret_changes, struct api *api,
                                struct sctd_error *err);
void changes_close(
    struct changes *changes); /* its handle closes as the loop runs on; NULL is a no-op */

#ifdef __cplusplus
}
#endif
