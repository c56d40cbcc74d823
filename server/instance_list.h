/*
 * instance_list.h - lists of instances that are too long for a frame: a file in memory that goes along.
 *
 * The file can neither grow nor shrink any more when it is passed on, so that whoever reads it meets no
 * surprise.  Both sides are one program: it holds struct dicom_reference as they are in memory.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/references.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *ret_fd: close-on-exec, the caller closes it.  Errors: SCTD_EIO. */
SCTD_NODISCARD int instance_list_new(int *ret_fd, const struct dicom_references *references,
                                     struct sctd_error *err);

/*
 * Read n of them from what another process has passed; nothing about it is believed.
 * Errors: SCTD_EDATA (not such a file, another size, a text that is no UID), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int instance_list_read(struct dicom_references *ret_references, int fd, size_t n,
                                      struct sctd_error *err);

/* Write the reasons into the file.  fd: one that instance_list_read has read.  Errors: SCTD_EIO. */
SCTD_NODISCARD int instance_list_write(int fd, const struct dicom_references *references,
                                       struct sctd_error *err);

#ifdef __cplusplus
}
#endif
