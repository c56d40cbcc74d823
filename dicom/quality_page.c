/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/quality_page.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/file_meta.h"
#include "dicom/sct_common.h"
#include "dicom/sct_derivation.h"
#include "dicom/sct_image.h"
#include "dicom/sct_series.h"
#include "dicom/sct_source.h"
#include "dicom/sct_text.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/tags.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

enum { MAX_LONG_TEXT = 10240 /* characters of VR LT */ };

static int check_request(const struct quality_page_request *request, struct sctd_error *err)
{
    if (request->width < 1 || request->height < 1) {
        return sctd_error(err, SCTD_EINVAL, "a quality page of %d x %d pixels", (int)request->width,
                          (int)request->height);
    }
    bool valid = request->n_sources > 0 && request->n_sct_instances > 0 &&
                 dicom_uid_is_valid(request->sct_series_uid) &&
                 dicom_uid_is_valid(request->series_uid) &&
                 dicom_uid_is_valid(request->instance_uid);
    for (size_t i = 0; valid && i < request->n_sct_instances; i++) {
        valid = dicom_uid_is_valid(request->sct_instance_uid[i]);
    }
    return valid ? 0
                 : sctd_error(err, SCTD_EINVAL,
                              "a quality page needs sources and valid UIDs, of its own and of its "
                              "sCT");
}

static int add_series(struct sct_common *common, const struct sct_source *first,
                      const struct quality_page_request *request, struct sctd_error *err)
{
    const int32_t offset = sct_series_get_offset(request->options);
    const struct sct_series series = {.modality = "OT",
                                      .uid = request->series_uid,
                                      .number = offset < INT32_MAX ? offset + 1 : offset,
                                      .research_only = request->model->research_only};
    char text[32];
    (void)snprintf(text, sizeof text, "%ssCT quality", sct_series_get_mark(request->quality));
    int r = sct_series_add_to(common, first, &series, err);
    return r < 0 ? r
                 : dicom_attributes_set_text(&common->set, TAG_SERIES_DESCRIPTION, "LO", text, err);
}

/* The whole of it, which Derivation Description may be too short for. */
static int add_comment(struct sct_common *common, const struct sct_quality *quality,
                       struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(8UL * MAX_LONG_TEXT);
    int r = sctd_buf_printf(&text, err, "%s%s", quality->needs_review ? "NEEDS REVIEW: " : "",
                            quality->text);
    const struct dicom_text_attribute comment = {TAG_IMAGE_COMMENTS, "LT",
                                                 sctd_buf_get_text(&text)};
    return r < 0 ? r
                 : sct_text_set_cut(&common->set, &comment, MAX_LONG_TEXT, "...", common->charset,
                                    err);
}

/* General Image (C.7.6.1), SC Equipment and Image (C.8.6.1, C.8.6.2); a window that shows all pixels as they are. */
static int add_image(struct sct_common *common, const struct quality_page_request *request,
                     struct sctd_error *err)
{
    const struct dicom_text_attribute texts[] = {
        {TAG_SOP_CLASS_UID, "UI", QUALITY_PAGE_CLASS},
        {TAG_SOP_INSTANCE_UID, "UI", request->instance_uid},
        {TAG_INSTANCE_NUMBER, "IS", "1"},
        {TAG_IMAGE_TYPE, "CS", "DERIVED\\SECONDARY"},
        {TAG_CONVERSION_TYPE, "CS", "WSD"},
        {TAG_DATE_OF_SECONDARY_CAPTURE, "DA", common->time.date},
        {TAG_TIME_OF_SECONDARY_CAPTURE, "TM", common->time.time},
        {TAG_PATIENT_ORIENTATION, "CS", ""}, /* type 2C; several planes have several */
        {TAG_WINDOW_CENTER, "DS", "128"},
        {TAG_WINDOW_WIDTH, "DS", "256"}};
    const struct sct_image_format format = {
        .columns = request->width, .rows = request->height, .bits = 8, .is_signed = false};
    int r = dicom_attributes_set_texts(&common->set, texts, sizeof texts / sizeof *texts, err);
    if (r == 0) {
        r = add_comment(common, request->quality, err);
    }
    return r < 0 ? r : sct_image_add_pixels(&common->set, &format, err);
}

/* As a source's instances are listed, without paths and frames. */
static struct dicom_source get_instance(const struct quality_page_request *request, size_t i)
{
    struct dicom_source instance = {.frame = 0};
    (void)snprintf(instance.sop_class_uid, sizeof instance.sop_class_uid, "%s",
                   request->options->enhanced ? SCT_ENHANCED_CT_IMAGE_STORAGE
                                              : SCT_CT_IMAGE_STORAGE);
    (void)snprintf(instance.sop_instance_uid, sizeof instance.sop_instance_uid, "%s",
                   request->sct_instance_uid[i]);
    return instance;
}

/* Append an instance, whole, that the page was made from. */
static int add_origin(struct sctd_buf *origins, const struct dicom_source *instance,
                      struct sctd_error *err)
{
    const struct sct_derivation_source source = {.slice = instance};
    return sct_derivation_add_source_item(origins, &source, err);
}

/* The sCT's instances and series, appended. */
static int refer_to_sct(struct sctd_buf *origins, struct sctd_buf *series,
                        const struct quality_page_request *request, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf instances = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    sctd_auto(dicom_attributes_fini) struct dicom_attributes uid = {0};
    int r = dicom_attributes_set_text(&uid, TAG_SERIES_INSTANCE_UID, "UI", request->sct_series_uid,
                                      err);
    for (size_t i = 0; r == 0 && i < request->n_sct_instances; i++) {
        const struct dicom_source instance = get_instance(request, i);
        r = add_origin(origins, &instance, err);
        if (r == 0) {
            r = sct_derivation_add_instance(&instances, &instance, err);
        }
    }
    return r < 0 ? r : sct_derivation_add_series_item(series, uid.attribute, &instances, err);
}

/* The source's instances and series, appended. */
static int refer_to_source(struct sctd_buf *origins, struct sctd_buf *series,
                           const struct sct_source *first,
                           const struct quality_page_request *request, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf instances = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    sctd_auto(dicom_attributes_fini) struct dicom_attributes uid = {0};
    int r = sct_source_copy(&uid, first, TAG_SERIES_INSTANCE_UID, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "the source has no Series Instance UID");
    }
    for (size_t i = 0; r == 0 && i < request->n_sources; i++) {
        const struct dicom_source *slice = &request->source[i];
        const bool again =
            i > 0 && strcmp(slice->sop_instance_uid, slice[-1].sop_instance_uid) == 0;
        r = again ? 0 : add_origin(origins, slice, err);
    }
    if (r == 0) {
        r = sct_derivation_add_instances(&instances, request->source, request->n_sources, err);
    }
    return r < 0 ? r : sct_derivation_add_series_item(series, uid.attribute, &instances, err);
}

/* Who finds the page finds the sCT, which comes first, and what that was made from. */
static int add_references(struct sct_common *common, const struct sct_source *first,
                          const struct quality_page_request *request, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf origins = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    sctd_auto(sctd_buf_fini) struct sctd_buf series = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    int r = refer_to_sct(&origins, &series, request, err);
    if (r == 0) {
        r = refer_to_source(&origins, &series, first, request, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_items(&common->set, TAG_SOURCE_IMAGE_SEQUENCE, &origins, err);
    }
    if (r == 0) {
        r = dicom_attributes_set_items(&common->set, TAG_REFERENCED_SERIES_SEQUENCE, &series, err);
    }
    return r < 0 ? r
                 : sct_derivation_describe_page(&common->set, request->model, request->quality,
                                                common->charset, err);
}

/* All before the value of Pixel Data, which is the last element. */
static int encode_head(struct sctd_buf *head, const struct dicom_attributes *set,
                       const struct quality_page_request *request, uint32_t size,
                       struct sctd_error *err)
{
    const struct dicom_file_meta meta = {.sop_class_uid = QUALITY_PAGE_CLASS,
                                         .sop_instance_uid = request->instance_uid,
                                         .transfer_syntax_uid = DICOM_EXPLICIT_LITTLE_ENDIAN};
    int r = dicom_file_meta_start(head, &meta, err);
    if (r == 0) {
        r = dicom_attributes_encode(head, set, NULL, err);
    }
    return r < 0 ? r : dicom_attributes_add_header(head, TAG_PIXEL_DATA, "OB", size, err);
}

static int write_file(const char *folder, const struct dicom_attributes *set,
                      const struct quality_page_request *request, struct sctd_error *err)
{
    const size_t n = (size_t)request->width * (size_t)request->height;
    const size_t padding = n % 2; /* a value's length is even (PS3.5 7.1) */
    sctd_auto(sctd_buf_fini) struct sctd_buf head = sctd_buf_make(4UL * DICOM_ATTRIBUTE_MAX_SIZE);
    char path[SCTD_PATH_MAX];
    struct sctd_file file;
    int r = encode_head(&head, set, request, (uint32_t)(n + padding), err);
    if (r == 0) {
        r = sctd_path_join(path, folder, QUALITY_PAGE_NAME, err);
    }
    if (r == 0) {
        r = sctd_file_create(&file, path, err);
    }
    if (r < 0) {
        return r;
    }
    r = sctd_file_write(&file, head.data, head.size, err);
    if (r == 0) {
        r = sctd_file_write(&file, request->pixel, n, err);
    }
    if (r == 0) {
        r = sctd_file_write(&file, "", padding, err);
    }
    if (r < 0) {
        sctd_file_abort(&file);
        return r;
    }
    return sctd_file_commit(&file, err);
}

int quality_page_write(const struct quality_page_request *request, const char *folder,
                       struct sctd_error *err)
{
    sctd_auto(sct_source_closep) struct sct_source *first = NULL;
    sctd_auto(sct_common_fini) struct sct_common common = {.charset = ""};
    int r = check_request(request, err);
    if (r == 0) {
        r = sct_common_open_source(&first, &request->source[0], err);
    }
    if (r == 0) {
        r = sct_common_init(&common, first, request->model, request->date_time, err);
    }
    if (r == 0) {
        r = add_series(&common, first, request, err);
    }
    if (r == 0) {
        r = add_image(&common, request, err);
    }
    if (r == 0) {
        r = add_references(&common, first, request, err);
    }
    return r < 0 ? r : write_file(folder, &common.set, request, err);
}
