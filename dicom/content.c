/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/content.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

#define TAG_TRAILING_PADDING 0xFFFCFFFCU

/* Bytes of the numbers in a value that big endian turns round; 1: none. */
static size_t width_of(const char *vr)
{
    static const struct {
        char vr[3];
        size_t width;
    } wide[] = {{"US", 2}, {"SS", 2}, {"OW", 2}, {"AT", 2}, {"UL", 4}, {"SL", 4}, {"FL", 4},
                {"OF", 4}, {"OL", 4}, {"FD", 8}, {"OD", 8}, {"SV", 8}, {"UV", 8}, {"OV", 8}};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        if (strcmp(wide[i].vr, vr) == 0) {
            return wide[i].width;
        }
    }
    return 1;
}

static void hash_number(struct sha256 *hash, uint64_t number)
{
    sha256_update(hash, &number, sizeof number);
}

/* Byte `at` of the value in little endian. */
static unsigned char byte_of(const struct dicom_element *e, size_t at, size_t width)
{
    const size_t turned = at / width * width + (width - 1 - at % width);
    return e->value[turned < e->size ? turned : at];
}

static int hash_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct sha256 *hash = arg;
    (void)err;
    if ((e->tag & 0xFFFFU) == 0 || e->tag == TAG_TRAILING_PADDING) {
        return 0;
    }
    const size_t width = e->big_endian ? width_of(e->vr) : 1;
    size_t n = e->size;
    while (n > 0 && e->tag != DICOM_TAG_PIXEL_DATA &&
           (byte_of(e, n - 1, width) == ' ' || byte_of(e, n - 1, width) == '\0')) {
        n--;
    }
    hash_number(hash, e->tag);
    hash_number(hash, (uint64_t)e->depth);
    hash_number(hash, n);
    if (width == 1 && n > 0) {
        sha256_update(hash, e->value, n);
    }
    for (size_t at = 0; width > 1 && at < n; at++) {
        const unsigned char byte = byte_of(e, at, width);
        sha256_update(hash, &byte, 1);
    }
    return 0;
}

static int digest_file(unsigned char ret_digest[SHA256_SIZE], const char *path,
                       struct sctd_error *err)
{
    struct dicom_part10 file = {0};
    int r = dicom_part10_open(&file, path, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "no DICOM any more");
    }
    struct sha256 hash;
    sha256_init(&hash);
    r = dicom_prescan(file.data, file.size, file.encoding, hash_element, &hash, err);
    sha256_final(&hash, ret_digest);
    dicom_part10_close(&file);
    return r;
}

int dicom_content_is_same(bool *ret_same, const char *path, const char *other_path,
                          struct sctd_error *err)
{
    unsigned char a[SHA256_SIZE];
    unsigned char b[SHA256_SIZE];
    int r = digest_file(a, path, err);
    if (r == 0) {
        r = digest_file(b, other_path, err);
    }
    if (r == 0) {
        *ret_same = memcmp(a, b, sizeof a) == 0;
    }
    return r;
}
