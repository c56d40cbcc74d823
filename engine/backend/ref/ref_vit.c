/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/graph.h"
#include "engine/backend/ref/ref.h"

enum { PATCH = 16 };

struct ref_sizes ref_patch_tokens_sizes(const struct ref_op *op)
{
    const size_t channels = (size_t)op->out->c;
    return (struct ref_sizes){.rows = channels,
                              .row = (size_t)PATCH * PATCH,
                              .extra = (size_t)op->attr.prefix * channels,
                              .scratch = channels};
}

/* The patch whose first pixel is (y, x) becomes token `token`. */
static void embed_patch(const struct ref_op *op, size_t y, size_t x, size_t token)
{
    const size_t width = (size_t)op->in[0]->w;
    ref_sums_start(op);
    for (size_t at = 0; at < (size_t)PATCH * PATCH; at++) {
        ref_sums_add(op, op->x[0][(y + at / PATCH) * width + x + at % PATCH], at);
    }
    ref_sums_finish(op, NULL, token);
}

void ref_patch_tokens(const struct ref_op *op)
{
    const size_t prefix = (size_t)op->attr.prefix;
    const size_t columns = (size_t)op->in[0]->w / PATCH;
    const size_t patches = (size_t)op->in[0]->h / PATCH * columns;
    memcpy(op->y, op->extra, prefix * (size_t)op->out->c * sizeof *op->y);
    for (size_t p = 0; p < patches; p++) {
        embed_patch(op, p / columns * PATCH, p % columns * PATCH, prefix + p);
    }
}

struct ref_sizes ref_layer_norm_sizes(const struct ref_op *op)
{
    return (struct ref_sizes){.rows = (size_t)op->out->c, .row = 1};
}

static void normalise_token(const struct ref_op *op, const float *x, float *y)
{
    const int32_t channels = op->out->c;
    double mean = 0.0;
    double variance = 0.0;
    for (int32_t i = 0; i < channels; i++) {
        mean += (double)x[i] / channels;
    }
    for (int32_t i = 0; i < channels; i++) {
        const double d = (double)x[i] - mean;
        variance += d * d / channels;
    }
    const double rate = 1.0 / sqrt(variance + (double)op->attr.eps);
    for (int32_t i = 0; i < channels; i++) {
        const double unit = ((double)x[i] - mean) * rate;
        y[i] = (float)(unit * (double)op->weight[i] + (double)op->bias[i]);
    }
}

void ref_layer_norm(const struct ref_op *op)
{
    const size_t channels = (size_t)op->out->c;
    const size_t prefix = (size_t)op->attr.prefix;
    for (size_t t = 0; t < ref_pixels(op->out); t++) {
        normalise_token(op, op->x[0] + (prefix + t) * channels, op->y + t * channels);
    }
}

struct ref_sizes ref_linear_sizes(const struct ref_op *op)
{
    return (struct ref_sizes){
        .rows = (size_t)op->out->c, .row = (size_t)op->in[0]->c, .scratch = (size_t)op->out->c};
}

void ref_linear(const struct ref_op *op)
{
    const size_t inputs = (size_t)op->in[0]->c;
    for (size_t p = 0; p < ref_pixels(op->out); p++) {
        ref_sums_start(op);
        for (size_t i = 0; i < inputs; i++) {
            ref_sums_add(op, op->x[0][p * inputs + i], i);
        }
        ref_sums_finish(op, op->x[1], p);
    }
}

static size_t head_width(const struct ref_op *op)
{
    return (size_t)op->out->c / (size_t)op->attr.heads;
}

struct ref_sizes ref_attention_sizes(const struct ref_op *op)
{
    const size_t tokens = (size_t)op->out->w;
    const size_t width = head_width(op);
    return (struct ref_sizes){.extra = 2 * (tokens - (size_t)op->attr.prefix) * width,
                              .scratch = 2 * tokens * width + tokens};
}

/* turned [width]: x cos + rotate_half(x) sin, where rotate_half(a, b) = (-b, a). */
static void turn(double *turned, const float *x, const float *cosine, const float *sine,
                 size_t width)
{
    const size_t half = width / 2;
    for (size_t d = 0; d < width; d++) {
        const double other = d < half ? -(double)x[d + half] : (double)x[d - half];
        turned[d] = (double)x[d] * (double)cosine[d] + other * (double)sine[d];
    }
}

/*
 * turned [tokens][width]: a head's queries or keys, which begin at channel `first` of the input, with
 * all tokens but the prefix turned.
 */
static void turn_head(const struct ref_op *op, double *turned, size_t first)
{
    const size_t tokens = (size_t)op->out->w;
    const size_t width = head_width(op);
    const size_t prefix = (size_t)op->attr.prefix;
    const float *cosine = op->extra;
    const float *sine = cosine + (tokens - prefix) * width;
    for (size_t t = 0; t < prefix; t++) {
        for (size_t d = 0; d < width; d++) {
            turned[t * width + d] = (double)op->x[0][t * (size_t)op->in[0]->c + first + d];
        }
    }
    for (size_t t = prefix; t < tokens; t++) {
        const float *x = op->x[0] + t * (size_t)op->in[0]->c + first;
        const size_t at = (t - prefix) * width;
        turn(turned + t * width, x, cosine + at, sine + at, width);
    }
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* score [tokens] = softmax over the keys for one query. */
static void weigh_keys(const struct ref_op *op, double *score, const double *query,
                       const double *keys)
{
    const size_t tokens = (size_t)op->out->w;
    const size_t width = head_width(op);
    double top = -HUGE_VAL;
    for (size_t t = 0; t < tokens; t++) {
        score[t] = dot(query, keys + t * width, width) / sqrt((double)width);
        top = fmax(top, score[t]);
    }
    double sum = 0.0;
    for (size_t t = 0; t < tokens; t++) {
        score[t] = exp(score[t] - top);
        sum += score[t];
    }
    for (size_t t = 0; t < tokens; t++) {
        score[t] /= sum;
    }
}

/* One token's output [width] of the head whose values begin at channel `first` of the input. */
static void mix_values(const struct ref_op *op, float *out, const double *score, size_t first)
{
    const size_t tokens = (size_t)op->out->w;
    const size_t width = head_width(op);
    for (size_t d = 0; d < width; d++) {
        double sum = 0.0;
        for (size_t t = 0; t < tokens; t++) {
            sum += score[t] * (double)op->x[0][t * (size_t)op->in[0]->c + first + d];
        }
        out[d] = (float)sum;
    }
}

void ref_attention(const struct ref_op *op)
{
    const size_t tokens = (size_t)op->out->w;
    const size_t channels = (size_t)op->out->c;
    const size_t width = head_width(op);
    double *queries = op->scratch;
    double *keys = queries + tokens * width;
    double *score = keys + tokens * width;
    for (size_t first = 0; first < channels; first += width) {
        turn_head(op, queries, first);
        turn_head(op, keys, channels + first);
        for (size_t t = 0; t < tokens; t++) {
            weigh_keys(op, score, queries + t * width, keys);
            mix_values(op, op->y + t * channels + first, score, 2 * channels + first);
        }
    }
}
