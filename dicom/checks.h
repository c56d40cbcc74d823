/*
 * checks.h - what has to hold of the instances and frames of a series before it is one volume.
 *
 * Each returns 0 or DICOM_SERIES_REFUSED with *ret_refusal set.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dicom/instance.h"
#include "dicom/scan.h"
#include "dicom/series.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A frame that may become a slice. */
struct dicom_candidate {
    const struct dicom_scanned *from;
    int32_t frame;
};

static inline const struct dicom_frame *
dicom_candidate_get_frame(const struct dicom_candidate *candidate)
{
    return &candidate->from->instance.frame[candidate->frame];
}

/* Instances: class, origin, modality, damage, one patient and study. */
SCTD_NODISCARD int dicom_check_instances(const struct dicom_scanned *const *scanned, size_t n,
                                         const struct dicom_series_options *options,
                                         struct dicom_refusal *ret_refusal);

/* No localiser, mosaic or colour, pixels that can be decoded, HU if it is CT. */
SCTD_NODISCARD int dicom_check_images(const struct dicom_candidate *candidate, size_t n,
                                      struct dicom_refusal *ret_refusal);

/* One volume as far as attributes tell; keys with a selector have been decided. */
SCTD_NODISCARD int dicom_check_one_volume(const struct dicom_candidate *candidate, size_t n,
                                          const struct dicom_series_options *options,
                                          struct dicom_refusal *ret_refusal);

/* Position, orientation and spacing are there, and all but the position is the same. */
SCTD_NODISCARD int dicom_check_grid(const struct dicom_candidate *candidate, size_t n,
                                    struct dicom_refusal *ret_refusal);

/* The text of a selector that matched nothing. */
SCTD_NODISCARD int dicom_check_nothing_selected(const struct dicom_candidate *candidate, size_t n,
                                                const struct dicom_series_options *options,
                                                struct dicom_refusal *ret_refusal);

#ifdef __cplusplus
}
#endif
