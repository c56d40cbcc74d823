/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/attributes.h"
#include "dicom/index.h"
#include "dicom/part10.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

static struct sctd_error err;

static void set(struct dicom_attributes *to, uint32_t tag, const char *vr, const char *text)
{
    assert(dicom_attributes_set_text(to, tag, vr, text, &err) == 0);
}

/* A slice of an MR. */
static void make(struct dicom_attributes *to)
{
    static const struct dicom_text_attribute texts[] = {
        {0x00080005, "CS", "ISO_IR 100"},
        {0x00080008, "CS", "ORIGINAL\\PRIMARY\\M"},
        {0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4"},
        {0x00080018, "UI", "1.2.3.4"},
        {0x00080060, "CS", "MR"},
        {0x0008103E, "LO", "M\xfcsli"},
        {0x00100010, "PN", "M\xfcller^A"},
        {0x00100020, "LO", "P-1"},
        {0x0020000D, "UI", "1.2.3"},
        {0x0020000E, "UI", "1.2.3.3"},
        {0x00200011, "IS", " 7 "},
        {0x00200013, "IS", "12"},
        {0x00200032, "DS", "1\\2\\-3.5"},
        {0x00200037, "DS", "1\\0\\0\\0\\1\\0"},
        {0x00200052, "UI", "1.2.9"},
    };
    assert(dicom_attributes_set_texts(to, texts, sizeof texts / sizeof texts[0], &err) == 0);
}

static int read_set(struct dicom_index *ret_index, const struct dicom_attributes *from)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf bytes = sctd_buf_make(1 << 20);
    assert(dicom_attributes_encode(&bytes, from, NULL, &err) == 0);
    const struct dicom_part10 file = {.data = (const unsigned char *)bytes.data,
                                      .size = bytes.size};
    return dicom_index_read(ret_index, &file, &err);
}

static void a_slice_is_read(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index index;
    make(&slice);
    assert(read_set(&index, &slice) == 0);
    assert(strcmp(index.sop_class_uid, "1.2.840.10008.5.1.4.1.1.4") == 0);
    assert(strcmp(index.sop_instance_uid, "1.2.3.4") == 0);
    assert(strcmp(index.study_uid, "1.2.3") == 0 && strcmp(index.series_uid, "1.2.3.3") == 0);
    assert(strcmp(index.frame_of_reference_uid, "1.2.9") == 0);
    assert(index.series_number == 7 && index.instance_number == 12 && index.frames == 1);
    assert(fabs(index.slice_mm + 3.5) < 1e-12);
    assert(strlen(index.stack) == 32);
}

static void texts_are_utf8_but_for_the_patients(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index index;
    make(&slice);
    assert(read_set(&index, &slice) == 0);
    assert(strcmp(index.patient_name, "M\xfcller^A") == 0);
    assert(strcmp(index.patient_id, "P-1") == 0);
    assert(strcmp(index.series_description, "M\xc3\xbcsli") == 0);
    assert(strcmp(index.modality, "MR") == 0 && index.protocol[0] == '\0');
}

static void what_is_absent_counts_as_absent(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index index;
    set(&slice, 0x00080016, "UI", "1.2");
    set(&slice, 0x00080018, "UI", "1.3");
    set(&slice, 0x0020000D, "UI", "1.4");
    set(&slice, 0x0020000E, "UI", "1.5");
    assert(read_set(&index, &slice) == 0);
    assert(index.series_number == DICOM_INDEX_NO_NUMBER && index.frames == 1);
    assert(isnan(index.slice_mm) && index.patient_id[0] == '\0');
}

static void the_four_uids_must_be_there_and_be_uids(void)
{
    static const uint32_t tags[] = {0x00080016, 0x00080018, 0x0020000D, 0x0020000E};
    static const char *const bad[] = {"", "1..2", "../../x", "1.02", "abc"};
    for (size_t i = 0; i < 20; i++) {
        sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
        struct dicom_index index;
        make(&slice);
        set(&slice, tags[i / 5], "UI", bad[i % 5]);
        assert(read_set(&index, &slice) == SCTD_EDATA);
        assert(strstr(err.text, "UID is no UID") != NULL);
    }
    struct dicom_index index;
    sctd_auto(dicom_attributes_fini) struct dicom_attributes empty = {0};
    set(&empty, 0x00080016, "UI", "1.2");
    assert(read_set(&index, &empty) == SCTD_EDATA);
    assert(strcmp(err.text, "SOP Instance UID is missing") == 0);
}

static void damaged_values_count_as_absent(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index index;
    make(&slice);
    set(&slice, 0x00200011, "IS", "seven");
    set(&slice, 0x00200013, "IS", "1.5");
    set(&slice, 0x00200032, "DS", "1\\2");
    set(&slice, 0x00200052, "UI", "none");
    set(&slice, 0x00280008, "IS", "-3");
    assert(read_set(&index, &slice) == 0);
    assert(index.series_number == DICOM_INDEX_NO_NUMBER);
    assert(index.instance_number == DICOM_INDEX_NO_NUMBER);
    assert(isnan(index.slice_mm) && index.frame_of_reference_uid[0] == '\0' && index.frames == 1);
}

static void volumes_of_a_series_have_stacks_of_their_own(void)
{
    static const struct dicom_text_attribute other[] = {
        {0x00180086, "IS", "2"},
        {0x00200100, "IS", "2"},
        {0x00080008, "CS", "ORIGINAL\\PRIMARY\\P"},
    };
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index first, index;
    make(&slice);
    assert(read_set(&first, &slice) == 0);
    set(&slice, 0x00200032, "DS", "1\\2\\5");
    set(&slice, 0x00200013, "IS", "13");
    assert(read_set(&index, &slice) == 0 && strcmp(index.stack, first.stack) == 0);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        set(&slice, other[i].tag, other[i].vr, other[i].text);
        assert(read_set(&index, &slice) == 0 && strcmp(index.stack, first.stack) != 0);
        first = index;
    }
}

static void many_frames_have_no_position_and_no_stack(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index index;
    make(&slice);
    set(&slice, 0x00280008, "IS", "20");
    assert(read_set(&index, &slice) == 0);
    assert(index.frames == 20 && isnan(index.slice_mm) && index.stack[0] == '\0');
}

static void slanted_axes_have_no_position(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    struct dicom_index index;
    make(&slice);
    set(&slice, 0x00200037, "DS", "1\\0\\0\\1\\0\\0");
    assert(read_set(&index, &slice) == 0 && isnan(index.slice_mm));
    set(&slice, 0x00200037, "DS", "0\\1\\0\\0\\0\\-1");
    assert(read_set(&index, &slice) == 0 && fabs(index.slice_mm + 1) < 1e-12);
}

static void pixels_that_end_too_early_are_refused(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf bytes = sctd_buf_make(1 << 20);
    static const char pixels[] = "0123456789abcdef";
    struct dicom_index index;
    make(&slice);
    assert(dicom_attributes_set(&slice, 0x7FE00010, "OW", pixels, 16, &err) == 0);
    assert(dicom_attributes_encode(&bytes, &slice, NULL, &err) == 0);
    for (size_t less = 0; less < 16; less++) {
        const struct dicom_part10 file = {.data = (const unsigned char *)bytes.data,
                                          .size = bytes.size - less};
        assert(dicom_index_read(&index, &file, &err) == (less == 0 ? 0 : SCTD_EDATA));
    }
}

static void an_attribute_twice_is_refused(void)
{
    sctd_auto(dicom_attributes_fini) struct dicom_attributes slice = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf bytes = sctd_buf_make(1 << 20);
    struct dicom_index index;
    make(&slice);
    assert(dicom_attributes_encode(&bytes, &slice, NULL, &err) == 0);
    assert(sctd_buf_append(&bytes,
                           "\x20\0\x52\0UI\4\0"
                           "1.7",
                           12, &err) == 0);
    const struct dicom_part10 file = {.data = (const unsigned char *)bytes.data,
                                      .size = bytes.size};
    assert(dicom_index_read(&index, &file, &err) == SCTD_EDATA);
}

int main(void)
{
    a_slice_is_read();
    texts_are_utf8_but_for_the_patients();
    what_is_absent_counts_as_absent();
    the_four_uids_must_be_there_and_be_uids();
    damaged_values_count_as_absent();
    volumes_of_a_series_have_stacks_of_their_own();
    many_frames_have_no_position_and_no_stack();
    slanted_axes_have_no_position();
    pixels_that_end_too_early_are_refused();
    an_attribute_twice_is_refused();
    return 0;
}
