/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/backend/kernel_round.h"

/* The weight of output `o`, input channel `i` and tap `tap`, of rows of `inputs` channels. */
static float scaled(const struct graph_op *op, size_t o, size_t i, size_t tap, size_t inputs,
                    size_t taps)
{
    const float weight = op->weight[(o * inputs + i) * taps + tap];
    return op->scale == NULL ? weight : (float)((double)weight * op->scale[o]);
}

/* Input channels of a whole row of the graph's weight, of which a program's weight may be a part. */
static size_t inputs_of(const struct graph *graph, const struct graph_op *op)
{
    if (op->kind == GRAPH_PATCH_TOKENS) {
        return 256;
    }
    const size_t first = (size_t)graph->tensor[op->in[0]].c;
    const bool two = op->kind == GRAPH_CONV && op->in[1] != GRAPH_NONE;
    return two ? first + (size_t)graph->tensor[op->in[1]].c : first;
}

static uint32_t to_f16(float x)
{
    return value_to_f16(x);
}

static float of_f16(uint32_t bits)
{
    return value_of_f16((uint16_t)bits);
}

static uint32_t to_bf16(float x)
{
    return value_to_bf16(x);
}

static float of_bf16(uint32_t bits)
{
    return value_of_bf16((uint16_t)bits);
}

/* tf32 is f32 without its last 13 bits. */
static uint32_t to_tf32(float x)
{
    return (value_bits(x) + 0xfffU + ((value_bits(x) >> 13) & 1U)) >> 13;
}

static float of_tf32(uint32_t bits)
{
    return value_of_bits(bits << 13);
}

/* The nine weights of a 3x3 kernel, rounded together to what the product will round them to. */
static void round_kernel(float weight[KERNEL_ROUND], const struct program_weight *w)
{
    uint32_t rounded[KERNEL_ROUND];
    float (*back)(uint32_t) = NULL;
    if (w->type == VALUE_F16) {
        kernel_round(rounded, weight, to_f16, of_f16);
        back = of_f16;
    } else if (w->type == VALUE_BF16) {
        kernel_round(rounded, weight, to_bf16, of_bf16);
        back = of_bf16;
    } else if (w->tf32) {
        kernel_round(rounded, weight, to_tf32, of_tf32);
        back = of_tf32;
    }
    for (size_t i = 0; back != NULL && i < KERNEL_ROUND; i++) {
        weight[i] = back(rounded[i]);
    }
}

/* Where input `i` of a row lies in it. */
static size_t place_of(const struct program_weight *w, size_t i)
{
    const size_t split = (size_t)w->split;
    return i < split ? i : i - split + (size_t)program_pad(w->split);
}

/* One output's weights for one of its inputs, by tap. */
static void pack_kernel(const struct program_weight *w, const struct graph_op *op,
                        const size_t o_i[2], size_t inputs, void *bytes)
{
    float weight[KERNEL_ROUND];
    for (size_t tap = 0; tap < (size_t)w->taps; tap++) {
        weight[tap] = scaled(op, o_i[0], (size_t)w->row0 + o_i[1], tap, inputs, (size_t)w->taps);
    }
    if (w->taps == KERNEL_ROUND) {
        round_kernel(weight, w);
    }
    for (size_t tap = 0; tap < (size_t)w->taps; tap++) {
        const size_t row = w->kind == WEIGHT_SPREAD ? tap * (size_t)program_pad(w->rows) + o_i[0]
                                                    : o_i[0] * (size_t)w->taps + tap;
        value_store(bytes, w->type, row * (size_t)w->stride + place_of(w, o_i[1]), weight[tap]);
    }
}

static void pack_rows(const struct program_weight *w, const struct graph_op *op, size_t inputs,
                      void *bytes)
{
    for (size_t o = 0; o < (size_t)w->rows; o++) {
        for (size_t i = 0; i < (size_t)w->row; i++) {
            pack_kernel(w, op, (const size_t[]){o, i}, inputs, bytes);
        }
    }
}

static void pack_taps(const struct program_weight *w, const struct graph_op *op, void *bytes)
{
    const size_t stride = (size_t)program_pad(w->rows);
    for (size_t o = 0; o < (size_t)w->rows; o++) {
        for (size_t tap = 0; tap < (size_t)w->taps; tap++) {
            value_store(bytes, w->type, tap * stride + o,
                        scaled(op, o, 0, tap, 1, (size_t)w->taps));
        }
    }
}

static void pack_row(const struct program_weight *w, const struct graph_op *op, void *bytes)
{
    const size_t stride = (size_t)w->stride;
    for (size_t tap = 0; tap < (size_t)w->taps; tap++) {
        for (size_t i = 0; i < (size_t)w->row; i++) {
            value_store(bytes, w->type, tap * stride + i,
                        scaled(op, 0, i, tap, (size_t)w->row, (size_t)w->taps));
        }
    }
}

static void pack_vector(const struct program_weight *w, const float *values, void *bytes)
{
    for (size_t o = 0; values != NULL && o < (size_t)w->rows; o++) {
        value_store(bytes, w->type, o, values[o]);
    }
}

static void pack_table(const struct program_weight *w, const float *values, void *bytes)
{
    for (size_t o = 0; values != NULL && o < (size_t)w->rows; o++) {
        memcpy((float *)bytes + o * (size_t)w->stride, values + o * (size_t)w->row,
               (size_t)w->row * sizeof *values);
    }
}

void program_pack(const struct program *p, const struct graph *graph, int32_t i, void *ret_bytes)
{
    const struct program_weight *w = &p->weight[i];
    const struct graph_op *op = &graph->op[w->op];
    memset(ret_bytes, 0, w->bytes);
    switch (w->kind) {
    case WEIGHT_ROWS:
    case WEIGHT_SPREAD:
        pack_rows(w, op, inputs_of(graph, op), ret_bytes);
        break;
    case WEIGHT_TAPS:
        pack_taps(w, op, ret_bytes);
        break;
    case WEIGHT_ROW:
        pack_row(w, op, ret_bytes);
        break;
    case WEIGHT_VECTOR:
        pack_vector(w, w->source == WEIGHT_OF_BIAS ? op->bias : op->weight, ret_bytes);
        break;
    case WEIGHT_TABLE:
        pack_table(w, op->extra, ret_bytes);
        break;
    }
}
