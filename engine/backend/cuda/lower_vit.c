/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/backend/cuda/lowering.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/backend/survey.h"
#include "engine/base/error.h"

enum { PATCH = 16, MAX_HEAD_WIDTH = 256 };

static int add_table(struct lowering *w, int32_t *ret_weight, const struct graph_op *op,
                     int32_t rows, const int32_t row_stride[2])
{
    const struct program_weight t = {.kind = WEIGHT_TABLE,
                                     .source = WEIGHT_OF_EXTRA,
                                     .op = lowering_op_index(w, op),
                                     .type = VALUE_F32,
                                     .rows = rows,
                                     .taps = 1,
                                     .row = row_stride[0],
                                     .stride = row_stride[1]};
    return program_add_weight(ret_weight, w->p, &t, w->err);
}

int lower_vit_patch_tokens(struct lowering *w, const struct graph_op *op)
{
    const struct graph_tensor *image = &w->graph->tensor[op->in[0]];
    const int32_t channels = w->graph->tensor[op->out].c;
    const int32_t patches = image->h / PATCH * (image->w / PATCH);
    const int32_t values = PATCH * PATCH;
    struct step patchify = lowering_step_of(STEP_PATCHIFY, op);
    struct step product = lowering_step_of(STEP_LINEAR, op);
    struct step tokens = lowering_step_of(STEP_TOKENS, op);
    if (!lowering_is_input(op->in[0])) {
        return sctd_error(w->err, SCTD_EINVAL, "patches of something that is no input");
    }
    patchify.in[0] = lowering_input_buffer(w, op->in[0]);
    int r =
        lowering_new_buffer(w, &patchify.out, (const int32_t[]){1, patches, values}, w->p->half);
    if (r == 0) {
        r = lowering_add_step(w, &patchify);
    }
    product.in[0] = patchify.out;
    if (r == 0) {
        r = lowering_add_rows(w, &product.weight, op, (const int32_t[]){0, values}, 1);
    }
    if (r == 0) {
        r = lowering_new_buffer(w, &product.out, (const int32_t[]){1, patches, channels},
                                VALUE_F32);
    }
    if (r == 0) {
        r = lowering_add_step(w, &product);
    }
    tokens.in[0] = product.out;
    if (r == 0) {
        r = lowering_add_vector(w, &tokens.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = add_table(w, &tokens.table, op, op->prefix,
                      (const int32_t[]){channels, program_pad(channels)});
    }
    if (r == 0) {
        r = lowering_new_form(w, &tokens.out, op->out, VALUE_F32);
    }
    return r < 0 ? r : lowering_add_step(w, &tokens);
}

int lower_vit_norm(struct lowering *w, const struct graph_op *op)
{
    struct step s = lowering_step_of(STEP_NORM, op);
    int r = lowering_get_any(w, &s.in[0], op->in[0], op);
    if (r == 0) {
        r = lowering_add_vector(w, &s.weight, op, WEIGHT_OF_WEIGHT, VALUE_F32);
    }
    if (r == 0) {
        r = lowering_add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = lowering_new_form(w, &s.out, op->out, lowering_map_type(w, op->out));
    }
    return r < 0 ? r : lowering_add_step(w, &s);
}

/*
 * The activation of a product, which cuBLASLt has only by tanh: in place, but in bf16 from f32, so that it is
 * rounded once.
 */
static int lower_activated(struct lowering *w, const struct graph_op *op, struct step *s,
                           int32_t type)
{
    const struct graph_tensor *t = &w->graph->tensor[op->out];
    struct step act = lowering_step_of(STEP_ACT, op);
    const bool apart = type == VALUE_BF16;
    act.act = op->act;
    int r = lowering_get_optional(w, &act.in[2], op->in[1], op);
    if (r == 0) {
        r = lowering_new_form(w, &act.out, op->out, type);
    }
    s->out = act.out;
    if (r == 0 && apart) {
        r = lowering_new_buffer(w, &s->out, (const int32_t[]){t->h, t->w, t->c}, VALUE_F32);
    }
    if (r == 0) {
        r = lowering_add_vector(w, &s->bias, op, WEIGHT_OF_BIAS, apart ? VALUE_F32 : type);
    }
    if (r == 0) {
        r = lowering_add_step(w, s);
    }
    act.in[0] = s->out;
    return r < 0 ? r : lowering_add_step(w, &act);
}

/* A product with a residual is the transformer's stream, which is f32 always. */
int lower_vit_linear(struct lowering *w, const struct graph_op *op)
{
    struct step s = lowering_step_of(STEP_LINEAR, op);
    const int32_t type = op->in[1] == GRAPH_NONE ? w->p->half : VALUE_F32;
    int r = lowering_get_form(w, &s.in[0], op->in[0], w->p->half, op);
    if (r == 0) {
        r = lowering_add_rows(w, &s.weight, op, (const int32_t[]){0, w->graph->tensor[op->in[0]].c},
                              1);
    }
    if (r < 0 || op->act != GRAPH_ACT_NONE) {
        return r < 0 ? r : lower_activated(w, op, &s, type);
    }
    if (op->in[1] != GRAPH_NONE) {
        r = lowering_get_form(w, &s.in[1], op->in[1], type, op);
    }
    if (r == 0) {
        r = lowering_add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, type);
    }
    if (r == 0) {
        r = lowering_new_form(w, &s.out, op->out, type);
    }
    return r < 0 ? r : lowering_add_step(w, &s);
}

int lower_vit_attention(struct lowering *w, const struct graph_op *op)
{
    const struct graph_tensor *t = &w->graph->tensor[op->out];
    struct step rope = lowering_step_of(STEP_ROPE, op);
    struct step attention = lowering_step_of(STEP_ATTENTION, op);
    const int32_t width = t->c / op->heads;
    const int32_t turned = t->w - op->prefix;
    if (width > MAX_HEAD_WIDTH) {
        return sctd_error(w->err, SCTD_EINVAL, "heads of %d channels: at most %d are possible",
                          width, MAX_HEAD_WIDTH);
    }
    int r = lowering_get_form(w, &rope.in[0], op->in[0], w->p->half, op);
    if (r == 0 && !survey_is_private(&w->survey, op->in[0])) {
        /* Others read it too: turn a copy. */
        struct step copy = lowering_step_of(STEP_CONVERT, op);
        const struct program_buffer b = w->p->buffer[rope.in[0]];
        copy.in[0] = rope.in[0];
        r = lowering_new_buffer(w, &copy.out, (const int32_t[]){b.h, b.w, b.c}, b.type);
        if (r == 0) {
            r = lowering_add_step(w, &copy);
        }
        rope.in[0] = copy.out;
    }
    rope.out = rope.in[0];
    rope.width = width;
    if (r == 0) {
        r = add_table(w, &rope.table, op, 2 * turned, (const int32_t[]){width, width});
    }
    if (r == 0) {
        r = lowering_add_step(w, &rope);
    }
    attention.in[0] = rope.out;
    attention.width = width;
    if (r == 0) {
        r = lowering_new_form(w, &attention.out, op->out, w->p->half);
    }
    return r < 0 ? r : lowering_add_step(w, &attention);
}
