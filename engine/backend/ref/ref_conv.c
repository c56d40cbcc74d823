/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/graph.h"
#include "engine/backend/ref/ref.h"

static double act_none(double x)
{
    return x;
}

static double act_gelu(double x)
{
    return 0.5 * x * (1.0 + erf(x * M_SQRT1_2));
}

static double act_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double (*const activations[])(double) = {
    [GRAPH_ACT_NONE] = act_none,
    [GRAPH_ACT_GELU] = act_gelu,
    [GRAPH_ACT_SIGMOID] = act_sigmoid,
    [GRAPH_ACT_TANH] = tanh,
};

void ref_sums_start(const struct ref_op *op)
{
    for (int32_t o = 0; o < op->out->c; o++) {
        op->scratch[o] = (double)op->bias[o];
    }
}

void ref_sums_add(const struct ref_op *op, float x, size_t at)
{
    const int32_t channels = op->out->c;
    const float *weight = op->weight + at * (size_t)channels;
    double *sum = op->scratch;
    for (int32_t o = 0; o < channels; o++) {
        sum[o] += (double)x * (double)weight[o];
    }
}

void ref_sums_finish(const struct ref_op *op, const float *residual, size_t pixel)
{
    const size_t channels = (size_t)op->out->c;
    for (size_t o = 0; o < channels; o++) {
        double value = activations[op->attr.act](op->scratch[o]);
        if (residual != NULL) {
            value += (double)residual[pixel * channels + o];
        }
        op->y[pixel * channels + o] = (float)value;
    }
}

static size_t input_channels(const struct ref_op *op)
{
    return (size_t)op->in[0]->c + (op->in[1] == NULL ? 0 : (size_t)op->in[1]->c);
}

struct ref_sizes ref_conv_sizes(const struct ref_op *op)
{
    const size_t area = (size_t)op->attr.kernel * (size_t)op->attr.kernel;
    return (struct ref_sizes){.rows = (size_t)op->out->c,
                              .row = input_channels(op) * area,
                              .scratch = (size_t)op->out->c};
}

/* Add what the input pixel at (y, x) gives through `tap` of the kernel; outside is zero. */
static void add_tap(const struct ref_op *op, int32_t y, int32_t x, size_t tap)
{
    const size_t area = (size_t)op->attr.kernel * (size_t)op->attr.kernel;
    if (y < 0 || y >= op->out->h || x < 0 || x >= op->out->w) {
        return;
    }
    const size_t pixel = (size_t)y * (size_t)op->out->w + (size_t)x;
    size_t before = 0; /* channels of the inputs already added */
    for (int k = 0; k < 2 && op->in[k] != NULL; k++) {
        const size_t channels = (size_t)op->in[k]->c;
        for (size_t i = 0; i < channels; i++) {
            ref_sums_add(op, op->x[k][pixel * channels + i], (before + i) * area + tap);
        }
        before += channels;
    }
}

static void conv_pixel(const struct ref_op *op, int32_t y, int32_t x)
{
    const int32_t kernel = op->attr.kernel;
    ref_sums_start(op);
    for (int32_t ky = 0; ky < kernel; ky++) {
        for (int32_t kx = 0; kx < kernel; kx++) {
            const size_t tap = (size_t)ky * (size_t)kernel + (size_t)kx;
            add_tap(op, y + ky - kernel / 2, x + kx - kernel / 2, tap);
        }
    }
    ref_sums_finish(op, op->x[2], (size_t)y * (size_t)op->out->w + (size_t)x);
}

void ref_conv(const struct ref_op *op)
{
    for (int32_t y = 0; y < op->out->h; y++) {
        for (int32_t x = 0; x < op->out->w; x++) {
            conv_pixel(op, y, x);
        }
    }
}
