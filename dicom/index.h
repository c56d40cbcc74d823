/*
 * index.h - the few attributes of an instance that the job store keeps, read from a data set of a stranger.
 *
 * The whole data set is walked (prescan.h), so that what passes has no impossible length or depth.  Only
 * the four UIDs that say what it is must be there; anything else that is damaged counts as absent,
 * since assembling the series decides what is good enough.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "dicom/part10.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DICOM_INDEX_TEXT_SIZE = 257, /* 64 characters of UTF-8 */
    DICOM_INDEX_RAW_SIZE = 1025,
    DICOM_INDEX_STACK_SIZE = 33,
    DICOM_INDEX_NO_NUMBER = INT32_MIN,
};

/* Texts are "" where the attribute is not there. */
struct dicom_index {
    char sop_class_uid[DICOM_UID_SIZE], sop_instance_uid[DICOM_UID_SIZE];
    char study_uid[DICOM_UID_SIZE], series_uid[DICOM_UID_SIZE];
    char frame_of_reference_uid[DICOM_UID_SIZE];
    char patient_id[DICOM_INDEX_RAW_SIZE],
        patient_name[DICOM_INDEX_RAW_SIZE];    /* as in the data set */
    char character_set[DICOM_INDEX_TEXT_SIZE]; /* (0008,0005) */
    char modality[DICOM_INDEX_TEXT_SIZE], series_description[DICOM_INDEX_TEXT_SIZE];
    char study_description[DICOM_INDEX_TEXT_SIZE], protocol[DICOM_INDEX_TEXT_SIZE];
    char body_part[DICOM_INDEX_TEXT_SIZE], manufacturer[DICOM_INDEX_TEXT_SIZE];
    char model_name[DICOM_INDEX_TEXT_SIZE], station[DICOM_INDEX_TEXT_SIZE];
    char image_type[DICOM_INDEX_TEXT_SIZE]; /* values by backslash */
    char stack
        [DICOM_INDEX_STACK_SIZE]; /* what tells apart volumes in a series, a hash; "": frames do */
    double slice_mm;              /* Image Position (Patient) along the normal; NAN: none */
    int32_t series_number, instance_number; /* DICOM_INDEX_NO_NUMBER: none */
    int32_t frames;                         /* 1 if absent */
};

/*
 * Read it.  Texts are UTF-8 but for the patient's.
 * Errors: SCTD_EDATA (no sound data set, one of the four UIDs missing or none, Pixel Data cut short), saying
 * where and what, without values.
 */
SCTD_NODISCARD int dicom_index_read(struct dicom_index *ret_index, const struct dicom_part10 *file,
                                    struct sctd_error *err);

#ifdef __cplusplus
}
#endif
