/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cuda/lowering.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/backend/survey.h"

static bool is_first_conv(const struct graph_op *op)
{
    return lowering_is_input(op->in[0]) && op->in[1] == GRAPH_NONE && op->in[2] == GRAPH_NONE;
}

static int lower_first_conv(struct lowering *w, const struct graph_op *op)
{
    struct step s = lowering_step_of(STEP_FIRST_CONV, op);
    const struct program_weight taps = {.kind = WEIGHT_TAPS,
                                        .source = WEIGHT_OF_WEIGHT,
                                        .op = lowering_op_index(w, op),
                                        .type = VALUE_F32,
                                        .rows = w->graph->tensor[op->out].c,
                                        .taps = op->kernel * op->kernel,
                                        .row = 1,
                                        .stride = 1};
    s.in[0] = lowering_input_buffer(w, op->in[0]);
    s.act = op->act;
    int r = program_add_weight(&s.weight, w->p, &taps, w->err);
    if (r == 0) {
        r = lowering_add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = lowering_new_form(w, &s.out, op->out, lowering_map_type(w, op->out));
    }
    return r < 0 ? r : lowering_add_step(w, &s);
}

static int lower_last_conv(struct lowering *w, const struct graph_op *op)
{
    struct step s = lowering_step_of(STEP_LAST_CONV, op);
    const int32_t channels = w->graph->tensor[op->in[0]].c;
    const struct program_weight row = {.kind = WEIGHT_ROW,
                                       .source = WEIGHT_OF_WEIGHT,
                                       .op = lowering_op_index(w, op),
                                       .type = VALUE_F32,
                                       .rows = 1,
                                       .taps = op->kernel * op->kernel,
                                       .row = channels,
                                       .stride = program_pad(channels)};
    s.act = op->act;
    int r = lowering_get_any(w, &s.in[0], op->in[0], op);
    if (r == 0) {
        r = program_add_weight(&s.weight, w->p, &row, w->err);
    }
    if (r == 0) {
        r = lowering_add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = lowering_new_output(w, &s.out, op->out);
    }
    w->y_direct = s.out;
    return r < 0 ? r : lowering_add_step(w, &s);
}

/* ADD that only adds a skip, which is there already, to a convolution's output, or NULL. */
static const struct graph_op *skip_after(const struct lowering *w, const struct graph_op *op)
{
    if (!survey_is_private(&w->survey, op->out)) {
        return NULL;
    }
    const struct graph_op *add = &w->graph->op[w->survey.consumer[op->out]];
    if (add->kind != GRAPH_ADD || add->in[0] == add->in[1]) {
        return NULL;
    }
    const int32_t skip = add->in[0] == op->out ? add->in[1] : add->in[0];
    return w->survey.producer[skip] < lowering_op_index(w, op) ? add : NULL;
}

/* The first half of a convolution of two maps: a sum without bias that the second half goes on from. */
static int lower_first_half(struct lowering *w, const struct graph_op *op, int32_t *ret_sum)
{
    const struct graph_tensor *t = &w->graph->tensor[op->out];
    struct step s = lowering_step_of(STEP_CONV, op);
    const int32_t part[2] = {0, w->graph->tensor[op->in[0]].c};
    int r = lowering_get_form(w, &s.in[0], op->in[0], lowering_product_type(w, op), op);
    if (r == 0) {
        r = lowering_add_rows(w, &s.weight, op, part, op->kernel * op->kernel);
    }
    if (r == 0) {
        r = lowering_new_buffer(w, &s.out, (const int32_t[]){t->h, t->w, t->c}, VALUE_F32);
    }
    *ret_sum = s.out;
    return r < 0 ? r : lowering_add_step(w, &s);
}

/* A convolution's last step: its bias, what is added behind the activation, and where it goes. */
static int finish_conv(struct lowering *w, const struct graph_op *op, struct step *s)
{
    const struct graph_op *add = skip_after(w, op);
    s->act = op->act;
    int r = lowering_add_vector(w, &s->bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    if (r == 0) {
        r = lowering_get_optional(w, &s->in[2], op->in[2], op);
    }
    if (r == 0 && add != NULL) {
        const int32_t skip = add->in[0] == op->out ? add->in[1] : add->in[0];
        w->folded[lowering_op_index(w, add)] = true;
        r = lowering_get_any(w, &s->in[s->in[2] == PROGRAM_NONE ? 2 : 3], skip, op);
    }
    if (r == 0) {
        const int32_t out = add == NULL ? op->out : add->out;
        r = lowering_new_form(w, &s->out, out, lowering_map_type(w, out));
    }
    return r < 0 ? r : lowering_add_step(w, s);
}

/*
 * The nine products on the coarse map, then their sums.  The products are f32, but in fp16 those of the image's size,
 * which are the most bytes: their rounding shows less than that of the levels below.
 */
static int lower_expanded_conv(struct lowering *w, const struct graph_op *op)
{
    const int32_t source = lowering_upsampled_tensor(w, op);
    const struct graph_tensor *coarse = &w->graph->tensor[source];
    const int32_t type = lowering_product_type(w, op);
    const int32_t taps = op->kernel * op->kernel;
    const int32_t products = taps * program_pad(w->graph->tensor[op->out].c);
    const bool widest = w->graph->tensor[op->out].h == w->graph->tensor[GRAPH_X_CNN].h;
    struct step product = lowering_step_of(STEP_LINEAR, op);
    struct step expand = lowering_step_of(STEP_EXPAND, op);
    int r = lowering_get_form(w, &product.in[0], source, type, op);
    if (r == 0) {
        r = lowering_add_rows(w, &product.weight, op, (const int32_t[]){0, coarse->c}, taps);
    }
    if (r == 0) {
        w->p->weight[product.weight].kind = WEIGHT_SPREAD;
        r = lowering_new_buffer(w, &product.out, (const int32_t[]){coarse->h, coarse->w, products},
                                type == VALUE_F16 && widest ? VALUE_F16 : VALUE_F32);
    }
    if (r == 0) {
        r = lowering_add_step(w, &product);
    }
    expand.in[0] = product.out;
    expand.factor = w->graph->op[w->survey.producer[op->in[0]]].factor;
    return r < 0 ? r : finish_conv(w, op, &expand);
}

static int lower_map_conv(struct lowering *w, const struct graph_op *op)
{
    struct step s = lowering_step_of(STEP_CONV, op);
    const bool two = op->in[1] != GRAPH_NONE;
    const int32_t first = two ? w->graph->tensor[op->in[0]].c : 0;
    const int32_t source = two ? op->in[1] : op->in[0];
    const int32_t part[2] = {first, w->graph->tensor[source].c};
    int r = two ? lower_first_half(w, op, &s.in[1]) : 0;
    if (r == 0) {
        r = lowering_get_form(w, &s.in[0], source, lowering_product_type(w, op), op);
    }
    if (r == 0) {
        r = lowering_add_rows(w, &s.weight, op, part, op->kernel * op->kernel);
    }
    return r < 0 ? r : finish_conv(w, op, &s);
}

/* A 1x1 convolution of two maps in fp16, for which there is a kernel that reads both. */
static bool is_merge(const struct lowering *w, const struct graph_op *op)
{
    return lowering_product_type(w, op) == VALUE_F16 && op->in[1] != GRAPH_NONE && op->kernel == 1;
}

static int lower_merge(struct lowering *w, const struct graph_op *op)
{
    struct step s = lowering_step_of(STEP_MERGE, op);
    const int32_t first = w->graph->tensor[op->in[0]].c;
    const int32_t second = w->graph->tensor[op->in[1]].c;
    const struct program_weight rows = {.kind = WEIGHT_ROWS,
                                        .source = WEIGHT_OF_WEIGHT,
                                        .op = lowering_op_index(w, op),
                                        .type = VALUE_F16,
                                        .rows = w->graph->tensor[op->out].c,
                                        .taps = 1,
                                        .row = first + second,
                                        .split = first,
                                        .stride = program_pad(first) + program_pad(second)};
    int r = lowering_get_form(w, &s.in[0], op->in[0], VALUE_F16, op);
    if (r == 0) {
        r = lowering_get_form(w, &s.in[1], op->in[1], VALUE_F16, op);
    }
    if (r == 0) {
        r = program_add_weight(&s.weight, w->p, &rows, w->err);
    }
    return r < 0 ? r : finish_conv(w, op, &s);
}

int lower_conv(struct lowering *w, const struct graph_op *op)
{
    if (lowering_is_last_conv(w, op)) {
        return lower_last_conv(w, op);
    }
    if (w->expanded[lowering_op_index(w, op)]) {
        return lower_expanded_conv(w, op);
    }
    if (is_merge(w, op)) {
        return lower_merge(w, op);
    }
    return is_first_conv(op) ? lower_first_conv(w, op) : lower_map_conv(w, op);
}
