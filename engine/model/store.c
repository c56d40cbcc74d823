/* SPDX-License-Identifier: Apache-2.0 */
/* A models directory: what is in it, what a name means, how a model gets there. */
#include "engine/model/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/safetensors.h"
#include "engine/base/sha256.h"
#include "engine/base/work.h"
#include "engine/model/manifest.h"
#include "engine/model/model.h"

enum { ENTRY_MAX = 2 * MANIFEST_NAME_MAX, MODELS_MAX = 4096 };

/* The names of the models of a directory, "NAME@VERSION", sorted. */
struct names {
    char (*name)[ENTRY_MAX];
    size_t n;
    size_t capacity;
};

static void names_fini(struct names *names)
{
    free(names->name);
    *names = (struct names){NULL, 0, 0};
}

/* name: as is_entry has it. */
static int names_add(struct names *names, const char *name, struct sctd_error *err)
{
    if (names->n == MODELS_MAX) {
        return sctd_error(err, SCTD_EIO, "more than %d models in one directory", MODELS_MAX);
    }
    if (names->n == names->capacity) {
        const size_t capacity = names->capacity == 0 ? 16 : 2 * names->capacity;
        void *grown = realloc(names->name, capacity * sizeof *names->name);
        if (grown == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "list of models");
        }
        names->name = grown;
        names->capacity = capacity;
    }
    memcpy(names->name[names->n++], name, strnlen(name, ENTRY_MAX - 1) + 1);
    return 0;
}

/* "NAME@VERSION", both as manifest_is_name has them. */
static bool is_entry(const char *text)
{
    char name[ENTRY_MAX];
    const size_t length = strlen(text);
    const char *at = strchr(text, '@');
    if (at == NULL || length >= sizeof name) {
        return false;
    }
    memcpy(name, text, length + 1);
    name[at - text] = '\0';
    return manifest_is_name(name) && manifest_is_name(at + 1);
}

/* The name, then the version: plain strcmp would put "a-b@1" before "a@1". */
static int compare_entries(const void *a, const void *b)
{
    const char *x = a;
    const char *y = b;
    const size_t nx = strcspn(x, "@");
    const size_t ny = strcspn(y, "@");
    const int order = strncmp(x, y, nx < ny ? nx : ny);
    if (order != 0) {
        return order;
    }
    if (nx != ny) {
        return nx < ny ? -1 : 1;
    }
    return strcmp(x + nx, y + ny);
}

static int read_entries(struct names *names, DIR *dir, const char *models_dir,
                        struct sctd_error *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir); // NOLINT(concurrency-mt-unsafe): own stream
        if (entry == NULL) {
            break;
        }
        if (!is_entry(entry->d_name)) {
            continue;
        }
        int r = names_add(names, entry->d_name, err);
        if (r < 0) {
            return r;
        }
    }
    return errno == 0 ? 0 : sctd_error(err, SCTD_EIO, "%.160s: cannot be listed", models_dir);
}

static int names_read(struct names *names, const char *models_dir, struct sctd_error *err)
{
    DIR *dir = opendir(models_dir);
    if (dir == NULL) {
        return errno == ENOENT
                   ? 0
                   : sctd_error(err, SCTD_EIO, "%.160s: %s", models_dir, strerrordesc_np(errno));
    }
    int r = read_entries(names, dir, models_dir, err);
    (void)closedir(dir);
    if (r == 0 && names->n > 0) {
        qsort(names->name, names->n, sizeof *names->name, compare_entries);
    }
    return r;
}

int model_list(const char *models_dir, model_list_fn fn, void *arg, struct sctd_error *err)
{
    sctd_auto(names_fini) struct names names = {NULL, 0, 0};
    int r = names_read(&names, models_dir, err);
    for (size_t i = 0; r == 0 && i < names.n; i++) {
        char dir[SCTD_PATH_MAX];
        char path[SCTD_PATH_MAX];
        struct manifest manifest;
        struct sctd_error own = {.code = SCTD_OK};
        r = sctd_path_join(dir, models_dir, names.name[i], err);
        if (r == 0) {
            r = sctd_path_join(path, dir, "manifest.json", err);
        }
        if (r == 0) {
            const bool sound = manifest_read(&manifest, path, &own) == 0;
            r = fn(arg, dir, sound ? &manifest : NULL, &own);
        }
    }
    return r;
}

/* As many of the names from `first` on as fit: "a@1, a@2, ..." */
static const char *join_names(char *text, size_t size, const struct names *names, size_t first,
                              size_t n)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = first; i < first + n; i++) {
        const char *separator = i == first ? "" : ", ";
        if (length + strlen(separator) + strlen(names->name[i]) + sizeof ", ..." > size) {
            (void)snprintf(text + length, size - length, ", ...");
            break;
        }
        length += (size_t)snprintf(text + length, size - length, "%s%s", separator, names->name[i]);
    }
    return text;
}

static bool matches(const char *entry, const char *spec)
{
    const size_t length = strlen(spec);
    return strncmp(entry, spec, length) == 0 && (entry[length] == '\0' || entry[length] == '@');
}

/* Of the *n versions from *first on the active one, if there is one: then *n becomes 1. */
static int find_active(const struct names *names, size_t *first, size_t *n, const char *models_dir,
                       const char *spec, struct sctd_error *err)
{
    char version[MANIFEST_NAME_MAX];
    const int r = model_get_active(version, models_dir, spec, err);
    for (size_t i = *first; r == 0 && i < *first + *n; i++) {
        if (strcmp(names->name[i] + strlen(spec) + 1, version) == 0) {
            *first = i;
            *n = 1;
            break;
        }
    }
    return r < 0 ? r : 0;
}

int model_resolve(char *ret_dir, const char *models_dir, const char *spec, struct sctd_error *err)
{
    if (strchr(spec, '/') != NULL) {
        if (strlen(spec) >= SCTD_PATH_MAX) {
            return sctd_error(err, SCTD_EINVAL, "path %.100s... is too long", spec);
        }
        memcpy(ret_dir, spec, strlen(spec) + 1);
        return 0;
    }
    sctd_auto(names_fini) struct names names = {NULL, 0, 0};
    int r = names_read(&names, models_dir, err);
    if (r < 0) {
        return r;
    }
    size_t first = 0;
    while (first < names.n && !matches(names.name[first], spec)) {
        first++;
    }
    size_t n = 0;
    while (first + n < names.n && matches(names.name[first + n], spec)) {
        n++;
    }
    char list[120];
    if (n > 1 && strchr(spec, '@') == NULL) {
        r = find_active(&names, &first, &n, models_dir, spec, err);
    }
    if (r < 0 || n == 1) {
        return r < 0 ? r : sctd_path_join(ret_dir, models_dir, names.name[first], err);
    }
    if (n > 1) {
        return sctd_error(err, SCTD_EINVAL, "\"%.64s\" has several versions: say which of %s", spec,
                          join_names(list, sizeof list, &names, first, n));
    }
    if (names.n == 0) {
        return sctd_error(err, SCTD_EINVAL, "no model \"%.64s\": %.100s holds none", spec,
                          models_dir);
    }
    return sctd_error(err, SCTD_EINVAL, "no model \"%.64s\": there are %s", spec,
                      join_names(list, sizeof list, &names, 0, names.n));
}

int store_check_new(char *ret_dir, const char *models_dir, const char *name, const char *version,
                    struct sctd_error *err)
{
    if (!manifest_is_name(name)) {
        return sctd_error(
            err, SCTD_EINVAL,
            "name \"%.64s\": use a-z, 0-9, '.', '_', '-', at most 63, a letter or digit "
            "first",
            name);
    }
    if (!manifest_is_name(version)) {
        return sctd_error(err, SCTD_EINVAL,
                          "version \"%.64s\": use a-z, 0-9, '.', '_', '-', at most 63, a letter or "
                          "digit first",
                          version);
    }
    char entry[ENTRY_MAX];
    char dir[SCTD_PATH_MAX];
    (void)snprintf(entry, sizeof entry, "%s@%s", name, version);
    int r = sctd_path_join(dir, models_dir, entry, err);
    if (r < 0) {
        return r;
    }
    struct stat st;
    if (lstat(dir, &st) == 0) {
        return sctd_error(
            err, SCTD_EINVAL,
            "%s is there already and a model is never replaced: choose another version "
            "or remove %.60s/%s",
            entry, models_dir, entry);
    }
    memcpy(ret_dir, dir, strlen(dir) + 1);
    return 0;
}

static int hash_file(char ret_hex[SHA256_HEX_SIZE], int64_t *ret_bytes, const char *path,
                     struct sctd_error *err)
{
    struct sctd_map map = {NULL, 0};
    int r = sctd_map_open(&map, path, err);
    if (r == 0) {
        sha256_hex_of(map.data, map.size, ret_hex);
        *ret_bytes = (int64_t)map.size;
        sctd_map_close(&map);
    }
    return r;
}

/* Fill the directory `dir`, which is still under a temporary name. */
static int fill(const char *dir, struct manifest *manifest, const struct tensor_view *tensors,
                size_t n, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    int r = sctd_path_join(path, dir, MANIFEST_WEIGHTS_FILE, err);
    if (r == 0) {
        r = safetensors_write(path, tensors, n, NULL, 0, err);
    }
    if (r == 0) {
        r = hash_file(manifest->weights_sha256, &manifest->weights_bytes, path, err);
    }
    if (r == 0) {
        r = sctd_path_join(path, dir, "manifest.json", err);
    }
    if (r == 0) {
        r = manifest_write(manifest, path, err);
    }
    return r;
}

int store_write(char *ret_dir, const char *models_dir, struct manifest *manifest,
                const struct tensor_view *tensors, size_t n, struct sctd_error *err)
{
    char dir[SCTD_PATH_MAX];
    struct sctd_work work = {.fd = -1};
    int r = store_check_new(dir, models_dir, manifest->name, manifest->version, err);
    if (r == 0) {
        r = sctd_dir_make(models_dir, err);
    }
    if (r == 0) {
        /* A dot first: model_list does not see it. */
        r = sctd_work_make(&work, models_dir, ".import", err);
    }
    if (r < 0) {
        return r;
    }
    r = fill(work.path, manifest, tensors, n, err);
    if (r == 0) {
        r = sctd_work_install(&work, dir, err);
    }
    if (r < 0) {
        sctd_work_remove(&work);
        return r;
    }
    memcpy(ret_dir, dir, strlen(dir) + 1);
    return 0;
}
