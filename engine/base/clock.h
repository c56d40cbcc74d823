/*
 * clock.h - how long things take.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds of a clock that never goes back, from an unknown moment. */
double sctd_now_s(void);

#ifdef __cplusplus
}
#endif
