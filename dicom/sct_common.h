/*
 * sct_common.h - what every object of ours has, an sCT or a page that shows one: patient and study of its first source,
 * the program that made it, and when.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "dicom/sct_time.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SCT_CHARSET_SIZE = 256 };

struct sct_common {
    struct dicom_attributes set;
    char charset[SCT_CHARSET_SIZE]; /* Specific Character Set, "" if the source has none */
    struct sct_time time;
};

/*
 * Open a source's file, which must still be the instance that it was when the volume was made.
 * Errors: SCTD_EIO, SCTD_EDATA (another instance, no DICOM), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_common_open_source(struct sct_source **ret_file,
                                          const struct dicom_source *source,
                                          struct sctd_error *err);

/*
 * date_time: as in struct sct_request.  `common` must be zeroed, and is released by sct_common_fini after a failure too.
 * Errors: SCTD_EINVAL (date_time, a text of the model that DICOM cannot hold), SCTD_EDATA (no study), SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_common_init(struct sct_common *common, const struct sct_source *first,
                                   const struct sct_model *model, const char *date_time,
                                   struct sctd_error *err);
void sct_common_fini(struct sct_common *common);

#ifdef __cplusplus
}
#endif
