/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/graph.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"

enum { PATCH = 16 };

/* An operation with its tensors at hand; an input that is not there is NULL. */
struct site {
    const struct graph_op *op;
    const struct graph_tensor *in[3];
    const struct graph_tensor *out;
};

enum part { PART_WEIGHT = 1, PART_SCALE = 2, PART_BIAS = 4, PART_EXTRA = 8, PART_ACT = 16 };

/* What an operation of a kind must have, may have, and how its tensors fit each other. */
struct kind_rule {
    const char *name;
    unsigned need_in; /* bit i: in[i] must be there */
    unsigned may_in;  /* bit i: in[i] may be there */
    unsigned need;    /* bits of enum part */
    unsigned may;
    const char *(*misfit)(const struct site *s); /* NULL, or what is wrong */
    double (*macs)(const struct site *s);        /* NULL: no products */
};

static double area_of(const struct graph_tensor *t)
{
    return (double)t->h * (double)t->w;
}

static bool same_area(const struct graph_tensor *a, const struct graph_tensor *b)
{
    return a->h == b->h && a->w == b->w;
}

static bool same_shape(const struct graph_tensor *a, const struct graph_tensor *b)
{
    return same_area(a, b) && a->c == b->c;
}

static const char *patch_tokens_misfit(const struct site *s)
{
    const struct graph_tensor *in = s->in[0];
    const int64_t patches = (int64_t)(in->h / PATCH) * (in->w / PATCH);
    if (in->c != 1 || in->h % PATCH != 0 || in->w % PATCH != 0) {
        return "input is not one channel of whole 16x16 patches";
    }
    if (s->op->prefix < 0 || (s->op->prefix > 0) != (s->op->extra != NULL)) {
        return "prefix and extra do not agree";
    }
    return s->out->h == 1 && s->out->w == s->op->prefix + patches ? NULL : "output shape";
}

static const char *layer_norm_misfit(const struct site *s)
{
    const struct graph_tensor *in = s->in[0];
    const int64_t tokens = (int64_t)in->h * in->w;
    if (s->op->prefix < 0 || s->op->prefix >= tokens) {
        return "prefix";
    }
    if (!(s->op->eps > 0.0F) || !isfinite(s->op->eps)) {
        return "eps";
    }
    const int64_t kept = (int64_t)s->out->h * s->out->w;
    return s->out->c == in->c && kept == tokens - s->op->prefix ? NULL : "output shape";
}

static const char *linear_misfit(const struct site *s)
{
    if (s->in[1] != NULL && !same_shape(s->in[1], s->out)) {
        return "residual shape";
    }
    return same_area(s->in[0], s->out) ? NULL : "output shape";
}

static const char *attention_misfit(const struct site *s)
{
    const struct graph_tensor *in = s->in[0];
    const int32_t heads = s->op->heads;
    if (in->h != 1 || s->op->prefix < 0 || s->op->prefix >= in->w) {
        return "tokens or prefix";
    }
    if (heads < 1 || s->out->c % heads != 0 || s->out->c / heads % 2 != 0) {
        return "heads";
    }
    return same_area(in, s->out) && in->c == 3 * (int64_t)s->out->c ? NULL : "output shape";
}

static const char *two_like_out_misfit(const struct site *s)
{
    return same_shape(s->in[0], s->out) && same_shape(s->in[1], s->out) ? NULL : "shapes differ";
}

static const char *conv_misfit(const struct site *s)
{
    if (s->op->kernel != 1 && s->op->kernel != 3) {
        return "kernel is neither 1 nor 3";
    }
    if (s->in[1] != NULL && !same_area(s->in[1], s->in[0])) {
        return "concatenated inputs differ in height or width";
    }
    if (s->in[2] != NULL && !same_shape(s->in[2], s->out)) {
        return "residual shape";
    }
    return same_area(s->in[0], s->out) ? NULL : "output shape";
}

static const char *max_pool_misfit(const struct site *s)
{
    const struct graph_tensor *in = s->in[0];
    const bool fits = in->h == 2 * (int64_t)s->out->h && in->w == 2 * (int64_t)s->out->w;
    return fits && in->c == s->out->c ? NULL : "output shape";
}

static const char *upsample_misfit(const struct site *s)
{
    const struct graph_tensor *in = s->in[0];
    const int64_t factor = s->op->factor;
    if (factor != 2 && factor != 4 && factor != 8 && factor != 16) {
        return "factor is not 2, 4, 8 or 16";
    }
    const bool fits = in->h * factor == s->out->h && in->w * factor == s->out->w;
    return fits && in->c == s->out->c ? NULL : "output shape";
}

static const char *mean_misfit(const struct site *s)
{
    return s->out->h == 1 && s->out->w == 1 && s->out->c == s->in[0]->c ? NULL : "output shape";
}

static const char *gate_misfit(const struct site *s)
{
    return same_shape(s->in[2], s->out) ? two_like_out_misfit(s) : "shapes differ";
}

static const char *scale_add_misfit(const struct site *s)
{
    const struct graph_tensor *factor = s->in[2];
    if (factor->h != 1 || factor->w != 1 || factor->c != 2 * (int64_t)s->out->c) {
        return "factors are not [1, 1, 2c]";
    }
    return two_like_out_misfit(s);
}

static double patch_tokens_macs(const struct site *s)
{
    return area_of(s->in[0]) * s->out->c;
}

static double linear_macs(const struct site *s)
{
    return area_of(s->out) * s->in[0]->c * s->out->c;
}

static double attention_macs(const struct site *s)
{
    return 2.0 * area_of(s->out) * area_of(s->out) * s->out->c;
}

static double conv_macs(const struct site *s)
{
    const double inputs = (double)s->in[0]->c + (s->in[1] == NULL ? 0.0 : s->in[1]->c);
    return area_of(s->out) * s->out->c * inputs * s->op->kernel * s->op->kernel;
}

static const struct kind_rule rules[] = {
    [GRAPH_PATCH_TOKENS] = {"patch_tokens", 1, 0, PART_WEIGHT, PART_BIAS | PART_EXTRA,
                            patch_tokens_misfit, patch_tokens_macs},
    [GRAPH_LAYER_NORM] = {"layer_norm", 1, 0, PART_WEIGHT | PART_BIAS, 0, layer_norm_misfit, NULL},
    [GRAPH_LINEAR] = {"linear", 1, 2, PART_WEIGHT, PART_SCALE | PART_BIAS | PART_ACT, linear_misfit,
                      linear_macs},
    [GRAPH_ATTENTION] = {"attention", 1, 0, PART_EXTRA, 0, attention_misfit, attention_macs},
    [GRAPH_SWIGLU] = {"swiglu", 3, 0, 0, 0, two_like_out_misfit, NULL},
    [GRAPH_CONV] = {"conv", 1, 6, PART_WEIGHT, PART_SCALE | PART_BIAS | PART_ACT, conv_misfit,
                    conv_macs},
    [GRAPH_MAX_POOL] = {"max_pool", 1, 0, 0, 0, max_pool_misfit, NULL},
    [GRAPH_UPSAMPLE] = {"upsample", 1, 0, 0, 0, upsample_misfit, NULL},
    [GRAPH_ADD] = {"add", 3, 0, 0, 0, two_like_out_misfit, NULL},
    [GRAPH_MEAN] = {"mean", 1, 0, 0, 0, mean_misfit, NULL},
    [GRAPH_GATE] = {"gate", 7, 0, 0, 0, gate_misfit, NULL},
    [GRAPH_SCALE_ADD] = {"scale_add", 7, 0, 0, 0, scale_add_misfit, NULL},
};
enum { N_RULES = sizeof rules / sizeof rules[0] };

static unsigned parts_of(const struct graph_op *op)
{
    unsigned parts = 0;
    parts |= op->weight != NULL ? PART_WEIGHT : 0U;
    parts |= op->scale != NULL ? PART_SCALE : 0U;
    parts |= op->bias != NULL ? PART_BIAS : 0U;
    parts |= op->extra != NULL ? PART_EXTRA : 0U;
    parts |= op->act != GRAPH_ACT_NONE ? PART_ACT : 0U;
    return parts;
}

static struct site site_of(const struct graph *g, const struct graph_op *op)
{
    struct site s = {.op = op, .out = &g->tensor[op->out]};
    for (int i = 0; i < 3; i++) {
        s.in[i] = op->in[i] == GRAPH_NONE ? NULL : &g->tensor[op->in[i]];
    }
    return s;
}

/* The first operation that writes a tensor; n_ops if none does. */
static int32_t find_writer(const struct graph *g, int32_t tensor)
{
    for (int32_t i = 0; i < g->n_ops; i++) {
        if (g->op[i].out == tensor) {
            return i;
        }
    }
    return g->n_ops;
}

static bool is_ready(const struct graph *g, int32_t tensor, int32_t before)
{
    return tensor == GRAPH_X_CNN || tensor == GRAPH_X_DINO || find_writer(g, tensor) < before;
}

static const char *input_misfit(const struct graph *g, int32_t i, int k)
{
    const struct kind_rule *rule = &rules[g->op[i].kind];
    const int32_t tensor = g->op[i].in[k];
    const unsigned bit = 1U << k;
    if (tensor == GRAPH_NONE) {
        return (rule->need_in & bit) != 0 ? "an input is missing" : NULL;
    }
    if (((rule->need_in | rule->may_in) & bit) == 0) {
        return "one input too many";
    }
    if (tensor < 0 || tensor >= g->n_tensors) {
        return "input is no tensor of the graph";
    }
    return is_ready(g, tensor, i) ? NULL : "input is read before it is written";
}

static const char *wiring_misfit(const struct graph *g, int32_t i)
{
    const int32_t out = g->op[i].out;
    for (int k = 0; k < 3; k++) {
        const char *problem = input_misfit(g, i, k);
        if (problem != NULL) {
            return problem;
        }
    }
    if (out <= GRAPH_X_DINO || out >= g->n_tensors) {
        return "output is no tensor of the graph";
    }
    return find_writer(g, out) < i ? "output is written twice" : NULL;
}

static const char *parts_misfit(const struct graph_op *op)
{
    const struct kind_rule *rule = &rules[op->kind];
    const unsigned parts = parts_of(op);
    if ((rule->need & ~parts) != 0) {
        return "weights are missing";
    }
    if ((parts & ~(rule->need | rule->may)) != 0) {
        return "an attribute that this kind does not have";
    }
    return (unsigned)op->act > GRAPH_ACT_TANH ? "unknown activation" : NULL;
}

static int check_op(const struct graph *g, int32_t i, struct sctd_error *err)
{
    const struct graph_op *op = &g->op[i];
    if ((unsigned)op->kind >= N_RULES || (unsigned)op->stage >= GRAPH_STAGES) {
        return sctd_error(err, SCTD_EINVAL, "graph operation %d: unknown kind %d or stage %d", i,
                          (int)op->kind, (int)op->stage);
    }
    const char *problem = wiring_misfit(g, i);
    if (problem == NULL) {
        problem = parts_misfit(op);
    }
    if (problem == NULL) {
        const struct site s = site_of(g, op);
        problem = rules[op->kind].misfit(&s);
    }
    if (problem == NULL) {
        return 0;
    }
    return sctd_error(err, SCTD_EINVAL, "graph operation %d (%s): %s", i, rules[op->kind].name,
                      problem);
}

/* The values of one slice are counted in 32 bits, so that no product of sizes overflows. */
static bool is_sound(const struct graph_tensor *t)
{
    if (t->h < 1 || t->w < 1 || t->c < 1 || area_of(t) * t->c > (double)INT32_MAX) {
        return false;
    }
    return memchr(t->name, '\0', sizeof t->name) != NULL;
}

static int check_tensors(const struct graph *g, struct sctd_error *err)
{
    if (g->n_tensors < 3 || g->n_ops < 1) {
        return sctd_error(err, SCTD_EINVAL, "graph of %d tensors and %d operations", g->n_tensors,
                          g->n_ops);
    }
    for (int32_t t = 0; t < g->n_tensors; t++) {
        const struct graph_tensor *tensor = &g->tensor[t];
        if (!is_sound(tensor)) {
            return sctd_error(err, SCTD_EINVAL, "graph tensor %d is %d x %d x %d", t, tensor->h,
                              tensor->w, tensor->c);
        }
    }
    const struct graph_tensor *x = &g->tensor[GRAPH_X_CNN];
    if (x->c != 1 || !same_shape(x, &g->tensor[GRAPH_X_DINO])) {
        return sctd_error(err, SCTD_EINVAL, "graph inputs are not one channel of one size");
    }
    return 0;
}

static int check_y(const struct graph *g, struct sctd_error *err)
{
    if (g->y <= GRAPH_X_DINO || g->y >= g->n_tensors || !is_ready(g, g->y, g->n_ops)) {
        return sctd_error(err, SCTD_EINVAL, "graph output %d is never written", g->y);
    }
    if (!same_shape(&g->tensor[g->y], &g->tensor[GRAPH_X_CNN])) {
        return sctd_error(err, SCTD_EINVAL, "graph output has another size than its input");
    }
    return 0;
}

int32_t graph_find(const struct graph *g, const char *name)
{
    for (int32_t t = 0; t < g->n_tensors && name[0] != '\0'; t++) {
        if (strcmp(g->tensor[t].name, name) == 0) {
            return t;
        }
    }
    return GRAPH_NONE;
}

double graph_macs(const struct graph *g)
{
    double macs = 0.0;
    for (int32_t i = 0; i < g->n_ops; i++) {
        const struct graph_op *op = &g->op[i];
        if (rules[op->kind].macs != NULL) {
            const struct site s = site_of(g, op);
            macs += rules[op->kind].macs(&s);
        }
    }
    return macs;
}

int graph_check(const struct graph *g, struct sctd_error *err)
{
    int r = check_tensors(g, err);
    for (int32_t i = 0; r == 0 && i < g->n_ops; i++) {
        r = check_op(g, i, err);
    }
    return r < 0 ? r : check_y(g, err);
}
