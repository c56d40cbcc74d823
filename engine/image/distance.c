/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/distance.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

int distance_init(struct distance *d, int32_t longest, struct sctd_error *err)
{
    const size_t n = (size_t)longest;
    *d = (struct distance){
        .line = calloc(n, sizeof(double)),
        .hull = calloc(n, sizeof(double)),
        .bound = calloc(n + 1, sizeof(double)),
        .parabola = calloc(n, sizeof(int32_t)),
        .longest = longest,
    };
    if (d->line == NULL || d->hull == NULL || d->bound == NULL || d->parabola == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "distances along %d voxels", longest);
    }
    return 0;
}

void distance_fini(struct distance *d)
{
    free(d->line);
    free(d->hull);
    free(d->bound);
    free(d->parabola);
}

/* The parabola over q joins the hull, of which `last` is the last: those that it hides leave it. */
static int32_t join_hull(struct distance *d, int32_t last, int32_t q, double step)
{
    double from = -(double)INFINITY;
    while (last >= 0) {
        const int32_t p = d->parabola[last];
        from = ((d->line[q] - d->line[p]) / (step * step) + (double)q * q - (double)p * p) /
               (2.0 * (q - p));
        if (from > d->bound[last]) {
            break;
        }
        last--;
    }
    last++;
    d->parabola[last] = q;
    d->bound[last] = last == 0 ? -(double)INFINITY : from;
    return last;
}

/* line[q] = min over p of (step (q - p))^2 + line[p]: the lower hull of parabolas. */
static void transform_line(struct distance *d, int32_t n, double step)
{
    int32_t last = -1;
    for (int32_t q = 0; q < n; q++) {
        last = isinf(d->line[q]) ? last : join_hull(d, last, q, step);
    }
    if (last < 0) {
        return;
    }
    d->bound[last + 1] = (double)INFINITY;
    int32_t at = 0;
    for (int32_t q = 0; q < n; q++) {
        while (d->bound[at + 1] < q) {
            at++;
        }
        const double away = step * (q - d->parabola[at]);
        d->hull[q] = away * away + d->line[d->parabola[at]];
    }
    memcpy(d->line, d->hull, (size_t)n * sizeof *d->line);
}

static void transform_axis(struct distance *d, double *squared, const int32_t dim[3], int axis,
                           double step)
{
    const size_t n = (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2];
    size_t stride = 1;
    for (int a = 0; a < axis; a++) {
        stride *= (size_t)dim[a];
    }
    const size_t length = (size_t)dim[axis];
    for (size_t line = 0; line < n / length; line++) {
        const size_t first = line / stride * stride * length + line % stride;
        for (size_t q = 0; q < length; q++) {
            d->line[q] = squared[first + q * stride];
        }
        transform_line(d, dim[axis], step);
        for (size_t q = 0; q < length; q++) {
            squared[first + q * stride] = d->line[q];
        }
    }
}

/* Along i, where nothing but 0 and infinity stands yet: from the nearest 0 on either side. */
static void transform_rows(double *squared, const int32_t dim[3], double step)
{
    const size_t rows = (size_t)dim[1] * (size_t)dim[2];
    for (size_t row = 0; row < rows; row++) {
        double *line = squared + row * (size_t)dim[0];
        double away = (double)INFINITY;
        for (int32_t q = 0; q < dim[0]; q++) {
            away = isinf(line[q]) ? away + 1.0 : 0.0;
            line[q] = away * step * (away * step);
        }
        away = (double)INFINITY;
        for (int32_t q = dim[0] - 1; q >= 0; q--) {
            away = line[q] > 0.0 ? away + 1.0 : 0.0;
            line[q] = fmin(line[q], away * step * (away * step));
        }
    }
}

void distance_square(struct distance *d, double *squared, const int32_t dim[3],
                     const double step[3])
{
    transform_rows(squared, dim, step[0]);
    for (int a = 1; a < 3; a++) {
        if (dim[a] > 1) {
            transform_axis(d, squared, dim, a, step[a]);
        }
    }
}
