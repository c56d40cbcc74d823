/*
 * memory_file.h - what is too long for a message goes along with it as a file in memory.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

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

/*
 * The same of any bytes, sealed: nobody can change or cut them any more, so that whoever gets them may trust the size.
 * *ret_fd: the caller closes it.  Errors: SCTD_EIO.
 */
SCTD_NODISCARD int memory_file_seal(int *ret_fd, const void *bytes, size_t size,
                                    struct sctd_error *err);
/* All of it to `to`.  Errors: SCTD_EDATA (not a sealed file of this size), SCTD_EIO. */
SCTD_NODISCARD int memory_file_read_sealed(void *to, size_t size, int fd, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
