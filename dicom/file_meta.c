/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/file_meta.h"

#include <stddef.h>
#include <stdint.h>

#include "dicom/attributes.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

static int encode_meta(struct sctd_buf *buf, const struct dicom_file_meta *meta,
                       struct sctd_error *err)
{
    const struct dicom_text_attribute texts[] = {
        {0x00020002U, "UI", meta->sop_class_uid},
        {0x00020003U, "UI", meta->sop_instance_uid},
        {0x00020010U, "UI", meta->transfer_syntax_uid},
        {0x00020012U, "UI", DICOM_IMPLEMENTATION_CLASS_UID},
        {0x00020013U, "SH", DICOM_IMPLEMENTATION_VERSION_NAME}};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes set = {0};
    int r = dicom_attributes_set(&set, 0x00020001U, "OB", "\0\1", 2, err);
    if (r == 0) {
        r = dicom_attributes_set_texts(&set, texts, sizeof texts / sizeof *texts, err);
    }
    return r < 0 ? r : dicom_attributes_encode(buf, &set, NULL, err);
}

int dicom_file_meta_start(struct sctd_buf *buf, const struct dicom_file_meta *meta,
                          struct sctd_error *err)
{
    static const char preamble[128] = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf elements = sctd_buf_make(1024);
    int r = encode_meta(&elements, meta, err);
    if (r < 0) {
        return r;
    }
    const uint32_t size = (uint32_t)elements.size;
    const unsigned char length[4] = {(unsigned char)size, (unsigned char)(size >> 8),
                                     (unsigned char)(size >> 16), (unsigned char)(size >> 24)};
    r = sctd_buf_append(buf, preamble, sizeof preamble, err);
    if (r == 0) {
        r = sctd_buf_text(buf, "DICM", err);
    }
    if (r == 0) {
        r = dicom_attributes_add_header(buf, 0x00020000U, "UL", sizeof length, err);
    }
    if (r == 0) {
        r = sctd_buf_append(buf, length, sizeof length, err);
    }
    return r < 0 ? r : sctd_buf_append(buf, elements.data, elements.size, err);
}
