/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backend/cuda/device/plan_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cublasLt.h>
#include <cudnn.h>

#include "engine/backend/backend.h"
#include "engine/backend/cuda/device/device.h"
#include "engine/backend/cuda/plan_cache.h"
#include "engine/backend/cuda/program.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"

/* A change of how programs are lowered, or engines chosen or checked. */
enum { PLAN_VERSION = 4, SHORT_HASH = 32 };

static const char *read_environment(const char *variable)
{
    const char *value = getenv(variable); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return value == NULL || *value == '\0' ? NULL : value;
}

/* false: no variable says where. */
static bool find_folder(char *ret_path, size_t size)
{
    static const struct {
        const char *variable, *below;
    } places[] = {{"SCTD_CUDA_CACHE_DIR", ""},
                  {"CACHE_DIRECTORY", ""},
                  {"XDG_CACHE_HOME", "/sctd"},
                  {"HOME", "/.cache/sctd"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *value = read_environment(places[i].variable);
        if (value != NULL && value[0] == '/') {
            const int n = snprintf(ret_path, size, "%s%s", value, places[i].below);
            return n > 0 && (size_t)n < size;
        }
    }
    return false;
}

/* The network's shapes: every step and every buffer. */
static void hash_program(const struct program *p, char ret_hex[SHA256_HEX_SIZE])
{
    struct sha256 s;
    unsigned char digest[SHA256_SIZE];
    sha256_init(&s);
    for (int32_t i = 0; i < p->n_steps; i++) {
        const struct step *step = &p->step[i];
        const struct program_buffer *out = &p->buffer[step->out];
        const int32_t facts[] = {(int32_t)step->kind,
                                 (int32_t)step->act,
                                 step->kernel,
                                 step->factor,
                                 step->heads,
                                 step->width,
                                 out->h,
                                 out->w,
                                 out->c,
                                 out->type};
        sha256_update(&s, facts, sizeof facts);
        sha256_update(&s, step->in, sizeof step->in);
    }
    sha256_final(&s, digest);
    sha256_to_hex(digest, ret_hex);
}

int plan_file_find(struct plan_file *ret_file, const struct device *device,
                   const struct program *program, enum backend_precision precision,
                   struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    char hex[SHA256_HEX_SIZE];
    char name[SHORT_HASH + 16];
    struct sctd_error ignored = {.code = SCTD_OK};
    struct plan_file file = {.writable = false, .lock = -1};
    hash_program(program, hex);
    const int length =
        snprintf(file.header, sizeof file.header,
                 "sctd plans %d; %s, compute %d.%d, %d multiprocessors; driver %d; cuda %d; cudnn "
                 "%zu; cublaslt %zu; precision %d; network %s",
                 PLAN_VERSION, device->name, device->major, device->minor, device->multiprocessors,
                 device->driver, device->runtime, cudnnGetVersion(), cublasLtGetVersion(),
                 (int)precision, hex);
    if (find_folder(folder, sizeof folder)) {
        sha256_hex_of(file.header, (size_t)length, hex);
        (void)snprintf(name, sizeof name, "plans-%.*s.bin", SHORT_HASH, hex);
        int r = sctd_path_join(file.path, folder, name, err);
        if (r < 0) {
            return r;
        }
        file.writable = sctd_dir_make(folder, &ignored) == 0 && access(folder, W_OK) == 0;
    }
    *ret_file = file;
    return 0;
}

int plan_file_read(struct plan_cache *ret_cache, const struct plan_file *file,
                   struct sctd_error *err)
{
    bool found = false;
    if (file->path[0] == '\0') {
        *ret_cache = (struct plan_cache){.entry = NULL};
        return 0;
    }
    return plan_cache_read(ret_cache, file->path, file->header, &found, err);
}

/* The folder, locked; -1: it cannot be. */
static int lock_folder(const struct plan_file *file)
{
    char folder[SCTD_PATH_MAX];
    const char *end = strrchr(file->path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(end - file->path), file->path);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -1 : flock(fd, LOCK_EX);
    while (r < 0 && fd >= 0 && errno == EINTR) {
        r = flock(fd, LOCK_EX);
    }
    if (r < 0 && fd >= 0) {
        (void)close(fd);
    }
    return r < 0 ? -1 : fd;
}

int plan_file_claim(struct plan_file *file, struct plan_cache *cache, struct sctd_error *err)
{
    struct plan_cache now = {.entry = NULL};
    if (!file->writable || file->claimed_s > 0.0) {
        return 0;
    }
    file->lock = lock_folder(file);
    file->claimed_s = sctd_now_s(); /* which does not count the time that others took */
    int r = file->lock < 0 ? 0 : plan_file_read(&now, file, err);
    if (r == 0 && now.n > 0) {
        plan_cache_fini(cache);
        *cache = now;
    }
    return r;
}

void plan_file_fini(struct plan_file *file)
{
    if (file->lock >= 0) {
        (void)close(file->lock);
        file->lock = -1;
    }
}

void plan_file_write(const struct plan_cache *cache, const struct plan_file *file)
{
    struct sctd_error ignored = {.code = SCTD_OK};
    if (file->writable && cache->changed) {
        (void)!plan_cache_write(cache, file->path, file->header, &ignored);
    }
}
