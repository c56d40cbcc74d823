/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan does where memory is short, calls fail, the device is lost, or another one is wanted: on a stand-in of CUDA. */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/cuda_backend.h"
#include "engine/backend/cuda/device/cuda_plan.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/base/error.h"

#include "tests/support/cuda_device_kit.h"
#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/temporary.h"

enum { SLICES = DEVICE_KIT_SLICES, CHUNK = DEVICE_KIT_CHUNK };

static const size_t mib = (size_t)1 << 20;

/* CUDA's numbers; what else they mean is fault.h's affair. */
enum {
    OUT_OF_MEMORY = 2,
    OLD_DRIVER = 35,
    ECC = 214,
    ILLEGAL_ADDRESS = 700,
    NOT_SUPPORTED = 801,
    UNKNOWN = 999
};

static struct device_kit kit;
static struct device_kit_result expected; /* fp32 */

static void begin(void)
{
    fake_cuda_reset();
    device_kit_set_folder(NULL);
    assert(unsetenv("SCTD_CUDA_DEVICE") == 0);     // NOLINT(concurrency-mt-unsafe): one thread
    assert(unsetenv("SCTD_CUDA_MEMORY_MIB") == 0); // NOLINT(concurrency-mt-unsafe)
}

static int compile(struct backend_plan **ret_plan, size_t memory, struct sctd_error *err)
{
    return device_kit_compile(ret_plan, &kit, &cuda_backend, BACKEND_FP32, memory, err);
}

static int32_t chunk_of(const struct backend_plan *plan)
{
    return ((const struct cuda_plan *)plan)->chunk;
}

/* The results are right, and another run's after it. */
static void check_run(struct backend_plan *plan)
{
    struct device_kit_result r = device_kit_result_new(&kit);
    struct sctd_error err = {.code = SCTD_OK};
    const int result = device_kit_run(&kit, plan, SLICES, &r, &err);
    if (result < 0) {
        (void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)fake_cuda.seed, err.text);
    }
    assert(result == 0 && device_kit_is_near(&kit, &r, &expected, SLICES, 2e-6));
    assert(device_kit_run(&kit, plan, 1, &r, &err) == 0);
    assert(device_kit_is_near(&kit, &r, &expected, 1, 2e-6));
    device_kit_result_free(&r);
}

/* Memory */

/* What a build in chunks of so many takes at most. */
static size_t measure_peak(int32_t chunk)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    begin();
    assert(compile(&plan, device_kit_memory(&kit, BACKEND_FP32, chunk), &err) == 0);
    assert(chunk_of(plan) == chunk);
    cuda_backend.free(plan);
    return fake_cuda_counts.peak_bytes[0];
}

/* Another process takes what was free when it was looked at, all but so much. */
static void leave(size_t bytes)
{
    fake_cuda.device[0].hidden_bytes = fake_cuda.device[0].total_bytes - bytes;
}

static void memory_that_runs_out_halves_the_chunk(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    for (int32_t chunk = SLICES; chunk > 0; chunk /= 2) {
        const size_t peak = measure_peak(chunk);
        begin();
        leave(peak);
        assert(compile(&plan, 0, &err) == 0 && chunk_of(plan) == chunk);
        check_run(plan);
        assert(fake_cuda_counts.peak_bytes[0] == peak);
        cuda_backend.free(plan);
        assert(fake_cuda_find_held() == NULL);
    }
    begin();
    leave(measure_peak(1) - 1);
    assert(compile(&plan, 0, &err) == SCTD_ENOMEM);
    assert(strstr(err.text, "the GPU's memory is full") != NULL);
    assert(fake_cuda_find_held() == NULL);
}

static void too_little_for_a_slice_says_how_much_is_needed(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    char text[128];
    const size_t needed = device_kit_memory(&kit, BACKEND_FP32, 1);
    begin();
    fake_cuda.device[0].total_bytes = 700 * mib;
    assert(compile(&plan, 0, &err) == SCTD_EINVAL);
    (void)snprintf(text, sizeof text, "a slice needs %zu MiB of the GPU's memory, of which %zu MiB",
                   needed / mib, (size_t)(700 * 9 / 10));
    assert(strstr(err.text, text) == err.text);
    assert(fake_cuda_counts.peak_bytes[0] == 0 && fake_cuda_find_held() == NULL);
    begin();
    assert(compile(&plan, needed - 1, &err) == SCTD_EINVAL && fake_cuda_find_held() == NULL);
    assert(compile(&plan, needed, &err) == 0 && chunk_of(plan) == 1);
    cuda_backend.free(plan);
}

/* What others hold now they may not hold later: that is no fault of what was asked for. */
static void what_others_hold_is_another_matter(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    struct cuda_buf others = {.data = NULL};
    begin();
    fake_cuda.device[0].total_bytes = device_kit_memory(&kit, BACKEND_FP32, 1) * 10 / 9 + 64 * mib;
    assert(cuda_buf_new(&others, 128 * mib, &err) == 0);
    assert(compile(&plan, 0, &err) == SCTD_ENOMEM && strstr(err.text, "left by others") != NULL);
    cuda_buf_free(&others);
    assert(compile(&plan, 0, &err) == 0);
    cuda_backend.free(plan);
    assert(fake_cuda_find_held() == NULL);
}

static void a_budget_is_kept(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    const size_t budget = device_kit_memory(&kit, BACKEND_FP32, CHUNK) / mib + 1;
    char text[32];
    begin();
    (void)snprintf(text, sizeof text, "%zu", budget);
    assert(setenv("SCTD_CUDA_MEMORY_MIB", text, 1) == 0); // NOLINT(concurrency-mt-unsafe)
    assert(compile(&plan, 0, &err) == 0);
    check_run(plan);
    const size_t room = budget * mib - cuda_plan_bytes((const struct cuda_plan *)plan);
    float *voxel = calloc(room + 1, 1);
    assert(voxel != NULL);
    const struct backend_volumes *v = cuda_backend.volumes;
    assert(v->put(plan, voxel, room / sizeof *voxel, &err) == 0);
    v->drop(plan);
    assert(v->put(plan, voxel, room / sizeof *voxel + 1, &err) == BACKEND_NO_ROOM);
    assert(fake_cuda_counts.peak_bytes[0] <= budget * mib);
    free(voxel);
    cuda_backend.free(plan);
    assert(setenv("SCTD_CUDA_MEMORY_MIB", "much", 1) == 0); // NOLINT(concurrency-mt-unsafe)
    assert(compile(&plan, 0, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "SCTD_CUDA_MEMORY_MIB=much") != NULL);
}

/* Volumes */

enum { VOXELS = 5 * 6 * 7 };

/* Put, count, run and drop; the first failure, or BACKEND_NO_ROOM. */
static int run_volume(struct backend_plan *plan, const struct backend_map *cnn, float hu[VOXELS],
                      struct sctd_error *err)
{
    const struct backend_volumes *volumes = cuda_backend.volumes;
    float voxel[VOXELS];
    for (int i = 0; i < VOXELS; i++) {
        voxel[i] = (float)(i * 37 % 101);
    }
    const struct backend_volume v = {.dim = {5, 6, 7},
                                     .clip = {0.0, 100.0},
                                     .cnn = *cnn,
                                     .dino = {{0.0, 100.0}, {0.0, 2.0}},
                                     .out = {{-1.0, 1.0}, {-1024.0, 2000.0}},
                                     .hu = hu};
    size_t *count = calloc(BACKEND_COUNTS, sizeof *count);
    assert(count != NULL);
    int r = volumes->put(plan, voxel, VOXELS, err);
    if (r == 0) {
        r = volumes->count(plan, count, NULL, 0, err);
        r = r == 0 ? volumes->run(plan, &v, err) : r;
        volumes->drop(plan);
    }
    free(count);
    return r;
}

static const struct backend_map usual = {{0.0, 100.0}, {-1.0, 1.0}};
static float expected_hu[VOXELS];

static bool is_expected(const float hu[VOXELS])
{
    double apart = 0.0;
    for (int i = 0; i < VOXELS; i++) {
        apart = fmax(apart, fabs((double)hu[i] - (double)expected_hu[i]));
    }
    return apart <= 0.05;
}

static void check_volume(struct backend_plan *plan)
{
    struct sctd_error err = {.code = SCTD_OK};
    float hu[VOXELS] = {0.0F};
    assert(run_volume(plan, &usual, hu, &err) == 0 && is_expected(hu));
}

static void a_volume_that_does_not_fit_leaves_the_plan_as_it_was(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    float hu[VOXELS];
    begin();
    assert(compile(&plan, 0, &err) == 0);
    const size_t held = fake_cuda_counts.device_bytes[0];
    leave(held);
    assert(run_volume(plan, &usual, hu, &err) == BACKEND_NO_ROOM);
    leave(held + VOXELS * sizeof(float)); /* for what goes up, and not for what comes down */
    assert(run_volume(plan, &usual, hu, &err) == BACKEND_NO_ROOM);
    assert(fake_cuda_counts.device_bytes[0] == held);
    leave(fake_cuda.device[0].total_bytes);
    check_volume(plan);
    check_run(plan);
    cuda_backend.free(plan);
    assert(fake_cuda_find_held() == NULL);
}

/* Values */

/* Run with n values of an input being another one. */
static int run_with(struct backend_plan *plan, float *value, size_t n, float instead,
                    struct sctd_error *err)
{
    struct device_kit_result r = device_kit_result_new(&kit);
    float before[64];
    assert(n <= sizeof before / sizeof before[0]);
    memcpy(before, value, n * sizeof *value);
    for (size_t i = 0; i < n; i++) {
        value[i] = instead;
    }
    const int result = device_kit_run(&kit, plan, SLICES, &r, err);
    memcpy(value, before, n * sizeof *value);
    device_kit_result_free(&r);
    return result;
}

static const char output[] = "the network's output is not finite";

static void expect_refusal(int result, const struct sctd_error *err, const char *text)
{
    assert(result == SCTD_EDATA && strcmp(err->text, text) == 0);
}

static void check_slice(struct backend_plan *plan, size_t slice)
{
    struct sctd_error err = {.code = SCTD_OK};
    float *x = &kit.x_cnn[slice * kit.pixels];
    float *last = &kit.x_dino[(slice + 1) * kit.pixels - 1];
    static const char input[] = "an input value is not finite";
    expect_refusal(run_with(plan, x, 1, NAN, &err), &err, input);
    expect_refusal(run_with(plan, x, 1, -INFINITY, &err), &err, input);
    expect_refusal(run_with(plan, last, 1, NAN, &err), &err, input);
    expect_refusal(run_with(plan, last, 1, INFINITY, &err), &err, input);
    expect_refusal(run_with(plan, x, kit.pixels, 3e38F, &err), &err, output);
    check_run(plan);
}

static void what_is_not_finite_is_refused(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    begin();
    assert(compile(&plan, device_kit_memory(&kit, BACKEND_FP32, CHUNK), &err) == 0);
    for (size_t slice = 0; slice < SLICES; slice++) {
        check_slice(plan, slice);
    }
    float hu[VOXELS];
    const struct backend_map much = {{0.0, 100.0}, {0.0, 3e38}};
    expect_refusal(run_volume(plan, &much, hu, &err), &err, output);
    check_volume(plan);
    cuda_backend.free(plan);
}

/* Failing calls */

struct trial {
    int cuda, cudnn, cublas;
    bool lost;          /* nothing works after it */
    const char *folder; /* of the plan cache */
    size_t memory;
};

static int run_slices(struct backend_plan *plan, struct sctd_error *err)
{
    struct device_kit_result r = device_kit_result_new(&kit);
    const int result = device_kit_run(&kit, plan, CHUNK + 1, &r, err);
    assert(result < 0 || device_kit_is_near(&kit, &r, &expected, CHUNK + 1, 2e-6));
    device_kit_result_free(&r);
    return result;
}

static int run_hu(struct backend_plan *plan, struct sctd_error *err)
{
    float hu[VOXELS] = {0.0F};
    const int result = run_volume(plan, &usual, hu, err);
    assert(result != 0 || is_expected(hu));
    return result;
}

/* One life of a plan.  What it gives is right, or it fails with a reason. */
static int live(const struct trial *t, struct sctd_error *err)
{
    struct backend_plan *plan = NULL;
    int result = compile(&plan, t->memory, err);
    result = result == 0 ? run_slices(plan, err) : result;
    result = result == 0 ? run_hu(plan, err) : result;
    cuda_backend.free(plan);
    return result;
}

static void check_error(const struct trial *t, int result, const struct sctd_error *err)
{
    assert(result == (int)err->code && strchr(err->text, ':') != NULL);
    if (t->lost) {
        assert(result == SCTD_EDEVICE);
        assert(strstr(err->text, "cudaErrorIllegalAddress") != NULL ||
               strstr(err->text, "cudaErrorECCUncorrectable") != NULL ||
               strstr(err->text, "_STATUS_EXECUTION_FAILED") != NULL);
    }
}

/* A life with a fault that is set; nothing is held after it.  false: the fault did not come. */
static bool survive(const struct trial *t, bool *ret_failed)
{
    struct sctd_error err = {.code = SCTD_OK};
    const int result = live(t, &err);
    const char *held = fake_cuda_find_held();
    if (held != NULL) {
        (void)fprintf(stderr, "seed %llu, %d: %s; held: %s\n", (unsigned long long)fake_cuda.seed,
                      t->cuda, err.text, held);
    }
    assert(held == NULL);
    *ret_failed = result < 0;
    if (result < 0) {
        check_error(t, result, &err);
    }
    return fake_cuda_counts.fired;
}

static void begin_trial(const struct trial *t, long nth)
{
    begin();
    fake_cuda_draw((uint64_t)nth);
    device_kit_set_folder(t->folder);
    device_kit_empty(t->folder);
}

/* Fail each call that a life makes in turn, `step` apart; returns how many it makes. */
static long fail_each_call(const struct trial *t, long step)
{
    long failures = 0;
    bool fired = true;
    bool failed = false;
    long nth = 0;
    for (; fired; nth += step) {
        begin_trial(t, nth);
        fake_cuda.fault = (struct fake_cuda_fault){
            .nth = nth, .cuda = t->cuda, .cudnn = t->cudnn, .cublas = t->cublas};
        fired = survive(t, &failed);
        failures += failed ? 1 : 0;
    }
    assert(!failed && failures > 0);
    return nth - step;
}

static size_t memory;

static void each_call_that_fails_is_an_error_or_does_no_harm(void)
{
    const struct {
        struct trial trial;
        long step;
    } trials[] = {
        {{OUT_OF_MEMORY, 4003, 3, false, NULL, memory}, 1},
        {{NOT_SUPPORTED, 3000, 15, false, NULL, memory}, 3},
        {{UNKNOWN, 4000, 14, false, NULL, memory}, 3},
        {{ILLEGAL_ADDRESS, 5000, 13, true, NULL, memory}, 2},
        {{ECC, 5000, 13, true, NULL, memory}, 5},
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        const long calls = fail_each_call(&trials[i].trial, trials[i].step);
        assert(calls > 500);
    }
}

/* The same where engines are measured and kept, which makes many more calls. */
static void each_call_that_fails_while_measuring_does_no_harm(void)
{
    enum { STEP = 29 };
    char folder[] = TEMPORARY("sctd-cuda-faults");
    assert(mkdtemp(folder) != NULL);
    const struct trial out = {OUT_OF_MEMORY, 4003, 3, false, folder, memory};
    const struct trial lost = {ILLEGAL_ADDRESS, 5000, 13, true, folder, memory};
    (void)fail_each_call(&out, STEP);
    (void)fail_each_call(&lost, STEP);
    device_kit_empty(folder);
    assert(rmdir(folder) == 0);
}

/* The device is lost while it works: the next call that waits says so, with the status's name. */
static void each_piece_of_work_that_fails_is_an_error(void)
{
    enum { STEP = 3 };
    const struct trial t = {ILLEGAL_ADDRESS, 0, 0, true, NULL, memory};
    bool fired = true;
    bool failed = false;
    long nth = 0;
    for (; fired; nth += STEP) {
        begin_trial(&t, nth);
        fake_cuda.nth_work = nth;
        fake_cuda.work = ILLEGAL_ADDRESS;
        fired = survive(&t, &failed);
        assert(failed == fired);
    }
    assert(nth > 50);
}

/* A call that fails without the device being lost fails one run, and not the plan. */
static void a_run_that_fails_leaves_the_plan_whole(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    struct device_kit_result r = device_kit_result_new(&kit);
    bool fired = true;
    begin();
    assert(compile(&plan, memory, &err) == 0);
    for (long nth = 0; fired; nth++) {
        fake_cuda_draw((uint64_t)nth);
        fake_cuda.fault = (struct fake_cuda_fault){.nth = nth, .cuda = NOT_SUPPORTED};
        fake_cuda_counts.fired = false;
        const int result = device_kit_run(&kit, plan, SLICES, &r, &err);
        fired = fake_cuda_counts.fired;
        assert(fired || nth > 50);
        assert((result < 0) == fired);
        fake_cuda.fault.nth = FAKE_CUDA_NEVER;
        check_run(plan);
    }
    fired = true;
    for (long nth = 0; fired; nth++) {
        float hu[VOXELS];
        fake_cuda_draw((uint64_t)nth);
        fake_cuda.fault = (struct fake_cuda_fault){.nth = nth, .cuda = NOT_SUPPORTED};
        fake_cuda_counts.fired = false;
        const int result = run_volume(plan, &usual, hu, &err);
        fired = fake_cuda_counts.fired;
        assert(result == 0 || (fired && (result < 0 || result == BACKEND_NO_ROOM)));
        fake_cuda.fault.nth = FAKE_CUDA_NEVER;
        check_volume(plan);
    }
    cuda_backend.free(plan);
    device_kit_result_free(&r);
    assert(fake_cuda_find_held() == NULL);
}

/* Devices */

/* One that is too old, one of Ampere, one of Hopper. */
static void begin_three(void)
{
    begin();
    fake_cuda.n_devices = 3;
    fake_cuda.device[0].name = "Old GPU";
    fake_cuda.device[0].major = 7;
    fake_cuda.device[0].minor = 5;
    fake_cuda.device[1].name = "Second GPU";
    fake_cuda.device[1].major = 8;
    fake_cuda.device[1].minor = 6;
    fake_cuda.device[2].name = "Third GPU";
}

static int compile_as(struct backend_plan **ret_plan, const struct backend_device *device,
                      struct sctd_error *err)
{
    const struct backend_options o = {.taps = &kit.tap,
                                      .n_taps = 1,
                                      .precision = BACKEND_FP32,
                                      .max_batch = SLICES,
                                      .device = *device};
    return cuda_backend.compile(ret_plan, &kit.make.graph, &o, err);
}

static int compile_on(struct backend_plan **ret_plan, int32_t number, struct sctd_error *err)
{
    const struct backend_device device = {.number = number};
    return compile_as(ret_plan, &device, err);
}

/* The device that a plan is on; all its memory is there, and no other has been touched. */
static void check_as(const struct backend_device *wanted, int device, const char *name)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    struct backend_stats stats;
    assert(cuda_backend_probe(wanted, &err) == 0 && compile_as(&plan, wanted, &err) == 0);
    cuda_backend.take_stats(plan, &stats);
    assert(strcmp(stats.device, name) == 0 && stats.device_number == device);
    for (int i = 0; i < FAKE_CUDA_DEVICES; i++) {
        assert((fake_cuda_counts.device_bytes[i] > 0) == (i == device));
        assert(fake_cuda_counts.contexts[i] == (i == device ? 1 : 0));
    }
    check_run(plan);
    cuda_backend.free(plan);
}

static void check_on(int32_t number, int device, const char *name)
{
    const struct backend_device wanted = {.number = number};
    check_as(&wanted, device, name);
}

static void check_turn(int32_t turn, int32_t turns, int device)
{
    static const char *const names[] = {"Old GPU", "Second GPU", "Third GPU"};
    const struct backend_device wanted = {
        .number = BACKEND_ANY_DEVICE, .turn = turn, .turns = turns};
    check_as(&wanted, device, names[device]);
}

static void set_device(const char *number)
{
    assert(setenv("SCTD_CUDA_DEVICE", number, 1) == 0); // NOLINT(concurrency-mt-unsafe)
}

static void the_device_that_is_asked_for_is_taken(void)
{
    begin_three();
    check_on(BACKEND_ANY_DEVICE, 1, "Second GPU");
    begin_three();
    check_on(1, 1, "Second GPU");
    begin_three();
    check_on(2, 2, "Third GPU");
    begin_three();
    set_device("2");
    check_on(BACKEND_ANY_DEVICE, 2, "Third GPU");
    begin_three();
    set_device("2");
    check_on(1, 1, "Second GPU");
    begin_three();
    fake_cuda.device[1].busy = true;
    check_on(BACKEND_ANY_DEVICE, 2, "Third GPU");
}

/* Of those that are new enough, and no other is touched. */
static void plans_go_round_the_devices(void)
{
    static const int of_turn[5] = {1, 2, 1, 2, 1};
    for (int32_t turn = 0; turn < 5; turn++) {
        begin_three();
        check_turn(turn, 5, of_turn[turn]);
    }
    begin_three();
    set_device("2"); /* for all of them */
    check_turn(0, 2, 2);
    begin_three();
    fake_cuda.device[1].busy = true;
    check_turn(2, 3, 2);
    begin_three();
    fake_cuda.device[2].busy = true;
    check_turn(1, 3, 1);
}

static size_t budget_as(const struct backend_device *wanted)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    begin_three();
    assert(compile_as(&plan, wanted, &err) == 0);
    const size_t budget = ((const struct cuda_plan *)plan)->budget_bytes;
    cuda_backend.free(plan);
    return budget;
}

static void plans_on_one_device_have_a_part_of_its_memory_each(void)
{
    const size_t all = 8192 * mib - 8192 * mib / 10;
    struct backend_device wanted = {.number = BACKEND_ANY_DEVICE};
    assert(budget_as(&wanted) == 0);
    wanted = (struct backend_device){.number = BACKEND_ANY_DEVICE, .turn = 2, .turns = 3};
    assert(budget_as(&wanted) == all / 2);
    wanted.turn = 1; /* has the other device for itself */
    assert(budget_as(&wanted) == 0);
    wanted.number = 2;
    assert(budget_as(&wanted) == all / 3);
}

/* Whoever comes first leaves enough for the other, and both run in the same chunks. */
static void sharers_run_in_the_same_chunks(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan[3] = {NULL, NULL, NULL};
    begin();
    fake_cuda.device[0].total_bytes =
        2 * device_kit_memory(&kit, BACKEND_FP32, CHUNK) / 9 * 10 + 64; /* for what is rounded */
    for (int32_t turn = 0; turn < 2; turn++) {
        const struct backend_device sharer = {
            .number = BACKEND_ANY_DEVICE, .turn = turn, .turns = 2};
        assert(compile_as(&plan[turn], &sharer, &err) == 0);
        assert(chunk_of(plan[turn]) == CHUNK);
    }
    check_run(plan[0]);
    check_run(plan[1]);
    cuda_backend.free(plan[0]);
    cuda_backend.free(plan[1]);
    assert(compile_on(&plan[2], BACKEND_ANY_DEVICE, &err) == 0 && chunk_of(plan[2]) > CHUNK);
    cuda_backend.free(plan[2]);
}

static void check_refused(int32_t number, int code, const char *part)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    const struct backend_device wanted = {.number = number};
    const int probed = cuda_backend_probe(&wanted, &err);
    if (probed != code || strstr(err.text, part) == NULL) {
        (void)fprintf(stderr, "%s, not %s\n", err.text, part);
    }
    assert(probed == code && strstr(err.text, part) != NULL);
    err.text[0] = '\0';
    assert(compile_on(&plan, number, &err) == code && strstr(err.text, part) != NULL);
    for (int i = 0; i < FAKE_CUDA_DEVICES; i++) {
        assert(fake_cuda_counts.contexts[i] == 0);
    }
}

static void a_device_that_cannot_be_taken_is_refused(void)
{
    begin_three();
    check_refused(0, SCTD_EINVAL, "(Old GPU) has compute capability 7.5: 8.0 is the least");
    check_refused(3, SCTD_EINVAL, "cuda:3: there are 3 GPUs");
    check_refused(-2, SCTD_EINVAL, "cuda:-2: there are 3 GPUs");
    set_device("3");
    check_refused(BACKEND_ANY_DEVICE, SCTD_EINVAL, "SCTD_CUDA_DEVICE=3: there are 3 GPUs");
    set_device("first");
    check_refused(BACKEND_ANY_DEVICE, SCTD_EINVAL, "SCTD_CUDA_DEVICE=first");
    begin_three();
    fake_cuda.n_devices = 1;
    check_refused(BACKEND_ANY_DEVICE, SCTD_EINVAL, "8.0 is the least");
    begin();
    fake_cuda.device[0].busy = true;
    check_refused(BACKEND_ANY_DEVICE, SCTD_EDEVICE, "another process has the GPU for itself");
    begin();
    fake_cuda.n_devices = 0;
    check_refused(BACKEND_ANY_DEVICE, SCTD_EDEVICE, "no GPU is visible");
    begin();
    const struct backend_device any = {.number = BACKEND_ANY_DEVICE};
    fake_cuda.fault = (struct fake_cuda_fault){"cudaGetDeviceCount", 0, OLD_DRIVER, 0, 0};
    struct sctd_error err = {.code = SCTD_OK};
    assert(cuda_backend_probe(&any, &err) == SCTD_EDEVICE);
    assert(strstr(err.text, "cudaErrorInsufficientDriver") != NULL);
    assert(cuda_backend_probe(&any, &err) == 0);
}

/* Each goes back to its own device, whatever the thread has used in between. */
static void two_plans_on_two_devices_do_not_disturb_each_other(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan[2] = {NULL, NULL};
    begin_three();
    assert(compile_on(&plan[0], 1, &err) == 0 && compile_on(&plan[1], 2, &err) == 0);
    for (int i = 0; i < 4; i++) {
        check_run(plan[i % 2]);
        check_volume(plan[(i + 1) % 2]);
    }
    cuda_backend.free(plan[0]);
    check_run(plan[1]);
    assert(fake_cuda_counts.device_bytes[1] == 0 && fake_cuda_counts.device_bytes[2] > 0);
    cuda_backend.free(plan[1]);
    assert(fake_cuda_find_held() == NULL);
}

/* The peak */

static void the_peak_is_a_product_s_rate(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    double gflops = 0.0;
    begin();
    fake_cuda.idle = true;
    fake_cuda.algorithm[0].ms = 2.0F;
    assert(cuda_backend.matrix_peak(&gflops, BACKEND_FP16, 1, &err) == 0);
    const double side = 8192.0;
    assert(fabs(gflops / (2e-9 * side * side * side / 2e-3) - 1.0) < 1e-3);
    assert(fake_cuda_find_held() == NULL);
    for (long nth = 0; nth < 24; nth++) {
        begin();
        fake_cuda.idle = true;
        fake_cuda.fault = (struct fake_cuda_fault){NULL, nth, OUT_OF_MEMORY, 4003, 3};
        const int r = cuda_backend.matrix_peak(&gflops, BACKEND_FP16, 1, &err);
        assert(fake_cuda_counts.fired && (r == SCTD_ENOMEM || r == 0));
        assert(fake_cuda_find_held() == NULL);
    }
}

int main(void)
{
    fake_cuda_reset();
    device_kit_init(&kit, DEVICE_KIT_SMALL);
    expected = device_kit_expect(&kit, BACKEND_FP32);
    memory = device_kit_memory(&kit, BACKEND_FP32, CHUNK);
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    begin();
    assert(compile(&plan, 0, &err) == 0 && run_volume(plan, &usual, expected_hu, &err) == 0);
    cuda_backend.free(plan);
    memory_that_runs_out_halves_the_chunk();
    too_little_for_a_slice_says_how_much_is_needed();
    what_others_hold_is_another_matter();
    a_budget_is_kept();
    a_volume_that_does_not_fit_leaves_the_plan_as_it_was();
    what_is_not_finite_is_refused();
    each_call_that_fails_is_an_error_or_does_no_harm();
    each_call_that_fails_while_measuring_does_no_harm();
    each_piece_of_work_that_fails_is_an_error();
    a_run_that_fails_leaves_the_plan_whole();
    the_device_that_is_asked_for_is_taken();
    plans_go_round_the_devices();
    plans_on_one_device_have_a_part_of_its_memory_each();
    sharers_run_in_the_same_chunks();
    a_device_that_cannot_be_taken_is_refused();
    two_plans_on_two_devices_do_not_disturb_each_other();
    the_peak_is_a_product_s_rate();
    device_kit_result_free(&expected);
    device_kit_fini(&kit);
    return 0;
}
