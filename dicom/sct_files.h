/*
 * sct_files.h - a series' files: written under temporary names, made durable many at a time.
 *
 * Each file's contents are on the disk before it gets its name; the names are when sct_files_finish has
 * returned.  The disk starts on a file as soon as it is written, and syncs wait for up to a batch of them,
 * since the first sync of a batch pays for the file system's journal and the rest find it done.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sct_files;

/* In an existing folder, which must outlive the object as a text.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int sct_files_new(struct sct_files **ret_files, const char *folder,
                                 struct sctd_error *err);
/* Without sct_files_finish before it, all that was written is removed.  NULL is a no-op. */
void sct_files_free(struct sct_files *files);
static inline void sct_files_freep(struct sct_files **files)
{
    sct_files_free(*files);
}

/*
 * Start the next file, NNNN.dcm from 0001 on, with `head`; then its pixels, in any number of pieces.
 * Errors: SCTD_EIO, SCTD_EINVAL (path too long).
 */
SCTD_NODISCARD int sct_files_start(struct sct_files *files, const struct sctd_buf *head,
                                   struct sctd_error *err);
SCTD_NODISCARD int sct_files_add(struct sct_files *files, const void *bytes, size_t size,
                                 struct sctd_error *err);
/* The file that was started is complete.  Errors: SCTD_EIO. */
SCTD_NODISCARD int sct_files_end(struct sct_files *files, struct sctd_error *err);
/* All files are there and durable.  Errors: SCTD_EIO. */
SCTD_NODISCARD int sct_files_finish(struct sct_files *files, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
