/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/device/plan_file.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/program.h"
#include "engine/base/error.h"

#include "tests/support/temporary.h"

static const struct device gpu = {.name = "a GPU", .major = 9};
static const struct program program = {.n_steps = 0};

static void use_folder(const char *folder)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
    assert(setenv("SCTD_CUDA_CACHE_DIR", folder, 1) == 0);
}

static struct plan_file find(enum backend_precision precision)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_file file;
    assert(plan_file_find(&file, &gpu, &program, precision, &err) == 0);
    return file;
}

static void what_is_kept_is_read_for_the_same_only(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache cache = {.entry = NULL};
    struct plan_file file = find(BACKEND_FP16);
    assert(file.writable && plan_file_read(&cache, &file, &err) == 0 && cache.n == 0);
    assert(plan_cache_put(&cache, "conv", PLAN_OWN, "", &err) == 0);
    plan_file_write(&cache, &file);
    plan_cache_fini(&cache);
    assert(plan_file_read(&cache, &file, &err) == 0 && cache.n == 1);
    plan_cache_fini(&cache);
    struct plan_file other = find(BACKEND_BF16);
    assert(strcmp(other.path, file.path) != 0);
    assert(plan_file_read(&cache, &other, &err) == 0 && cache.n == 0);
    assert(unlink(file.path) == 0);
}

/* Claims, says so, chooses for a while, and keeps its choice. */
static void measure_in_child(int to_parent)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache cache = {.entry = NULL};
    struct plan_file file = find(BACKEND_FP16);
    assert(plan_file_claim(&file, &cache, &err) == 0 && file.lock >= 0);
    assert(write(to_parent, "x", 1) == 1);
    (void)nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert(plan_cache_put(&cache, "conv", PLAN_FUSED, "the child's", &err) == 0);
    plan_file_write(&cache, &file);
    plan_file_fini(&file);
    plan_cache_fini(&cache);
    _exit(0);
}

/* A process that has claimed the file. */
static pid_t start_child(void)
{
    int pipe_end[2];
    char byte;
    assert(pipe(pipe_end) == 0);
    const pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        measure_in_child(pipe_end[1]);
    }
    assert(close(pipe_end[1]) == 0 && read(pipe_end[0], &byte, 1) == 1 && close(pipe_end[0]) == 0);
    return child;
}

/* Whoever comes second waits, and finds the first one's choice. */
static void one_measures_at_a_time(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache cache = {.entry = NULL};
    struct plan_file file = find(BACKEND_FP16);
    int status = 1;
    const pid_t child = start_child();
    assert(plan_file_claim(&file, &cache, &err) == 0);
    const struct plan_cache_entry *e = plan_cache_find(&cache, "conv");
    assert(e != NULL && strcmp(e->text, "the child's") == 0 && !cache.changed);
    /* What is not written yet is not lost by another claim. */
    assert(plan_cache_put(&cache, "more", PLAN_OWN, "", &err) == 0);
    assert(plan_file_claim(&file, &cache, &err) == 0 && plan_cache_find(&cache, "more") != NULL);
    plan_file_fini(&file);
    plan_cache_fini(&cache);
    assert(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert(unlink(file.path) == 0);
}

static void without_a_folder_nothing_is_claimed(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct plan_cache cache = {.entry = NULL};
    use_folder("/proc/no/such/folder");
    struct plan_file file = find(BACKEND_FP16);
    assert(!file.writable && plan_file_claim(&file, &cache, &err) == 0 && file.lock == -1);
    assert(plan_cache_put(&cache, "conv", PLAN_OWN, "", &err) == 0);
    plan_file_write(&cache, &file);
    plan_file_fini(&file);
    plan_cache_fini(&cache);
}

int main(void)
{
    char dir[] = TEMPORARY("plan-file");
    assert(mkdtemp(dir) != NULL);
    use_folder(dir);
    what_is_kept_is_read_for_the_same_only();
    one_measures_at_a_time();
    without_a_folder_nothing_is_claimed();
    assert(rmdir(dir) == 0);
    return 0;
}
