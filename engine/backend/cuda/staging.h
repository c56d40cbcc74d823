/*
 * staging.h - values between a caller's memory and pinned memory, by several processors.
 *
 * At a call's ends the GPU waits for these copies, and one processor copies several times slower than the bus.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h> // IWYU pragma: export
#include <stdint.h> // IWYU pragma: export

struct pool;

/* Both return when all is copied.  Thread safety: one call at a time for a pool. */
void staging_copy(struct pool *pool, void *to, const void *from, size_t bytes);
/* n whole numbers as floats, exactly. */
void staging_widen(struct pool *pool, float *to, const int16_t *from, size_t n);
