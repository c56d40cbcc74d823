/*
 * nifti.h - a NIfTI-1 image in memory becomes a volume.
 */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read strictly (nifti1.h of the NIfTI Data Format Working Group): single files "n+1" of three dimensions in mm, in either byte order,
 * with the position of the sform, else of the qform; without either there is none, and the file is refused.  RAS becomes LPS.
 * Of gzip-compressed files the bytes are unpacked up to what the header says.
 *
 * Thread safety: pure functions.
 */
#pragma once

#include <stddef.h>

#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* *ret_volume: the caller frees it.  Errors: SCTD_EDATA saying what is wrong, SCTD_ENOMEM. */
SCTD_NODISCARD int nifti_parse(struct volume **ret_volume, const void *bytes, size_t size,
                               struct sctd_error *err);

#ifdef __cplusplus
}
#endif
