/*
 * quality_page.h - a picture of an sCT beside its source, and what its checks found, for whoever has only a PACS.
 *
 * One Secondary Capture Image (PS3.3 A.8.1) in a series of its own, in the study of the source: patient and study are
 * the source's, byte for byte with their character set.  Source Image Sequence and Referenced Series Sequence name
 * every instance of the sCT and of the source (C.12.4, C.12.2; docs/conformance.md), so that the page leads to both.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QUALITY_PAGE_CLASS "1.2.840.10008.5.1.4.1.1.7" /* Secondary Capture Image Storage */
#define QUALITY_PAGE_NAME  "quality.dcm"

struct quality_page_request {
    const unsigned char
        *pixel; /* [height, width], 0 black ... 255 white; no patient's name on it */
    int32_t width, height;
    /* As in the sct_request that wrote the sCT. */
    const struct dicom_source *source;
    size_t n_sources;
    const struct sct_model *model;
    const struct sct_options *options;
    const struct sct_quality *quality; /* not NULL */
    const char *date_time;
    const char *sct_series_uid;
    const char (*sct_instance_uid)[DICOM_UID_SIZE]; /* [n_sct_instances] that were written */
    size_t n_sct_instances;
    const char *series_uid, *instance_uid; /* of the page: dicom_uid_for_page */
};

/*
 * Write QUALITY_PAGE_NAME into the existing folder `folder`, through a temporary name; file and folder are synced.
 * Errors: SCTD_EINVAL (sizes, UIDs, texts that DICOM cannot hold), SCTD_EDATA (a source that cannot be read again),
 * SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int quality_page_write(const struct quality_page_request *request,
                                      const char *folder, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
