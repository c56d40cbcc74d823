/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/graph.h"
#include "engine/backend/load.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"
#include "tests/oracle/ops_cases.h"
#include "tests/support/cuda_host.h"

/*
 * Every graph of ops_cases.c, on the backend named on the command line and on the reference: how far
 * the results are apart, and whether they depend on anything but the slice.
 */

enum { SLICES = 3, SKIPPED = 77 };

/* The largest error may be so many times the bound, relative to the largest value. */
static const double max_slack = 10.0;

/* Of a tensor's values, for its error to be measured relative to them. */
static const double least_rms = 0.25;

/* The reference is slow, and compared with itself only to see that it and this program hold. */
static const double ref_max_macs = 1e6;
/* The CUDA backend's programs on the host are as slow. */
static const double host_max_macs = 1e6;

struct level {
    const char *name;
    double bound; /* relative L2 norm of the error */
    double gpu_bound;
    enum backend_precision precision;
    bool optional; /* a backend may refuse it */
};

/*
 * Bounds from the rounding of operands, not from what was measured.  To bf16 a value is off by 2^-8 of
 * itself at most and by less than 2^-9 in the root mean square, and a product's term has two such
 * operands.  Of pairs a term loses lo lo and the rounding of both lo parts, each less than 2^-18.  Errors
 * of many terms, and of one product after another, add in quadrature: n errors a term and the eight
 * products of the deepest case, a SwiGLU block and y, make sqrt(8 n).  Allowed is twice that, since some
 * sums' terms cancel and a norm over few channels magnifies.
 *
 * f32 is off by 2^-25 in the root mean square; adding the longest sum's 6912 terms one by one makes
 * sqrt(6912 / 2) of that, 1.8e-6.
 */
#define BF16_BOUND   (2 * 4.0 * 0x1p-9)
#define BF16X3_BOUND (2 * 4.9 * 0x1p-18)
#define FP32_BOUND   2e-6
/*
 * fp16 and tf32 have three bits more than bf16.  Thrice, since a GPU's maps are stored rounded as well, and
 * norms over very few channels magnify more than they do at bf16's bound.
 */
#define FP16_BOUND (3 * 2 * 4.0 * 0x1p-12)

static const struct level levels[] = {
    {"fp32", FP32_BOUND, FP32_BOUND, BACKEND_FP32, false},
    {"auto", BF16X3_BOUND, FP16_BOUND, BACKEND_AUTO, false},
    {"bf16x3", BF16X3_BOUND, BF16X3_BOUND, BACKEND_BF16X3, true},
    {"bf16", BF16_BOUND, BF16_BOUND, BACKEND_BF16, true},
    {"tf32", FP16_BOUND, FP16_BOUND, BACKEND_TF32, true},
    {"fp16", FP16_BOUND, FP16_BOUND, BACKEND_FP16, true},
};
enum { N_LEVELS = sizeof levels / sizeof levels[0] };

struct tally {
    int compared, refused, failed;
    double worst; /* relative L2 norm */
};

/* A graph, its inputs and the values at its output and at the tensor that is compared. */
struct sample {
    const char *name;
    bool optional;
    const struct ops_size *size;
    struct graph_make make;
    int32_t tested;
    size_t pixels, tested_size; /* values in a slice */
    float *x_cnn, *x_dino;      /* [SLICES][pixels] */
};

struct result {
    float *y;      /* [SLICES][pixels] */
    float *tested; /* [SLICES][tested_size] */
};

/* How to get a result. */
struct trial {
    const struct backend *backend;
    enum backend_precision precision;
    int32_t threads, batch;
    bool tapped; /* whether the tested tensor is asked for */
    int32_t runs;
};

static float *take_floats(size_t n)
{
    float *values = calloc(n, sizeof *values);
    assert(values != NULL);
    return values;
}

static void sample_init(struct sample *s, const struct ops_case *c, const struct ops_size *size)
{
    s->name = c->name;
    s->optional = c->optional;
    s->size = size;
    s->pixels = (size_t)size->h * (size_t)size->w;
    s->x_cnn = take_floats(SLICES * s->pixels);
    s->x_dino = take_floats(SLICES * s->pixels);
    graph_make_init(&s->make, size->h, size->w, (uint64_t)(size - c->sizes) + strlen(c->name));
    graph_make_draw(&s->make, s->x_cnn, SLICES * s->pixels, 1.0F);
    graph_make_draw(&s->make, s->x_dino, SLICES * s->pixels, 1.0F);
    s->tested = c->build(&s->make, size);
    s->tested_size = graph_tensor_size(&s->make.graph, s->tested);
    graph_make_finish(&s->make, s->tested);
}

static void sample_fini(struct sample *s)
{
    graph_make_fini(&s->make);
    free(s->x_cnn);
    free(s->x_dino);
}

static struct result result_new(const struct sample *s)
{
    return (struct result){.y = take_floats(SLICES * s->pixels),
                           .tested = take_floats(SLICES * s->tested_size)};
}

static void result_free(struct result *r)
{
    free(r->y);
    free(r->tested);
}

static int run_slices(struct backend_plan *plan, const struct sample *s, const struct trial *t,
                      struct result *result, struct sctd_error *err)
{
    for (int32_t at = 0; at < SLICES; at += t->batch) {
        float *tested = result->tested + (size_t)at * s->tested_size;
        const struct backend_io io = {
            .n = SLICES - at < t->batch ? SLICES - at : t->batch,
            .x_cnn = s->x_cnn + (size_t)at * s->pixels,
            .x_dino = s->x_dino + (size_t)at * s->pixels,
            .y = result->y + (size_t)at * s->pixels,
            .taps = t->tapped ? &tested : NULL,
        };
        int r = t->backend->run(plan, &io, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int evaluate(const struct sample *s, const struct trial *t, struct result *result,
                    struct sctd_error *err)
{
    struct backend_plan *plan = NULL;
    const struct backend_options options = {.precision = t->precision,
                                            .threads = t->threads,
                                            .max_batch = t->batch,
                                            .taps = &s->tested,
                                            .n_taps = t->tapped ? 1 : 0};
    int r = t->backend->compile(&plan, &s->make.graph, &options, err);
    for (int32_t i = 0; r == 0 && i < t->runs; i++) {
        r = run_slices(plan, s, t, result, err);
    }
    t->backend->free(plan);
    return r;
}

static void describe(const struct sample *s, const char *level)
{
    const struct ops_size *z = s->size;
    (void)printf("%s [%d x %d, a %d, b %d, k %d] %s: ", s->name, z->h, z->w, z->a, z->b, z->k,
                 level);
}

/*
 * Relative L2 norm of got - expected; infinite where the largest error exceeds its own bound.  Weights
 * keep values near 1: where the terms of a sum happen to cancel, the error is measured against those.
 */
static double distance(const float *got, const float *expected, size_t n, double bound)
{
    double error = 0.0;
    double norm = 0.0;
    double worst = 0.0;
    double top = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)got[i] - (double)expected[i];
        error += d * d;
        norm += (double)expected[i] * (double)expected[i];
        worst = fmax(worst, fabs(d));
        top = fmax(top, fabs((double)expected[i]));
    }
    const double relative = sqrt(error / fmax(norm, least_rms * least_rms * (double)n));
    const bool bounded = isfinite(relative) && worst <= max_slack * bound * fmax(top, least_rms);
    return bounded ? relative : HUGE_VAL;
}

static void check_near(const struct sample *s, const struct level *level, const char *what,
                       double apart, struct tally *tally)
{
    tally->compared++;
    tally->worst = fmax(tally->worst, apart);
    if (apart <= level->bound) {
        return;
    }
    describe(s, level->name);
    (void)printf("%s is %.2e from the reference, allowed %.1e\n", what, apart, level->bound);
    tally->failed++;
}

static bool same_bits(const struct sample *s, const struct result *a, const struct result *b)
{
    return memcmp(a->y, b->y, SLICES * s->pixels * sizeof *a->y) == 0 &&
           memcmp(a->tested, b->tested, SLICES * s->tested_size * sizeof *a->tested) == 0;
}

static bool is_gpu(const struct backend *backend)
{
    return strcmp(backend->name, "cuda") == 0;
}

static bool are_near(const struct sample *s, const struct result *a, const struct result *b,
                     double bound)
{
    return distance(a->y, b->y, SLICES * s->pixels, bound) <= bound &&
           distance(a->tested, b->tested, SLICES * s->tested_size, bound) <= bound;
}

/* A GPU's libraries choose their engines by the batch of the plan, where only the bound holds.
 * Other batch sizes, other numbers of threads, a second run: the same bits as `base` gave. */
static void check_independence(const struct sample *s, const struct level *level,
                               const struct trial *base, const struct result *first,
                               struct tally *tally)
{
    static const struct {
        int32_t threads, batch, runs;
        const char *what;
    } others[] = {
        {1, SLICES, 2, "a second run"},
        {2, SLICES, 1, "2 threads"},
        {1, 2, 1, "batch 2"},
        {3, 1, 1, "3 threads, batch 1"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct sctd_error err = {0};
        struct result other = result_new(s);
        struct trial t = *base;
        t.threads = others[i].threads;
        t.batch = others[i].batch;
        t.runs = others[i].runs;
        int r = evaluate(s, &t, &other, &err);
        const bool same = others[i].batch != SLICES && is_gpu(base->backend)
                              ? are_near(s, first, &other, level->bound)
                              : same_bits(s, first, &other);
        if (r < 0 || !same) {
            describe(s, level->name);
            (void)printf("%s changes the result: %s\n", others[i].what, r < 0 ? err.text : "bits");
            tally->failed++;
        }
        result_free(&other);
    }
}

/* Without the tap more may be fused: y must still be near. */
static void check_untapped(const struct sample *s, const struct level *level,
                           const struct trial *base, const struct result *expected,
                           struct tally *tally)
{
    struct sctd_error err = {0};
    struct result got = result_new(s);
    struct trial t = *base;
    t.tapped = false;
    if (evaluate(s, &t, &got, &err) < 0) {
        describe(s, level->name);
        (void)printf("without tap: %s\n", err.text);
        tally->failed++;
    } else {
        const double apart = distance(got.y, expected->y, SLICES * s->pixels, level->bound);
        check_near(s, level, "y without tap", apart, tally);
    }
    result_free(&got);
}

static void check_level(const struct sample *s, const struct backend *backend,
                        const struct level *level, const struct result *expected,
                        struct tally *tally)
{
    struct sctd_error err = {0};
    struct result got = result_new(s);
    const struct trial t = {backend, level->precision, 1, SLICES, true, 1};
    int r = evaluate(s, &t, &got, &err);
    if (r == SCTD_EINVAL && (level->optional || s->optional)) {
        tally->refused++;
    } else if (r < 0) {
        describe(s, level->name);
        (void)printf("%s\n", err.text);
        tally->failed++;
    } else {
        const size_t n = SLICES * s->tested_size;
        const double apart = distance(got.tested, expected->tested, n, level->bound);
        const double apart_y = distance(got.y, expected->y, SLICES * s->pixels, level->bound);
        check_near(s, level, "the tensor", apart, tally);
        check_near(s, level, "y", apart_y, tally);
        check_untapped(s, level, &t, expected, tally);
        check_independence(s, level, &t, &got, tally);
    }
    result_free(&got);
}

/* Level i as `backend` must hold it. */
static struct level level_of(const struct backend *backend, int i)
{
    struct level level = levels[i];
    if (strncmp(backend->name, "cuda", strlen("cuda")) == 0) {
        level.bound = level.gpu_bound;
    }
    return level;
}

static void check_sample(const struct sample *s, const struct backend *backend,
                         struct tally tally[N_LEVELS])
{
    struct sctd_error err = {0};
    struct result expected = result_new(s);
    const struct trial t = {&backend_ref, BACKEND_FP32, 1, SLICES, true, 1};
    if (evaluate(s, &t, &expected, &err) < 0) {
        describe(s, "reference");
        (void)printf("%s\n", err.text);
        tally[0].failed++;
    } else {
        for (int i = 0; i < N_LEVELS; i++) {
            const struct level level = level_of(backend, i);
            check_level(s, backend, &level, &expected, &tally[i]);
        }
    }
    result_free(&expected);
}

static int report(const struct backend *backend, const struct tally tally[N_LEVELS])
{
    int failed = 0;
    for (int i = 0; i < N_LEVELS; i++) {
        const struct tally *t = &tally[i];
        (void)printf("%s %s: %d results within %.1e, worst %.2e; %d refused, %d failures\n",
                     backend->name, levels[i].name, t->compared, level_of(backend, i).bound,
                     t->worst, t->refused, t->failed);
        failed += t->failed;
    }
    return failed == 0 ? 0 : 1;
}

/* NULL: it is not there, with the reason on stdout. */
static const struct backend *load_cuda(void)
{
    struct sctd_error err = {0};
    const struct backend *cuda = NULL;
    const struct backend_device any = {.number = BACKEND_ANY_DEVICE};
    if (backend_load_cuda(&cuda, &any, &err) < 0) {
        (void)printf("%s\n", err.text);
        return NULL;
    }
    return cuda;
}

static const struct backend *find_backend(const char *name)
{
    static const struct backend *const backends[] = {
        &backend_ref,
#ifdef SCTD_ONEDNN
        &backend_cpu,
#endif
        &cuda_host_backend,
    };
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            return backends[i];
        }
    }
    return strcmp(name, "cuda") == 0 ? load_cuda() : NULL;
}

static double max_macs_of(const struct backend *backend)
{
    if (backend == &backend_ref) {
        return ref_max_macs;
    }
    if (getenv("SCTD_TEST_SMALL") != NULL) { // NOLINT(concurrency-mt-unsafe): one thread
        return host_max_macs;
    }
    return backend == &cuda_host_backend ? host_max_macs : HUGE_VAL;
}

static void check_case(const struct ops_case *c, const struct backend *backend,
                       struct tally tally[N_LEVELS])
{
    static struct sample sample;
    for (size_t i = 0; i < c->n_sizes; i++) {
        sample_init(&sample, c, &c->sizes[i]);
        if (graph_macs(&sample.make.graph) <= max_macs_of(backend)) {
            check_sample(&sample, backend, tally);
        }
        sample_fini(&sample);
    }
}

/* usage: test_ops BACKEND [PART-OF-A-CASE-NAME] */
int main(int argc, char **argv)
{
    assert(argc == 2 || argc == 3);
    const struct backend *backend = find_backend(argv[1]);
    if (backend == NULL) {
        (void)printf("skipped: this build has no backend \"%s\"\n", argv[1]);
        return SKIPPED;
    }
    struct tally tally[N_LEVELS] = {0};
    for (size_t i = 0; i < ops_cases_count; i++) {
        if (argc == 2 || strstr(ops_cases[i].name, argv[2]) != NULL) {
            check_case(&ops_cases[i], backend, tally);
        }
    }
    return report(backend, tally);
}
