/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes one step and what does not; that the steps are right is tests/oracle's affair. */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/cuda/value.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"

enum { NONE = GRAPH_NONE };

static struct graph_make make;

static struct program *lower(enum backend_precision precision, const int32_t *taps, int32_t n_taps)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct program *p = NULL;
    const struct backend_options o = {
        .precision = precision, .taps = taps, .n_taps = n_taps, .max_batch = 1};
    assert(graph_check(&make.graph, &err) == 0);
    assert(program_new(&p, &make.graph, &o, &err) == 0);
    return p;
}

static int32_t count(const struct program *p, enum step_kind kind)
{
    int32_t n = 0;
    for (int32_t i = 0; i < p->n_steps; i++) {
        n += p->step[i].kind == kind ? 1 : 0;
    }
    return n;
}

static const struct step *find(const struct program *p, enum step_kind kind)
{
    int32_t i = 0;
    while (i < p->n_steps && p->step[i].kind != kind) {
        i++;
    }
    assert(i < p->n_steps);
    return &p->step[i];
}

static int32_t conv(int32_t in, int32_t add, int32_t channels, enum graph_act act)
{
    return graph_make_conv(&make, (const int32_t[]){in, NONE, add}, 3, channels, act);
}

/* A residual block and the decoder's skip behind it: gelu conv, then conv + residual + skip. */
static int32_t build_block(int32_t *ret_inner)
{
    graph_make_init(&make, 16, 16, 5);
    const int32_t x = conv(GRAPH_X_CNN, NONE, 16, GRAPH_ACT_GELU);
    const int32_t skip = conv(GRAPH_X_DINO, NONE, 16, GRAPH_ACT_GELU);
    const int32_t inner = conv(x, NONE, 16, GRAPH_ACT_GELU);
    const int32_t out = conv(inner, x, 16, GRAPH_ACT_NONE);
    const int32_t sum = graph_make_join(&make, GRAPH_ADD, (const int32_t[]){out, skip, NONE});
    graph_make_finish(&make, sum);
    *ret_inner = out;
    return sum;
}

static void residual_and_skip_are_the_convolution_s(void)
{
    int32_t before_skip = 0;
    (void)build_block(&before_skip);
    struct program *p = lower(BACKEND_FP16, NULL, 0);
    assert(count(p, STEP_FIRST_CONV) == 2 && count(p, STEP_CONV) == 2);
    assert(count(p, STEP_LAST_CONV) == 1 && count(p, STEP_ADD) == 0);
    assert(count(p, STEP_CONVERT) == 0 && p->n_steps == 5);
    const struct step *s = &p->step[3];
    assert(s->kind == STEP_CONV && s->in[2] != PROGRAM_NONE && s->in[3] != PROGRAM_NONE);
    assert(p->buffer[s->out].type == VALUE_F16 && p->buffer[p->output[0]].type == VALUE_F32);
    program_free(p);
    /* Where the sum before the skip is wanted, the skip cannot hide in it. */
    p = lower(BACKEND_FP16, &before_skip, 1);
    assert(count(p, STEP_ADD) == 1 && count(p, STEP_CONVERT) == 1 && p->n_outputs == 2);
    program_free(p);
    graph_make_fini(&make);
}

static void what_nobody_needs_is_not_computed(void)
{
    graph_make_init(&make, 16, 16, 6);
    const int32_t x = conv(GRAPH_X_CNN, NONE, 8, GRAPH_ACT_GELU);
    (void)conv(x, NONE, 32, GRAPH_ACT_GELU);
    graph_make_finish(&make, x);
    struct program *p = lower(BACKEND_FP32, NULL, 0);
    assert(p->n_steps == 2);
    program_free(p);
    graph_make_fini(&make);
}

/* The merge of 13 and 5 channels, each of which is padded to a multiple of eight. */
static void build_merge(int32_t kernel)
{
    graph_make_init(&make, 16, 16, 7);
    const int32_t a = conv(GRAPH_X_CNN, NONE, 13, GRAPH_ACT_GELU);
    const int32_t b = conv(GRAPH_X_DINO, NONE, 5, GRAPH_ACT_GELU);
    const int32_t both[3] = {a, b, NONE};
    graph_make_finish(&make, graph_make_conv(&make, both, kernel, 16, GRAPH_ACT_GELU));
}

/* Two maps become two convolutions, the second of which goes on from the first's sum. */
static void check_two_convolutions(enum backend_precision precision)
{
    struct program *p = lower(precision, NULL, 0);
    assert(count(p, STEP_CONV) == 2 && count(p, STEP_MERGE) == 0 && p->n_steps == 5);
    const struct step *first = &p->step[2];
    const struct step *second = &p->step[3];
    assert(second->in[1] == first->out && first->bias == PROGRAM_NONE);
    assert(p->weight[first->weight].row0 == 0 && p->weight[first->weight].row == 13);
    assert(p->weight[second->weight].row0 == 13 && p->weight[second->weight].row == 5);
    program_free(p);
}

static void a_concatenation_is_never_made(void)
{
    build_merge(1);
    check_two_convolutions(BACKEND_FP32);
    check_two_convolutions(BACKEND_TF32);
    check_two_convolutions(BACKEND_BF16);
    graph_make_fini(&make);
    build_merge(3);
    check_two_convolutions(BACKEND_FP16);
    graph_make_fini(&make);
}

static void check_merged_row(const struct program *p, int32_t weight, const struct graph_op *op)
{
    const struct program_weight *w = &p->weight[weight];
    uint16_t *packed = calloc(1, w->bytes);
    assert(packed != NULL && w->stride == 24 && w->bytes >= sizeof *packed * 16 * 24);
    program_pack(p, &make.graph, weight, packed);
    for (size_t at = 0; at < (size_t)16 * 24; at++) {
        const size_t o = at / 24;
        const size_t i = at % 24;
        const float *row = op->weight + o * 18;
        float expected = 0.0F; /* where padding is */
        if (i < 13 || (i >= 16 && i < 21)) {
            expected = (float)((double)row[i < 13 ? i : i - 3] * op->scale[o]);
        }
        assert(packed[at] == value_to_f16(expected));
    }
    free(packed);
}

/* In fp16 a kernel reads both maps, and a row of weights has a part for each. */
static void a_merge_in_fp16_is_one_step(void)
{
    build_merge(1);
    struct program *p = lower(BACKEND_FP16, NULL, 0);
    assert(count(p, STEP_MERGE) == 1 && count(p, STEP_CONV) == 0 && p->n_steps == 4);
    const struct step *s = &p->step[2];
    assert(s->kind == STEP_MERGE && s->act == GRAPH_ACT_GELU && s->bias != PROGRAM_NONE);
    assert(s->in[0] == p->step[0].out && s->in[1] == p->step[1].out);
    assert(s->in[2] == PROGRAM_NONE && s->in[3] == PROGRAM_NONE);
    assert(p->buffer[s->in[0]].type == VALUE_F16 && p->buffer[s->in[1]].type == VALUE_F16);
    assert(p->buffer[s->out].type == VALUE_F16);
    check_merged_row(p, s->weight, &make.graph.op[2]);
    program_free(p);
    graph_make_fini(&make);
}

/* The convolution of an upsample is made on the coarse map, unless the upsample is wanted itself. */
static void an_upsample_is_its_convolution_s(void)
{
    graph_make_init(&make, 16, 32, 7);
    const int32_t x = conv(GRAPH_X_CNN, NONE, 24, GRAPH_ACT_GELU);
    const int32_t coarse = graph_make_max_pool(&make, x);
    const int32_t up = graph_make_upsample(&make, coarse, 2);
    graph_make_finish(&make, conv(up, x, 24, GRAPH_ACT_GELU));
    static const enum backend_precision all[] = {BACKEND_FP32, BACKEND_TF32, BACKEND_FP16,
                                                 BACKEND_BF16};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct program *p = lower(all[i], NULL, 0);
        assert(count(p, STEP_UPSAMPLE) == 0 && count(p, STEP_CONV) == 0);
        assert(count(p, STEP_LINEAR) == 1 && count(p, STEP_EXPAND) == 1);
        const struct step *product = find(p, STEP_LINEAR);
        const struct step *expand = find(p, STEP_EXPAND);
        assert(expand->in[0] == product->out && expand->in[2] != PROGRAM_NONE);
        assert(p->weight[product->weight].kind == WEIGHT_SPREAD);
        const struct program_buffer *products = &p->buffer[product->out];
        assert(products->h == 8 && products->w == 16 && products->c == 9 * 24);
        assert(products->type == (all[i] == BACKEND_FP16 ? VALUE_F16 : VALUE_F32));
        program_free(p);
        p = lower(all[i], &up, 1);
        assert(count(p, STEP_UPSAMPLE) == 1 && count(p, STEP_EXPAND) == 0);
        program_free(p);
    }
    graph_make_fini(&make);
}

static void check_type(const struct program *p, const struct step *s)
{
    const int32_t type = p->buffer[s->out].type;
    if (s->kind == STEP_TOKENS || (s->kind == STEP_LINEAR && s->in[1] != PROGRAM_NONE)) {
        assert(type == VALUE_F32);
    }
    if (s->kind == STEP_NORM || s->kind == STEP_ATTENTION || s->kind == STEP_ROPE) {
        assert(type == VALUE_F16);
    }
    /* cuBLASLt wants the bias like the result */
    assert(s->kind != STEP_LINEAR || s->bias == PROGRAM_NONE || p->weight[s->bias].type == type);
}

/* The stream of tokens is f32, what products read is not. */
static void the_transformer_s_stream_is_f32(void)
{
    graph_make_init(&make, 32, 32, 8);
    const int32_t x = graph_make_tokens(&make, 5, 64);
    const int32_t normed = graph_make_layer_norm(&make, x);
    const int32_t qkv =
        graph_make_linear(&make, (const int32_t[]){normed, NONE}, 192, GRAPH_ACT_NONE);
    const int32_t mixed = graph_make_attention(&make, qkv, 1, 5);
    const int32_t y = graph_make_linear(&make, (const int32_t[]){mixed, x}, 64, GRAPH_ACT_NONE);
    graph_make_finish(&make, y);
    struct program *p = lower(BACKEND_FP16, NULL, 0);
    for (int32_t i = 0; i < p->n_steps; i++) {
        check_type(p, &p->step[i]);
    }
    /* q and k are turned where they are, unless somebody else wants them as they were. */
    assert(count(p, STEP_CONVERT) == 0 && count(p, STEP_ROPE) == 1);
    program_free(p);
    p = lower(BACKEND_FP16, &qkv, 1);
    assert(count(p, STEP_CONVERT) == 2);
    program_free(p);
    graph_make_fini(&make);
}

static void other_precisions_are_refused(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct program *p = NULL;
    const struct backend_options o = {.precision = BACKEND_BF16X3, .max_batch = 1};
    graph_make_init(&make, 16, 16, 9);
    graph_make_finish(&make, conv(GRAPH_X_CNN, NONE, 8, GRAPH_ACT_GELU));
    assert(program_new(&p, &make.graph, &o, &err) == SCTD_EINVAL && p == NULL);
    graph_make_fini(&make);
}

int main(void)
{
    residual_and_skip_are_the_convolution_s();
    what_nobody_needs_is_not_computed();
    a_concatenation_is_never_made();
    an_upsample_is_its_convolution_s();
    a_merge_in_fp16_is_one_step();
    the_transformer_s_stream_is_f32();
    other_precisions_are_refused();
    return 0;
}
