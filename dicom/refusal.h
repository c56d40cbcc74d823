/* refusal.h - how a refusal is written down. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dicom/series.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fill *ret_refusal and yield DICOM_SERIES_REFUSED; what cannot be shown in one line becomes '?'. */
SCTD_PRINTF(3, 4) int dicom_refusal_set(struct dicom_refusal *ret_refusal,
                                        enum dicom_refusal_code code, const char *format, ...);

#ifdef __cplusplus
}
#endif
