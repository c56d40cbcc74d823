/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_inherit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "dicom/tags.h"
#include "engine/base/error.h"

enum need { IF_THERE, MAY_BE_EMPTY, MUST_BE_THERE };

struct row {
    uint32_t tag;
    char vr[3]; /* of the empty value that stands in */
    enum need need;
};

static const struct row inherited[] = {
    {TAG_SPECIFIC_CHARACTER_SET, "CS", IF_THERE},
    /* Patient (C.7.1.1) beyond group 0010 */
    {TAG_PATIENT_NAME, "PN", MAY_BE_EMPTY},
    {TAG_PATIENT_ID, "LO", MAY_BE_EMPTY},
    {TAG_PATIENT_BIRTH_DATE, "DA", MAY_BE_EMPTY},
    {TAG_PATIENT_SEX, "CS", MAY_BE_EMPTY},
    {TAG_REFERENCED_PATIENT_SEQUENCE, "SQ", IF_THERE},
    /* General Study (C.7.2.1) */
    {TAG_STUDY_INSTANCE_UID, "UI", MUST_BE_THERE},
    {TAG_STUDY_DATE, "DA", MAY_BE_EMPTY},
    {TAG_STUDY_TIME, "TM", MAY_BE_EMPTY},
    {TAG_STUDY_ID, "SH", MAY_BE_EMPTY},
    {TAG_ACCESSION_NUMBER, "SH", MAY_BE_EMPTY},
    {TAG_ISSUER_OF_ACCESSION_NUMBER_SEQUENCE, "SQ", IF_THERE},
    {TAG_REFERRING_PHYSICIAN_NAME, "PN", MAY_BE_EMPTY},
    {TAG_REFERRING_PHYSICIAN_IDENTIFICATION_SEQUENCE, "SQ", IF_THERE},
    {TAG_CONSULTING_PHYSICIAN_NAME, "PN", IF_THERE},
    {TAG_CONSULTING_PHYSICIAN_IDENTIFICATION_SEQUENCE, "SQ", IF_THERE},
    {TAG_STUDY_DESCRIPTION, "LO", IF_THERE},
    {TAG_PROCEDURE_CODE_SEQUENCE, "SQ", IF_THERE},
    {TAG_PHYSICIANS_OF_RECORD, "PN", IF_THERE},
    {TAG_PHYSICIANS_OF_RECORD_IDENTIFICATION_SEQUENCE, "SQ", IF_THERE},
    {TAG_NAME_OF_PHYSICIANS_READING_STUDY, "PN", IF_THERE},
    {TAG_PHYSICIANS_READING_STUDY_IDENTIFICATION_SEQUENCE, "SQ", IF_THERE},
    {TAG_REFERENCED_STUDY_SEQUENCE, "SQ", IF_THERE},
    {TAG_REQUESTING_SERVICE, "LO", IF_THERE},
    {TAG_REQUESTING_SERVICE_CODE_SEQUENCE, "SQ", IF_THERE},
    {TAG_REASON_FOR_PERFORMED_PROCEDURE_CODE_SEQUENCE, "SQ", IF_THERE},
    /* Patient Study (C.7.2.2) beyond group 0010 */
    {TAG_ADMITTING_DIAGNOSES_DESCRIPTION, "LO", IF_THERE},
    {TAG_ADMITTING_DIAGNOSES_CODE_SEQUENCE, "SQ", IF_THERE},
    {TAG_REASON_FOR_VISIT, "UT", IF_THERE},
    {TAG_REASON_FOR_VISIT_CODE_SEQUENCE, "SQ", IF_THERE},
    {TAG_ADMISSION_ID, "LO", IF_THERE},
    {TAG_ISSUER_OF_ADMISSION_ID_SEQUENCE, "SQ", IF_THERE},
    {TAG_SERVICE_EPISODE_ID, "LO", IF_THERE},
    {TAG_SERVICE_EPISODE_DESCRIPTION, "LO", IF_THERE},
    {TAG_ISSUER_OF_SERVICE_EPISODE_ID_SEQUENCE, "SQ", IF_THERE},
    {TAG_PATIENT_STATE, "LO", IF_THERE},
    /* what was examined and for which request (C.7.3.1) */
    {TAG_BODY_PART_EXAMINED, "CS", IF_THERE},
    {TAG_LATERALITY, "CS", IF_THERE},
    {TAG_REQUEST_ATTRIBUTES_SEQUENCE, "SQ", IF_THERE},
    /* what holds for all dates of the object, those of the study included (C.12.1) */
    {TAG_TIMEZONE_OFFSET_FROM_UTC, "SH", IF_THERE},
    {TAG_LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, "CS", IF_THERE},
    /* a face that can be recognised, or was removed, is so in the sCT (C.7.6.1) */
    {TAG_RECOGNIZABLE_VISUAL_FEATURES, "CS", IF_THERE},
};

/* Frame of Reference (C.7.4.1), and how the patient lay in it (C.7.3.1). */
static const struct row inherited_space[] = {
    {TAG_FRAME_OF_REFERENCE_UID, "UI", MUST_BE_THERE},
    {TAG_POSITION_REFERENCE_INDICATOR, "LO", MAY_BE_EMPTY},
    {TAG_PATIENT_POSITION, "CS", MAY_BE_EMPTY},
};

/* Groups whose elements all describe the patient, or the patient's and study's part in a trial ... */
static const uint32_t groups[] = {0x0010, 0x0012};
/* ... but for those of an acquisition or of the series (C.7.3.2). */
static const uint32_t not_inherited[] = {
    TAG_EXAMINED_BODY_THICKNESS, TAG_CLINICAL_TRIAL_COORDINATING_CENTER_NAME,
    TAG_CLINICAL_TRIAL_SERIES_ID, TAG_CLINICAL_TRIAL_SERIES_DESCRIPTION,
    TAG_ISSUER_OF_CLINICAL_TRIAL_SERIES_ID};

/* What tells one patient, study or frame of reference from another. */
static const uint32_t identity[] = {
    TAG_SPECIFIC_CHARACTER_SET, TAG_PATIENT_NAME,          TAG_PATIENT_ID,
    TAG_ISSUER_OF_PATIENT_ID,   TAG_PATIENT_BIRTH_DATE,    TAG_PATIENT_SEX,
    TAG_STUDY_INSTANCE_UID,     TAG_FRAME_OF_REFERENCE_UID};

/* Without the padding at the end; nothing if there is no element. */
static size_t get_text_size(const struct dicom_attribute *e)
{
    size_t size = e == NULL ? 0 : e->size;
    while (size > 0 && (e->value[size - 1] == ' ' || e->value[size - 1] == '\0')) {
        size--;
    }
    return size;
}

/* Body parts of which there are two (PS3.16 annex L), as Body Part Examined names them. */
static const char *const paired[] = {
    "ACJOINT",  "ANKLE",      "ARM",   "BREAST",  "CALCANEUS",   "CALF",    "CAROTID",
    "CLAVICLE", "EAR",        "ELBOW", "EYE",     "FEMUR",       "FINGER",  "FOOT",
    "FOREARM",  "HAND",       "HIP",   "HUMERUS", "KIDNEY",      "KNEE",    "LEG",
    "LOWERLEG", "OPTICCANAL", "ORBIT", "PATELLA", "RADIUS",      "SCAPULA", "SCJOINT",
    "SHOULDER", "SIJOINT",    "THIGH", "THUMB",   "TIBIAFIBULA", "TMJ",     "TOE",
    "ULNA",     "UPPERARM",   "WRIST", "ZYGOMA"};

/* Laterality must be there, if only empty, unless it is known that the part has no second one (C.7.3.1). */
static int complete_laterality(struct dicom_attributes *to, struct sctd_error *err)
{
    const struct dicom_attribute *part = dicom_attributes_find(to, TAG_BODY_PART_EXAMINED);
    const size_t size = get_text_size(part);
    bool needed = size == 0;
    for (size_t i = 0; !needed && i < sizeof paired / sizeof *paired; i++) {
        needed = strlen(paired[i]) == size && memcmp(paired[i], part->value, size) == 0;
    }
    return needed && dicom_attributes_find(to, TAG_LATERALITY) == NULL
               ? dicom_attributes_set(to, TAG_LATERALITY, "CS", "", 0, err)
               : 0;
}

static int inherit_rows(struct dicom_attributes *to, const struct sct_source *source,
                        const struct row *row, size_t n, struct sctd_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t tag = row[i].tag;
        int r = sct_source_copy(to, source, tag, err);
        const struct dicom_attribute *copy = dicom_attributes_find(to, tag);
        if (r >= 0 && row[i].need == MUST_BE_THERE && (copy == NULL || copy->size == 0)) {
            return sctd_error(err, SCTD_EDATA,
                              "the source has no (%04x,%04x): an sCT needs its study and its frame "
                              "of reference",
                              tag >> 16, tag & 0xffffU);
        }
        if (r >= 0 && row[i].need == MAY_BE_EMPTY && copy == NULL) {
            r = dicom_attributes_set(to, tag, row[i].vr, "", 0, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* Only data that say they are made up have this attribute's YES, and what is derived from them (C.12.1.1):
 * an sCT of a patient shows a patient. */
static int inherit_synthetic(struct dicom_attributes *to, const struct sct_source *source,
                             struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes one = {0};
    int r = sct_source_copy(&one, source, TAG_SYNTHETIC_DATA, err);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    const struct dicom_attribute *says = dicom_attributes_find(&one, TAG_SYNTHETIC_DATA);
    if (strncmp(says->value, "YES", 3) != 0) {
        return 0;
    }
    return dicom_attributes_set_text(to, TAG_SYNTHETIC_DATA, "CS", "YES", err);
}

/* Nothing, or nnnD, nnnW, nnnM, nnnY (PS3.5 6.2, VR AS). */
static bool is_age(const struct dicom_attribute *age)
{
    return age->size == 0 || (age->size == 4 && strspn(age->value, "0123456789") == 3 &&
                              strchr("DWMY", age->value[3]) != NULL);
}

/* A strict reader refuses the whole object for an age that is none, and nobody may guess what it means. */
static void drop_bad_age(struct dicom_attributes *to)
{
    const struct dicom_attribute *age = dicom_attributes_find(to, TAG_PATIENT_AGE);
    if (age != NULL && !is_age(age)) {
        dicom_attributes_remove(to, TAG_PATIENT_AGE);
    }
}

int sct_inherit_subject(struct dicom_attributes *to, const struct sct_source *source,
                        struct sctd_error *err)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        int r = sct_source_copy_group(to, source, groups[i], err);
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < sizeof not_inherited / sizeof *not_inherited; i++) {
        dicom_attributes_remove(to, not_inherited[i]);
    }
    drop_bad_age(to);
    int r = inherit_rows(to, source, inherited, sizeof inherited / sizeof *inherited, err);
    if (r == 0) {
        r = complete_laterality(to, err);
    }
    return r < 0 ? r : inherit_synthetic(to, source, err);
}

int sct_inherit_space(struct dicom_attributes *to, const struct sct_source *source,
                      struct sctd_error *err)
{
    return inherit_rows(to, source, inherited_space,
                        sizeof inherited_space / sizeof *inherited_space, err);
}

static bool is_same_text(const struct dicom_attribute *a, const struct dicom_attribute *b)
{
    const size_t size = get_text_size(a);
    return size == get_text_size(b) && (size == 0 || memcmp(a->value, b->value, size) == 0);
}

int sct_inherit_check(const struct dicom_attributes *from_first, const struct sct_source *other,
                      struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes own = {0};
    for (size_t i = 0; i < sizeof identity / sizeof *identity; i++) {
        const uint32_t tag = identity[i];
        int r = sct_source_copy(&own, other, tag, err);
        if (r < 0) {
            return r;
        }
        if (!is_same_text(dicom_attributes_find(from_first, tag),
                          dicom_attributes_find(&own, tag))) {
            return sctd_error(err, SCTD_EDATA,
                              "the source's instances differ in (%04x,%04x): they are not of one "
                              "patient, study and frame of reference",
                              tag >> 16, tag & 0xffffU);
        }
    }
    return 0;
}
