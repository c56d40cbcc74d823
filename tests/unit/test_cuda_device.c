/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend's plans on a stand-in of CUDA: the host executor's numbers, whatever the order of streams. */
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
#include "engine/backend/cuda/device/cuda_backend.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

#include "tests/support/cuda_device_kit.h"
#include "tests/support/cuda_host.h"
#include "tests/support/fake_cuda/fake_cuda.h"

enum { SEEDS = 27, CHUNK = DEVICE_KIT_CHUNK };

static struct device_kit kit;

static struct backend_plan *compile(enum backend_precision precision)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    const size_t memory = device_kit_memory(&kit, precision, CHUNK);
    int r = device_kit_compile(&plan, &kit, &cuda_backend, precision, memory, &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(r == 0 && ((const struct cuda_plan *)plan)->chunk == CHUNK);
    return plan;
}

static void run(struct backend_plan *plan, int32_t n, struct device_kit_result *result)
{
    struct sctd_error err = {.code = SCTD_OK};
    int r = device_kit_run(&kit, plan, n, result, &err);
    if (r < 0) {
        (void)fprintf(stderr, "order %d, seed %llu: %s\n", (int)fake_cuda.order,
                      (unsigned long long)fake_cuda.seed, err.text);
    }
    assert(r == 0);
}

/* All batches around the chunk's size with one plan, near what is expected and the same bits as `first`. */
static void run_batches(uint64_t seed, enum backend_precision precision, double bound,
                        const struct device_kit_result *expected, struct device_kit_result *first)
{
    static const int32_t batches[] = {DEVICE_KIT_SLICES, 1,         CHUNK,
                                      CHUNK + 1,         CHUNK - 1, DEVICE_KIT_SLICES};
    struct device_kit_result got = device_kit_result_new(&kit);
    fake_cuda_reset();
    fake_cuda_draw(seed);
    struct backend_plan *plan = compile(precision);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        run(plan, batches[i], seed == 0 && i == 0 ? first : &got);
        const struct device_kit_result *now = seed == 0 && i == 0 ? first : &got;
        assert(device_kit_is_near(&kit, now, expected, batches[i], bound));
        assert(device_kit_is_same(&kit, now, first, batches[i]));
    }
    cuda_backend.free(plan);
    assert(fake_cuda_find_held() == NULL && fake_cuda_counts.frees_while_busy == 0);
    device_kit_result_free(&got);
}

static void results_are_the_host_executor_s_in_any_order(enum backend_precision precision,
                                                         double bound)
{
    struct device_kit_result expected = device_kit_expect(&kit, precision);
    struct device_kit_result first = device_kit_result_new(&kit);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        run_batches(seed, precision, bound, &expected, &first);
    }
    device_kit_result_free(&expected);
    device_kit_result_free(&first);
}

/* One map as both inputs goes up once. */
static void one_input_may_be_both(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *host = NULL;
    float *const x_dino = kit.x_dino;
    struct device_kit_result expected = device_kit_result_new(&kit);
    struct device_kit_result got = device_kit_result_new(&kit);
    kit.x_dino = kit.x_cnn;
    assert(device_kit_compile(&host, &kit, &cuda_host_backend, BACKEND_FP32, 0, &err) == 0);
    assert(device_kit_run(&kit, host, DEVICE_KIT_SLICES, &expected, &err) == 0);
    cuda_host_backend.free(host);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        fake_cuda_reset();
        fake_cuda_draw(seed);
        struct backend_plan *plan = compile(BACKEND_FP32);
        run(plan, DEVICE_KIT_SLICES, &got);
        assert(device_kit_is_near(&kit, &got, &expected, DEVICE_KIT_SLICES, 2e-6));
        cuda_backend.free(plan);
    }
    kit.x_dino = x_dino;
    device_kit_result_free(&expected);
    device_kit_result_free(&got);
}

/* Volumes */

struct volume {
    int64_t dim[3];
    size_t n;
    float *voxel, *hu;
};

static struct volume volume_new(const int64_t dim[3], uint64_t seed)
{
    struct volume v = {.dim = {dim[0], dim[1], dim[2]}, .n = (size_t)(dim[0] * dim[1] * dim[2])};
    struct sctd_rng rng = {seed};
    v.voxel = calloc(2 * v.n, sizeof *v.voxel);
    assert(v.voxel != NULL);
    v.hu = v.voxel + v.n;
    for (size_t i = 0; i < v.n; i++) {
        v.voxel[i] = 1000.0F * sctd_rng_uniform(&rng);
    }
    return v;
}

static void volume_free(struct volume *v)
{
    free(v->voxel);
}

/* Count by upper halves, then by the lower halves of some of them. */
static size_t *count(struct backend_plan *plan)
{
    static const uint32_t upper[] = {0xc47a, 0xc3f0, 0xc400, 0xbfff};
    enum { UPPERS = sizeof upper / sizeof upper[0] };
    struct sctd_error err = {.code = SCTD_OK};
    size_t *counted = calloc((1 + UPPERS) * (size_t)BACKEND_COUNTS, sizeof *counted);
    assert(counted != NULL);
    assert(plan->backend->volumes->count(plan, counted, NULL, 0, &err) == 0);
    assert(plan->backend->volumes->count(plan, counted + BACKEND_COUNTS, upper, UPPERS, &err) == 0);
    return counted;
}

/* Slices are told of in their order, when their HU are there. */
struct told {
    int64_t done, all;
    const float *hu;
    size_t slice;
};

static void tell(void *arg, int64_t n_done, int64_t n)
{
    struct told *t = arg;
    assert(n == t->all && n_done > t->done && n_done <= n);
    for (int64_t i = t->done; i < n_done; i++) {
        assert(t->hu[(size_t)i * t->slice] >= -1024.0F);
    }
    t->done = n_done;
}

static void run_volume(struct backend_plan *plan, struct volume *v, bool whole, bool counted)
{
    const struct backend_volumes *volumes = plan->backend->volumes;
    struct sctd_error err = {.code = SCTD_OK};
    struct told told = {.all = v->dim[0], .hu = v->hu, .slice = (size_t)(v->dim[1] * v->dim[2])};
    for (size_t i = 0; i < v->n; i++) {
        v->hu[i] = -1e9F; /* no HU */
    }
    const struct backend_volume wanted = {
        .dim = {v->dim[0], v->dim[1], v->dim[2]},
        .clip = {50.0, 900.0},
        .cnn = {{50.0, 900.0}, {-1.0, 1.0}},
        .dino = {{50.0, 900.0}, {0.0, 2.0}},
        .out = {{-1.0, 1.0}, {-1024.0, 2000.0}},
        .whole = whole,
        .hu = v->hu,
        .on_slices = tell,
        .arg = &told,
    };
    assert(volumes->put(plan, v->voxel, v->n, &err) == 0);
    if (counted) {
        size_t *c = count(plan);
        size_t all = 0;
        for (size_t i = 0; i < BACKEND_COUNTS; i++) {
            all += c[i];
        }
        assert(all == v->n);
        free(c);
    }
    int r = volumes->run(plan, &wanted, &err);
    if (r != 0) {
        (void)fprintf(stderr, "order %d: %s\n", (int)fake_cuda.order, err.text);
    }
    assert(r == 0 && told.done == v->dim[0]);
    volumes->drop(plan);
}

static const int64_t sizes[][3] = {{5, 20, 12}, {1, 16, 16}, {9, 31, 40}, {2, 7, 5}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* The host executor's HU of a volume. */
static struct volume expect_volume(size_t i, bool whole)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    struct volume v = volume_new(sizes[i], i);
    assert(device_kit_compile(&plan, &kit, &cuda_host_backend, BACKEND_FP32, 0, &err) == 0);
    run_volume(plan, &v, whole, false);
    cuda_host_backend.free(plan);
    return v;
}

/* Whole numbers may fall to the other side of a half. */
static void check_hu(const struct volume *got, const struct volume *expected, bool whole)
{
    for (size_t i = 0; i < got->n; i++) {
        const double apart = fabs((double)got->hu[i] - (double)expected->hu[i]);
        assert(apart <= (whole ? 1.0 : 0.05));
    }
}

static void keep_or_compare(struct volume *v, struct volume *first, bool keep)
{
    if (keep) {
        *first = *v;
        return;
    }
    assert(memcmp(v->hu, first->hu, v->n * sizeof *v->hu) == 0);
    volume_free(v);
}

/* All sizes with one plan, near what is expected and the same bits as `first`, which seed 0 makes. */
static void run_volumes(uint64_t seed, bool whole, const struct volume expected[SIZES],
                        struct volume first[SIZES])
{
    fake_cuda_reset();
    fake_cuda_draw(seed);
    struct backend_plan *plan = compile(BACKEND_FP32);
    for (size_t i = 0; i < SIZES; i++) {
        struct volume v = volume_new(sizes[i], i);
        run_volume(plan, &v, whole, i != 0);
        check_hu(&v, &expected[i], whole);
        keep_or_compare(&v, &first[i], seed == 0);
    }
    cuda_backend.free(plan);
    assert(fake_cuda_find_held() == NULL && fake_cuda_counts.frees_while_busy == 0);
}

static void volumes_are_the_host_executor_s_in_any_order(bool whole)
{
    struct volume expected[SIZES];
    struct volume first[SIZES];
    for (size_t i = 0; i < SIZES; i++) {
        expected[i] = expect_volume(i, whole);
    }
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        run_volumes(seed, whole, expected, first);
    }
    for (size_t i = 0; i < SIZES; i++) {
        volume_free(&expected[i]);
        volume_free(&first[i]);
    }
}

/* Both count what was put there, whole or by parts. */
static void a_volume_is_counted_as_on_the_host(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct sctd_error err = {.code = SCTD_OK};
        struct backend_plan *host = NULL;
        struct volume v = volume_new(sizes[2], seed);
        fake_cuda_reset();
        fake_cuda_draw(seed);
        struct backend_plan *plan = compile(BACKEND_FP32);
        assert(device_kit_compile(&host, &kit, &cuda_host_backend, BACKEND_FP32, 0, &err) == 0);
        assert(cuda_backend.volumes->put(plan, v.voxel, v.n, &err) == 0);
        assert(cuda_host_backend.volumes->put(host, v.voxel, v.n, &err) == 0);
        size_t *got = count(plan);
        size_t *expected = count(host);
        assert(memcmp(got, expected, (size_t)5 * BACKEND_COUNTS * sizeof *got) == 0);
        free(got);
        free(expected);
        cuda_backend.volumes->drop(plan);
        cuda_host_backend.volumes->drop(host);
        cuda_backend.free(plan);
        cuda_host_backend.free(host);
        volume_free(&v);
    }
}

int main(void)
{
    device_kit_set_folder(NULL);
    fake_cuda_reset();
    device_kit_init(&kit, DEVICE_KIT_WHOLE);
    results_are_the_host_executor_s_in_any_order(BACKEND_FP32, 2e-6);
    results_are_the_host_executor_s_in_any_order(BACKEND_FP16, 0x1p-9);
    results_are_the_host_executor_s_in_any_order(BACKEND_BF16, 0x1p-6);
    one_input_may_be_both();
    volumes_are_the_host_executor_s_in_any_order(false);
    volumes_are_the_host_executor_s_in_any_order(true);
    a_volume_is_counted_as_on_the_host();
    device_kit_fini(&kit);
    return 0;
}
