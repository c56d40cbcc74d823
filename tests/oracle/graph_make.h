/*
 * graph_make.h - build small graphs with random weights, for comparing backends.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every graph_make_OP appends an operation and returns the tensor that it writes.  Weights come from a
 * counter-based generator (splitmix64) that tests/oracle/make_cases.py has too: the same seed and the
 * same operations in the same order make the same values.  All failures are assertions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/backend/graph.h"

enum { GRAPH_MAKE_TENSORS = 48, GRAPH_MAKE_BLOCKS = 192 };

struct graph_make {
    struct graph graph;
    struct graph_tensor tensor[GRAPH_MAKE_TENSORS];
    struct graph_op op[GRAPH_MAKE_TENSORS];
    void *block[GRAPH_MAKE_BLOCKS]; /* owned weights */
    int32_t n_blocks;
    enum graph_stage stage; /* of the operations appended next */
    uint64_t seed;
    uint64_t drawn; /* values drawn so far */
};

/* Inputs of height x width; `m` must not move until graph_make_fini. */
void graph_make_init(struct graph_make *m, int32_t height, int32_t width, uint64_t seed);
void graph_make_fini(struct graph_make *m);

/* The next `n` values, uniform in [-amplitude, amplitude). */
void graph_make_draw(struct graph_make *m, float *value, size_t n, float amplitude);

/*
 * Append `op` with an output [h, w, c].  Weights are drawn for whatever its kind must have; `parts` says
 * which of the optional ones it gets.
 */
enum { GRAPH_MAKE_SCALE = 1, GRAPH_MAKE_BIAS = 2 };
int32_t graph_make_op(struct graph_make *m, const struct graph_op *op, const int32_t dim[3],
                      unsigned parts);

/* A convolution of in[0] (with in[1] after it) plus in[2], with scale and bias. */
int32_t graph_make_conv(struct graph_make *m, const int32_t in[3], int32_t kernel, int32_t channels,
                        enum graph_act act);
int32_t graph_make_linear(struct graph_make *m, const int32_t in[2], int32_t channels,
                          enum graph_act act);
int32_t graph_make_tokens(struct graph_make *m, int32_t prefix, int32_t channels);
int32_t graph_make_layer_norm(struct graph_make *m, int32_t in);
/* The same without the first `prefix` tokens, as the grid of patches. */
int32_t graph_make_grid(struct graph_make *m, int32_t in, int32_t prefix);
int32_t graph_make_attention(struct graph_make *m, int32_t qkv, int32_t heads, int32_t prefix);
int32_t graph_make_max_pool(struct graph_make *m, int32_t in);
int32_t graph_make_upsample(struct graph_make *m, int32_t in, int32_t factor);
int32_t graph_make_mean(struct graph_make *m, int32_t in);
/* SWIGLU, ADD, GATE or SCALE_ADD. */
int32_t graph_make_join(struct graph_make *m, enum graph_op_kind kind, const int32_t in[3]);

/*
 * End the graph: bring tensor `t` to one channel of the input's size where a 1x1 convolution, after an
 * upsampling if need be, can do that; else y is the sum of the inputs.
 */
void graph_make_finish(struct graph_make *m, int32_t t);
