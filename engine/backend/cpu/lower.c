/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/cpu/plan.h"
#include "engine/backend/cpu/steps.h"
#include "engine/backend/survey.h"

/* What is known about each tensor while operations become steps. */
struct lowering {
    struct cpu_plan *plan;
    const struct graph *graph;
    struct survey survey;
    bool *folded; /* [n_ops] part of another operation's step */
};

static void lowering_fini(struct lowering *w)
{
    survey_fini(&w->survey);
    free(w->folded);
}

static int look(struct lowering *w, struct sctd_error *err)
{
    w->folded = calloc((size_t)w->graph->n_ops, sizeof *w->folded);
    return w->folded == NULL
               ? sctd_error(err, SCTD_ENOMEM, "lowering")
               : survey_make(&w->survey, w->graph, w->plan->tap, w->plan->n_taps, err);
}

static const struct graph_op *producer_of(const struct lowering *w, int32_t tensor)
{
    return w->survey.producer[tensor] == GRAPH_NONE ? NULL
                                                    : &w->graph->op[w->survey.producer[tensor]];
}

static bool is_last_conv(const struct lowering *w, const struct graph_op *op)
{
    return op->kind == GRAPH_CONV && op->kernel == 3 && w->graph->tensor[op->out].c == 1 &&
           op->in[1] == GRAPH_NONE && op->in[2] == GRAPH_NONE;
}

static bool is_first_conv(const struct lowering *w, const struct graph_op *op)
{
    return op->kind == GRAPH_CONV && op->kernel == 3 && w->graph->tensor[op->in[0]].c == 1 &&
           op->in[1] == GRAPH_NONE;
}

/* conv(upsample(x)) without the upsampled map: only where nobody else wants that. */
static const struct graph_op *upsample_before(const struct lowering *w, const struct graph_op *op)
{
    const struct graph_op *up = producer_of(w, op->in[0]);
    const bool fits = op->kernel == 3 && op->in[1] == GRAPH_NONE && up != NULL &&
                      up->kind == GRAPH_UPSAMPLE && survey_is_private(&w->survey, op->in[0]);
    return fits ? up : NULL;
}

/*
 * Products whose rounding shows most in the output for what they cost: the 3x3 convolutions that lead
 * to a map of another number of channels, since no residual carries what they lose past them; and the
 * fusion of the encoder's deepest level, which the decoder starts from and spreads over the most pixels
 * (docs/performance.md has what was measured).
 */
static bool is_sensitive(const struct lowering *w, const struct graph_op *op)
{
    if (op->kind != GRAPH_CONV || op->kernel != 3) {
        return false;
    }
    const struct graph_tensor *in = &w->graph->tensor[op->in[0]];
    const struct graph_tensor *out = &w->graph->tensor[op->out];
    const bool deepest = op->stage == GRAPH_FUSION && out->h == w->survey.deepest;
    return in->c != out->c || deepest;
}

/* What an operation's product should work in. */
static enum format wanted_format(const struct lowering *w, const struct graph_op *op)
{
    return is_sensitive(w, op) ? w->plan->sensitive_format : w->plan->format;
}

/* What it does work in: oneDNN takes its input, `tensor`, as it is stored. */
static enum format product_format(const struct lowering *w, const struct graph_op *op,
                                  int32_t tensor)
{
    const enum format stored = w->plan->place[tensor].format;
    if (w->plan->amx) {
        return wanted_format(w, op);
    }
    return stored == FORMAT_PAIR ? FORMAT_BF16 : stored;
}

/* Mark `op` and its upsample as part of a step and say what the step reads. */
static struct map_source take_conv(struct lowering *w, const struct graph_op *op)
{
    struct map_source s = {.conv = op, .tensor = op->in[0]};
    s.upsample = is_first_conv(w, op) ? NULL : upsample_before(w, op);
    w->folded[op - w->graph->op] = true;
    if (s.upsample != NULL) {
        w->folded[s.upsample - w->graph->op] = true;
        s.tensor = s.upsample->in[0];
    }
    s.format = product_format(w, op, s.tensor);
    return s;
}

/* Half of a concatenation: the convolution that makes it, if nobody else wants its output. */
static struct map_source take_half(struct lowering *w, int32_t tensor)
{
    const struct graph_op *op = producer_of(w, tensor);
    const bool foldable = op != NULL && op->kind == GRAPH_CONV && op->kernel == 3 &&
                          op->in[1] == GRAPH_NONE && op->in[2] == GRAPH_NONE &&
                          survey_is_private(&w->survey, tensor) && !is_last_conv(w, op);
    if (!foldable) {
        return (struct map_source){.tensor = tensor};
    }
    return take_conv(w, op);
}

/* What a map source reads: the format that its product wants. */
static bool is_product_input(const struct lowering *w, const struct graph_op *op)
{
    if (op->kind == GRAPH_LINEAR) {
        return true;
    }
    return op->kind == GRAPH_CONV && op->in[1] == GRAPH_NONE && op->kernel == 3 &&
           !is_first_conv(w, op) && !is_last_conv(w, op);
}

static void want_format(struct lowering *w, int32_t tensor, enum format format)
{
    struct place *p = &w->plan->place[tensor];
    if (format > p->format) { /* F32 < BF16 < SPLIT, PAIR: the finer of what products want */
        p->format = format;
    }
}

/* What is rounded for a product but also read by others keeps the rest beside it. */
static void keep_rest(struct lowering *w, const int32_t *products)
{
    for (int32_t t = 0; t < w->graph->n_tensors; t++) {
        struct place *p = &w->plan->place[t];
        if (p->format == FORMAT_BF16 && w->survey.consumers[t] > products[t]) {
            p->format = FORMAT_PAIR;
        }
    }
}

/* Choose how each tensor is stored: as the products that read it want it, else f32. */
static int choose_formats(struct lowering *w, struct sctd_error *err)
{
    const struct graph *g = w->graph;
    int32_t *products = calloc((size_t)g->n_tensors, sizeof *products);
    if (products == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "lowering");
    }
    for (int32_t t = 0; t < g->n_tensors; t++) {
        const struct graph_tensor *from = &g->tensor[t];
        w->plan->place[t] = (struct place){.h = from->h, .w = from->w, .c = from->c};
    }
    for (int32_t i = 0; i < g->n_ops; i++) {
        const struct graph_op *op = &g->op[i];
        if (!w->survey.live[i] || !is_product_input(w, op)) {
            continue;
        }
        const struct graph_op *up = op->kind == GRAPH_CONV ? upsample_before(w, op) : NULL;
        const int32_t in = up != NULL ? up->in[0] : op->in[0];
        products[in]++;
        want_format(w, in, plan_stored(w->plan, wanted_format(w, op)));
    }
    keep_rest(w, products);
    free(products);
    return 0;
}

static void use(struct lowering *w, int32_t tensor)
{
    struct place *p = &w->plan->place[tensor];
    const int32_t step = w->plan->n_steps;
    if (tensor == GRAPH_X_CNN || tensor == GRAPH_X_DINO || tensor == w->graph->y) {
        return;
    }
    if (!p->used) {
        p->used = true;
        p->first = step;
        p->bytes = round_up((size_t)p->h * (size_t)p->w * (size_t)p->c * format_bytes(p->format));
    }
    p->last = w->survey.wanted[tensor] ? CPU_MAX_STEPS : step;
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
    return w->survey.producer[skip] < op - w->graph->op ? add : NULL;
}

static int lower_conv(struct lowering *w, const struct graph_op *op, struct sctd_error *err)
{
    const struct graph_op *add = skip_after(w, op);
    const struct map_source s = take_conv(w, op);
    int32_t out = op->out;
    int32_t skip = GRAPH_NONE;
    if (add != NULL) {
        w->folded[add - w->graph->op] = true;
        skip = add->in[0] == op->out ? add->in[1] : add->in[0];
        out = add->out;
        use(w, skip);
    }
    use(w, s.tensor);
    if (op->in[2] != GRAPH_NONE) {
        use(w, op->in[2]);
    }
    use(w, out);
    return steps_conv(w->plan, &s, skip, out, err);
}

static int lower_merge(struct lowering *w, const struct graph_op *op, struct sctd_error *err)
{
    struct map_source half[2] = {{.tensor = GRAPH_NONE}, {.tensor = GRAPH_NONE}};
    for (int32_t i = 0; i < 2 && op->in[i] != GRAPH_NONE; i++) {
        half[i] = take_half(w, op->in[i]);
        use(w, half[i].tensor);
    }
    if (op->in[2] != GRAPH_NONE) {
        use(w, op->in[2]);
    }
    use(w, op->out);
    return steps_merge(w->plan, op, half, err);
}

static int lower_other(struct lowering *w, const struct graph_op *op, struct sctd_error *err)
{
    for (int32_t t = 0; t < 3; t++) {
        if (op->in[t] != GRAPH_NONE) {
            use(w, op->in[t]);
        }
    }
    use(w, op->out);
    switch (op->kind) {
    case GRAPH_PATCH_TOKENS:
    case GRAPH_LINEAR:
        return steps_linear(w->plan, op, product_format(w, op, op->in[0]), err);
    case GRAPH_LAYER_NORM:
    case GRAPH_ATTENTION:
    case GRAPH_SWIGLU:
        return steps_vit(w->plan, op, err);
    case GRAPH_CONV:
        return steps_last_conv(w->plan, op, err);
    case GRAPH_MAX_POOL:
    case GRAPH_UPSAMPLE:
    case GRAPH_ADD:
    case GRAPH_MEAN:
    case GRAPH_GATE:
    case GRAPH_SCALE_ADD:
        break;
    }
    return steps_elementwise(w->plan, op, err);
}

static int lower_op(struct lowering *w, const struct graph_op *op, struct sctd_error *err)
{
    if (op->kind != GRAPH_CONV || is_last_conv(w, op)) {
        return lower_other(w, op, err);
    }
    if (op->in[1] != GRAPH_NONE && op->kernel == 3) {
        return sctd_error(err, SCTD_EINVAL, "no 3x3 convolution of two concatenated maps");
    }
    if (op->kernel == 1) {
        return lower_merge(w, op, err);
    }
    return lower_conv(w, op, err);
}

/* Fold what belongs to a later operation before it gets a step of its own. */
static void fold_parts(struct lowering *w, const struct graph_op *op)
{
    if (op->kind != GRAPH_CONV || is_first_conv(w, op) || is_last_conv(w, op)) {
        return;
    }
    if (op->kernel == 1 && op->in[1] != GRAPH_NONE) {
        (void)take_half(w, op->in[0]);
        (void)take_half(w, op->in[1]);
    }
    const struct graph_op *up = upsample_before(w, op);
    if (up != NULL) {
        w->folded[up - w->graph->op] = true;
    }
}

int lower_graph(struct cpu_plan *plan, const struct graph *graph, struct sctd_error *err)
{
    struct lowering w = {.plan = plan, .graph = graph};
    int r = look(&w, err);
    if (r == 0) {
        r = choose_formats(&w, err);
    }
    for (int32_t i = 0; r == 0 && i < graph->n_ops; i++) {
        if (w.survey.live[i]) {
            fold_parts(&w, &graph->op[i]);
        }
    }
    for (int32_t i = 0; r == 0 && i < graph->n_ops; i++) {
        if (w.survey.live[i] && !w.folded[i]) {
            r = lower_op(&w, &graph->op[i], err);
        }
    }
    lowering_fini(&w);
    return r;
}
