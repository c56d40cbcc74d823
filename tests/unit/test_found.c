/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/found.h"
#include "dicom/prescan.h"
#include "engine/base/error.h"

#include "tests/support/made_dicom.h"

static struct sctd_error err;
static struct made m;

static void make(struct dicom_encoding encoding)
{
    m.encoding = encoding;
    m.size = 0;
    made_text(&m, 0x00080005, "CS", "ISO_IR 100");
    made_text(&m, 0x00080020, "DA", "20240131");
    made_text(&m, 0x00080050, "SH", "A 7");
    made_text(&m, 0x00080060, "CS", "MR");
    made_text(&m, 0x0008103E, "LO", "K\xf6pfchen ");
    made_text(&m, 0x00100020, "LO", "P7");
    made_text(&m, 0x00181030, "LO", "head");
    made_text(&m, 0x0020000D, "UI", "1.2.3");
    made_text(&m, 0x0020000E, "UI", "1.2.3.4");
    made_text(&m, 0x00201209, "IS", "160 ");
}

static int read_made(struct dicom_found *ret_found)
{
    return dicom_found_read(ret_found, m.bytes, m.size, m.encoding, &err);
}

static void a_series_is_read_in_both_encodings(void)
{
    for (int i = 0; i < 2; i++) {
        struct dicom_found found;
        make((struct dicom_encoding){i == 1, false});
        assert(read_made(&found) == 0);
        assert(strcmp(found.study_uid, "1.2.3") == 0 && strcmp(found.series_uid, "1.2.3.4") == 0);
        assert(strcmp(found.series_description, "K\xc3\xb6pfchen") == 0);
        assert(strcmp(found.study_date, "20240131") == 0 && strcmp(found.modality, "MR") == 0);
        assert(strcmp(found.accession, "A 7") == 0 && strcmp(found.patient_id, "P7") == 0);
        assert(strcmp(found.protocol, "head") == 0 && found.images == 160);
        assert(found.station[0] == '\0');
    }
}

static void what_is_damaged_is_absent(void)
{
    struct dicom_found found;
    m.encoding = (struct dicom_encoding){false, false};
    m.size = 0;
    made_text(&m, 0x0020000D, "UI", "1..2");
    made_text(&m, 0x0020000E, "UI", "../../etc");
    made_text(&m, 0x00201209, "IS", "many");
    assert(read_made(&found) == 0);
    assert(found.study_uid[0] == '\0' && found.series_uid[0] == '\0' && found.images == -1);
}

static void an_attribute_twice_is_refused(void)
{
    struct dicom_found found;
    make((struct dicom_encoding){false, false});
    made_text(&m, 0x0020000E, "UI", "1.2.3.5");
    assert(read_made(&found) == SCTD_EDATA);
    assert(strstr(err.text, "twice") != NULL);
}

static void no_cut_off_answer_is_read(void)
{
    struct dicom_found found;
    make((struct dicom_encoding){false, false});
    const size_t whole = m.size;
    int read = 0;
    for (m.size = 0; m.size < whole; m.size++) {
        read += read_made(&found) == 0 ? 1 : 0;
    }
    assert(read == 10); /* at the border of each element */
}

int main(void)
{
    a_series_is_read_in_both_encodings();
    what_is_damaged_is_absent();
    an_attribute_twice_is_refused();
    no_cut_off_answer_is_read();
    return 0;
}
