/*
 * graph.h - the network as a list of operations over tensors, in the order they run.
 *
 * engine/model builds a graph once from a model's manifest and weights; a backend turns it into
 * something that runs.  A graph says what is computed (the published network, with BatchNorm and
 * LayerScale folded), never how: fusing, tiling, precision and layout are the backend's business.
 *
 * Every activation is [n, h, w, c] f32 in meaning, channels fastest; the batch n is chosen at run
 * time.  A token sequence is a tensor with h = 1, w = tokens, c = width, unless it is a grid of
 * patch tokens, which keeps its h and w.
 *
 * Thread safety: a graph is immutable once built and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/base/error.h" // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum graph_op_kind {
    /*
     * in[0] [h, w, 1] -> out [1, prefix + (h/16)(w/16), c].  weight [c, 16, 16]: a convolution of
     * stride 16 over the patches, row by row; bias [c]; extra [prefix, c]: the cls and storage
     * tokens that stand before them (DINOv3, arXiv:2508.10104).
     */
    GRAPH_PATCH_TOKENS,
    /* in[0] -> out, over channels; weight and bias [c]; eps.  The first `prefix` tokens are left
     * out of the output. */
    GRAPH_LAYER_NORM,
    /* in[0] [h, w, ci] -> out [h, w, co] = act(in * weight' + bias) (+ in[1]); weight [co, ci]. */
    GRAPH_LINEAR,
    /*
     * in[0] [1, t, 3c] (q, k, v; heads of c/heads channels within each) -> out [1, t, c]:
     * softmax(q k' / sqrt(c/heads)) v.  Rotary embedding turns q and k of all tokens after the
     * first `prefix`: x cos + rotate_half(x) sin; extra [2, t - prefix, c/heads]: cos, then sin.
     */
    GRAPH_ATTENTION,
    /* out = silu(in[0]) * in[1] (SwiGLU, arXiv:2002.05202). */
    GRAPH_SWIGLU,
    /*
     * in[0] (with in[1], if there, concatenated after it over channels) -> out
     * = act(conv + bias) (+ in[2]).  kernel 1 or 3, stride 1, zero padding kernel/2;
     * weight [co, ci, kernel, kernel].
     */
    GRAPH_CONV,
    /* 2x2, stride 2. */
    GRAPH_MAX_POOL,
    /* Bilinear by `factor`, half-pixel centres, edges clamped (align_corners false). */
    GRAPH_UPSAMPLE,
    /* out = in[0] + in[1]. */
    GRAPH_ADD,
    /* Mean over h and w: in[0] [h, w, c] -> out [1, 1, c]. */
    GRAPH_MEAN,
    /* out = in[2] * in[0] + (1 - in[2]) * in[1], element by element. */
    GRAPH_GATE,
    /* in[2] [1, 1, 2c]: out = in[2][0:c] * in[0] + in[2][c:2c] * in[1], per channel. */
    GRAPH_SCALE_ADD,
};

enum graph_act { GRAPH_ACT_NONE, GRAPH_ACT_GELU /* by erf */, GRAPH_ACT_SIGMOID, GRAPH_ACT_TANH };

/* The parts of the network whose time is reported apart. */
enum graph_stage { GRAPH_VIT, GRAPH_ENCODER, GRAPH_FUSION, GRAPH_DECODER, GRAPH_STAGES };

enum { GRAPH_NONE = -1, GRAPH_X_CNN = 0, GRAPH_X_DINO = 1, GRAPH_NAME_MAX = 32 };

struct graph_tensor {
    char name[GRAPH_NAME_MAX]; /* the golden files' name ("gen.enc1", "y"); "" if it has none */
    int32_t h, w, c;
    bool tokens; /* written out as [n, h*w, c]; otherwise as [n, c, h, w] */
};

struct graph_op {
    enum graph_op_kind kind;
    enum graph_stage stage;
    int32_t in[3]; /* tensor indices or GRAPH_NONE */
    int32_t out;
    enum graph_act act;
    int32_t kernel;      /* CONV */
    int32_t factor;      /* UPSAMPLE: 2, 4, 8 or 16 */
    int32_t heads;       /* ATTENTION */
    int32_t prefix;      /* PATCH_TOKENS, LAYER_NORM, ATTENTION */
    float eps;           /* LAYER_NORM */
    const float *weight; /* borrowed from the graph's owner; f32, row-major */
    const double *scale; /* [co] or NULL: the weight that counts is (float)(weight * scale[co]) */
    const float *bias;   /* [co] or NULL, already folded */
    const float *extra;
};

struct graph {
    struct graph_tensor *tensor; /* [n_tensors]; 0 is x_cnn [h, w, 1], 1 is x_dino [h, w, 1] */
    struct graph_op *op;         /* [n_ops]; each reads only tensors written before it */
    int32_t n_tensors;
    int32_t n_ops;
    int32_t y; /* the output tensor, [h, w, 1] */
};

/* The tensor called `name`, or GRAPH_NONE. */
int32_t graph_find(const struct graph *g, const char *name);

/* Values in one slice of tensor t. */
static inline size_t graph_tensor_size(const struct graph *g, int32_t t)
{
    return (size_t)g->tensor[t].h * (size_t)g->tensor[t].w * (size_t)g->tensor[t].c;
}

/* Multiply-adds of one slice as published (no rewrite counted), in all. */
double graph_macs(const struct graph *g);

/*
 * Check that every operation's inputs, outputs and attributes fit each other.
 * Errors: SCTD_EINVAL naming the operation.
 */
SCTD_NODISCARD int graph_check(const struct graph *g, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
