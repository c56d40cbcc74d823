/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"

enum { MAX_PIXELS = 2048, MAX_EXPECTED = 4096, OP_NUMBERS = 13 };

/* One graph of data/ops.bin, which tests/oracle/make_cases.py describes. */
struct ref_case {
    char name[33];
    struct graph_make make;
    float x_cnn[MAX_PIXELS], x_dino[MAX_PIXELS];
    int32_t n;
    float expected[MAX_EXPECTED];
};

static void read_all(FILE *file, void *to, size_t bytes)
{
    assert(fread(to, 1, bytes, file) == bytes);
}

static void read_op(FILE *file, struct graph_make *m)
{
    int32_t number[OP_NUMBERS];
    read_all(file, number, sizeof number);
    const struct graph_op op = {
        .kind = (enum graph_op_kind)number[0],
        .in = {number[1], number[2], number[3]},
        .act = (enum graph_act)number[4],
        .kernel = number[5],
        .factor = number[6],
        .heads = number[7],
        .prefix = number[8],
        .eps = number[0] == GRAPH_LAYER_NORM ? 1e-5F : 0.0F,
    };
    (void)graph_make_op(m, &op, &number[9], (unsigned)number[12]);
}

static void read_case(FILE *file, struct ref_case *c)
{
    int32_t head[4];
    read_all(file, c->name, 32);
    read_all(file, head, sizeof head);
    const size_t pixels = (size_t)head[0] * (size_t)head[1];
    assert(pixels <= MAX_PIXELS);
    graph_make_init(&c->make, head[0], head[1], (uint64_t)head[2]);
    graph_make_draw(&c->make, c->x_cnn, pixels, 1.0F);
    graph_make_draw(&c->make, c->x_dino, pixels, 1.0F);
    for (int32_t i = 0; i < head[3]; i++) {
        read_op(file, &c->make);
    }
    read_all(file, &c->n, sizeof c->n);
    assert(c->n > 0 && c->n <= MAX_EXPECTED);
    read_all(file, c->expected, (size_t)c->n * sizeof(float));
}

static void check_case(struct ref_case *c)
{
    struct sctd_error err = {0};
    struct backend_plan *plan = NULL;
    static float y[MAX_PIXELS];
    static float got[MAX_EXPECTED];
    const int32_t last = c->make.graph.n_tensors - 1;
    graph_make_finish(&c->make, last);
    assert(graph_tensor_size(&c->make.graph, last) == (size_t)c->n);

    const struct backend_options options = {.max_batch = 1, .taps = &last, .n_taps = 1};
    const struct backend_io io = {
        .n = 1, .x_cnn = c->x_cnn, .x_dino = c->x_dino, .y = y, .taps = (float *[]){got}};
    if (backend_ref.compile(&plan, &c->make.graph, &options, &err) < 0) {
        (void)fprintf(stderr, "%s: %s\n", c->name, err.text);
        assert(0);
    }
    assert(backend_ref.run(plan, &io, &err) == 0);
    double worst = 0.0;
    for (int32_t i = 0; i < c->n; i++) {
        const double d = fabs((double)got[i] - (double)c->expected[i]);
        worst = fmax(worst, d / fmax(1.0, fabs((double)c->expected[i])));
        worst = isnan(got[i]) ? HUGE_VAL : worst;
    }
    (void)printf("%-32s %5d values, error %.1e\n", c->name, c->n, worst);
    assert(worst <= 5e-7);
    backend_ref.free(plan);
}

static void every_operation_gives_what_pytorch_gives(const char *path)
{
    static struct ref_case c;
    char magic[8];
    int32_t count = 0;
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    read_all(file, magic, sizeof magic);
    assert(memcmp(magic, "SCTDOPS1", sizeof magic) == 0);
    read_all(file, &count, sizeof count);
    assert(count > 30);
    for (int32_t i = 0; i < count; i++) {
        read_case(file, &c);
        check_case(&c);
        graph_make_fini(&c.make);
    }
    assert(fgetc(file) == EOF);
    (void)fclose(file);
}

/* y = tanh of a 1x1 convolution of gelu(conv3(x)), 6 x 6. */
static void make_small(struct graph_make *m)
{
    graph_make_init(m, 6, 6, 1);
    m->stage = GRAPH_DECODER;
    const int32_t t = graph_make_conv(m, (const int32_t[]){GRAPH_X_CNN, GRAPH_NONE, GRAPH_NONE}, 3,
                                      2, GRAPH_ACT_GELU);
    graph_make_finish(m, t);
}

static void options_out_of_range_are_refused(void)
{
    struct graph_make m;
    make_small(&m);
    const int32_t bad_tap = 4;
    const int32_t negative_tap = -1;
    const struct backend_options bad[] = {
        {.max_batch = 0},
        {.max_batch = 1, .threads = -1},
        {.max_batch = 1, .precision = BACKEND_BF16},
        {.max_batch = 1, .taps = &bad_tap, .n_taps = 1},
        {.max_batch = 1, .taps = &negative_tap, .n_taps = 1},
        {.max_batch = 1, .n_taps = -1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sctd_error err = {0};
        struct backend_plan *plan = NULL;
        assert(backend_ref.compile(&plan, &m.graph, &bad[i], &err) == SCTD_EINVAL);
        assert(plan == NULL);
    }
    graph_make_fini(&m);
}

static void unsound_graph_is_refused(void)
{
    struct sctd_error err = {0};
    struct graph_make m;
    struct backend_plan *plan = NULL;
    make_small(&m);
    m.op[0].kernel = 5;
    const struct backend_options options = {.max_batch = 1};
    assert(backend_ref.compile(&plan, &m.graph, &options, &err) == SCTD_EINVAL);
    assert(plan == NULL);
    graph_make_fini(&m);
}

static void batch_out_of_range_is_refused(void)
{
    struct sctd_error err = {0};
    struct graph_make m;
    struct backend_plan *plan = NULL;
    make_small(&m);
    const struct backend_options options = {.max_batch = 2};
    assert(backend_ref.compile(&plan, &m.graph, &options, &err) == 0);
    static const int32_t bad[] = {0, -1, 3};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct backend_io io = {.n = bad[i]};
        assert(backend_ref.run(plan, &io, &err) == SCTD_EINVAL);
    }
    backend_ref.free(plan);
    backend_ref.free(NULL);
    graph_make_fini(&m);
}

static void plan_keeps_nothing_of_the_graph(void)
{
    struct sctd_error err = {0};
    struct graph_make m;
    struct backend_plan *plan = NULL;
    float x[36];
    float y[2][36];
    make_small(&m);
    graph_make_draw(&m, x, 36, 1.0F);
    const struct backend_options options = {.max_batch = 1};
    assert(backend_ref.compile(&plan, &m.graph, &options, &err) == 0);
    const struct backend_io io[2] = {{.n = 1, .x_cnn = x, .x_dino = x, .y = y[0]},
                                     {.n = 1, .x_cnn = x, .x_dino = x, .y = y[1]}};
    assert(backend_ref.run(plan, &io[0], &err) == 0);
    graph_make_fini(&m);
    memset(&m, 0, sizeof m);
    assert(backend_ref.run(plan, &io[1], &err) == 0);
    for (int i = 0; i < 36; i++) {
        assert(y[0][i] == y[1][i]);
    }
    backend_ref.free(plan);
}

static void times_belong_to_the_stage_and_start_again_once_taken(void)
{
    struct sctd_error err = {0};
    struct graph_make m;
    struct backend_plan *plan = NULL;
    struct backend_stats stats = {0};
    const float x[36] = {0};
    float y[36];
    make_small(&m);
    const struct backend_options options = {.max_batch = 1};
    assert(backend_ref.compile(&plan, &m.graph, &options, &err) == 0);
    const struct backend_io io = {.n = 1, .x_cnn = x, .x_dino = x, .y = y};
    assert(backend_ref.run(plan, &io, &err) == 0);
    backend_ref.take_stats(plan, &stats);
    assert(stats.stage_ms[GRAPH_DECODER] > 0.0);
    assert(stats.stage_ms[GRAPH_VIT] == 0.0 && stats.stage_ms[GRAPH_ENCODER] == 0.0);
    assert(stats.arithmetic != NULL);
    backend_ref.take_stats(plan, &stats);
    assert(stats.stage_ms[GRAPH_DECODER] == 0.0);
    backend_ref.free(plan);
    graph_make_fini(&m);
}

static void nan_flows_through_a_maximum_and_a_convolution(void)
{
    struct sctd_error err = {0};
    struct graph_make m;
    struct backend_plan *plan = NULL;
    float x[36] = {0};
    float y[36];
    float pooled[9];
    x[3 * 6 + 2] = NAN;
    graph_make_init(&m, 6, 6, 1);
    const int32_t pool = graph_make_max_pool(&m, GRAPH_X_CNN);
    graph_make_finish(&m, graph_make_upsample(&m, pool, 2));
    const struct backend_options options = {.max_batch = 1, .taps = &pool, .n_taps = 1};
    assert(backend_ref.compile(&plan, &m.graph, &options, &err) == 0);
    const struct backend_io io = {
        .n = 1, .x_cnn = x, .x_dino = x, .y = y, .taps = (float *[]){pooled}};
    assert(backend_ref.run(plan, &io, &err) == 0);
    for (int i = 0; i < 9; i++) {
        assert(isnan(pooled[i]) ? i == 4 : pooled[i] == 0.0F);
    }
    assert(isnan(y[2 * 6 + 2]) && !isnan(y[5 * 6 + 5]));
    backend_ref.free(plan);
    graph_make_fini(&m);
}

static void there_is_no_peak_to_measure(void)
{
    struct sctd_error err = {0};
    double peak = 1.0;
    assert(backend_ref.matrix_peak(&peak, BACKEND_FP32, 1, &err) == SCTD_EINVAL);
    assert(strcmp(err.text, "the reference backend has no peak") == 0);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    every_operation_gives_what_pytorch_gives(argv[1]);
    options_out_of_range_are_refused();
    unsound_graph_is_refused();
    batch_out_of_range_is_refused();
    plan_keeps_nothing_of_the_graph();
    times_belong_to_the_stage_and_start_again_once_taken();
    nan_flows_through_a_maximum_and_a_convolution();
    there_is_no_peak_to_measure();
    return 0;
}
