/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_source.h"
#include "dicom/tags.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

int sct_image_add_pixels(struct dicom_attributes *to, const struct sct_image_format *format,
                         struct sctd_error *err)
{
    if (format->columns > UINT16_MAX || format->rows > UINT16_MAX) {
        return sctd_error(err, SCTD_EINVAL, "an image of %d x %d pixels is larger than DICOM's",
                          (int)format->columns, (int)format->rows);
    }
    const struct {
        uint32_t tag;
        uint16_t value;
    } numbers[] = {{TAG_SAMPLES_PER_PIXEL, 1},
                   {TAG_ROWS, (uint16_t)format->rows},
                   {TAG_COLUMNS, (uint16_t)format->columns},
                   {TAG_BITS_ALLOCATED, format->bits},
                   {TAG_BITS_STORED, format->bits},
                   {TAG_HIGH_BIT, (uint16_t)(format->bits - 1)},
                   {TAG_PIXEL_REPRESENTATION, format->is_signed ? 1 : 0}};
    int r = dicom_attributes_set_text(to, TAG_PHOTOMETRIC_INTERPRETATION, "CS", "MONOCHROME2", err);
    for (size_t i = 0; r == 0 && i < sizeof numbers / sizeof *numbers; i++) {
        r = dicom_attributes_set_u16(to, numbers[i].tag, numbers[i].value, err);
    }
    return r;
}

int sct_image_add_slice(struct dicom_attributes *to, const struct volume_grid *grid,
                        struct sctd_error *err)
{
    const struct sct_image_format format = {
        .columns = grid->dim[0], .rows = grid->dim[1], .bits = 16, .is_signed = true};
    return sct_image_add_pixels(to, &format, err);
}

int sct_image_add_rescale(struct dicom_attributes *to, int32_t intercept, struct sctd_error *err)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", (int)intercept);
    const struct dicom_text_attribute texts[] = {{TAG_RESCALE_INTERCEPT, "DS", text},
                                                 {TAG_RESCALE_SLOPE, "DS", "1"},
                                                 {TAG_RESCALE_TYPE, "LO", "HU"}};
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

int sct_image_add_windows(struct dicom_attributes *to, struct sctd_error *err)
{
    static const struct dicom_text_attribute texts[] = {
        {TAG_WINDOW_CENTER, "DS", "40\\500"},
        {TAG_WINDOW_WIDTH, "DS", "400\\2000"},
        {TAG_WINDOW_CENTER_WIDTH_EXPLANATION, "LO", "Soft tissue\\Bone"}};
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

int sct_image_add_ct(struct dicom_attributes *to, struct sctd_error *err)
{
    static const struct dicom_text_attribute texts[] = {
        {TAG_IMAGE_TYPE, "CS", "DERIVED\\SECONDARY\\AXIAL\\SYNTHETIC"},
        {TAG_KVP, "DS", ""},
        {TAG_ACQUISITION_NUMBER, "IS", ""}};
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

/* Whether the source's code string begins so. */
static int source_says(bool *ret_says, const struct sct_source *source, uint32_t tag,
                       const char *text, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes one = {0};
    int r = sct_source_copy(&one, source, tag, err);
    if (r >= 0) {
        const struct dicom_attribute *copy = dicom_attributes_find(&one, tag);
        *ret_says = copy != NULL && strncmp(copy->value, text, strlen(text)) == 0;
    }
    return r < 0 ? r : 0;
}

/* The method (PS3.3 C.7.6.1.1.5.1) of a transfer syntax that loses something; NULL: it does not. */
static const char *get_lossy_method(const char *transfer_syntax)
{
    static const struct {
        const char *uid, *method;
    } lossy[] = {
        {"1.2.840.10008.1.2.4.50", "ISO_10918_1"}, {"1.2.840.10008.1.2.4.51", "ISO_10918_1"},
        {"1.2.840.10008.1.2.4.81", "ISO_14495_1"}, {"1.2.840.10008.1.2.4.91", "ISO_15444_1"},
        {"1.2.840.10008.1.2.4.93", "ISO_15444_2"}, {"1.2.840.10008.1.2.4.203", "ISO_15444_15"}};
    for (size_t i = 0; i < sizeof lossy / sizeof *lossy; i++) {
        if (strcmp(lossy[i].uid, transfer_syntax) == 0) {
            return lossy[i].method;
        }
    }
    return NULL;
}

/* Ratio and method, the source's own or else what its transfer syntax tells. */
static int add_lossy(struct dicom_attributes *to, const struct sct_source *source,
                     struct sctd_error *err)
{
    int r = dicom_attributes_set_text(to, TAG_LOSSY_IMAGE_COMPRESSION, "CS", "01", err);
    if (r == 0) {
        r = sct_source_copy(to, source, TAG_LOSSY_IMAGE_COMPRESSION_RATIO, err);
    }
    if (r >= 0) {
        r = sct_source_copy(to, source, TAG_LOSSY_IMAGE_COMPRESSION_METHOD, err);
    }
    const char *method = get_lossy_method(sct_source_get_transfer_syntax(source));
    if (r == SCT_SOURCE_ABSENT && method != NULL) {
        r = dicom_attributes_set_text(to, TAG_LOSSY_IMAGE_COMPRESSION_METHOD, "CS", method, err);
    }
    return r < 0 ? r : 0;
}

int sct_image_add_history(struct dicom_attributes *to, const struct sct_source *source,
                          struct sctd_error *err)
{
    bool is_annotated = false;
    bool is_lossy = false;
    int r = source_says(&is_annotated, source, TAG_BURNED_IN_ANNOTATION, "YES", err);
    if (r == 0) {
        r = source_says(&is_lossy, source, TAG_LOSSY_IMAGE_COMPRESSION, "01", err);
    }
    if (r == 0) {
        r = dicom_attributes_set_text(to, TAG_BURNED_IN_ANNOTATION, "CS",
                                      is_annotated ? "YES" : "NO", err);
    }
    if (r < 0) {
        return r;
    }
    is_lossy = is_lossy || get_lossy_method(sct_source_get_transfer_syntax(source)) != NULL;
    return is_lossy ? add_lossy(to, source, err)
                    : dicom_attributes_set_text(to, TAG_LOSSY_IMAGE_COMPRESSION, "CS", "00", err);
}
