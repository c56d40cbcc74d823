/* sct_series.h - the new series: what all of its instances say about it (PS3.3 C.7.3.1, C.12.1). */
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
 * Series and the parts of SOP Common that are the same in all instances.
 * charset: the value of the source's Specific Character Set.
 * Errors: SCTD_EINVAL (a description that DICOM cannot hold), SCTD_EDATA, SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_series_add(struct dicom_attributes *to, const struct sct_source *source,
                                  const struct sct_request *request, const struct sct_time *time,
                                  const char *charset, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
