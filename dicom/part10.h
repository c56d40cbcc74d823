/*
 * part10.h - a DICOM file as its transfer syntax and the bytes of its data set.
 *
 * Files with and without preamble and file meta information (PS3.10 7) are taken; a deflated data set is
 * inflated up to a limit.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/prescan.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How Pixel Data is kept (PS3.5 A). */
enum dicom_compression {
    DICOM_COMPRESSION_NONE,
    DICOM_COMPRESSION_RLE,
    DICOM_COMPRESSION_JPEG, /* baseline, extended, lossless */
    DICOM_COMPRESSION_JPEG_LS,
    DICOM_COMPRESSION_JPEG_2000,
    DICOM_COMPRESSION_UNKNOWN, /* a transfer syntax that is not known here */
};

struct dicom_part10 {
    const unsigned char *data; /* the data set */
    size_t size;
    struct dicom_encoding encoding;
    enum dicom_compression compression;
    char transfer_syntax_uid[DICOM_UID_SIZE]; /* "" if the file does not tell */
    struct sctd_map map;                      /* owned; empty after dicom_part10_parse */
    unsigned char *inflated;                  /* owned; NULL if the data set was not deflated */
};

enum { DICOM_PART10_NO_DICOM = 1 };

/*
 * Returns 0 or DICOM_PART10_NO_DICOM, without a look at the data set itself.
 * Errors: SCTD_EIO (the file cannot be read), SCTD_EDATA (it begins as DICOM and is damaged, or inflates
 * beyond the limit), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_part10_open(struct dicom_part10 *ret_file, const char *path,
                                     struct sctd_error *err);
/* The same for bytes, which must outlive the object. */
SCTD_NODISCARD int dicom_part10_parse(struct dicom_part10 *ret_file, const void *bytes, size_t size,
                                      struct sctd_error *err);
void dicom_part10_close(struct dicom_part10 *file); /* leaves it empty */

#ifdef __cplusplus
}
#endif
