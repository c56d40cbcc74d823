/*
 * rate.h - how often each address may ask: a bucket of requests that fills again with time.
 *
 * Thread safety: the loop's thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rate;

/* per_s: requests that come back each second; burst: most that are there.  *ret_rate: freed by rate_free.
 * Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int rate_new(struct rate **ret_rate, double per_s, double burst,
                            struct sctd_error *err);
void rate_free(struct rate *rate); /* NULL is a no-op */

/* Take one for an address; returns 0, or how many milliseconds to wait for the next. */
int64_t rate_take(struct rate *rate, const char *address, int64_t now_ms);
/* The same without taking one. */
int64_t rate_ask(struct rate *rate, const char *address, int64_t now_ms);

#ifdef __cplusplus
}
#endif
