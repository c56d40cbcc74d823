/* destinations.h - every destination, as /status and /destinations show it. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/api/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of the array that is open.  Errors: SCTD_EIO (the store), SCTD_ENOMEM. */
SCTD_NODISCARD int api_destinations_write(struct json_writer *w, struct api *api,
                                          struct sctd_error *err);

#ifdef __cplusplus
}
#endif
