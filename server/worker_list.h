/*
 * worker_list.h - the UIDs and files of a job, handed to a worker or a viewer as a file in memory.
 *
 * One line each: "U UID", "F FILE" and "R FILE", FILE below the folder of the spool or of the results.  They are
 * too many for a message.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct worker_list {
    char (*uid)[DICOM_UID_SIZE]; /* [n_uids], owned: of the instances to be made */
    size_t n_uids;
    char **file; /* [n_files], owned: the source */
    size_t n_files;
    char **result; /* [n_results], owned: an sCT that was made before, for viewers */
    size_t n_results;
};
void worker_list_fini(struct worker_list *list); /* leaves it empty */

/* *ret_fd: the caller closes it.  Errors: SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int worker_list_write(int *ret_fd, const struct worker_list *list,
                                     struct sctd_error *err);
/* Errors: SCTD_EDATA (not such a file; a UID or a name that is none), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int worker_list_read(struct worker_list *ret_list, int fd, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
