/*
 * reload.h - another configuration for a daemon that runs: what it makes of it, and what it cannot take up.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "engine/base/error.h"
#include "server/allow.h"
#include "server/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Peers as the front door wants them: "AE@ADDRESS".  *ret_allow: [config->peers_count], freed by free.
 * Errors: SCTD_EDATA, SCTD_ENOMEM. */
SCTD_NODISCARD int reload_make_allow(struct allow_rule **ret_allow, const struct config *config,
                                     struct sctd_error *err);

/* Whether what only a start can change is as it was. */
bool reload_is_whole(const struct config *old, const struct config *new_one);

#ifdef __cplusplus
}
#endif
