/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "dicom/accept.h"
#include "dicom/file_meta.h"
#include "dicom/part10.h"
#include "dicom/uid.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

static void only_little_endian_without_compression_is_taken_by_default(void)
{
    size_t n = 0;
    const char *const *syntaxes = dicom_accept_syntaxes(false, &n);
    assert(n == 2 && strcmp(syntaxes[0], "1.2.840.10008.1.2.1") == 0 &&
           strcmp(syntaxes[1], "1.2.840.10008.1.2") == 0);
}

static void every_syntax_taken_is_one_that_can_be_read(void)
{
    static const unsigned char first[] = {8, 0, 5, 0, 'C', 'S', 0, 0};
    size_t n = 0;
    const char *const *syntaxes = dicom_accept_syntaxes(true, &n);
    assert(n == 13);
    for (size_t i = 0; i < n; i++) {
        struct sctd_error err = {0};
        struct sctd_buf file = sctd_buf_make(4096);
        struct dicom_part10 part10;
        const struct dicom_file_meta meta = {"1.2", "1.2.3", syntaxes[i]};
        assert(dicom_uid_is_valid(syntaxes[i]));
        if (strcmp(syntaxes[i], "1.2.840.10008.1.2.1.99") == 0) {
            continue; /* deflated: tested where it is inflated */
        }
        assert(dicom_file_meta_start(&file, &meta, &err) == 0);
        assert(sctd_buf_append(&file, first, sizeof first, &err) == 0);
        assert(dicom_part10_parse(&part10, file.data, file.size, &err) == 0);
        assert(strcmp(part10.transfer_syntax_uid, syntaxes[i]) == 0);
        assert(part10.compression != DICOM_COMPRESSION_UNKNOWN);
        assert(part10.size == sizeof first);
        sctd_buf_fini(&file);
    }
}

static void the_classes_are_uids(void)
{
    size_t n = 0;
    const char *const *classes = dicom_accept_classes(&n);
    assert(n == 4);
    for (size_t i = 0; i < n; i++) {
        assert(dicom_uid_is_valid(classes[i]));
    }
}

static void only_their_modalities_are_sources(void)
{
    static const char *const others[] = {"OT", "PT", "RTSTRUCT", "MRX", "mr", "M", " "};
    assert(dicom_accept_modality("MR") && dicom_accept_modality("CT"));
    assert(dicom_accept_modality("")); /* nobody says */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert(!dicom_accept_modality(others[i]));
    }
}

int main(void)
{
    only_little_endian_without_compression_is_taken_by_default();
    every_syntax_taken_is_one_that_can_be_read();
    the_classes_are_uids();
    only_their_modalities_are_sources();
    return 0;
}
