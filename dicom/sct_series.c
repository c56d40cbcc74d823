/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/sct_series.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/sct_common.h"
#include "dicom/sct_source.h"
#include "dicom/sct_text.h"
#include "dicom/sct_time.h"
#include "dicom/sct_writer.h"
#include "dicom/tags.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

enum { MAX_LONG_STRING = 64, DEFAULT_NUMBER_OFFSET = 1000 };
static const char default_description[] = "sCT";

const char *sct_series_get_mark(const struct sct_quality *quality)
{
    return quality != NULL && quality->needs_review ? "REVIEW " : "";
}

int32_t sct_series_get_offset(const struct sct_options *options)
{
    return options->series_number_offset == 0 ? DEFAULT_NUMBER_OFFSET
                                              : options->series_number_offset;
}

/* The source's number, 0 if it has none, plus the offset; the offset alone if the sum is no IS. */
static int set_number(struct dicom_attributes *to, const struct sct_source *source, int32_t offset,
                      struct sctd_error *err)
{
    int r = sct_source_copy(to, source, TAG_SERIES_NUMBER, err);
    if (r < 0) {
        return r;
    }
    char digits[16] = "";
    const struct dicom_attribute *copy = dicom_attributes_find(to, TAG_SERIES_NUMBER);
    if (copy != NULL && copy->size < sizeof digits) {
        const size_t blanks = strspn(copy->value, " ");
        const size_t size = strcspn(copy->value + blanks, " ");
        memcpy(digits, copy->value + blanks, size);
    }
    int64_t number = 0;
    struct sctd_error ignored = {0};
    (void)!sctd_parse_i64(&number, digits, INT32_MIN, INT32_MAX, &ignored);
    number += offset;
    if (number < INT32_MIN || number > INT32_MAX) {
        number = offset;
    }
    char text[16];
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    return dicom_attributes_set_text(to, TAG_SERIES_NUMBER, "IS", text, err);
}

/* "sCT " and the source's description in its own bytes, as far as all fits into 64 characters. */
static int set_description_from(struct dicom_attributes *to, const struct sct_source *source,
                                const char *mark, const char *charset, struct sctd_error *err)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes one = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(4096);
    int r = sct_source_copy(&one, source, TAG_SERIES_DESCRIPTION, err);
    if (r >= 0) {
        r = sctd_buf_printf(&text, err, "%s%s", mark, default_description);
    }
    const struct dicom_attribute *from = dicom_attributes_find(&one, TAG_SERIES_DESCRIPTION);
    if (r < 0 || from == NULL) {
        return r < 0 ? r
                     : dicom_attributes_set(to, TAG_SERIES_DESCRIPTION, "LO", text.data, text.size,
                                            err);
    }
    const size_t room = MAX_LONG_STRING - text.size - 1; /* a blank */
    const size_t size = sct_text_cut(from->value, from->size, room, charset);
    if (size > 0) {
        r = sctd_buf_text(&text, " ", err);
    }
    if (r == 0) {
        r = sctd_buf_append(&text, from->value, size, err);
    }
    return r < 0
               ? r
               : dicom_attributes_set(to, TAG_SERIES_DESCRIPTION, "LO", text.data, text.size, err);
}

/* As configured: a text that is too long of itself is a mistake, whatever the checks say of this sCT. */
static int set_description(struct dicom_attributes *to, const char *text, const char *mark,
                           const char *charset, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(4096);
    struct dicom_text_attribute description = {TAG_SERIES_DESCRIPTION, "LO", text};
    int r = sct_text_set(to, &description, MAX_LONG_STRING, charset, err);
    if (r == 0) {
        r = sctd_buf_printf(&buf, err, "%s%s", mark, text);
    }
    description.text = sctd_buf_get_text(&buf);
    return r < 0 ? r : sct_text_set_cut(to, &description, MAX_LONG_STRING, "", charset, err);
}

int sct_series_add_to(struct sct_common *common, const struct sct_source *source,
                      const struct sct_series *series, struct sctd_error *err)
{
    const struct sct_time *time = &common->time;
    const struct dicom_text_attribute texts[] = {
        {TAG_MODALITY, "CS", series->modality},
        {TAG_SERIES_INSTANCE_UID, "UI", series->uid},
        {TAG_SERIES_DATE, "DA", time->date},
        {TAG_SERIES_TIME, "TM", time->time},
        {TAG_CONTENT_DATE, "DA", time->date},
        {TAG_CONTENT_TIME, "TM", time->time},
        {TAG_INSTANCE_CREATION_DATE, "DA", time->date},
        {TAG_INSTANCE_CREATION_TIME, "TM", time->time},
        {TAG_CONTENT_QUALIFICATION, "CS", series->research_only ? "RESEARCH" : "PRODUCT"}};
    int r = dicom_attributes_set_texts(&common->set, texts, sizeof texts / sizeof *texts, err);
    return r < 0 ? r : set_number(&common->set, source, series->number, err);
}

int sct_series_add(struct sct_common *common, const struct sct_source *source,
                   const struct sct_request *request, struct sctd_error *err)
{
    const struct sct_series series = {.modality = "CT",
                                      .uid = request->series_uid,
                                      .number = sct_series_get_offset(request->options),
                                      .research_only = request->model->research_only};
    int r = sct_series_add_to(common, source, &series, err);
    if (r < 0) {
        return r;
    }
    const char *mark = sct_series_get_mark(request->quality);
    const char *configured = request->options->series_description;
    return configured == NULL
               ? set_description_from(&common->set, source, mark, common->charset, err)
               : set_description(&common->set, configured, mark, common->charset, err);
}
