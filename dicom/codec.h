/*
 * codec.h - one compressed frame becomes the samples that Pixel Data without compression would have.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

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
    int32_t precision; /* bits of its samples, from dicom_codec_check; 0 if RLE */
};

/*
 * Compare what the stream's header says of size and samples with the format, before a decoder believes it, and
 * set its precision.
 * Returns 0 or DICOM_SERIES_REFUSED: truncated or undecodable pixels.
 */
SCTD_NODISCARD int dicom_codec_check(struct dicom_code_stream *stream,
                                     struct dicom_refusal *ret_refusal);

/*
 * Decode a stream that was checked.  ret_samples: little endian in containers of Bits Allocated, `room` bytes:
 * those of the frame, one more if these are odd.
 * Returns 0 or DICOM_SERIES_REFUSED: undecodable pixels.
 * Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_codec_decode(unsigned char *ret_samples, size_t room,
                                      const struct dicom_code_stream *stream,
                                      struct dicom_refusal *ret_refusal, struct sctd_error *err);

/*
 * The decoders behind it: JPEG and JPEG-LS; JPEG 2000; RLE (DCMTK's fills up with zeros
 * what a segment lacks).
 * Errors: SCTD_EDATA (a damaged stream; the reason is the library's), SCTD_ENOMEM.
 */
SCTD_NODISCARD int dicom_codec_decode_dcmtk(unsigned char *ret_samples, size_t room,
                                            const struct dicom_code_stream *stream,
                                            struct sctd_error *err);
SCTD_NODISCARD int dicom_codec_decode_openjpeg(unsigned char *ret_samples, size_t room,
                                               const struct dicom_code_stream *stream,
                                               struct sctd_error *err);
SCTD_NODISCARD int dicom_codec_decode_rle(unsigned char *ret_samples, size_t room,
                                          const struct dicom_code_stream *stream,
                                          struct sctd_error *err);

#ifdef __cplusplus
}
#endif
