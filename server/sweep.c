/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sweep.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "db/retention.h"
#include "dicom/quality_page.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/convert_quality.h"
#include "server/spool.h"

enum { PAGE = 1000, FIRST_CAPACITY = 64 };

void sweep_fini(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->n; i++) {
        free(sweep->file[i]);
    }
    free((void *)sweep->file);
    *sweep = (struct sweep){.n = 0};
}

static int add(struct sweep *sweep, size_t *capacity, const char *name, struct sctd_error *err)
{
    if (sweep->n == *capacity) {
        const size_t more = *capacity == 0 ? FIRST_CAPACITY : 2 * *capacity;
        char **grown = (char **)realloc((void *)sweep->file, more * sizeof *grown);
        if (grown == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "the spool's files");
        }
        sweep->file = grown;
        *capacity = more;
    }
    sweep->file[sweep->n] = strdup(name);
    if (sweep->file[sweep->n] == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the spool's files");
    }
    sweep->n++;
    return 0;
}

static void close_dir(DIR **dir)
{
    if (*dir != NULL) {
        (void)closedir(*dir);
    }
}

static int look_at_series(struct sweep *sweep, size_t *capacity, struct db *db, const char *spool,
                          const char *series, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    (void)snprintf(path, sizeof path, "%.3800s/series/%.200s", spool, series);
    sctd_auto(close_dir) DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0; /* not a folder: none of ours */
    }
    const struct dirent *entry = NULL;
    int r = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        char name[SPOOL_NAME_SIZE];
        const int size = snprintf(name, sizeof name, "series/%.60s/%.200s", series, entry->d_name);
        if (size >= (int)sizeof name || !spool_is_name(name)) {
            continue;
        }
        r = db_file_find(db, DB_FILE_RECEIVED, name, err);
        if (r == DB_NONE) {
            r = add(sweep, capacity, name, err);
        } else if (r > 0) {
            r = 0;
        }
    }
    return r;
}

static int find_unnamed(struct sweep *sweep, struct db *db, const char *spool,
                        struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    size_t capacity = 0;
    int r = sctd_path_join(path, spool, "series", err);
    if (r < 0) {
        return r;
    }
    sctd_auto(close_dir) DIR *dir = opendir(path);
    if (dir == NULL) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
    }
    const struct dirent *entry = NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            r = look_at_series(sweep, &capacity, db, spool, entry->d_name, err);
        }
    }
    return r;
}

static int count_missing(struct sweep *sweep, struct db *db, const char *spool,
                         struct sctd_error *err)
{
    int64_t after = 0;
    size_t n = PAGE;
    while (n == PAGE) {
        sctd_auto(db_removal_list_fini) struct db_removal_list list = {.n = 0};
        int r = db_file_list(db, DB_FILE_RECEIVED, after, PAGE, &list, err);
        if (r < 0) {
            return r;
        }
        for (size_t i = 0; i < list.n; i++) {
            char path[SCTD_PATH_MAX];
            (void)snprintf(path, sizeof path, "%.3800s/%.130s", spool, list.removal[i].file);
            sweep->missing += access(path, R_OK) == 0 ? 0 : 1;
            after = list.removal[i].id;
        }
        n = list.n;
    }
    return 0;
}

int sweep_spool(struct sweep *ret_sweep, struct db *db, const char *spool, struct sctd_error *err)
{
    struct sweep sweep = {.n = 0};
    int r = find_unnamed(&sweep, db, spool, err);
    r = r < 0 ? r : count_missing(&sweep, db, spool, err);
    if (r < 0) {
        sweep_fini(&sweep);
        return r;
    }
    *ret_sweep = sweep;
    return 0;
}

/* A folder of files; what is in it goes before it, so that a crash leaves it to the next start. */
static int remove_folder(const char *path, struct sctd_error *err)
{
    sctd_auto(close_dir) DIR *dir = opendir(path);
    if (dir == NULL) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
    }
    const struct dirent *entry = NULL;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while ((entry = readdir(dir)) != NULL) {
        char file[SCTD_PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        int r = sctd_path_join(file, path, entry->d_name, err);
        if (r == 0 && unlink(file) != 0) {
            r = sctd_error(err, SCTD_EIO, "%.200s: %s", file, sctd_errno_text());
        }
        if (r < 0) {
            return r;
        }
    }
    return rmdir(path) == 0 ? 0 : sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
}

/* The sCT first: without it the page is left over, and the next start finds it. */
static int remove_result(const char *results, const char *series_uid, struct sctd_error *err)
{
    char page[SCTD_PATH_MAX];
    char sct[SCTD_PATH_MAX];
    int r = convert_quality_page_folder(page, results, series_uid, err);
    r = r < 0 ? r : sctd_path_join(sct, results, series_uid, err);
    r = r < 0 ? r : remove_folder(sct, err);
    return r == 0 && access(page, F_OK) == 0 ? remove_folder(page, err) : r;
}

/* Whether one of the folders is the sCT that a page belongs to. */
static int has_sct(const char *results, const char *page_series_uid, bool *ret_has,
                   struct sctd_error *err)
{
    sctd_auto(close_dir) DIR *dir = opendir(results);
    if (dir == NULL) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", results, sctd_errno_text());
    }
    const struct dirent *entry = NULL;
    *ret_has = false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while (!*ret_has && (entry = readdir(dir)) != NULL) {
        char series_uid[DICOM_UID_SIZE];
        char instance_uid[DICOM_UID_SIZE];
        if (!dicom_uid_is_valid(entry->d_name)) {
            continue;
        }
        int r = dicom_uid_for_page(series_uid, instance_uid, entry->d_name, err);
        if (r < 0) {
            return r;
        }
        *ret_has = strcmp(series_uid, page_series_uid) == 0;
    }
    return 0;
}

/* A page that was written before its sCT, which then never came, or outlived it.  Returns 0 or DB_NONE: it is none. */
static int remove_lone_page(struct db *db, const char *results, const char *name,
                            struct sctd_error *err)
{
    char file[SCTD_PATH_MAX];
    char path[SCTD_PATH_MAX];
    bool is_wanted = true;
    int r = sctd_path_join(file, name, QUALITY_PAGE_NAME, err);
    r = r < 0 ? r : sctd_path_join(path, results, file, err);
    if (r < 0 || access(path, F_OK) != 0) {
        return r < 0 ? r : DB_NONE;
    }
    r = db_file_find(db, DB_FILE_PRODUCED, file, err);
    if (r == DB_NONE) {
        r = has_sct(results, name, &is_wanted, err);
    }
    if (r < 0 || is_wanted) {
        return r < 0 ? r : DB_NONE;
    }
    r = sctd_path_join(path, results, name, err);
    return r < 0 ? r : remove_folder(path, err);
}

int sweep_results(struct db *db, const char *results, int64_t *ret_n, struct sctd_error *err)
{
    sctd_auto(close_dir) DIR *dir = opendir(results);
    if (dir == NULL) {
        return sctd_error(err, SCTD_EIO, "%.160s: %s", results, sctd_errno_text());
    }
    const struct dirent *entry = NULL;
    int64_t n = 0;
    int r = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one stream, one thread
    while (r >= 0 && (entry = readdir(dir)) != NULL) {
        if (!dicom_uid_is_valid(entry->d_name)) {
            continue; /* on its way: engine/base/work.h */
        }
        r = db_result_is_left(db, entry->d_name, err);
        if (r == 0) {
            r = remove_result(results, entry->d_name, err);
        } else if (r == DB_NONE) {
            r = remove_lone_page(db, results, entry->d_name, err);
        }
        n += r == 0 ? 1 : 0;
    }
    r = r < 0 || n == 0 ? r : sctd_dir_sync(results, err);
    if (r < 0) {
        return r;
    }
    *ret_n = n;
    return 0;
}
