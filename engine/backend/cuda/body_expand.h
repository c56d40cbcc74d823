/*
 * body_expand.h - a 3x3 convolution of a bilinear upsample, without the upsampled map.
 *
 * Both are linear and the upsample keeps channels apart: the nine products z_k = w_k x are made on the coarse
 * map, and an output is the sum over the taps k of z_k, upsampled, at k's neighbour, where that lies inside.
 *
 * A neighbour in the cell of coarse column b, `at` columns from the cell's first, lies between the columns
 * b - 1 and b or b and b + 1: two of three slots.  Beyond the edge a slot holds the edge's column again, so
 * that the weights are the same for all cells; only the zeros outside the map are left, a mask.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>

#include "engine/backend/cuda/body.h"  // IWYU pragma: export
#include "engine/backend/cuda/value.h" // IWYU pragma: export

enum { EXPAND_KERNEL = 3, EXPAND_TAPS = 9, EXPAND_SLOTS = 3 };

struct expand_args {
    struct operand z;          /* [slices, h, w, 9, stride of y] */
    struct finish_args finish; /* y [slices, h * factor, w * factor]; its x is not used */
    int32_t h, w, factor;      /* h and w: the coarse map's */
    /* Items that follow each other cover tiles of so many rows and cells, which divide them. */
    int32_t tile_rows, tile_cells;
};

/* How much slot `slot` weighs for a neighbour `at` rows or columns from the cell's first. */
CUDA_BODY float expand_weight(int32_t at, int32_t slot, int32_t factor)
{
    const float place = ((float)at + 0.5F) / (float)factor + 0.5F; /* in slots */
    const float far = fabsf(place - (float)slot);
    return far < 1.0F ? 1.0F - far : 0.0F;
}

/* An item's row (of the output, or of cells), cell of that row, channels and slice. */
struct expand_place {
    size_t slice;
    int32_t row, cell, channel;
};

CUDA_BODY struct expand_place expand_place_of(const struct expand_args *a, size_t item,
                                              int32_t rows)
{
    const uint32_t groups = (uint32_t)a->finish.y.stride / VALUE_LANES;
    const uint32_t tile = (uint32_t)(a->tile_rows * a->tile_cells);
    const uint32_t across = (uint32_t)(a->w / a->tile_cells);
    const uint32_t down = (uint32_t)(rows / a->tile_rows);
    const size_t in_slice = (size_t)groups * tile * across * down;
    const uint32_t at = (uint32_t)(item % in_slice);
    const uint32_t cell = at / groups % tile;
    const uint32_t tile_at = at / groups / tile;
    struct expand_place p;
    p.slice = item / in_slice;
    p.channel = (int32_t)(at % groups * VALUE_LANES);
    p.row = (int32_t)(tile_at / across * (uint32_t)a->tile_rows + cell / (uint32_t)a->tile_cells);
    p.cell = (int32_t)(tile_at % across * (uint32_t)a->tile_cells + cell % (uint32_t)a->tile_cells);
    return p;
}

CUDA_BODY int32_t expand_clamp(int32_t i, int32_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Where the products of tap 0 lie for a slot's row and column of a cell. */
CUDA_BODY size_t expand_at(const struct expand_args *a, const struct expand_place *p, int32_t row,
                           int32_t column)
{
    const size_t y = p->slice * (size_t)a->h + (size_t)expand_clamp(row, a->h);
    const size_t x = y * (size_t)a->w + (size_t)expand_clamp(column, a->w);
    return x * (size_t)a->z.stride + (size_t)p->channel;
}

CUDA_BODY void expand_add(struct lanes *sum, const struct lanes *x, float weight)
{
    for (int i = 0; i < VALUE_LANES; i++) {
        sum->v[i] += weight * x->v[i];
    }
}

CUDA_BODY struct lanes expand_zero(void)
{
    struct lanes zero = {{0.0F}};
    for (int i = 0; i < VALUE_LANES; i++) {
        zero.v[i] = 0.0F;
    }
    return zero;
}

CUDA_BODY void expand_store(const struct expand_args *a, const struct expand_place *p, int32_t y,
                            int32_t x, const struct lanes *sum)
{
    const size_t rows = (size_t)a->h * (size_t)a->factor;
    const size_t columns = (size_t)a->w * (size_t)a->factor;
    const size_t pixel = (p->slice * rows + (size_t)y) * columns + (size_t)x;
    const struct lanes v = finish_lanes(&a->finish, *sum, pixel, (size_t)p->channel);
    lanes_store(a->finish.y.data, a->finish.y.type,
                pixel * (size_t)a->finish.y.stride + (size_t)p->channel, &v);
}

/* Column `tap` of the kernel at a slot's column: the three taps above each other, brought to output row y. */
CUDA_BODY struct lanes expand_column(const struct expand_args *a, const struct expand_place *p,
                                     int32_t tap, int32_t slot)
{
    const int32_t cell_row = p->row / a->factor;
    const int32_t in_cell = p->row % a->factor;
    struct lanes sum = expand_zero();
    CUDA_UNROLL
    for (int32_t k = 0; k < EXPAND_KERNEL; k++) {
        const int32_t at = in_cell + k - 1;
        if (p->row + k - 1 < 0 || p->row + k - 1 >= a->h * a->factor) {
            continue;
        }
        /* The first of the two rows that weigh anything. */
        const int32_t low = 2 * at + 1 < a->factor ? 0 : 1;
        const size_t channels = (size_t)(k * EXPAND_KERNEL + tap) * (size_t)a->finish.y.stride;
        for (int32_t i = low; i < low + 2; i++) {
            const size_t from = expand_at(a, p, cell_row + i - 1, p->cell + slot - 1);
            const struct lanes z = lanes_load(a->z.data, a->z.type, from + channels);
            expand_add(&sum, &z, expand_weight(at, i, a->factor));
        }
    }
    return sum;
}

/* An item: a row of the outputs of a cell, `factor` of them, and eight channels. */
CUDA_BODY void expand_row_body(const struct expand_args *a, size_t item)
{
    const struct expand_place p = expand_place_of(a, item, a->h * a->factor);
    struct lanes column[EXPAND_KERNEL][EXPAND_SLOTS];
    CUDA_UNROLL
    for (int32_t tap = 0; tap < EXPAND_KERNEL; tap++) {
        CUDA_UNROLL
        for (int32_t slot = 0; slot < EXPAND_SLOTS; slot++) {
            column[tap][slot] = expand_column(a, &p, tap, slot);
        }
    }
    for (int32_t i = 0; i < a->factor; i++) {
        const int32_t x = p.cell * a->factor + i;
        struct lanes sum = expand_zero();
        CUDA_UNROLL
        for (int32_t tap = 0; tap < EXPAND_KERNEL; tap++) {
            const int32_t at = x + tap - 1;
            const float inside = at >= 0 && at < a->w * a->factor ? 1.0F : 0.0F;
            CUDA_UNROLL
            for (int32_t slot = 0; slot < EXPAND_SLOTS; slot++) {
                expand_add(&sum, &column[tap][slot],
                           inside * expand_weight(i + tap - 1, slot, a->factor));
            }
        }
        expand_store(a, &p, p.row, x, &sum);
    }
}

/* For a factor of two: the weight of a slot for output `in_cell` (0 or 1) and a tap, known when compiled. */
CUDA_BODY float expand_weight_of_two(int32_t in_cell, int32_t tap, int32_t slot)
{
    return expand_weight(in_cell + tap - 1, slot, 2);
}

/* Both output rows of a cell, of a factor of two, for column `tap` of the kernel at a slot's column. */
CUDA_BODY void expand_columns_of_two(struct lanes row[2], const struct expand_args *a,
                                     const struct expand_place *p, int32_t tap, int32_t slot)
{
    row[0] = expand_zero();
    row[1] = expand_zero();
    CUDA_UNROLL
    for (int32_t i = 0; i < EXPAND_SLOTS; i++) {
        const size_t from = expand_at(a, p, p->row + i - 1, p->cell + slot - 1);
        CUDA_UNROLL
        for (int32_t k = 0; k < EXPAND_KERNEL; k++) {
            const float upper = expand_weight_of_two(0, k, i);
            const float lower = expand_weight_of_two(1, k, i);
            if (upper == 0.0F && lower == 0.0F) {
                continue;
            }
            const size_t channels = (size_t)(k * EXPAND_KERNEL + tap) * (size_t)a->finish.y.stride;
            const struct lanes z = lanes_load(a->z.data, a->z.type, from + channels);
            if (upper > 0.0F) {
                expand_add(&row[0], &z, k == 0 && p->row == 0 ? 0.0F : upper);
            }
            if (lower > 0.0F) {
                expand_add(&row[1], &z, k == 2 && p->row + 1 == a->h ? 0.0F : lower);
            }
        }
    }
}

/* An item: the four outputs of a cell, of a factor of two, and eight channels; p.row is the cell's. */
CUDA_BODY void expand_cell_body(const struct expand_args *a, size_t item)
{
    const struct expand_place p = expand_place_of(a, item, a->h);
    struct lanes sum[2][2] = {{expand_zero(), expand_zero()}, {expand_zero(), expand_zero()}};
    CUDA_UNROLL
    for (int32_t tap = 0; tap < EXPAND_KERNEL; tap++) {
        const float inside[2] = {tap == 0 && p.cell == 0 ? 0.0F : 1.0F,
                                 tap == 2 && p.cell + 1 == a->w ? 0.0F : 1.0F};
        CUDA_UNROLL
        for (int32_t slot = 0; slot < EXPAND_SLOTS; slot++) {
            struct lanes row[2];
            const float left = expand_weight_of_two(0, tap, slot);
            const float right = expand_weight_of_two(1, tap, slot);
            if (left == 0.0F && right == 0.0F) {
                continue;
            }
            expand_columns_of_two(row, a, &p, tap, slot);
            CUDA_UNROLL
            for (int y = 0; y < 2; y++) {
                if (left > 0.0F) {
                    expand_add(&sum[y][0], &row[y], inside[0] * left);
                }
                if (right > 0.0F) {
                    expand_add(&sum[y][1], &row[y], inside[1] * right);
                }
            }
        }
    }
    CUDA_UNROLL
    for (int y = 0; y < 2; y++) {
        CUDA_UNROLL
        for (int x = 0; x < 2; x++) {
            expand_store(a, &p, 2 * p.row + y, 2 * p.cell + x, &sum[y][x]);
        }
    }
}

CUDA_BODY void expand_body(const struct expand_args *a, size_t item)
{
    if (a->factor == 2) {
        expand_cell_body(a, item);
    } else {
        expand_row_body(a, item);
    }
}
