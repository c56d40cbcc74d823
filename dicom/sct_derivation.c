/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_derivation.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_text.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { MAX_SHORT_TEXT = 1024 /* characters of VR ST */, MAX_SENTENCES = 65536 };

static const char checked[] = ". Quality: ";
static const char needs_review[] = ". NEEDS REVIEW: ";

/*
 * CID 7203 is extensible and has no code for what a network does to an image; of its codes the one that
 * holds is that slices were resampled, to the network's matrix and back.
 */
static const struct dicom_code of_sct[] = {
    {"SYNTHETIC_CT", "99SCTD", "Synthetic CT by neural network"},
    {"113085", "DCM", "Spatial resampling"}};
static const struct dicom_code of_page[] = {{"113072", "DCM", "Multiplanar reformatting"}};
static const struct dicom_code purpose = {"121322", "DCM",
                                          "Source image for image processing operation"};

/* Who did it, and what was found. */
static int write_sentences(struct sctd_buf *text, const char *what, const struct sct_model *model,
                           const struct sct_quality *quality, struct sctd_error *err)
{
    int r = sctd_buf_printf(text, err, "%s, model %s version %s, weights SHA-256 %s, with %s", what,
                            model->name, model->version, model->sha256, model->software);
    if (r == 0 && quality != NULL) {
        r = sctd_buf_printf(text, err, "%s%s", quality->needs_review ? needs_review : checked,
                            quality->text);
    }
    return r;
}

static int set_description(struct dicom_attributes *to, const struct sctd_buf *text,
                           const char *charset, struct sctd_error *err)
{
    const struct dicom_text_attribute description = {TAG_DERIVATION_DESCRIPTION, "ST",
                                                     sctd_buf_get_text(text)};
    return sct_text_set_cut(to, &description, MAX_SHORT_TEXT, "...", charset, err);
}

static int set_codes(struct dicom_attributes *to, const struct dicom_code *code, size_t n,
                     struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf items = sctd_buf_make(4UL * MAX_SHORT_TEXT);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = dicom_attributes_add_code_item(&items, &code[i], err);
    }
    return r < 0 ? r : dicom_attributes_set_items(to, TAG_DERIVATION_CODE_SEQUENCE, &items, err);
}

int sct_derivation_describe(struct dicom_attributes *to, const struct sct_model *model,
                            const struct sct_quality *quality, const char *charset,
                            struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(MAX_SENTENCES);
    int r =
        write_sentences(&text, "Synthetic CT computed by a neural network", model, quality, err);
    if (r == 0) {
        r = set_description(to, &text, charset, err);
    }
    return r < 0 ? r : set_codes(to, of_sct, sizeof of_sct / sizeof *of_sct, err);
}

int sct_derivation_describe_page(struct dicom_attributes *to, const struct sct_model *model,
                                 const struct sct_quality *quality, const char *charset,
                                 struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(MAX_SENTENCES);
    int r = write_sentences(&text,
                            "Planes of a source and of the synthetic CT that a neural network made "
                            "of it",
                            model, quality, err);
    if (r == 0) {
        r = set_description(to, &text, charset, err);
    }
    return r < 0 ? r : set_codes(to, of_page, sizeof of_page / sizeof *of_page, err);
}

int sct_derivation_add_scheme(struct dicom_attributes *to, struct sctd_error *err)
{
    static const struct dicom_text_attribute texts[] = {
        {TAG_CODING_SCHEME_DESIGNATOR, "SH", "99SCTD"}, {TAG_CODING_SCHEME_NAME, "ST", "sctd"}};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_set_texts(&item, texts, sizeof texts / sizeof *texts, err);
    return r < 0 ? r
                 : dicom_attributes_set_item(to, TAG_CODING_SCHEME_IDENTIFICATION_SEQUENCE, &item,
                                             err);
}

static int set_reference(struct dicom_attributes *to, const struct dicom_source *slice,
                         struct sctd_error *err)
{
    const struct dicom_text_attribute texts[] = {
        {TAG_REFERENCED_SOP_CLASS_UID, "UI", slice->sop_class_uid},
        {TAG_REFERENCED_SOP_INSTANCE_UID, "UI", slice->sop_instance_uid}};
    return dicom_attributes_set_texts(to, texts, sizeof texts / sizeof *texts, err);
}

static int set_source(struct dicom_attributes *item, const struct sct_derivation_source *source,
                      struct sctd_error *err)
{
    int r = set_reference(item, source->slice, err);
    if (r == 0 && source->is_enhanced) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", (int)source->slice->frame + 1);
        r = dicom_attributes_set_text(item, TAG_REFERENCED_FRAME_NUMBER, "IS", number, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_text(item, TAG_SPATIAL_LOCATIONS_PRESERVED, "CS",
                                      source->is_same_grid ? "YES" : "NO", err);
    }
    return r < 0 ? r
                 : dicom_attributes_set_code(item, TAG_PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &purpose,
                                             err);
}

int sct_derivation_add_source_item(struct sctd_buf *items,
                                   const struct sct_derivation_source *source,
                                   struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = set_source(&item, source, err);
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

int sct_derivation_add_source(struct dicom_attributes *to,
                              const struct sct_derivation_source *source, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = set_source(&item, source, err);
    return r < 0 ? r : dicom_attributes_set_item(to, TAG_SOURCE_IMAGE_SEQUENCE, &item, err);
}

int sct_derivation_add_instance(struct sctd_buf *items, const struct dicom_source *slice,
                                struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = set_reference(&item, slice, err);
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

int sct_derivation_add_instances(struct sctd_buf *items, const struct dicom_source *source,
                                 size_t n, struct sctd_error *err)
{
    const char *before = "";
    for (size_t i = 0; i < n; i++) {
        int r = strcmp(source[i].sop_instance_uid, before) == 0
                    ? 0
                    : sct_derivation_add_instance(items, &source[i], err);
        if (r < 0) {
            return r;
        }
        before = source[i].sop_instance_uid;
    }
    return 0;
}

static int set_series(struct dicom_attributes *item, const struct dicom_attribute *series_uid,
                      const struct sctd_buf *instances, struct sctd_error *err)
{
    int r = dicom_attributes_copy(item, series_uid, err);
    return r < 0
               ? r
               : dicom_attributes_set_items(item, TAG_REFERENCED_INSTANCE_SEQUENCE, instances, err);
}

int sct_derivation_add_series_item(struct sctd_buf *items, const struct dicom_attribute *series_uid,
                                   const struct sctd_buf *instances, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = set_series(&item, series_uid, instances, err);
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

int sct_derivation_add_series(struct dicom_attributes *to, const struct dicom_attribute *series_uid,
                              const struct sctd_buf *instances, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = set_series(&item, series_uid, instances, err);
    return r < 0 ? r : dicom_attributes_set_item(to, TAG_REFERENCED_SERIES_SEQUENCE, &item, err);
}
