/*
 * sct_text.h - our own words in the character set that an object has from its source.
 *
 * An object has one Specific Character Set for all of its text (PS3.3 C.12.1.1.2), and what is inherited
 * is not re-encoded, so what we add must be written in the source's.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/attributes.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Append `text` (UTF-8) in `charset`, the value of (0008,0005), "" where the source has none.  Only the
 * first character set of several is used, so that no escape sequence is needed.  A letter that it lacks
 * becomes the one without its accent, other characters '?'.
 * Errors: SCTD_EINVAL (no UTF-8, a backslash or a control character; the buffer's limit), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_text_encode(struct sctd_buf *buf, const char *text, const char *charset,
                                   struct sctd_error *err);

/* Put `text`, of at most `max` characters, into an attribute.  Errors: those of sct_text_encode,
 * SCTD_EINVAL (longer). */
SCTD_NODISCARD int sct_text_set(struct dicom_attributes *to,
                                const struct dicom_text_attribute *text, size_t max,
                                const char *charset, struct sctd_error *err);

/*
 * How many of the `size` bytes of a value in `charset` make at most `max` characters; 0 if it is longer and
 * cannot be cut safely (code extensions, multi-byte sets other than UTF-8).
 */
size_t sct_text_cut(const char *bytes, size_t size, size_t max, const char *charset);

#ifdef __cplusplus
}
#endif
