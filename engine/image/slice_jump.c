/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/slice_jump.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/beat.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

enum { REACH = 2 };

/* A slice and the next. */
struct pair {
    double apart;   /* mean HU; NAN: does not count */
    size_t in_both; /* pixels */
};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of n >= 1 values, which are sorted. */
static double find_median(double *value, size_t n)
{
    qsort(value, n, sizeof *value, compare);
    return (value[(n - 1) / 2] + value[n / 2]) / 2.0;
}

static struct pair compare_slices(const float *hu, const uint8_t *mask, size_t plane)
{
    struct pair pair = {.in_both = 0};
    double sum = 0.0;
    for (size_t i = 0; i < plane; i++) {
        if ((mask[i] & mask[plane + i] & 1) != 0) {
            sum += fabs((double)hu[i] - (double)hu[plane + i]);
            pair.in_both++;
        }
    }
    pair.apart = pair.in_both == 0 ? (double)NAN : sum / (double)pair.in_both;
    return pair;
}

/* value [slices]: space.  0 where no slice has a body. */
static double find_median_body(double *value, const uint8_t *mask, const int32_t dim[3],
                               const struct sctd_beat *beat)
{
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    size_t n = 0;
    for (int32_t k = 0; k < dim[2]; k++) {
        const uint8_t *slice = mask + (size_t)k * plane;
        size_t body = 0;
        for (size_t i = 0; i < plane; i++) {
            body += slice[i] & 1U;
        }
        value[n] = (double)body;
        n += body > 0 ? 1 : 0;
        sctd_beat_tell(beat);
    }
    return n == 0 ? 0.0 : find_median(value, n);
}

/* d(k) less the median of its neighbours'; NAN where there is none. */
static double find_jump(const struct pair *pair, int32_t n, int32_t k)
{
    double near[2 * REACH];
    size_t n_near = 0;
    for (int32_t at = k - REACH; at <= k + REACH; at++) {
        if (at >= 0 && at < n && at != k && !isnan(pair[at].apart)) {
            near[n_near++] = pair[at].apart;
        }
    }
    return n_near == 0 ? (double)NAN : pair[k].apart - find_median(near, n_near);
}

int slice_jump_find(struct slice_jump *ret_jump, const struct volume *hu, const uint8_t *mask,
                    const struct sctd_beat *beat, struct sctd_error *err)
{
    const int32_t *dim = hu->grid.dim;
    const size_t plane = (size_t)dim[0] * (size_t)dim[1];
    const int32_t n = dim[2] - 1;
    struct pair *pair = calloc((size_t)dim[2], sizeof *pair);
    double *body = calloc((size_t)dim[2], sizeof *body);
    struct slice_jump most = {.hu = -(double)INFINITY};
    int r = pair == NULL || body == NULL ? sctd_error(err, SCTD_ENOMEM, "the jumps of slices") : 0;
    if (r == 0) {
        const double least = find_median_body(body, mask, dim, beat) / 4.0;
        for (int32_t k = 0; k < n; k++) {
            const size_t first = (size_t)k * plane;
            pair[k] = compare_slices(hu->voxel + first, mask + first, plane);
            pair[k].apart = (double)pair[k].in_both < least ? (double)NAN : pair[k].apart;
            sctd_beat_tell(beat);
        }
        for (int32_t k = 0; k < n; k++) {
            const double jump = find_jump(pair, n, k);
            most = jump > most.hu ? (struct slice_jump){jump, k} : most;
        }
    }
    free(pair);
    free(body);
    if (r == 0 && isinf(most.hu)) {
        return SLICE_JUMP_NONE;
    }
    if (r == 0) {
        *ret_jump = most;
    }
    return r;
}
