/*
 * batch.h - how many slices a plan runs at once: as many as fit, and no more than keeps copies hidden.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A call's slices are cut into chunks of about so many: while one is computed, the one before comes down
 * and the next goes up. */
enum { BATCH_CHUNK = 32 };

struct batch_memory {
    size_t free_bytes;   /* of the device, now */
    size_t budget_bytes; /* 0: none but what is free */
    size_t fixed_bytes;  /* weights and workspace */
    size_t slice_bytes;  /* of each slice of a chunk: its arena and staging */
};

/* The bytes that a plan may take: the budget, or all but a tenth of what is free. */
size_t batch_limit(const struct batch_memory *m);

/* The chunk for calls of at most `max_batch` (>= 1) slices; 0: not even one slice fits. */
int32_t batch_choose(const struct batch_memory *m, int32_t max_batch);

/* The next smaller one after memory ran out all the same; 0: there is none. */
int32_t batch_halve(int32_t chunk);

#ifdef __cplusplus
}
#endif
