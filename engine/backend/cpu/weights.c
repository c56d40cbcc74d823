/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/bf16.h"
#include "engine/backend/cpu/steps.h"

/* One row of `n` scaled weights. */
static void fill_row(unsigned char *to, const float *from, double scale, size_t n,
                     enum format format)
{
    if (format == FORMAT_F32) {
        for (size_t i = 0; i < n; i++) {
            const float w = (float)((double)from[i] * scale);
            memcpy(to + i * sizeof w, &w, sizeof w);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float w = (float)((double)from[i] * scale);
        const uint16_t hi = bf16_from(w);
        memcpy(to + i * sizeof hi, &hi, sizeof hi);
        if (format == FORMAT_SPLIT) {
            const uint16_t lo = bf16_from(w - bf16_to(hi));
            memcpy(to + (n + i) * sizeof hi, &hi, sizeof hi);
            memcpy(to + (2 * n + i) * sizeof lo, &lo, sizeof lo);
        }
    }
}

int steps_plain_weights(void **ret_plain, const struct graph_op *op,
                        const struct weight_shape *shape, struct sctd_error *err)
{
    const size_t n = (size_t)shape->inputs * (size_t)shape->taps;
    const size_t row_bytes = n * format_bytes(shape->format);
    unsigned char *plain = malloc((size_t)shape->rows * row_bytes);
    if (plain == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "weights of %zu bytes",
                          (size_t)shape->rows * row_bytes);
    }
    for (size_t row = 0; row < (size_t)shape->rows; row++) {
        const double scale = op->scale == NULL ? 1.0 : op->scale[row];
        fill_row(plain + row * row_bytes, op->weight + row * n, scale, n, shape->format);
    }
    *ret_plain = plain;
    return 0;
}

int steps_copy(float **ret_copy, const float *values, size_t n, struct sctd_error *err)
{
    if (values == NULL) {
        *ret_copy = NULL;
        return 0;
    }
    float *copy = malloc(n * sizeof *copy);
    if (copy == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "bias");
    }
    memcpy(copy, values, n * sizeof *copy);
    *ret_copy = copy;
    return 0;
}
