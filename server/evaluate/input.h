/*
 * input.h - an image to be evaluated: a DICOM series, NIfTI or MetaImage, as a volume and whose it is.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "dicom/instance.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum evaluate_input_kind {
    EVALUATE_INPUT_CT,     /* HU: of DICOM, a CT series */
    EVALUATE_INPUT_LABELS, /* whole numbers; no DICOM */
};

struct evaluate_input {
    struct volume *volume; /* owned */
    bool is_dicom;
    struct dicom_identity patient; /* the rest if it is DICOM */
    char frame_of_reference[DICOM_UID_SIZE];
};

void evaluate_input_fini(struct evaluate_input *input); /* leaves it empty */

/*
 * path: a name that ends in .nii, .nii.gz, .mha or .mhd, else a DICOM file or a folder with one series.
 * Errors: SCTD_EDATA (naming the path and the reason), SCTD_EIO, SCTD_ENOMEM.
 */
SCTD_NODISCARD int evaluate_input_read(struct evaluate_input *ret_input, const char *path,
                                       enum evaluate_input_kind kind, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
