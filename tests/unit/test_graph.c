/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/graph.h"
#include "engine/base/error.h"

enum { NONE = GRAPH_NONE, N_TENSORS = 20, N_OPS = 18 };

/* Names of the operations below, by the tensor that each writes. */
enum {
    TOKENS = 2,
    NORM,
    QKV,
    MIXED,
    PROJ,
    SWIGLU,
    GRID,
    MAP,
    ENC,
    POOLED,
    UP,
    MERGED,
    SUM,
    MEAN,
    GATED,
    FACTORS,
    SCALED,
    Y
};

struct sample {
    struct graph graph;
    struct graph_tensor tensor[N_TENSORS];
    struct graph_op op[N_OPS];
};

/* Never read: a graph is checked by its shapes. */
static const float some_weight[1];
static const double some_scale[1];

static struct graph_op op_of(enum graph_op_kind kind, int32_t a, int32_t b, int32_t c)
{
    struct graph_op op = {.kind = kind, .in = {a, b, c}};
    if (kind == GRAPH_CONV || kind == GRAPH_LINEAR || kind == GRAPH_LAYER_NORM ||
        kind == GRAPH_PATCH_TOKENS) {
        op.weight = some_weight;
        op.bias = some_weight;
    }
    if (kind == GRAPH_LAYER_NORM) {
        op.eps = 1e-5F;
    }
    if (kind == GRAPH_ATTENTION || kind == GRAPH_PATCH_TOKENS) {
        op.extra = some_weight;
        op.prefix = 1;
    }
    op.heads = kind == GRAPH_ATTENTION ? 2 : 0;
    op.kernel = kind == GRAPH_CONV ? 1 : 0;
    return op;
}

static struct graph_op *writer(struct sample *s, int32_t tensor)
{
    return &s->op[tensor - 2];
}

/* A sound graph with every kind of operation. */
static void make_sample(struct sample *s)
{
    static const int32_t dims[N_TENSORS][3] = {
        {32, 32, 1}, {32, 32, 1}, {1, 5, 8},   {1, 5, 8},   {1, 5, 24},  {1, 5, 8},   {1, 5, 8},
        {1, 5, 8},   {2, 2, 8},   {32, 32, 8}, {32, 32, 8}, {16, 16, 8}, {32, 32, 8}, {32, 32, 8},
        {32, 32, 8}, {1, 1, 8},   {32, 32, 8}, {1, 1, 16},  {32, 32, 8}, {32, 32, 1},
    };
    const struct graph_op ops[N_OPS] = {
        op_of(GRAPH_PATCH_TOKENS, GRAPH_X_DINO, NONE, NONE),
        op_of(GRAPH_LAYER_NORM, TOKENS, NONE, NONE),
        op_of(GRAPH_LINEAR, NORM, NONE, NONE),
        op_of(GRAPH_ATTENTION, QKV, NONE, NONE),
        op_of(GRAPH_LINEAR, MIXED, TOKENS, NONE),
        op_of(GRAPH_SWIGLU, PROJ, NORM, NONE),
        op_of(GRAPH_LAYER_NORM, SWIGLU, NONE, NONE),
        op_of(GRAPH_UPSAMPLE, GRID, NONE, NONE),
        op_of(GRAPH_CONV, GRAPH_X_CNN, NONE, NONE),
        op_of(GRAPH_MAX_POOL, ENC, NONE, NONE),
        op_of(GRAPH_UPSAMPLE, POOLED, NONE, NONE),
        op_of(GRAPH_CONV, MAP, ENC, UP),
        op_of(GRAPH_ADD, MERGED, UP, NONE),
        op_of(GRAPH_MEAN, SUM, NONE, NONE),
        op_of(GRAPH_GATE, MERGED, SUM, MAP),
        op_of(GRAPH_CONV, MEAN, NONE, NONE),
        op_of(GRAPH_SCALE_ADD, GATED, MAP, FACTORS),
        op_of(GRAPH_CONV, SCALED, NONE, NONE),
    };
    *s = (struct sample){.graph = {.n_tensors = N_TENSORS, .n_ops = N_OPS, .y = Y}};
    for (int32_t t = 0; t < N_TENSORS; t++) {
        s->tensor[t] = (struct graph_tensor){.h = dims[t][0], .w = dims[t][1], .c = dims[t][2]};
    }
    for (int32_t i = 0; i < N_OPS; i++) {
        s->op[i] = ops[i];
        s->op[i].out = i + 2;
    }
    writer(s, GRID)->prefix = 1;
    writer(s, MAP)->factor = 16;
    writer(s, ENC)->kernel = 3;
    writer(s, ENC)->act = GRAPH_ACT_GELU;
    writer(s, ENC)->scale = some_scale;
    writer(s, UP)->factor = 2;
    s->graph.tensor = s->tensor;
    s->graph.op = s->op;
}

static void sound_graph_passes(void)
{
    struct sctd_error err = {0};
    struct sample s;
    make_sample(&s);
    assert(graph_check(&s.graph, &err) == 0);
    writer(&s, ENC)->bias = NULL;
    writer(&s, TOKENS)->bias = NULL;
    assert(graph_check(&s.graph, &err) == 0);
}

static void multiply_adds_are_counted_by_the_definition(void)
{
    struct sample s;
    make_sample(&s);
    const double patches = 4.0 * 256 * 8;
    const double vit = patches + 5.0 * 8 * 24 + 2.0 * 5 * 5 * 8 + 5.0 * 8 * 8;
    const double convs = 1024.0 * (9 * 8 + 16 * 8 + 8) + 8.0 * 16;
    assert(fabs(graph_macs(&s.graph) - (vit + convs)) < 0.5);
}

static void tensors_are_found_by_name_and_nameless_ones_never(void)
{
    struct sample s;
    make_sample(&s);
    (void)strcpy(s.tensor[ENC].name, "gen.enc1");
    (void)strcpy(s.tensor[Y].name, "y");
    assert(graph_find(&s.graph, "gen.enc1") == ENC);
    assert(graph_find(&s.graph, "y") == Y);
    assert(graph_find(&s.graph, "gen.enc") == GRAPH_NONE);
    assert(graph_find(&s.graph, "") == GRAPH_NONE);
}

/* One integer of the sample is set to `value`: the check must name operation `op` and `why`. */
struct damage {
    enum {
        OP_KIND,
        OP_STAGE,
        OP_IN0,
        OP_IN1,
        OP_IN2,
        OP_OUT,
        OP_ACT,
        OP_KERNEL,
        OP_FACTOR,
        OP_HEADS,
        OP_PREFIX,
        DIM_H,
        DIM_W,
        DIM_C
    } field;
    int32_t tensor; /* that the operation writes, or whose shape is damaged */
    int32_t value;
    const char *why;
};

static void inflict(struct sample *s, const struct damage *d)
{
    struct graph_op *op = d->field < DIM_H ? writer(s, d->tensor) : NULL;
    struct graph_tensor *t = &s->tensor[d->tensor];
    switch (d->field) {
    case OP_KIND:
        memcpy(&op->kind, &d->value, sizeof op->kind);
        break;
    case OP_STAGE:
        memcpy(&op->stage, &d->value, sizeof op->stage);
        break;
    case OP_ACT:
        memcpy(&op->act, &d->value, sizeof op->act);
        break;
    case OP_IN0:
    case OP_IN1:
    case OP_IN2:
        op->in[(int)d->field - OP_IN0] = d->value;
        break;
    case OP_OUT:
        op->out = d->value;
        break;
    case OP_KERNEL:
        op->kernel = d->value;
        break;
    case OP_FACTOR:
        op->factor = d->value;
        break;
    case OP_HEADS:
        op->heads = d->value;
        break;
    case OP_PREFIX:
        op->prefix = d->value;
        break;
    case DIM_H:
        t->h = d->value;
        break;
    case DIM_W:
        t->w = d->value;
        break;
    case DIM_C:
        t->c = d->value;
        break;
    }
}

static void every_misfit_is_refused_and_named(void)
{
    static const struct damage damages[] = {
        {OP_KIND, TOKENS, 12, "operation 0: unknown kind 12"},
        {OP_KIND, TOKENS, -1, "operation 0: unknown kind -1"},
        {OP_STAGE, ENC, GRAPH_STAGES, "operation 8: unknown kind 5 or stage 4"},
        {OP_ACT, ENC, 9, "(conv): unknown activation"},
        {OP_ACT, SUM, GRAPH_ACT_GELU, "(add): an attribute"},
        {OP_IN0, NORM, NONE, "(layer_norm): an input is missing"},
        {OP_IN0, NORM, -2, "(layer_norm): input is no tensor"},
        {OP_IN0, NORM, N_TENSORS, "(layer_norm): input is no tensor"},
        {OP_IN0, NORM, NORM, "(layer_norm): input is read before"},
        {OP_IN0, NORM, PROJ, "(layer_norm): input is read before"},
        {OP_IN1, NORM, TOKENS, "(layer_norm): one input too many"},
        {OP_IN2, PROJ, TOKENS, "(linear): one input too many"},
        {OP_IN1, SUM, NONE, "(add): an input is missing"},
        {OP_IN2, GATED, NONE, "(gate): an input is missing"},
        {OP_OUT, NORM, TOKENS, "(layer_norm): output is written twice"},
        {OP_OUT, NORM, GRAPH_X_CNN, "(layer_norm): output is no tensor"},
        {OP_OUT, NORM, N_TENSORS, "(layer_norm): output is no tensor"},
        {OP_IN0, TOKENS, TOKENS, "(patch_tokens): input is read before"},
        {OP_PREFIX, TOKENS, 0, "(patch_tokens): prefix and extra"},
        {OP_PREFIX, TOKENS, -1, "(patch_tokens): prefix and extra"},
        {OP_PREFIX, TOKENS, 2, "(patch_tokens): output shape"},
        {OP_PREFIX, NORM, -1, "(layer_norm): prefix"},
        {OP_PREFIX, NORM, 5, "(layer_norm): prefix"},
        {OP_PREFIX, NORM, 1, "(layer_norm): output shape"},
        {DIM_C, NORM, 7, "(layer_norm): output shape"},
        {DIM_W, QKV, 6, "(linear): output shape"},
        {OP_IN1, PROJ, QKV, "(linear): residual shape"},
        {OP_HEADS, MIXED, 0, "(attention): heads"},
        {OP_HEADS, MIXED, 3, "(attention): heads"},
        {OP_HEADS, MIXED, 8, "(attention): heads"},
        {OP_PREFIX, MIXED, 5, "(attention): tokens or prefix"},
        {OP_PREFIX, MIXED, -1, "(attention): tokens or prefix"},
        {DIM_C, QKV, 25, "(attention): output shape"},
        {OP_IN1, SWIGLU, QKV, "(swiglu): shapes differ"},
        {OP_KERNEL, ENC, 2, "(conv): kernel"},
        {OP_KERNEL, ENC, 5, "(conv): kernel"},
        {OP_IN1, ENC, GRID, "(conv): concatenated"},
        {OP_IN2, MERGED, GRID, "(conv): residual shape"},
        {DIM_H, ENC, 31, "(conv): output shape"},
        {DIM_W, POOLED, 15, "(max_pool): output shape"},
        {DIM_C, POOLED, 9, "(max_pool): output shape"},
        {OP_FACTOR, UP, 3, "(upsample): factor"},
        {OP_FACTOR, UP, 4, "(upsample): output shape"},
        {OP_FACTOR, MAP, 8, "(upsample): output shape"},
        {DIM_H, GRID, 1, "(layer_norm): output shape"},
        {OP_IN1, SUM, POOLED, "(add): shapes differ"},
        {DIM_C, MEAN, 4, "(mean): output shape"},
        {DIM_W, MEAN, 2, "(mean): output shape"},
        {OP_IN2, GATED, POOLED, "(gate): shapes differ"},
        {OP_IN0, GATED, POOLED, "(gate): shapes differ"},
        {DIM_C, FACTORS, 8, "(scale_add): factors"},
        {OP_IN1, SCALED, POOLED, "(scale_add): shapes differ"},
        {DIM_C, Y, 2, "output has another size"},
        {DIM_C, GRAPH_X_CNN, 3, "inputs are not one channel"},
        {DIM_H, GRAPH_X_DINO, 16, "inputs are not one channel"},
        {DIM_H, MEAN, 0, "tensor 15 is 0 x 1 x 8"},
        {DIM_W, MEAN, -4, "tensor 15 is 1 x -4 x 8"},
        {DIM_C, ENC, INT32_MAX, "tensor 10 is"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct sctd_error err = {0};
        struct sample s;
        make_sample(&s);
        inflict(&s, &damages[i]);
        assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
        assert(strstr(err.text, damages[i].why) != NULL);
    }
}

static void weights_must_be_there_and_only_where_they_belong(void)
{
    struct sctd_error err = {0};
    struct sample s;
    static const int32_t needing[] = {TOKENS, NORM, QKV, ENC};
    for (size_t i = 0; i < sizeof needing / sizeof needing[0]; i++) {
        make_sample(&s);
        writer(&s, needing[i])->weight = NULL;
        assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
        assert(strstr(err.text, "weights are missing") != NULL);
    }
    make_sample(&s);
    writer(&s, MIXED)->extra = NULL;
    assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
    make_sample(&s);
    writer(&s, NORM)->scale = some_scale;
    assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
    make_sample(&s);
    writer(&s, SUM)->bias = some_weight;
    assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
}

static void eps_must_be_positive_and_finite(void)
{
    static const float bad[] = {0.0F, -1e-5F, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sctd_error err = {0};
        struct sample s;
        make_sample(&s);
        writer(&s, NORM)->eps = bad[i];
        assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
    }
}

static void output_must_be_written(void)
{
    static const int32_t bad[] = {NONE, GRAPH_X_CNN, N_TENSORS, Y};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sctd_error err = {0};
        struct sample s;
        make_sample(&s);
        s.graph.n_ops = N_OPS - 1; /* the last one writes Y */
        s.graph.y = bad[i];
        assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
    }
}

static void image_that_is_not_whole_patches_is_refused(void)
{
    struct sctd_error err = {0};
    struct sample s;
    make_sample(&s);
    s.tensor[GRAPH_X_CNN].w = 40;
    s.tensor[GRAPH_X_DINO].w = 40;
    assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "whole 16x16 patches") != NULL);
}

static void name_without_an_end_is_refused(void)
{
    struct sctd_error err = {0};
    struct sample s;
    make_sample(&s);
    memset(s.tensor[ENC].name, 'a', sizeof s.tensor[ENC].name);
    assert(graph_check(&s.graph, &err) == SCTD_EINVAL);
}

static void empty_graph_is_refused(void)
{
    struct sctd_error err = {0};
    const struct graph g = {0};
    assert(graph_check(&g, &err) == SCTD_EINVAL);
}

int main(void)
{
    sound_graph_passes();
    multiply_adds_are_counted_by_the_definition();
    tensors_are_found_by_name_and_nameless_ones_never();
    every_misfit_is_refused_and_named();
    weights_must_be_there_and_only_where_they_belong();
    eps_must_be_positive_and_finite();
    output_must_be_written();
    image_that_is_not_whole_patches_is_refused();
    name_without_an_end_is_refused();
    empty_graph_is_refused();
    return 0;
}
