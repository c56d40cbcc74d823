/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/pairs.h"

#include <assert.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/evaluate/case.h"

enum kind { REFERENCE, SYNTHETIC, MASK, REFERENCE_LABELS, SYNTHETIC_LABELS };

static const struct {
    const char *name;
    enum kind kind;
} names[] = {{"reference", REFERENCE},
             {"ct", REFERENCE},
             {"synthetic", SYNTHETIC},
             {"sct", SYNTHETIC},
             {"mask", MASK},
             {"reference_labels", REFERENCE_LABELS},
             {"synthetic_labels", SYNTHETIC_LABELS}};

/* Whether an entry is `name`, alone or with one of the endings. */
static bool is_named(const char *entry, const char *name)
{
    static const char *const endings[] = {"", ".nii", ".nii.gz", ".mha", ".mhd"};
    const size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(entry + n, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int take_entry(struct evaluate_pair *pair, const char *folder, const char *entry,
                      struct sctd_error *err)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!is_named(entry, names[i].name)) {
            continue;
        }
        if (pair->path[names[i].kind][0] != '\0') {
            return sctd_error(err, SCTD_EDATA, "%.100s holds two images that could be the %s",
                              folder, names[i].name);
        }
        return sctd_path_join(pair->path[names[i].kind], folder, entry, err);
    }
    return 0;
}

static const char *get_path(const struct evaluate_pair *pair, enum kind kind)
{
    return pair->path[kind][0] == '\0' ? NULL : pair->path[kind];
}

/* files points into the pair, once it is where it stays. */
static void set_files(struct evaluate_pair *pair)
{
    pair->files = (struct evaluate_files){
        .reference = get_path(pair, REFERENCE),
        .synthetic = get_path(pair, SYNTHETIC),
        .mask = get_path(pair, MASK),
        .reference_labels = get_path(pair, REFERENCE_LABELS),
        .synthetic_labels = get_path(pair, SYNTHETIC_LABELS),
    };
}

static int check_pair(const struct evaluate_pair *pair, const char *folder, struct sctd_error *err)
{
    if (get_path(pair, REFERENCE) == NULL || get_path(pair, SYNTHETIC) == NULL) {
        return sctd_error(err, SCTD_EDATA,
                          "%.100s has no %s: a case's folder holds reference and synthetic (or ct "
                          "and sct)",
                          folder, get_path(pair, REFERENCE) == NULL ? "reference" : "synthetic");
    }
    if ((get_path(pair, REFERENCE_LABELS) == NULL) != (get_path(pair, SYNTHETIC_LABELS) == NULL)) {
        return sctd_error(err, SCTD_EDATA, "%.100s has one label map: both or none are needed",
                          folder);
    }
    return 0;
}

static int read_folder(struct evaluate_pair *pair, const char *folder, struct sctd_error *err)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return sctd_error(err, SCTD_EIO, "%.100s: %s", folder, sctd_errno_text());
    }
    int r = 0;
    const struct dirent *entry = NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        r = take_entry(pair, folder, entry->d_name, err);
    }
    (void)closedir(dir);
    return r < 0 ? r : check_pair(pair, folder, err);
}

static int compare(const void *a, const void *b)
{
    const struct evaluate_pair *x = a;
    const struct evaluate_pair *y = b;
    return strcmp(x->name, y->name);
}

struct list {
    struct evaluate_pair *pair; /* owned */
    size_t n, room;
};

static int add_pair(struct list *list, const char *dir, const char *name, struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    struct stat status;
    int r = sctd_path_join(folder, dir, name, err);
    if (r < 0 || name[0] == '.' || stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return r;
    }
    if (list->n == EVALUATE_PAIRS_MAX || strlen(name) >= EVALUATE_NAME_SIZE) {
        return sctd_error(err, SCTD_EDATA, "%.100s: at most %d cases with names below %d bytes",
                          dir, EVALUATE_PAIRS_MAX, EVALUATE_NAME_SIZE);
    }
    if (list->n == list->room) {
        const size_t room = list->room == 0 ? 16 : 2 * list->room;
        struct evaluate_pair *more = realloc(list->pair, room * sizeof *more);
        if (more == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "%zu cases", room);
        }
        list->pair = more;
        list->room = room;
    }
    struct evaluate_pair *pair = &list->pair[list->n];
    memset(pair, 0, sizeof *pair);
    (void)snprintf(pair->name, sizeof pair->name, "%s", name);
    r = read_folder(pair, folder, err);
    list->n++;
    return r;
}

int evaluate_pairs_find(struct evaluate_pair **ret_pairs, size_t *ret_n, const char *dir,
                        struct sctd_error *err)
{
    struct list list = {.pair = NULL};
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return sctd_error(err, SCTD_EIO, "%.100s: %s", dir, sctd_errno_text());
    }
    int r = 0;
    const struct dirent *entry = NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own
    while (r == 0 && (entry = readdir(stream)) != NULL) {
        r = add_pair(&list, dir, entry->d_name, err);
    }
    (void)closedir(stream);
    if (r == 0 && list.pair == NULL) {
        r = sctd_error(err, SCTD_EDATA, "%.100s holds no folder with a case", dir);
    }
    if (r < 0) {
        free(list.pair);
        return r;
    }
    assert(list.pair != NULL);
    qsort(list.pair, list.n, sizeof *list.pair, compare);
    for (size_t i = 0; i < list.n; i++) {
        set_files(&list.pair[i]);
    }
    *ret_pairs = list.pair;
    *ret_n = list.n;
    return 0;
}
