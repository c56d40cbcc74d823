/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/codec.h"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "engine/base/error.h"

enum { HEADER_SIZE = 64, ROOM = 16 };

/* Two segments for 5 samples of 16 bits: 0x0102, 0x0103, 0x0104, 0x0104, 0x0104. */
static const unsigned char high[] = {0xFC, 1, 0};           /* five times 1, padded */
static const unsigned char low[] = {1, 2, 3, 128, 0xFE, 4}; /* 2, 3, nothing, three times 4 */

static size_t make(unsigned char *ret_bytes, size_t second_at)
{
    memset(ret_bytes, 0, HEADER_SIZE);
    ret_bytes[0] = 2;
    ret_bytes[4] = HEADER_SIZE;
    ret_bytes[8] = (unsigned char)second_at;
    memcpy(ret_bytes + HEADER_SIZE, high, sizeof high);
    memcpy(ret_bytes + HEADER_SIZE + sizeof high, low, sizeof low);
    return HEADER_SIZE + sizeof high + sizeof low;
}

static int decode(unsigned char *ret_samples, const unsigned char *bytes, size_t n, int32_t bits)
{
    const struct dicom_pixel_format format = {.rows = 1, .columns = 5, .bits_allocated = bits};
    const struct dicom_code_stream stream = {
        .bytes = bytes, .size = n, .compression = DICOM_COMPRESSION_RLE, .format = &format};
    struct sctd_error err = {0};
    return dicom_codec_decode_rle(ret_samples, ROOM, &stream, &err);
}

static void runs_and_literals_are_unpacked_into_little_endian(void)
{
    static const unsigned char want[10] = {2, 1, 3, 1, 4, 1, 4, 1, 4, 1};
    unsigned char bytes[128];
    unsigned char samples[ROOM];
    const size_t n = make(bytes, HEADER_SIZE + sizeof high);
    assert(decode(samples, bytes, n, 16) == 0 && memcmp(samples, want, sizeof want) == 0);
    memset(bytes + n, 0, 3); /* padding of the fragment */
    assert(decode(samples, bytes, n + 3, 16) == 0 && memcmp(samples, want, sizeof want) == 0);
}

static void every_cut_is_told(void)
{
    unsigned char bytes[128];
    unsigned char samples[ROOM];
    const size_t size = make(bytes, HEADER_SIZE + sizeof high);
    for (size_t n = 0; n < size; n++) {
        assert(decode(samples, bytes, n, 16) == SCTD_EDATA);
    }
}

static void segments_must_lie_in_the_stream_in_their_order(void)
{
    unsigned char bytes[128];
    unsigned char samples[ROOM];
    static const size_t seconds[] = {0, 63, HEADER_SIZE, HEADER_SIZE + 1, HEADER_SIZE + 9, 200};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        const size_t n = make(bytes, seconds[i]);
        assert(decode(samples, bytes, n, 16) == SCTD_EDATA);
    }
    const size_t n = make(bytes, HEADER_SIZE + sizeof high);
    assert(decode(samples, bytes, n, 8) == SCTD_EDATA);
    assert(decode(samples, bytes, n, 32) == SCTD_EDATA);
    bytes[7] = 0xFF;
    assert(decode(samples, bytes, n, 16) == SCTD_EDATA);
}

static void more_pixels_than_there_are_is_refused(void)
{
    unsigned char bytes[128];
    unsigned char samples[ROOM];
    const size_t n = make(bytes, HEADER_SIZE + sizeof high);
    bytes[n] = 0xFE;
    bytes[n + 1] = 4;
    assert(decode(samples, bytes, n + 2, 16) == SCTD_EDATA);
}

int main(void)
{
    runs_and_literals_are_unpacked_into_little_endian();
    every_cut_is_told();
    segments_must_lie_in_the_stream_in_their_order();
    more_pixels_than_there_are_is_refused();
    return 0;
}
