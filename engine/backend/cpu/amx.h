/*
 * amx.h - matrix products on the processor's AMX tiles (Intel SDM volume 1, chapter 18).
 *
 * A product is out[p, c] = epilogue(sum over k of a[p, k] w[k, c]) with bf16 operands and f32 sums.  Its
 * first operand is not gathered: a tile is sixteen rows that lie a fixed stride apart, and the terms of
 * the sum are steps of 32 values, each at its own offset from the row's start.  So a 3x3 convolution is
 * nine times as many steps as a 1x1.
 *
 * With exact weights both operands are pairs, x = hi + lo, and hi hi + hi lo + lo hi is summed: nearly
 * f32 (three errors of a term, of 2^-16 at most and less than 2^-18 in the root mean square) for three times
 * the work.
 *
 * Thread safety: all functions may run on any thread; weights are constant once made.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/backend/cpu/kernels.h" // IWYU pragma: export
#include "engine/base/attr.h"           // IWYU pragma: export
#include "engine/base/error.h"          // IWYU pragma: export

enum {
    AMX_ROWS = 16,    /* of a tile of the first operand */
    AMX_DEPTH = 32,   /* values of a row that a step takes */
    AMX_COLUMNS = 32, /* that are made at a time: a block */
};

/* Whether the processor has bf16 tiles and the system lets this process use them; asks for the
 * permission (arch_prctl, Linux 5.16) at the first call. */
bool amx_is_available(void);

static inline size_t amx_round(size_t channels) /* up to whole steps, or blocks */
{
    return (channels + AMX_DEPTH - 1) / AMX_DEPTH * AMX_DEPTH;
}

/* Where weights come from: w[k, c] of group g, tap t and input i is
 * values[c * column_stride + i * input_stride + t * tap_stride + g * group_stride] * scale[c]. */
struct amx_plain {
    const float *values;
    const double *scale; /* [columns] or NULL */
    int32_t columns, inputs, taps, groups;
    size_t column_stride, input_stride, tap_stride, group_stride;
    bool exact;
    struct pool *pool; /* shares out the packing; NULL: the calling thread does it alone */
};

/*
 * Weights in tile order, [block][step][lo, hi if exact][2 tiles].  A group starts with a new block:
 * group g's columns are g * amx_round(columns) and following of the product.  Steps go through the
 * taps of 32 inputs before the next 32.
 */
struct amx_weights;

/* Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int amx_weights_new(struct amx_weights **ret_weights, const struct amx_plain *plain,
                                   struct sctd_error *err);
void amx_weights_free(struct amx_weights *weights); /* NULL is a no-op */

int32_t amx_get_steps(const struct amx_weights *weights);
int32_t amx_get_blocks(const struct amx_weights *weights);

/* Sixteen rows of the first operand, all readable, of which the first `rows` count. */
struct amx_tile {
    const uint16_t *at; /* the first row's (hi) values */
    size_t pixel;       /* where the first row goes in the output */
    size_t rows;
};

struct amx_product {
    const struct amx_weights *weights;
    const struct amx_tile *tile;
    size_t n_tiles;
    const int32_t *offset; /* [steps] values from a row's start, each a multiple of 32 */
    size_t stride;         /* values from one row to the next */
    size_t lo;             /* values from a hi part to its lo part; exact weights only */
    int32_t block0, block1;
    int32_t step0, step1; /* terms of the sums */
    const struct kernels *kernels;
    /* What becomes of the sums: out, add and bias start at pixel 0 and the group's column 0; pixels
     * and acc are not read.  channels: of a group. */
    struct epilogue to;
    /* Not NULL: the sums go here as they are instead, or start from here, all sixteen rows of a tile,
     * [pixels, sums_stride] from the first column of block0 on. */
    float *sums;
    const float *from;
    size_t sums_stride;
};

/* Blocks block0 ... block1 - 1 of all tiles.  What is added to what depends on nothing but the steps.
 * Only where amx_is_available. */
void amx_run(const struct amx_product *product);

/* Part of a map, surrounded by zeros, in the order that tiles like: [hi, lo if exact][channels / 32][row][x]
 * [32], x from -1 to the width rounded up to 16, inclusive. */
struct amx_strip {
    int32_t h, w, channels; /* of the map */
    int32_t row0, row1;     /* its rows; outside 0 ... h - 1 they are zeros */
    bool exact;
};

static inline size_t amx_strip_pitch(int32_t w) /* pixels from one row to the next */
{
    return ((size_t)w + AMX_ROWS - 1) / AMX_ROWS * AMX_ROWS + 2;
}

size_t amx_strip_values(const struct amx_strip *strip);

/* in: the map's first value, BF16 or PAIR (PAIR if exact). */
void amx_fill_strip(const struct amx_strip *strip, const struct operand *in, uint16_t *to);
