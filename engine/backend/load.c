/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/load.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/backend/backend.h"
#include "engine/base/error.h"

static const char symbol[] = "sctd_backend_module";

static int check_module(const struct backend_module *module, const char *path,
                        struct sctd_error *err)
{
    if (module->abi != BACKEND_MODULE_ABI || module->sizes != BACKEND_MODULE_SIZES) {
        return sctd_error(err, SCTD_EINVAL,
                          "%.120s was made for another sctd (interface %u, here %d): install both "
                          "of one version",
                          path, (unsigned)module->abi, BACKEND_MODULE_ABI);
    }
    if (module->backend == NULL || module->probe == NULL) {
        return sctd_error(err, SCTD_EINVAL, "%.120s has no backend in it", path);
    }
    return 0;
}

int backend_load_file(const struct backend **ret_backend, const char *path,
                      const struct backend_device *device, struct sctd_error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror(); // NOLINT(concurrency-mt-unsafe): glibc's is the thread's own
        return sctd_error(err, SCTD_EINVAL, "%.200s", why == NULL ? path : why);
    }
    const struct backend_module *module = dlsym(library, symbol);
    int r = module == NULL ? sctd_error(err, SCTD_EINVAL, "%.160s is no backend of sctd", path)
                           : check_module(module, path, err);
    if (r == 0) {
        r = module->probe(device, err);
    }
    if (r < 0) {
        /* A library that has looked for a GPU may have threads of its own: it stays. */
        if (module == NULL) {
            (void)dlclose(library);
        }
        return r;
    }
    *ret_backend = module->backend;
    return 0;
}

/* "FOLDER/BELOW" if that can be read; folder: `length` bytes. */
static int join_if_there(char ret_path[PATH_MAX], const char *folder, size_t length,
                         const char *below)
{
    const int n = snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)length, folder, below);
    return n > 0 && n < PATH_MAX && access(ret_path, R_OK) == 0;
}

/* One of the places below a folder. */
static int find_below(char ret_path[PATH_MAX], const char *folder)
{
    static const char *const below[] = {"lib/libsctd-cuda.so", "lib/sctd/libsctd-cuda.so"};
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        if (join_if_there(ret_path, folder, strlen(folder), below[i])) {
            return 1;
        }
    }
    return 0;
}

/* Look in the folders above the program, the nearest first. */
static int find_beside_program(char ret_path[PATH_MAX])
{
    enum { LEVELS = 4 };
    char program[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) {
        return 0;
    }
    program[n] = '\0';
    char *slash = strrchr(program, '/');
    for (int level = 0; level < LEVELS && slash != NULL; level++) {
        *slash = '\0';
        if (find_below(ret_path, program)) {
            return 1;
        }
        slash = strrchr(program, '/');
    }
    return 0;
}

/* The path that $SCTD_CUDA_LIBRARY names, or NULL. */
static const char *find_named(void)
{
    const char *named =
        getenv("SCTD_CUDA_LIBRARY"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return named == NULL || *named == '\0' ? NULL : named;
}

static bool has_driver(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver != NULL) {
        (void)dlclose(driver);
    }
    return driver != NULL;
}

bool backend_expects_cuda(void)
{
    char path[PATH_MAX];
    return find_named() != NULL || (find_beside_program(path) && has_driver());
}

int backend_load_cuda(const struct backend **ret_backend, const struct backend_device *device,
                      struct sctd_error *err)
{
    char path[PATH_MAX];
    const char *named = find_named();
    if (named != NULL) {
        return backend_load_file(ret_backend, named, device, err);
    }
    if (!find_beside_program(path)) {
        return sctd_error(err, SCTD_EINVAL,
                          "libsctd-cuda.so is not installed: this sctd was built without CUDA");
    }
    /* Before the libraries of the backend, some of which are very large. */
    if (!has_driver()) {
        return sctd_error(err, SCTD_EINVAL, "no NVIDIA driver is installed (libcuda.so.1)");
    }
    return backend_load_file(ret_backend, path, device, err);
}
