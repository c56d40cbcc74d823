/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/wepl.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"
#include "engine/image/grid.h"

#define STEP_MM 1.0

double wepl_density(double hu)
{
    const double density = hu <= 100.0 ? 1.0 + hu / 1000.0 : 1.052 + 0.00048 * hu;
    return fmax(density, 0.0);
}

static bool is_within(const struct volume_grid *grid, const double at[3])
{
    for (int a = 0; a < 3; a++) {
        if (!(at[a] >= -0.5 && at[a] <= grid->dim[a] - 0.5)) {
            return false;
        }
    }
    return true;
}

static size_t find_voxel(const struct volume_grid *grid, const int32_t at[3])
{
    return ((size_t)at[2] * (size_t)grid->dim[1] + (size_t)at[1]) * (size_t)grid->dim[0] +
           (size_t)at[0];
}

static double interpolate(const struct volume *volume, const double at[3])
{
    double sum = 0.0;
    for (int corner = 0; corner < 8; corner++) {
        double weight = 1.0;
        int32_t voxel[3];
        for (int a = 0; a < 3; a++) {
            const int32_t last = volume->grid.dim[a] - 1;
            const double inside = fmin(fmax(at[a], 0.0), last);
            const int32_t low = (int32_t)inside;
            const bool is_high = (corner >> a & 1) != 0;
            voxel[a] = is_high && low < last ? low + 1 : low;
            weight *= is_high ? inside - low : 1.0 - (inside - low);
        }
        sum += weight * (double)volume->voxel[find_voxel(&volume->grid, voxel)];
    }
    return sum;
}

struct pair {
    const struct volume *reference, *synthetic;
    const uint8_t *mask;
    struct grid_inverse inverse;
};

static void follow(const struct pair *p, double ret_mm[2], const double from[3],
                   const double direction[3])
{
    const struct volume_grid *grid = &p->reference->grid;
    double at[3];
    double step[3];
    grid_turn_vector(step, &p->inverse, direction);
    for (int a = 0; a < 3; a++) {
        at[a] = from[a] + 0.5 * STEP_MM * step[a];
    }
    ret_mm[0] = ret_mm[1] = 0.0;
    while (is_within(grid, at)) {
        int32_t nearest[3];
        for (int a = 0; a < 3; a++) {
            nearest[a] = (int32_t)fmin(floor(at[a] + 0.5), grid->dim[a] - 1);
        }
        if (p->mask[find_voxel(grid, nearest)] != 0) {
            ret_mm[0] += STEP_MM * wepl_density(interpolate(p->reference, at));
            ret_mm[1] += STEP_MM * wepl_density(interpolate(p->synthetic, at));
        }
        for (int a = 0; a < 3; a++) {
            at[a] += STEP_MM * step[a];
        }
    }
}

/* The middle of the body in slice k, as an index; false: there is none. */
static bool find_middle(double ret_at[3], const struct pair *p, int32_t k)
{
    const int32_t *dim = p->reference->grid.dim;
    const uint8_t *slice = p->mask + (size_t)k * (size_t)dim[0] * (size_t)dim[1];
    double sum[2] = {0.0, 0.0};
    size_t n = 0;
    const size_t columns = (size_t)dim[0];
    for (size_t at = 0; at < columns * (size_t)dim[1]; at++) {
        if (slice[at] != 0) {
            sum[0] += (double)(at % columns);
            const size_t row = at / columns;
            sum[1] += (double)row;
            n++;
        }
    }
    if (n > 0) {
        ret_at[0] = sum[0] / (double)n;
        ret_at[1] = sum[1] / (double)n;
        ret_at[2] = k;
    }
    return n > 0;
}

static void add_angle(struct wepl *sums, const struct pair *p, const double middle[3], int angle)
{
    const double radians = angle * (WEPL_DEGREES * 3.14159265358979323846 / 180.0);
    const double direction[3] = {sin(radians), -cos(radians), 0.0};
    double mm[2];
    follow(p, mm, middle, direction);
    const double difference = mm[1] - mm[0];
    sums->rays++;
    sums->reference_mm += mm[0];
    sums->mean_mm += difference;
    sums->mean_absolute_mm += fabs(difference);
    sums->most_mm = fmax(sums->most_mm, fabs(difference));
    sums->angle_mm[angle] += difference;
}

int wepl_find(struct wepl *ret_wepl, const struct volume *reference, const struct volume *synthetic,
              const uint8_t *mask, struct sctd_error *err)
{
    struct pair p = {.reference = reference, .synthetic = synthetic, .mask = mask};
    int r = grid_invert(&p.inverse, &reference->grid, err);
    if (r < 0) {
        return r;
    }
    struct wepl sums = {.rays = 0};
    for (int32_t k = 0; k < reference->grid.dim[2]; k++) {
        double middle[3];
        const bool has_body = find_middle(middle, &p, k);
        for (int angle = 0; has_body && angle < WEPL_ANGLES; angle++) {
            add_angle(&sums, &p, middle, angle);
        }
    }
    const double rays = sums.rays > 0 ? (double)sums.rays : (double)NAN;
    for (int angle = 0; angle < WEPL_ANGLES; angle++) {
        sums.angle_mm[angle] /= rays / WEPL_ANGLES;
    }
    sums.reference_mm /= rays;
    sums.mean_mm /= rays;
    sums.mean_absolute_mm /= rays;
    sums.most_mm = sums.rays > 0 ? sums.most_mm : (double)NAN;
    sums.mean_percent = 100.0 * sums.mean_absolute_mm / sums.reference_mm;
    *ret_wepl = sums;
    return 0;
}
