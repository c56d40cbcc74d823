/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/oracle/graph_make.h"

#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/graph.h"

enum { PATCH = 16 };

void graph_make_init(struct graph_make *m, int32_t height, int32_t width, uint64_t seed)
{
    *m = (struct graph_make){.seed = seed, .graph = {.n_tensors = 2, .y = GRAPH_NONE}};
    m->graph.tensor = m->tensor;
    m->graph.op = m->op;
    m->tensor[GRAPH_X_CNN] = (struct graph_tensor){.h = height, .w = width, .c = 1};
    m->tensor[GRAPH_X_DINO] = m->tensor[GRAPH_X_CNN];
}

void graph_make_fini(struct graph_make *m)
{
    for (int32_t i = 0; i < m->n_blocks; i++) {
        free(m->block[i]);
    }
    m->n_blocks = 0;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void graph_make_draw(struct graph_make *m, float *value, size_t n, float amplitude)
{
    const uint64_t start = mix(m->seed);
    for (size_t i = 0; i < n; i++) {
        const uint64_t z = mix(start + ++m->drawn * UINT64_C(0x9e3779b97f4a7c15));
        value[i] = ((float)(z >> 40) * 0x1p-23F - 1.0F) * amplitude;
    }
}

static void *take_block(struct graph_make *m, size_t bytes)
{
    assert(m->n_blocks < GRAPH_MAKE_BLOCKS);
    void *block = malloc(bytes);
    assert(block != NULL);
    m->block[m->n_blocks++] = block;
    return block;
}

static float *draw_values(struct graph_make *m, size_t n, float amplitude)
{
    float *value = take_block(m, n * sizeof *value);
    graph_make_draw(m, value, n, amplitude);
    return value;
}

static double *draw_scales(struct graph_make *m, size_t n)
{
    double *scale = take_block(m, n * sizeof *scale);
    for (size_t i = 0; i < n; i++) {
        float value = 0.0F;
        graph_make_draw(m, &value, 1, 0.5F);
        scale[i] = 1.0 + (double)value;
    }
    return scale;
}

/* Values in a row of the weight: inputs of one output channel.  0: no weight. */
static size_t row_of(const struct graph_make *m, const struct graph_op *op)
{
    const size_t in = (size_t)m->tensor[op->in[0]].c;
    const size_t area = (size_t)op->kernel * (size_t)op->kernel;
    const size_t second = op->in[1] == GRAPH_NONE ? 0 : (size_t)m->tensor[op->in[1]].c;
    switch (op->kind) {
    case GRAPH_PATCH_TOKENS:
        return (size_t)PATCH * PATCH;
    case GRAPH_LAYER_NORM:
        return 1;
    case GRAPH_LINEAR:
        return in;
    case GRAPH_CONV:
        return (in + second) * area;
    case GRAPH_ATTENTION:
    case GRAPH_SWIGLU:
    case GRAPH_MAX_POOL:
    case GRAPH_UPSAMPLE:
    case GRAPH_ADD:
    case GRAPH_MEAN:
    case GRAPH_GATE:
    case GRAPH_SCALE_ADD:
        return 0;
    }
    return 0;
}

static size_t extra_of(const struct graph_op *op, const int32_t dim[3])
{
    if (op->kind == GRAPH_PATCH_TOKENS) {
        return (size_t)op->prefix * (size_t)dim[2];
    }
    if (op->kind == GRAPH_ATTENTION) {
        return 2 * (size_t)(dim[1] - op->prefix) * (size_t)(dim[2] / op->heads);
    }
    return 0;
}

int32_t graph_make_op(struct graph_make *m, const struct graph_op *op, const int32_t dim[3],
                      unsigned parts)
{
    assert(m->graph.n_tensors < GRAPH_MAKE_TENSORS);
    struct graph_op made = *op;
    const size_t row = row_of(m, op);
    const size_t rows = (size_t)dim[2];
    const size_t extra = extra_of(op, dim);
    made.stage = m->stage;
    if (row > 0) {
        made.weight = draw_values(m, rows * row, (float)sqrt(3.0 / (double)row));
    }
    if ((parts & GRAPH_MAKE_SCALE) != 0) {
        made.scale = draw_scales(m, rows);
    }
    if ((parts & GRAPH_MAKE_BIAS) != 0) {
        made.bias = draw_values(m, rows, 0.5F);
    }
    if (extra > 0) {
        made.extra = draw_values(m, extra, 1.0F);
    }
    made.out = m->graph.n_tensors++;
    m->tensor[made.out] = (struct graph_tensor){.h = dim[0], .w = dim[1], .c = dim[2]};
    m->op[m->graph.n_ops++] = made;
    return made.out;
}

int32_t graph_make_conv(struct graph_make *m, const int32_t in[3], int32_t kernel, int32_t channels,
                        enum graph_act act)
{
    const struct graph_tensor *t = &m->tensor[in[0]];
    const struct graph_op op = {
        .kind = GRAPH_CONV, .in = {in[0], in[1], in[2]}, .kernel = kernel, .act = act};
    return graph_make_op(m, &op, (const int32_t[]){t->h, t->w, channels},
                         GRAPH_MAKE_SCALE | GRAPH_MAKE_BIAS);
}

int32_t graph_make_linear(struct graph_make *m, const int32_t in[2], int32_t channels,
                          enum graph_act act)
{
    const struct graph_tensor *t = &m->tensor[in[0]];
    const struct graph_op op = {.kind = GRAPH_LINEAR, .in = {in[0], in[1], GRAPH_NONE}, .act = act};
    return graph_make_op(m, &op, (const int32_t[]){t->h, t->w, channels},
                         GRAPH_MAKE_SCALE | GRAPH_MAKE_BIAS);
}

int32_t graph_make_tokens(struct graph_make *m, int32_t prefix, int32_t channels)
{
    const struct graph_tensor *t = &m->tensor[GRAPH_X_DINO];
    const struct graph_op op = {
        .kind = GRAPH_PATCH_TOKENS, .in = {GRAPH_X_DINO, GRAPH_NONE, GRAPH_NONE}, .prefix = prefix};
    const int32_t tokens = prefix + t->h / PATCH * (t->w / PATCH);
    return graph_make_op(m, &op, (const int32_t[]){1, tokens, channels}, GRAPH_MAKE_BIAS);
}

static struct graph_op norm_of(int32_t in, int32_t prefix)
{
    return (struct graph_op){.kind = GRAPH_LAYER_NORM,
                             .in = {in, GRAPH_NONE, GRAPH_NONE},
                             .prefix = prefix,
                             .eps = 1e-5F};
}

int32_t graph_make_layer_norm(struct graph_make *m, int32_t in)
{
    const struct graph_tensor *t = &m->tensor[in];
    const struct graph_op op = norm_of(in, 0);
    return graph_make_op(m, &op, (const int32_t[]){t->h, t->w, t->c}, GRAPH_MAKE_BIAS);
}

int32_t graph_make_grid(struct graph_make *m, int32_t in, int32_t prefix)
{
    const struct graph_tensor *x = &m->tensor[GRAPH_X_DINO];
    const struct graph_op op = norm_of(in, prefix);
    return graph_make_op(m, &op, (const int32_t[]){x->h / PATCH, x->w / PATCH, m->tensor[in].c},
                         GRAPH_MAKE_BIAS);
}

int32_t graph_make_attention(struct graph_make *m, int32_t qkv, int32_t heads, int32_t prefix)
{
    const struct graph_tensor *t = &m->tensor[qkv];
    const struct graph_op op = {.kind = GRAPH_ATTENTION,
                                .in = {qkv, GRAPH_NONE, GRAPH_NONE},
                                .heads = heads,
                                .prefix = prefix};
    return graph_make_op(m, &op, (const int32_t[]){1, t->w, t->c / 3}, 0);
}

int32_t graph_make_max_pool(struct graph_make *m, int32_t in)
{
    const struct graph_tensor *t = &m->tensor[in];
    const struct graph_op op = {.kind = GRAPH_MAX_POOL, .in = {in, GRAPH_NONE, GRAPH_NONE}};
    return graph_make_op(m, &op, (const int32_t[]){t->h / 2, t->w / 2, t->c}, 0);
}

int32_t graph_make_upsample(struct graph_make *m, int32_t in, int32_t factor)
{
    const struct graph_tensor *t = &m->tensor[in];
    const struct graph_op op = {
        .kind = GRAPH_UPSAMPLE, .in = {in, GRAPH_NONE, GRAPH_NONE}, .factor = factor};
    return graph_make_op(m, &op, (const int32_t[]){t->h * factor, t->w * factor, t->c}, 0);
}

int32_t graph_make_mean(struct graph_make *m, int32_t in)
{
    const struct graph_op op = {.kind = GRAPH_MEAN, .in = {in, GRAPH_NONE, GRAPH_NONE}};
    return graph_make_op(m, &op, (const int32_t[]){1, 1, m->tensor[in].c}, 0);
}

int32_t graph_make_join(struct graph_make *m, enum graph_op_kind kind, const int32_t in[3])
{
    const struct graph_tensor *t = &m->tensor[in[0]];
    const struct graph_op op = {.kind = kind, .in = {in[0], in[1], in[2]}};
    return graph_make_op(m, &op, (const int32_t[]){t->h, t->w, t->c}, 0);
}

/* By how much `t` must be upsampled to the input's size: 1, 2, 4, 8 or 16; 0 if that does not fit. */
static int32_t factor_to_input(const struct graph_make *m, const struct graph_tensor *t)
{
    const struct graph_tensor *x = &m->tensor[GRAPH_X_CNN];
    for (int32_t factor = 1; factor <= 16; factor *= 2) {
        if (t->h * factor == x->h && t->w * factor == x->w) {
            return factor;
        }
    }
    return 0;
}

/* Whether `t` is a sequence of patch tokens behind others, and how many those are. */
static bool has_prefix(const struct graph_make *m, const struct graph_tensor *t, int32_t *prefix)
{
    const struct graph_tensor *x = &m->tensor[GRAPH_X_DINO];
    *prefix = t->w - x->h / PATCH * (x->w / PATCH);
    return t->h == 1 && x->h % PATCH == 0 && x->w % PATCH == 0 && *prefix >= 0 && *prefix < t->w;
}

void graph_make_finish(struct graph_make *m, int32_t t)
{
    int32_t prefix = 0;
    int32_t factor = factor_to_input(m, &m->tensor[t]);
    if (factor == 0 && has_prefix(m, &m->tensor[t], &prefix)) {
        t = graph_make_grid(m, t, prefix);
        factor = PATCH;
    }
    if (factor == 0) {
        const int32_t both[3] = {GRAPH_X_CNN, GRAPH_X_DINO, GRAPH_NONE};
        m->graph.y = graph_make_join(m, GRAPH_ADD, both);
        return;
    }
    if (factor > 1) {
        t = graph_make_upsample(m, t, factor);
    }
    const int32_t in[3] = {t, GRAPH_NONE, GRAPH_NONE};
    m->graph.y = graph_make_conv(m, in, 1, 1, GRAPH_ACT_TANH);
}
