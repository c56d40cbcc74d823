/*
 * sct_derivation.h - how an sCT was made and from what (PS3.3 C.7.6.1, C.12.4, C.12.2).
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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
/* The same of a page that shows an sCT beside its source (quality_page.h); its codes are all of CID 7203. */
SCTD_NODISCARD int sct_derivation_describe_page(struct dicom_attributes *to,
                                                const struct sct_model *model,
                                                const struct sct_quality *quality,
                                                const char *charset, struct sctd_error *err);
/* Who answers for our code in that of an sCT. */
SCTD_NODISCARD int sct_derivation_add_scheme(struct dicom_attributes *to, struct sctd_error *err);

/* One slice's source. */
struct sct_derivation_source {
    const struct dicom_source *slice;
    bool is_enhanced;  /* name its frame */
    bool is_same_grid; /* each pixel lies where it lay in the source */
};
/* Append an item of Source Image Sequence. */
SCTD_NODISCARD int sct_derivation_add_source_item(struct sctd_buf *items,
                                                  const struct sct_derivation_source *source,
                                                  struct sctd_error *err);
/* Source Image Sequence of one item. */
SCTD_NODISCARD int sct_derivation_add_source(struct dicom_attributes *to,
                                             const struct sct_derivation_source *source,
                                             struct sctd_error *err);

/* Append an item of Referenced Instance Sequence. */
SCTD_NODISCARD int sct_derivation_add_instance(struct sctd_buf *items,
                                               const struct dicom_source *slice,
                                               struct sctd_error *err);
/* Append an item for each instance of sources[n], in whose order the frames of one stand together. */
SCTD_NODISCARD int sct_derivation_add_instances(struct sctd_buf *items,
                                                const struct dicom_source *source, size_t n,
                                                struct sctd_error *err);
/* Append an item of Referenced Series Sequence: a series and those of its instances that are referred to. */
SCTD_NODISCARD int sct_derivation_add_series_item(struct sctd_buf *items,
                                                  const struct dicom_attribute *series_uid,
                                                  const struct sctd_buf *instances,
                                                  struct sctd_error *err);
/* Referenced Series Sequence of one item. */
SCTD_NODISCARD int sct_derivation_add_series(struct dicom_attributes *to,
                                             const struct dicom_attribute *series_uid,
                                             const struct sctd_buf *instances,
                                             struct sctd_error *err);

#ifdef __cplusplus
}
#endif
