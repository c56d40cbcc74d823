/*
 * work.h - folders of work under way, which whoever comes next clears away if their process died.
 *
 * A work folder is PREFIX.PID.NUMBER in the folder that its result is for, and is locked (flock(2))
 * for as long as its process lives.  So what can be locked is nobody's any more.  Where a file system
 * does not lock folders (NFS), nothing is cleared away.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/error.h"
#include "engine/base/file.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sctd_work {
    int fd; /* holds the lock; -1: no folder */
    char path[SCTD_PATH_MAX];
};

/*
 * Make an empty work folder in `folder`, which is there, with the modes that the umask gives.  First
 * those of the same prefix that dead processes of this user left there are removed, with the files in
 * them.  Safe between threads and processes.
 * Errors: SCTD_EIO naming the path, SCTD_EINVAL (path too long).
 */
SCTD_NODISCARD int sctd_work_make(struct sctd_work *ret_work, const char *folder,
                                  const char *prefix, struct sctd_error *err);
/* sctd_dir_install to `to`.  On failure the work folder is removed. */
SCTD_NODISCARD int sctd_work_install(struct sctd_work *work, const char *to,
                                     struct sctd_error *err);
/* Remove it and the files in it; best effort.  After sctd_work_install: a no-op. */
void sctd_work_remove(struct sctd_work *work);

#ifdef __cplusplus
}
#endif
