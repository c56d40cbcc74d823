/*
 * sct_inherit.h - what our objects have from their source: patient and study, an sCT its frame of reference too.
 *
 * These entities are the source's own, so that all of their attributes are taken over as they are; an
 * attribute that must be there and may be empty (type 2) is made empty where the source lacks it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Patient, study, and of the series what was examined.  Errors: SCTD_EDATA (no study), SCTD_ENOMEM. */
SCTD_NODISCARD int sct_inherit_subject(struct dicom_attributes *to, const struct sct_source *source,
                                       struct sctd_error *err);
/* Frame of reference and Patient Position.  Errors: SCTD_EDATA (no frame of reference), SCTD_ENOMEM. */
SCTD_NODISCARD int sct_inherit_space(struct dicom_attributes *to, const struct sct_source *source,
                                     struct sctd_error *err);

/*
 * That another instance of the series is of the same patient, study and frame of reference.
 * Errors: SCTD_EDATA (it is not), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_inherit_check(const struct dicom_attributes *from_first,
                                     const struct sct_source *other, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
