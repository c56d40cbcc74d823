/*
 * kernels.h - the loops of the CPU backend that are no matrix products.
 *
 * kernels.c is compiled once for each instruction set; kernels_get returns the best this processor
 * has.  All are free of shared state and may run on any thread.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h> // IWYU pragma: export
#include <stdint.h> // IWYU pragma: export

#include "engine/backend/graph.h" // IWYU pragma: export

/* How an activation lies in memory, [pixels, channels]. */
enum format {
    FORMAT_F32,
    FORMAT_BF16,
    /*
     * Three bf16 planes within each pixel, [hi | lo | hi], x = hi + lo: against weights
     * [hi | hi | lo] one bf16 product sums the three largest terms of (hi + lo)(hi + lo).
     */
    FORMAT_SPLIT,
    /* All hi parts, then all lo parts: products read only the first, as BF16; everything else reads
     * x = hi + lo, so that what goes round the products is not rounded with it. */
    FORMAT_PAIR,
};

static inline size_t format_bytes(enum format f) /* of one value */
{
    static const size_t bytes[] = {4, 2, 6, 4};
    return bytes[f];
}

/* Some channels of an activation. */
struct operand {
    void *data; /* first pixel's first channel (of the hi parts) */
    enum format format;
    size_t stride; /* values from one pixel to the next */
    size_t plane;  /* values from a hi part to its lo part */
};

/* The same from another pixel and channel on; an operand that is none stays none. */
static inline struct operand operand_at(struct operand o, size_t pixel, size_t channel)
{
    if (o.data != NULL) {
        const size_t value = o.format == FORMAT_F32 ? sizeof(float) : sizeof(uint16_t);
        o.data = (unsigned char *)o.data + (pixel * o.stride + channel) * value;
    }
    return o;
}

/* out = act(acc + bias) + add[0] + add[1] */
struct epilogue {
    size_t pixels, channels;
    const float *acc;
    size_t acc_stride;
    const float *bias; /* [channels] or NULL */
    enum graph_act act;
    struct operand add[2]; /* data NULL: none */
    struct operand out;
};

/* Rows of a low-resolution map's nine 1x1 products, brought to full width: each row and each of its
 * three ky apart, h[x, c] = sum over kx of the bilinear row of tap kx at x + kx - 1. */
struct expand_rows {
    const float *taps; /* [rows, low_w, 3 ky, 3 kx, channels] */
    size_t channels;
    int32_t rows, low_w, factor;
    float *out; /* [rows, 3, low_w * factor, channels] */
};

/* A sum of values times weights. */
struct taps {
    const float *at[6];
    float weight[6];
    int32_t n; /* 1 ... 6 */
};

struct norm {
    size_t rows, channels;
    const float *in;
    const float *weight, *bias;
    float eps;
    struct operand out;
};

/* Rows of q, k or v of one attention head, those from `prefix` on turned by RoPE. */
struct head_rows {
    size_t rows, channels; /* channels: even */
    size_t prefix;
    const float *in;
    size_t in_stride;
    const float *cos, *sin; /* [rows - prefix, channels]; NULL: no row is turned */
    struct operand out;
};

/* out = e^(scale (scores - the row's largest)), each row's sum apart. */
struct softmax {
    size_t rows, columns;
    const float *scores; /* [rows, columns]; out.data may be the same */
    float scale;         /* > 0 */
    struct operand out;
    float *ret_sums; /* [rows] */
};

struct small_conv {
    int32_t h, w, channels; /* channels out (conv_from_one) or in (conv_to_one) */
    int32_t row0, row1;     /* output rows wanted */
    const float *in;        /* the whole slice: [h, w] or [h, w, channels] */
    const float *weight;    /* [9, channels] */
    float *out;             /* rows row0 ... row1 - 1 */
    float bias;             /* conv_to_one */
};

struct kernels {
    const char *name; /* "avx512_bf16", "avx512", "avx2", "generic" */
    void (*epilogue)(const struct epilogue *e);
    void (*expand_rows)(const struct expand_rows *e);
    /* Like epilogue, of a sum of taps [pixels, to->acc_stride] instead of to->acc.
     * scratch: [pixels, acc_stride]. */
    void (*expand_column)(const struct taps *t, float *scratch, const struct epilogue *to);
    /* acc[i] += w * x[i] */
    void (*add_scaled)(float *acc, const float *x, float w, size_t n);
    void (*layer_norm)(const struct norm *n);
    void (*head_rows)(const struct head_rows *h);
    void (*softmax)(const struct softmax *s);
    /* out[row] = in[row] / by[row]; in: [rows, channels] */
    void (*divide_rows)(const float *in, const float *by, size_t rows, size_t channels,
                        struct operand out);
    void (*conv_from_one)(const struct small_conv *c); /* 3x3, 1 -> channels, no bias */
    void (*conv_to_one)(const struct small_conv *c);   /* 3x3, channels -> 1, with bias, f32 in */
    /* 2x2 maximum of two rows of `in` into one row of `out`, columns of out. */
    void (*max_pool)(const struct operand *row0, const struct operand *row1, struct operand out,
                     size_t columns, size_t channels);
    /* out = silu(gate) * value; gate, value f32 [n] in rows of `channels` */
    void (*swiglu)(const float *gate, const float *value, size_t rows, size_t channels,
                   struct operand out);
    /* out [pixels, channels] = in, as f32 */
    void (*load)(const struct operand *in, size_t pixels, size_t channels, float *out);
};

/* The best kernels that this processor runs. */
const struct kernels *kernels_get(void);

/* All that it runs, the best as number 0; NULL after the last. */
const struct kernels *kernels_get_at(size_t i);
