/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/mpps.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dicom/prescan.h"
#include "dicom/references.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "dicom/value.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum { STATUS_SIZE = 17 }; /* a code string and a NUL */

struct reading {
    struct dicom_mpps mpps;
    bool has_status, has_series;
    /* of the series that is being read: its UID comes after some of its instances */
    size_t first;
    char series_uid[DICOM_UID_SIZE];
    bool has_images, has_others;
};

void dicom_mpps_fini(struct dicom_mpps *mpps)
{
    dicom_references_fini(&mpps->references);
    mpps->status = DICOM_MPPS_UNSAID;
}

static void fini_reading(struct reading *reading)
{
    dicom_mpps_fini(&reading->mpps);
}

static int read_status(struct reading *reading, const struct dicom_element *e,
                       struct sctd_error *err)
{
    static const char *const names[] = {[DICOM_MPPS_IN_PROGRESS] = "IN PROGRESS",
                                        [DICOM_MPPS_COMPLETED] = "COMPLETED",
                                        [DICOM_MPPS_DISCONTINUED] = "DISCONTINUED"};
    char text[STATUS_SIZE];
    int r = dicom_references_once(&reading->has_status, "Performed Procedure Step Status", err);
    if (r < 0) {
        return r;
    }
    const bool is_text = !e->is_sequence && dicom_value_text(text, sizeof text, e);
    for (int i = DICOM_MPPS_IN_PROGRESS; is_text && i <= DICOM_MPPS_DISCONTINUED; i++) {
        if (strcmp(names[i], text) == 0) {
            reading->mpps.status = (enum dicom_mpps_status)i;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EDATA, "Performed Procedure Step Status is none");
}

/* The series before this item is whole. */
static int close_series(struct reading *reading, struct sctd_error *err)
{
    struct dicom_references *references = &reading->mpps.references;
    if (reading->first < references->n && reading->series_uid[0] == '\0') {
        return sctd_error(err, SCTD_EDATA, "Series Instance UID of a performed series is missing");
    }
    for (size_t i = reading->first; i < references->n; i++) {
        memcpy(references->item[i].series_uid, reading->series_uid, DICOM_UID_SIZE);
    }
    reading->first = references->n;
    reading->series_uid[0] = '\0';
    reading->has_images = reading->has_others = false;
    return 0;
}

static int read_in_series(struct reading *reading, const struct dicom_element *e,
                          struct sctd_error *err)
{
    switch (e->tag) {
    case DICOM_TAG_ITEM:
        return close_series(reading, err);
    case TAG_SERIES_INSTANCE_UID:
        return dicom_references_uid(reading->series_uid, "Series Instance UID", e, err);
    case TAG_REFERENCED_IMAGE_SEQUENCE:
        return dicom_references_sequence(&reading->has_images, "Referenced Image Sequence", e, err);
    case TAG_REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE:
        return dicom_references_sequence(
            &reading->has_others, "Referenced Non-Image Composite SOP Instance Sequence", e, err);
    default:
        return 0;
    }
}

static int read_element(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct reading *reading = arg;
    struct dicom_references *references = &reading->mpps.references;
    if (e->depth == 0 && e->tag == TAG_PERFORMED_PROCEDURE_STEP_STATUS) {
        return read_status(reading, e, err);
    }
    if (e->depth == 0 && e->tag == TAG_PERFORMED_SERIES_SEQUENCE) {
        return dicom_references_sequence(&reading->has_series, "Performed Series Sequence", e, err);
    }
    if (e->depth == 0 || e->path[0].sequence != TAG_PERFORMED_SERIES_SEQUENCE) {
        return 0;
    }
    if (e->depth == 1) {
        return read_in_series(reading, e, err);
    }
    if (e->depth != 2 ||
        (e->path[1].sequence != TAG_REFERENCED_IMAGE_SEQUENCE &&
         e->path[1].sequence != TAG_REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE)) {
        return 0;
    }
    return e->tag == DICOM_TAG_ITEM ? dicom_references_add(references, 0, err)
                                    : dicom_references_take(references, e, err);
}

int dicom_mpps_read(struct dicom_mpps *ret_mpps, const void *bytes, size_t size,
                    struct dicom_encoding encoding, struct sctd_error *err)
{
    sctd_auto(fini_reading) struct reading reading = {.has_status = false};
    int r = dicom_prescan(bytes, size, encoding, read_element, &reading, err);
    if (r == 0) {
        r = close_series(&reading, err);
    }
    if (r == 0) {
        r = dicom_references_check(&reading.mpps.references, 0, err);
    }
    if (r == 0) {
        *ret_mpps = reading.mpps;
        reading.mpps.references = (struct dicom_references){.item = NULL};
    }
    return r;
}
