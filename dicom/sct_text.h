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

/* The same, but a text that is longer is cut off; `ending`, of ASCII, then stands at its end. */
SCTD_NODISCARD int sct_text_set_cut(struct dicom_attributes *to,
                                    const struct dicom_text_attribute *text, size_t max,
                                    const char *ending, const char *charset,
                                    struct sctd_error *err);

/*
 * How many of the `size` bytes of a value in `charset` make at most `max` characters.  A longer one that has
 * escape sequences (PS3.5 6.1.2.5.3) is cut before the first, one in an unknown set after the ASCII that it begins
 * with, and one that is no text of its set to nothing.
 */
size_t sct_text_cut(const char *bytes, size_t size, size_t max, const char *charset);

#ifdef __cplusplus
}
#endif
