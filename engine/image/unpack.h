/*
 * unpack.h - what zlib or gzip has compressed, or its first bytes, within a stated size.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* zlib makes at most so many bytes of one (RFC 1951's longest match): what claims more is refused before memory is taken. */
enum { UNPACK_RATIO = 1032 };

/* Exactly `size` bytes to `out`.  Errors: SCTD_EDATA (damaged, or it holds fewer), SCTD_ENOMEM. */
SCTD_NODISCARD int unpack_prefix(void *out, size_t size, const void *in, size_t in_size,
                                 struct sctd_error *err);
/* All of it, which is exactly `size` bytes, with its checksum.  Errors: the same. */
SCTD_NODISCARD int unpack_whole(void *out, size_t size, const void *in, size_t in_size,
                                struct sctd_error *err);

#ifdef __cplusplus
}
#endif
