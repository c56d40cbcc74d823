/*
 * sct_source.h - what a source instance says, in the bytes in which it says it.
 *
 * Nothing is decoded, trimmed or re-encoded on the way; numbers are turned to little endian.  Private
 * elements and group lengths are left out, within sequences too.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/attributes.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sct_source;

/*
 * Read everything before the pixels.
 * Errors: SCTD_EIO (a file that cannot be read), SCTD_EDATA (no DICOM), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_source_open(struct sct_source **ret_source, const char *path,
                                   struct sctd_error *err);
void sct_source_close(struct sct_source *source); /* NULL is a no-op */
static inline void sct_source_closep(struct sct_source **source)
{
    sct_source_close(*source);
}

enum { SCT_SOURCE_ABSENT = 1 };

/* Copy an element of the data set itself.  Returns 0 or SCT_SOURCE_ABSENT.
 * Errors of these: SCTD_EDATA (a value that cannot be read), SCTD_ENOMEM. */
SCTD_NODISCARD int sct_source_copy(struct dicom_attributes *to, const struct sct_source *source,
                                   uint32_t tag, struct sctd_error *err);
/* Copy all elements of a group. */
SCTD_NODISCARD int sct_source_copy_group(struct dicom_attributes *to,
                                         const struct sct_source *source, uint32_t group,
                                         struct sctd_error *err);

/*
 * Copy an element from the functional group `sequence` of a frame, its own before the shared one; in an
 * instance without functional groups from the data set itself.  Returns 0 or SCT_SOURCE_ABSENT.
 */
SCTD_NODISCARD int sct_source_copy_of_frame(struct dicom_attributes *to,
                                            const struct sct_source *source, int32_t frame,
                                            uint32_t sequence, uint32_t tag,
                                            struct sctd_error *err);

/* Whether it has functional groups. */
bool sct_source_is_enhanced(const struct sct_source *source);
/* Of the file; valid as long as the object. */
const char *sct_source_get_transfer_syntax(const struct sct_source *source);

#ifdef __cplusplus
}
#endif
