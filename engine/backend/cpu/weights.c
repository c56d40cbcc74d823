/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/bf16.h"
#include "engine/backend/cpu/bf16_kernel.h"
#include "engine/backend/cpu/steps.h"

enum { ROWS = 16 /* of a piece of the work */ };

static float scaled(float weight, double scale)
{
    return (float)((double)weight * scale);
}

/* One row of scaled weights, n in all. */

static void fill_f32(unsigned char *to, const float *from, double scale, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float w = scaled(from[i], scale);
        memcpy(to + i * sizeof w, &w, sizeof w);
    }
}

static void fill_bf16(unsigned char *to, const float *from, double scale, size_t n, int32_t taps)
{
    const size_t together = taps == BF16_KERNEL ? BF16_KERNEL : 1;
    for (size_t i = 0; i < n; i += together) {
        float w[BF16_KERNEL];
        uint16_t hi[BF16_KERNEL];
        for (size_t t = 0; t < together; t++) {
            w[t] = scaled(from[i + t], scale);
            hi[t] = bf16_from(w[t]);
        }
        if (together == BF16_KERNEL) {
            bf16_kernel_round(hi, w);
        }
        memcpy(to + i * sizeof *hi, hi, together * sizeof *hi);
    }
}

static void fill_split(unsigned char *to, const float *from, double scale, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float w = scaled(from[i], scale);
        const uint16_t hi = bf16_from(w);
        const uint16_t lo = bf16_from(w - bf16_to(hi));
        memcpy(to + i * sizeof hi, &hi, sizeof hi);
        memcpy(to + (n + i) * sizeof hi, &hi, sizeof hi);
        memcpy(to + (2 * n + i) * sizeof lo, &lo, sizeof lo);
    }
}

struct filling {
    unsigned char *to;
    const struct graph_op *op;
    const struct weight_shape *shape;
};

static void fill_rows(void *arg, int32_t item, int32_t worker)
{
    const struct filling *f = arg;
    const size_t n = (size_t)f->shape->inputs * (size_t)f->shape->taps;
    const size_t row_bytes = n * format_bytes(f->shape->format);
    const int32_t end = (item + 1) * ROWS < f->shape->rows ? (item + 1) * ROWS : f->shape->rows;
    (void)worker;
    for (size_t row = (size_t)item * ROWS; row < (size_t)end; row++) {
        const double scale = f->op->scale == NULL ? 1.0 : f->op->scale[row];
        unsigned char *to = f->to + row * row_bytes;
        const float *from = f->op->weight + row * n;
        if (f->shape->format == FORMAT_F32) {
            fill_f32(to, from, scale, n);
        } else if (f->shape->format == FORMAT_SPLIT) {
            fill_split(to, from, scale, n);
        } else {
            fill_bf16(to, from, scale, n, f->shape->taps);
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
    struct filling filling = {.to = plain, .op = op, .shape = shape};
    const int32_t items = (shape->rows + ROWS - 1) / ROWS;
    if (shape->pool != NULL) {
        pool_run(shape->pool, items, fill_rows, &filling);
    } else {
        for (int32_t i = 0; i < items; i++) {
            fill_rows(&filling, i, 0);
        }
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
