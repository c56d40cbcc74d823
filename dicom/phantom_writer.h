/*
 * phantom_writer.h - a made-up volume becomes a series that says so in every object.
 *
 * MR Image Storage or CT Image Storage (PS3.3 A.4, A.3), one instance a slice, Synthetic Data YES.  All series of
 * one seed belong to one patient, one study and one frame of reference.  UIDs, dates and thus the files are
 * a function of the request alone.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum dicom_phantom_kind {
    DICOM_PHANTOM_CT,   /* unsigned, 12 bits stored, intercept -1024 */
    DICOM_PHANTOM_MR,   /* unsigned, 12 bits stored, no rescale */
    DICOM_PHANTOM_CBCT, /* signed, intercept -1000, as linacs write it */
};

struct dicom_phantom_request {
    /* HU, or MR intensities of 0 ... 4095; values beyond what is stored are clamped. */
    const struct volume *image;
    enum dicom_phantom_kind kind;
    uint64_t seed;
    bool female;
    bool t2;                 /* of MR: T2-weighted, else T1-weighted */
    const char *orientation; /* "axial", for the description */
    float
        fill; /* of CBCT: HU outside the field of view; if below -1000, it is Pixel Padding Value */
    const char *software; /* "sctd 0.1.0" */
};

struct dicom_phantom_uids {
    char study[DICOM_UID_SIZE], series[DICOM_UID_SIZE], frame_of_reference[DICOM_UID_SIZE];
};

/* The UIDs that the series will have. */
void dicom_phantom_get_uids(const struct dicom_phantom_request *request,
                            struct dicom_phantom_uids *ret_uids);

/*
 * Write the series into the existing folder, as NNNN.dcm, and sync it.  After an error the files written so
 * far are removed.
 * Errors: SCTD_EINVAL (NaN, a matrix beyond DICOM's), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_phantom_write_series(const struct dicom_phantom_request *request,
                                              const char *folder, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
