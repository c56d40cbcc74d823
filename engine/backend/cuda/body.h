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

/* item = high * n + low */
struct body_split {
    size_t high, low;
};

/* In 32 bits where the item fits, since a GPU has no division and makes one of 64 bits of very many steps. */
CUDA_BODY struct body_split body_split_of(size_t item, int32_t n)
{
    struct body_split s;
    if (item <= UINT32_MAX) {
        const uint32_t high = (uint32_t)item / (uint32_t)n;
        s.high = high;
        s.low = (uint32_t)item - high * (uint32_t)n;
    } else {
        s.high = item / (size_t)n;
        s.low = item % (size_t)n;
    }
    return s;
}

/* A pixel of all slices and the first of eight channels of it. */
struct body_at {
    size_t pixel, channel;
};

CUDA_BODY struct body_at body_at_of(size_t item, int32_t stride)
{
    const struct body_split s = body_split_of(item, stride / VALUE_LANES);
    struct body_at at;
    at.pixel = s.high;
    at.channel = s.low * VALUE_LANES;
    return at;
}

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

CUDA_BODY float body_exp2(float x)
{
#ifdef __CUDA_ARCH__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

/*
 * GELU for what is stored in 16 bits, in a third of erff's instructions: x Phi(x) is max(x, 0) - |x| Phi(-|x|), and
 * 2 Phi(-t) is 2 to the power of a polynomial in t, fitted so that the result is nowhere more than 1.2e-6 off, far
 * below the half of a place that rounding takes.  The polynomial falls without end: no t needs a limit.
 */
CUDA_BODY float body_gelu_16(float x)
{
    const float t = fabsf(x);
    float p = -0.00052044913F;
    p = p * t + 0.007397467F;
    p = p * t - 0.05256117F;
    p = p * t - 0.4592547F;
    p = p * t - 1.1510913F;
    return fmaxf(x, 0.0F) - 0.5F * t * body_exp2(p * t);
}

/* Of values that will be stored as `type`; one choice for all eight, so that they go side by side. */
CUDA_BODY void body_act_lanes(struct lanes *x, int32_t act, int32_t type)
{
    if (act == BODY_NONE) {
        return;
    }
    if (act == BODY_GELU && type != VALUE_F32) {
        CUDA_UNROLL
        for (int i = 0; i < VALUE_LANES; i++) {
            x->v[i] = body_gelu_16(x->v[i]);
        }
        return;
    }
    if (act == BODY_GELU) {
        CUDA_UNROLL
        for (int i = 0; i < VALUE_LANES; i++) {
            x->v[i] = body_act(x->v[i], BODY_GELU);
        }
        return;
    }
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        x->v[i] = body_act(x->v[i], act);
    }
}

/*
 * Values from one storage to another, channel by channel; channels that x lacks become zero.  An item is
 * `lanes` values of y: eight where both strides are multiples of it, and then they are equal; else one.
 */
struct convert_args {
    struct operand x, y;
    int32_t c; /* of both */
    int32_t lanes;
};

CUDA_BODY void convert_body(const struct convert_args *a, size_t item)
{
    if (a->lanes == VALUE_LANES) {
        const struct lanes x = lanes_load(a->x.data, a->x.type, item * VALUE_LANES);
        lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &x);
        return;
    }
    const struct body_split at = body_split_of(item, a->y.stride); /* pixel and channel */
    float v = 0.0F;
    if (at.low < (size_t)a->c) {
        v = value_load(a->x.data, a->x.type, at.high * (size_t)a->x.stride + at.low);
    }
    value_store(a->y.data, a->y.type, item, v);
}

/*
 * y = act(x + bias + before) + add[0] + add[1]; what is not there is left out.  x may be y.  All have y's
 * shape and stride.
 */
struct finish_args {
    struct operand x, before, add[2], y;
    const float *bias; /* [stride] or NULL */
    int32_t act;
};

/* Add eight values of an operand, if it is there. */
CUDA_BODY void body_add(struct lanes *v, const struct operand *x, size_t at)
{
    if (x->data == NULL) {
        return;
    }
    const struct lanes add = lanes_load(x->data, x->type, at);
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        v->v[i] += add.v[i];
    }
}

/* Eight values, the first being value `at` of y and of channel `channel`, which counts for the bias alone. */
CUDA_BODY struct lanes finish_lanes_at(const struct finish_args *a, struct lanes v, size_t at,
                                       size_t channel)
{
    if (a->bias != NULL) {
        const struct lanes bias = lanes_load(a->bias, VALUE_F32, channel);
        CUDA_UNROLL
        for (int i = 0; i < VALUE_LANES; i++) {
            v.v[i] += bias.v[i];
        }
    }
    body_add(&v, &a->before, at);
    body_act_lanes(&v, a->act, a->y.type);
    body_add(&v, &a->add[0], at);
    body_add(&v, &a->add[1], at);
    return v;
}

CUDA_BODY struct lanes finish_lanes(const struct finish_args *a, struct lanes v, size_t pixel,
                                    size_t channel)
{
    return finish_lanes_at(a, v, pixel * (size_t)a->y.stride + channel, channel);
}

CUDA_BODY void finish_body(const struct finish_args *a, size_t item)
{
    const size_t at = item * VALUE_LANES;
    const size_t channel = a->bias == NULL ? 0 : body_at_of(item, a->y.stride).channel;
    const struct lanes x = lanes_load(a->x.data, a->x.type, at);
    const struct lanes y = finish_lanes_at(a, x, at, channel);
    lanes_store(a->y.data, a->y.type, at, &y);
}

/* A pixel's place. */
struct body_pixel {
    size_t slice;
    int32_t row, column;
};

CUDA_BODY struct body_pixel body_pixel_of(size_t pixel, const int32_t h_w[2])
{
    const struct body_split column = body_split_of(pixel, h_w[1]);
    const struct body_split row = body_split_of(column.high, h_w[0]);
    struct body_pixel p;
    p.slice = row.high;
    p.row = (int32_t)row.low;
    p.column = (int32_t)column.low;
    return p;
}

/* Where a tap of a kernel lies in a map: its pixel of all slices; false: outside. */
CUDA_BODY int body_tap(size_t *ret_pixel, const struct body_pixel *at, const int32_t h_w[2],
                       const int32_t kernel_tap[2])
{
    const int32_t reach = kernel_tap[0] / 2;
    const int32_t y = at->row + kernel_tap[1] / kernel_tap[0] - reach;
    const int32_t x = at->column + kernel_tap[1] % kernel_tap[0] - reach;
    if (y < 0 || y >= h_w[0] || x < 0 || x >= h_w[1]) {
        return 0;
    }
    *ret_pixel = (at->slice * (size_t)h_w[0] + (size_t)y) * (size_t)h_w[1] + (size_t)x;
    return 1;
}

enum { BODY_TAPS = 9 }; /* the most that a kernel has */

/* A convolution of one channel, f32, stride 1: kernel 1 or 3, zeros outside. */
struct first_conv_args {
    const float *x; /* [slices, h, w] */
    struct operand y;
    const float *weight; /* [kernel * kernel][stride of y] */
    const float *bias;   /* [stride of y] */
    int32_t h, w, kernel, act;
};

/* Of eight channels. */
struct first_conv_weights {
    struct lanes bias, tap[BODY_TAPS];
};

CUDA_BODY void first_conv_load(struct first_conv_weights *ret_weights,
                               const struct first_conv_args *a, size_t channel)
{
    ret_weights->bias = lanes_load(a->bias, VALUE_F32, channel);
    CUDA_UNROLL
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        ret_weights->tap[tap] =
            lanes_load(a->weight, VALUE_F32, (size_t)tap * (size_t)a->y.stride + channel);
    }
}

/* Eight outputs of a pixel from what lies under the kernel's taps. */
CUDA_BODY struct lanes first_conv_lanes(const struct first_conv_args *a,
                                        const struct first_conv_weights *weights,
                                        const float under[BODY_TAPS])
{
    struct lanes sum = weights->bias;
    CUDA_UNROLL
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        CUDA_UNROLL
        for (int i = 0; i < VALUE_LANES; i++) {
            sum.v[i] += under[tap] * weights->tap[tap].v[i];
        }
    }
    body_act_lanes(&sum, a->act, a->y.type);
    return sum;
}

CUDA_BODY void first_conv_body(const struct first_conv_args *a, size_t item)
{
    const struct body_at at = body_at_of(item, a->y.stride);
    const int32_t h_w[2] = {a->h, a->w};
    const struct body_pixel place = body_pixel_of(at.pixel, h_w);
    struct first_conv_weights weights;
    float under[BODY_TAPS] = {0.0F};
    first_conv_load(&weights, a, at.channel);
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        const int32_t kernel_tap[2] = {a->kernel, tap};
        size_t from = 0;
        under[tap] = body_tap(&from, &place, h_w, kernel_tap) ? a->x[from] : 0.0F;
    }
    const struct lanes y = first_conv_lanes(a, &weights, under);
    lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &y);
}

/*
 * A convolution to one channel: kernel 1 or 3, zeros outside, f32 sums.  An item is a pixel.  Each channel
 * of a group of eight adds up its taps, then the group its channels, then the pixel its groups, in their order.
 */
struct last_conv_args {
    struct operand x;
    float *y;            /* [slices, h, w] */
    const float *weight; /* [kernel * kernel][stride of x] */
    const float *bias;   /* [1] */
    int32_t h, w, kernel, act;
};

CUDA_BODY void last_conv_add(struct lanes *part, const struct lanes *x, const struct lanes *weight)
{
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        part->v[i] += x->v[i] * weight->v[i];
    }
}

/* A sum that is no number or infinite becomes NaN, so that no activation hides an overflow before it. */
CUDA_BODY float last_conv_value(const struct last_conv_args *a, float sum)
{
    return fabsf(sum) <= 3.402823466e+38F ? body_act(sum, a->act) : nanf("");
}

/* Each of a group's channels over all taps. */
CUDA_BODY struct lanes last_conv_part(const struct last_conv_args *a,
                                      const struct body_pixel *place, size_t channel)
{
    const int32_t h_w[2] = {a->h, a->w};
    const size_t stride = (size_t)a->x.stride;
    struct lanes part = {{0.0F}};
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        const int32_t kernel_tap[2] = {a->kernel, tap};
        size_t pixel = 0;
        if (body_tap(&pixel, place, h_w, kernel_tap)) {
            const struct lanes x = lanes_load(a->x.data, a->x.type, pixel * stride + channel);
            const struct lanes weight =
                lanes_load(a->weight, VALUE_F32, (size_t)tap * stride + channel);
            last_conv_add(&part, &x, &weight);
        }
    }
    return part;
}

CUDA_BODY void last_conv_body(const struct last_conv_args *a, size_t item)
{
    const int32_t h_w[2] = {a->h, a->w};
    const struct body_pixel place = body_pixel_of(item, h_w);
    float sum = a->bias[0];
    for (size_t channel = 0; channel < (size_t)a->x.stride; channel += VALUE_LANES) {
        const struct lanes part = last_conv_part(a, &place, channel);
        sum += lanes_sum(&part);
    }
    a->y[item] = last_conv_value(a, sum);
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
    const struct body_at at = body_at_of(item, a->finish.y.stride);
    const size_t stride = (size_t)a->x.stride;
    const size_t row = (size_t)a->kernel * (size_t)a->kernel * stride; /* an output's weights */
    const struct body_rows weight = {a->weight, a->x.type, row};
    const int32_t h_w[2] = {a->h, a->w};
    const struct body_pixel place = body_pixel_of(at.pixel, h_w);
    struct lanes sum = {{0.0F}};
    for (int32_t tap = 0; tap < a->kernel * a->kernel; tap++) {
        const int32_t kernel_tap[2] = {a->kernel, tap};
        size_t from = 0;
        if (!body_tap(&from, &place, h_w, kernel_tap)) {
            continue;
        }
        for (size_t in = 0; in < stride; in += VALUE_LANES) {
            const struct lanes value = lanes_load(a->x.data, a->x.type, from * stride + in);
            body_multiply(&sum, &value, &weight, at.channel * row + (size_t)tap * stride + in);
        }
    }
    const struct lanes y = finish_lanes(&a->finish, sum, at.pixel, at.channel);
    lanes_store(a->finish.y.data, a->finish.y.type, item * VALUE_LANES, &y);
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
    const struct body_at at = body_at_of(item, a->y.stride);
    const struct body_split place = body_split_of(at.pixel, a->w); /* row of all slices, column */
    const size_t stride = (size_t)a->x.stride;
    const size_t row = 2 * (size_t)a->w * stride; /* of the input */
    /* Output row r of all slices' rows begins at input row 2r. */
    const size_t from = 2 * place.high * row + 2 * place.low * stride + at.channel;
    const struct lanes x0 = lanes_load(a->x.data, a->x.type, from);
    const struct lanes x1 = lanes_load(a->x.data, a->x.type, from + stride);
    const struct lanes x2 = lanes_load(a->x.data, a->x.type, from + row);
    const struct lanes x3 = lanes_load(a->x.data, a->x.type, from + row + stride);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = body_max(body_max(x0.v[i], x1.v[i]), body_max(x2.v[i], x3.v[i]));
    }
    lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &y);
}

/* Where output index `i` of an axis falls between `n` inputs: pixel centres at halves. */
struct body_place {
    int32_t low, high;
    float to_high;
};

CUDA_BODY struct body_place body_place_of(int32_t i, int32_t factor, int32_t n)
{
    const float at = fmaxf(0.0F, ((float)i + 0.5F) / (float)factor - 0.5F);
    const int32_t last = n - 1;
    struct body_place p;
    p.low = (int32_t)at;
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
    const struct body_at at = body_at_of(item, a->y.stride);
    const int32_t to_h_w[2] = {a->h * a->factor, a->w * a->factor};
    const struct body_pixel place = body_pixel_of(at.pixel, to_h_w);
    const size_t slice0 = place.slice * (size_t)a->h; /* its first row, among those of all slices */
    const struct body_place row = body_place_of(place.row, a->factor, a->h);
    const struct body_place column = body_place_of(place.column, a->factor, a->w);
    const size_t stride = (size_t)a->x.stride;
    const size_t upper = (slice0 + (size_t)row.low) * (size_t)a->w;
    const size_t lower = (slice0 + (size_t)row.high) * (size_t)a->w;
    const size_t left = (size_t)column.low;
    const size_t right = (size_t)column.high;
    const struct lanes x0 = lanes_load(a->x.data, a->x.type, (upper + left) * stride + at.channel);
    const struct lanes x1 = lanes_load(a->x.data, a->x.type, (upper + right) * stride + at.channel);
    const struct lanes x2 = lanes_load(a->x.data, a->x.type, (lower + left) * stride + at.channel);
    const struct lanes x3 = lanes_load(a->x.data, a->x.type, (lower + right) * stride + at.channel);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        const float above = (1.0F - column.to_high) * x0.v[i] + column.to_high * x1.v[i];
        const float below = (1.0F - column.to_high) * x2.v[i] + column.to_high * x3.v[i];
        y.v[i] = (1.0F - row.to_high) * above + row.to_high * below;
    }
    lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &y);
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
    const struct body_at place = body_at_of(item, a->y.stride);
    const size_t at = item * VALUE_LANES;
    const size_t factors = body_split_of(place.pixel, a->pixels).high * (size_t)a->x[2].stride;
    const struct lanes first = lanes_load(a->x[0].data, a->x[0].type, at);
    const struct lanes second = lanes_load(a->x[1].data, a->x[1].type, at);
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        const size_t k = place.channel + (size_t)i;
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
    const struct body_at at = body_at_of(item, a->y.stride); /* y's pixel: a slice */
    const size_t first = at.pixel * (size_t)a->pixels;
    struct lanes sum = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        sum.v[i] = 0.0F;
    }
    for (int32_t p = part; p < a->pixels; p += parts) {
        const struct lanes x = lanes_load(a->x.data, a->x.type,
                                          (first + (size_t)p) * (size_t)a->x.stride + at.channel);
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
