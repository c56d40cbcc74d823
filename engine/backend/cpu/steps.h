/*
 * steps.h - the steps that operations become; each function appends one step to a plan.
 *
 * Errors of all: SCTD_EINVAL (oneDNN cannot), SCTD_ENOMEM.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h> // IWYU pragma: export

#include "engine/backend/cpu/plan.h" // IWYU pragma: export
#include "engine/backend/graph.h"    // IWYU pragma: export
#include "engine/base/error.h"       // IWYU pragma: export

/* How one input of a concatenation, or a whole map, comes about. */
struct map_source {
    const struct graph_op *conv;     /* 3x3 convolution, or NULL: `tensor` as it is */
    const struct graph_op *upsample; /* before the convolution, or NULL */
    int32_t tensor;                  /* what is read */
    enum format format;              /* of the convolution's product: F32, BF16 or SPLIT */
};

/* out = act(conv(source) + bias) + residual + skip; GRAPH_NONE where there is none. */
SCTD_NODISCARD int steps_conv(struct cpu_plan *plan, const struct map_source *source, int32_t skip,
                              int32_t out, struct sctd_error *err);

/* A 1x1 convolution of one map or two concatenated, made strip by strip and never stored; the
 * second source's tensor is GRAPH_NONE if there is one. */
SCTD_NODISCARD int steps_merge(struct cpu_plan *plan, const struct graph_op *op,
                               const struct map_source source[2], struct sctd_error *err);

/* The published network's last operation: 3x3 to one channel, f32 throughout. */
SCTD_NODISCARD int steps_last_conv(struct cpu_plan *plan, const struct graph_op *op,
                                   struct sctd_error *err);

/* MAX_POOL, UPSAMPLE, ADD, MEAN, GATE, SCALE_ADD. */
SCTD_NODISCARD int steps_elementwise(struct cpu_plan *plan, const struct graph_op *op,
                                     struct sctd_error *err);

/* PATCH_TOKENS and LINEAR; format: of LINEAR's product. */
SCTD_NODISCARD int steps_linear(struct cpu_plan *plan, const struct graph_op *op,
                                enum format format, struct sctd_error *err);

/* LAYER_NORM, ATTENTION, SWIGLU. */
SCTD_NODISCARD int steps_vit(struct cpu_plan *plan, const struct graph_op *op,
                             struct sctd_error *err);

struct weight_shape {
    int32_t rows, inputs, taps; /* taps: values of one input channel, 9 of a 3x3 kernel */
    enum format format;         /* F32, BF16 or SPLIT */
    struct pool *pool;          /* shares out the work; NULL: the calling thread does it alone */
};

/*
 * The weights [rows, inputs, taps] of `op` as a product wants them: scaled; for BF16 rounded; for
 * SPLIT [rows, 3 * inputs, taps] bf16, hi, hi and lo parts.  *ret_plain: the caller frees it.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int steps_plain_weights(void **ret_plain, const struct graph_op *op,
                                       const struct weight_shape *shape, struct sctd_error *err);

/* A copy of `n` values, or NULL if `values` is NULL.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int steps_copy(float **ret_copy, const float *values, size_t n,
                              struct sctd_error *err);
