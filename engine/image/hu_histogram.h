/*
 * hu_histogram.h - how the HU of a region are distributed, and how far two distributions are apart.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bin a HU, -1024 ... 3071; a value is rounded to the nearest, and counted in the outermost bin where it lies
 * beyond.  The distance is the first Wasserstein distance in HU: the area between the two cumulative
 * distributions, which is the least mean shift that makes one of the other (scipy.stats.wasserstein_distance
 * of the rounded values).
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/image/regions.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HU_HISTOGRAM_FIRST = -1024, HU_HISTOGRAM_BINS = 4096 };

struct hu_histogram {
    uint64_t count[HU_HISTOGRAM_BINS];
    uint64_t n;
};

void hu_histogram_fill(struct hu_histogram *ret_histogram, const float *value,
                       const uint8_t *regions, size_t n, enum region region);
/* HU; NAN if one has no values. */
double hu_histogram_distance(const struct hu_histogram *a, const struct hu_histogram *b);

#ifdef __cplusplus
}
#endif
