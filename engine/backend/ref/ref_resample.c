/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/graph.h"
#include "engine/backend/ref/ref.h"

/* The larger of two; NaN if one is. */
static float max_of(float a, float b)
{
    return b > a || isnan(b) ? b : a;
}

void ref_max_pool(const struct ref_op *op)
{
    const size_t channels = (size_t)op->out->c;
    const size_t width = (size_t)op->out->w;
    const size_t row = 2 * width * channels; /* of the input */
    for (size_t p = 0; p < ref_pixels(op->out); p++) {
        const float *x = op->x[0] + 2 * (p / width) * row + 2 * (p % width) * channels;
        for (size_t i = 0; i < channels; i++) {
            const float upper = max_of(x[i], x[channels + i]);
            const float lower = max_of(x[row + i], x[row + channels + i]);
            op->y[p * channels + i] = max_of(upper, lower);
        }
    }
}

/* Where output index `i` of an axis falls between the `n` inputs: pixel centres at halves. */
struct between {
    size_t low, high;
    double to_high; /* weight of `high` */
};

static struct between place(size_t i, int32_t factor, int32_t n)
{
    const double at = fmax(0.0, ((double)i + 0.5) / factor - 0.5);
    const size_t low = (size_t)at;
    const size_t last = (size_t)n - 1;
    return (struct between){
        .low = low, .high = low < last ? low + 1 : last, .to_high = at - (double)low};
}

static double blend(double low, double high, double to_high)
{
    return (1.0 - to_high) * low + to_high * high;
}

void ref_upsample(const struct ref_op *op)
{
    const struct graph_tensor *in = op->in[0];
    const size_t channels = (size_t)in->c;
    const size_t columns = (size_t)op->out->w;
    for (size_t p = 0; p < ref_pixels(op->out); p++) {
        const struct between row = place(p / columns, op->attr.factor, in->h);
        const struct between column = place(p % columns, op->attr.factor, in->w);
        const float *upper = op->x[0] + row.low * (size_t)in->w * channels;
        const float *lower = op->x[0] + row.high * (size_t)in->w * channels;
        const size_t left = column.low * channels;
        const size_t right = column.high * channels;
        for (size_t i = 0; i < channels; i++) {
            const double above =
                blend((double)upper[left + i], (double)upper[right + i], column.to_high);
            const double below =
                blend((double)lower[left + i], (double)lower[right + i], column.to_high);
            op->y[p * channels + i] = (float)blend(above, below, row.to_high);
        }
    }
}

struct ref_sizes ref_mean_sizes(const struct ref_op *op)
{
    return (struct ref_sizes){.scratch = (size_t)op->out->c};
}

void ref_mean(const struct ref_op *op)
{
    const size_t channels = (size_t)op->out->c;
    const size_t pixels = ref_pixels(op->in[0]);
    for (size_t i = 0; i < channels; i++) {
        op->scratch[i] = 0.0;
    }
    for (size_t p = 0; p < pixels; p++) {
        for (size_t i = 0; i < channels; i++) {
            op->scratch[i] += (double)op->x[0][p * channels + i];
        }
    }
    for (size_t i = 0; i < channels; i++) {
        op->y[i] = (float)(op->scratch[i] / (double)pixels);
    }
}
