/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/checks.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/instance.h"
#include "dicom/pixels.h"
#include "dicom/refusal.h"
#include "dicom/scan.h"
#include "dicom/sct_writer.h"
#include "dicom/selector.h"
#include "dicom/series.h"

#define COSINE_TOLERANCE  1e-4
#define SPACING_TOLERANCE 1e-4 /* of the spacing */
#define SPACING_MAX_MM    1000
#define POSITION_MAX_MM   1e6

static const char *class_modality(const struct dicom_instance *instance)
{
    if (dicom_instance_is_mr(instance)) {
        return "MR";
    }
    return dicom_instance_is_ct(instance) ? "CT" : NULL;
}

/* Damaged instances may have lost their class. */
static int check_class(const struct dicom_scanned *const *scanned, size_t n, const char *modality,
                       struct dicom_refusal *ret_refusal)
{
    const struct dicom_instance *first = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct dicom_instance *instance = &scanned[i]->instance;
        if (instance->sop_class_uid[0] == '\0' && instance->is_damaged) {
            continue;
        }
        first = first == NULL ? instance : first;
        if (strcmp(instance->sop_class_uid, first->sop_class_uid) != 0) {
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MIXED_PATIENT,
                                     "instances of SOP classes %s and %s in one series",
                                     first->sop_class_uid, instance->sop_class_uid);
        }
    }
    if (first == NULL) {
        return 0;
    }
    const char *is = class_modality(first);
    if (is == NULL) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNSUPPORTED_CLASS,
                                 "SOP class %s (modality %s) is no MR or CT image",
                                 first->sop_class_uid,
                                 first->modality[0] == '\0' ? "unknown" : first->modality);
    }
    if (modality != NULL && strcmp(modality, is) != 0) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_WRONG_MODALITY,
                                 "a series of %s, %s is wanted", is, modality);
    }
    return 0;
}

static bool is_same_identity(const struct dicom_identity *a, const struct dicom_identity *b)
{
    return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/* The name of the attribute that differs, or NULL. */
static const char *find_other_subject(const struct dicom_instance *a,
                                      const struct dicom_instance *b)
{
    if (!is_same_identity(&a->patient_id, &b->patient_id)) {
        return "Patient ID";
    }
    if (!is_same_identity(&a->patient_name, &b->patient_name)) {
        return "Patient's Name";
    }
    if (!is_same_identity(&a->patient_birth_date, &b->patient_birth_date)) {
        return "Patient's Birth Date";
    }
    return strcmp(a->study_instance_uid, b->study_instance_uid) == 0 ? NULL : "Study Instance UID";
}

static int check_one_subject(const struct dicom_instance *first,
                             const struct dicom_instance *instance,
                             struct dicom_refusal *ret_refusal)
{
    const char *differs = find_other_subject(first, instance);
    if (differs != NULL) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MIXED_PATIENT,
                                 "%s is not the same in all instances", differs);
    }
    if (strcmp(first->frame_of_reference_uid, instance->frame_of_reference_uid) != 0) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MIXED_FRAME_OF_REFERENCE,
                                 "frames of reference %.64s and %.64s in one series",
                                 first->frame_of_reference_uid, instance->frame_of_reference_uid);
    }
    return 0;
}

static int check_identifiers(const struct dicom_instance *instance,
                             struct dicom_refusal *ret_refusal)
{
    const struct {
        const char *value, *name;
    } wanted[] = {
        {instance->sop_class_uid, "SOP Class UID"},
        {instance->sop_instance_uid, "SOP Instance UID"},
        {instance->series_instance_uid, "Series Instance UID"},
        {instance->study_instance_uid, "Study Instance UID"},
        {instance->modality, "Modality"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (wanted[i].value[0] == '\0') {
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE, "%s is missing",
                                     wanted[i].name);
        }
    }
    const char *of_class = class_modality(instance);
    if (of_class == NULL || strcmp(instance->modality, of_class) != 0) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "Modality is %s in an instance of %s", instance->modality,
                                 of_class == NULL ? "another class" : of_class);
    }
    if (instance->frame_of_reference_uid[0] == '\0') {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_NO_GEOMETRY,
                                 "Frame of Reference UID is missing");
    }
    return 0;
}

int dicom_check_instances(const struct dicom_scanned *const *scanned, size_t n,
                          const struct dicom_series_options *options,
                          struct dicom_refusal *ret_refusal)
{
    for (size_t i = 0; i < n && !options->own_objects; i++) {
        if (strcmp(scanned[i]->instance.manufacturer, SCT_MANUFACTURER) == 0) {
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_OWN_OBJECT,
                                     "a synthetic CT made by sctd is no source");
        }
    }
    int r = check_class(scanned, n, options->modality, ret_refusal);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct dicom_instance *instance = &scanned[i]->instance;
        if (instance->is_damaged) {
            *ret_refusal = instance->damage;
            return DICOM_SERIES_REFUSED;
        }
        r = check_identifiers(instance, ret_refusal);
        if (r == 0) {
            r = check_one_subject(&scanned[0]->instance, instance, ret_refusal);
        }
    }
    return r;
}

/* Whether one of the values of an image type is `word`. */
static bool has_value(const char *image_type, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = strstr(image_type, word); at != NULL; at = strstr(at + 1, word)) {
        const bool begins = at == image_type || at[-1] == '\\';
        if (begins && (at[n] == '\0' || at[n] == '\\' || at[n] == ' ')) {
            return true;
        }
    }
    return false;
}

static size_t count_with(const struct dicom_candidate *candidate, size_t n, const char *word)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += has_value(dicom_candidate_get_frame(&candidate[i])->image_type, word) ? 1 : 0;
    }
    return count;
}

/* Numbers of CT have to be HU: other quantities say so (PS3.3 C.11.1.1.2). */
static int check_hu(const struct dicom_candidate *candidate, struct dicom_refusal *ret_refusal)
{
    static const char *const meanings[] = {"", "HU", "HU_MOD", "US"};
    const struct dicom_instance *instance = &candidate->from->instance;
    const struct dicom_frame *frame = dicom_candidate_get_frame(candidate);
    if (!dicom_instance_is_ct(instance) || instance->has_modality_lut) {
        return 0;
    }
    if (isnan(frame->rescale_slope) || isnan(frame->rescale_intercept)) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                 "a CT without Rescale Slope and Rescale Intercept");
    }
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (strcmp(frame->rescale_type, meanings[i]) == 0) {
            return 0;
        }
    }
    return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                             "a CT with Rescale Type %.16s, not HU", frame->rescale_type);
}

int dicom_check_images(const struct dicom_candidate *candidate, size_t n,
                       struct dicom_refusal *ret_refusal)
{
    const size_t localisers = count_with(candidate, n, "LOCALIZER");
    if (localisers > 0) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_LOCALISER,
                                 "%zu of %zu images are localisers", localisers, n);
    }
    if (count_with(candidate, n, "MOSAIC") > 0) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MOSAIC,
                                 "a mosaic: slices are tiles of one image");
    }
    const struct dicom_scanned *checked = NULL;
    for (size_t i = 0; i < n; i++) {
        int r = check_hu(&candidate[i], ret_refusal);
        if (r == 0 && candidate[i].from != checked) {
            checked = candidate[i].from;
            r = dicom_pixels_check(&checked->instance, ret_refusal);
        }
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

enum { CHOICES_MAX = 16 };

/* The different values that frames have under one key. */
struct choices {
    size_t n; /* CHOICES_MAX: or more */
    char value[CHOICES_MAX][DICOM_IMAGE_TYPE_SIZE];
};

static void find_choices(struct choices *ret_choices, enum dicom_selector_key key,
                         const struct dicom_candidate *candidate, size_t n)
{
    ret_choices->n = 0;
    for (size_t i = 0; i < n && ret_choices->n < CHOICES_MAX; i++) {
        char *value = ret_choices->value[ret_choices->n];
        dicom_selector_describe(value, DICOM_IMAGE_TYPE_SIZE, key,
                                dicom_candidate_get_frame(&candidate[i]));
        size_t same = 0;
        while (strcmp(ret_choices->value[same], value) != 0) {
            same++;
        }
        ret_choices->n += same == ret_choices->n ? 1 : 0;
    }
}

/* " echo=1, echo=2" behind the text as far as there is room. */
static void append_choices(char *text, size_t room, const struct choices *choices,
                           enum dicom_selector_key key)
{
    for (size_t i = 0; i < choices->n; i++) {
        const size_t used = strlen(text);
        const int n = snprintf(text + used, room - used, "%s%s=%s", i == 0 ? " " : ", ",
                               dicom_selector_key_name(key), choices->value[i]);
        if (n < 0 || (size_t)n + 4 >= room - used) {
            (void)snprintf(text + used, room - used, " ...");
            return;
        }
    }
}

static bool is_decided(const struct dicom_series_options *options, enum dicom_selector_key key)
{
    for (size_t i = 0; i < options->n_selectors; i++) {
        if (options->selector[i].key == key) {
            return true;
        }
    }
    return false;
}

int dicom_check_one_volume(const struct dicom_candidate *candidate, size_t n,
                           const struct dicom_series_options *options,
                           struct dicom_refusal *ret_refusal)
{
    /* Dixon's parts differ in image type as well: that is asked last. */
    static const enum dicom_selector_key keys[] = {
        DICOM_SELECT_STACK,    DICOM_SELECT_DIXON,   DICOM_SELECT_ECHO,
        DICOM_SELECT_TEMPORAL, DICOM_SELECT_B_VALUE, DICOM_SELECT_IMAGE_TYPE,
    };
    char text[sizeof ret_refusal->text] = "";
    size_t several = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct choices choices;
        if (is_decided(options, keys[i]) || (keys[i] == DICOM_SELECT_IMAGE_TYPE && several > 0)) {
            continue;
        }
        find_choices(&choices, keys[i], candidate, n);
        if (choices.n > 1) {
            const size_t used = strlen(text);
            (void)snprintf(text + used, sizeof text - used, "%s",
                           several == 0 ? "several volumes: select one of" : "; and of");
            append_choices(text, sizeof text, &choices, keys[i]);
            several++;
        }
    }
    return several == 0 ? 0
                        : dicom_refusal_set(ret_refusal, DICOM_REFUSAL_SEVERAL_VOLUMES, "%s", text);
}

int dicom_check_nothing_selected(const struct dicom_candidate *candidate, size_t n,
                                 const struct dicom_series_options *options,
                                 struct dicom_refusal *ret_refusal)
{
    char text[sizeof ret_refusal->text] = "";
    for (size_t i = 0; i < options->n_selectors; i++) {
        const struct dicom_selector *s = &options->selector[i];
        bool matches = false;
        for (size_t k = 0; k < n && !matches; k++) {
            matches = dicom_selector_matches(s, dicom_candidate_get_frame(&candidate[k]));
        }
        if (!matches) {
            struct choices choices;
            find_choices(&choices, s->key, candidate, n);
            (void)snprintf(text, sizeof text, "nothing has %s=%.64s; there is",
                           dicom_selector_key_name(s->key), s->value);
            append_choices(text, sizeof text, &choices, s->key);
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_NOTHING_SELECTED, "%s", text);
        }
    }
    return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_NOTHING_SELECTED,
                             "nothing matches all of the %zu selectors", options->n_selectors);
}

static bool is_within(const double *value, size_t n, double limit)
{
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(value[i]) <= limit)) {
            return false;
        }
    }
    return true;
}

static bool is_near(const double *a, const double *b, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) {
        if (fabs(a[i] - b[i]) > tolerance) {
            return false;
        }
    }
    return true;
}

static int check_geometry_there(const struct dicom_frame *f, struct dicom_refusal *ret_refusal)
{
    const bool has_position = is_within(f->position, 3, POSITION_MAX_MM);
    const bool has_orientation = is_within(f->orientation, 6, 2);
    const bool has_spacing =
        is_within(f->spacing, 2, SPACING_MAX_MM) && f->spacing[0] > 0 && f->spacing[1] > 0;
    if (has_position && has_orientation && has_spacing) {
        return 0;
    }
    const char *name = !has_position      ? "Image Position (Patient)"
                       : !has_orientation ? "Image Orientation (Patient)"
                                          : "Pixel Spacing";
    return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_NO_GEOMETRY, "%s is missing or impossible",
                             name);
}

int dicom_check_grid(const struct dicom_candidate *candidate, size_t n,
                     struct dicom_refusal *ret_refusal)
{
    const struct dicom_frame *first = dicom_candidate_get_frame(&candidate[0]);
    const struct dicom_pixel_format *format = &candidate[0].from->instance.format;
    for (size_t i = 0; i < n; i++) {
        const struct dicom_frame *f = dicom_candidate_get_frame(&candidate[i]);
        const struct dicom_pixel_format *g = &candidate[i].from->instance.format;
        int r = check_geometry_there(f, ret_refusal);
        if (r != 0) {
            return r;
        }
        if (!is_near(f->orientation, first->orientation, 6, COSINE_TOLERANCE)) {
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MIXED_ORIENTATION,
                                     "slices of different orientation, (%.3f %.3f %.3f %.3f %.3f "
                                     "%.3f) and (%.3f %.3f %.3f %.3f %.3f %.3f)",
                                     first->orientation[0], first->orientation[1],
                                     first->orientation[2], first->orientation[3],
                                     first->orientation[4], first->orientation[5],
                                     f->orientation[0], f->orientation[1], f->orientation[2],
                                     f->orientation[3], f->orientation[4], f->orientation[5]);
        }
        if (g->rows != format->rows || g->columns != format->columns) {
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MIXED_SIZE,
                                     "slices of %d x %d and of %d x %d pixels", format->columns,
                                     format->rows, g->columns, g->rows);
        }
        if (!is_near(f->spacing, first->spacing, 2, SPACING_TOLERANCE * first->spacing[0])) {
            return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_MIXED_SIZE,
                                     "pixel spacings %g x %g and %g x %g mm", first->spacing[0],
                                     first->spacing[1], f->spacing[0], f->spacing[1]);
        }
    }
    return 0;
}
