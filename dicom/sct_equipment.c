/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_equipment.h"

#include <stddef.h>
#include <stdint.h>

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "dicom/sct_text.h"
#include "dicom/sct_time.h"
#include "dicom/sct_writer.h"
#include "dicom/tags.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { MAX_LONG_STRING = 64, MAX_SHORT_TEXT = 1024 /* characters of VR LO, ST */ };

/* CID 7005 */
static const struct dicom_code acquisition = {"109101", "DCM", "Acquisition Equipment"};
static const struct dicom_code processing = {"109102", "DCM", "Processing Equipment"};

/* What of the source's equipment module describes a contributor. */
static const uint32_t of_scanner[] = {TAG_MANUFACTURER,
                                      TAG_INSTITUTION_NAME,
                                      TAG_STATION_NAME,
                                      TAG_INSTITUTIONAL_DEPARTMENT_NAME,
                                      TAG_MANUFACTURER_MODEL_NAME,
                                      TAG_DEVICE_SERIAL_NUMBER,
                                      TAG_SOFTWARE_VERSIONS};

/*
 * Manufacturer, model name, serial number, versions.  A program has no serial number: what tells one of ours
 * from another are the model's weights, so their hash stands there.
 */
static int set_own(struct dicom_attributes *to, const struct sct_model *model, const char *charset,
                   struct sctd_error *err)
{
    const struct dicom_text_attribute texts[] = {
        {TAG_MANUFACTURER, "LO", SCT_MANUFACTURER},
        {TAG_MANUFACTURER_MODEL_NAME, "LO", SCT_MANUFACTURER},
        {TAG_DEVICE_SERIAL_NUMBER, "LO", model->sha256}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int r = sct_text_set(to, &texts[i], MAX_LONG_STRING, charset, err);
        if (r < 0) {
            return r;
        }
    }
    const char *const versions[] = {model->software, model->name, model->version};
    sctd_auto(sctd_buf_fini) struct sctd_buf all = sctd_buf_make(4096);
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        const struct dicom_text_attribute one = {TAG_SOFTWARE_VERSIONS, "LO", versions[i]};
        int r = sct_text_set(to, &one, MAX_LONG_STRING, charset, err); /* checks its length */
        if (r == 0 && i > 0) {
            r = sctd_buf_text(&all, "\\", err);
        }
        if (r == 0) {
            r = sct_text_encode(&all, versions[i], charset, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return dicom_attributes_set(to, TAG_SOFTWARE_VERSIONS, "LO", all.data, all.size, err);
}

/* Append the items that the source's own sequence has. */
static int add_earlier(struct sctd_buf *items, const struct sct_source *source,
                       struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes one = {0};
    int r = sct_source_copy(&one, source, TAG_CONTRIBUTING_EQUIPMENT_SEQUENCE, err);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    const struct dicom_attribute *sequence =
        dicom_attributes_find(&one, TAG_CONTRIBUTING_EQUIPMENT_SEQUENCE);
    return sctd_buf_append(items, sequence->value, sequence->size, err);
}

static int add_scanner(struct sctd_buf *items, const struct sct_source *source,
                       struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    for (size_t i = 0; i < sizeof of_scanner / sizeof *of_scanner; i++) {
        int r = sct_source_copy(&item, source, of_scanner[i], err);
        if (r < 0) {
            return r;
        }
        const struct dicom_attribute *copy = dicom_attributes_find(&item, of_scanner[i]);
        if (copy != NULL && copy->size == 0) {
            dicom_attributes_remove(&item, of_scanner[i]);
        }
    }
    int r = 0;
    if (dicom_attributes_find(&item, TAG_MANUFACTURER) == NULL) { /* type 1 here, 2 in the source */
        r = dicom_attributes_set_text(&item, TAG_MANUFACTURER, "LO", "unknown", err);
    }
    if (r == 0) {
        r = dicom_attributes_set_code(&item, TAG_PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &acquisition,
                                      err);
    }
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

static int add_software(struct sctd_buf *items, const struct sct_model *model,
                        const struct sct_time *time, const char *charset, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(4096);
    int r = set_own(&item, model, charset, err);
    if (r == 0) {
        r = sctd_buf_printf(&text, err, "Synthetic CT: model %s, version %s, weights SHA-256 %s",
                            model->name, model->version, model->sha256);
    }
    if (r == 0 && model->arithmetic != NULL) {
        r = sctd_buf_printf(&text, err, ", computed with %s", model->arithmetic);
    }
    if (r < 0) {
        return r;
    }
    const struct dicom_text_attribute description = {TAG_CONTRIBUTION_DESCRIPTION, "ST",
                                                     sctd_buf_get_text(&text)};
    r = sct_text_set(&item, &description, MAX_SHORT_TEXT, charset, err);
    if (r == 0) {
        r = dicom_attributes_set_text(&item, TAG_CONTRIBUTION_DATE_TIME, "DT", time->date_time,
                                      err);
    }
    if (r == 0) {
        r = dicom_attributes_set_code(&item, TAG_PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &processing,
                                      err);
    }
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

int sct_equipment_add(struct dicom_attributes *to, const struct sct_source *source,
                      const struct sct_model *model, const struct sct_time *time,
                      const char *charset, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf items = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    int r = set_own(to, model, charset, err);
    if (r == 0) {
        r = add_earlier(&items, source, err);
    }
    if (r == 0) {
        r = add_scanner(&items, source, err);
    }
    if (r == 0) {
        r = add_software(&items, model, time, charset, err);
    }
    return r < 0 ? r
                 : dicom_attributes_set_items(to, TAG_CONTRIBUTING_EQUIPMENT_SEQUENCE, &items, err);
}
