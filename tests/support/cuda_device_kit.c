/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cuda_device_kit.h"

#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/program.h"
#include "engine/backend/graph.h"
#include "engine/base/error.h"

#include "tests/oracle/graph_make.h"
#include "tests/support/cuda_host.h"

enum { NONE = GRAPH_NONE, PREFIX = 5, SEED = 11 };

static int32_t conv(struct graph_make *m, int32_t in, int32_t add, int32_t channels,
                    enum graph_act act)
{
    return graph_make_conv(m, (const int32_t[]){in, NONE, add}, 3, channels, act);
}

/* Attention and what follows it. */
static int32_t make_block(struct graph_make *m, int32_t x)
{
    const int32_t width = m->tensor[x].c;
    m->stage = GRAPH_VIT;
    const int32_t qkv = graph_make_linear(m, (const int32_t[]){graph_make_layer_norm(m, x), NONE},
                                          3 * width, GRAPH_ACT_NONE);
    const int32_t mixed = graph_make_attention(m, qkv, 1, PREFIX);
    const int32_t added = graph_make_linear(m, (const int32_t[]){mixed, x}, width, GRAPH_ACT_NONE);
    const int32_t hidden = graph_make_linear(
        m, (const int32_t[]){graph_make_layer_norm(m, added), NONE}, 2 * width, GRAPH_ACT_GELU);
    return graph_make_linear(m, (const int32_t[]){hidden, added}, width, GRAPH_ACT_NONE);
}

static int32_t make_whole(struct device_kit *k)
{
    struct graph_make *m = &k->make;
    enum { CHANNELS = 8, WIDTH = 32, PATCH = 16 };
    const int32_t tokens = make_block(m, graph_make_tokens(m, PREFIX, WIDTH));
    const int32_t grid = graph_make_grid(m, tokens, PREFIX);
    m->stage = GRAPH_FUSION;
    const int32_t deep =
        graph_make_upsample(m, conv(m, grid, NONE, CHANNELS, GRAPH_ACT_GELU), PATCH);
    m->stage = GRAPH_ENCODER;
    const int32_t image = conv(m, GRAPH_X_CNN, NONE, CHANNELS, GRAPH_ACT_GELU);
    const int32_t inner = conv(m, image, NONE, CHANNELS, GRAPH_ACT_GELU);
    k->tap = conv(m, inner, image, CHANNELS, GRAPH_ACT_NONE);
    const int32_t pooled =
        conv(m, graph_make_max_pool(m, k->tap), NONE, CHANNELS, GRAPH_ACT_SIGMOID);
    m->stage = GRAPH_DECODER;
    const int32_t up = conv(m, graph_make_upsample(m, pooled, 2), NONE, CHANNELS, GRAPH_ACT_GELU);
    const int32_t both[3] = {up, deep, NONE};
    const int32_t merged = graph_make_conv(m, both, 1, CHANNELS, GRAPH_ACT_GELU);
    return graph_make_join(m, GRAPH_ADD, (const int32_t[]){merged, image, NONE});
}

static int32_t make_small(struct device_kit *k)
{
    struct graph_make *m = &k->make;
    enum { CHANNELS = 8 };
    const int32_t image = conv(m, GRAPH_X_CNN, NONE, CHANNELS, GRAPH_ACT_GELU);
    const int32_t other = conv(m, GRAPH_X_DINO, NONE, CHANNELS, GRAPH_ACT_GELU);
    m->stage = GRAPH_DECODER;
    k->tap = conv(m, graph_make_max_pool(m, image), NONE, CHANNELS, GRAPH_ACT_GELU);
    return conv(m, graph_make_upsample(m, k->tap, 2), other, CHANNELS, GRAPH_ACT_NONE);
}

static int32_t make_wide(struct device_kit *k)
{
    struct graph_make *m = &k->make;
    enum { CHANNELS = 64 };
    const int32_t image = conv(m, GRAPH_X_CNN, NONE, CHANNELS, GRAPH_ACT_GELU);
    k->tap = conv(m, image, NONE, CHANNELS, GRAPH_ACT_GELU);
    return graph_make_join(
        m, GRAPH_ADD,
        (const int32_t[]){k->tap, conv(m, GRAPH_X_DINO, NONE, CHANNELS, GRAPH_ACT_GELU), NONE});
}

static float *take_floats(size_t n)
{
    float *values = calloc(n, sizeof *values);
    assert(values != NULL);
    return values;
}

void device_kit_init(struct device_kit *k, enum device_kit_network network)
{
    static int32_t (*const makers[])(struct device_kit *) = {
        [DEVICE_KIT_WHOLE] = make_whole,
        [DEVICE_KIT_SMALL] = make_small,
        [DEVICE_KIT_WIDE] = make_wide,
    };
    const int32_t side = network == DEVICE_KIT_WHOLE ? 16 : 4;
    graph_make_init(&k->make, side, side, SEED);
    k->pixels = (size_t)side * (size_t)side;
    k->x_cnn = take_floats(DEVICE_KIT_SLICES * k->pixels);
    k->x_dino = take_floats(DEVICE_KIT_SLICES * k->pixels);
    graph_make_draw(&k->make, k->x_cnn, DEVICE_KIT_SLICES * k->pixels, 1.0F);
    graph_make_draw(&k->make, k->x_dino, DEVICE_KIT_SLICES * k->pixels, 1.0F);
    const int32_t end = makers[network](k);
    k->tap_size = graph_tensor_size(&k->make.graph, k->tap);
    graph_make_finish(&k->make, end);
}

void device_kit_fini(struct device_kit *k)
{
    graph_make_fini(&k->make);
    free(k->x_cnn);
    free(k->x_dino);
}

static struct backend_options options_of(const struct device_kit *k,
                                         enum backend_precision precision, size_t memory_bytes)
{
    return (struct backend_options){.taps = &k->tap,
                                    .n_taps = 1,
                                    .precision = precision,
                                    .threads = 1,
                                    .max_batch = DEVICE_KIT_SLICES,
                                    .device = {.number = BACKEND_ANY_DEVICE},
                                    .memory_bytes = memory_bytes};
}

size_t device_kit_memory(const struct device_kit *k, enum backend_precision precision,
                         int32_t chunk)
{
    /* What plan_build.c sets aside for choosing engines and for the libraries, and each of two sides. */
    const size_t aside = (size_t)(256 + 512) << 20;
    const size_t sides = 2 * (3 * k->pixels + k->tap_size) * sizeof(float);
    const struct backend_options o = options_of(k, precision, 0);
    struct sctd_error err = {.code = SCTD_OK};
    struct program *p = NULL;
    assert(program_new(&p, &k->make.graph, &o, &err) == 0);
    const size_t bytes = aside + p->weight_bytes + (size_t)chunk * (p->arena_bytes + sides);
    program_free(p);
    return bytes;
}

void device_kit_set_folder(const char *folder)
{
    static const char *const variables[] = {"SCTD_CUDA_CACHE_DIR", "CACHE_DIRECTORY",
                                            "XDG_CACHE_HOME", "HOME"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        assert(unsetenv(variables[i]) == 0); // NOLINT(concurrency-mt-unsafe): one thread
    }
    if (folder != NULL) {
        assert(setenv(variables[0], folder, 1) == 0); // NOLINT(concurrency-mt-unsafe)
    }
}

void device_kit_empty(const char *folder)
{
    DIR *d = folder == NULL ? NULL : opendir(folder);
    const int fd = d == NULL ? -1 : dirfd(d);
    const struct dirent *e = d == NULL ? NULL : readdir(d); // NOLINT(concurrency-mt-unsafe)
    while (e != NULL && fd >= 0) {
        const int gone = e->d_name[0] == '.' ? 0 : unlinkat(fd, e->d_name, 0);
        assert(gone == 0);
        e = readdir(d); // NOLINT(concurrency-mt-unsafe)
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

int device_kit_compile(struct backend_plan **ret_plan, const struct device_kit *k,
                       const struct backend *backend, enum backend_precision precision,
                       size_t memory_bytes, struct sctd_error *err)
{
    const struct backend_options o = options_of(k, precision, memory_bytes);
    return backend->compile(ret_plan, &k->make.graph, &o, err);
}

struct device_kit_result device_kit_result_new(const struct device_kit *k)
{
    return (struct device_kit_result){.y = take_floats(DEVICE_KIT_SLICES * k->pixels),
                                      .tap = take_floats(DEVICE_KIT_SLICES * k->tap_size)};
}

void device_kit_result_free(struct device_kit_result *r)
{
    free(r->y);
    free(r->tap);
}

int device_kit_run(const struct device_kit *k, struct backend_plan *plan, int32_t n,
                   struct device_kit_result *result, struct sctd_error *err)
{
    memset(result->y, 0, DEVICE_KIT_SLICES * k->pixels * sizeof *result->y);
    memset(result->tap, 0, DEVICE_KIT_SLICES * k->tap_size * sizeof *result->tap);
    const struct backend_io io = {
        .n = n, .x_cnn = k->x_cnn, .x_dino = k->x_dino, .y = result->y, .taps = &result->tap};
    return plan->backend->run(plan, &io, err);
}

struct device_kit_result device_kit_expect(const struct device_kit *k,
                                           enum backend_precision precision)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    struct device_kit_result r = device_kit_result_new(k);
    assert(device_kit_compile(&plan, k, &cuda_host_backend, precision, 0, &err) == 0);
    assert(device_kit_run(k, plan, DEVICE_KIT_SLICES, &r, &err) == 0);
    cuda_host_backend.free(plan);
    return r;
}

static bool are_near(const float *a, const float *b, size_t n, double bound)
{
    double error = 0.0;
    double norm = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)a[i] - (double)b[i];
        error += d * d;
        norm += (double)b[i] * (double)b[i];
    }
    return norm > 0.0 && sqrt(error / norm) <= bound; /* false for NaN */
}

bool device_kit_is_near(const struct device_kit *k, const struct device_kit_result *a,
                        const struct device_kit_result *b, int32_t n, double bound)
{
    return are_near(a->y, b->y, (size_t)n * k->pixels, bound) &&
           are_near(a->tap, b->tap, (size_t)n * k->tap_size, bound);
}

bool device_kit_is_same(const struct device_kit *k, const struct device_kit_result *a,
                        const struct device_kit_result *b, int32_t n)
{
    return memcmp(a->y, b->y, (size_t)n * k->pixels * sizeof *a->y) == 0 &&
           memcmp(a->tap, b->tap, (size_t)n * k->tap_size * sizeof *a->tap) == 0;
}
