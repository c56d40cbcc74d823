/*
 * limits.h - how much may come in at a time, by the size of the disk, and how long it may take.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "server/config.h"
#include "server/receive_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where instances go, whoever brings them, and the limits. */
struct receive_serve limits_serve(const char *spool, const struct config_retention *retention);

/* Bytes that the largest study may need, of a small disk a part of it. */
int64_t limits_series_room(const char *spool);

#ifdef __cplusplus
}
#endif
