/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/image_metrics.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/image/range.h"
#include "engine/image/regions.h"

struct sums {
    size_t n;
    double difference, absolute, square, clamped_square;
};

static void add(struct sums *sums, double reference, double synthetic, struct range range)
{
    const double d = synthetic - reference;
    const double c =
        fmin(fmax(synthetic, range.low), range.high) - fmin(fmax(reference, range.low), range.high);
    sums->n++;
    sums->difference += d;
    sums->absolute += fabs(d);
    sums->square += d * d;
    sums->clamped_square += c * c;
}

/* What the sets that have the region come to. */
static struct sums collect(const struct sums *of_set, unsigned region)
{
    struct sums s = {.n = 0};
    for (unsigned set = 0; set < 1U << REGIONS; set++) {
        if ((set >> region & 1U) != 0) {
            s.n += of_set[set].n;
            s.difference += of_set[set].difference;
            s.absolute += of_set[set].absolute;
            s.square += of_set[set].square;
            s.clamped_square += of_set[set].clamped_square;
        }
    }
    return s;
}

void image_metrics_find(struct image_metrics ret_metrics[REGIONS], const float *reference,
                        const float *synthetic, const uint8_t *regions, size_t n,
                        struct range range)
{
    /* Each voxel is in one set of regions, of which there are few: sums by set, then by region. */
    struct sums of_set[1U << REGIONS] = {{.n = 0}};
    for (size_t i = 0; i < n; i++) {
        add(&of_set[regions[i] % (1U << REGIONS)], (double)reference[i], (double)synthetic[i],
            range);
    }
    for (unsigned r = 0; r < REGIONS; r++) {
        const struct sums s = collect(of_set, r);
        const double voxels = s.n > 0 ? (double)s.n : (double)NAN;
        const double peak = range.high - range.low;
        ret_metrics[r] = (struct image_metrics){
            .n = s.n,
            .mae = s.absolute / voxels,
            .me = s.difference / voxels,
            .rmse = sqrt(s.square / voxels),
            .psnr = 10.0 * log10(peak * peak / (s.clamped_square / voxels)),
        };
    }
}
