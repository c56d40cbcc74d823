/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/rng.h"
#include "engine/image/label_metrics.h"

enum { X = 9, Y = 8, Z = 7, VOXELS = X * Y * Z };

static struct sctd_error err;
static const double step[3] = {1.5, 0.75, 3.0};

static bool is_surface(const uint16_t *map, int at)
{
    const int index[3] = {at % X, at / X % Y, at / X / Y};
    const int dim[3] = {X, Y, Z};
    const int stride[3] = {1, X, X * Y};
    bool inner = map[at] == 1;
    for (int a = 0; a < 3 && inner; a++) {
        inner = index[a] > 0 && index[a] + 1 < dim[a] && map[at - stride[a]] == 1 &&
                map[at + stride[a]] == 1;
    }
    return map[at] == 1 && !inner;
}

static double distance(int p, int q)
{
    const int columns = p % X - q % X;
    const int rows = p / X % Y - q / X % Y;
    const int slices = p / X / Y - q / X / Y;
    const double x = step[0] * columns;
    const double y = step[1] * rows;
    const double z = step[2] * slices;
    return sqrt(x * x + y * y + z * z);
}

/* Sum of the distances from every surface voxel of a to the nearest of b, each pair looked at. */
static double sum_distances(const uint16_t *a, const uint16_t *b, int *n)
{
    double sum = 0.0;
    for (int p = 0; p < VOXELS; p++) {
        double nearest = (double)INFINITY;
        for (int q = 0; is_surface(a, p) && q < VOXELS; q++) {
            nearest = is_surface(b, q) ? fmin(nearest, distance(p, q)) : nearest;
        }
        if (is_surface(a, p)) {
            sum += nearest;
            (*n)++;
        }
    }
    return sum;
}

static void distances_are_those_of_every_pair(void)
{
    struct sctd_rng rng = {3};
    for (int round = 0; round < 20; round++) {
        uint16_t a[VOXELS];
        uint16_t b[VOXELS];
        struct label_metrics *row = NULL;
        size_t rows = 0;
        for (int i = 0; i < VOXELS; i++) {
            a[i] = sctd_rng_uniform(&rng) < 0.03F * (float)(round + 1) ? 1 : 0;
            b[i] = sctd_rng_uniform(&rng) < 0.1F ? 1 : 0;
        }
        a[5] = b[17] = 1;
        const struct label_maps maps = {a, b, {X, Y, Z}, {step[0], step[1], step[2]}};
        assert(label_metrics_find(&row, &rows, &maps, &err) == 0 && rows == 1);
        int n = 0;
        const double sum = sum_distances(a, b, &n) + sum_distances(b, a, &n);
        assert(fabs(row[0].msd_mm - sum / n) < 1e-9 * sum);
        free(row);
    }
}

static void a_shifted_box_is_as_far_as_it_was_shifted(void)
{
    uint16_t a[VOXELS] = {0};
    uint16_t b[VOXELS] = {0};
    struct label_metrics *row = NULL;
    size_t rows = 0;
    a[3 + X * 3 + X * Y * 3] = 5;
    b[5 + X * 3 + X * Y * 3] = 5;
    b[0] = 9;
    const struct label_maps maps = {a, b, {X, Y, Z}, {step[0], step[1], step[2]}};
    assert(label_metrics_find(&row, &rows, &maps, &err) == 0 && rows == 2);
    assert(row[0].label == 5 && fabs(row[0].dice) < 1e-12);
    assert(fabs(row[0].hd95_mm - 3.0) < 1e-12 && fabs(row[0].msd_mm - 3.0) < 1e-12);
    assert(row[1].label == 9 && row[1].reference_voxels == 0 && isnan(row[1].hd95_mm));
    free(row);
}

static void labels_beyond_the_maximum_are_refused(void)
{
    uint16_t a[VOXELS] = {0};
    struct label_metrics *row = NULL;
    size_t rows = 0;
    a[100] = LABEL_METRICS_MAX + 1;
    const struct label_maps maps = {a, a, {X, Y, Z}, {1.0, 1.0, 1.0}};
    assert(label_metrics_find(&row, &rows, &maps, &err) == SCTD_EDATA && row == NULL);
    assert(strstr(err.text, "label 1025") != NULL);
}

int main(void)
{
    distances_are_those_of_every_pair();
    a_shifted_box_is_as_far_as_it_was_shifted();
    labels_beyond_the_maximum_are_refused();
    return 0;
}
