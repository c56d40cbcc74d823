/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/image/distance.h"

enum { COLUMNS = 9, ROWS = 7, SLICES = 5, VOXELS = COLUMNS * ROWS * SLICES };

static const int32_t dim[3] = {COLUMNS, ROWS, SLICES};
static const double step[3] = {1.5, 0.7, 3.0};

static double search(const double *set, size_t at)
{
    double least = (double)INFINITY;
    for (size_t to = 0; to < VOXELS; to++) {
        if (set[to] > 0.0) {
            continue;
        }
        const double x = step[0] * ((double)(at % COLUMNS) - (double)(to % COLUMNS));
        const double y = step[1] * ((double)(at / COLUMNS % ROWS) - (double)(to / COLUMNS % ROWS));
        const double z = step[2] * ((double)(at / COLUMNS / ROWS) - (double)(to / COLUMNS / ROWS));
        least = fmin(least, x * x + y * y + z * z);
    }
    return least;
}

static void distances_are_those_of_a_search(double share)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct sctd_rng rng = {3};
    struct distance d;
    double set[VOXELS];
    double squared[VOXELS];
    for (size_t at = 0; at < VOXELS; at++) {
        set[at] = (double)sctd_rng_uniform(&rng) < share ? 0.0 : (double)INFINITY;
        squared[at] = set[at];
    }
    assert(distance_init(&d, COLUMNS, &err) == 0);
    distance_square(&d, squared, dim, step);
    for (size_t at = 0; at < VOXELS; at++) {
        const double want = search(set, at);
        assert(isinf(want) ? isinf(squared[at]) : fabs(squared[at] - want) < 1e-12);
    }
    distance_fini(&d);
}

int main(void)
{
    distances_are_those_of_a_search(0.0); /* nothing is near an empty set */
    distances_are_those_of_a_search(0.01);
    distances_are_those_of_a_search(0.1);
    distances_are_those_of_a_search(0.9);
    distances_are_those_of_a_search(1.0);
    return 0;
}
