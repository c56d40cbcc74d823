/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/lowering.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"

int lowering_new_buffer(struct lowering *w, int32_t *ret_buffer, const int32_t dim[3], int32_t type)
{
    const struct program_buffer b = {
        .h = dim[0], .w = dim[1], .c = dim[2], .stride = program_pad(dim[2]), .type = type};
    return program_add_buffer(ret_buffer, w->p, &b, w->err);
}

int lowering_new_form(struct lowering *w, int32_t *ret_buffer, int32_t tensor, int32_t type)
{
    const struct graph_tensor *t = &w->graph->tensor[tensor];
    int r = lowering_new_buffer(w, ret_buffer, (const int32_t[]){t->h, t->w, t->c}, type);
    if (r == 0) {
        w->form[tensor].of[type] = *ret_buffer;
    }
    return r;
}

struct step lowering_step_of(enum step_kind kind, const struct graph_op *op)
{
    return (struct step){.kind = kind,
                         .stage = op->stage,
                         .in = {PROGRAM_NONE, PROGRAM_NONE, PROGRAM_NONE, PROGRAM_NONE},
                         .out = PROGRAM_NONE,
                         .weight = PROGRAM_NONE,
                         .bias = PROGRAM_NONE,
                         .table = PROGRAM_NONE,
                         .kernel = op->kernel,
                         .factor = op->factor,
                         .heads = op->heads,
                         .prefix = op->prefix,
                         .eps = op->eps};
}

int lowering_add_step(struct lowering *w, const struct step *step)
{
    return program_add_step(w->p, step, w->err);
}

int32_t lowering_input_buffer(const struct lowering *w, int32_t tensor)
{
    return tensor == GRAPH_X_CNN ? w->p->x_cnn : w->p->x_dino;
}

int32_t lowering_find_source(const struct lowering *w, int32_t tensor)
{
    for (int32_t i = 0; i < LOWERING_TYPES; i++) {
        if (w->form[tensor].of[i] != PROGRAM_NONE) {
            return w->form[tensor].of[i];
        }
    }
    return lowering_input_buffer(w, tensor);
}

int lowering_get_form(struct lowering *w, int32_t *ret_buffer, int32_t tensor, int32_t type,
                      const struct graph_op *op)
{
    if (w->form[tensor].of[type] != PROGRAM_NONE) {
        *ret_buffer = w->form[tensor].of[type];
        return 0;
    }
    struct step s = lowering_step_of(STEP_CONVERT, op);
    s.in[0] = lowering_find_source(w, tensor);
    int r = lowering_new_form(w, &s.out, tensor, type);
    if (r == 0) {
        r = lowering_add_step(w, &s);
    }
    *ret_buffer = s.out;
    return r;
}

int lowering_get_any(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                     const struct graph_op *op)
{
    for (int32_t i = 0; i < LOWERING_TYPES; i++) {
        if (w->form[tensor].of[i] != PROGRAM_NONE) {
            *ret_buffer = w->form[tensor].of[i];
            return 0;
        }
    }
    return lowering_get_form(w, ret_buffer, tensor, VALUE_F32, op);
}

int lowering_get_optional(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                          const struct graph_op *op)
{
    return tensor == GRAPH_NONE ? 0 : lowering_get_any(w, ret_buffer, tensor, op);
}

int lowering_new_output(struct lowering *w, int32_t *ret_buffer, int32_t tensor)
{
    const struct graph_tensor *t = &w->graph->tensor[tensor];
    const struct program_buffer b = {
        .h = t->h, .w = t->w, .c = t->c, .stride = t->c, .type = VALUE_F32};
    return program_add_buffer(ret_buffer, w->p, &b, w->err);
}

int lowering_add_vector(struct lowering *w, int32_t *ret_weight, const struct graph_op *op,
                        enum weight_source source, int32_t type)
{
    const struct program_weight v = {.kind = WEIGHT_VECTOR,
                                     .source = source,
                                     .op = lowering_op_index(w, op),
                                     .type = type,
                                     .rows = w->graph->tensor[op->out].c,
                                     .taps = 1};
    return program_add_weight(ret_weight, w->p, &v, w->err);
}

int lowering_add_rows(struct lowering *w, int32_t *ret_weight, const struct graph_op *op,
                      const int32_t row0_row[2], int32_t taps)
{
    const struct program_weight rows = {.kind = WEIGHT_ROWS,
                                        .source = WEIGHT_OF_WEIGHT,
                                        .op = lowering_op_index(w, op),
                                        .type = lowering_product_type(w, op),
                                        .tf32 = w->options->precision != BACKEND_FP32,
                                        .rows = w->graph->tensor[op->out].c,
                                        .taps = taps,
                                        .row0 = row0_row[0],
                                        .row = row0_row[1],
                                        .stride = program_pad(row0_row[1])};
    return program_add_weight(ret_weight, w->p, &rows, w->err);
}
