/* sct_equipment.h - what made an sCT: our software, and the source's scanner before it. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "dicom/sct_time.h"
#include "dicom/sct_writer.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The General Equipment module (PS3.3 C.7.5.1), and Contributing Equipment Sequence (C.12.1): what the source
 * had in it, the source's scanner (109101), our software with its model (109102).
 * Errors: SCTD_EINVAL (a text of the model that DICOM cannot hold), SCTD_EDATA, SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_equipment_add(struct dicom_attributes *to, const struct sct_source *source,
                                     const struct sct_model *model, const struct sct_time *time,
                                     const char *charset, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
