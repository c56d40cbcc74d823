/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/part10.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "dicom/prescan.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

enum {
    PREAMBLE_SIZE = 128,
    MAGIC_SIZE = 4,
    HEADER_SIZE = 8,
    RAW_DEFLATE = -15,      /* the largest window, without a header of zlib */
    INFLATE_RATIO_MAX = 50, /* beyond: a bomb */
    INFLATE_FREE = 4 << 20  /* what any file may inflate to */
};
#define INFLATE_MAX             ((size_t)1 << 30)
#define TAG_TRANSFER_SYNTAX_UID 0x00020010U

struct syntax {
    const char *uid;
    enum dicom_compression compression;
    struct dicom_encoding encoding;
    bool is_deflated;
};

#define IMPLICIT_LE {.implicit_vr = true, .big_endian = false}
#define EXPLICIT_LE {.implicit_vr = false, .big_endian = false}
#define EXPLICIT_BE {.implicit_vr = false, .big_endian = true}

static const struct syntax syntaxes[] = {
    {"1.2.840.10008.1.2", DICOM_COMPRESSION_NONE, IMPLICIT_LE, false},
    {"1.2.840.10008.1.2.1", DICOM_COMPRESSION_NONE, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.1.99", DICOM_COMPRESSION_NONE, EXPLICIT_LE, true},
    {"1.2.840.10008.1.2.2", DICOM_COMPRESSION_NONE, EXPLICIT_BE, false},
    {"1.2.840.10008.1.2.5", DICOM_COMPRESSION_RLE, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.50", DICOM_COMPRESSION_JPEG, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.51", DICOM_COMPRESSION_JPEG, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.57", DICOM_COMPRESSION_JPEG, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.70", DICOM_COMPRESSION_JPEG, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.80", DICOM_COMPRESSION_JPEG_LS, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.81", DICOM_COMPRESSION_JPEG_LS, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.90", DICOM_COMPRESSION_JPEG_2000, EXPLICIT_LE, false},
    {"1.2.840.10008.1.2.4.91", DICOM_COMPRESSION_JPEG_2000, EXPLICIT_LE, false},
    /* All others that the standard has are explicit little endian with encapsulated pixels. */
    {"", DICOM_COMPRESSION_UNKNOWN, EXPLICIT_LE, false},
};

static const struct syntax *find_syntax(const char *uid)
{
    const struct syntax *s = syntaxes;
    while (s->uid[0] != '\0' && strcmp(s->uid, uid) != 0) {
        s++;
    }
    return s;
}

struct meta {
    char transfer_syntax_uid[DICOM_UID_SIZE];
};

static int read_meta_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct meta *meta = arg;
    if (e->tag != TAG_TRANSFER_SYNTAX_UID || e->depth != 0) {
        return 0;
    }
    if (e->is_sequence) {
        return sctd_error(err, SCTD_EDATA, "Transfer Syntax UID is a sequence");
    }
    size_t n = e->size;
    while (n > 0 && (e->value[n - 1] == '\0' || e->value[n - 1] == ' ')) {
        n--;
    }
    if (n >= sizeof meta->transfer_syntax_uid || memchr(e->value, '\0', n) != NULL) {
        return sctd_error(err, SCTD_EDATA, "Transfer Syntax UID is no UID");
    }
    memcpy(meta->transfer_syntax_uid, e->value, n);
    return 0;
}

/* How many bytes elements of group 0002, explicit little endian whatever follows them, take. */
static size_t measure_meta(const unsigned char *bytes, size_t size)
{
    static const char long_vrs[] = "OB OW UN UT SQ";
    size_t at = 0;
    while (size - at >= HEADER_SIZE && bytes[at] == 2 && bytes[at + 1] == 0) {
        char vr[3] = {(char)bytes[at + 4], (char)bytes[at + 5], '\0'};
        size_t header = HEADER_SIZE;
        uint64_t length = dicom_prescan_read(bytes + at + 6, 2, false);
        if (strstr(long_vrs, vr) != NULL && size - at >= HEADER_SIZE + 4) {
            header = HEADER_SIZE + 4;
            length = dicom_prescan_read(bytes + at + HEADER_SIZE, 4, false);
        }
        if (length > size - at - header) {
            return size; /* the walk over them will say what is wrong */
        }
        at += header + (size_t)length;
    }
    return at;
}

/* What the first element of a data set looks like; false if like none. */
static bool guess_encoding(struct dicom_encoding *ret_encoding, const unsigned char *p, size_t size)
{
    if (size < HEADER_SIZE) {
        return false;
    }
    const bool big_endian = p[0] == 0;
    const bool explicit_vr = dicom_prescan_is_vr(p + 4);
    const uint64_t group = dicom_prescan_read(p, 2, big_endian);
    const uint64_t length = dicom_prescan_read(p + 4, 4, big_endian);
    if (group != 8 || (!explicit_vr && (big_endian || length > size - HEADER_SIZE))) {
        return false;
    }
    *ret_encoding = (struct dicom_encoding){.implicit_vr = !explicit_vr, .big_endian = big_endian};
    return true;
}

/* What a data set may inflate to. */
static size_t inflate_limit(size_t size)
{
    const size_t limit =
        size > INFLATE_MAX / INFLATE_RATIO_MAX ? INFLATE_MAX : size * INFLATE_RATIO_MAX;
    return limit < INFLATE_FREE ? INFLATE_FREE : limit;
}

/* Twice the room, up to the limit. */
static int grow(unsigned char **out, size_t *capacity, size_t limit, struct sctd_error *err)
{
    size_t more = *capacity == 0 ? (size_t)1 << 16 : *capacity * 2;
    more = more > limit ? limit : more;
    if (more == *capacity) {
        return sctd_error(err, SCTD_EDATA, "inflates beyond %zu bytes", limit);
    }
    unsigned char *moved = realloc(*out, more);
    if (moved == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "inflating to %zu bytes", more);
    }
    *out = moved;
    *capacity = more;
    return 0;
}

/* Inflate into a block that grows with what comes out, not with what is promised. */
static int inflate_data(struct dicom_part10 *file, struct sctd_error *err)
{
    const size_t limit = inflate_limit(file->size);
    if (file->size > UINT_MAX) {
        return sctd_error(err, SCTD_EDATA, "a deflated data set of %zu bytes", file->size);
    }
    z_stream z = {.next_in = file->data, .avail_in = (unsigned)file->size};
    if (inflateInit2(&z, RAW_DEFLATE) != Z_OK) {
        return sctd_error(err, SCTD_ENOMEM, "inflating");
    }
    unsigned char *out = NULL;
    size_t capacity = 0;
    int status = Z_OK;
    int r = 0;
    while (r == 0 && status == Z_OK) {
        r = z.total_out == capacity ? grow(&out, &capacity, limit, err) : 0;
        if (r == 0) {
            z.next_out = out + z.total_out;
            z.avail_out = (unsigned)(capacity - z.total_out);
            status = inflate(&z, Z_NO_FLUSH);
        }
    }
    if (r == 0 && status != Z_STREAM_END) {
        r = sctd_error(err, SCTD_EDATA, "damaged deflated data set after %lu bytes", z.total_out);
    }
    file->size = z.total_out;
    (void)inflateEnd(&z);
    if (r < 0) {
        free(out);
        return r;
    }
    file->inflated = out;
    file->data = out;
    return 0;
}

/* file->data, file->size: after the file meta information. */
static int apply_syntax(struct dicom_part10 *file, struct sctd_error *err)
{
    const struct syntax *syntax = find_syntax(file->transfer_syntax_uid);
    file->encoding = syntax->encoding;
    file->compression = syntax->compression;
    if (syntax->is_deflated) {
        return inflate_data(file, err);
    }
    /* Some writers name one encoding and use the other: the first element shows which. */
    struct dicom_encoding seen;
    if (guess_encoding(&seen, file->data, file->size) &&
        seen.big_endian == file->encoding.big_endian) {
        file->encoding = seen;
    }
    return 0;
}

int dicom_part10_parse(struct dicom_part10 *ret_file, const void *bytes, size_t size,
                       struct sctd_error *err)
{
    struct dicom_part10 file = {.data = bytes, .size = size};
    const bool has_magic = size >= PREAMBLE_SIZE + MAGIC_SIZE &&
                           memcmp(file.data + PREAMBLE_SIZE, "DICM", MAGIC_SIZE) == 0;
    if (has_magic) {
        file.data += PREAMBLE_SIZE + MAGIC_SIZE;
        file.size -= PREAMBLE_SIZE + MAGIC_SIZE;
    }
    const size_t meta_size = measure_meta(file.data, file.size);
    struct meta meta = {.transfer_syntax_uid = ""};
    int r = dicom_prescan(file.data, meta_size, (struct dicom_encoding){.implicit_vr = false},
                          read_meta_element, &meta, err);
    if (r < 0) {
        return has_magic ? r : DICOM_PART10_NO_DICOM;
    }
    file.data += meta_size;
    file.size -= meta_size;
    memcpy(file.transfer_syntax_uid, meta.transfer_syntax_uid, sizeof meta.transfer_syntax_uid);
    if (file.transfer_syntax_uid[0] != '\0') {
        r = apply_syntax(&file, err);
    } else if (!guess_encoding(&file.encoding, file.data, file.size)) {
        r = has_magic ? sctd_error(err, SCTD_EDATA, "no Transfer Syntax UID and no data set")
                      : DICOM_PART10_NO_DICOM;
    }
    if (r != 0) {
        return r;
    }
    *ret_file = file;
    return 0;
}

int dicom_part10_open(struct dicom_part10 *ret_file, const char *path, struct sctd_error *err)
{
    struct sctd_map map = {0};
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    struct dicom_part10 file = {0};
    r = map.size == 0 ? DICOM_PART10_NO_DICOM : dicom_part10_parse(&file, map.data, map.size, err);
    if (r != 0) {
        sctd_map_close(&map);
        return r;
    }
    file.map = map;
    *ret_file = file;
    return 0;
}

void dicom_part10_close(struct dicom_part10 *file)
{
    free(file->inflated);
    sctd_map_close(&file->map);
    *file = (struct dicom_part10){0};
}
