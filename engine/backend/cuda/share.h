/*
 * share.h - several plans that ask for the same GPU, or for any: which one each takes, and its part of the memory.
 *
 * Each finds it out for itself, from the GPUs that there are and from its turn: they need not talk to each other.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * able: [n] whether a GPU can be used at all.  ret_order: [n] the numbers of those that can, in the order in which
 * the plan of that turn (>= 0) tries them: its own, then those behind it and round again, in case it does not work.
 * Returns how many.
 */
int32_t share_order(int32_t *ret_order, const bool *able, int32_t n, int32_t turn);

/* How many of `turns` plans take the same as the turn-th, if they go round n GPUs; at least 1. */
int32_t share_count(int32_t turn, int32_t turns, int32_t n);

/* What each of `sharers` may take of a GPU, of which a tenth is nobody's; 0: there is one, which takes what is free. */
size_t share_bytes(size_t total_bytes, int32_t sharers);

#ifdef __cplusplus
}
#endif
