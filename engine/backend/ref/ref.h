/*
 * ref.h - inside the reference backend: one operation at one slice, and a function for each kind.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function reads f32 tensors, computes in double and stores f32.  Nothing is fused, reordered or
 * blocked: what is written in graph.h is what is done.  NaN and infinities flow as arithmetic has it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/backend/graph.h"

/* An operation bound to memory. */
struct ref_op {
    struct graph_op attr; /* attributes only: its pointers to weights are NULL */
    const struct graph_tensor *in[3];
    const struct graph_tensor *out;
    const float *x[3]; /* the inputs of one slice, [h, w, c]; NULL where there is none */
    float *y;          /* the output of one slice, [h, w, c] */
    float *weight;     /* [row][rows]: transposed, scaled and rounded to f32 */
    float *bias;       /* [rows]; zero if the operation has none */
    float *extra;
    double *scratch;
};

/* What an operation needs beside its tensors, in values. */
struct ref_sizes {
    size_t rows, row; /* of the weight as in graph.h, [rows][row] */
    size_t extra;
    size_t scratch;
};

struct ref_kind {
    struct ref_sizes (*get_sizes)(const struct ref_op *op); /* NULL: needs nothing */
    void (*run)(const struct ref_op *op);
};

struct ref_sizes ref_patch_tokens_sizes(const struct ref_op *op);
struct ref_sizes ref_layer_norm_sizes(const struct ref_op *op);
struct ref_sizes ref_linear_sizes(const struct ref_op *op);
struct ref_sizes ref_attention_sizes(const struct ref_op *op);
struct ref_sizes ref_conv_sizes(const struct ref_op *op);
struct ref_sizes ref_mean_sizes(const struct ref_op *op);

void ref_patch_tokens(const struct ref_op *op);
void ref_layer_norm(const struct ref_op *op);
void ref_linear(const struct ref_op *op);
void ref_attention(const struct ref_op *op);
void ref_conv(const struct ref_op *op);
void ref_max_pool(const struct ref_op *op);
void ref_upsample(const struct ref_op *op);
void ref_mean(const struct ref_op *op);
void ref_swiglu(const struct ref_op *op);
void ref_add(const struct ref_op *op);
void ref_gate(const struct ref_op *op);
void ref_scale_add(const struct ref_op *op);

/* Sums of products, one for each output channel: scratch[o] starts as the bias, ... */
void ref_sums_start(const struct ref_op *op);
/* ... gets x times column `at` of the weight for each input, ... */
void ref_sums_add(const struct ref_op *op, float x, size_t at);
/* ... and becomes output pixel `pixel`: act(sum), plus the residual [h, w, c] if there is one. */
void ref_sums_finish(const struct ref_op *op, const float *residual, size_t pixel);

static inline size_t ref_pixels(const struct graph_tensor *t)
{
    return (size_t)t->h * (size_t)t->w;
}
