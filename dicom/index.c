/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/index.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/charset.h"
#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "dicom/value.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

/* What is read on the way to the index. */
struct reading {
    struct dicom_index index;
    double position[3], orientation[6];
    double echo_number, temporal_position, b_value;
    double series_number, instance_number, frames;
    uint64_t seen; /* a bit for each row of the table */
};

enum kind {
    KIND_UID,    /* must be one */
    KIND_RAW,    /* bytes as they are */
    KIND_TEXT,   /* to be UTF-8 */
    KIND_NUMBER, /* double[count] */
};

struct row {
    uint32_t tag;
    enum kind kind;
    size_t offset; /* in struct reading */
    size_t count;  /* room for text, or numbers */
    const char *vr;
    const char *required; /* its name; NULL: it may be absent */
};

#define AT(field)   offsetof(struct reading, field)
#define ROOM(field) sizeof(((struct reading *)NULL)->field)

#define REQUIRED_UID(tag, field, name)                                                             \
    {(tag), KIND_UID, AT(index.field), DICOM_UID_SIZE, NULL, (name)}
#define TEXT(tag, kind, field)        {(tag), (kind), AT(index.field), ROOM(index.field), NULL, NULL}
#define NUMBER(tag, field, count, vr) {(tag), KIND_NUMBER, AT(field), (count), (vr), NULL}

// clang-format off
static const struct row rows[] = {
    TEXT(0x00080005, KIND_RAW, character_set),
    TEXT(0x00080008, KIND_TEXT, image_type),
    REQUIRED_UID(0x00080016, sop_class_uid, "SOP Class UID"),
    REQUIRED_UID(0x00080018, sop_instance_uid, "SOP Instance UID"),
    TEXT(0x00080060, KIND_TEXT, modality),
    TEXT(0x00080070, KIND_TEXT, manufacturer),
    TEXT(0x00081010, KIND_TEXT, station),
    TEXT(0x00081030, KIND_TEXT, study_description),
    TEXT(0x0008103E, KIND_TEXT, series_description),
    TEXT(0x00081090, KIND_TEXT, model_name),
    TEXT(0x00100010, KIND_RAW, patient_name),
    TEXT(0x00100020, KIND_RAW, patient_id),
    TEXT(0x00180015, KIND_TEXT, body_part),
    NUMBER(0x00180086, echo_number, 1, "IS"),
    TEXT(0x00181030, KIND_TEXT, protocol),
    NUMBER(0x00189087, b_value, 1, "FD"),
    REQUIRED_UID(0x0020000D, study_uid, "Study Instance UID"),
    REQUIRED_UID(0x0020000E, series_uid, "Series Instance UID"),
    NUMBER(0x00200011, series_number, 1, "IS"),
    NUMBER(0x00200013, instance_number, 1, "IS"),
    NUMBER(0x00200032, position, 3, "DS"),
    NUMBER(0x00200037, orientation, 6, "DS"),
    {0x00200052, KIND_RAW, AT(index.frame_of_reference_uid), DICOM_UID_SIZE, NULL, NULL},
    NUMBER(0x00200100, temporal_position, 1, "IS"),
    NUMBER(0x00280008, frames, 1, "IS"),
};
// clang-format on

enum { ROWS = sizeof rows / sizeof rows[0] };

static int read_row(struct reading *reading, const struct row *row, const struct dicom_element *e,
                    struct sctd_error *err)
{
    char *to = (char *)reading + row->offset;
    if (row->kind == KIND_NUMBER) {
        double number[DICOM_NUMBERS_MAX];
        if (dicom_value_numbers(number, e, row->vr) == (int)row->count) {
            memcpy(to, number, row->count * sizeof *number);
        }
        return 0;
    }
    const bool fits = dicom_value_text(to, row->count, e);
    if (row->kind == KIND_UID && (!fits || !dicom_uid_is_valid(to))) {
        return sctd_error(err, SCTD_EDATA, "%s is no UID", row->required);
    }
    return 0;
}

static int read_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct reading *reading = arg;
    if (e->depth != 0 || e->is_sequence) {
        return 0;
    }
    if (e->tag == DICOM_TAG_PIXEL_DATA && e->is_truncated) {
        return sctd_error(err, SCTD_EDATA, "Pixel Data ends too early");
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].tag != e->tag) {
            continue;
        }
        /* Which of two a reader believes is a matter of taste: no two readers may differ. */
        if ((reading->seen >> i & 1) != 0) {
            return sctd_error(err, SCTD_EDATA, "(%04x,%04x) is there twice", e->tag >> 16,
                              e->tag & 0xFFFFU);
        }
        reading->seen |= UINT64_C(1) << i;
        return read_row(reading, &rows[i], e, err);
    }
    return 0;
}

static void convert_texts(struct reading *reading)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].kind == KIND_TEXT) {
            char *text = (char *)reading + rows[i].offset;
            char raw[DICOM_INDEX_TEXT_SIZE];
            memcpy(raw, text, sizeof raw);
            dicom_charset_to_utf8(text, rows[i].count, raw, reading->index.character_set);
        }
    }
}

/* A number that counts, or what stands for none. */
static int32_t whole(double value, int32_t none)
{
    const bool is_whole =
        value > (double)INT32_MIN && value <= (double)INT32_MAX && !(floor(value) < value);
    return is_whole ? (int32_t)value : none;
}

/* NAN if the cosines are none or not at right angles (PS3.3 C.7.6.2.1.1). */
static double slice_position(const struct reading *r)
{
    const double *x = r->orientation;
    const double *y = r->orientation + 3;
    const double normal[3] = {x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2],
                              x[0] * y[1] - x[1] * y[0]};
    double length = 0;
    double along = 0;
    for (int i = 0; i < 3; i++) {
        length += normal[i] * normal[i];
        along += normal[i] * r->position[i];
    }
    return fabs(length - 1) < 0.01 ? along : (double)NAN;
}

static void make_stack(struct dicom_index *index, const struct reading *r)
{
    char text[2 * DICOM_INDEX_TEXT_SIZE];
    char hex[SHA256_HEX_SIZE];
    const int n = snprintf(text, sizeof text, "%s|%g|%g|%g", index->image_type, r->echo_number,
                           r->temporal_position, r->b_value);
    sha256_hex_of(text, n < 0 ? 0 : (size_t)n, hex);
    memcpy(index->stack, hex, sizeof index->stack - 1);
}

static int check_required(const struct reading *reading, struct sctd_error *err)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].required != NULL && (reading->seen >> i & 1) == 0) {
            return sctd_error(err, SCTD_EDATA, "%s is missing", rows[i].required);
        }
    }
    return 0;
}

int dicom_index_read(struct dicom_index *ret_index, const struct dicom_part10 *file,
                     struct sctd_error *err)
{
    struct reading r = {.position = {(double)NAN, (double)NAN, (double)NAN},
                        .orientation = {(double)NAN, (double)NAN, (double)NAN, (double)NAN,
                                        (double)NAN, (double)NAN},
                        .echo_number = (double)NAN,
                        .temporal_position = (double)NAN,
                        .b_value = (double)NAN,
                        .series_number = (double)NAN,
                        .instance_number = (double)NAN,
                        .frames = (double)NAN};
    int status = dicom_prescan(file->data, file->size, file->encoding, read_element, &r, err);
    if (status == 0) {
        status = check_required(&r, err);
    }
    if (status < 0) {
        return status;
    }
    convert_texts(&r);
    struct dicom_index *index = &r.index;
    if (!dicom_uid_is_valid(index->frame_of_reference_uid)) {
        index->frame_of_reference_uid[0] = '\0';
    }
    index->series_number = whole(r.series_number, DICOM_INDEX_NO_NUMBER);
    index->instance_number = whole(r.instance_number, DICOM_INDEX_NO_NUMBER);
    index->frames = whole(r.frames, 1);
    index->frames = index->frames < 1 ? 1 : index->frames;
    index->slice_mm = index->frames > 1 ? (double)NAN : slice_position(&r);
    if (index->frames == 1) {
        make_stack(index, &r);
    }
    *ret_index = *index;
    return 0;
}
