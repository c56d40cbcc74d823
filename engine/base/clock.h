/*
 * clock.h - what time it is, by each of the clocks that we use.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds of a clock that never goes back, from an unknown moment. */
double sctd_now_s(void);

/* Milliseconds since 1970, UTC: to be shown and kept; it may step. */
int64_t sctd_wall_ms(void);

/* Milliseconds since the machine started, time asleep included: what waits and leases are measured with. */
int64_t sctd_boot_ms(void);

#ifdef __cplusplus
}
#endif
