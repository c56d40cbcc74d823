/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/hu_histogram.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/image/regions.h"

void hu_histogram_fill(struct hu_histogram *ret_histogram, const float *value,
                       const uint8_t *regions, size_t n, enum region region)
{
    memset(ret_histogram, 0, sizeof *ret_histogram);
    for (size_t i = 0; i < n; i++) {
        if ((regions[i] >> region & 1) != 0) {
            const float bin = roundf(value[i]) - (float)HU_HISTOGRAM_FIRST;
            const float inside = fminf(fmaxf(bin, 0.0F), (float)(HU_HISTOGRAM_BINS - 1));
            ret_histogram->count[(size_t)inside]++;
            ret_histogram->n++;
        }
    }
}

double hu_histogram_distance(const struct hu_histogram *a, const struct hu_histogram *b)
{
    if (a->n == 0 || b->n == 0) {
        return (double)NAN;
    }
    double area = 0.0;
    uint64_t below_a = 0;
    uint64_t below_b = 0;
    for (size_t bin = 0; bin < HU_HISTOGRAM_BINS; bin++) {
        below_a += a->count[bin];
        below_b += b->count[bin];
        area += fabs((double)below_a / (double)a->n - (double)below_b / (double)b->n);
    }
    return area;
}
