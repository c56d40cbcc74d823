/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/cuda/lowering.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/backend/survey.h"
#include "engine/base/error.h"

/*
 * Products whose rounding to bf16 shows most in the output for what they cost: the encoder's and the fusion's of its
 * deepest level, on which all the rest is built; the 3x3 convolutions that lead to a map of another number of
 * channels, since no residual carries what they lose past them; the merges of two maps; and those made on a coarse
 * map, whose errors spread over what it is upsampled to.  In bf16 they run in tf32.
 */
static bool is_sensitive(const struct lowering *w, const struct graph_op *op)
{
    if (w->p->half != VALUE_BF16 || op->kind != GRAPH_CONV) {
        return false;
    }
    if (op->kernel == 1 || op->stage == GRAPH_ENCODER || w->expanded[lowering_op_index(w, op)]) {
        return true;
    }
    const struct graph_tensor *in = &w->graph->tensor[op->in[0]];
    const struct graph_tensor *out = &w->graph->tensor[op->out];
    return in->c != out->c || (op->stage == GRAPH_FUSION && out->h == w->survey.deepest);
}

int32_t lowering_upsampled_tensor(const struct lowering *w, const struct graph_op *op)
{
    return w->graph->op[w->survey.producer[op->in[0]]].in[0];
}

int32_t lowering_product_type(const struct lowering *w, const struct graph_op *op)
{
    return is_sensitive(w, op) ? VALUE_F32 : w->p->half;
}

int32_t lowering_map_type(const struct lowering *w, int32_t tensor)
{
    return w->fine[tensor] ? VALUE_F32 : w->p->half;
}

/* Whether an operation reads input `k` as a product's operand, to be rounded. */
static bool is_operand(const struct graph_op *op, int32_t k)
{
    return (op->kind == GRAPH_CONV && k < 2) || op->kind == GRAPH_LINEAR ||
           op->kind == GRAPH_ATTENTION;
}

/*
 * In bf16 a map is kept in f32 where a sensitive convolution reads it, or what is no product: what is
 * added, pooled or upsampled is then rounded only once, where it goes into a product.
 */
static void mark_fine(struct lowering *w, const struct graph_op *op)
{
    for (int32_t k = 0; w->p->half == VALUE_BF16 && k < 3; k++) {
        if (op->in[k] != GRAPH_NONE && (is_sensitive(w, op) || !is_operand(op, k))) {
            const bool through = k == 0 && w->expanded[lowering_op_index(w, op)];
            w->fine[through ? lowering_upsampled_tensor(w, op) : op->in[k]] = true;
        }
    }
}

bool lowering_is_last_conv(const struct lowering *w, const struct graph_op *op)
{
    for (int32_t i = 0; i < w->options->n_taps; i++) {
        if (w->options->taps[i] == op->out) {
            return false;
        }
    }
    return op->out == w->graph->y && w->survey.consumers[op->out] == 0 && op->in[1] == GRAPH_NONE &&
           op->in[2] == GRAPH_NONE && w->graph->tensor[op->out].c == 1;
}

/*
 * A 3x3 convolution of an upsample that nobody else reads is made of products on the coarse map (body_expand.h):
 * a quarter of the multiplications or fewer, and no upsampled map.
 */
static void mark_expanded(struct lowering *w, const struct graph_op *op)
{
    if (op->kind != GRAPH_CONV || op->kernel != 3 || op->in[1] != GRAPH_NONE ||
        !survey_is_private(&w->survey, op->in[0]) || lowering_is_last_conv(w, op)) {
        return;
    }
    const int32_t producer = w->survey.producer[op->in[0]];
    if (producer != GRAPH_NONE && w->graph->op[producer].kind == GRAPH_UPSAMPLE &&
        !lowering_is_input(w->graph->op[producer].in[0])) {
        w->expanded[lowering_op_index(w, op)] = true;
        w->folded[producer] = true;
    }
}

static void prepare(struct lowering *w)
{
    for (int32_t t = 0; t < w->graph->n_tensors; t++) {
        for (int32_t i = 0; i < LOWERING_TYPES; i++) {
            w->form[t].of[i] = PROGRAM_NONE;
        }
    }
    for (int32_t i = 0; i < w->graph->n_ops; i++) {
        if (w->survey.live[i]) {
            mark_expanded(w, &w->graph->op[i]);
        }
    }
    for (int32_t i = 0; i < w->graph->n_ops; i++) {
        if (w->survey.live[i] && !w->folded[i]) {
            mark_fine(w, &w->graph->op[i]);
        }
    }
}

int lowering_init(struct lowering *w)
{
    const size_t tensors = (size_t)w->graph->n_tensors;
    w->form = calloc(tensors, sizeof *w->form);
    w->folded = calloc((size_t)w->graph->n_ops, sizeof *w->folded);
    w->expanded = calloc((size_t)w->graph->n_ops, sizeof *w->expanded);
    w->fine = calloc(tensors, sizeof *w->fine);
    if (w->form == NULL || w->folded == NULL || w->expanded == NULL || w->fine == NULL) {
        return sctd_error(w->err, SCTD_ENOMEM, "lowering");
    }
    int r = survey_make(&w->survey, w->graph, w->options->taps, w->options->n_taps, w->err);
    if (r == 0) {
        prepare(w);
    }
    return r;
}

void lowering_fini(struct lowering *w)
{
    free(w->form);
    survey_fini(&w->survey);
    free(w->folded);
    free(w->expanded);
    free(w->fine);
}
