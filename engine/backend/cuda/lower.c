/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/lowering.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

/* What has neither weights nor tables: inputs of any type, output like the first or halved. */
static int lower_plain(struct lowering *w, const struct graph_op *op, enum step_kind kind)
{
    struct step s = lowering_step_of(kind, op);
    int r = 0;
    for (int32_t k = 0; r == 0 && k < 3; k++) {
        r = lowering_get_optional(w, &s.in[k], op->in[k], op);
    }
    if (r == 0) {
        const bool kept = kind == STEP_MAX_POOL || kind == STEP_UPSAMPLE;
        r = lowering_new_form(w, &s.out, op->out,
                              kept ? w->p->buffer[s.in[0]].type : lowering_map_type(w, op->out));
    }
    return r < 0 ? r : lowering_add_step(w, &s);
}

static int lower_op(struct lowering *w, const struct graph_op *op)
{
    switch (op->kind) {
    case GRAPH_PATCH_TOKENS:
        return lower_vit_patch_tokens(w, op);
    case GRAPH_LAYER_NORM:
        return lower_vit_norm(w, op);
    case GRAPH_LINEAR:
        return lower_vit_linear(w, op);
    case GRAPH_ATTENTION:
        return lower_vit_attention(w, op);
    case GRAPH_CONV:
        return lower_conv(w, op);
    case GRAPH_SWIGLU:
        return lower_plain(w, op, STEP_SWIGLU);
    case GRAPH_MAX_POOL:
        return lower_plain(w, op, STEP_MAX_POOL);
    case GRAPH_UPSAMPLE:
        return lower_plain(w, op, STEP_UPSAMPLE);
    case GRAPH_ADD:
        return lower_plain(w, op, STEP_ADD);
    case GRAPH_MEAN:
        return lower_plain(w, op, STEP_MEAN);
    case GRAPH_GATE:
        return lower_plain(w, op, STEP_GATE);
    case GRAPH_SCALE_ADD:
        break;
    }
    return lower_plain(w, op, STEP_SCALE_ADD);
}

/* The inputs as they come: one channel, f32, there from the start. */
static int add_inputs(struct lowering *w)
{
    const struct graph_tensor *t = &w->graph->tensor[GRAPH_X_CNN];
    const struct program_buffer b = {.h = t->h, .w = t->w, .c = 1, .stride = 1, .type = VALUE_F32};
    int r = program_add_buffer(&w->p->x_cnn, w->p, &b, w->err);
    if (r == 0) {
        r = program_add_buffer(&w->p->x_dino, w->p, &b, w->err);
    }
    if (r == 0) {
        w->p->buffer[w->p->x_cnn].first = 0;
        w->p->buffer[w->p->x_cnn].last = 0;
        w->p->buffer[w->p->x_dino].first = 0;
        w->p->buffer[w->p->x_dino].last = 0;
    }
    return r;
}

/* Output i of the program as it leaves the device; there until the end. */
static int add_output(struct lowering *w, int32_t i, int32_t tensor)
{
    const struct graph_op *op = &w->graph->op[w->graph->n_ops - 1];
    struct step s = lowering_step_of(STEP_CONVERT, op);
    if (i == 0 && w->y_direct != PROGRAM_NONE) {
        w->p->output[0] = w->y_direct;
        return 0;
    }
    s.in[0] = lowering_find_source(w, tensor);
    int r = lowering_new_output(w, &s.out, tensor);
    if (r == 0) {
        w->p->output[i] = s.out;
        r = lowering_add_step(w, &s);
    }
    return r;
}

static int add_outputs(struct lowering *w)
{
    int r = add_output(w, 0, w->graph->y);
    for (int32_t i = 0; r == 0 && i < w->options->n_taps; i++) {
        r = add_output(w, 1 + i, w->options->taps[i]);
    }
    for (int32_t i = 0; r == 0 && i < w->p->n_outputs; i++) {
        w->p->buffer[w->p->output[i]].last = w->p->n_steps;
    }
    return r;
}

int program_lower(struct program *p, const struct graph *graph,
                  const struct backend_options *options, struct sctd_error *err)
{
    struct lowering w = {
        .p = p, .graph = graph, .options = options, .y_direct = PROGRAM_NONE, .err = err};
    int r = lowering_init(&w);
    if (r == 0) {
        r = add_inputs(&w);
    }
    for (int32_t i = 0; r == 0 && i < graph->n_ops; i++) {
        if (w.survey.live[i] && !w.folded[i]) {
            r = lower_op(&w, &graph->op[i]);
        }
    }
    if (r == 0) {
        r = add_outputs(&w);
    }
    lowering_fini(&w);
    return r;
}
