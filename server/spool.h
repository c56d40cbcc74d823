/*
 * spool.h - the folder of what is received: files that are whole, synced and named by us.
 *
 *     tmp/PROCESS.NUMBER            on its way; removed at start-up
 *     series/HASH/HASH.dcm          one instance, below its series
 *
 * Names are hashes: never a text of a peer's.  The name of an instance is a hash of its SOP Instance UID,
 * its transfer syntax and its data set, so that the same instance has the same name and the same bytes
 * whoever sends it, and a different one under the same UID does not replace it.
 *
 * A sync that failed is never tried again: what it should have written may be gone from memory too
 * (spool_is_failed).  The process must end.
 *
 * Thread safety: an object belongs to one thread.  Several processes may share the folder.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SPOOL_NAME_SIZE = 128, /* of "series/HASH/HASH.dcm" and a NUL */
    SPOOL_TEMPORARY_SIZE = 48,
    SPOOL_SERIES_SIZE = 48,
};

/* What must stay free besides what is written. */
struct spool_reserve {
    int64_t bytes;
    int64_t files; /* inodes */
};

struct spool {
    int root, tmp; /* folders */
    struct spool_reserve reserve;
    int series;                          /* the folder used last; -1: none */
    char series_name[SPOOL_SERIES_SIZE]; /* "series/HASH" */
    unsigned counter;
    bool is_failed;
    char path[SCTD_PATH_MAX];
};

enum { SPOOL_FULL = 1 }; /* no room: an outcome, no error */

/*
 * Open the folder, making it and its folders durably if they are not there.
 * Errors: SCTD_EIO, SCTD_EINVAL (path too long).
 */
SCTD_NODISCARD int spool_open(struct spool *ret_spool, const char *path,
                              const struct spool_reserve *reserve, struct sctd_error *err);
void spool_close(struct spool *spool);

/* At start-up, before anybody writes: remove what was on its way.  *ret_n: how many files. */
SCTD_NODISCARD int spool_clean(const struct spool *spool, int *ret_n, struct sctd_error *err);

/*
 * Whether `bytes` more fit above the reserve.  Returns 0 or SPOOL_FULL.
 * Errors: SCTD_EIO.
 */
SCTD_NODISCARD int spool_check(const struct spool *spool, int64_t bytes, struct sctd_error *err);

/* A file on its way. */
struct spool_file {
    struct spool *spool;
    int fd; /* -1: none */
    uint64_t size;
    char temporary[SPOOL_TEMPORARY_SIZE];
};

static inline struct spool_file spool_file_none(void)
{
    const struct spool_file none = {.fd = -1};
    return none;
}

/* Each returns 0 or SPOOL_FULL (ENOSPC, EDQUOT, EFBIG).  Errors: SCTD_EIO. */
SCTD_NODISCARD int spool_file_create(struct spool_file *ret_file, struct spool *spool,
                                     struct sctd_error *err);
SCTD_NODISCARD int spool_file_write(struct spool_file *file, const void *bytes, size_t size,
                                    struct sctd_error *err);

/* What an instance is, for its name; valid UIDs. */
struct spool_identity {
    const char *series_uid, *sop_uid, *transfer_syntax_uid;
    unsigned char sha256[SHA256_SIZE]; /* of the data set */
};

/*
 * Make it durable: check its size, sync it, close it, rename it, sync its folder, and the folder above when
 * that one is new to this process.  ret_name: relative to the spool's folder.
 * After 0 only a loss of the disk loses it.  On failure the file is gone, unless the last sync failed.
 * Returns 0 or SPOOL_FULL.  Errors: SCTD_EIO (and spool->is_failed if it was a sync).
 */
SCTD_NODISCARD int spool_file_commit(struct spool_file *file, const struct spool_identity *identity,
                                     char ret_name[SPOOL_NAME_SIZE], struct sctd_error *err);
void spool_file_abort(struct spool_file *file); /* removes it; after a commit: a no-op */

/* Remove an instance that nobody was told is kept; best effort. */
void spool_remove(const struct spool *spool, const char *name);

/* Whether a text is a name that spool_file_commit may give. */
bool spool_is_name(const char *name);

#ifdef __cplusplus
}
#endif
