/*
 * pixels.h - the frames of one file as numbers: decoded, sign-extended and rescaled (PS3.3 C.7.6.3, C.11.1).
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dicom/instance.h"
#include "dicom/series.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whether frames of this instance can be decoded as far as headers tell.
 * Returns 0 or DICOM_SERIES_REFUSED: a bad attribute, colour, truncated or undecodable pixels.
 */
SCTD_NODISCARD int dicom_pixels_check(const struct dicom_instance *instance,
                                      struct dicom_refusal *ret_refusal);

struct dicom_pixels;

/*
 * Open the file at `path` that `instance` was read from.
 * Returns 0 or DICOM_SERIES_REFUSED, if the file is not the same any more.
 * Errors: SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_pixels_open(struct dicom_pixels **ret_pixels, const char *path,
                                     const struct dicom_instance *instance,
                                     struct dicom_refusal *ret_refusal, struct sctd_error *err);
void dicom_pixels_close(struct dicom_pixels *pixels); /* NULL is a no-op */
static inline void dicom_pixels_closep(struct dicom_pixels **pixels)
{
    dicom_pixels_close(*pixels);
}

/*
 * Frame `frame` of the instance into ret_value[rows * columns], columns fastest: after the modality LUT or
 * rescale, NAN where it is padding; *ret_padding is how many of these there are.
 * Returns 0 or DICOM_SERIES_REFUSED.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_pixels_read(struct dicom_pixels *pixels, int32_t frame, float *ret_value,
                                     size_t *ret_padding, struct dicom_refusal *ret_refusal,
                                     struct sctd_error *err);

#ifdef __cplusplus
}
#endif
