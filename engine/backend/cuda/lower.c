/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/backend/survey.h"
#include "engine/base/error.h"

enum { PATCH = 16, TYPES = 3, MAX_HEAD_WIDTH = 256 };

/* A tensor's buffers, one for each storage that somebody wanted; PROGRAM_NONE where nobody did. */
struct forms {
    int32_t of[TYPES];
};

struct lowering {
    struct program *p;
    const struct graph *graph;
    const struct backend_options *options;
    struct forms *form; /* [n_tensors] */
    struct survey survey;
    bool *folded;     /* [n_ops] part of another operation's step */
    bool *expanded;   /* [n_ops] a convolution whose input's upsample is folded into it */
    bool *fine;       /* [n_tensors] kept in f32 for a sensitive convolution */
    int32_t y_direct; /* the buffer of y where a step writes it as it leaves */
    struct sctd_error *err;
};

static void lowering_fini(struct lowering *w)
{
    free(w->form);
    survey_fini(&w->survey);
    free(w->folded);
    free(w->expanded);
    free(w->fine);
}

static int lowering_init(struct lowering *w)
{
    const size_t tensors = (size_t)w->graph->n_tensors;
    w->form = calloc(tensors, sizeof *w->form);
    w->folded = calloc((size_t)w->graph->n_ops, sizeof *w->folded);
    w->expanded = calloc((size_t)w->graph->n_ops, sizeof *w->expanded);
    w->fine = calloc(tensors, sizeof *w->fine);
    if (w->form == NULL || w->folded == NULL || w->expanded == NULL || w->fine == NULL) {
        return sctd_error(w->err, SCTD_ENOMEM, "lowering");
    }
    return survey_make(&w->survey, w->graph, w->options->taps, w->options->n_taps, w->err);
}

static bool is_input(int32_t tensor)
{
    return tensor == GRAPH_X_CNN || tensor == GRAPH_X_DINO;
}

static int32_t op_index(const struct lowering *w, const struct graph_op *op)
{
    return (int32_t)(op - w->graph->op);
}

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
    if (op->kernel == 1 || op->stage == GRAPH_ENCODER || w->expanded[op_index(w, op)]) {
        return true;
    }
    const struct graph_tensor *in = &w->graph->tensor[op->in[0]];
    const struct graph_tensor *out = &w->graph->tensor[op->out];
    return in->c != out->c || (op->stage == GRAPH_FUSION && out->h == w->survey.deepest);
}

/* Whose upsample is folded into the convolution `op`, if it is. */
static int32_t upsampled_tensor(const struct lowering *w, const struct graph_op *op)
{
    return w->graph->op[w->survey.producer[op->in[0]]].in[0];
}

/* What a product reads. */
static int32_t product_type(const struct lowering *w, const struct graph_op *op)
{
    return is_sensitive(w, op) ? VALUE_F32 : w->p->half;
}

/* What a map is stored as. */
static int32_t map_type(const struct lowering *w, int32_t tensor)
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
            const bool through = k == 0 && w->expanded[op_index(w, op)];
            w->fine[through ? upsampled_tensor(w, op) : op->in[k]] = true;
        }
    }
}

/* y, and nobody else reads it: it is written as it leaves. */
static bool is_last_conv(const struct lowering *w, const struct graph_op *op)
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
        !survey_is_private(&w->survey, op->in[0]) || is_last_conv(w, op)) {
        return;
    }
    const int32_t producer = w->survey.producer[op->in[0]];
    if (producer != GRAPH_NONE && w->graph->op[producer].kind == GRAPH_UPSAMPLE &&
        !is_input(w->graph->op[producer].in[0])) {
        w->expanded[op_index(w, op)] = true;
        w->folded[producer] = true;
    }
}

/* What is known before any step is made. */
static void prepare(struct lowering *w)
{
    for (int32_t t = 0; t < w->graph->n_tensors; t++) {
        for (int32_t i = 0; i < TYPES; i++) {
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

/* Buffers and steps */

static int new_buffer(struct lowering *w, int32_t *ret_buffer, const int32_t dim[3], int32_t type)
{
    const struct program_buffer b = {
        .h = dim[0], .w = dim[1], .c = dim[2], .stride = program_pad(dim[2]), .type = type};
    return program_add_buffer(ret_buffer, w->p, &b, w->err);
}

/* The padded buffer of a tensor that is about to be written. */
static int new_form(struct lowering *w, int32_t *ret_buffer, int32_t tensor, int32_t type)
{
    const struct graph_tensor *t = &w->graph->tensor[tensor];
    int r = new_buffer(w, ret_buffer, (const int32_t[]){t->h, t->w, t->c}, type);
    if (r == 0) {
        w->form[tensor].of[type] = *ret_buffer;
    }
    return r;
}

static struct step step_of(enum step_kind kind, const struct graph_op *op)
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

static int add_step(struct lowering *w, const struct step *step)
{
    return program_add_step(w->p, step, w->err);
}

static int32_t input_buffer(const struct lowering *w, int32_t tensor)
{
    return tensor == GRAPH_X_CNN ? w->p->x_cnn : w->p->x_dino;
}

/* Some buffer that holds the tensor: the finest. */
static int32_t find_source(const struct lowering *w, int32_t tensor)
{
    for (int32_t i = 0; i < TYPES; i++) {
        if (w->form[tensor].of[i] != PROGRAM_NONE) {
            return w->form[tensor].of[i];
        }
    }
    return input_buffer(w, tensor);
}

/* The tensor as a padded buffer of `type`, which `op` is going to read. */
static int get_form(struct lowering *w, int32_t *ret_buffer, int32_t tensor, int32_t type,
                    const struct graph_op *op)
{
    if (w->form[tensor].of[type] != PROGRAM_NONE) {
        *ret_buffer = w->form[tensor].of[type];
        return 0;
    }
    struct step s = step_of(STEP_CONVERT, op);
    s.in[0] = find_source(w, tensor);
    int r = new_form(w, &s.out, tensor, type);
    if (r == 0) {
        r = add_step(w, &s);
    }
    *ret_buffer = s.out;
    return r;
}

/* The tensor as a padded buffer of whatever type it has. */
static int get_any(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                   const struct graph_op *op)
{
    for (int32_t i = 0; i < TYPES; i++) {
        if (w->form[tensor].of[i] != PROGRAM_NONE) {
            *ret_buffer = w->form[tensor].of[i];
            return 0;
        }
    }
    return get_form(w, ret_buffer, tensor, VALUE_F32, op);
}

static int get_optional(struct lowering *w, int32_t *ret_buffer, int32_t tensor,
                        const struct graph_op *op)
{
    return tensor == GRAPH_NONE ? 0 : get_any(w, ret_buffer, tensor, op);
}

/* Weights */

static int add_vector(struct lowering *w, int32_t *ret_weight, const struct graph_op *op,
                      enum weight_source source, int32_t type)
{
    const struct program_weight v = {.kind = WEIGHT_VECTOR,
                                     .source = source,
                                     .op = op_index(w, op),
                                     .type = type,
                                     .rows = w->graph->tensor[op->out].c,
                                     .taps = 1};
    return program_add_weight(ret_weight, w->p, &v, w->err);
}

static int add_table(struct lowering *w, int32_t *ret_weight, const struct graph_op *op,
                     int32_t rows, const int32_t row_stride[2])
{
    const struct program_weight t = {.kind = WEIGHT_TABLE,
                                     .source = WEIGHT_OF_EXTRA,
                                     .op = op_index(w, op),
                                     .type = VALUE_F32,
                                     .rows = rows,
                                     .taps = 1,
                                     .row = row_stride[0],
                                     .stride = row_stride[1]};
    return program_add_weight(ret_weight, w->p, &t, w->err);
}

/* Outputs' rows over the input channels row0 ... row0 + row - 1. */
static int add_rows(struct lowering *w, int32_t *ret_weight, const struct graph_op *op,
                    const int32_t row0_row[2], int32_t taps)
{
    const struct program_weight rows = {.kind = WEIGHT_ROWS,
                                        .source = WEIGHT_OF_WEIGHT,
                                        .op = op_index(w, op),
                                        .type = product_type(w, op),
                                        .tf32 = w->options->precision != BACKEND_FP32,
                                        .rows = w->graph->tensor[op->out].c,
                                        .taps = taps,
                                        .row0 = row0_row[0],
                                        .row = row0_row[1],
                                        .stride = program_pad(row0_row[1])};
    return program_add_weight(ret_weight, w->p, &rows, w->err);
}

/* Convolutions */

static bool is_first_conv(const struct graph_op *op)
{
    return is_input(op->in[0]) && op->in[1] == GRAPH_NONE && op->in[2] == GRAPH_NONE;
}

static int lower_first_conv(struct lowering *w, const struct graph_op *op)
{
    struct step s = step_of(STEP_FIRST_CONV, op);
    const struct program_weight taps = {.kind = WEIGHT_TAPS,
                                        .source = WEIGHT_OF_WEIGHT,
                                        .op = op_index(w, op),
                                        .type = VALUE_F32,
                                        .rows = w->graph->tensor[op->out].c,
                                        .taps = op->kernel * op->kernel,
                                        .row = 1,
                                        .stride = 1};
    s.in[0] = input_buffer(w, op->in[0]);
    s.act = op->act;
    int r = program_add_weight(&s.weight, w->p, &taps, w->err);
    if (r == 0) {
        r = add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = new_form(w, &s.out, op->out, map_type(w, op->out));
    }
    return r < 0 ? r : add_step(w, &s);
}

static int new_output(struct lowering *w, int32_t *ret_buffer, int32_t tensor)
{
    const struct graph_tensor *t = &w->graph->tensor[tensor];
    const struct program_buffer b = {
        .h = t->h, .w = t->w, .c = t->c, .stride = t->c, .type = VALUE_F32};
    return program_add_buffer(ret_buffer, w->p, &b, w->err);
}

static int lower_last_conv(struct lowering *w, const struct graph_op *op)
{
    struct step s = step_of(STEP_LAST_CONV, op);
    const int32_t channels = w->graph->tensor[op->in[0]].c;
    const struct program_weight row = {.kind = WEIGHT_ROW,
                                       .source = WEIGHT_OF_WEIGHT,
                                       .op = op_index(w, op),
                                       .type = VALUE_F32,
                                       .rows = 1,
                                       .taps = op->kernel * op->kernel,
                                       .row = channels,
                                       .stride = program_pad(channels)};
    s.act = op->act;
    int r = get_any(w, &s.in[0], op->in[0], op);
    if (r == 0) {
        r = program_add_weight(&s.weight, w->p, &row, w->err);
    }
    if (r == 0) {
        r = add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = new_output(w, &s.out, op->out);
    }
    w->y_direct = s.out;
    return r < 0 ? r : add_step(w, &s);
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
    return w->survey.producer[skip] < op_index(w, op) ? add : NULL;
}

/* The first half of a convolution of two maps: a sum without bias that the second half goes on from. */
static int lower_first_half(struct lowering *w, const struct graph_op *op, int32_t *ret_sum)
{
    const struct graph_tensor *t = &w->graph->tensor[op->out];
    struct step s = step_of(STEP_CONV, op);
    const int32_t part[2] = {0, w->graph->tensor[op->in[0]].c};
    int r = get_form(w, &s.in[0], op->in[0], product_type(w, op), op);
    if (r == 0) {
        r = add_rows(w, &s.weight, op, part, op->kernel * op->kernel);
    }
    if (r == 0) {
        r = new_buffer(w, &s.out, (const int32_t[]){t->h, t->w, t->c}, VALUE_F32);
    }
    *ret_sum = s.out;
    return r < 0 ? r : add_step(w, &s);
}

/* A convolution's last step: its bias, what is added behind the activation, and where it goes. */
static int finish_conv(struct lowering *w, const struct graph_op *op, struct step *s)
{
    const struct graph_op *add = skip_after(w, op);
    s->act = op->act;
    int r = add_vector(w, &s->bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    if (r == 0) {
        r = get_optional(w, &s->in[2], op->in[2], op);
    }
    if (r == 0 && add != NULL) {
        const int32_t skip = add->in[0] == op->out ? add->in[1] : add->in[0];
        w->folded[op_index(w, add)] = true;
        r = get_any(w, &s->in[s->in[2] == PROGRAM_NONE ? 2 : 3], skip, op);
    }
    if (r == 0) {
        const int32_t out = add == NULL ? op->out : add->out;
        r = new_form(w, &s->out, out, map_type(w, out));
    }
    return r < 0 ? r : add_step(w, s);
}

/*
 * The nine products on the coarse map, then their sums.  The products are f32, but in fp16 those of the image's size,
 * which are the most bytes: their rounding shows less than that of the levels below.
 */
static int lower_expanded_conv(struct lowering *w, const struct graph_op *op)
{
    const int32_t source = upsampled_tensor(w, op);
    const struct graph_tensor *coarse = &w->graph->tensor[source];
    const int32_t type = product_type(w, op);
    const int32_t taps = op->kernel * op->kernel;
    const int32_t products = taps * program_pad(w->graph->tensor[op->out].c);
    const bool widest = w->graph->tensor[op->out].h == w->graph->tensor[GRAPH_X_CNN].h;
    struct step product = step_of(STEP_LINEAR, op);
    struct step expand = step_of(STEP_EXPAND, op);
    int r = get_form(w, &product.in[0], source, type, op);
    if (r == 0) {
        r = add_rows(w, &product.weight, op, (const int32_t[]){0, coarse->c}, taps);
    }
    if (r == 0) {
        w->p->weight[product.weight].kind = WEIGHT_SPREAD;
        r = new_buffer(w, &product.out, (const int32_t[]){coarse->h, coarse->w, products},
                       type == VALUE_F16 && widest ? VALUE_F16 : VALUE_F32);
    }
    if (r == 0) {
        r = add_step(w, &product);
    }
    expand.in[0] = product.out;
    expand.factor = w->graph->op[w->survey.producer[op->in[0]]].factor;
    return r < 0 ? r : finish_conv(w, op, &expand);
}

static int lower_map_conv(struct lowering *w, const struct graph_op *op)
{
    struct step s = step_of(STEP_CONV, op);
    const bool two = op->in[1] != GRAPH_NONE;
    const int32_t first = two ? w->graph->tensor[op->in[0]].c : 0;
    const int32_t source = two ? op->in[1] : op->in[0];
    const int32_t part[2] = {first, w->graph->tensor[source].c};
    int r = two ? lower_first_half(w, op, &s.in[1]) : 0;
    if (r == 0) {
        r = get_form(w, &s.in[0], source, product_type(w, op), op);
    }
    if (r == 0) {
        r = add_rows(w, &s.weight, op, part, op->kernel * op->kernel);
    }
    return r < 0 ? r : finish_conv(w, op, &s);
}

/* A 1x1 convolution of two maps in fp16, for which there is a kernel that reads both. */
static bool is_merge(const struct lowering *w, const struct graph_op *op)
{
    return product_type(w, op) == VALUE_F16 && op->in[1] != GRAPH_NONE && op->kernel == 1;
}

static int lower_merge(struct lowering *w, const struct graph_op *op)
{
    struct step s = step_of(STEP_MERGE, op);
    const int32_t first = w->graph->tensor[op->in[0]].c;
    const int32_t second = w->graph->tensor[op->in[1]].c;
    const struct program_weight rows = {.kind = WEIGHT_ROWS,
                                        .source = WEIGHT_OF_WEIGHT,
                                        .op = op_index(w, op),
                                        .type = VALUE_F16,
                                        .rows = w->graph->tensor[op->out].c,
                                        .taps = 1,
                                        .row = first + second,
                                        .split = first,
                                        .stride = program_pad(first) + program_pad(second)};
    int r = get_form(w, &s.in[0], op->in[0], VALUE_F16, op);
    if (r == 0) {
        r = get_form(w, &s.in[1], op->in[1], VALUE_F16, op);
    }
    if (r == 0) {
        r = program_add_weight(&s.weight, w->p, &rows, w->err);
    }
    return r < 0 ? r : finish_conv(w, op, &s);
}

static int lower_conv(struct lowering *w, const struct graph_op *op)
{
    if (is_last_conv(w, op)) {
        return lower_last_conv(w, op);
    }
    if (w->expanded[op_index(w, op)]) {
        return lower_expanded_conv(w, op);
    }
    if (is_merge(w, op)) {
        return lower_merge(w, op);
    }
    return is_first_conv(op) ? lower_first_conv(w, op) : lower_map_conv(w, op);
}

/* The transformer */

static int lower_patch_tokens(struct lowering *w, const struct graph_op *op)
{
    const struct graph_tensor *image = &w->graph->tensor[op->in[0]];
    const int32_t channels = w->graph->tensor[op->out].c;
    const int32_t patches = image->h / PATCH * (image->w / PATCH);
    const int32_t values = PATCH * PATCH;
    struct step patchify = step_of(STEP_PATCHIFY, op);
    struct step product = step_of(STEP_LINEAR, op);
    struct step tokens = step_of(STEP_TOKENS, op);
    if (!is_input(op->in[0])) {
        return sctd_error(w->err, SCTD_EINVAL, "patches of something that is no input");
    }
    patchify.in[0] = input_buffer(w, op->in[0]);
    int r = new_buffer(w, &patchify.out, (const int32_t[]){1, patches, values}, w->p->half);
    if (r == 0) {
        r = add_step(w, &patchify);
    }
    product.in[0] = patchify.out;
    if (r == 0) {
        r = add_rows(w, &product.weight, op, (const int32_t[]){0, values}, 1);
    }
    if (r == 0) {
        r = new_buffer(w, &product.out, (const int32_t[]){1, patches, channels}, VALUE_F32);
    }
    if (r == 0) {
        r = add_step(w, &product);
    }
    tokens.in[0] = product.out;
    if (r == 0) {
        r = add_vector(w, &tokens.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = add_table(w, &tokens.table, op, op->prefix,
                      (const int32_t[]){channels, program_pad(channels)});
    }
    if (r == 0) {
        r = new_form(w, &tokens.out, op->out, VALUE_F32);
    }
    return r < 0 ? r : add_step(w, &tokens);
}

static int lower_norm(struct lowering *w, const struct graph_op *op)
{
    struct step s = step_of(STEP_NORM, op);
    int r = get_any(w, &s.in[0], op->in[0], op);
    if (r == 0) {
        r = add_vector(w, &s.weight, op, WEIGHT_OF_WEIGHT, VALUE_F32);
    }
    if (r == 0) {
        r = add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, VALUE_F32);
    }
    if (r == 0) {
        r = new_form(w, &s.out, op->out, map_type(w, op->out));
    }
    return r < 0 ? r : add_step(w, &s);
}

/*
 * The activation of a product, which cuBLASLt has only by tanh: in place, but in bf16 from f32, so that it is
 * rounded once.
 */
static int lower_activated(struct lowering *w, const struct graph_op *op, struct step *s,
                           int32_t type)
{
    const struct graph_tensor *t = &w->graph->tensor[op->out];
    struct step act = step_of(STEP_ACT, op);
    const bool apart = type == VALUE_BF16;
    act.act = op->act;
    int r = get_optional(w, &act.in[2], op->in[1], op);
    if (r == 0) {
        r = new_form(w, &act.out, op->out, type);
    }
    s->out = act.out;
    if (r == 0 && apart) {
        r = new_buffer(w, &s->out, (const int32_t[]){t->h, t->w, t->c}, VALUE_F32);
    }
    if (r == 0) {
        r = add_vector(w, &s->bias, op, WEIGHT_OF_BIAS, apart ? VALUE_F32 : type);
    }
    if (r == 0) {
        r = add_step(w, s);
    }
    act.in[0] = s->out;
    return r < 0 ? r : add_step(w, &act);
}

/* A product with a residual is the transformer's stream, which is f32 always. */
static int lower_linear(struct lowering *w, const struct graph_op *op)
{
    struct step s = step_of(STEP_LINEAR, op);
    const int32_t type = op->in[1] == GRAPH_NONE ? w->p->half : VALUE_F32;
    int r = get_form(w, &s.in[0], op->in[0], w->p->half, op);
    if (r == 0) {
        r = add_rows(w, &s.weight, op, (const int32_t[]){0, w->graph->tensor[op->in[0]].c}, 1);
    }
    if (r < 0 || op->act != GRAPH_ACT_NONE) {
        return r < 0 ? r : lower_activated(w, op, &s, type);
    }
    if (op->in[1] != GRAPH_NONE) {
        r = get_form(w, &s.in[1], op->in[1], type, op);
    }
    if (r == 0) {
        r = add_vector(w, &s.bias, op, WEIGHT_OF_BIAS, type);
    }
    if (r == 0) {
        r = new_form(w, &s.out, op->out, type);
    }
    return r < 0 ? r : add_step(w, &s);
}

static int lower_attention(struct lowering *w, const struct graph_op *op)
{
    const struct graph_tensor *t = &w->graph->tensor[op->out];
    struct step rope = step_of(STEP_ROPE, op);
    struct step attention = step_of(STEP_ATTENTION, op);
    const int32_t width = t->c / op->heads;
    const int32_t turned = t->w - op->prefix;
    if (width > MAX_HEAD_WIDTH) {
        return sctd_error(w->err, SCTD_EINVAL, "heads of %d channels: at most %d are possible",
                          width, MAX_HEAD_WIDTH);
    }
    int r = get_form(w, &rope.in[0], op->in[0], w->p->half, op);
    if (r == 0 && !survey_is_private(&w->survey, op->in[0])) {
        /* Others read it too: turn a copy. */
        struct step copy = step_of(STEP_CONVERT, op);
        const struct program_buffer b = w->p->buffer[rope.in[0]];
        copy.in[0] = rope.in[0];
        r = new_buffer(w, &copy.out, (const int32_t[]){b.h, b.w, b.c}, b.type);
        if (r == 0) {
            r = add_step(w, &copy);
        }
        rope.in[0] = copy.out;
    }
    rope.out = rope.in[0];
    rope.width = width;
    if (r == 0) {
        r = add_table(w, &rope.table, op, 2 * turned, (const int32_t[]){width, width});
    }
    if (r == 0) {
        r = add_step(w, &rope);
    }
    attention.in[0] = rope.out;
    attention.width = width;
    if (r == 0) {
        r = new_form(w, &attention.out, op->out, w->p->half);
    }
    return r < 0 ? r : add_step(w, &attention);
}

/* What has neither weights nor tables: inputs of any type, output like the first or halved. */
static int lower_plain(struct lowering *w, const struct graph_op *op, enum step_kind kind)
{
    struct step s = step_of(kind, op);
    int r = 0;
    for (int32_t k = 0; r == 0 && k < 3; k++) {
        r = get_optional(w, &s.in[k], op->in[k], op);
    }
    if (r == 0) {
        const bool kept = kind == STEP_MAX_POOL || kind == STEP_UPSAMPLE;
        r = new_form(w, &s.out, op->out, kept ? w->p->buffer[s.in[0]].type : map_type(w, op->out));
    }
    return r < 0 ? r : add_step(w, &s);
}

static int lower_op(struct lowering *w, const struct graph_op *op)
{
    switch (op->kind) {
    case GRAPH_PATCH_TOKENS:
        return lower_patch_tokens(w, op);
    case GRAPH_LAYER_NORM:
        return lower_norm(w, op);
    case GRAPH_LINEAR:
        return lower_linear(w, op);
    case GRAPH_ATTENTION:
        return lower_attention(w, op);
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
    struct step s = step_of(STEP_CONVERT, op);
    if (i == 0 && w->y_direct != PROGRAM_NONE) {
        w->p->output[0] = w->y_direct;
        return 0;
    }
    s.in[0] = find_source(w, tensor);
    int r = new_output(w, &s.out, tensor);
    if (r == 0) {
        w->p->output[i] = s.out;
        r = add_step(w, &s);
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
        prepare(&w);
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
