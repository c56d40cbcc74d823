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
    const size_t columns = (size_t)a->w / BODY_PATCH;
    /* Rows of patches of all slices follow each other, since h is a multiple of 16. */
    const size_t row = patch / columns * BODY_PATCH + at / BODY_PATCH;
    const size_t column = patch % columns * BODY_PATCH + at % BODY_PATCH;
    struct lanes y = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        y.v[i] = a->x[row * (size_t)a->w + column + (size_t)i];
    }
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
    const size_t groups = (size_t)a->y.stride / VALUE_LANES;
    const size_t channel = item % groups * VALUE_LANES;
    const size_t tokens = (size_t)a->prefix + (size_t)a->patches;
    const size_t token = item / groups % tokens;
    const size_t slice = item / groups / tokens;
    struct lanes y = {{0.0F}};
    if (token < (size_t)a->prefix) {
        const float *from = a->prefix_tokens + token * (size_t)a->y.stride + channel;
        for (int i = 0; i < VALUE_LANES; i++) {
            y.v[i] = from[i];
        }
    } else {
        const size_t patch = slice * (size_t)a->patches + token - (size_t)a->prefix;
        y = lanes_load(a->x.data, a->x.type, patch * (size_t)a->x.stride + channel);
        for (int i = 0; i < VALUE_LANES; i++) {
            y.v[i] += a->bias[channel + (size_t)i];
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

CUDA_BODY size_t norm_row(const struct norm_args *a, size_t item)
{
    const size_t kept = (size_t)a->tokens - (size_t)a->prefix;
    const size_t token = item / kept * (size_t)a->tokens + (size_t)a->prefix + item % kept;
    return token * (size_t)a->x.stride;
}

CUDA_BODY float norm_sum(const struct norm_args *a, size_t item, int32_t lane, int32_t lanes)
{
    const size_t row = norm_row(a, item);
    float sum = 0.0F;
    for (int32_t i = lane; i < a->c; i += lanes) {
        sum += value_load(a->x.data, a->x.type, row + (size_t)i);
    }
    return sum;
}

CUDA_BODY float norm_square_sum(const struct norm_args *a, size_t item, float mean, int32_t lane,
                                int32_t lanes)
{
    const size_t row = norm_row(a, item);
    float sum = 0.0F;
    for (int32_t i = lane; i < a->c; i += lanes) {
        const float d = value_load(a->x.data, a->x.type, row + (size_t)i) - mean;
        sum += d * d;
    }
    return sum;
}

CUDA_BODY void norm_write(const struct norm_args *a, size_t item, const float mean_rate[2],
                          int32_t lane, int32_t lanes)
{
    const size_t row = norm_row(a, item);
    for (int32_t i = lane; i < a->y.stride; i += lanes) {
        float y = 0.0F;
        if (i < a->c) {
            const float x = value_load(a->x.data, a->x.type, row + (size_t)i);
            y = (x - mean_rate[0]) * mean_rate[1] * a->weight[i] + a->bias[i];
        }
        value_store(a->y.data, a->y.type, item * (size_t)a->y.stride + (size_t)i, y);
    }
}

/*
 * Turn q and k of the tokens after the prefix, in place: x [slices, tokens, stride], q at channel 0, k at
 * channel `width * heads`.  An item is one pair (d, d + width / 2) of a head of a token, of q or of k.
 */
struct rope_args {
    struct operand x;
    const float *table; /* [2][tokens - prefix][width]: cosines, then sines */
    int32_t prefix, tokens, heads, width;
};

CUDA_BODY void rope_body(const struct rope_args *a, size_t item)
{
    const size_t pairs = (size_t)a->width / 2;
    const size_t turned = (size_t)a->tokens - (size_t)a->prefix;
    const size_t d = item % pairs;
    const size_t head = item / pairs % (2 * (size_t)a->heads); /* q's, then k's */
    const size_t patch = item / pairs / (2 * (size_t)a->heads) % turned;
    const size_t slice = item / pairs / (2 * (size_t)a->heads) / turned;
    const size_t token = slice * (size_t)a->tokens + (size_t)a->prefix + patch;
    const size_t at = token * (size_t)a->x.stride + head * (size_t)a->width + d;
    const float *cosine = a->table + patch * (size_t)a->width + d;
    const float *sine = cosine + turned * (size_t)a->width;
    const float low = value_load(a->x.data, a->x.type, at);
    const float high = value_load(a->x.data, a->x.type, at + pairs);
    value_store(a->x.data, a->x.type, at, low * cosine[0] - high * sine[0]);
    value_store(a->x.data, a->x.type, at + pairs, high * cosine[pairs] + low * sine[pairs]);
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
    const size_t query = item % tokens;
    const size_t head = item / tokens % (size_t)a->heads;
    const size_t slice = item / tokens / (size_t)a->heads;
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
