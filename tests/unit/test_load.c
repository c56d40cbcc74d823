/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backend/backend.h"
#include "engine/backend/load.h"
#include "engine/base/error.h"

static const struct backend_device any = {.number = BACKEND_ANY_DEVICE};

/* A module of the folder that the build says. */
static int load(const struct backend **ret_backend, const char *name, struct sctd_error *err)
{
    char path[4096];
    const char *folder = getenv("SCTD_TEST_MODULES"); // NOLINT(concurrency-mt-unsafe): one thread
    assert(folder != NULL);
    (void)snprintf(path, sizeof path, "%s/lib%s.so", folder, name);
    return backend_load_file(ret_backend, path, &any, err);
}

static void a_module_of_this_version_is_taken(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct backend *backend = NULL;
    assert(load(&backend, "module-good", &err) == 0);
    assert(strcmp(backend->name, "cuda") == 0);
}

static void others_are_refused_with_a_reason(void)
{
    static const struct {
        const char *module, *says;
    } refused[] = {
        {"module-other-abi", "made for another sctd"},
        {"module-other-sizes", "made for another sctd"},
        {"module-no-gpu", "no GPU in this module"},
        {"module-empty", "has no backend in it"},
        {"module-foreign", "is no backend of sctd"},
        {"module-that-is-not-there", "cannot open shared object file"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct sctd_error err = {.code = SCTD_OK};
        const struct backend *backend = NULL;
        assert(load(&backend, refused[i].module, &err) == SCTD_EINVAL);
        assert(strstr(err.text, refused[i].says) != NULL && backend == NULL);
    }
}

static void the_environment_names_the_library(void)
{
    char path[4096];
    struct sctd_error err = {.code = SCTD_OK};
    const struct backend *backend = NULL;
    (void)snprintf(path, sizeof path, "%s/libmodule-good.so",
                   getenv("SCTD_TEST_MODULES"));       // NOLINT(concurrency-mt-unsafe): one thread
    assert(setenv("SCTD_CUDA_LIBRARY", path, 1) == 0); // NOLINT(concurrency-mt-unsafe): one thread
    assert(backend_load_cuda(&backend, &any, &err) == 0 && strcmp(backend->name, "cuda") == 0);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    assert(setenv("SCTD_CUDA_LIBRARY", "/nowhere/libsctd-cuda.so", 1) ==
           0); // NOLINT(concurrency-mt-unsafe): one thread
    assert(backend_load_cuda(&backend, &any, &err) == SCTD_EINVAL);
    assert(strstr(err.text, "/nowhere/libsctd-cuda.so") != NULL);
    assert(backend_expects_cuda()); /* it was named */
}

/* This one goes without a driver as far as saying so; with one, as far as the GPU. */
static void the_real_library_can_be_opened(void)
{
    struct sctd_error err = {.code = SCTD_OK};
    const struct backend *backend = NULL;
    const char *path = getenv("SCTD_TEST_CUDA"); // NOLINT(concurrency-mt-unsafe): one thread
    if (path == NULL || *path == '\0') {
        return;
    }
    const int r = backend_load_file(&backend, path, &any, &err);
    (void)printf("%s: %s\n", path, r == 0 ? "there is a GPU" : err.text);
    assert(r == 0 || r == SCTD_EINVAL || r == SCTD_EDEVICE);
    assert(r == 0 || strstr(err.text, "GPU") != NULL);
}

int main(void)
{
    a_module_of_this_version_is_taken();
    others_are_refused_with_a_reason();
    the_environment_names_the_library();
    the_real_library_can_be_opened();
    return 0;
}
