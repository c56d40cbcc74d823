/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/found.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/charset.h"
#include "dicom/prescan.h"
#include "dicom/uid.h"
#include "dicom/value.h"
#include "engine/base/error.h"

enum { SET_SIZE = 257, IMAGES_MAX = 10000000 };

struct reading {
    struct dicom_found found;
    char character_set[SET_SIZE];
    uint32_t seen; /* rows, one bit each */
};

enum kind { KIND_CODE, KIND_TEXT, KIND_UID, KIND_COUNT };

struct row {
    uint32_t tag;
    enum kind kind;
    size_t offset, size;
};

#define ROW(tag, kind, member)                                                                     \
    {(tag), (kind), offsetof(struct reading, member), sizeof(((struct reading *)NULL)->member)}

static const struct row rows[] = {
    ROW(0x00080005, KIND_CODE, character_set),
    ROW(0x00080020, KIND_CODE, found.study_date),
    ROW(0x00080050, KIND_TEXT, found.accession),
    ROW(0x00080060, KIND_CODE, found.modality),
    ROW(0x00080070, KIND_TEXT, found.manufacturer),
    ROW(0x00081010, KIND_TEXT, found.station),
    ROW(0x00081030, KIND_TEXT, found.study_description),
    ROW(0x0008103E, KIND_TEXT, found.series_description),
    ROW(0x00100020, KIND_TEXT, found.patient_id),
    ROW(0x00180015, KIND_CODE, found.body_part),
    ROW(0x00181030, KIND_TEXT, found.protocol),
    ROW(0x0020000D, KIND_UID, found.study_uid),
    ROW(0x0020000E, KIND_UID, found.series_uid),
    ROW(0x00201209, KIND_COUNT, found.images),
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void read_row(struct reading *reading, const struct row *row, const struct dicom_element *e)
{
    char *to = (char *)reading + row->offset;
    if (row->kind == KIND_COUNT) {
        double number[DICOM_NUMBERS_MAX];
        if (dicom_value_numbers(number, e, "IS") == 1 && number[0] >= 0 && number[0] < IMAGES_MAX) {
            reading->found.images = (int32_t)number[0];
        }
        return;
    }
    (void)dicom_value_text(to, row->size, e);
    if (row->kind == KIND_UID && !dicom_uid_is_valid(to)) {
        *to = '\0';
    }
}

static int read_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct reading *reading = arg;
    if (e->depth != 0 || e->is_sequence) {
        return 0;
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].tag != e->tag) {
            continue;
        }
        if ((reading->seen >> i & 1U) != 0) {
            return sctd_error(err, SCTD_EDATA, "(%04x,%04x) is there twice", e->tag >> 16,
                              e->tag & 0xFFFFU);
        }
        reading->seen |= UINT32_C(1) << i;
        read_row(reading, &rows[i], e);
        return 0;
    }
    return 0;
}

int dicom_found_read(struct dicom_found *ret_found, const void *bytes, size_t size,
                     struct dicom_encoding encoding, struct sctd_error *err)
{
    struct reading reading = {.found = {.images = -1}};
    const int r = dicom_prescan(bytes, size, encoding, read_element, &reading, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 1; i < ROWS; i++) { /* but the character set itself */
        char raw[DICOM_FOUND_TEXT_SIZE];
        char *text = (char *)&reading + rows[i].offset;
        if (rows[i].kind == KIND_TEXT || rows[i].kind == KIND_CODE) {
            memcpy(raw, text, rows[i].size);
            dicom_charset_to_utf8(text, rows[i].size, raw, reading.character_set);
        }
    }
    *ret_found = reading.found;
    return 0;
}
