/* SPDX-License-Identifier: Apache-2.0 */
#include "server/removal.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/db.h"
#include "db/retention.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/config.h"
#include "server/convert_quality.h"

enum { BATCH = 512, BATCHES_MAX = 8, PRESSURE_PERCENT = 5 };
#define DAY_MS INT64_C(86400000)

struct removal removal_of(struct db *db, const char *spool, const char *results,
                          const struct config_retention *retention, int64_t wall_ms)
{
    struct removal removal = {
        .db = db,
        .spool = spool,
        .results = results,
        .received_before_ms = wall_ms - retention->received_days * DAY_MS,
        .produced_before_ms = wall_ms - retention->produced_days * DAY_MS,
    };
    struct statvfs disk;
    if (statvfs(spool, &disk) == 0 && disk.f_blocks > 0) {
        const double free_percent = 100.0 * (double)disk.f_bavail / (double)disk.f_blocks;
        if (free_percent < retention->min_free_percent + PRESSURE_PERCENT) {
            removal.received_before_ms = removal.produced_before_ms = INT64_MAX;
        }
    }
    return removal;
}

/* Whether two files are in the same folder. */
static bool are_together(const char *a, const char *b)
{
    const char *slash = strrchr(a, '/');
    const char *other = strrchr(b, '/');
    const size_t size = slash == NULL ? 0 : (size_t)(slash - a);
    return slash != NULL && other != NULL && (size_t)(other - b) == size && memcmp(a, b, size) == 0;
}

static int remove_file(const char *root, const char *file, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    int r = sctd_path_join(path, root, file, err);
    if (r == 0 && unlink(path) != 0 && errno != ENOENT) {
        r = sctd_error(err, SCTD_EIO, "%.160s: %s", path, sctd_errno_text());
    }
    return r;
}

/* The report of an sCT's checks, which the store does not name, goes with the last of its instances. */
static int remove_report(const char *folder, struct sctd_error *err)
{
    int32_t n = 0;
    bool exists = false;
    int r = sctd_dir_count(&n, &exists, folder, err);
    return r == 0 && n == 1 ? remove_file(folder, CONVERT_QUALITY_FILE, err) : r;
}

/* The folder of a series goes with its last file. */
static int leave_folder(const char *root, const char *file, enum db_file_kind kind,
                        struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    int r = sctd_path_join(path, root, file, err);
    if (r < 0) {
        return r;
    }
    *strrchr(path, '/') = '\0';
    r = kind == DB_FILE_PRODUCED ? remove_report(path, err) : 0;
    if (r < 0) {
        return r;
    }
    if (strchr(file, '/') != NULL && rmdir(path) == 0) {
        *strrchr(path, '/') = '\0';
    }
    return access(path, F_OK) == 0 ? sctd_dir_sync(path, err) : 0;
}

/* *ret_n: how many went.  One that cannot be removed keeps no other from it. */
static int remove_list(const struct removal *removal, enum db_file_kind kind,
                       const struct db_removal_list *list, size_t *ret_n, struct sctd_error *err)
{
    const char *root = kind == DB_FILE_RECEIVED ? removal->spool : removal->results;
    struct sctd_error ignored = {.code = SCTD_OK};
    int64_t *ids = calloc(list->n + 1, sizeof *ids);
    if (ids == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu files", list->n);
    }
    int first = 0;
    int r = 0;
    size_t n = 0;
    for (size_t i = 0; r == 0 && i < list->n; i++) {
        const struct db_removal *file = &list->removal[i];
        const int removed = remove_file(root, file->file, first == 0 ? err : &ignored);
        if (removed == 0) {
            ids[n++] = file->id;
        } else if (first == 0) {
            first = removed;
        }
        if (i + 1 == list->n || !are_together(file->file, file[1].file)) {
            r = leave_folder(root, file->file, kind, err);
        }
    }
    if (r == 0 && n > 0) {
        r = db_retention_done(removal->db, kind, ids, n, err);
    }
    free(ids);
    *ret_n = r == 0 ? n : 0;
    return r < 0 ? r : first;
}

static int run_kind(const struct removal *removal, enum db_file_kind kind, int64_t before_ms,
                    int64_t *n, struct sctd_error *err)
{
    for (int i = 0; i < BATCHES_MAX; i++) {
        sctd_auto(db_removal_list_fini) struct db_removal_list list = {.n = 0};
        int r = db_retention_taken(removal->db, kind, BATCH, &list, err);
        if (r == 0 && list.n == 0) {
            r = db_retention_take(removal->db, kind, before_ms, BATCH, &list, err);
        }
        if (r < 0 || list.n == 0) {
            return r;
        }
        size_t removed = 0;
        r = remove_list(removal, kind, &list, &removed, err);
        *n += (int64_t)removed;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int removal_run(const struct removal *removal, int64_t *ret_n, struct sctd_error *err)
{
    int64_t n = 0;
    struct sctd_error second = {.code = SCTD_OK};
    const int produced = run_kind(removal, DB_FILE_PRODUCED, removal->produced_before_ms, &n, err);
    const int received = run_kind(removal, DB_FILE_RECEIVED, removal->received_before_ms, &n,
                                  produced < 0 ? &second : err);
    *ret_n = n;
    return produced < 0 ? produced : received;
}
