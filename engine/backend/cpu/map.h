/*
 * map.h - parts of steps_map.c: how a strip of rows of a map is computed.
 *
 * Errors of all: SCTD_EINVAL (oneDNN cannot), SCTD_ENOMEM.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/backend/cpu/plan.h"  // IWYU pragma: export
#include "engine/backend/cpu/steps.h" // IWYU pragma: export

/* A map is computed in strips of so many rows; the last may have fewer. */
struct map_shape {
    int32_t h, w, strip_rows;
};

struct map_strip {
    int32_t row0, row1;
};

static inline struct map_strip map_strip_of(const struct map_shape *s, int32_t item)
{
    const int32_t row0 = item * s->strip_rows;
    const int32_t row1 = row0 + s->strip_rows;
    return (struct map_strip){row0, row1 < s->h ? row1 : s->h};
}

static inline int32_t map_count_strips(const struct map_shape *s)
{
    return (s->h + s->strip_rows - 1) / s->strip_rows;
}

/* One strip of one slice on one worker. */
struct map_piece {
    const struct cpu_plan *plan;
    const struct map_shape *shape;
    int32_t slice, worker;
    struct map_strip strip;
    size_t pixel0, pixels; /* of the strip */
    size_t scratch_at;     /* in the layer's scratch: what lies before is taken */
};

static inline void *map_scratch(const struct map_piece *p, size_t offset)
{
    return plan_layer_scratch(p->plan, p->worker, p->scratch_at + offset);
}

/* A 3x3 or 1x1 convolution of strips. */
struct map_conv;

struct map_conv_shape {
    const struct map_shape *map;
    int32_t inputs;
    enum format format; /* of the product: F32, BF16 or SPLIT */
};

SCTD_NODISCARD int map_conv_new(struct map_conv **ret_conv, struct cpu_plan *plan,
                                const struct graph_op *op, const struct map_conv_shape *shape,
                                struct sctd_error *err);
void map_conv_free(struct map_conv *conv); /* NULL is a no-op */

/* Bytes of layer scratch that running a piece takes. */
size_t map_conv_scratch(const struct map_conv *conv);

/* in: kernel 3: the slice's first value; kernel 1: the strip's.  e: all but pixels' values is set. */
bool map_conv_run(const struct map_conv *conv, const struct map_piece *p, const struct operand *in,
                  struct epilogue *e);

/* Values from one pixel to the next, and pixels, that the input of a 1x1 convolution must have room
 * for; channels beyond the inputs must be zero, pixels beyond the strip may be anything. */
size_t map_conv_stride(const struct map_conv *conv);
size_t map_conv_pixels(const struct map_conv *conv);

/* A 3x3 convolution of a bilinear upsample, made at the low resolution. */
struct map_expand;

SCTD_NODISCARD int map_expand_new(struct map_expand **ret_expand, struct cpu_plan *plan,
                                  const struct map_shape *map, const struct map_source *from,
                                  struct sctd_error *err);
void map_expand_free(struct map_expand *expand); /* NULL is a no-op */
size_t map_expand_scratch(const struct map_expand *expand);
bool map_expand_run(const struct map_expand *expand, const struct map_piece *p, int32_t tensor,
                    const struct epilogue *e);
