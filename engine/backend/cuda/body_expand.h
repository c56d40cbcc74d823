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

enum { EXPAND_KERNEL = 3, EXPAND_SLOTS = 3 };

struct expand_args {
    struct operand z;          /* [slices, h, w, 9, stride of y] */
    struct finish_args finish; /* y [slices, h * factor, w * factor]; its x is not used */
    int32_t h, w, factor;      /* h and w: the coarse map's */
    int32_t run;               /* cells of an item, one after the other; divides w */
    int32_t tile;              /* output rows whose items follow each other; divides their number */
};

/* How much slot `slot` weighs for a neighbour `at` rows or columns from the cell's first. */
CUDA_BODY float expand_weight(int32_t at, int32_t slot, int32_t factor)
{
    const float place = ((float)at + 0.5F) / (float)factor + 0.5F; /* in slots */
    const float far = fabsf(place - (float)slot);
    return far < 1.0F ? 1.0F - far : 0.0F;
}

CUDA_BODY int32_t expand_clamp(int32_t i, int32_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* An item's slice, row of the output, first cell and channels. */
struct expand_place {
    size_t slice;
    int32_t row, cell, channel;
};

/*
 * Neighbouring items are neighbouring channels; then come the rows of a tile, which share what they read, then the
 * runs along them.
 */
CUDA_BODY struct expand_place expand_place_of(const struct expand_args *a, size_t item)
{
    const uint32_t groups = (uint32_t)a->finish.y.stride / VALUE_LANES;
    const uint32_t runs = (uint32_t)(a->w / a->run);
    const uint32_t rows = (uint32_t)(a->h * a->factor);
    const struct body_split slice = body_split_of(item, (int32_t)(groups * runs * rows));
    const uint32_t at = (uint32_t)slice.low;
    const uint32_t in_tile = at / groups % (uint32_t)a->tile;
    const uint32_t run = at / groups / (uint32_t)a->tile;
    struct expand_place p;
    p.slice = slice.high;
    p.channel = (int32_t)(at % groups * VALUE_LANES);
    p.row = (int32_t)(run / runs * (uint32_t)a->tile + in_tile);
    p.cell = (int32_t)(run % runs) * a->run;
    return p;
}

/* For an output row, the two coarse rows that each of the kernel's rows lies between. */
struct expand_rows {
    const unsigned char *slice;    /* its products, from the item's channels on */
    uint32_t at[EXPAND_KERNEL][2]; /* values to those of the row's first tap in the first column */
    float weight[EXPAND_KERNEL][2];
};

CUDA_BODY struct expand_rows expand_rows_of(const struct expand_args *a,
                                            const struct expand_place *p)
{
    const int32_t cell_row = p->row / a->factor;
    const int32_t stride = a->finish.y.stride;
    const size_t before = p->slice * (size_t)a->h * (size_t)a->w * (size_t)a->z.stride;
    struct expand_rows rows;
    rows.slice =
        (const unsigned char *)a->z.data + (before + (size_t)p->channel) * value_size(a->z.type);
    CUDA_UNROLL
    for (int32_t k = 0; k < EXPAND_KERNEL; k++) {
        const int32_t at = p->row % a->factor + k - 1;
        const int32_t neighbour = p->row + k - 1;
        const float inside = neighbour >= 0 && neighbour < a->h * a->factor ? 1.0F : 0.0F;
        const int32_t low =
            2 * at + 1 < a->factor ? 0 : 1; /* the first slot that weighs anything */
        CUDA_UNROLL
        for (int32_t i = 0; i < 2; i++) {
            const uint32_t row = (uint32_t)expand_clamp(cell_row + low + i - 1, a->h);
            rows.at[k][i] =
                row * (uint32_t)(a->w * a->z.stride) + (uint32_t)(k * EXPAND_KERNEL * stride);
            rows.weight[k][i] = inside * expand_weight(at, low + i, a->factor);
        }
    }
    return rows;
}

CUDA_BODY void expand_add(struct lanes *sum, const struct lanes *x, float weight)
{
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        sum->v[i] += weight * x->v[i];
    }
}

CUDA_BODY struct lanes expand_zero(void)
{
    struct lanes zero = {{0.0F}};
    CUDA_UNROLL
    for (int i = 0; i < VALUE_LANES; i++) {
        zero.v[i] = 0.0F;
    }
    return zero;
}

/* Column `tap` of the kernel, its three taps above each other, brought to the output row; x: of a coarse column. */
CUDA_BODY struct lanes expand_tap(const struct expand_args *a, const struct expand_rows *rows,
                                  uint32_t x, int32_t tap)
{
    struct lanes sum = expand_zero();
    CUDA_UNROLL
    for (int32_t k = 0; k < EXPAND_KERNEL; k++) {
        CUDA_UNROLL
        for (int32_t i = 0; i < 2; i++) {
            const uint32_t from = rows->at[k][i] + x + (uint32_t)(tap * a->finish.y.stride);
            const struct lanes z = lanes_load(rows->slice, a->z.type, from);
            expand_add(&sum, &z, rows->weight[k][i]);
        }
    }
    return sum;
}

/* All three columns of the kernel at a coarse column. */
CUDA_BODY void expand_column(struct lanes column[EXPAND_KERNEL], const struct expand_args *a,
                             const struct expand_rows *rows, int32_t cell)
{
    const uint32_t x = (uint32_t)(expand_clamp(cell, a->w) * a->z.stride);
    CUDA_UNROLL
    for (int32_t tap = 0; tap < EXPAND_KERNEL; tap++) {
        column[tap] = expand_tap(a, rows, x, tap);
    }
}

/* The output `i` columns from the first of a cell, from the columns of the kernel at the cell's three slots. */
CUDA_BODY void expand_pixel(const struct expand_args *a, const struct expand_place *p, int32_t cell,
                            int32_t i, struct lanes column[EXPAND_SLOTS][EXPAND_KERNEL])
{
    const size_t rows = (size_t)a->h * (size_t)a->factor;
    const int32_t columns = a->w * a->factor;
    const int32_t x = cell * a->factor + i;
    const size_t pixel = (p->slice * rows + (size_t)p->row) * (size_t)columns + (size_t)x;
    struct lanes sum = expand_zero();
    CUDA_UNROLL
    for (int32_t tap = 0; tap < EXPAND_KERNEL; tap++) {
        const int32_t neighbour = x + tap - 1;
        const float inside = neighbour >= 0 && neighbour < columns ? 1.0F : 0.0F;
        CUDA_UNROLL
        for (int32_t slot = 0; slot < EXPAND_SLOTS; slot++) {
            expand_add(&sum, &column[slot][tap],
                       inside * expand_weight(i + tap - 1, slot, a->factor));
        }
    }
    const struct lanes v = finish_lanes(&a->finish, sum, pixel, (size_t)p->channel);
    lanes_store(a->finish.y.data, a->finish.y.type,
                pixel * (size_t)a->finish.y.stride + (size_t)p->channel, &v);
}

/* An item: the outputs of a run of cells in one row, eight channels of each. */
CUDA_BODY void expand_body(const struct expand_args *a, size_t item)
{
    const struct expand_place p = expand_place_of(a, item);
    const struct expand_rows rows = expand_rows_of(a, &p);
    struct lanes column[EXPAND_SLOTS][EXPAND_KERNEL];
    expand_column(column[1], a, &rows, p.cell - 1);
    expand_column(column[2], a, &rows, p.cell);
    for (int32_t cell = p.cell; cell < p.cell + a->run; cell++) {
        CUDA_UNROLL
        for (int32_t tap = 0; tap < EXPAND_KERNEL; tap++) {
            column[0][tap] = column[1][tap];
            column[1][tap] = column[2][tap];
        }
        expand_column(column[2], a, &rows, cell + 1);
        for (int32_t i = 0; i < a->factor; i++) {
            expand_pixel(a, &p, cell, i, column);
        }
    }
}
