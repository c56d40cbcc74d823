/*
 * file.h - files that are read by mapping and written so that a crash leaves the old or the new one.
 *
 * Every call opens with O_CLOEXEC, completes short writes, and checks what close says.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SCTD_PATH_MAX = 4096 };

/* A file's bytes, mapped read-only.  Whoever cuts the file short meanwhile raises SIGBUS at a read. */
struct sctd_map {
    const void *data; /* NULL if size is 0 */
    size_t size;
};

/* Errors: SCTD_EIO (no such file, not a regular file, ...), naming the path. */
SCTD_NODISCARD int sctd_map_open(struct sctd_map *ret_map, const char *path,
                                 struct sctd_error *err);
void sctd_map_close(struct sctd_map *map); /* leaves it empty */
/* Bytes [offset, offset + size) are not needed soon: let the kernel take the pages back. */
void sctd_map_drop(const struct sctd_map *map, size_t offset, size_t size);

/* A file on its way to `path`, under a temporary name in the same folder. */
struct sctd_file {
    int fd; /* -1: none */
    char path[SCTD_PATH_MAX];
    char temporary[SCTD_PATH_MAX];
};

/* Errors of these: SCTD_EIO naming the path, SCTD_EINVAL (path too long). */
SCTD_NODISCARD int sctd_file_create(struct sctd_file *ret_file, const char *path,
                                    struct sctd_error *err);
SCTD_NODISCARD int sctd_file_write(struct sctd_file *file, const void *bytes, size_t size,
                                   struct sctd_error *err);
/* fsync, close, rename, fsync of the folder.  On failure the temporary file is gone. */
SCTD_NODISCARD int sctd_file_commit(struct sctd_file *file, struct sctd_error *err);
/* The same without the folder, which is then the caller's to sync, once for several files. */
SCTD_NODISCARD int sctd_file_install(struct sctd_file *file, struct sctd_error *err);
/* Let the disk begin with what was written so far, so that syncing it waits less; best effort. */
void sctd_file_start_sync(const struct sctd_file *file);
void sctd_file_abort(struct sctd_file *file); /* after a commit: a no-op */

/* All of it at once. */
SCTD_NODISCARD int sctd_file_replace(const char *path, const void *bytes, size_t size,
                                     struct sctd_error *err);

SCTD_NODISCARD int sctd_dir_sync(const char *path, struct sctd_error *err);
/* Make a folder and those above it, durably; no error if it is there. */
SCTD_NODISCARD int sctd_dir_make(const char *path, struct sctd_error *err);
/* How many entries a folder has; *ret_exists tells an empty one from none.  Errors: SCTD_EIO (no folder,
 * unreadable). */
SCTD_NODISCARD int sctd_dir_count(int32_t *ret_n, bool *ret_exists, const char *path,
                                  struct sctd_error *err);
/* Rename a folder that must not replace anything and sync the folder above it. Errors: SCTD_EINVAL
 * (`to` exists), SCTD_EIO. */
SCTD_NODISCARD int sctd_dir_install(const char *from, const char *to, struct sctd_error *err);
/* Rename a file durably: both folders are synced.  What stood under the new name is replaced.  Errors: SCTD_EIO. */
SCTD_NODISCARD int sctd_file_move(const char *from, const char *to, struct sctd_error *err);
/* Remove a folder and the files in it (one level, links not followed, `path` included); best effort. */
void sctd_dir_remove(const char *path);

/* "folder/name" into ret_path[SCTD_PATH_MAX]; just the name if folder is "". Errors: SCTD_EINVAL (too
 * long). */
SCTD_NODISCARD int sctd_path_join(char *ret_path, const char *folder, const char *name,
                                  struct sctd_error *err);

#ifdef __cplusplus
}
#endif
