/* sct_image.h - the image itself: how its pixels are kept and shown (PS3.3 C.7.6.3, C.8.2.1, C.11.2). */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "dicom/sct_writer.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sct_image_format {
    int32_t columns, rows;
    uint16_t bits; /* allocated and stored */
    bool is_signed;
};
/* One grey sample of all bits a pixel.  Errors: SCTD_ENOMEM, SCTD_EINVAL. */
SCTD_NODISCARD int sct_image_add_pixels(struct dicom_attributes *to,
                                        const struct sct_image_format *format,
                                        struct sctd_error *err);
/* The format of a slice of HU. */
SCTD_NODISCARD int sct_image_add_slice(struct dicom_attributes *to, const struct volume_grid *grid,
                                       struct sctd_error *err);
/* Rescale Intercept, Slope and Type. */
SCTD_NODISCARD int sct_image_add_rescale(struct dicom_attributes *to, int32_t intercept,
                                         struct sctd_error *err);
/* Two windows, soft tissue and bone. */
SCTD_NODISCARD int sct_image_add_windows(struct dicom_attributes *to, struct sctd_error *err);
/* What only a CT Image has: Image Type, KVP, Acquisition Number. */
SCTD_NODISCARD int sct_image_add_ct(struct dicom_attributes *to, struct sctd_error *err);

/*
 * Burned In Annotation: NO, or YES if the source says so.  Lossy Image Compression: 00, or 01 with ratio and
 * method if the source says so or is compressed in such a way.
 */
SCTD_NODISCARD int sct_image_add_history(struct dicom_attributes *to,
                                         const struct sct_source *source, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
