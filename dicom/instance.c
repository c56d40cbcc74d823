/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/instance.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "dicom/refusal.h"
#include "dicom/series.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "dicom/value.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"

#define TAG_SHARED_GROUPS    0x52009229U
#define TAG_PER_FRAME_GROUPS 0x52009230U
#define TAG_MODALITY_LUT     0x00283000U

#define CLASS_CT          "1.2.840.10008.5.1.4.1.1.2"
#define CLASS_ENHANCED_CT "1.2.840.10008.5.1.4.1.1.2.1"
#define CLASS_MR          "1.2.840.10008.5.1.4.1.1.4"
#define CLASS_ENHANCED_MR "1.2.840.10008.5.1.4.1.1.4.1"

struct reader {
    const struct dicom_part10 *file;
    struct dicom_instance *instance;
    struct dicom_frame shared;
    int32_t frame_room;
    uint64_t seen; /* a bit for each attribute of the data set itself that was met */
};

enum kind { KIND_NUMBERS, KIND_WHOLE, KIND_TEXT, KIND_UID, KIND_IDENTITY };
enum owner { OF_INSTANCE, OF_FRAME };

/* An attribute that is read: where it is in the file, and where it goes to. */
struct attribute {
    uint32_t macro; /* sequence it is in, itself in a functional group; 0: the data set itself */
    uint32_t tag;
    enum owner owner;
    enum kind kind;
    size_t offset;  /* in the owner */
    size_t count;   /* numbers, or room for text */
    const char *vr; /* if the encoding does not tell */
    const char *name;
    bool is_soft; /* damaged: as if it were not there, since nothing goes wrong without it */
};

#define INSTANCE(field)   OF_INSTANCE, .offset = offsetof(struct dicom_instance, field)
#define FRAME(field)      OF_FRAME, .offset = offsetof(struct dicom_frame, field)
#define ROOM(type, field) sizeof(((struct type *)NULL)->field)

#define UID(tag_, field_, name_)                                                                   \
    {.tag = (tag_),                                                                                \
     .owner = INSTANCE(field_),                                                                    \
     .kind = KIND_UID,                                                                             \
     .count = DICOM_UID_SIZE,                                                                      \
     .name = (name_)}
#define TEXT(tag_, field_, name_)                                                                  \
    {.tag = (tag_),                                                                                \
     .owner = INSTANCE(field_),                                                                    \
     .kind = KIND_TEXT,                                                                            \
     .count = ROOM(dicom_instance, field_),                                                        \
     .name = (name_)}
#define SOFT_TEXT(tag_, field_)                                                                    \
    {.tag = (tag_),                                                                                \
     .owner = INSTANCE(field_),                                                                    \
     .kind = KIND_TEXT,                                                                            \
     .count = ROOM(dicom_instance, field_),                                                        \
     .is_soft = true}
#define IDENTITY(tag_, field_)                                                                     \
    {.tag = (tag_), .owner = INSTANCE(field_), .kind = KIND_IDENTITY, .name = ""}
#define WHOLE(tag_, field_, vr_, name_)                                                            \
    {.tag = (tag_),                                                                                \
     .owner = INSTANCE(format.field_),                                                             \
     .kind = KIND_WHOLE,                                                                           \
     .count = 1,                                                                                   \
     .vr = (vr_),                                                                                  \
     .name = (name_)}
#define FRAME_TEXT(macro_, tag_, field_, name_)                                                    \
    {.macro = (macro_),                                                                            \
     .tag = (tag_),                                                                                \
     .owner = FRAME(field_),                                                                       \
     .kind = KIND_TEXT,                                                                            \
     .count = ROOM(dicom_frame, field_),                                                           \
     .name = (name_)}
#define SOFT_WHOLE(macro_, tag_, field_, vr_)                                                      \
    {.macro = (macro_),                                                                            \
     .tag = (tag_),                                                                                \
     .owner = FRAME(field_),                                                                       \
     .kind = KIND_WHOLE,                                                                           \
     .count = 1,                                                                                   \
     .vr = (vr_),                                                                                  \
     .is_soft = true}
#define SOFT_NUMBER(macro_, tag_, field_, vr_)                                                     \
    {.macro = (macro_),                                                                            \
     .tag = (tag_),                                                                                \
     .owner = FRAME(field_),                                                                       \
     .kind = KIND_NUMBERS,                                                                         \
     .count = 1,                                                                                   \
     .vr = (vr_),                                                                                  \
     .is_soft = true}
#define FRAME_NUMBERS(macro_, tag_, field_, count_, vr_, name_)                                    \
    {.macro = (macro_),                                                                            \
     .tag = (tag_),                                                                                \
     .owner = FRAME(field_),                                                                       \
     .kind = KIND_NUMBERS,                                                                         \
     .count = (count_),                                                                            \
     .vr = (vr_),                                                                                  \
     .name = (name_)}

// clang-format off
static const struct attribute attributes[] = {
    SOFT_TEXT(0x00080005, character_set),
    FRAME_TEXT(0, 0x00080008, image_type, "Image Type"),
    UID(0x00080016, sop_class_uid, "SOP Class UID"),
    UID(0x00080018, sop_instance_uid, "SOP Instance UID"),
    TEXT(0x00080060, modality, "Modality"),
    SOFT_TEXT(0x00080070, manufacturer),
    SOFT_TEXT(0x00081010, station_name),
    SOFT_TEXT(0x0008103E, series_description),
    IDENTITY(0x00100010, patient_name),
    IDENTITY(0x00100020, patient_id),
    IDENTITY(0x00100030, patient_birth_date),
    SOFT_TEXT(0x00180015, body_part_examined),
    SOFT_NUMBER(0, 0x00180081, echo_time, "DS"),
    SOFT_WHOLE(0, 0x00180086, echo_number, "IS"),
    SOFT_NUMBER(0, 0x00189087, b_value, "FD"),
    UID(0x0020000D, study_instance_uid, "Study Instance UID"),
    UID(0x0020000E, series_instance_uid, "Series Instance UID"),
    FRAME_NUMBERS(0, 0x00200032, position, 3, "DS", "Image Position (Patient)"),
    FRAME_NUMBERS(0, 0x00200037, orientation, 6, "DS", "Image Orientation (Patient)"),
    UID(0x00200052, frame_of_reference_uid, "Frame of Reference UID"),
    SOFT_WHOLE(0, 0x00200100, temporal_position, "IS"),
    WHOLE(0x00280002, samples_per_pixel, "US", "Samples per Pixel"),
    TEXT(0x00280004, format.photometric, "Photometric Interpretation"),
    WHOLE(0x00280008, frame_count, "IS", "Number of Frames"),
    WHOLE(0x00280010, rows, "US", "Rows"),
    WHOLE(0x00280011, columns, "US", "Columns"),
    FRAME_NUMBERS(0, 0x00280030, spacing, 2, "DS", "Pixel Spacing"),
    WHOLE(0x00280100, bits_allocated, "US", "Bits Allocated"),
    WHOLE(0x00280101, bits_stored, "US", "Bits Stored"),
    WHOLE(0x00280102, high_bit, "US", "High Bit"),
    WHOLE(0x00280103, is_signed, "US", "Pixel Representation"),
    FRAME_NUMBERS(0, 0x00281052, rescale_intercept, 1, "DS", "Rescale Intercept"),
    FRAME_NUMBERS(0, 0x00281053, rescale_slope, 1, "DS", "Rescale Slope"),
    FRAME_TEXT(0, 0x00281054, rescale_type, "Rescale Type"),

    SOFT_NUMBER(0x00189114, 0x00189082, echo_time, "FD"),
    SOFT_NUMBER(0x00189117, 0x00189087, b_value, "FD"),
    FRAME_TEXT(0x00189226, 0x00089007, image_type, "Frame Type"),
    FRAME_TEXT(0x00189329, 0x00089007, image_type, "Frame Type"),
    FRAME_TEXT(0x00209111, 0x00209056, stack, "Stack ID"),
    SOFT_WHOLE(0x00209111, 0x00209128, temporal_position, "UL"),
    FRAME_NUMBERS(0x00209113, 0x00200032, position, 3, "DS", "Image Position (Patient)"),
    FRAME_NUMBERS(0x00209116, 0x00200037, orientation, 6, "DS", "Image Orientation (Patient)"),
    FRAME_NUMBERS(0x00289110, 0x00280030, spacing, 2, "DS", "Pixel Spacing"),
    FRAME_NUMBERS(0x00289145, 0x00281052, rescale_intercept, 1, "DS", "Rescale Intercept"),
    FRAME_NUMBERS(0x00289145, 0x00281053, rescale_slope, 1, "DS", "Rescale Slope"),
    FRAME_TEXT(0x00289145, 0x00281054, rescale_type, "Rescale Type"),
};
// clang-format on
static_assert(sizeof attributes / sizeof *attributes <= 64, "struct reader's seen has 64 bits");

/* The first damage stands. */
SCTD_PRINTF(3, 4) static void damage(struct dicom_instance *instance, enum dicom_refusal_code code,
                                     const char *format, ...)
{
    if (instance->is_damaged) {
        return;
    }
    char text[sizeof instance->damage.text];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    instance->is_damaged = true;
    (void)dicom_refusal_set(&instance->damage, code, "%s", n < 0 ? "" : text);
}

#define NONE ((double)NAN)

static const struct dicom_frame untold = {
    .position = {NONE, NONE, NONE},
    .orientation = {NONE, NONE, NONE, NONE, NONE, NONE},
    .spacing = {NONE, NONE},
    .rescale_slope = NONE,
    .rescale_intercept = NONE,
    .echo_time = NONE,
    .b_value = NONE,
    .echo_number = DICOM_NO_NUMBER,
    .temporal_position = DICOM_NO_NUMBER,
};

SCTD_PRINTF(3, 4) static void damage_attribute(struct reader *r, const struct attribute *a,
                                               const char *format, ...)
{
    if (a->is_soft) {
        return;
    }
    char what[80];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    damage(r->instance, DICOM_REFUSAL_BAD_ATTRIBUTE, "%s %s", a->name, what);
}

static void read_numbers(struct reader *r, char *to, const struct attribute *a,
                         const struct dicom_element *e)
{
    double number[DICOM_NUMBERS_MAX];
    const int n = dicom_value_numbers(number, e, a->vr);
    if (n == 0) {
        return;
    }
    if (n < 0 || (size_t)n != a->count) {
        damage_attribute(r, a, "is not %zu number%s", a->count, a->count == 1 ? "" : "s");
        return;
    }
    if (a->kind == KIND_NUMBERS) {
        memcpy(to, number, a->count * sizeof *number);
        return;
    }
    /* INT32_MIN stands for none */
    if (!(number[0] > (double)INT32_MIN && number[0] <= (double)INT32_MAX) ||
        islessgreater(number[0], floor(number[0]))) {
        damage_attribute(r, a, "is no whole number");
        return;
    }
    const int32_t whole = (int32_t)number[0];
    memcpy(to, &whole, sizeof whole);
}

/* `to`: a struct dicom_identity. */
static void read_identity(char *to, const struct dicom_element *e)
{
    size_t n = e->size;
    while (n > 0 && (e->value[n - 1] == ' ' || e->value[n - 1] == '\0')) {
        n--;
    }
    if (n == 0) {
        return;
    }
    struct sha256 hash;
    unsigned char digest[SHA256_SIZE];
    sha256_init(&hash);
    sha256_update(&hash, e->value, n);
    sha256_final(&hash, digest);
    memcpy(to, digest, sizeof(struct dicom_identity));
}

static void read_attribute(struct reader *r, struct dicom_frame *frame, const struct attribute *a,
                           const struct dicom_element *e)
{
    char *to = (a->owner == OF_FRAME ? (char *)frame : (char *)r->instance) + a->offset;
    switch (a->kind) {
    case KIND_NUMBERS:
    case KIND_WHOLE:
        read_numbers(r, to, a, e);
        break;
    case KIND_TEXT:
        if (!dicom_value_text(to, a->count, e)) {
            damage_attribute(r, a, "is no text of at most %zu bytes", a->count - 1);
        }
        break;
    case KIND_UID:
        if (!dicom_value_text(to, a->count, e) || (to[0] != '\0' && !dicom_uid_is_valid(to))) {
            to[0] = '\0';
            damage_attribute(r, a, "is no UID");
        }
        break;
    case KIND_IDENTITY:
        read_identity(to, e);
        break;
    }
}

static void read_by_table(struct reader *r, struct dicom_frame *frame, uint32_t macro,
                          const struct dicom_element *e)
{
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        if (attributes[i].tag != e->tag || attributes[i].macro != macro) {
            continue;
        }
        /* Which of two a reader believes is a matter of taste: no two readers may differ. */
        if (macro == 0 && (r->seen >> i & 1) != 0) {
            damage(r->instance, DICOM_REFUSAL_BAD_ATTRIBUTE, "(%04x,%04x) is there twice",
                   e->tag >> 16, e->tag & 0xFFFFU);
        }
        r->seen |= macro == 0 ? UINT64_C(1) << i : 0;
        read_attribute(r, frame, &attributes[i], e);
    }
}

static struct dicom_extent extent_of(const struct reader *r, const struct dicom_element *e)
{
    return (struct dicom_extent){.offset = (size_t)(e->value - r->file->data), .size = e->size};
}

/* Pixel Padding Value and Range Limit, as bits: US or SS as Pixel Representation says, whatever the VR. */
static void read_padding(struct reader *r, const struct dicom_element *e, int32_t *to, int32_t has)
{
    if (e->size == 2) {
        *to = (int32_t)dicom_prescan_read(e->value, 2, e->big_endian);
        r->instance->format.has_padding |= has;
    } else if (e->size != 0) {
        damage(r->instance, DICOM_REFUSAL_BAD_ATTRIBUTE, "Pixel Padding Value has %zu bytes",
               e->size);
    }
}

static void read_top(struct reader *r, const struct dicom_element *e)
{
    struct dicom_instance *instance = r->instance;
    switch (e->tag) {
    case 0x00280120:
        read_padding(r, e, &instance->format.padding_value, 1);
        break;
    case 0x00280121:
        read_padding(r, e, &instance->format.padding_limit, 2);
        break;
    case DICOM_TAG_PIXEL_DATA:
        if (instance->has_pixels) {
            damage(instance, DICOM_REFUSAL_BAD_ATTRIBUTE, "Pixel Data is there twice");
        }
        instance->has_pixels = true;
        instance->is_encapsulated = e->is_encapsulated;
        instance->is_truncated = e->is_truncated;
        instance->has_words = strcmp(e->vr, "OW") == 0 || e->vr[0] == '\0';
        instance->is_big_endian = e->big_endian;
        instance->pixels = extent_of(r, e);
        break;
    default:
        read_by_table(r, &instance->frame[0], 0, e);
        break;
    }
}

static void read_lut_descriptor(struct reader *r, const struct dicom_element *e)
{
    struct dicom_instance *instance = r->instance;
    if (e->size != 6) {
        damage(instance, DICOM_REFUSAL_BAD_ATTRIBUTE, "LUT Descriptor is not 3 numbers");
        return;
    }
    const int32_t entries = (int32_t)dicom_prescan_read(e->value, 2, e->big_endian);
    instance->lut_entries = entries == 0 ? 65536 : entries;
    instance->lut_first = (int32_t)dicom_prescan_read(e->value + 2, 2, e->big_endian);
    instance->lut_bits = (int32_t)dicom_prescan_read(e->value + 4, 2, e->big_endian);
}

static void read_modality_lut(struct reader *r, const struct dicom_element *e)
{
    if (e->depth != 1 || e->path[0].item != 0) {
        return;
    }
    if (e->tag == 0x00283002) {
        read_lut_descriptor(r, e);
    } else if (e->tag == 0x00283006 && !e->is_sequence) {
        r->instance->has_modality_lut = true;
        r->instance->lut = extent_of(r, e);
    }
}

/* Room for frame `index` of the per-frame groups, which follow the data set's own frame[0]. */
static int make_frame(struct reader *r, int32_t index, struct sctd_error *err)
{
    struct dicom_instance *instance = r->instance;
    if (index >= DICOM_FRAMES_MAX) {
        return sctd_error(err, SCTD_EDATA, "more than %d frames", DICOM_FRAMES_MAX);
    }
    if (index + 1 >= r->frame_room) {
        const int32_t room = r->frame_room * 2 + 15;
        struct dicom_frame *more = realloc(instance->frame, (size_t)room * sizeof *more);
        if (more == NULL) {
            return sctd_error(err, SCTD_ENOMEM, "%d frames", room);
        }
        instance->frame = more;
        r->frame_room = room;
    }
    instance->frame[index + 1] = untold;
    instance->n_frames = index + 1;
    return 0;
}

static int read_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct reader *r = arg;
    if (e->depth == 0) {
        if (!e->is_sequence) {
            read_top(r, e);
        }
        return 0;
    }
    const uint32_t top = e->path[0].sequence;
    const int32_t item = e->path[0].item;
    if (top == TAG_MODALITY_LUT) {
        read_modality_lut(r, e);
    } else if (top == TAG_PER_FRAME_GROUPS && e->depth == 1 && e->tag == DICOM_TAG_ITEM) {
        return make_frame(r, item, err);
    } else if (e->depth == 2 && !e->is_sequence && e->path[1].item == 0) {
        if (top == TAG_PER_FRAME_GROUPS && item < r->instance->n_frames) {
            read_by_table(r, &r->instance->frame[item + 1], e->path[1].sequence, e);
        } else if (top == TAG_SHARED_GROUPS && item == 0) {
            read_by_table(r, &r->shared, e->path[1].sequence, e);
        }
    }
    return 0;
}

static void inherit_numbers(double *to, const double *from, size_t n)
{
    if (isnan(to[0])) {
        memcpy(to, from, n * sizeof *to);
    }
}

static void inherit(struct dicom_frame *to, const struct dicom_frame *from)
{
    inherit_numbers(to->position, from->position, 3);
    inherit_numbers(to->orientation, from->orientation, 6);
    inherit_numbers(to->spacing, from->spacing, 2);
    inherit_numbers(&to->rescale_slope, &from->rescale_slope, 1);
    inherit_numbers(&to->rescale_intercept, &from->rescale_intercept, 1);
    inherit_numbers(&to->echo_time, &from->echo_time, 1);
    inherit_numbers(&to->b_value, &from->b_value, 1);
    if (to->echo_number == DICOM_NO_NUMBER) {
        to->echo_number = from->echo_number;
    }
    if (to->temporal_position == DICOM_NO_NUMBER) {
        to->temporal_position = from->temporal_position;
    }
    if (to->image_type[0] == '\0') {
        memcpy(to->image_type, from->image_type, sizeof to->image_type);
    }
    if (to->rescale_type[0] == '\0') {
        memcpy(to->rescale_type, from->rescale_type, sizeof to->rescale_type);
    }
    if (to->stack[0] == '\0') {
        memcpy(to->stack, from->stack, sizeof to->stack);
    }
}

/* What was read as bits becomes the numbers they stand for. */
static void apply_sign(struct dicom_instance *instance)
{
    if (instance->format.is_signed == 1) {
        instance->format.padding_value = (int16_t)(uint16_t)instance->format.padding_value;
        instance->format.padding_limit = (int16_t)(uint16_t)instance->format.padding_limit;
        instance->lut_first = (int16_t)(uint16_t)instance->lut_first;
    }
}

/* The frames without what the data set says of all of them, which stands before them. */
static void fold_frames(struct reader *r)
{
    struct dicom_instance *instance = r->instance;
    if (!dicom_instance_is_enhanced(instance)) {
        instance->n_frames = 1;
        return;
    }
    const struct dicom_frame of_all = instance->frame[0];
    inherit(&r->shared, &of_all);
    for (int32_t i = 0; i < instance->n_frames; i++) {
        inherit(&instance->frame[i + 1], &r->shared);
    }
    memmove(instance->frame, instance->frame + 1,
            (size_t)instance->n_frames * sizeof *instance->frame);
}

int dicom_instance_read(struct dicom_instance *ret_instance, const struct dicom_part10 *file,
                        struct sctd_error *err)
{
    struct dicom_instance instance = {
        .compression = file->compression,
        .format = {.frame_count = 1,
                   .samples_per_pixel = DICOM_NO_NUMBER,
                   .rows = DICOM_NO_NUMBER,
                   .columns = DICOM_NO_NUMBER,
                   .bits_allocated = DICOM_NO_NUMBER,
                   .bits_stored = DICOM_NO_NUMBER,
                   .high_bit = DICOM_NO_NUMBER,
                   .is_signed = DICOM_NO_NUMBER},
    };
    struct reader r = {.file = file, .instance = &instance, .shared = untold, .frame_room = 1};
    memcpy(instance.transfer_syntax_uid, file->transfer_syntax_uid,
           sizeof instance.transfer_syntax_uid);
    instance.frame = malloc(sizeof *instance.frame);
    if (instance.frame == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a frame");
    }
    instance.frame[0] = untold;
    struct sctd_error why = {0};
    const int status =
        dicom_prescan(file->data, file->size, file->encoding, read_element, &r, &why);
    if (status == SCTD_ENOMEM) {
        dicom_instance_fini(&instance);
        return sctd_error(err, SCTD_ENOMEM, "%s", why.text);
    }
    if (status < 0) {
        damage(&instance, DICOM_REFUSAL_BAD_ATTRIBUTE, "%s", why.text);
    }
    apply_sign(&instance);
    fold_frames(&r);
    *ret_instance = instance;
    return 0;
}

void dicom_instance_fini(struct dicom_instance *instance)
{
    free(instance->frame);
    *instance = (struct dicom_instance){.frame = NULL};
}

bool dicom_instance_is_mr(const struct dicom_instance *instance)
{
    return strcmp(instance->sop_class_uid, CLASS_MR) == 0 ||
           strcmp(instance->sop_class_uid, CLASS_ENHANCED_MR) == 0;
}

bool dicom_instance_is_ct(const struct dicom_instance *instance)
{
    return strcmp(instance->sop_class_uid, CLASS_CT) == 0 ||
           strcmp(instance->sop_class_uid, CLASS_ENHANCED_CT) == 0;
}

bool dicom_instance_is_enhanced(const struct dicom_instance *instance)
{
    return strcmp(instance->sop_class_uid, CLASS_ENHANCED_CT) == 0 ||
           strcmp(instance->sop_class_uid, CLASS_ENHANCED_MR) == 0;
}
