/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels that kernels_start starts, in the emulator, against the bodies run on the host: bit for bit where each thread
 * has items of its own, and nearly where threads add up together.
 */
#undef NDEBUG
#include <assert.h>
#include <driver_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/bind.h"
#include "engine/backend/cuda/body.h"
#include "engine/backend/cuda/body_vit.h"
#include "engine/backend/cuda/device/kernels.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"

#include "tests/support/cuda_host_step.h"
#include "tests/support/kernel_kit.h"

enum { SLICES = 2, H = 6, W = 10, PIXELS = SLICES * H * W };

static const int32_t types[] = {VALUE_F32, VALUE_F16, VALUE_BF16};

struct step_case {
    struct kernel_kit kit;
    enum step_kind kind;
    union step_args args;
    size_t items;
    /* What is changed in place: how it is before. */
    struct operand changed;
    const void *before;
    size_t bytes;
};

static void start(const void *arg)
{
    const struct step_case *c = arg;
    if (c->before != NULL) {
        memcpy(c->changed.data, c->before, c->bytes);
    }
    assert(kernels_start(c->kind, &c->args, c->items, NULL) == cudaSuccess);
}

static struct operand input(struct step_case *c, int32_t type, int32_t stride, size_t pixels)
{
    void *data = kit_input(&c->kit, type, pixels * (size_t)stride, 1.0F);
    return (struct operand){data, type, stride};
}

static struct operand output(struct step_case *c, int32_t type, int32_t stride, size_t pixels)
{
    return (struct operand){kit_output(&c->kit, type, pixels * (size_t)stride), type, stride};
}

/* y: the output among c->args. */
static void expect_bits(struct step_case *c, struct operand *y, size_t pixels)
{
    const struct operand emulated = output(c, y->type, y->stride, pixels);
    const size_t bytes = pixels * (size_t)y->stride * value_size(y->type);
    const struct operand host = output(c, y->type, y->stride, pixels);
    *y = host;
    cuda_host_run_step(c->kind, &c->args, c->items, BACKEND_FP32);
    *y = emulated;
    kit_run(start, c, emulated.data, bytes);
    kit_same(emulated.data, host.data, bytes);
    kit_end(&c->kit);
}

/* As if y were f32, but for `slack` and the rounding. */
static void expect_nearly(struct step_case *c, struct operand *y, size_t pixels, double slack)
{
    const struct operand emulated = output(c, y->type, y->stride, pixels);
    const size_t values = pixels * (size_t)y->stride;
    const struct operand host = output(c, VALUE_F32, y->stride, pixels);
    *y = host;
    cuda_host_run_step(c->kind, &c->args, c->items, BACKEND_FP32);
    *y = emulated;
    kit_run(start, c, emulated.data, values * value_size(y->type));
    for (size_t i = 0; i < values; i++) {
        kit_check(value_load(emulated.data, emulated.type, i),
                  (double)value_load(host.data, VALUE_F32, i), slack, emulated.type);
    }
    kit_end(&c->kit);
}

/* Maps, of each pair of types and with each number of channels */

struct maps {
    int32_t x, y; /* types */
    int32_t c, stride;
};

static void expect_finish(const struct maps *m, int32_t act, bool has_bias)
{
    struct step_case c = {.kind = STEP_ACT, .items = (size_t)PIXELS * (size_t)m->stride / 8};
    struct finish_args *a = &c.args.finish;
    *a = (struct finish_args){.x = input(&c, m->x, m->stride, PIXELS), .act = act};
    a->bias = has_bias ? input(&c, VALUE_F32, m->stride, 1).data : NULL;
    if (has_bias) {
        a->before = input(&c, m->y, m->stride, PIXELS);
        a->add[1] = input(&c, m->x, m->stride, PIXELS);
    }
    a->y = (struct operand){NULL, m->y, m->stride};
    expect_bits(&c, &a->y, PIXELS);
}

static void expect_convert(const struct maps *m, int32_t lanes)
{
    struct step_case c = {.kind = STEP_CONVERT};
    struct convert_args *a = &c.args.convert;
    c.items = (size_t)PIXELS * (size_t)m->stride / (size_t)lanes;
    *a = (struct convert_args){.x = input(&c, m->x, m->stride, PIXELS), .c = m->c, .lanes = lanes};
    a->y = (struct operand){NULL, m->y, m->stride};
    expect_bits(&c, &a->y, PIXELS);
}

static void expect_join(const struct maps *m, enum step_kind kind)
{
    struct step_case c = {.kind = kind, .items = (size_t)PIXELS * (size_t)m->stride / 8};
    struct join_args *a = &c.args.join;
    *a = (struct join_args){.c = m->c, .pixels = H * W};
    a->x[0] = input(&c, m->x, m->stride, PIXELS);
    a->x[1] = input(&c, m->x, m->stride, PIXELS);
    if (kind == STEP_GATE) {
        a->x[2] = input(&c, m->y, m->stride, PIXELS);
    } else if (kind == STEP_SCALE_ADD) {
        a->x[2] = input(&c, m->y, 2 * m->stride, SLICES);
    }
    a->y = (struct operand){NULL, m->y, m->stride};
    expect_bits(&c, &a->y, PIXELS);
}

static void expect_pool(const struct maps *m)
{
    struct step_case c = {.kind = STEP_MAX_POOL};
    struct pool_args *a = &c.args.pool;
    c.items = (size_t)PIXELS / 4 * (size_t)m->stride / VALUE_LANES;
    *a = (struct pool_args){.x = input(&c, m->x, m->stride, PIXELS), .h = H / 2, .w = W / 2};
    a->y = (struct operand){NULL, m->y, m->stride};
    expect_bits(&c, &a->y, PIXELS / 4);
}

static void expect_upsample(const struct maps *m, int32_t factor)
{
    struct step_case c = {.kind = STEP_UPSAMPLE};
    struct upsample_args *a = &c.args.upsample;
    const size_t pixels = (size_t)PIXELS * (size_t)(factor * factor);
    c.items = pixels * (size_t)m->stride / VALUE_LANES;
    *a = (struct upsample_args){input(&c, m->x, m->stride, PIXELS), {0}, H, W, factor};
    a->y = (struct operand){NULL, m->y, m->stride};
    expect_bits(&c, &a->y, pixels);
}

static void expect_mean(const struct maps *m)
{
    struct step_case c = {.kind = STEP_MEAN};
    struct mean_args *a = &c.args.mean;
    c.items = (size_t)SLICES * (size_t)m->stride / VALUE_LANES;
    *a = (struct mean_args){.x = input(&c, m->x, m->stride, PIXELS), .pixels = H * W};
    a->y = (struct operand){NULL, m->y, m->stride};
    expect_nearly(&c, &a->y, SLICES, 1e-6);
}

static void steps_of_maps_are_their_bodies(void)
{
    static const int32_t channels[] = {8, 20};
    static const enum step_kind joins[] = {STEP_ADD, STEP_SWIGLU, STEP_GATE, STEP_SCALE_ADD};
    for (int32_t i = 0; i < 18; i++) {
        const int32_t c = channels[i % 2];
        const struct maps m = {types[i / 2 % 3], types[i / 6], c, (c + 7) / 8 * 8};
        for (int32_t act = BODY_NONE; act <= BODY_TANH; act++) {
            expect_finish(&m, act, (i + act) % 2 == 0);
        }
        expect_convert(&m, VALUE_LANES);
        expect_convert(&m, 1);
        for (size_t k = 0; k < sizeof joins / sizeof *joins; k++) {
            expect_join(&m, joins[k]);
        }
        expect_pool(&m);
        expect_upsample(&m, 2 << i % 3);
        expect_mean(&m);
    }
}

/* Tokens */

enum { TOKENS = 13, PREFIX = 5, PATCHES = TOKENS - PREFIX };

static void expect_norm(int32_t x, int32_t y, int32_t channels, int32_t prefix)
{
    struct step_case c = {.kind = STEP_NORM};
    struct norm_args *a = &c.args.norm;
    const int32_t stride = (channels + 7) / 8 * 8;
    *a = (struct norm_args){.x = input(&c, x, stride, (size_t)SLICES * TOKENS)};
    for (size_t i = 0; i < (size_t)SLICES * TOKENS * (size_t)stride; i++) {
        if ((int32_t)(i % (size_t)stride) >= channels) {
            value_store(a->x.data, x, i, 0.0F);
        }
    }
    a->weight = input(&c, VALUE_F32, stride, 1).data;
    a->bias = input(&c, VALUE_F32, stride, 1).data;
    a->y = (struct operand){NULL, y, stride};
    a->c = channels;
    a->prefix = prefix;
    a->tokens = TOKENS;
    a->eps = 1e-5F;
    c.items = (size_t)SLICES * (size_t)(TOKENS - prefix);
    expect_nearly(&c, &a->y, c.items, 1e-5);
}

/* Read once, with one to four groups of a warp's lanes; and twice, of other widths and types. */
static void norms_are_their_bodies(void)
{
    static const int32_t channels[] = {8, 256, 264, 768, 1024, 1032, 20};
    for (size_t i = 0; i < sizeof channels / sizeof *channels * 3; i++) {
        expect_norm(VALUE_F32, types[i % 3], channels[i / 3], i % 2 == 0 ? 0 : PREFIX);
        expect_norm(types[i % 3], VALUE_F32, channels[i / 3], PREFIX);
    }
}

static void expect_rope(int32_t type, int32_t width, int32_t heads)
{
    struct step_case c = {.kind = STEP_ROPE};
    struct rope_args *a = &c.args.rope;
    const int32_t stride = (3 * heads * width + 7) / 8 * 8;
    const size_t tokens = (size_t)SLICES * TOKENS;
    const struct operand before = input(&c, type, stride, tokens);
    const struct operand host = output(&c, type, stride, tokens);
    a->table = input(&c, VALUE_F32, 2 * width, PATCHES).data;
    a->prefix = PREFIX;
    a->tokens = TOKENS;
    a->heads = heads;
    a->width = width;
    a->lanes = width / 2 % VALUE_LANES == 0 ? VALUE_LANES : 1;
    c.items = (size_t)SLICES * PATCHES * 2 * (size_t)(heads * width / 2 / a->lanes);
    c.before = before.data;
    c.bytes = tokens * (size_t)stride * value_size(type);
    memcpy(host.data, before.data, c.bytes);
    a->x = host;
    cuda_host_run_step(c.kind, &c.args, c.items, BACKEND_FP32);
    c.changed = output(&c, type, stride, tokens);
    a->x = c.changed;
    kit_run(start, &c, c.changed.data, c.bytes);
    kit_same(c.changed.data, host.data, c.bytes);
    kit_end(&c.kit);
}

static void expect_slow_attention(int32_t type, int32_t width, int32_t heads)
{
    struct step_case c = {.kind = STEP_ATTENTION};
    struct attention_args *a = &c.args.attention;
    const size_t tokens = (size_t)SLICES * TOKENS;
    a->x = input(&c, type, (3 * heads * width + 7) / 8 * 8, tokens);
    a->y = (struct operand){NULL, type, (heads * width + 7) / 8 * 8};
    a->tokens = TOKENS;
    a->heads = heads;
    a->width = width;
    c.items = tokens * (size_t)heads;
    expect_nearly(&c, &a->y, tokens, 1e-6);
}

static void turned_heads_and_slow_attention_are_their_bodies(void)
{
    static const int32_t widths[] = {16, 64, 20, 256};
    for (size_t i = 0; i < sizeof widths / sizeof *widths * 3; i++) {
        expect_rope(types[i % 3], widths[i / 3], 1 + (int32_t)(i % 2));
        expect_slow_attention(types[i % 3], widths[i / 3], 1 + (int32_t)(i % 2));
    }
}

static void patches_become_tokens(void)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct step_case c = {.kind = STEP_PATCHIFY};
        struct patchify_args *p = &c.args.patchify;
        *p = (struct patchify_args){.h = 2 * BODY_PATCH, .w = 3 * BODY_PATCH};
        p->x = input(&c, VALUE_F32, 8, (size_t)SLICES * 6 * BODY_PATCH_VALUES / 8).data;
        p->y = (struct operand){NULL, types[i], BODY_PATCH_VALUES};
        c.items = (size_t)SLICES * 6 * BODY_PATCH_VALUES / VALUE_LANES;
        expect_bits(&c, &p->y, (size_t)SLICES * 6);

        struct step_case t = {.kind = STEP_TOKENS};
        struct tokens_args *a = &t.args.tokens;
        *a = (struct tokens_args){.prefix = PREFIX, .patches = PATCHES};
        a->x = input(&t, types[i], 24, (size_t)SLICES * PATCHES);
        a->prefix_tokens = input(&t, VALUE_F32, 24, PREFIX).data;
        a->bias = input(&t, VALUE_F32, 24, 1).data;
        a->y = (struct operand){NULL, types[2 - i], 24};
        t.items = (size_t)SLICES * TOKENS * 24 / VALUE_LANES;
        expect_bits(&t, &a->y, (size_t)SLICES * TOKENS);
    }
}

/* Products without a library */

static void expect_merge(int32_t type)
{
    struct step_case c = {.kind = STEP_MERGE, .items = (size_t)PIXELS * 24 / VALUE_LANES};
    struct merge_args *a = &c.args.merge;
    a->x[0] = input(&c, type, 8, PIXELS);
    a->x[1] = input(&c, type, 16, PIXELS);
    a->weight = input(&c, type, 24, 24).data;
    a->finish.bias = input(&c, VALUE_F32, 24, 1).data;
    a->finish.act = BODY_GELU;
    a->finish.y = (struct operand){NULL, type, 24};
    expect_bits(&c, &a->finish.y, PIXELS);
}

static void expect_slow_conv(int32_t type, int32_t kernel)
{
    struct step_case c = {.kind = STEP_CONV, .items = (size_t)PIXELS * 24 / VALUE_LANES};
    struct product_args *a = &c.args.product;
    *a = (struct product_args){.slices = SLICES, .h = H, .w = W, .kernel = kernel};
    a->x = input(&c, type, 16, PIXELS);
    a->weight = input(&c, type, 16, 24 * (size_t)kernel * (size_t)kernel).data;
    a->finish.act = BODY_SIGMOID;
    a->finish.y = output(&c, type, 24, PIXELS);
    struct plain_conv_args host = {a->x, a->weight, a->finish, H, W, kernel};
    host.finish.y = output(&c, type, 24, PIXELS);
    for (size_t item = 0; item < c.items; item++) {
        plain_conv_body(&host, item);
    }
    const size_t bytes = (size_t)PIXELS * 24 * value_size(type);
    kit_run(start, &c, a->finish.y.data, bytes);
    kit_same(a->finish.y.data, host.finish.y.data, bytes);
    kit_end(&c.kit);
}

static void slow_products_are_their_bodies(void)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        expect_merge(types[i]);
        expect_slow_conv(types[i], 1);
        expect_slow_conv(types[i], 3);
    }
}

static void a_finish_may_be_in_place(void)
{
    struct step_case c = {.kind = STEP_ACT, .items = (size_t)PIXELS * 24 / VALUE_LANES};
    struct finish_args *a = &c.args.finish;
    const struct operand before = input(&c, VALUE_F16, 24, PIXELS);
    const struct operand host = output(&c, VALUE_F16, 24, PIXELS);
    c.before = before.data;
    c.bytes = (size_t)PIXELS * 24 * sizeof(uint16_t);
    *a = (struct finish_args){.x = before, .y = host, .act = BODY_GELU};
    cuda_host_run_step(c.kind, &c.args, c.items, BACKEND_FP32);
    c.changed = output(&c, VALUE_F16, 24, PIXELS);
    a->x = a->y = c.changed;
    kit_run(start, &c, c.changed.data, c.bytes);
    kit_same(c.changed.data, host.data, c.bytes);
    kit_end(&c.kit);
}

static void products_of_a_library_are_not_for_it(void)
{
    const union step_args args = {.finish = {.act = BODY_NONE}};
    assert(kernels_start(STEP_LINEAR, &args, 1, NULL) == cudaErrorInvalidValue);
}

int main(void)
{
    steps_of_maps_are_their_bodies();
    norms_are_their_bodies();
    turned_heads_and_slow_attention_are_their_bodies();
    patches_become_tokens();
    slow_products_are_their_bodies();
    a_finish_may_be_in_place();
    products_of_a_library_are_not_for_it();
    return 0;
}
