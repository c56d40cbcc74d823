/*
 * instance.h - what the headers of one file say about its image and its frames.
 *
 * Of an enhanced instance the functional groups are folded: a frame's own before the shared ones, these
 * before the attributes of the data set (PS3.3 C.7.6.16).
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/part10.h"
#include "dicom/series.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DICOM_FRAMES_MAX = 65536,
    DICOM_IMAGE_TYPE_SIZE = 257,
    DICOM_LABEL_SIZE = 65,
    DICOM_NO_NUMBER = INT32_MIN /* a whole number that the header does not give */
};

/* NAN, DICOM_NO_NUMBER or "" where the header says nothing. */
struct dicom_frame {
    double position[3];    /* Image Position (Patient), mm */
    double orientation[6]; /* Image Orientation (Patient) */
    double spacing[2];     /* Pixel Spacing: between rows, between columns, mm */
    double rescale_slope, rescale_intercept;
    double echo_time; /* ms */
    double b_value;   /* s/mm^2 */
    int32_t echo_number;
    int32_t temporal_position;
    char image_type[DICOM_IMAGE_TYPE_SIZE]; /* Frame Type of an enhanced instance */
    char rescale_type[DICOM_LABEL_SIZE];
    char stack[DICOM_LABEL_SIZE];
};

enum { DICOM_IDENTITY_SIZE = 16 };

/* What stands for the text of an attribute that must not be kept: the beginning of its SHA-256. */
struct dicom_identity {
    unsigned char digest[DICOM_IDENTITY_SIZE];
};

/* The way pixels are kept (PS3.3 C.7.6.3). */
struct dicom_pixel_format {
    int32_t rows, columns;
    int32_t samples_per_pixel;
    int32_t bits_allocated, bits_stored, high_bit;
    int32_t is_signed;                    /* Pixel Representation */
    int32_t frame_count;                  /* Number of Frames; 1 if absent */
    int32_t has_padding;                  /* 1: padding_value is set; 2: padding_limit as well */
    int32_t padding_value, padding_limit; /* stored values */
    char photometric[20];                 /* no padding after it: formats are compared as bytes */
};

/* Where things lie in the bytes of the data set (dicom_part10). */
struct dicom_extent {
    size_t offset, size;
};

struct dicom_instance {
    char sop_class_uid[DICOM_UID_SIZE];
    char sop_instance_uid[DICOM_UID_SIZE];
    char study_instance_uid[DICOM_UID_SIZE];
    char series_instance_uid[DICOM_UID_SIZE];
    char frame_of_reference_uid[DICOM_UID_SIZE];
    char modality[17];
    char character_set[DICOM_LABEL_SIZE];
    char series_description[257]; /* as in the file */
    char manufacturer[257];       /* as in the file */
    char station_name[65];        /* as in the file */
    char body_part_examined[65];
    struct dicom_identity patient_id, patient_name, patient_birth_date;
    struct dicom_pixel_format format;
    enum dicom_compression compression;
    char transfer_syntax_uid[DICOM_UID_SIZE];
    bool has_pixels, is_encapsulated, is_truncated;
    bool has_words;     /* Pixel Data is OW */
    bool is_big_endian; /* Pixel Data and LUT Data */
    bool has_modality_lut;
    struct dicom_extent pixels; /* value of Pixel Data */
    struct dicom_extent lut;    /* LUT Data of the Modality LUT Sequence */
    int32_t lut_first;          /* stored value of the first entry */
    int32_t lut_entries;
    int32_t lut_bits;
    struct dicom_frame *frame; /* owned; [n_frames] */
    int32_t n_frames;
    bool is_damaged;             /* the rest was not read, or has an impossible value: */
    struct dicom_refusal damage; /* why */
};

/*
 * Read the headers in `file`; ret_instance is filled as far as they go and then damaged if something is
 * wrong with the file, which is no error.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_instance_read(struct dicom_instance *ret_instance,
                                       const struct dicom_part10 *file, struct sctd_error *err);
void dicom_instance_fini(struct dicom_instance *instance); /* leaves it empty */

/* Whether the SOP class is one of MR, Enhanced MR, CT, Enhanced CT, and if it has functional groups. */
bool dicom_instance_is_mr(const struct dicom_instance *instance);
bool dicom_instance_is_ct(const struct dicom_instance *instance);
bool dicom_instance_is_enhanced(const struct dicom_instance *instance);

#ifdef __cplusplus
}
#endif
