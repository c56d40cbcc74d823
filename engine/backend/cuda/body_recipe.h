/*
 * body_recipe.h - what the recipe's kernels do to one item: counting keys, clamping, resizing, mapping, rounding.
 *
 * The same f32 operations in the same order as engine/image/percentile.h, range.h and resize.h, so that the
 * bits are the same; nvcc must not contract them (-fmad=false).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <math.h>

#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/value.h" // IWYU pragma: export

/* Counting */

enum { RECIPE_BINS = 1 << 16, RECIPE_UPPERS = 4, RECIPE_NO_BIN = -1 };

/* Which values are counted: by the upper half of their keys, or by the lower half of those with an upper one. */
struct recipe_count_args {
    const float *value;
    uint32_t *count; /* [n_upper or 1][65536] */
    uint32_t upper[RECIPE_UPPERS];
    int32_t n_upper; /* 0: by the upper half */
};

/* The counter of value `item`, or RECIPE_NO_BIN. */
CUDA_BODY int32_t recipe_bin(const struct recipe_count_args *a, size_t item)
{
    const uint32_t bits = value_bits(a->value[item]);
    const uint32_t key = bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
    if (a->n_upper == 0) {
        return (int32_t)(key >> 16);
    }
    for (int32_t t = 0; t < a->n_upper; t++) {
        if (key >> 16 == a->upper[t]) {
            return t * RECIPE_BINS + (int32_t)(key & 0xffffU);
        }
    }
    return RECIPE_NO_BIN;
}

/* Ranges */

/* (x - low) / span * to_span + to_low */
struct recipe_map {
    float low, span, to_low, to_span;
};

CUDA_BODY struct recipe_map recipe_map_of(const double from[2], const double to[2])
{
    struct recipe_map m;
    m.low = (float)from[0];
    m.span = (float)from[1] - m.low;
    m.to_low = (float)to[0];
    m.to_span = (float)(to[1] - to[0]);
    return m;
}

CUDA_BODY float recipe_carry(const struct recipe_map *m, float x)
{
    return (x - m->low) / m->span * m->to_span + m->to_low;
}

CUDA_BODY float recipe_clamp(float x, const float low_high[2])
{
    const float raised = x < low_high[0] ? low_high[0] : x;
    return raised > low_high[1] ? low_high[1] : raised;
}

/* Resizing */

/* Where an output index of an axis lies between two inputs, and how much each weighs. */
struct recipe_tap {
    int32_t low, high;
    float from_low, from_high;
};

CUDA_BODY struct recipe_tap recipe_tap_of(int32_t i, int32_t from, int32_t to)
{
    const float scale = (float)from / (float)to;
    const float at = fmaxf(0.0F, scale * ((float)i + 0.5F) - 0.5F);
    const int32_t last = from - 1;
    const int32_t floor_at = (int32_t)at;
    struct recipe_tap t;
    t.low = floor_at < last ? floor_at : last;
    t.high = t.low < last ? t.low + 1 : t.low;
    t.from_high = fminf(fmaxf(at - (float)t.low, 0.0F), 1.0F);
    t.from_low = 1.0F - t.from_high;
    return t;
}

/* Rows and columns of slices, and those that they become. */
struct recipe_sizes {
    int32_t rows, columns, to_rows, to_columns;
};

/* The four inputs of an output pixel of all slices, and their weights. */
struct recipe_corners {
    size_t at[4]; /* upper left and right, lower left and right */
    struct recipe_tap row, column;
};

CUDA_BODY struct recipe_corners recipe_corners_of(const struct recipe_sizes *s, size_t item)
{
    const int32_t to_h_w[2] = {s->to_rows, s->to_columns};
    const struct body_pixel place = body_pixel_of(item, to_h_w);
    const size_t columns = (size_t)s->columns;
    const size_t slice0 = place.slice * (size_t)s->rows; /* its first row, of all slices' */
    struct recipe_corners c;
    c.row = recipe_tap_of(place.row, s->rows, s->to_rows);
    c.column = recipe_tap_of(place.column, s->columns, s->to_columns);
    const size_t upper = (slice0 + (size_t)c.row.low) * columns;
    const size_t lower = (slice0 + (size_t)c.row.high) * columns;
    c.at[0] = upper + (size_t)c.column.low;
    c.at[1] = upper + (size_t)c.column.high;
    c.at[2] = lower + (size_t)c.column.low;
    c.at[3] = lower + (size_t)c.column.high;
    return c;
}

CUDA_BODY float recipe_blend(const struct recipe_corners *c, const float v[4])
{
    const float upper = c->column.from_low * v[0] + c->column.from_high * v[1];
    const float lower = c->column.from_low * v[2] + c->column.from_high * v[3];
    return c->row.from_low * upper + c->row.from_high * lower;
}

/* Into the network: a chunk's slices become x_cnn and x_dino; the chunk is filled up with zeros. */
struct recipe_in_args {
    const float *volume;   /* [slices, rows, columns] */
    float *x_cnn, *x_dino; /* [chunk, to_rows, to_columns] */
    int32_t slices;
    struct recipe_sizes size;
    float clip[2];
    struct recipe_map cnn, dino;
};

/* An item is a pixel of the chunk. */
CUDA_BODY void recipe_in_body(const struct recipe_in_args *a, size_t item)
{
    const size_t pixels = (size_t)a->size.to_rows * (size_t)a->size.to_columns;
    if (item >= (size_t)a->slices * pixels) {
        a->x_cnn[item] = 0.0F;
        a->x_dino[item] = 0.0F;
        return;
    }
    const struct recipe_corners c = recipe_corners_of(&a->size, item);
    float v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = recipe_clamp(a->volume[c.at[i]], a->clip);
    }
    const float x = recipe_blend(&c, v);
    a->x_cnn[item] = recipe_carry(&a->cnn, x);
    a->x_dino[item] = recipe_carry(&a->dino, x);
}

/* Out of the network: y becomes HU on the source's matrix. */
struct recipe_out_args {
    const float *y; /* [slices, rows, columns] */
    void *hu;       /* [slices, to_rows, to_columns] f32, or 16 bits where `whole` */
    struct recipe_sizes size;
    struct recipe_map map;
    int32_t whole;
};

/* To the nearest whole number, ties to even, within 16 bits. */
CUDA_BODY float recipe_round(float x)
{
    return fminf(fmaxf(rintf(x), -32768.0F), 32767.0F);
}

/* An item is a pixel of the slices. */
CUDA_BODY void recipe_out_body(const struct recipe_out_args *a, size_t item)
{
    const struct recipe_corners c = recipe_corners_of(&a->size, item);
    float v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = recipe_carry(&a->map, a->y[c.at[i]]);
    }
    const float hu = recipe_blend(&c, v);
    if (a->whole != 0) {
        ((int16_t *)a->hu)[item] = (int16_t)recipe_round(hu);
    } else {
        ((float *)a->hu)[item] = hu;
    }
}

/* Infinities and NaN have the largest exponent. */
CUDA_BODY int recipe_is_finite(float x)
{
    return (value_bits(x) & 0x7f800000U) != 0x7f800000U;
}
