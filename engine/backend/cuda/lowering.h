/*
 * lowering.h - a graph on its way to a program: what is known of it, and what its steps are made of.
 *
 * lower.c goes through the operations; lower_conv.c and lower_vit.c turn those that have weights into steps;
 * lower_known.c says beforehand what is folded and rounded where; lower_parts.c gives buffers and weights.
 * What can fail returns 0 or a negative SCTD_E*, and sets lowering.err.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/backend/backend.h"      // IWYU pragma: export
#include "engine/backend/cuda/program.h" // IWYU pragma: export
#include "engine/backend/cuda/value.h"   // IWYU pragma: export
#include "engine/backend/graph.h"        // IWYU pragma: export
#include "engine/backend/survey.h"       // IWYU pragma: export
#include "engine/base/error.h"           // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum { LOWERING_TYPES = 3 };

/* A tensor's buffers, one for each storage that somebody wanted; PROGRAM_NONE where nobody did. */
struct forms {
    int32_t of[LOWERING_TYPES];
};

struct lowering {
    struct program *p;
    const struct graph *graph;
    const struct backend_options *options;
    struct forms *form; /* [n_tensors] */
    struct survey survey;
    bool *folded;     /* [n_ops] part of another operation's step */
    bool *expanded;   /* [n_ops] a convolution whose input's upsample is folded into it */
    bool *fine;       /* [n_tensors] kept in f32 for a sensitive convolution */
    int32_t y_direct; /* the buffer of y where a step writes it as it leaves */
    struct sctd_error *err;
};

static inline bool lowering_is_input(int32_t tensor)
{
    return tensor == GRAPH_X_CNN || tensor == GRAPH_X_DINO;
}

static inline int32_t lowering_op_index(const struct lowering *w, const struct graph_op *op)
{
    return (int32_t)(op - w->graph->op);
}

/* lower_known.c: what is known before any step is made.  w: p, graph, options and err are set, the rest is zero. */
SCTD_NODISCARD int lowering_init(struct lowering *w);
void lowering_fini(struct lowering *w);
/* What a product reads, and what a map is stored as: enum value_type. */
int32_t lowering_product_type(const struct lowering *w, const struct graph_op *op);
int32_t lowering_map_type(const struct lowering *w, int32_t tensor);
/* Whose upsample is folded into the convolution `op`, if it is. */
int32_t lowering_upsampled_tensor(const struct lowering *w, const struct graph_op *op);
/* y, and nobody else reads it: it is written as it leaves. */
bool lowering_is_last_conv(const struct lowering *w, const struct graph_op *op);

/* lower_parts.c: a step of `op` without operands and weights. */
struct step lowering_step_of(enum step_kind kind, const struct graph_op *op);
SCTD_NODISCARD int lowering_add_step(struct lowering *w, const struct step *step);
/* A padded buffer of [h, w, c] that is no tensor's. */
SCTD_NODISCARD int lowering_new_buffer(struct lowering *w, int32_t *ret_buffer,
                                       const int32_t dim[3], int32_t type);
/* The padded buffer of a tensor that is about to be written. */
SCTD_NODISCARD int lowering_new_form(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                                     int32_t type);
/* A tensor's buffer as it leaves the device: f32 without padding. */
SCTD_NODISCARD int lowering_new_output(struct lowering *w, int32_t *ret_buffer, int32_t tensor);
/* Where an input comes in: f32 without padding. */
int32_t lowering_input_buffer(const struct lowering *w, int32_t tensor);
/* Some buffer that holds the tensor, padded or not: the finest. */
int32_t lowering_find_source(const struct lowering *w, int32_t tensor);
/* The tensor as a padded buffer of `type`, which `op` is going to read: a step converts it if there is none yet. */
SCTD_NODISCARD int lowering_get_form(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                                     int32_t type, const struct graph_op *op);
/* The tensor as a padded buffer of whatever type it has. */
SCTD_NODISCARD int lowering_get_any(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                                    const struct graph_op *op);
/* The same; nothing is set for GRAPH_NONE. */
SCTD_NODISCARD int lowering_get_optional(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                                         const struct graph_op *op);
/* A vector of `op`, one value for each output channel. */
SCTD_NODISCARD int lowering_add_vector(struct lowering *w, int32_t *ret_weight,
                                       const struct graph_op *op, enum weight_source source,
                                       int32_t type);
/* Outputs' rows over the input channels row0 ... row0 + row - 1. */
SCTD_NODISCARD int lowering_add_rows(struct lowering *w, int32_t *ret_weight,
                                     const struct graph_op *op, const int32_t row0_row[2],
                                     int32_t taps);

/* lower_conv.c: a convolution, with what is folded into it. */
SCTD_NODISCARD int lower_conv(struct lowering *w, const struct graph_op *op);

/* lower_vit.c: the transformer's operations, but the gate of its SwiGLU, which has no weights. */
SCTD_NODISCARD int lower_vit_patch_tokens(struct lowering *w, const struct graph_op *op);
SCTD_NODISCARD int lower_vit_norm(struct lowering *w, const struct graph_op *op);
SCTD_NODISCARD int lower_vit_linear(struct lowering *w, const struct graph_op *op);
SCTD_NODISCARD int lower_vit_attention(struct lowering *w, const struct graph_op *op);

#ifdef __cplusplus
}
#endif
