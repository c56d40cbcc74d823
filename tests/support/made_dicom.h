/* made_dicom.h - data sets for tests, byte by byte, in every encoding. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#define MADE_UNDEFINED 0xFFFFFFFFU

enum { MADE_MAX = 1 << 16 };

struct made {
    struct dicom_encoding encoding;
    size_t size;
    unsigned char bytes[MADE_MAX];
};

static inline void made_bytes(struct made *m, const void *bytes, size_t n)
{
    assert(m->size + n <= MADE_MAX);
    if (n > 0) {
        memcpy(m->bytes + m->size, bytes, n);
    }
    m->size += n;
}

static inline void made_number(struct made *m, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t shift = 8 * (m->encoding.big_endian ? n - 1 - i : i);
        const unsigned char byte = (unsigned char)(value >> shift);
        made_bytes(m, &byte, 1);
    }
}

static inline void made_tag(struct made *m, uint32_t tag)
{
    made_number(m, tag >> 16, 2);
    made_number(m, tag & 0xFFFFU, 2);
}

/* The header of an element, whatever follows. */
static inline void made_header(struct made *m, uint32_t tag, const char *vr, uint32_t length)
{
    static const char long_vrs[] = "OB OW OF OD SQ UN UT UC UR OL OV SV UV";
    made_tag(m, tag);
    if (m->encoding.implicit_vr) {
        made_number(m, length, 4);
        return;
    }
    made_bytes(m, vr, 2);
    if (strstr(long_vrs, vr) != NULL) {
        made_number(m, 0, 2);
        made_number(m, length, 4);
    } else {
        made_number(m, length, 2);
    }
}

static inline void made_item(struct made *m, uint32_t length)
{
    made_tag(m, DICOM_TAG_ITEM);
    made_number(m, length, 4);
}

static inline void made_item_end(struct made *m)
{
    made_tag(m, 0xFFFEE00DU);
    made_number(m, 0, 4);
}

static inline void made_sequence_end(struct made *m)
{
    made_tag(m, 0xFFFEE0DDU);
    made_number(m, 0, 4);
}

static inline void made_element(struct made *m, uint32_t tag, const char *vr, const void *value,
                                size_t n)
{
    made_header(m, tag, vr, (uint32_t)n);
    made_bytes(m, value, n);
}

/* Padded to an even size as its VR wants. */
static inline void made_text(struct made *m, uint32_t tag, const char *vr, const char *text)
{
    const size_t n = strlen(text);
    made_header(m, tag, vr, (uint32_t)(n + n % 2));
    made_bytes(m, text, n);
    made_bytes(m, strcmp(vr, "UI") == 0 ? "" : " ", n % 2);
}

static inline void made_u16(struct made *m, uint32_t tag, uint16_t value)
{
    made_header(m, tag, "US", 2);
    made_number(m, value, 2);
}

/* What an MR slice of 2 x 2 pixels has up to Pixel Data; position: k steps of 3 mm. */
static inline void made_slice_headers(struct made *m, int k, uint16_t pixel_representation)
{
    char text[64];
    made_text(m, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\M");
    made_text(m, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4");
    (void)snprintf(text, sizeof text, "1.2.3.%d", k + 1);
    made_text(m, 0x00080018, "UI", text);
    made_text(m, 0x00080060, "CS", "MR");
    made_text(m, 0x00080070, "LO", "ACME");
    made_text(m, 0x00100010, "PN", "Doe^Jane");
    made_text(m, 0x00100020, "LO", "P-1");
    made_text(m, 0x0020000D, "UI", "1.2.4");
    made_text(m, 0x0020000E, "UI", "1.2.5");
    (void)snprintf(text, sizeof text, "-1.5\\2\\%d", 3 * k);
    made_text(m, 0x00200032, "DS", text);
    made_text(m, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    made_text(m, 0x00200052, "UI", "1.2.6");
    made_u16(m, 0x00280002, 1);
    made_text(m, 0x00280004, "CS", "MONOCHROME2");
    made_u16(m, 0x00280010, 2);
    made_u16(m, 0x00280011, 2);
    made_text(m, 0x00280030, "DS", "1.5\\1.25");
    made_u16(m, 0x00280100, 16);
    made_u16(m, 0x00280101, 12);
    made_u16(m, 0x00280102, 11);
    made_u16(m, 0x00280103, pixel_representation);
}

/* A whole slice; its pixels are 4 k ... 4 k + 3. */
static inline void made_slice(struct made *m, int k)
{
    made_slice_headers(m, k, 0);
    made_header(m, DICOM_TAG_PIXEL_DATA, "OW", 8);
    for (int i = 0; i < 4; i++) {
        made_number(m, (uint64_t)(4 * k + i), 2);
    }
}

/* Preamble and file meta information, which are explicit little endian whatever follows. */
static inline void made_meta(struct made *m, const char *transfer_syntax_uid)
{
    const struct dicom_encoding encoding = m->encoding;
    static const unsigned char preamble[128] = {0};
    const size_t n = strlen(transfer_syntax_uid);
    m->encoding = (struct dicom_encoding){.implicit_vr = false};
    made_bytes(m, preamble, sizeof preamble);
    made_bytes(m, "DICM", 4);
    made_header(m, 0x00020000, "UL", 4);
    made_number(m, 8 + n + n % 2, 4);
    made_text(m, 0x00020010, "UI", transfer_syntax_uid);
    m->encoding = encoding;
}

static inline void made_write(const struct made *m, const char *path)
{
    struct sctd_error err = {0};
    assert(sctd_file_replace(path, m->bytes, m->size, &err) == 0);
}
