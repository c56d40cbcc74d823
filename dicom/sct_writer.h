/*
 * sct_writer.h - a volume of HU becomes a series of CT Image Storage instances beside its source.
 *
 * Patient, study and frame of reference are the source's, byte for byte with their character set; the
 * series, the equipment and the derivation are ours (PS3.3 A.3, C.7.6.1, C.8.2.1; docs/conformance.md).
 * UIDs are passed in, never made here.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Manufacturer and Manufacturer's Model Name of what is written: how an sCT of ours is known. */
#define SCT_MANUFACTURER "sctd"

/* What an sCT's instances are: a slice each, or one of all slices. */
#define SCT_CT_IMAGE_STORAGE          "1.2.840.10008.5.1.4.1.1.2"
#define SCT_ENHANCED_CT_IMAGE_STORAGE "1.2.840.10008.5.1.4.1.1.2.1"

struct sct_options {
    const char *series_description; /* UTF-8; NULL: "sCT " and the source's */
    int32_t series_number_offset;   /* added to the source's Series Number; 0: 1000 */
    int32_t rescale_intercept;      /* 0 or -1024 */
    bool enhanced;                  /* one Enhanced CT instance instead of one CT Image a slice */
};

struct sct_model {
    const char *name, *version;
    const char *sha256;     /* of the weights */
    bool research_only;     /* Content Qualification RESEARCH, else PRODUCT */
    const char *software;   /* "sctd 0.1.0" */
    const char *arithmetic; /* what the network was computed in: "cpu bf16 amx"; NULL: not said */
};

/* What the checks of an sCT found. */
struct sct_quality {
    bool needs_review; /* at least one of them failed */
    const char *text;  /* one line of ASCII: "9 checks passed", "outline 23.1 mm (at most 15)" */
};

struct sct_request {
    /* HU, any finite or infinite value (rounded to nearest, clamped to what 16 bits hold); slice k goes
     * out as instance k. */
    const struct volume *hu;
    /* What the volume was made from, in the order of the source's slices. */
    const struct dicom_source *source;
    size_t n_sources;
    /* The source slice nearest to instance k; NULL: slice k itself (the sCT is on the source's grid, and
     * then positions, orientation and pixel spacing are copied from it byte for byte). */
    const int32_t *nearest;
    const char *series_uid;
    const char (*instance_uid)[DICOM_UID_SIZE]; /* [hu->grid.dim[2]], or [1] if enhanced */
    const struct sct_model *model;
    const struct sct_options *options;
    const struct sct_quality *quality; /* NULL: nothing was checked */
    const char *date_time;             /* YYYYMMDDHHMMSS.FFFFFF, of creation; NULL: now */
};

/* Called after each instance is written; n_written of n_instances so far. */
typedef void (*sct_written_fn)(void *arg, int32_t n_written, int32_t n_instances);

/*
 * Write the series into the existing folder `folder`, as NNNN.dcm counted along the volume, each file
 * through a temporary name, and sync the folder once at the end.  After an error the files written so
 * far are removed.
 * Errors: SCTD_EINVAL (counts, UIDs, NaN), SCTD_EDATA (a source that cannot be read again), SCTD_EIO,
 * SCTD_ENOMEM.
 */
SCTD_NODISCARD int sct_write_series(const struct sct_request *request, const char *folder,
                                    sct_written_fn on_written, void *arg, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
