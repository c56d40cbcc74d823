/*
 * sct_derivation.h - how an sCT was made and from what (PS3.3 C.7.6.1, C.12.4, C.12.2).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "dicom/attributes.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Derivation Description, cut off with "..." where the checks found more than it holds, and Derivation Code
 * Sequence (CID 7203).  quality: NULL: nothing was checked.
 * Errors: SCTD_EINVAL (a text that DICOM cannot hold), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_derivation_describe(struct dicom_attributes *to,
                                           const struct sct_model *model,
                                           const struct sct_quality *quality, const char *charset,
                                           struct sctd_error *err);
/* Who answers for our code in it. */
SCTD_NODISCARD int sct_derivation_add_scheme(struct dicom_attributes *to, struct sctd_error *err);

/* One slice's source. */
struct sct_derivation_source {
    const struct dicom_source *slice;
    bool is_enhanced;  /* name its frame */
    bool is_same_grid; /* each pixel lies where it lay in the source */
};
/* Source Image Sequence of one item. */
SCTD_NODISCARD int sct_derivation_add_source(struct dicom_attributes *to,
                                             const struct sct_derivation_source *source,
                                             struct sctd_error *err);

/* Append an item of the Referenced Instance Sequence. */
SCTD_NODISCARD int sct_derivation_add_instance(struct sctd_buf *items,
                                               const struct dicom_source *slice,
                                               struct sctd_error *err);
/* Referenced Series Sequence: the source's series and those of its instances that are referred to. */
SCTD_NODISCARD int sct_derivation_add_series(struct dicom_attributes *to,
                                             const struct dicom_attribute *series_uid,
                                             const struct sctd_buf *instances,
                                             struct sctd_error *err);

#ifdef __cplusplus
}
#endif
