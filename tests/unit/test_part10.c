/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/made_dicom.h"
#include "tests/support/temporary.h"

static int parse(struct dicom_part10 *ret_file, const struct made *m)
{
    struct sctd_error err = {0};
    *ret_file = (struct dicom_part10){0};
    return dicom_part10_parse(ret_file, m->bytes, m->size, &err);
}

static void transfer_syntaxes_tell_encoding_and_compression(void)
{
    static const struct {
        const char *uid;
        struct dicom_encoding encoding;
        enum dicom_compression compression;
    } cases[] = {
        {"1.2.840.10008.1.2", {.implicit_vr = true}, DICOM_COMPRESSION_NONE},
        {"1.2.840.10008.1.2.1", {.implicit_vr = false}, DICOM_COMPRESSION_NONE},
        {"1.2.840.10008.1.2.2", {.big_endian = true}, DICOM_COMPRESSION_NONE},
        {"1.2.840.10008.1.2.5", {.implicit_vr = false}, DICOM_COMPRESSION_RLE},
        {"1.2.840.10008.1.2.4.50", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG},
        {"1.2.840.10008.1.2.4.51", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG},
        {"1.2.840.10008.1.2.4.57", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG},
        {"1.2.840.10008.1.2.4.70", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG},
        {"1.2.840.10008.1.2.4.80", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG_LS},
        {"1.2.840.10008.1.2.4.81", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG_LS},
        {"1.2.840.10008.1.2.4.90", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG_2000},
        {"1.2.840.10008.1.2.4.91", {.implicit_vr = false}, DICOM_COMPRESSION_JPEG_2000},
        {"1.2.840.10008.1.2.4.100", {.implicit_vr = false}, DICOM_COMPRESSION_UNKNOWN},
        {"1.2.3", {.implicit_vr = false}, DICOM_COMPRESSION_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m = {.encoding = cases[i].encoding};
        struct dicom_part10 file;
        made_meta(&m, cases[i].uid);
        const size_t meta = m.size;
        made_slice(&m, 0);
        assert(parse(&file, &m) == 0);
        assert(strcmp(file.transfer_syntax_uid, cases[i].uid) == 0);
        assert(file.encoding.implicit_vr == cases[i].encoding.implicit_vr);
        assert(file.encoding.big_endian == cases[i].encoding.big_endian);
        assert(file.compression == cases[i].compression);
        assert(file.data == m.bytes + meta && file.size == m.size - meta);
        dicom_part10_close(&file);
    }
}

static void a_data_set_alone_shows_its_encoding(void)
{
    static const struct dicom_encoding encodings[] = {
        {.implicit_vr = true}, {.implicit_vr = false}, {.big_endian = true}};
    for (size_t i = 0; i < 3; i++) {
        struct made m = {.encoding = encodings[i]};
        struct dicom_part10 file;
        made_slice(&m, 0);
        assert(parse(&file, &m) == 0);
        assert(file.data == m.bytes && file.size == m.size);
        assert(file.encoding.implicit_vr == encodings[i].implicit_vr);
        assert(file.encoding.big_endian == encodings[i].big_endian);
        assert(file.transfer_syntax_uid[0] == '\0');
        assert(file.compression == DICOM_COMPRESSION_NONE);
    }
}

static void an_encoding_that_the_first_element_contradicts_is_not_believed(void)
{
    struct made m = {.encoding = {.implicit_vr = true}};
    struct dicom_part10 file;
    made_meta(&m, "1.2.840.10008.1.2.1");
    made_slice(&m, 0);
    assert(parse(&file, &m) == 0 && file.encoding.implicit_vr);
}

static void what_is_no_dicom_is_told_apart_from_damage(void)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "# a text that is somewhat longer than a header",
                                        "\x89PNG\r\n\x1a\n0000IHDR",
                                        "\x08",
                                        "\x02\x00\x00\x00UL"};
    struct dicom_part10 file;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct made m = {.encoding = {.implicit_vr = false}};
        made_bytes(&m, texts[i], strlen(texts[i]));
        assert(parse(&file, &m) == DICOM_PART10_NO_DICOM);
    }
    struct made m = {.encoding = {.implicit_vr = false}};
    static const unsigned char preamble[128] = {0};
    made_bytes(&m, preamble, sizeof preamble);
    made_bytes(&m, "DICM", 4);
    assert(parse(&file, &m) == SCTD_EDATA);
    made_header(&m, 0x00020010, "UI", 500);
    assert(parse(&file, &m) == SCTD_EDATA);
}

static void a_transfer_syntax_that_is_no_uid_is_damage(void)
{
    char longer[DICOM_UID_SIZE + 2];
    struct made m = {.encoding = {.implicit_vr = false}};
    struct dicom_part10 file;
    memset(longer, '1', sizeof longer);
    longer[DICOM_UID_SIZE] = '\0';
    made_meta(&m, longer);
    assert(parse(&file, &m) == SCTD_EDATA);
}

/* The data set at `from` deflated as PS3.5 A.5 wants: without a header. */
static void deflate_into(struct made *m, const void *from, size_t n)
{
    z_stream z = {.next_in = from, .avail_in = (unsigned)n};
    assert(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_out = m->bytes + m->size;
    z.avail_out = (unsigned)(MADE_MAX - m->size);
    assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
    m->size += z.total_out;
    assert(deflateEnd(&z) == Z_OK);
}

static void a_deflated_data_set_is_inflated(void)
{
    struct made set = {.encoding = {.implicit_vr = false}};
    struct made m = {.encoding = {.implicit_vr = false}};
    struct dicom_part10 file;
    made_slice(&set, 3);
    made_meta(&m, "1.2.840.10008.1.2.1.99");
    const size_t meta = m.size;
    deflate_into(&m, set.bytes, set.size);
    assert(parse(&file, &m) == 0);
    assert(file.size == set.size && memcmp(file.data, set.bytes, set.size) == 0);
    assert(file.inflated != NULL);
    dicom_part10_close(&file);
    for (size_t n = meta; n < m.size; n += 7) {
        struct made part = m;
        part.size = n;
        assert(parse(&file, &part) == SCTD_EDATA);
    }
}

static void a_bomb_is_refused(void)
{
    const size_t n = (size_t)20 << 20;
    unsigned char *zeros = calloc(n, 1);
    struct made m = {.encoding = {.implicit_vr = false}};
    struct dicom_part10 file;
    assert(zeros != NULL);
    made_meta(&m, "1.2.840.10008.1.2.1.99");
    deflate_into(&m, zeros, n);
    assert(parse(&file, &m) == SCTD_EDATA);
    free(zeros);
}

static void files_are_opened(void)
{
    char path[] = TEMPORARY("test_part10");
    struct sctd_error err = {0};
    struct made m = {.encoding = {.implicit_vr = false}};
    struct dicom_part10 file = {0};
    const int fd = mkstemp(path);
    assert(fd >= 0 && dicom_part10_open(&file, path, &err) == DICOM_PART10_NO_DICOM);
    made_meta(&m, "1.2.840.10008.1.2.1");
    made_slice(&m, 0);
    made_write(&m, path);
    assert(dicom_part10_open(&file, path, &err) == 0);
    assert(file.map.size == m.size);
    dicom_part10_close(&file);
    assert(file.map.data == NULL && remove(path) == 0);
    assert(dicom_part10_open(&file, path, &err) == SCTD_EIO);
}

int main(void)
{
    transfer_syntaxes_tell_encoding_and_compression();
    a_data_set_alone_shows_its_encoding();
    an_encoding_that_the_first_element_contradicts_is_not_believed();
    what_is_no_dicom_is_told_apart_from_damage();
    a_transfer_syntax_that_is_no_uid_is_damage();
    a_deflated_data_set_is_inflated();
    a_bomb_is_refused();
    files_are_opened();
    return 0;
}
