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

static void streams_of_other_encoders_give_their_pixels(void)
{
    unsigned char samples[1024];
    for (int i = 0; i < STREAMS; i++) {
        struct dicom_code_stream stream = get_stream(i);
        assert(decode(samples, sizeof samples, &stream) == -1 && stream.precision == 8);
        for (int k = 0; k < (i == J2K ? 1024 : 24); k++) {
            assert(samples[k] == (i == J2K ? 3 * (k % 32) + 2 * (k / 32) : pixels[k]));
        }
    }
}

static void a_header_that_promises_another_image_is_refused(void)
{
    for (int i = 0; i < STREAMS; i++) {
        struct dicom_code_stream stream = get_stream(i);
        const struct dicom_pixel_format good = *stream.format;
        struct dicom_pixel_format format[5] = {good, good, good, good, good};
        format[0].rows++;
        format[1].columns--;
        format[2].bits_allocated = 16; /* which JPEG 2000 has room for */
        format[3].high_bit = 8;
        format[3].bits_stored = 7;
        format[4].bits_allocated = 16;
        format[4].bits_stored = 9;
        format[4].high_bit = 8;
        format[4].is_signed = 1; /* and the sign is in a bit that is not there */
        for (int k = 0; k < 5; k++) {
            stream.format = &format[k];
            const bool fits = i == J2K && k == 2;
            assert(check(&stream) == (fits ? -1 : (int)DICOM_REFUSAL_UNDECODABLE_PIXELS));
        }
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

static void a_stream_without_its_end_is_truncated(void)
{
    unsigned char samples[1024];
    for (int i = 0; i < STREAMS; i++) {
        const struct dicom_code_stream whole = get_stream(i);
        for (size_t n = 0; n < whole.size; n++) {
            struct dicom_code_stream stream = whole;
            stream.size = n;
            assert(check(&stream) == (int)(n < 2 ? DICOM_REFUSAL_UNDECODABLE_PIXELS
                                                 : DICOM_REFUSAL_TRUNCATED_PIXELS));
        }
        /* and with an end that was put there */
        for (size_t n = 2; n + 4 < whole.size; n++) {
            unsigned char *copy = malloc(n + 2);
            struct dicom_code_stream stream = whole;
            assert(copy != NULL);
            memcpy(copy, whole.bytes, n);
            memcpy(copy + n, "\xFF\xD9", 2);
            stream.bytes = copy;
            stream.size = n + 2;
            assert(decode(samples, sizeof samples, &stream) == DICOM_REFUSAL_UNDECODABLE_PIXELS);
            free(copy);
        }
    }
}

static void what_pads_a_fragment_is_no_part_of_the_stream(void)
{
    unsigned char samples[1024];
    static const unsigned char tails[][2] = {{0, 0}, {0xFF, 0}};
    for (int i = 0; i < STREAMS; i++) {
        for (int k = 0; k < 2; k++) {
            unsigned char copy[sizeof j2k + 2];
            struct dicom_code_stream stream = get_stream(i);
            memcpy(copy, stream.bytes, stream.size);
            memcpy(copy + stream.size, tails[k], 2);
            stream.bytes = copy;
            stream.size += 2;
            assert(decode(samples, sizeof samples, &stream) == -1);
        }
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
    assert(j2k[X_TILE] == 32 && j2k[COMPONENTS] == 1 && j2k[PRECISION] == 7 && j2k[SCOD] == 0);
    assert(j2k[LAYERS] == 0 && j2k[PART] == 0x55);
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
    a_stream_without_its_end_is_truncated();
    what_pads_a_fragment_is_no_part_of_the_stream();
    extravagant_jpeg_2000_is_refused();
    damage_does_no_harm();
    return 0;
}
