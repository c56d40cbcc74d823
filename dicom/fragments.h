/*
 * fragments.h - which fragments of encapsulated Pixel Data make up which frame (PS3.5 A.4).
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dicom/part10.h"
#include "dicom/series.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One stretch of bytes in the value of Pixel Data. */
struct dicom_fragment {
    size_t offset, size;
};

/* Encapsulated Pixel Data: its value from the item of the basic offset table on. */
struct dicom_encapsulated {
    const unsigned char *value;
    size_t size;
    int32_t n_frames;
    enum dicom_compression compression;
};

struct dicom_fragments {
    struct dicom_encapsulated of;
    struct dicom_fragment *fragment; /* owned; [n] */
    size_t n;
    size_t *first;         /* owned; [n_frames + 1] fragment with which a frame begins */
    unsigned char *joined; /* owned; the frame that was joined last */
};

/*
 * Find the frames in `of`, whose value must outlive the object: one frame has all fragments, n frames in n fragments have one each, else the offset table tells, and without one the
 * fragments that begin as a code stream does (not RLE: it has one fragment for each frame).
 * Returns 0 or DICOM_SERIES_REFUSED: truncated or undecodable pixels.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_fragments_find(struct dicom_fragments *ret_fragments,
                                        const struct dicom_encapsulated *of,
                                        struct dicom_refusal *ret_refusal, struct sctd_error *err);
void dicom_fragments_fini(struct dicom_fragments *fragments); /* leaves it empty */

/*
 * The bytes of frame `frame`: in the value itself, or joined in memory of the object and valid until the next
 * call.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_fragments_get(struct dicom_fragments *fragments, int32_t frame,
                                       const unsigned char **ret_bytes, size_t *ret_size,
                                       struct sctd_error *err);

#ifdef __cplusplus
}
#endif
