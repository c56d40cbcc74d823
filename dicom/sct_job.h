/*
 * sct_job.h - an sCT on its way: what all of its instances share, and where its slices lie.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/attributes.h"
#include "dicom/sct_common.h"
#include "dicom/sct_files.h"
#include "dicom/sct_geometry.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sct_job {
    const struct sct_request *request; /* borrowed */
    struct sct_common common;          /* of every instance */
    struct dicom_attributes of_source; /* Series Instance UID, Irradiation Event UID */
    struct sct_plane *plane;           /* owned; [dim[2]] */
    bool is_enhanced_source;           /* its slices are frames */
    sct_written_fn on_written;
    void *arg;
};

/*
 * Read the sources and prepare all that is not of a single instance.  `job` must be zeroed, and is released
 * by sct_job_fini after a failure too.
 * Errors: SCTD_EINVAL, SCTD_EDATA, SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_job_init(struct sct_job *job, const struct sct_request *request,
                                struct sctd_error *err);
void sct_job_fini(struct sct_job *job);

/* The source of slice k. */
const struct dicom_source *sct_job_get_source(const struct sct_job *job, int32_t k);

/* One CT Image Storage instance a slice.  Errors: SCTD_EINVAL (NaN), SCTD_EIO, SCTD_ENOMEM. */
SCTD_NODISCARD int sct_job_write_slices(const struct sct_job *job, struct sct_files *files,
                                        struct sctd_error *err);

/* One Enhanced CT instance of all slices.  Errors: the same, and SCTD_EINVAL (4 GiB of pixels or more). */
SCTD_NODISCARD int sct_job_write_enhanced(const struct sct_job *job, struct sct_files *files,
                                          struct sctd_error *err);

#ifdef __cplusplus
}
#endif
