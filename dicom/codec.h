/*
 * codec.h - one compressed frame becomes the samples that Pixel Data without compression would have.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/series.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_code_stream {
    const unsigned char *bytes;
    size_t size;
    enum dicom_compression compression;
    const char *transfer_syntax_uid;
    const struct dicom_pixel_format *format; /* that dicom_pixels_check has passed; monochrome */
};

/*
 * ret_samples: little endian in containers of Bits Allocated, `room` bytes: those of the frame, one more if
 * these are odd.  What the stream's header says of its size is compared with `format` before a
 * decoder sees it.
 * Returns 0 or DICOM_SERIES_REFUSED: truncated or undecodable pixels.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_codec_decode(unsigned char *ret_samples, size_t room,
                                      const struct dicom_code_stream *stream,
                                      struct dicom_refusal *ret_refusal, struct sctd_error *err);

/* The check of the header alone.  Returns 0 or DICOM_SERIES_REFUSED. */
SCTD_NODISCARD int dicom_codec_check(const struct dicom_code_stream *stream,
                                     struct dicom_refusal *ret_refusal);

/*
 * The decoders, for streams that were checked: RLE, JPEG and JPEG-LS; JPEG 2000.
 * Errors: SCTD_EDATA (a damaged stream; the reason is the library's), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_codec_decode_dcmtk(unsigned char *ret_samples, size_t room,
                                            const struct dicom_code_stream *stream,
                                            struct sctd_error *err);
SCTD_NODISCARD int dicom_codec_decode_openjpeg(unsigned char *ret_samples, size_t room,
                                               const struct dicom_code_stream *stream,
                                               struct sctd_error *err);

#ifdef __cplusplus
}
#endif
