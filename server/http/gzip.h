/* gzip.h - a body made smaller (RFC 1952). */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Put the compressed bytes in the place of the others; they stay on failure.  Errors: SCTD_ENOMEM. */
SCTD_NODISCARD int gzip_replace(struct sctd_buf *body, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
