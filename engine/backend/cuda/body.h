/*
 * body.h - what each kernel does to one item of a map: arguments, and a function of an item's index.
 *
 * A map is [slices, h, w, stride]: `c` channels that count and zeros up to the stride.  An item is a pixel
 * and, where channels are independent, eight neighbouring channels of it; each writes its own outputs
 * alone.  A body reads and writes only within its operands; the caller sees to it that item < items.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>

#include "engine/backend/cuda/value.h" // IWYU pragma: export

/* A map in memory. */
struct operand {
    void *data;     /* NULL: none */
    int32_t type;   /* enum value_type */
    int32_t stride; /* values from one pixel to the next; a multiple of 8 where lanes are read */
};

/* enum graph_act, which C++ cannot see through a switch of its own */
enum { BODY_NONE, BODY_GELU, BODY_SIGMOID, BODY_TANH };

CUDA_BODY float body_act(float x, int32_t act)
{
    if (act == BODY_GELU) {
        return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
    }
    if (act == BODY_SIGMOID) {
        return 1.0F / (1.0F + expf(-x));
    }
    return act == BODY_TANH ? tanhf(x) : x;
}

/* Values from one storage to another, channel by channel; channels that x lacks become zero. */
struct convert_args {
    struct operand x, y;
    int32_t c; /* of both */
};

CUDA_BODY void convert_body(const struct convert_args *a, size_t item)
{
    const size_t stride = (size_t)a->y.stride;
    const size_t pixel = item / stride;
    const size_t channel = item % stride;
    float v = 0.0F;
    if (channel < (size_t)a->c) {
        v = value_load(a->x.data, a->x.type, pixel * (size_t)a->x.stride + channel);
    }
    value_store(a->y.data, a->y.type, item, v);
}

/* y = act(x + bias + before) + add[0] + add[1]; what is not there is left out.  x may be y. */
struct finish_args {
    struct operand x, before, add[2], y;
    const float *bias; /* [stride] or NULL */
    int32_t act;
};

/* Add eight channels of an operand, if it is there. */
CUDA_BODY void body_add(struct lanes *v, const struct operand *x, size_t pixel, size_t channel)
{
    if (x->data == NULL) {
        return;
    }
    const struct lanes add = lanes_load(x->data, x->type, pixel * (size_t)x->stride + channel);
    for (int i = 0; i < VALUE_LANES; i++) {
        v->v[i] += add.v[i];
    }
}

CUDA_BODY struct lanes finish_lanes(const struct finish_args *a, struct lanes v, size_t pixel,
                                    size_t channel)
{
    for (int i = 0; a->bias != NULL && i < VALUE_LANES; i++) {
        v.v[i] += a->bias[channel + (size_t)i];
    }
    body_add(&v, &a->before, pixel, channel);
    for (int i = 0; i < VALUE_LANES; i++) {
        v.v[i] = body_act(v.v[i], a->act);
    }
    body_add(&v, &a->add[0], pixel, channel);
    body_add(&v, &a->add[1], pixel, channel);
    return v;
}

CUDA_BODY void finish_body(const struct finish_args *a, size_t item)
{
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t pixel = item / groups;
    const size_t channel = item % groups * VALUE_LANES;
    const struct lanes x = lanes_load(a->x.data, a->x.type, pixel * (size_t)a->x.stride + channel);
    const struct lanes y = finish_lanes(a, x, pixel, channel);
    lanes_store(a->y.data, a->y.type, pixel * (size_t)a->y.stride + channel, &y);
}

/* Where a tap of a kernel lies in a map: its pixel of all slices; false: outside. */
CUDA_BODY int body_tap(size_t *ret_pixel, size_t pixel, const int32_t h_w[2],
                       const int32_t kernel_tap[2])
{
    const size_t width = (size_t)h_w[1];
    const size_t slice0 = pixel / width / (size_t)h_w[0] * (size_t)h_w[0];
    const int32_t reach = kernel_tap[0] / 2;
    const int32_t y = (int32_t)(pixel / width - slice0) + kernel_tap[1] / kernel_tap[0] - reach;
    const int32_t x = (int32_t)(pixel % width) + kernel_tap[1] % kernel_tap[0] - reach;
    if (y < 0 || y >= h_w[0] || x < 0 || x >= h_w[1]) {
        return 0;
    }
    *ret_pixel = (slice0 + (size_t)y) * width + (size_t)x;
    return 1;
}

/* A convolution of one channel, f32, stride 1: kernel 1 or 3, zeros outside. */
struct first_conv_args {
    const float *x; /* [slices, h, w] */
    struct operand y;
    const float *weight; /* [kernel * kernel][stride of y] */
    const float *bias;   /* [stride of y] */
    int32_t h, w, kernel, act;
};

CUDA_BODY void first_conv_body(const struct first_conv_args *a, size_t item)
{
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t pixel = item / groups;
    const size_t channel = item % groups * VALUE_LANES;
    const int32_t h_w[2] = {a->h, a->w};
    struct lanes sum = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        sum.v[i] = a->bias[channel + (size_t)i];
    }
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        const int32_t kernel_tap[2] = {a->kernel, tap};
        size_t from = 0;
        if (!body_tap(&from, pixel, h_w, kernel_tap)) {
            continue;
        }
        const float value = a->x[from];
        const float *weight = a->weight + (size_t)tap * (size_t)a->y.stride + channel;
        for (int i = 0; i < VALUE_LANES; i++) {
            sum.v[i] += value * weight[i];
        }
    }
    for (int i = 0; i < VALUE_LANES; i++) {
        sum.v[i] = body_act(sum.v[i], a->act);
    }
    lanes_store(a->y.data, a->y.type, pixel * (size_t)a->y.stride + channel, &sum);
}

/*
 * A convolution to one channel: kernel 1 or 3, zeros outside, f32 sums.  An item is a pixel.  A sum that is
 * no number or infinite becomes NaN, so that no activation hides an overflow before it.
 */
struct last_conv_args {
    struct operand x;
    float *y;            /* [slices, h, w] */
    const float *weight; /* [kernel * kernel][stride of x] */
    const float *bias;   /* [1] */
    int32_t h, w, kernel, act;
};

/* Add the products of a pixel's channels with a tap's weights, each lane its own. */
CUDA_BODY void last_conv_tap(struct lanes *part, const struct operand *x, size_t pixel,
                             const float *weight)
{
    const size_t stride = (size_t)x->stride;
    for (size_t channel = 0; channel < stride; channel += VALUE_LANES) {
        const struct lanes in = lanes_load(x->data, x->type, pixel * stride + channel);
        for (int i = 0; i < VALUE_LANES; i++) {
            part->v[i] += in.v[i] * weight[channel + (size_t)i];
        }
    }
}

CUDA_BODY void last_conv_body(const struct last_conv_args *a, size_t item)
{
    const int32_t h_w[2] = {a->h, a->w};
    struct lanes part = {{0.0F}};
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        const int32_t kernel_tap[2] = {a->kernel, tap};
        size_t pixel = 0;
        if (body_tap(&pixel, item, h_w, kernel_tap)) {
            last_conv_tap(&part, &a->x, pixel, a->weight + (size_t)tap * (size_t)a->x.stride);
        }
    }
    float sum = a->bias[0];
    for (int i = 0; i < VALUE_LANES; i++) {
        sum += part.v[i];
    }
    a->y[item] = fabsf(sum) <= 3.402823466e+38F ? body_act(sum, a->act) : nanf("");
}

/* Weights of outputs, one row of inputs after the other. */
struct body_rows {
    const void *data;
    int32_t type;
    size_t row; /* values from one output to the next */
};

/* Add eight outputs' products with eight inputs, whose weights for the first output begin at `at`. */
CUDA_BODY void body_multiply(struct lanes *sum, const struct lanes *value,
                             const struct body_rows *weight, size_t at)
{
    for (int i = 0; i < VALUE_LANES; i++) {
        const struct lanes w = lanes_load(weight->data, weight->type, at + (size_t)i * weight->row);
        float part = 0.0F;
        for (int k = 0; k < VALUE_LANES; k++) {
            part += value->v[k] * w.v[k];
        }
        sum->v[i] += part;
    }
}

/* Any convolution, slowly: for what cuDNN has no engine for.  An item is a pixel and eight outputs. */
struct plain_conv_args {
    struct operand x;
    const void *weight; /* [outputs][kernel * kernel][stride of x], of x's type */
    struct finish_args finish;
    int32_t h, w, kernel;
};

CUDA_BODY void plain_conv_body(const struct plain_conv_args *a, size_t item)
{
    const size_t groups = (size_t)a->finish.y.stride / VALUE_LANES;
    const size_t pixel = item / groups;
    const size_t channel = item % groups * VALUE_LANES;
    const size_t stride = (size_t)a->x.stride;
    const size_t row = (size_t)a->kernel * (size_t)a->kernel * stride; /* an output's weights */
    const struct body_rows weight = {a->weight, a->x.type, row};
    const int32_t h_w[2] = {a->h, a->w};
    struct lanes sum = {{0.0F}};
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        const int32_t kernel_tap[2] = {a->kernel, tap};
        size_t from = 0;
        if (!body_tap(&from, pixel, h_w, kernel_tap)) {
            continue;
        }
        for (size_t in = 0; in < stride; in += VALUE_LANES) {
            const struct lanes value = lanes_load(a->x.data, a->x.type, from * stride + in);
            body_multiply(&sum, &value, &weight, channel * row + (size_t)tap * stride + in);
        }
    }
    const struct lanes y = finish_lanes(&a->finish, sum, pixel, channel);
    lanes_store(a->finish.y.data, a->finish.y.type, pixel * (size_t)a->finish.y.stride + channel,
                &y);
}

/* 2x2, stride 2; NaN wins.  h and w are the output's. */
struct pool_args {
    struct operand x, y;
    int32_t h, w;
};

CUDA_BODY float body_max(float a, float b)
{
    return b > a || isnan(b) ? b : a;
}

CUDA_BODY void pool_body(const struct pool_args *a, size_t item)
{
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t pixel = item / groups;
    const size_t channel = item % groups * VALUE_LANES;
    const size_t width = (size_t)a->w;
    const size_t stride = (size_t)a->x.stride;
    const size_t row = 2 * width * stride; /* of the input */
    /* Output row r of all slices' rows begins at input row 2r. */
    const size_t from = 2 * (pixel / width) * row + 2 * (pixel % width) * stride + channel;
    const struct lanes x0 = lanes_load(a->x.data, a->x.type, from);
    const struct lanes x1 = lanes_load(a->x.data, a->x.type, from + stride);
    const struct lanes x2 = lanes_load(a->x.data, a->x.type, from + row);
    const struct lanes x3 = lanes_load(a->x.data, a->x.type, from + row + stride);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = body_max(body_max(x0.v[i], x1.v[i]), body_max(x2.v[i], x3.v[i]));
    }
    lanes_store(a->y.data, a->y.type, pixel * (size_t)a->y.stride + channel, &y);
}

/* Where output index `i` of an axis falls between `n` inputs: pixel centres at halves. */
struct body_place {
    size_t low, high;
    float to_high;
};

CUDA_BODY struct body_place body_place_of(size_t i, int32_t factor, int32_t n)
{
    const float at = fmaxf(0.0F, ((float)i + 0.5F) / (float)factor - 0.5F);
    const size_t last = (size_t)n - 1;
    struct body_place p;
    p.low = (size_t)at;
    p.high = p.low < last ? p.low + 1 : last;
    p.to_high = at - (float)p.low;
    return p;
}

/* Bilinear by a power of two.  h and w are the input's. */
struct upsample_args {
    struct operand x, y;
    int32_t h, w, factor;
};

CUDA_BODY void upsample_body(const struct upsample_args *a, size_t item)
{
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t pixel = item / groups;
    const size_t channel = item % groups * VALUE_LANES;
    const size_t columns = (size_t)a->w * (size_t)a->factor;
    const size_t rows = (size_t)a->h * (size_t)a->factor;
    const size_t slice0 = pixel / columns / rows * (size_t)a->h;
    const struct body_place row = body_place_of(pixel / columns % rows, a->factor, a->h);
    const struct body_place column = body_place_of(pixel % columns, a->factor, a->w);
    const size_t stride = (size_t)a->x.stride;
    const size_t upper = (slice0 + row.low) * (size_t)a->w;
    const size_t lower = (slice0 + row.high) * (size_t)a->w;
    const struct lanes x0 =
        lanes_load(a->x.data, a->x.type, (upper + column.low) * stride + channel);
    const struct lanes x1 =
        lanes_load(a->x.data, a->x.type, (upper + column.high) * stride + channel);
    const struct lanes x2 =
        lanes_load(a->x.data, a->x.type, (lower + column.low) * stride + channel);
    const struct lanes x3 =
        lanes_load(a->x.data, a->x.type, (lower + column.high) * stride + channel);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        const float above = (1.0F - column.to_high) * x0.v[i] + column.to_high * x1.v[i];
        const float below = (1.0F - column.to_high) * x2.v[i] + column.to_high * x3.v[i];
        y.v[i] = (1.0F - row.to_high) * above + row.to_high * below;
    }
    lanes_store(a->y.data, a->y.type, pixel * (size_t)a->y.stride + channel, &y);
}

/* The operations that join maps of one shape. */
struct join_args {
    struct operand x[3], y;
    int32_t c;      /* SCALE_ADD: where the second factors begin */
    int32_t pixels; /* SCALE_ADD: of a slice */
};

CUDA_BODY void swiglu_body(const struct join_args *a, size_t item)
{
    const size_t at = item * VALUE_LANES; /* all strides are one */
    const struct lanes gate = lanes_load(a->x[0].data, a->x[0].type, at);
    const struct lanes value = lanes_load(a->x[1].data, a->x[1].type, at);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = gate.v[i] / (1.0F + expf(-gate.v[i])) * value.v[i];
    }
    lanes_store(a->y.data, a->y.type, at, &y);
}

CUDA_BODY void add_body(const struct join_args *a, size_t item)
{
    const size_t at = item * VALUE_LANES;
    const struct lanes first = lanes_load(a->x[0].data, a->x[0].type, at);
    const struct lanes second = lanes_load(a->x[1].data, a->x[1].type, at);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = first.v[i] + second.v[i];
    }
    lanes_store(a->y.data, a->y.type, at, &y);
}

CUDA_BODY void gate_body(const struct join_args *a, size_t item)
{
    const size_t at = item * VALUE_LANES;
    const struct lanes first = lanes_load(a->x[0].data, a->x[0].type, at);
    const struct lanes second = lanes_load(a->x[1].data, a->x[1].type, at);
    const struct lanes gate = lanes_load(a->x[2].data, a->x[2].type, at);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = gate.v[i] * first.v[i] + (1.0F - gate.v[i]) * second.v[i];
    }
    lanes_store(a->y.data, a->y.type, at, &y);
}

/* x[2]: [slices, 2c]: c factors of x[0], then c of x[1]. */
CUDA_BODY void scale_add_body(const struct join_args *a, size_t item)
{
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t pixel = item / groups;
    const size_t channel = item % groups * VALUE_LANES;
    const size_t at = item * VALUE_LANES;
    const size_t factors = pixel / (size_t)a->pixels * (size_t)a->x[2].stride;
    const struct lanes first = lanes_load(a->x[0].data, a->x[0].type, at);
    const struct lanes second = lanes_load(a->x[1].data, a->x[1].type, at);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        const size_t k = channel + (size_t)i;
        y.v[i] = 0.0F;
        if (k < (size_t)a->c) {
            const float f = value_load(a->x[2].data, a->x[2].type, factors + k);
            const float g = value_load(a->x[2].data, a->x[2].type, factors + (size_t)a->c + k);
            y.v[i] = f * first.v[i] + g * second.v[i];
        }
    }
    lanes_store(a->y.data, a->y.type, at, &y);
}

/*
 * Mean over a slice's pixels: y [slices, stride].  An item is a slice and eight channels, shared by
 * `parts` threads whose sums are added in their order.
 */
struct mean_args {
    struct operand x, y;
    int32_t pixels;
};

CUDA_BODY struct lanes mean_part(const struct mean_args *a, size_t item, int32_t part,
                                 int32_t parts)
{
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t first = item / groups * (size_t)a->pixels;
    const size_t channel = item % groups * VALUE_LANES;
    struct lanes sum = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        sum.v[i] = 0.0F;
    }
    for (int32_t p = part; p < a->pixels; p += parts) {
        const struct lanes x =
            lanes_load(a->x.data, a->x.type, (first + (size_t)p) * (size_t)a->x.stride + channel);
        for (int i = 0; i < VALUE_LANES; i++) {
            sum.v[i] += x.v[i];
        }
    }
    return sum;
}

CUDA_BODY void mean_write(const struct mean_args *a, size_t item, const struct lanes *sum)
{
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = sum->v[i] / (float)a->pixels;
    }
    lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &y);
}
