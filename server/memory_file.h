/*
 * memory_file.h - what is too long for a message goes along with it as a file in memory.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *ret_fd: close-on-exec; the caller closes it.  Errors: SCTD_EIO. */
SCTD_NODISCARD int memory_file_write(int *ret_fd, const struct sctd_buf *text,
                                     struct sctd_error *err);
/* Append all of it.  Errors: SCTD_EIO, SCTD_EINVAL (beyond the buffer's maximum), SCTD_ENOMEM. */
SCTD_NODISCARD int memory_file_read(struct sctd_buf *text, int fd, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
