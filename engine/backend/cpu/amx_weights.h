/*
 * amx_weights.h - what amx.c and amx_tiles.c share.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/backend/cpu/amx.h" // IWYU pragma: export

enum {
    AMX_TILE = AMX_ROWS * AMX_DEPTH, /* values of an operand's tile */
    AMX_TILES = 2 * AMX_TILE,        /* of the two that make a block's columns */
};

struct amx_weights {
    int32_t columns, blocks_per_group, blocks, steps;
    bool exact;
    uint16_t *values; /* 64-byte aligned */
};

static inline size_t amx_step_values(const struct amx_weights *w)
{
    return w->exact ? 2 * (size_t)AMX_TILES : (size_t)AMX_TILES;
}

static inline size_t amx_block_values(const struct amx_weights *w)
{
    return (size_t)w->steps * amx_step_values(w);
}
