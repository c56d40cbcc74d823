/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/network.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/graph.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

enum { MAX_TENSORS = 1024, MAX_OPS = 1024, MAX_BLOCKS = 2048, MAX_SIZE = 2048, PATCH = 16 };

static const double bn_eps = 1e-5;
static const float ln_eps = 1e-5F;

struct network {
    struct graph graph;
    void *block[MAX_BLOCKS]; /* owned: folded scales and biases, tables */
    int32_t n_blocks;
};

/* What is being built.  The first failure sticks: later calls then do nothing. */
struct builder {
    struct network *net;
    const struct model *model;
    enum graph_stage stage;
    struct sctd_error *err;
    int failed;
};

static bool fail_nomem(struct builder *b)
{
    if (b->failed == 0) {
        b->failed = sctd_error(b->err, SCTD_ENOMEM, "network");
    }
    return false;
}

static void *take_memory(struct builder *b, size_t count, size_t size)
{
    if (b->failed != 0) {
        return NULL;
    }
    void *p = b->net->n_blocks < MAX_BLOCKS ? calloc(count, size) : NULL;
    if (p == NULL) {
        fail_nomem(b);
        return NULL;
    }
    b->net->block[b->net->n_blocks++] = p;
    return p;
}

/* The weight "PREFIX.SUFFIX" of exactly `count` values, or NULL after a failure. */
static const float *find_weight(struct builder *b, const char *prefix, const char *suffix,
                                size_t count)
{
    if (b->failed != 0) {
        return NULL;
    }
    char name[TENSOR_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s%s%s", prefix, *suffix == '\0' ? "" : ".", suffix);
    const struct tensor_view *t = model_find(b->model, name);
    if (t == NULL) {
        b->failed = sctd_error(b->err, SCTD_EDATA, "weights: %s is missing", name);
        return NULL;
    }
    if (tensor_view_count(t) != count || t->dtype != TENSOR_F32) {
        b->failed = sctd_error(b->err, SCTD_EDATA, "weights: %s has %zu values, expected %zu f32",
                               name, tensor_view_count(t), count);
        return NULL;
    }
    return t->data;
}

static int32_t add_tensor(struct builder *b, const char *name, const int32_t dim[3])
{
    struct graph *g = &b->net->graph;
    if (b->failed != 0 || g->n_tensors == MAX_TENSORS) {
        fail_nomem(b);
        return 0;
    }
    struct graph_tensor *t = &g->tensor[g->n_tensors];
    *t = (struct graph_tensor){.h = dim[0], .w = dim[1], .c = dim[2]};
    (void)snprintf(t->name, sizeof t->name, "%s", name);
    return g->n_tensors++;
}

static const struct graph_tensor *tensor_at(const struct builder *b, int32_t t)
{
    return &b->net->graph.tensor[t];
}

/* Append `op` with a new output tensor [h, w, c], which is returned. */
static int32_t add_op(struct builder *b, struct graph_op op, const char *name, const int32_t dim[3])
{
    struct graph *g = &b->net->graph;
    if (b->failed == 0 && g->n_ops == MAX_OPS) {
        fail_nomem(b);
    }
    op.stage = b->stage;
    op.out = add_tensor(b, name, dim);
    if (b->failed == 0) {
        g->op[g->n_ops++] = op;
    }
    return op.out;
}

__attribute__((format(printf, 2, 3))) static void format_name(char name[TENSOR_NAME_MAX],
                                                              const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(name, TENSOR_NAME_MAX, format, ap);
    va_end(ap);
}

/* The Vision Transformer */

/*
 * RoPE tables [2, hw, head_dim] (DINOv3, arXiv:2508.10104; axial, coordinates of patch centres in
 * [-1, 1]): a token's angles are those of its row, then those of its column, then both again.
 */
static const float *rope_tables(struct builder *b, int32_t rows, int32_t columns, int32_t head_dim)
{
    const int32_t quarter = head_dim / 4;
    const float *period = find_weight(b, "backbone.rope_embed.periods", "", (size_t)quarter);
    const size_t tokens = (size_t)rows * (size_t)columns;
    float *table = take_memory(b, 2 * tokens * (size_t)head_dim, sizeof *table);
    if (period == NULL || table == NULL) {
        return NULL;
    }
    for (size_t token = 0; token < tokens; token++) {
        const size_t whole_rows = token / (size_t)columns;
        const double row = (double)whole_rows;
        const double column = (double)(token % (size_t)columns);
        const double at[2] = {2.0 * (row + 0.5) / rows - 1.0, 2.0 * (column + 0.5) / columns - 1.0};
        for (int32_t d = 0; d < head_dim; d++) {
            const int32_t axis = d / quarter % 2;
            const double angle = 2.0 * M_PI * at[axis] / (double)period[d % quarter];
            table[token * (size_t)head_dim + (size_t)d] = (float)cos(angle);
            table[(tokens + token) * (size_t)head_dim + (size_t)d] = (float)sin(angle);
        }
    }
    return table;
}

/* The input is one channel repeated three times: sum the kernel over the channels once. */
static const float *patch_weights(struct builder *b, int32_t dim)
{
    const size_t area = (size_t)PATCH * PATCH;
    const float *w = find_weight(b, "backbone.patch_embed.proj", "weight", (size_t)dim * 3 * area);
    float *sum = take_memory(b, (size_t)dim * area, sizeof *sum);
    if (w == NULL || sum == NULL) {
        return NULL;
    }
    for (size_t o = 0; o < (size_t)dim; o++) {
        for (size_t i = 0; i < area; i++) {
            const float *at = w + o * 3 * area + i;
            sum[o * area + i] = (float)((double)at[0] + (double)at[area] + (double)at[2 * area]);
        }
    }
    return sum;
}

static const float *prefix_tokens(struct builder *b, const struct vit_config *vit)
{
    const size_t dim = (size_t)vit->dim;
    const size_t storage = (size_t)vit->storage_tokens * dim;
    const float *cls = find_weight(b, "backbone", "cls_token", dim);
    const float *rest = storage == 0 ? NULL : find_weight(b, "backbone", "storage_tokens", storage);
    float *tokens = take_memory(b, dim + storage, sizeof *tokens);
    if (tokens == NULL || cls == NULL) {
        return NULL;
    }
    memcpy(tokens, cls, dim * sizeof *tokens);
    if (rest != NULL) {
        memcpy(tokens + dim, rest, storage * sizeof *tokens);
    }
    return tokens;
}

static int32_t add_layer_norm(struct builder *b, const char *prefix, int32_t in, int32_t drop,
                              const char *name)
{
    const struct graph_tensor *t = tensor_at(b, in);
    const int32_t dim[3] = {t->h, t->w - drop, t->c};
    const struct graph_op op = {
        .kind = GRAPH_LAYER_NORM,
        .in = {in, GRAPH_NONE, GRAPH_NONE},
        .prefix = drop,
        .eps = ln_eps,
        .weight = find_weight(b, prefix, "weight", (size_t)t->c),
        .bias = find_weight(b, prefix, "bias", (size_t)t->c),
    };
    return add_op(b, op, name, dim);
}

/* act(in W' + bias), with LayerScale `gamma` [out] folded into W and bias if there, + residual. */
static int32_t add_linear(struct builder *b, const char *prefix, const struct graph_op *like,
                          int32_t out, const float *gamma)
{
    const struct graph_tensor *t = tensor_at(b, like->in[0]);
    struct graph_op op = *like;
    op.kind = GRAPH_LINEAR;
    op.weight = find_weight(b, prefix, "weight", (size_t)out * (size_t)t->c);
    op.bias = find_weight(b, prefix, "bias", (size_t)out);
    if (gamma != NULL) {
        double *scale = take_memory(b, (size_t)out, sizeof *scale);
        float *bias = take_memory(b, (size_t)out, sizeof *bias);
        for (int32_t o = 0; b->failed == 0 && o < out; o++) {
            scale[o] = (double)gamma[o];
            bias[o] = (float)((double)op.bias[o] * scale[o]);
        }
        op.scale = scale;
        op.bias = bias;
    }
    const int32_t dim[3] = {t->h, t->w, out};
    return add_op(b, op, "", dim);
}

static struct graph_op linear_of(int32_t in, int32_t residual, enum graph_act act)
{
    return (struct graph_op){.in = {in, residual, GRAPH_NONE}, .act = act};
}

static int32_t add_feed_forward(struct builder *b, const char *block, int32_t x, int32_t normed)
{
    const struct vit_config *vit = &model_get_manifest(b->model)->vit;
    char name[TENSOR_NAME_MAX];
    int32_t hidden = 0;
    if (vit->ffn == VIT_FFN_MLP) {
        const struct graph_op up = linear_of(normed, GRAPH_NONE, GRAPH_ACT_GELU);
        format_name(name, "%s.mlp.fc1", block);
        hidden = add_linear(b, name, &up, vit->hidden, NULL);
        format_name(name, "%s.mlp.fc2", block);
    } else {
        const struct graph_op half = linear_of(normed, GRAPH_NONE, GRAPH_ACT_NONE);
        format_name(name, "%s.mlp.w1", block);
        const int32_t gate = add_linear(b, name, &half, vit->hidden, NULL);
        format_name(name, "%s.mlp.w2", block);
        const int32_t value = add_linear(b, name, &half, vit->hidden, NULL);
        const struct graph_op op = {.kind = GRAPH_SWIGLU, .in = {gate, value, GRAPH_NONE}};
        const struct graph_tensor *t = tensor_at(b, gate);
        hidden = add_op(b, op, "", (const int32_t[]){t->h, t->w, t->c});
        format_name(name, "%s.mlp.w3", block);
    }
    const struct graph_op down = linear_of(hidden, x, GRAPH_ACT_NONE);
    return add_linear(b, name, &down, vit->dim,
                      find_weight(b, block, "ls2.gamma", (size_t)vit->dim));
}

/* x += ls1 proj(attention(norm1 x)); x += ls2 mlp(norm2 x) */
static int32_t add_block(struct builder *b, int32_t i, int32_t x, const float *rope)
{
    const struct vit_config *vit = &model_get_manifest(b->model)->vit;
    char block[TENSOR_NAME_MAX];
    char name[TENSOR_NAME_MAX];
    format_name(block, "backbone.blocks.%d", i);

    format_name(name, "backbone.blocks.%d.norm1", i);
    const struct graph_op qkv =
        linear_of(add_layer_norm(b, name, x, 0, ""), GRAPH_NONE, GRAPH_ACT_NONE);
    format_name(name, "backbone.blocks.%d.attn.qkv", i);
    const struct graph_op attention = {
        .kind = GRAPH_ATTENTION,
        .in = {add_linear(b, name, &qkv, 3 * vit->dim, NULL), GRAPH_NONE, GRAPH_NONE},
        .heads = vit->heads,
        .prefix = 1 + vit->storage_tokens,
        .extra = rope,
    };
    const struct graph_tensor *t = tensor_at(b, x);
    const int32_t mixed = add_op(b, attention, "", (const int32_t[]){t->h, t->w, t->c});
    const struct graph_op proj = linear_of(mixed, x, GRAPH_ACT_NONE);
    format_name(name, "backbone.blocks.%d.attn.proj", i);
    x = add_linear(b, name, &proj, vit->dim, find_weight(b, block, "ls1.gamma", (size_t)vit->dim));

    format_name(name, "backbone.blocks.%d.norm2", i);
    x = add_feed_forward(b, block, x, add_layer_norm(b, name, x, 0, ""));
    b->net->graph.tensor[x].tokens = true;
    (void)snprintf(b->net->graph.tensor[x].name, GRAPH_NAME_MAX, "vit.block%d", i);
    return x;
}

/* feature[k]: [h/16, w/16, dim], the final norm of the block outputs that the generator reads. */
static void add_vit(struct builder *b, int32_t feature[4])
{
    const struct vit_config *vit = &model_get_manifest(b->model)->vit;
    const struct graph_tensor *image = tensor_at(b, GRAPH_X_DINO);
    const int32_t rows = image->h / PATCH;
    const int32_t columns = image->w / PATCH;
    const int32_t prefix = 1 + vit->storage_tokens;
    const float *rope = rope_tables(b, rows, columns, vit->dim / vit->heads);

    b->stage = GRAPH_VIT;
    const struct graph_op embed = {
        .kind = GRAPH_PATCH_TOKENS,
        .in = {GRAPH_X_DINO, GRAPH_NONE, GRAPH_NONE},
        .prefix = prefix,
        .weight = patch_weights(b, vit->dim),
        .bias = find_weight(b, "backbone.patch_embed.proj", "bias", (size_t)vit->dim),
        .extra = prefix_tokens(b, vit),
    };
    const int32_t dim[3] = {1, prefix + rows * columns, vit->dim};
    int32_t x = add_op(b, embed, "vit.tokens0", dim);
    b->net->graph.tensor[x].tokens = true;

    int32_t level = 0;
    for (int32_t i = 0; i < vit->depth && level < 4; i++) {
        x = add_block(b, i, x, rope);
        if (i != vit->features[level]) {
            continue;
        }
        char name[GRAPH_NAME_MAX];
        (void)snprintf(name, sizeof name, "vit.feature%d", i);
        feature[level] = add_layer_norm(b, "backbone.norm", x, prefix, name);
        struct graph_tensor *t = &b->net->graph.tensor[feature[level]];
        t->h = rows;
        t->w = columns;
        t->tokens = true;
        level++;
    }
}

/* The generator */

struct conv {
    const char *weight; /* name without ".weight" */
    const char *norm;   /* name of the BatchNorm, or NULL */
    int32_t in[3];
    int32_t kernel;
    int32_t out; /* channels */
    enum graph_act act;
    bool bias; /* whether the convolution has a bias of its own */
};

/* Fold BatchNorm in inference form into a scale of the weights' rows and a bias. */
static void fold_norm(struct builder *b, const struct conv *c, struct graph_op *op)
{
    const size_t n = (size_t)c->out;
    const float *gamma = find_weight(b, c->norm, "weight", n);
    const float *beta = find_weight(b, c->norm, "bias", n);
    const float *mean = find_weight(b, c->norm, "running_mean", n);
    const float *var = find_weight(b, c->norm, "running_var", n);
    double *scale = take_memory(b, n, sizeof *scale);
    float *bias = take_memory(b, n, sizeof *bias);
    for (size_t o = 0; b->failed == 0 && o < n; o++) {
        const double own = op->bias == NULL ? 0.0 : (double)op->bias[o];
        scale[o] = (double)gamma[o] / sqrt((double)var[o] + bn_eps);
        bias[o] = (float)((double)beta[o] + (own - (double)mean[o]) * scale[o]);
    }
    op->scale = scale;
    op->bias = bias;
}

static int32_t add_conv(struct builder *b, const struct conv *c, const char *name)
{
    const struct graph_tensor *t = tensor_at(b, c->in[0]);
    const int32_t second = c->in[1] == GRAPH_NONE ? 0 : tensor_at(b, c->in[1])->c;
    const size_t inputs = (size_t)(t->c + second) * (size_t)(c->kernel * c->kernel);
    struct graph_op op = {
        .kind = GRAPH_CONV,
        .in = {c->in[0], c->in[1], c->in[2]},
        .act = c->act,
        .kernel = c->kernel,
        .weight = find_weight(b, c->weight, "weight", (size_t)c->out * inputs),
        .bias = c->bias ? find_weight(b, c->weight, "bias", (size_t)c->out) : NULL,
    };
    if (c->norm != NULL) {
        fold_norm(b, c, &op);
    }
    return add_op(b, op, name, (const int32_t[]){t->h, t->w, c->out});
}

/* A 3x3 convolution, BatchNorm and GELU: the published ConvBNGELU at `prefix`. */
static int32_t add_conv_gelu(struct builder *b, const char *prefix, int32_t in, int32_t out)
{
    char weight[TENSOR_NAME_MAX];
    char norm[TENSOR_NAME_MAX];
    format_name(weight, "%s.block.0", prefix);
    format_name(norm, "%s.block.1", prefix);
    const struct conv c = {.weight = weight,
                           .norm = norm,
                           .in = {in, GRAPH_NONE, GRAPH_NONE},
                           .kernel = 3,
                           .out = out,
                           .act = GRAPH_ACT_GELU};
    return add_conv(b, &c, "");
}

/* x + BN(conv(GELU(BN(conv x)))): the published ResidualBlock at `prefix`. */
static int32_t add_residual(struct builder *b, const char *prefix, int32_t x, const char *name)
{
    char weight[TENSOR_NAME_MAX];
    char norm[TENSOR_NAME_MAX];
    const int32_t inner = add_conv_gelu(b, prefix, x, tensor_at(b, x)->c);
    format_name(weight, "%s.block.3", prefix);
    format_name(norm, "%s.block.4", prefix);
    const struct conv c = {.weight = weight,
                           .norm = norm,
                           .in = {inner, GRAPH_NONE, x},
                           .kernel = 3,
                           .out = tensor_at(b, x)->c};
    return add_conv(b, &c, name);
}

static int32_t add_two(struct builder *b, enum graph_op_kind kind, const int32_t in[3],
                       const char *name)
{
    const struct graph_tensor *t = tensor_at(b, in[0]);
    const struct graph_op op = {.kind = kind, .in = {in[0], in[1], in[2]}};
    return add_op(b, op, name, (const int32_t[]){t->h, t->w, t->c});
}

static void add_encoder(struct builder *b, int32_t e[4])
{
    const int32_t base = model_get_manifest(b->model)->generator.base_channels;
    char prefix[TENSOR_NAME_MAX];
    char name[GRAPH_NAME_MAX];
    b->stage = GRAPH_ENCODER;
    int32_t x = GRAPH_X_CNN;
    for (int32_t level = 0; level < 4; level++) {
        const int32_t first = level == 0 ? 0 : 1;
        if (level > 0) {
            const struct graph_tensor *t = tensor_at(b, x);
            const struct graph_op pool = {.kind = GRAPH_MAX_POOL,
                                          .in = {x, GRAPH_NONE, GRAPH_NONE}};
            x = add_op(b, pool, "", (const int32_t[]){t->h / 2, t->w / 2, t->c});
        }
        format_name(prefix, "generator.encoder.enc%d.%d", level + 1, first);
        x = add_conv_gelu(b, prefix, x, base << level);
        format_name(prefix, "generator.encoder.enc%d.%d", level + 1, first + 1);
        (void)snprintf(name, sizeof name, "gen.enc%d", level + 1);
        x = add_residual(b, prefix, x, name);
        e[level] = x;
    }
}

/* The DINO map of a level: projected at 1/16 of the resolution, then brought to the level's. */
static int32_t add_dino_map(struct builder *b, int32_t level, int32_t feature)
{
    static const char *const names[4] = {"generator.proj_f3", "generator.proj_f6",
                                         "generator.proj_f9", "generator.proj_f12"};
    const int32_t base = model_get_manifest(b->model)->generator.base_channels;
    const int32_t map = add_conv_gelu(b, names[level], feature, base << level);
    const struct graph_tensor *t = tensor_at(b, map);
    const struct graph_op up = {
        .kind = GRAPH_UPSAMPLE, .in = {map, GRAPH_NONE, GRAPH_NONE}, .factor = PATCH >> level};
    return add_op(b, up, "", (const int32_t[]){t->h * up.factor, t->w * up.factor, t->c});
}

static int32_t add_fusion_cnn(struct builder *b, const char *fuse, const int32_t in[2],
                              const char *name)
{
    char weight[TENSOR_NAME_MAX];
    char norm[TENSOR_NAME_MAX];
    format_name(weight, "%s.merge.0", fuse);
    format_name(norm, "%s.merge.1", fuse);
    const struct conv c = {.weight = weight,
                           .norm = norm,
                           .in = {in[0], in[1], GRAPH_NONE},
                           .kernel = 1,
                           .out = tensor_at(b, in[0])->c,
                           .act = GRAPH_ACT_GELU};
    const int32_t merged = add_conv(b, &c, "");
    format_name(weight, "%s.merge.3", fuse);
    return add_residual(b, weight, merged, name);
}

static int32_t add_fusion_gated(struct builder *b, const char *fuse, const int32_t in[2],
                                const char *name)
{
    char weight[TENSOR_NAME_MAX];
    char norm[TENSOR_NAME_MAX];
    format_name(weight, "%s.gate.0", fuse);
    format_name(norm, "%s.gate.1", fuse);
    const struct conv c = {.weight = weight,
                           .norm = norm,
                           .in = {in[0], in[1], GRAPH_NONE},
                           .kernel = 1,
                           .out = tensor_at(b, in[0])->c,
                           .act = GRAPH_ACT_SIGMOID,
                           .bias = true};
    const int32_t gate = add_conv(b, &c, "");
    const int32_t mixed = add_two(b, GRAPH_GATE, (const int32_t[]){in[0], in[1], gate}, "");
    format_name(weight, "%s.out_proj", fuse);
    const int32_t out = add_conv_gelu(b, weight, mixed, c.out);
    (void)snprintf(b->net->graph.tensor[out].name, GRAPH_NAME_MAX, "%s", name);
    return out;
}

static int32_t add_fusion_se(struct builder *b, const char *fuse, const int32_t in[2],
                             const char *name)
{
    char weight[TENSOR_NAME_MAX];
    int32_t mean[2];
    const int32_t channels = tensor_at(b, in[0])->c;
    for (int32_t i = 0; i < 2; i++) {
        const struct graph_op op = {.kind = GRAPH_MEAN, .in = {in[i], GRAPH_NONE, GRAPH_NONE}};
        mean[i] = add_op(b, op, "", (const int32_t[]){1, 1, channels});
    }
    format_name(weight, "%s.fc.1", fuse);
    const struct conv squeeze = {.weight = weight,
                                 .in = {mean[0], mean[1], GRAPH_NONE},
                                 .kernel = 1,
                                 .out = channels / 4,
                                 .act = GRAPH_ACT_GELU,
                                 .bias = true};
    const int32_t hidden = add_conv(b, &squeeze, "");
    format_name(weight, "%s.fc.3", fuse);
    const struct conv excite = {.weight = weight,
                                .in = {hidden, GRAPH_NONE, GRAPH_NONE},
                                .kernel = 1,
                                .out = 2 * channels,
                                .act = GRAPH_ACT_SIGMOID,
                                .bias = true};
    const int32_t factor = add_conv(b, &excite, "");
    return add_two(b, GRAPH_SCALE_ADD, (const int32_t[]){in[0], in[1], factor}, name);
}

/* CrossFusion of level `level`: image features e and DINO map d (arXiv:2511.12098, section 2). */
static int32_t add_fusion(struct builder *b, int32_t level, int32_t e, int32_t d)
{
    const enum fusion_kind kind = model_get_manifest(b->model)->generator.fusion;
    char fuse[TENSOR_NAME_MAX];
    char prefix[TENSOR_NAME_MAX];
    char name[GRAPH_NAME_MAX];
    format_name(fuse, "generator.fuse%d", level + 1);
    (void)snprintf(name, sizeof name, "gen.fuse%d", level + 1);
    if (kind == FUSION_NONE) {
        return add_two(b, GRAPH_ADD, (const int32_t[]){e, d, GRAPH_NONE}, name);
    }
    const int32_t channels = tensor_at(b, e)->c;
    format_name(prefix, "%s.proj_img", fuse);
    const int32_t image = add_conv_gelu(b, prefix, e, channels);
    format_name(prefix, "%s.proj_dino", fuse);
    const int32_t in[2] = {image, add_conv_gelu(b, prefix, d, channels)};
    if (kind == FUSION_CNN) {
        return add_fusion_cnn(b, fuse, in, name);
    }
    return kind == FUSION_GATED ? add_fusion_gated(b, fuse, in, name)
                                : add_fusion_se(b, fuse, in, name);
}

static void add_fusions(struct builder *b, const int32_t feature[4], int32_t e[4])
{
    const struct generator_config *config = &model_get_manifest(b->model)->generator;
    b->stage = GRAPH_FUSION;
    for (int32_t level = 0; level < 4; level++) {
        if (!config->levels[level]) {
            continue;
        }
        const int32_t map = add_dino_map(b, level, feature[level]);
        e[level] = config->cnn ? add_fusion(b, level, e[level], map) : map;
    }
}

static int32_t add_decoder(struct builder *b, const int32_t e[4])
{
    const int32_t base = model_get_manifest(b->model)->generator.base_channels;
    char prefix[TENSOR_NAME_MAX];
    char name[GRAPH_NAME_MAX];
    b->stage = GRAPH_DECODER;
    int32_t x = e[3];
    for (int32_t i = 1; i <= 3; i++) {
        const struct graph_tensor *t = tensor_at(b, x);
        const struct graph_op up = {
            .kind = GRAPH_UPSAMPLE, .in = {x, GRAPH_NONE, GRAPH_NONE}, .factor = 2};
        x = add_op(b, up, "", (const int32_t[]){t->h * 2, t->w * 2, t->c});
        format_name(prefix, "generator.decoder.up%d.1", i);
        x = add_conv_gelu(b, prefix, x, base << (3 - i));
        format_name(prefix, "generator.decoder.up%d.2", i);
        (void)snprintf(name, sizeof name, "gen.up%d", i);
        x = add_residual(b, prefix, x, name);
        x = add_two(b, GRAPH_ADD, (const int32_t[]){x, e[3 - i], GRAPH_NONE}, "");
    }
    x = add_conv_gelu(b, "generator.decoder.out.0", x, base / 2);
    const struct conv last = {.weight = "generator.decoder.out.1",
                              .in = {x, GRAPH_NONE, GRAPH_NONE},
                              .kernel = 3,
                              .out = 1,
                              .act = GRAPH_ACT_TANH,
                              .bias = true};
    return add_conv(b, &last, "y");
}

static void build(struct builder *b, int32_t height, int32_t width)
{
    const bool *levels = model_get_manifest(b->model)->generator.levels;
    const int32_t dim[3] = {height, width, 1};
    int32_t feature[4] = {0};
    int32_t e[4] = {0};
    (void)add_tensor(b, "x_cnn", dim);
    (void)add_tensor(b, "x_dino", dim);
    if (levels[0] || levels[1] || levels[2] || levels[3]) {
        add_vit(b, feature);
    }
    if (model_get_manifest(b->model)->generator.cnn) {
        add_encoder(b, e);
    }
    add_fusions(b, feature, e);
    b->net->graph.y = add_decoder(b, e);
}

int network_new(struct network **ret_network, const struct model *model, int32_t height,
                int32_t width, struct sctd_error *err)
{
    if (height < PATCH || width < PATCH || height > MAX_SIZE || width > MAX_SIZE ||
        height % PATCH != 0 || width % PATCH != 0) {
        return sctd_error(err, SCTD_EINVAL,
                          "network size %dx%d: both must be multiples of 16 from 16 to 2048",
                          height, width);
    }
    sctd_auto(network_freep) struct network *net = calloc(1, sizeof *net);
    if (net == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "network");
    }
    net->graph.tensor = calloc(MAX_TENSORS, sizeof *net->graph.tensor);
    net->graph.op = calloc(MAX_OPS, sizeof *net->graph.op);
    if (net->graph.tensor == NULL || net->graph.op == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "network");
    }
    struct builder b = {.net = net, .model = model, .err = err};
    build(&b, height, width);
    if (b.failed != 0) {
        return b.failed;
    }
    int r = graph_check(&net->graph, err);
    if (r < 0) {
        return r;
    }
    *ret_network = sctd_steal(&net);
    return 0;
}

void network_free(struct network *network)
{
    if (network == NULL) {
        return;
    }
    for (int32_t i = 0; i < network->n_blocks; i++) {
        free(network->block[i]);
    }
    free(network->graph.tensor);
    free(network->graph.op);
    free(network);
}

const struct graph *network_get_graph(const struct network *network)
{
    return &network->graph;
}
