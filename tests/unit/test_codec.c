/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/codec.h"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/series.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

/* dcmcjpeg +e1 of 6 x 4 pixels of 8 bits */
static const unsigned char sv1[] = {
    0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10, 0x4A, 0x46, 0x49, 0x46, 0x00, 0x01, 0x01, 0x00, 0x00,
    0x01, 0x00, 0x01, 0x00, 0x00, 0xFF, 0xC3, 0x00, 0x0B, 0x08, 0x00, 0x04, 0x00, 0x06, 0x01,
    0x01, 0x11, 0x00, 0xFF, 0xC4, 0x00, 0x18, 0x00, 0x01, 0x01, 0x01, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x04, 0x05, 0x02, 0x08, 0xFF,
    0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x01, 0x00, 0x00, 0xF3, 0xFB, 0xBB, 0xBB, 0xEF, 0xD1,
    0x45, 0x14, 0x77, 0xBF, 0x4D, 0x29, 0x4A, 0x6F, 0xD4, 0xB5, 0x2A, 0xFF, 0x00, 0xFF, 0xD9};
/* pyjpegls of the same */
static const unsigned char jpeg_ls[] = {
    0xFF, 0xD8, 0xFF, 0xF7, 0x00, 0x0B, 0x08, 0x00, 0x04, 0x00, 0x06, 0x01, 0x01, 0x11, 0x00, 0xFF,
    0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x85, 0x15, 0x62, 0xAC, 0x00, 0x06, 0x08,
    0xE6, 0x29, 0x80, 0x00, 0x65, 0x22, 0xC3, 0x11, 0xE2, 0x10, 0x09, 0xC4, 0xFF, 0xD9};
static const unsigned char pixels[24] = {0,  7,  14, 21, 28, 35, 31, 39,  47,  55,  63,  66,
                                         62, 71, 80, 84, 93, 97, 93, 103, 108, 118, 123, 128};
/* pylibjpeg-openjpeg of 32 x 32 pixels of 8 bits: 3 i + 2 j */
static const unsigned char j2k[] = {
    0xFF, 0x4F, 0xFF, 0x51, 0x00, 0x29, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x20,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x20,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x07, 0x01, 0x01, 0xFF, 0x52, 0x00,
    0x0C, 0x00, 0x00, 0x00, 0x01, 0x00, 0x05, 0x04, 0x04, 0x00, 0x01, 0xFF, 0x5C, 0x00, 0x13, 0x40,
    0x40, 0x48, 0x48, 0x50, 0x48, 0x48, 0x50, 0x48, 0x48, 0x50, 0x48, 0x48, 0x50, 0x48, 0x48, 0x50,
    0xFF, 0x64, 0x00, 0x25, 0x00, 0x01, 0x43, 0x72, 0x65, 0x61, 0x74, 0x65, 0x64, 0x20, 0x62, 0x79,
    0x20, 0x4F, 0x70, 0x65, 0x6E, 0x4A, 0x50, 0x45, 0x47, 0x20, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6F,
    0x6E, 0x20, 0x32, 0x2E, 0x35, 0x2E, 0x30, 0xFF, 0x90, 0x00, 0x0A, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x55, 0x00, 0x01, 0xFF, 0x93, 0xCF, 0xB4, 0x08, 0x05, 0x7F, 0xC3, 0xEA, 0x02, 0x87, 0xD4, 0x04,
    0x01, 0x7F, 0x04, 0x3F, 0xC1, 0xF3, 0x83, 0x83, 0xE7, 0x06, 0x0C, 0xF6, 0xF7, 0x0B, 0x3D, 0x87,
    0xC0, 0xF9, 0x02, 0x40, 0xF9, 0x02, 0x00, 0x22, 0x18, 0x77, 0xBF, 0x03, 0x7F, 0xDD, 0x5F, 0xC0,
    0x7C, 0x22, 0x40, 0x7C, 0x22, 0x00, 0x36, 0xA1, 0x85, 0x3F, 0x3D, 0xA6, 0x34, 0x2F, 0xC0, 0x3A,
    0x24, 0x03, 0xA2, 0x00, 0x5F, 0xA7, 0xC7, 0x31, 0x9D, 0xAC, 0x29, 0x3F, 0xFF, 0xD9};

static const struct dicom_pixel_format small = {.rows = 4,
                                                .columns = 6,
                                                .samples_per_pixel = 1,
                                                .bits_allocated = 8,
                                                .bits_stored = 8,
                                                .high_bit = 7,
                                                .photometric = "MONOCHROME2"};
static const struct dicom_pixel_format square = {.rows = 32,
                                                 .columns = 32,
                                                 .samples_per_pixel = 1,
                                                 .bits_allocated = 8,
                                                 .bits_stored = 8,
                                                 .high_bit = 7,
                                                 .photometric = "MONOCHROME2"};

enum { SV1, JPEG_LS, J2K, STREAMS };

static struct dicom_code_stream get_stream(int i)
{
    static const struct dicom_code_stream streams[STREAMS] = {
        [SV1] = {sv1, sizeof sv1, DICOM_COMPRESSION_JPEG, "1.2.840.10008.1.2.4.70", &small, 0},
        [JPEG_LS] = {jpeg_ls, sizeof jpeg_ls, DICOM_COMPRESSION_JPEG_LS, "1.2.840.10008.1.2.4.80",
                     &small, 0},
        [J2K] = {j2k, sizeof j2k, DICOM_COMPRESSION_JPEG_2000, "1.2.840.10008.1.2.4.90", &square,
                 0},
    };
    return streams[i];
}

/* The refusal's code, or -1. */
static int check(struct dicom_code_stream *stream)
{
    struct dicom_refusal refusal = {.text = ""};
    const int r = dicom_codec_check(stream, &refusal);
    assert(r == 0 || (r == DICOM_SERIES_REFUSED && refusal.text[0] != '\0'));
    return r == 0 ? -1 : (int)refusal.code;
}

static int decode(unsigned char *ret_samples, size_t room, struct dicom_code_stream *stream)
{
    struct dicom_refusal refusal = {.text = ""};
    struct sctd_error err = {0};
    const int code = check(stream);
    if (code >= 0) {
        return code;
    }
    const int r = dicom_codec_decode(ret_samples, room, stream, &refusal, &err);
    assert(r == 0 || (r == DICOM_SERIES_REFUSED && refusal.text[0] != '\0'));
    return r == 0 ? -1 : (int)refusal.code;
}

static void make_square(unsigned char ret_pixels[1024])
{
    for (int i = 0; i < 1024; i++) {
        ret_pixels[i] = (unsigned char)(3 * (i % 32) + 2 * (i / 32));
    }
}

static void streams_of_other_encoders_give_their_pixels(void)
{
    unsigned char want[1024];
    for (int i = 0; i < STREAMS; i++) {
        unsigned char samples[1024] = {0};
        struct dicom_code_stream stream = get_stream(i);
        assert(decode(samples, sizeof samples, &stream) == -1 && stream.precision == 8);
        make_square(want);
        assert(i == J2K ? memcmp(samples, want, sizeof want) == 0
                        : memcmp(samples, pixels, sizeof pixels) == 0);
    }
}

enum { FORMATS = 5, WIDER = 2 };

/* Formats that the streams of this file do not have; JPEG 2000 alone fits into the wider one. */
static struct dicom_pixel_format get_other(struct dicom_pixel_format f, int i)
{
    f.rows += i == 0 ? 1 : 0;
    f.columns -= i == 1 ? 1 : 0;
    if (i == WIDER) {
        f.bits_allocated = 16;
    } else if (i == 3) { /* a bit that the stream does not have */
        f.bits_stored = 7;
        f.high_bit = 8;
    } else if (i == 4) { /* the sign in one */
        f.bits_allocated = 16;
        f.bits_stored = 9;
        f.high_bit = 8;
        f.is_signed = 1;
    }
    return f;
}

static void a_header_that_promises_another_image_is_refused(void)
{
    for (int i = 0; i < STREAMS * FORMATS; i++) {
        struct dicom_code_stream stream = get_stream(i / FORMATS);
        const struct dicom_pixel_format other = get_other(*stream.format, i % FORMATS);
        const bool fits = i / FORMATS == J2K && i % FORMATS == WIDER;
        stream.format = &other;
        assert(check(&stream) == (fits ? -1 : (int)DICOM_REFUSAL_UNDECODABLE_PIXELS));
    }
}

static void a_stream_belongs_to_its_transfer_syntax(void)
{
    static const char *const jpegs[] = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"};
    struct dicom_code_stream stream = get_stream(SV1);
    for (size_t i = 0; i < 2; i++) {
        stream.transfer_syntax_uid = jpegs[i];
        assert(check(&stream) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    }
    stream = get_stream(SV1);
    stream.compression = DICOM_COMPRESSION_JPEG_LS;
    assert(check(&stream) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    stream.compression = DICOM_COMPRESSION_JPEG_2000;
    assert(check(&stream) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    stream = get_stream(J2K);
    stream.compression = DICOM_COMPRESSION_JPEG;
    assert(check(&stream) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
}

static void every_cut_is_told(struct dicom_code_stream whole)
{
    for (size_t n = 0; n < whole.size; n++) {
        struct dicom_code_stream stream = whole;
        stream.size = n;
        assert(check(&stream) ==
               (int)(n < 2 ? DICOM_REFUSAL_UNDECODABLE_PIXELS : DICOM_REFUSAL_TRUNCATED_PIXELS));
    }
}

/* A part of a stream and `tail`, in memory of exactly that size. */
static int decode_with_tail(struct dicom_code_stream stream, size_t part,
                            const unsigned char tail[2])
{
    unsigned char samples[1024];
    unsigned char *copy = calloc(part + 2, 1);
    assert(copy != NULL && part > 0);
    memcpy(copy, stream.bytes, part);
    copy[part] = tail[0];
    copy[part + 1] = tail[1];
    stream.bytes = copy;
    stream.size = part + 2;
    const int r = decode(samples, sizeof samples, &stream);
    free(copy);
    return r;
}

static void an_end_that_was_put_there_helps_nothing(struct dicom_code_stream whole)
{
    static const unsigned char end[2] = {0xFF, 0xD9};
    for (size_t n = 2; n + 4 < whole.size; n++) {
        assert(decode_with_tail(whole, n, end) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    }
}

static void a_stream_without_its_end_is_refused(void)
{
    for (int i = 0; i < STREAMS; i++) {
        every_cut_is_told(get_stream(i));
        an_end_that_was_put_there_helps_nothing(get_stream(i));
    }
}

static void what_pads_a_fragment_is_no_part_of_the_stream(void)
{
    static const unsigned char zeros[2] = {0, 0};
    static const unsigned char ones[2] = {0xFF, 0};
    for (int i = 0; i < STREAMS; i++) {
        const struct dicom_code_stream stream = get_stream(i);
        assert(decode_with_tail(stream, stream.size, zeros) == -1);
        assert(decode_with_tail(stream, stream.size, ones) == -1);
    }
}

/* Change one byte of JPEG 2000 and check. */
static int check_j2k(size_t at, unsigned char byte)
{
    unsigned char copy[sizeof j2k];
    struct dicom_code_stream stream = get_stream(J2K);
    memcpy(copy, j2k, sizeof j2k);
    copy[at] = byte;
    stream.bytes = copy;
    return check(&stream);
}

static void extravagant_jpeg_2000_is_refused(void)
{
    enum {
        X_TILE = 27,
        COMPONENTS = 41,
        PRECISION = 42,
        SUBSAMPLING = 43,
        SCOD = 49,
        LAYERS = 51,
        PART = 128
    };
    assert(check_j2k(X_TILE, 32) == -1);
    assert(check_j2k(X_TILE, 0) == DICOM_REFUSAL_UNDECODABLE_PIXELS); /* no tiles */
    assert(check_j2k(COMPONENTS, 3) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    assert(check_j2k(PRECISION, 8) == DICOM_REFUSAL_UNDECODABLE_PIXELS);    /* 9 bits */
    assert(check_j2k(PRECISION, 0x87) == DICOM_REFUSAL_UNDECODABLE_PIXELS); /* with sign */
    assert(check_j2k(SUBSAMPLING, 2) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
    assert(check_j2k(SCOD, 1) ==
           DICOM_REFUSAL_UNDECODABLE_PIXELS); /* precincts beyond the segment */
    assert(check_j2k(LAYERS, 0x80) == DICOM_REFUSAL_UNDECODABLE_PIXELS); /* 32769 layers */
    assert(check_j2k(PART, 0xFF) ==
           DICOM_REFUSAL_UNDECODABLE_PIXELS); /* a tile-part beyond the end */
}

static void damage_does_no_harm(void)
{
    struct sctd_rng rng = {11};
    unsigned char samples[1024];
    for (int turn = 0; turn < 3000; turn++) {
        struct dicom_code_stream stream = get_stream(turn % STREAMS);
        unsigned char *copy = malloc(stream.size);
        assert(copy != NULL);
        memcpy(copy, stream.bytes, stream.size);
        for (int i = 0; i < 1 + turn % 3; i++) {
            copy[sctd_rng_next(&rng) % stream.size] = (unsigned char)sctd_rng_next(&rng);
        }
        stream.bytes = copy;
        (void)decode(samples, sizeof samples, &stream);
        free(copy);
    }
}

int main(void)
{
    streams_of_other_encoders_give_their_pixels();
    a_header_that_promises_another_image_is_refused();
    a_stream_belongs_to_its_transfer_syntax();
    a_stream_without_its_end_is_refused();
    what_pads_a_fragment_is_no_part_of_the_stream();
    extravagant_jpeg_2000_is_refused();
    damage_does_no_harm();
    return 0;
}
