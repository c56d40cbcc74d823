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

static void find_index(int32_t ret_index[3], size_t at)
{
    ret_index[0] = (int32_t)(at % COLUMNS);
    ret_index[1] = (int32_t)(at / COLUMNS % ROWS);
    ret_index[2] = (int32_t)(at / COLUMNS / ROWS);
}

static double search(const double *set, size_t at)
{
    double least = (double)INFINITY;
    for (size_t to = 0; to < VOXELS; to++) {
        if (set[to] > 0.0) {
            continue;
        }
        int32_t a[3];
        int32_t b[3];
        find_index(a, at);
        find_index(b, to);
        const double x = step[0] * (a[0] - b[0]);
        const double y = step[1] * (a[1] - b[1]);
        const double z = step[2] * (a[2] - b[2]);
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
