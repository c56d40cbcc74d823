/* SPDX-License-Identifier: Apache-2.0 */
/* Which engines and algorithms a plan takes, and that the plan cache keeps them, on a stand-in of CUDA. */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/cuda_backend.h"
#include "engine/base/error.h"

#include "tests/support/cuda_device_kit.h"
#include "tests/support/fake_cuda/fake_cuda.h"
#include "tests/support/temporary.h"

enum { PATH = 512, CHUNK = DEVICE_KIT_CHUNK };

/* Of the stand-in's tables. */
enum { FFT, WINOGRAD, ANY_ORDER, CORES, QUICK_CORES, NEVER, SLOW, EXACT, BARE, AT_LAST };
enum { FIRST, SPLIT_IN_FP16, SPLIT, REFUSED };

static struct device_kit small, wide;
static char folder[] = TEMPORARY("sctd-cuda-choice");

/* A file of the folder; false: there is none. */
static bool find_cache(char ret_path[PATH])
{
    bool found = false;
    DIR *d = opendir(folder);
    assert(d != NULL);
    for (;;) {
        const struct dirent *e = readdir(d); // NOLINT(concurrency-mt-unsafe): one thread
        if (e == NULL) {
            break;
        }
        if (e->d_name[0] != '.') {
            (void)snprintf(ret_path, PATH, "%s/%.256s", folder, e->d_name);
            found = true;
        }
    }
    (void)closedir(d);
    return found;
}

/* Everything as at first, with an empty cache. */
static void begin(void)
{
    fake_cuda_reset();
    device_kit_set_folder(folder);
    device_kit_empty(folder);
}

/* The counts from here on are those of what follows. */
static void count_anew(void)
{
    fake_cuda_counts.heuristics = 0;
    fake_cuda_counts.timings = 0;
    fake_cuda_counts.plans = 0;
    fake_cuda_counts.plans_of_text = 0;
    fake_cuda_counts.plain_runs = 0;
    fake_cuda_counts.conv64_runs = 0;
    memset(fake_cuda_counts.engine_runs, 0, sizeof fake_cuda_counts.engine_runs);
    memset(fake_cuda_counts.algorithm_runs, 0, sizeof fake_cuda_counts.algorithm_runs);
}

struct start {
    struct device_kit_result result;
    long heuristics, timings, plans_of_text; /* of the build */
    char remark[96];
};

/* Build a plan, run it, and leave the counts of the run alone. */
static struct start start_kit(const struct device_kit *k, enum backend_precision precision)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    struct backend_stats stats;
    count_anew();
    int r = device_kit_compile(&plan, k, &cuda_backend, precision,
                               device_kit_memory(k, precision, CHUNK), &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(r == 0);
    struct start s = {.result = device_kit_result_new(k),
                      .heuristics = fake_cuda_counts.heuristics,
                      .timings = fake_cuda_counts.timings,
                      .plans_of_text = fake_cuda_counts.plans_of_text};
    count_anew();
    assert(device_kit_run(k, plan, DEVICE_KIT_SLICES, &s.result, &err) == 0);
    cuda_backend.take_stats(plan, &stats);
    static const char *const names[] = {[BACKEND_FP32] = "fp32",
                                        [BACKEND_TF32] = "tf32",
                                        [BACKEND_FP16] = "fp16",
                                        [BACKEND_BF16] = "bf16"};
    assert(strcmp(stats.arithmetic, names[precision]) == 0);
    (void)snprintf(s.remark, sizeof s.remark, "%s", stats.remark == NULL ? "" : stats.remark);
    cuda_backend.free(plan);
    assert(fake_cuda_find_held() == NULL);
    return s;
}

static void end(struct start *s)
{
    device_kit_result_free(&s->result);
}

/* The only one that ran; -1: none. */
static int find_run(const long *runs, int n)
{
    int found = -1;
    int different = 0;
    for (int i = 0; i < n; i++) {
        found = runs[i] > 0 ? i : found;
        different += runs[i] > 0 ? 1 : 0;
    }
    assert(different <= 1);
    return found;
}

/* The engine that computed; -1: our own kernel. */
static int ran(void)
{
    return find_run(fake_cuda_counts.engine_runs, FAKE_CUDA_ENGINES);
}

static int multiplied(void)
{
    return find_run(fake_cuda_counts.algorithm_runs, FAKE_CUDA_ALGORITHMS);
}

static void check_near(const struct device_kit *k, enum backend_precision precision,
                       const struct start *s)
{
    struct device_kit_result expected = device_kit_expect(k, precision);
    const double bound = precision == BACKEND_FP32 ? 2e-6 : 0x1p-9;
    assert(device_kit_is_near(k, &s->result, &expected, DEVICE_KIT_SLICES, bound));
    device_kit_result_free(&expected);
}

/* A start after which the engine and the algorithm are these. */
static void expect_choice(enum backend_precision precision, int engine, int algorithm)
{
    struct start s = start_kit(&small, precision);
    if (ran() != engine || multiplied() != algorithm) {
        (void)fprintf(stderr, "engine %d, algorithm %d\n", ran(), multiplied());
    }
    assert(ran() == engine && multiplied() == algorithm);
    check_near(&small, precision, &s);
    end(&s);
}

/* Choosing */

static void the_fastest_that_is_allowed_is_taken(void)
{
    begin();
    expect_choice(BACKEND_FP16, QUICK_CORES, SPLIT);
    begin();
    expect_choice(BACKEND_FP32, EXACT, SPLIT);
    begin();
    fake_cuda.engine[SLOW].ms = 0.01F;
    fake_cuda.algorithm[FIRST].ms = 0.02F;
    expect_choice(BACKEND_FP32, SLOW, FIRST);
    begin();
    fake_cuda.engine[SLOW].ms = 0.01F;
    expect_choice(BACKEND_FP16, SLOW, SPLIT);
}

static void what_is_not_allowed_is_not_even_run(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    begin();
    count_anew();
    assert(device_kit_compile(&plan, &small, &cuda_backend, BACKEND_FP32, 0, &err) == 0);
    const long *runs = fake_cuda_counts.engine_runs;
    assert(runs[FFT] == 0 && runs[WINOGRAD] == 0 && runs[ANY_ORDER] == 0 && runs[CORES] == 0 &&
           runs[QUICK_CORES] == 0 && runs[NEVER] == 0);
    assert(runs[SLOW] > 0 && runs[EXACT] > 0 && runs[BARE] > 0);
    assert(fake_cuda_counts.algorithm_runs[SPLIT_IN_FP16] == 0);
    cuda_backend.free(plan);
}

/* In f32 nothing is rounded between a bare convolution and our kernel behind it. */
static void a_bare_convolution_is_taken_where_it_is_faster_and_as_exact(void)
{
    begin();
    fake_cuda.engine[BARE].ms = 0.05F;
    expect_choice(BACKEND_FP32, BARE, SPLIT);
    begin();
    fake_cuda.engine[BARE].ms = 0.01F;
    expect_choice(BACKEND_FP16, QUICK_CORES, SPLIT);
}

static void an_engine_that_fails_is_not_taken(void)
{
    begin();
    fake_cuda.engine[QUICK_CORES].fails = true;
    fake_cuda.algorithm[SPLIT].fails = true;
    expect_choice(BACKEND_FP16, CORES, FIRST);
    begin();
    fake_cuda.engine[QUICK_CORES].workspace = (size_t)1 << 30;
    expect_choice(BACKEND_FP16, CORES, SPLIT);
}

static void where_nothing_else_can_the_last_resort_is_taken(void)
{
    begin();
    for (int i = 0; i < AT_LAST; i++) {
        fake_cuda.engine[i].refuses = true;
    }
    expect_choice(BACKEND_FP16, AT_LAST, SPLIT);
}

static void without_a_folder_nothing_is_measured(void)
{
    begin();
    device_kit_set_folder(NULL);
    expect_choice(BACKEND_FP16, CORES, FIRST);
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(s.timings == 0);
    end(&s);
    expect_choice(BACKEND_FP32, SLOW, FIRST);
}

static void our_kernel_for_64_channels_is_taken_where_it_is_faster(void)
{
    begin();
    fake_cuda.conv64_ms = 0.05F;
    struct start s = start_kit(&wide, BACKEND_FP16);
    assert(ran() == -1 && fake_cuda_counts.conv64_runs == DEVICE_KIT_SLICES / CHUNK);
    check_near(&wide, BACKEND_FP16, &s);
    struct start again = start_kit(&wide, BACKEND_FP16);
    assert(again.timings == 0 && again.heuristics == 0 && fake_cuda_counts.conv64_runs > 0);
    assert(device_kit_is_same(&wide, &s.result, &again.result, DEVICE_KIT_SLICES));
    end(&s);
    end(&again);
    begin();
    s = start_kit(&wide, BACKEND_FP16);
    assert(ran() == QUICK_CORES && fake_cuda_counts.conv64_runs == 0);
    end(&s);
    begin();
    fake_cuda.conv64_ms = 0.05F;
    fake_cuda.device[0].major = 8;
    s = start_kit(&wide, BACKEND_FP16);
    assert(ran() == QUICK_CORES && fake_cuda_counts.conv64_runs == 0);
    end(&s);
}

/* f32 that an engine rounds to fp16 overflows. */
static void an_engine_that_converts_its_inputs_is_for_16_bits(void)
{
    begin();
    fake_cuda.engine[FFT].note[0] = 1; /* CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS */
    fake_cuda.engine[FFT].ms = 0.001F;
    expect_choice(BACKEND_FP16, FFT, SPLIT);
    struct start s = start_kit(&small, BACKEND_TF32);
    assert(ran() == QUICK_CORES);
    end(&s);
}

/* Where nothing is measured, too. */
static void a_first_guess_that_will_not_run_is_passed_over(void)
{
    begin();
    device_kit_set_folder(NULL);
    fake_cuda.algorithm[FIRST].refuses = true;
    expect_choice(BACKEND_FP16, CORES, SPLIT);
    fake_cuda.n_algorithms = 1;
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    assert(device_kit_compile(&plan, &small, &cuda_backend, BACKEND_FP16, 0, &err) == SCTD_EINVAL);
    assert(fake_cuda_find_held() == NULL);
}

/* cuDNN or cuBLASLt has no memory: the chunk is halved, and no layer is left with a slow choice. */
static void memory_that_runs_out_while_choosing_is_no_reason_to_choose_another(void)
{
    static const char *const functions[] = {"cudnnBackendExecute", "cublasLtMatmul"};
    for (size_t i = 0; i < 2; i++) {
        begin();
        fake_cuda.fault = (struct fake_cuda_fault){functions[i], 7, 2, 4004, 3};
        struct start s = start_kit(&small, BACKEND_FP16);
        assert(fake_cuda_counts.fired && ran() == QUICK_CORES && multiplied() == SPLIT);
        assert(fake_cuda_counts.engine_runs[QUICK_CORES] == DEVICE_KIT_SLICES);
        assert(s.remark[0] == '\0');
        end(&s);
    }
}

/* What was measured before the device was lost need not be measured again. */
static void a_start_goes_on_where_the_last_one_ended(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct backend_plan *plan = NULL;
    begin();
    struct start whole = start_kit(&small, BACKEND_FP16);
    begin();
    fake_cuda.fault = (struct fake_cuda_fault){"cublasLtMatmul", 0, 700, 5000, 13};
    assert(device_kit_compile(&plan, &small, &cuda_backend, BACKEND_FP16,
                              device_kit_memory(&small, BACKEND_FP16, CHUNK),
                              &err) == SCTD_EDEVICE);
    fake_cuda_reset();
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(s.timings > 0 && s.timings < whole.timings && s.plans_of_text == 1);
    assert(device_kit_is_same(&small, &s.result, &whole.result, DEVICE_KIT_SLICES));
    end(&s);
    end(&whole);
}

/* What cuDNN has not */

static void what_cudnn_cannot_fuse_is_finished_by_our_kernel(void)
{
    begin();
    fake_cuda.refuse_fused = true;
    expect_choice(BACKEND_FP32, EXACT, SPLIT);
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(ran() == QUICK_CORES && strcmp(s.remark, "") == 0);
    end(&s);
}

static void check_plain(enum backend_precision precision)
{
    struct start s = start_kit(&small, precision);
    assert(ran() == -1 && fake_cuda_counts.plain_runs == DEVICE_KIT_SLICES / CHUNK);
    assert(strstr(s.remark, "1 convolutions without cuDNN") == s.remark);
    check_near(&small, precision, &s);
    end(&s);
}

static void what_cudnn_cannot_do_is_done_by_the_plain_kernel(void)
{
    begin();
    fake_cuda.refuse_graphs = true;
    check_plain(BACKEND_FP16);
    begin();
    fake_cuda.n_engines = 0;
    check_plain(BACKEND_FP32);
    begin();
    fake_cuda.n_engines = QUICK_CORES + 1; /* none is exact enough */
    check_plain(BACKEND_FP32);
    /* The next start looks again. */
    fake_cuda.n_engines = EXACT + 1;
    expect_choice(BACKEND_FP32, EXACT, SPLIT);
}

static void a_stage_that_cannot_be_captured_goes_without_a_graph(void)
{
    begin();
    struct start whole = start_kit(&small, BACKEND_FP16);
    assert(strcmp(whole.remark, "") == 0);
    fake_cuda.engine[QUICK_CORES].uncaptured = true;
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(ran() == QUICK_CORES);
    assert(strstr(s.remark, ", 1 stages without a CUDA graph") != NULL);
    assert(device_kit_is_same(&small, &s.result, &whole.result, DEVICE_KIT_SLICES));
    end(&s);
    end(&whole);
}

/* At each start, although what was measured is kept. */
static void a_gpu_that_computes_wrong_is_refused(void)
{
    struct backend_plan *plan = NULL;
    begin();
    fake_cuda.engine[QUICK_CORES].wrong = true;
    for (int start = 0; start < 3; start++) {
        struct sctd_error err = {.code = SCTD_OK};
        count_anew();
        assert(device_kit_compile(&plan, &small, &cuda_backend, BACKEND_FP16, 0, &err) ==
               SCTD_EDEVICE);
        assert(strstr(err.text, "computes wrong") != NULL);
        assert((fake_cuda_counts.timings > 0) == (start == 0));
        assert(fake_cuda_find_held() == NULL);
    }
    fake_cuda.engine[QUICK_CORES].wrong = false;
    assert(device_kit_compile(&plan, &small, &cuda_backend, BACKEND_FP16, 0,
                              &(struct sctd_error){.code = SCTD_OK}) == 0);
    cuda_backend.free(plan);
}

/* The cache */

static void check_second_start(const struct device_kit *k, enum backend_precision precision)
{
    struct start first = start_kit(k, precision);
    const int engine = ran();
    assert(first.timings > 0 && first.heuristics > 0 && first.plans_of_text == 0);
    /* Measured today others would be faster. */
    fake_cuda.engine[CORES].ms = 0.01F;
    fake_cuda.engine[SLOW].ms = 0.01F;
    fake_cuda.algorithm[FIRST].ms = 0.01F;
    struct start second = start_kit(k, precision);
    assert(second.timings == 0 && second.heuristics == 0 && second.plans_of_text > 0);
    assert(ran() == engine);
    assert(device_kit_is_same(k, &first.result, &second.result, DEVICE_KIT_SLICES));
    end(&first);
    end(&second);
}

static void a_second_start_measures_nothing_and_gives_the_same_bits(void)
{
    for (int nul = 0; nul < 2; nul++) {
        begin();
        fake_cuda.text_counts_nul = nul == 1;
        check_second_start(&small, BACKEND_FP16);
        begin();
        fake_cuda.text_counts_nul = nul == 1;
        check_second_start(&small, BACKEND_FP32);
        begin();
        fake_cuda.text_counts_nul = nul == 1;
        check_second_start(&wide, BACKEND_BF16);
    }
}

/* Another device, driver or precision does not take what was measured for this one. */
static void a_cache_is_for_one_device_and_driver(void)
{
    begin();
    struct start s = start_kit(&small, BACKEND_FP16);
    end(&s);
    char first[PATH];
    assert(find_cache(first));
    fake_cuda.driver++;
    assert(unlink(first) == 0);
    s = start_kit(&small, BACKEND_FP16);
    char second[PATH];
    assert(s.timings > 0 && find_cache(second) && strcmp(first, second) != 0);
    end(&s);
}

static void spoil(const char *path, long at, long cut)
{
    FILE *f = fopen(path, "r+b");
    assert(f != NULL && fseek(f, at, SEEK_SET) == 0);
    const int byte = fgetc(f);
    assert(byte != EOF && fseek(f, at, SEEK_SET) == 0 && fputc(byte ^ 1, f) != EOF);
    assert(fclose(f) == 0);
    assert(cut < 0 || truncate(path, cut) == 0);
}

static void a_damaged_cache_is_made_anew(void)
{
    static const struct {
        long at, cut;
    } damages[] = {{0, -1}, {40, -1}, {500, -1}, {0, 0}, {0, 100}};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        char path[PATH];
        begin();
        struct start first = start_kit(&small, BACKEND_FP16);
        assert(find_cache(path));
        spoil(path, damages[i].at, damages[i].cut);
        struct start second = start_kit(&small, BACKEND_FP16);
        assert(second.timings == first.timings && ran() == QUICK_CORES);
        struct start third = start_kit(&small, BACKEND_FP16);
        assert(third.timings == 0);
        assert(device_kit_is_same(&small, &first.result, &third.result, DEVICE_KIT_SLICES));
        end(&first);
        end(&second);
        end(&third);
    }
}

static void a_cached_choice_that_is_refused_is_made_again(void)
{
    begin();
    expect_choice(BACKEND_FP16, QUICK_CORES, SPLIT);
    fake_cuda.engine[QUICK_CORES].refuses = true;
    fake_cuda.algorithm[SPLIT].refuses = true;
    expect_choice(BACKEND_FP16, CORES, FIRST);
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(s.timings == 0 && ran() == CORES && multiplied() == FIRST);
    end(&s);
}

/* An algorithm of more workspace than there is, and cuDNN's text that it does not know. */
static void a_cached_choice_that_does_not_fit_is_made_again(void)
{
    begin();
    expect_choice(BACKEND_FP16, QUICK_CORES, SPLIT);
    fake_cuda.engine[QUICK_CORES].name = "renamed";
    fake_cuda.engine[QUICK_CORES].refuses = true;
    fake_cuda.algorithm[SPLIT].workspace = (size_t)1 << 30;
    expect_choice(BACKEND_FP16, CORES, FIRST);
}

static void without_cudnn_s_text_each_start_measures(void)
{
    begin();
    fake_cuda.no_text = true;
    expect_choice(BACKEND_FP16, QUICK_CORES, SPLIT);
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(s.timings > 0 && ran() == QUICK_CORES);
    end(&s);
}

/* As a user who may not write there; the superuser may everywhere. */
static void begin_read_only(void)
{
    const uid_t nobody = 65534;
    assert(chmod(folder, 0555) == 0);
    if (getuid() == 0) {
        assert(setresuid(nobody, nobody, 0) == 0);
    }
}

static void end_read_only(uid_t user)
{
    assert(user != 0 || setresuid(0, 0, 0) == 0);
    assert(chmod(folder, 0700) == 0);
}

static void a_read_only_folder_is_read_and_left_alone(void)
{
    const uid_t user = getuid();
    char path[PATH];
    begin();
    begin_read_only();
    struct start s = start_kit(&small, BACKEND_FP16);
    assert(s.timings == 0 && ran() == CORES && multiplied() == FIRST && !find_cache(path));
    end(&s);
    end_read_only(user);
    expect_choice(BACKEND_FP16, QUICK_CORES, SPLIT);
    assert(find_cache(path) && chmod(path, 0444) == 0);
    begin_read_only();
    s = start_kit(&small, BACKEND_FP16);
    assert(s.timings == 0 && s.heuristics == 0 && ran() == QUICK_CORES && multiplied() == SPLIT);
    end(&s);
    end_read_only(user);
}

int main(void)
{
    assert(mkdtemp(folder) != NULL);
    fake_cuda_reset();
    device_kit_init(&small, DEVICE_KIT_SMALL);
    device_kit_init(&wide, DEVICE_KIT_WIDE);
    the_fastest_that_is_allowed_is_taken();
    what_is_not_allowed_is_not_even_run();
    a_bare_convolution_is_taken_where_it_is_faster_and_as_exact();
    an_engine_that_fails_is_not_taken();
    where_nothing_else_can_the_last_resort_is_taken();
    without_a_folder_nothing_is_measured();
    our_kernel_for_64_channels_is_taken_where_it_is_faster();
    an_engine_that_converts_its_inputs_is_for_16_bits();
    a_first_guess_that_will_not_run_is_passed_over();
    memory_that_runs_out_while_choosing_is_no_reason_to_choose_another();
    a_start_goes_on_where_the_last_one_ended();
    what_cudnn_cannot_fuse_is_finished_by_our_kernel();
    what_cudnn_cannot_do_is_done_by_the_plain_kernel();
    a_stage_that_cannot_be_captured_goes_without_a_graph();
    a_gpu_that_computes_wrong_is_refused();
    a_second_start_measures_nothing_and_gives_the_same_bits();
    a_cache_is_for_one_device_and_driver();
    a_damaged_cache_is_made_anew();
    a_cached_choice_that_is_refused_is_made_again();
    a_cached_choice_that_does_not_fit_is_made_again();
    without_cudnn_s_text_each_start_measures();
    a_read_only_folder_is_read_and_left_alone();
    device_kit_empty(folder);
    assert(rmdir(folder) == 0);
    device_kit_fini(&small);
    device_kit_fini(&wide);
    return 0;
}
