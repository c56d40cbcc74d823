/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/bind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_expand.h"
#include "engine/backend/cuda/body_merge.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"

_Static_assert((int)GRAPH_ACT_NONE == (int)BODY_NONE && (int)GRAPH_ACT_GELU == (int)BODY_GELU &&
                   (int)GRAPH_ACT_SIGMOID == (int)BODY_SIGMOID &&
                   (int)GRAPH_ACT_TANH == (int)BODY_TANH,
               "one list of activations");

struct operand bind_operand(const struct binding *b, int32_t i)
{
    if (i == PROGRAM_NONE) {
        return (struct operand){.data = NULL};
    }
    const struct program_buffer *buffer = &b->program->buffer[i];
    return (struct operand){.data = b->arena + buffer->offset * (size_t)b->slices,
                            .type = buffer->type,
                            .stride = buffer->stride};
}

static const void *weight_at(const struct binding *b, int32_t i)
{
    return i == PROGRAM_NONE ? NULL : b->weights + b->program->weight[i].offset;
}

/* What a step reads and writes. */
struct site {
    const struct binding *b;
    const struct step *s;
    const struct program_buffer *in, *out; /* in: the first */
    size_t pixels;                         /* of the output, all slices */
    size_t groups;                         /* of eight channels of it, in all */
};

static size_t bind_convert(union step_args *a, const struct site *at)
{
    const struct operand x = bind_operand(at->b, at->s->in[0]);
    const struct operand y = bind_operand(at->b, at->s->out);
    const bool lanes = x.stride == y.stride && y.stride % VALUE_LANES == 0;
    a->convert = (struct convert_args){
        .x = x, .y = y, .c = at->out->c, .lanes = lanes ? (int32_t)VALUE_LANES : 1};
    return at->pixels * (size_t)y.stride / (size_t)a->convert.lanes;
}

static size_t bind_first_conv(union step_args *a, const struct site *at)
{
    a->first_conv = (struct first_conv_args){
        .x = (const float *)bind_operand(at->b, at->s->in[0]).data,
        .y = bind_operand(at->b, at->s->out),
        .weight = (const float *)weight_at(at->b, at->s->weight),
        .bias = (const float *)weight_at(at->b, at->s->bias),
        .h = at->out->h,
        .w = at->out->w,
        .kernel = at->s->kernel,
        .act = (int32_t)at->s->act,
    };
    return at->groups;
}

static struct finish_args finish_of(const struct site *at)
{
    return (struct finish_args){
        .before = bind_operand(at->b, at->s->in[1]),
        .add = {bind_operand(at->b, at->s->in[2]), bind_operand(at->b, at->s->in[3])},
        .y = bind_operand(at->b, at->s->out),
        .bias = (const float *)weight_at(at->b, at->s->bias),
        .act = (int32_t)at->s->act,
    };
}

static size_t bind_product(union step_args *a, const struct site *at)
{
    a->product = (struct product_args){
        .x = bind_operand(at->b, at->s->in[0]),
        .weight = weight_at(at->b, at->s->weight),
        .finish = finish_of(at),
        .slices = at->b->slices,
        .h = at->out->h,
        .w = at->out->w,
        .kernel = at->s->kind == STEP_CONV ? at->s->kernel : 1,
    };
    return at->groups;
}

static size_t bind_merge(union step_args *a, const struct site *at)
{
    a->merge = (struct merge_args){
        .x = {bind_operand(at->b, at->s->in[0]), bind_operand(at->b, at->s->in[1])},
        .weight = weight_at(at->b, at->s->weight),
        .finish = finish_of(at),
    };
    a->merge.finish.before.data = NULL; /* in[1] is the second map */
    return at->groups;
}

static size_t bind_last_conv(union step_args *a, const struct site *at)
{
    a->last_conv = (struct last_conv_args){
        .x = bind_operand(at->b, at->s->in[0]),
        .y = (float *)bind_operand(at->b, at->s->out).data,
        .weight = (const float *)weight_at(at->b, at->s->weight),
        .bias = (const float *)weight_at(at->b, at->s->bias),
        .h = at->out->h,
        .w = at->out->w,
        .kernel = at->s->kernel,
        .act = (int32_t)at->s->act,
    };
    return at->pixels;
}

static size_t bind_act(union step_args *a, const struct site *at)
{
    a->finish = finish_of(at);
    a->finish.x = bind_operand(at->b, at->s->in[0]);
    return at->groups;
}

static size_t bind_patchify(union step_args *a, const struct site *at)
{
    a->patchify = (struct patchify_args){.x = (const float *)bind_operand(at->b, at->s->in[0]).data,
                                         .y = bind_operand(at->b, at->s->out),
                                         .h = at->in->h,
                                         .w = at->in->w};
    return at->groups;
}

static size_t bind_tokens(union step_args *a, const struct site *at)
{
    a->tokens = (struct tokens_args){
        .x = bind_operand(at->b, at->s->in[0]),
        .y = bind_operand(at->b, at->s->out),
        .prefix_tokens = (const float *)weight_at(at->b, at->s->table),
        .bias = (const float *)weight_at(at->b, at->s->bias),
        .prefix = at->s->prefix,
        .patches = at->in->w,
    };
    return at->groups;
}

static size_t bind_norm(union step_args *a, const struct site *at)
{
    a->norm = (struct norm_args){
        .x = bind_operand(at->b, at->s->in[0]),
        .y = bind_operand(at->b, at->s->out),
        .weight = (const float *)weight_at(at->b, at->s->weight),
        .bias = (const float *)weight_at(at->b, at->s->bias),
        .c = at->out->c,
        .prefix = at->s->prefix,
        .tokens = (int32_t)program_pixels(at->in),
        .eps = at->s->eps,
    };
    return at->pixels;
}

static size_t bind_rope(union step_args *a, const struct site *at)
{
    const struct step *s = at->s;
    const int32_t pairs = s->width / 2;
    a->rope = (struct rope_args){
        .x = bind_operand(at->b, s->out),
        .table = (const float *)weight_at(at->b, s->table),
        .prefix = s->prefix,
        .tokens = at->out->w,
        .heads = s->heads,
        .width = s->width,
        .lanes = pairs % VALUE_LANES == 0 ? (int32_t)VALUE_LANES : 1,
    };
    return (size_t)at->b->slices * (size_t)(at->out->w - s->prefix) * 2 * (size_t)s->heads *
           (size_t)(pairs / a->rope.lanes);
}

static size_t bind_attention(union step_args *a, const struct site *at)
{
    a->attention = (struct attention_args){
        .x = bind_operand(at->b, at->s->in[0]),
        .y = bind_operand(at->b, at->s->out),
        .tokens = at->out->w,
        .heads = at->s->heads,
        .width = at->s->width,
    };
    return at->pixels * (size_t)at->s->heads;
}

static size_t bind_max_pool(union step_args *a, const struct site *at)
{
    a->pool = (struct pool_args){.x = bind_operand(at->b, at->s->in[0]),
                                 .y = bind_operand(at->b, at->s->out),
                                 .h = at->out->h,
                                 .w = at->out->w};
    return at->groups;
}

static size_t bind_upsample(union step_args *a, const struct site *at)
{
    a->upsample = (struct upsample_args){.x = bind_operand(at->b, at->s->in[0]),
                                         .y = bind_operand(at->b, at->s->out),
                                         .h = at->in->h,
                                         .w = at->in->w,
                                         .factor = at->s->factor};
    return at->groups;
}

static size_t bind_expand(union step_args *a, const struct site *at)
{
    enum { RUN = 8, TILE = 4 };
    const int32_t cells = at->in->w;
    a->expand = (struct expand_args){
        .z = bind_operand(at->b, at->s->in[0]),
        .finish = finish_of(at),
        .h = at->in->h,
        .w = cells,
        .factor = at->s->factor,
        .run = cells % RUN == 0 ? RUN : 1,
        .tile = at->out->h % TILE == 0 ? TILE : 1,
    };
    return (size_t)at->b->slices * (size_t)at->out->h * (size_t)(cells / a->expand.run) *
           ((size_t)at->out->stride / VALUE_LANES);
}

static size_t bind_join(union step_args *a, const struct site *at)
{
    a->join = (struct join_args){
        .x = {bind_operand(at->b, at->s->in[0]), bind_operand(at->b, at->s->in[1]),
              bind_operand(at->b, at->s->in[2])},
        .y = bind_operand(at->b, at->s->out),
        .c = at->out->c,
        .pixels = (int32_t)program_pixels(at->out),
    };
    return at->groups;
}

static size_t bind_mean(union step_args *a, const struct site *at)
{
    a->mean = (struct mean_args){.x = bind_operand(at->b, at->s->in[0]),
                                 .y = bind_operand(at->b, at->s->out),
                                 .pixels = (int32_t)program_pixels(at->in)};
    return at->groups;
}

size_t bind_step(union step_args *ret_args, const struct binding *b, const struct step *s)
{
    static size_t (*const binders[STEP_KINDS])(union step_args *, const struct site *) = {
        [STEP_CONVERT] = bind_convert,
        [STEP_FIRST_CONV] = bind_first_conv,
        [STEP_CONV] = bind_product,
        [STEP_MERGE] = bind_merge,
        [STEP_LAST_CONV] = bind_last_conv,
        [STEP_LINEAR] = bind_product,
        [STEP_ACT] = bind_act,
        [STEP_PATCHIFY] = bind_patchify,
        [STEP_TOKENS] = bind_tokens,
        [STEP_NORM] = bind_norm,
        [STEP_ROPE] = bind_rope,
        [STEP_ATTENTION] = bind_attention,
        [STEP_SWIGLU] = bind_join,
        [STEP_MAX_POOL] = bind_max_pool,
        [STEP_UPSAMPLE] = bind_upsample,
        [STEP_EXPAND] = bind_expand,
        [STEP_ADD] = bind_join,
        [STEP_MEAN] = bind_mean,
        [STEP_GATE] = bind_join,
        [STEP_SCALE_ADD] = bind_join,
    };
    struct site at = {
        .b = b, .s = s, .in = &b->program->buffer[s->in[0]], .out = &b->program->buffer[s->out]};
    at.pixels = (size_t)b->slices * program_pixels(at.out);
    at.groups = at.pixels * ((size_t)at.out->stride / VALUE_LANES);
    return binders[s->kind](ret_args, &at);
}
