/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/image/scale.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/base/error.h"
#include "engine/image/resize.h"

/* What one value of the output is made of. */
struct tap {
    int32_t first, n;
    double *weight; /* [n], of the axis' block */
};

struct axis {
    struct tap *tap; /* [to] */
    double *weights; /* [to * widest] */
};

static void axis_fini(struct axis *axis)
{
    free(axis->tap);
    free(axis->weights);
}

static void fill_tap(struct tap *tap, int32_t i, int32_t from, int32_t to)
{
    const double ratio = (double)from / (double)to;
    const double reach = fmax(ratio, 1.0);
    const double centre = ((double)i + 0.5) * ratio;
    const int32_t first = (int32_t)fmax(centre - reach + 0.5, 0.0);
    const int32_t end = (int32_t)fmin(centre + reach + 0.5, (double)from);
    double sum = 0.0;
    for (int32_t k = first; k < end; k++) {
        const double w = fmax(1.0 - fabs(((double)k + 0.5 - centre) / reach), 0.0);
        tap->weight[k - first] = w;
        sum += w;
    }
    for (int32_t k = 0; k < end - first; k++) {
        tap->weight[k] /= sum;
    }
    tap->first = first;
    tap->n = end - first;
}

static int axis_init(struct axis *axis, int32_t from, int32_t to, struct sctd_error *err)
{
    const double reach = fmax((double)from / (double)to, 1.0);
    const size_t widest = 2 * (size_t)ceil(reach) + 2;
    axis->tap = calloc((size_t)to, sizeof *axis->tap);
    axis->weights = calloc((size_t)to * widest, sizeof *axis->weights);
    if (axis->tap == NULL || axis->weights == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "weights from %d to %d", from, to);
    }
    for (int32_t i = 0; i < to; i++) {
        axis->tap[i].weight = axis->weights + (size_t)i * widest;
        fill_tap(&axis->tap[i], i, from, to);
    }
    return 0;
}

/* One line, whose values lie `stride` apart. */
static float weigh(const struct tap *tap, const float *line, size_t stride)
{
    double sum = 0.0;
    for (int32_t k = 0; k < tap->n; k++) {
        sum += tap->weight[k] * (double)line[(size_t)(tap->first + k) * stride];
    }
    return (float)sum;
}

static void run_rows(float *out, const struct axis *axis, const float *in, struct resize_size from,
                     int32_t columns)
{
    for (int32_t row = 0; row < from.rows; row++) {
        const float *line = in + (size_t)row * (size_t)from.columns;
        for (int32_t i = 0; i < columns; i++) {
            *out++ = weigh(&axis->tap[i], line, 1);
        }
    }
}

static void run_columns(float *out, const struct axis *axis, const float *in, struct resize_size to)
{
    for (int32_t i = 0; i < to.rows; i++) {
        for (int32_t column = 0; column < to.columns; column++) {
            *out++ = weigh(&axis->tap[i], in + column, (size_t)to.columns);
        }
    }
}

int scale_run(float *out, struct resize_size to, const float *in, struct resize_size from,
              struct sctd_error *err)
{
    sctd_auto(axis_fini) struct axis rows = {.tap = NULL};
    sctd_auto(axis_fini) struct axis columns = {.tap = NULL};
    if (to.rows < 1 || to.columns < 1 || from.rows < 1 || from.columns < 1) {
        return sctd_error(err, SCTD_EINVAL, "from %d x %d to %d x %d pixels", from.columns,
                          from.rows, to.columns, to.rows);
    }
    int r = axis_init(&columns, from.columns, to.columns, err);
    r = r < 0 ? r : axis_init(&rows, from.rows, to.rows, err);
    if (r < 0) {
        return r;
    }
    float *between = malloc((size_t)from.rows * (size_t)to.columns * sizeof *between);
    if (between == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a slice of %d x %d", to.columns, from.rows);
    }
    run_rows(between, &columns, in, from, to.columns);
    run_columns(out, &rows, between, to);
    free(between);
    return 0;
}
