/*
 * file_meta.h - the start of a DICOM file of ours (PS3.10 7.1), and the UIDs that say who wrote it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who wrote it (PS3.7 D.3.3.2): the same in all versions; the name changes with what is written. */
#define DICOM_IMPLEMENTATION_CLASS_UID    "2.25.11836677800463604914031677243290474135"
#define DICOM_IMPLEMENTATION_VERSION_NAME "SCTD_1"

#define DICOM_EXPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2.1"

struct dicom_file_meta {
    const char *sop_class_uid, *sop_instance_uid;
    const char *transfer_syntax_uid; /* of the data set that follows */
};

/* Append a preamble of zeros and the meta information. */
SCTD_NODISCARD int dicom_file_meta_start(struct sctd_buf *buf, const struct dicom_file_meta *meta,
                                         struct sctd_error *err);

#ifdef __cplusplus
}
#endif
