/*
 * body_vit.h - what the transformer's kernels do to one item: patches, tokens, norms, rotation, attention.
 *
 * Tokens are [slices, tokens, stride].  Where an item is shared by the lanes of a warp, functions take the
 * lane and how many lanes there are, and the kernel, or the host, adds up what they return.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>

#include "engine/backend/cuda/body.h"  // IWYU pragma: export
#include "engine/backend/cuda/value.h" // IWYU pragma: export

enum { BODY_PATCH = 16, BODY_PATCH_VALUES = BODY_PATCH * BODY_PATCH };

/* x [slices, h, w] f32 -> y [slices, patches, 256], row by row.  An item is eight values of a patch. */
struct patchify_args {
    const float *x;
    struct operand y; /* its stride is 256 */
    int32_t h, w;
};

CUDA_BODY void patchify_body(const struct patchify_args *a, size_t item)
{
    const size_t at = item % (BODY_PATCH_VALUES / VALUE_LANES) * VALUE_LANES;
    const size_t patch = item / (BODY_PATCH_VALUES / VALUE_LANES);
    const struct body_split place = body_split_of(patch, a->w / BODY_PATCH);
    /* Rows of patches of all slices follow each other, since h is a multiple of 16. */
    const size_t row = place.high * BODY_PATCH + at / BODY_PATCH;
    const size_t column = place.low * BODY_PATCH + at % BODY_PATCH;
    const struct lanes y = lanes_load(a->x, VALUE_F32, row * (size_t)a->w + column);
    lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &y);
}

/* y [slices, prefix + patches, stride]: the prefix's tokens, then x [slices, patches, stride] + bias. */
struct tokens_args {
    struct operand x, y;
    const float *prefix_tokens; /* [prefix][stride] */
    const float *bias;          /* [stride] */
    int32_t prefix, patches;
};

CUDA_BODY void tokens_body(const struct tokens_args *a, size_t item)
{
    const struct body_at at = body_at_of(item, a->y.stride);
    const struct body_split place = body_split_of(at.pixel, a->prefix + a->patches);
    const size_t token = place.low;
    struct lanes y = {{0.0F}};
    if (token < (size_t)a->prefix) {
        y = lanes_load(a->prefix_tokens, VALUE_F32, token * (size_t)a->y.stride + at.channel);
    } else {
        const size_t patch = place.high * (size_t)a->patches + token - (size_t)a->prefix;
        const struct lanes bias = lanes_load(a->bias, VALUE_F32, at.channel);
        y = lanes_load(a->x.data, a->x.type, patch * (size_t)a->x.stride + at.channel);
        for (int i = 0; i < VALUE_LANES; i++) {
            y.v[i] += bias.v[i];
        }
    }
    lanes_store(a->y.data, a->y.type, item * VALUE_LANES, &y);
}

/* y [slices, tokens - prefix, stride] = norm of x's tokens after the prefix.  An item is a token of y. */
struct norm_args {
    struct operand x, y;
    const float *weight, *bias; /* [stride] */
    int32_t c, prefix, tokens;  /* tokens: of x, in a slice */
    float eps;
};

/* Where an item's token begins in x. */
CUDA_BODY size_t norm_row(const struct norm_args *a, size_t item)
{
    const struct body_split place = body_split_of(item, a->tokens - a->prefix);
    const size_t token = place.high * (size_t)a->tokens + (size_t)a->prefix + place.low;
    return token * (size_t)a->x.stride;
}

/* Of eight channels, of which `n` count; the others of x are zero, and y's become it. */

CUDA_BODY float norm_lanes_square_sum(const struct lanes *x, int32_t n, float mean)
{
    float sum = 0.0F;
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        const float d = i < n ? x->v[i] - mean : 0.0F;
        sum += d * d;
    }
    return sum;
}

/* The channels `channel` ... of y's token `item`. */
CUDA_BODY void norm_lanes_write(const struct norm_args *a, size_t item, int32_t channel,
                                const struct lanes *x, int32_t n, const float mean_rate[2])
{
    const struct lanes weight = lanes_load(a->weight, VALUE_F32, (size_t)channel);
    const struct lanes bias = lanes_load(a->bias, VALUE_F32, (size_t)channel);
    struct lanes y = {{0.0F}};
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        const float v = (x->v[i] - mean_rate[0]) * mean_rate[1] * weight.v[i] + bias.v[i];
        y.v[i] = i < n ? v : 0.0F;
    }
    lanes_store(a->y.data, a->y.type, item * (size_t)a->y.stride + (size_t)channel, &y);
}

CUDA_BODY float norm_rate(const struct norm_args *a, float square_sum)
{
    return 1.0F / sqrtf(square_sum / (float)a->c + a->eps);
}

/* A lane's groups of eight channels: lane, lane + lanes, ... */

CUDA_BODY float norm_sum(const struct norm_args *a, size_t item, int32_t lane, int32_t lanes)
{
    const size_t row = norm_row(a, item);
    float sum = 0.0F;
    for (int32_t i = lane * VALUE_LANES; i < a->c; i += lanes * VALUE_LANES) {
        const struct lanes x = lanes_load(a->x.data, a->x.type, row + (size_t)i);
        sum += lanes_sum(&x);
    }
    return sum;
}

CUDA_BODY float norm_square_sum(const struct norm_args *a, size_t item, float mean, int32_t lane,
                                int32_t lanes)
{
    const size_t row = norm_row(a, item);
    float sum = 0.0F;
    for (int32_t i = lane * VALUE_LANES; i < a->c; i += lanes * VALUE_LANES) {
        const struct lanes x = lanes_load(a->x.data, a->x.type, row + (size_t)i);
        sum += norm_lanes_square_sum(&x, a->c - i, mean);
    }
    return sum;
}

CUDA_BODY void norm_write(const struct norm_args *a, size_t item, const float mean_rate[2],
                          int32_t lane, int32_t lanes)
{
    const size_t row = norm_row(a, item);
    for (int32_t i = lane * VALUE_LANES; i < a->c; i += lanes * VALUE_LANES) {
        const struct lanes x = lanes_load(a->x.data, a->x.type, row + (size_t)i);
        norm_lanes_write(a, item, i, &x, a->c - i, mean_rate);
    }
}

/*
 * Turn q and k of the tokens after the prefix, in place: x [slices, tokens, stride], q at channel 0, k at
 * channel `width * heads`.  An item is `lanes` pairs (d, d + width / 2) of a head of a token, of q or of k:
 * eight where width / 2 is a multiple of it, else one.
 */
struct rope_args {
    struct operand x;
    const float *table; /* [2][tokens - prefix][width]: cosines, then sines */
    int32_t prefix, tokens, heads, width;
    int32_t lanes;
};

/* Where an item's first pair is: its lower value in x, and its cosine; the sine lies `to_sine` further. */
struct rope_at {
    size_t low, cosine, to_sine;
};

CUDA_BODY struct rope_at rope_place(const struct rope_args *a, size_t item)
{
    const int32_t items = a->lanes == 1 ? a->width / 2 : a->width / 2 / VALUE_LANES; /* of a head */
    const struct body_split d = body_split_of(item, items);
    const struct body_split head = body_split_of(d.high, 2 * a->heads); /* q's, then k's */
    const struct body_split patch = body_split_of(head.high, a->tokens - a->prefix);
    const size_t token = patch.high * (size_t)a->tokens + (size_t)a->prefix + patch.low;
    const size_t width = (size_t)a->width;
    const size_t pair = d.low * (size_t)a->lanes;
    struct rope_at at;
    at.low = token * (size_t)a->x.stride + head.low * width + pair;
    at.cosine = patch.low * width + pair;
    at.to_sine = (size_t)(a->tokens - a->prefix) * width;
    return at;
}

CUDA_BODY void rope_lanes(const struct rope_args *a, const struct rope_at *at)
{
    const size_t pairs = (size_t)a->width / 2;
    const struct lanes low = lanes_load(a->x.data, a->x.type, at->low);
    const struct lanes high = lanes_load(a->x.data, a->x.type, at->low + pairs);
    const struct lanes cosine0 = lanes_load(a->table, VALUE_F32, at->cosine);
    const struct lanes cosine1 = lanes_load(a->table, VALUE_F32, at->cosine + pairs);
    const struct lanes sine0 = lanes_load(a->table, VALUE_F32, at->cosine + at->to_sine);
    const struct lanes sine1 = lanes_load(a->table, VALUE_F32, at->cosine + at->to_sine + pairs);
    struct lanes y0 = {{0.0F}};
    struct lanes y1 = {{0.0F}};
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        y0.v[i] = low.v[i] * cosine0.v[i] - high.v[i] * sine0.v[i];
        y1.v[i] = high.v[i] * cosine1.v[i] + low.v[i] * sine1.v[i];
    }
    lanes_store(a->x.data, a->x.type, at->low, &y0);
    lanes_store(a->x.data, a->x.type, at->low + pairs, &y1);
}

CUDA_BODY void rope_body(const struct rope_args *a, size_t item)
{
    const struct rope_at at = rope_place(a, item);
    if (a->lanes == VALUE_LANES) {
        rope_lanes(a, &at);
        return;
    }
    const size_t pairs = (size_t)a->width / 2;
    const float *cosine = a->table + at.cosine;
    const float *sine = cosine + at.to_sine;
    const float low = value_load(a->x.data, a->x.type, at.low);
    const float high = value_load(a->x.data, a->x.type, at.low + pairs);
    value_store(a->x.data, a->x.type, at.low, low * cosine[0] - high * sine[0]);
    value_store(a->x.data, a->x.type, at.low + pairs, high * cosine[pairs] + low * sine[pairs]);
}

/*
 * softmax(q k' / sqrt(width)) v of turned q and k, one query of a head at a time.  x [slices, tokens,
 * stride]: q, k, v; y [slices, tokens, stride].  An item is (slice, head, query); lanes share the head's
 * channels: lane l has channels l, l + lanes, ...
 */
struct attention_args {
    struct operand x, y;
    int32_t tokens, heads, width;
};

struct attention_at {
    size_t query, key, value; /* first value of the query; of the slice's first key and value */
    size_t out;
    int32_t is_last; /* whether the head is the last */
};

CUDA_BODY struct attention_at attention_place(const struct attention_args *a, size_t item)
{
    const size_t tokens = (size_t)a->tokens;
    const size_t width = (size_t)a->width;
    const size_t channels = width * (size_t)a->heads;
    const struct body_split of_head = body_split_of(item, a->tokens);
    const struct body_split of_slice = body_split_of(of_head.high, a->heads);
    const size_t query = of_head.low;
    const size_t head = of_slice.low;
    const size_t slice = of_slice.high;
    const size_t first = slice * tokens * (size_t)a->x.stride + head * width;
    struct attention_at at;
    at.query = first + query * (size_t)a->x.stride;
    at.key = first + channels;
    at.value = first + 2 * channels;
    at.is_last = head + 1 == (size_t)a->heads;
    at.out = (slice * tokens + query) * (size_t)a->y.stride + head * width;
    return at;
}

/* This lane's part of the query's product with key `key`. */
CUDA_BODY float attention_part(const struct attention_args *a, const struct attention_at *at,
                               int32_t key, int32_t lane, int32_t lanes)
{
    const size_t from = at->key + (size_t)key * (size_t)a->x.stride;
    float sum = 0.0F;
    for (int32_t d = lane; d < a->width; d += lanes) {
        sum += value_load(a->x.data, a->x.type, at->query + (size_t)d) *
               value_load(a->x.data, a->x.type, from + (size_t)d);
    }
    return sum;
}

/* What is known of a softmax after some keys. */
struct attention_state {
    float top, sum;
};

/* A key and its score. */
struct attention_score {
    int32_t key;
    float score;
};

/* Take a key into the state and the lane's mix of values, [width / lanes] rounded up. */
CUDA_BODY void attention_take(const struct attention_args *a, const struct attention_at *at,
                              struct attention_state *s, float *mix, struct attention_score key,
                              const int32_t lane_lanes[2])
{
    const float top = fmaxf(s->top, key.score);
    const float keep = expf(s->top - top); /* 0 at the first key: exp(-inf) */
    const float weight = expf(key.score - top);
    const size_t from = at->value + (size_t)key.key * (size_t)a->x.stride;
    s->top = top;
    s->sum = s->sum * keep + weight;
    int32_t i = 0;
    for (int32_t d = lane_lanes[0]; d < a->width; d += lane_lanes[1]) {
        mix[i] = mix[i] * keep + weight * value_load(a->x.data, a->x.type, from + (size_t)d);
        i++;
    }
}

CUDA_BODY void attention_write(const struct attention_args *a, const struct attention_at *at,
                               const struct attention_state *s, const float *mix, int32_t lane,
                               int32_t lanes)
{
    int32_t i = 0;
    for (int32_t d = lane; d < a->width; d += lanes) {
        value_store(a->y.data, a->y.type, at->out + (size_t)d, mix[i] / s->sum);
        i++;
    }
    /* Behind the last head the padding. */
    for (int32_t d = lane; at->is_last && d < a->y.stride - a->width * a->heads; d += lanes) {
        value_store(a->y.data, a->y.type, at->out + (size_t)(a->width + d), 0.0F);
    }
}
