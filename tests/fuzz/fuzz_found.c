/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the answer of a PACS to a query: what is read keeps to every limit.  The first byte is the encoding. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/found.h"
#include "dicom/prescan.h"
#include "dicom/uid.h"
#include "engine/base/error.h"
#include "engine/base/utf8.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
    size_t n = strnlen(text, room);
    assert(n < room);
    while (n > 0) {
        const size_t length = utf8_length(text, n);
        assert(length > 0);
        text += length;
        n -= length;
    }
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct dicom_found found;
    if (size == 0) {
        return 0;
    }
    const struct dicom_encoding encoding = {.implicit_vr = (data[0] & 1) != 0,
                                            .big_endian = (data[0] & 3) == 2};
    if (dicom_found_read(&found, data + 1, size - 1, encoding, &err) < 0) {
        return 0;
    }
    assert(found.images >= -1);
    assert(found.study_uid[0] == '\0' || dicom_uid_is_valid(found.study_uid));
    assert(found.series_uid[0] == '\0' || dicom_uid_is_valid(found.series_uid));
    check_text(found.study_date, sizeof found.study_date);
    check_text(found.accession, sizeof found.accession);
    check_text(found.patient_id, sizeof found.patient_id);
    check_text(found.modality, sizeof found.modality);
    check_text(found.study_description, sizeof found.study_description);
    check_text(found.series_description, sizeof found.series_description);
    check_text(found.station, sizeof found.station);
    check_text(found.protocol, sizeof found.protocol);
    check_text(found.body_part, sizeof found.body_part);
    check_text(found.manufacturer, sizeof found.manufacturer);
    return 0;
}
