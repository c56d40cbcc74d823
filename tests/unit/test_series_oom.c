/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/prescan.h"
#include "dicom/series.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/made_dicom.h"
#include "tests/support/temporary.h"
#include "tests/support/torture.h"

enum { SLICES = 4 };

static char root[] = TEMPORARY("test_series_oom");
static char plain[64], packed[64], copies[64];

/* Scan a folder and assemble its one series. */
static int assemble(void *arg)
{
    const char *const path = arg;
    const struct dicom_series_options options = {.modality = "MR"};
    struct sctd_error err = {0};
    struct dicom_refusal refusal = {.text = ""};
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    sctd_auto(dicom_series_freep) struct dicom_series *series = NULL;
    int r = dicom_scan_paths(&scan, &path, 1, &err);
    assert(r == 0 || (r == SCTD_ENOMEM && scan == NULL));
    if (r == 0) {
        r = dicom_series_assemble(&series, scan, 0, &options, &refusal, &err);
        assert(r == 0 || (r == SCTD_ENOMEM && series == NULL));
    }
    assert(r < 0 || (int)dicom_series_get_volume(series)->voxel[15] == 15);
    return r;
}

static void write_slice(const char *folder, int k, const struct made *m)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%d", folder, k);
    made_write(m, path);
}

/* RLE in two fragments, and a modality LUT that changes nothing. */
static void write_packed(int k)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    unsigned char rle[76] = {2, 0, 0, 0, 64, 0, 0, 0, 68};
    made_meta(&m, "1.2.840.10008.1.2.5");
    made_slice_headers(&m, k, 0);
    made_header(&m, 0x00283000, "SQ", MADE_UNDEFINED);
    made_item(&m, MADE_UNDEFINED);
    made_header(&m, 0x00283002, "US", 6);
    made_number(&m, 16, 2);
    made_number(&m, 0, 2);
    made_number(&m, 16, 2);
    made_header(&m, 0x00283006, "OW", 32);
    for (unsigned i = 0; i < 16; i++) {
        made_number(&m, i, 2);
    }
    made_item_end(&m);
    made_sequence_end(&m);
    rle[64] = 0xFD; /* four times 0 */
    rle[68] = 3;    /* four bytes */
    for (int i = 0; i < 4; i++) {
        rle[69 + i] = (unsigned char)(4 * k + i);
    }
    made_header(&m, DICOM_TAG_PIXEL_DATA, "OB", MADE_UNDEFINED);
    made_item(&m, 0);
    made_item(&m, 66);
    made_bytes(&m, rle, 66);
    made_item(&m, 10);
    made_bytes(&m, rle + 66, 10);
    made_sequence_end(&m);
    write_slice(packed, k, &m);
}

static void make_folder(char *ret_path, const char *name)
{
    struct sctd_error err = {0};
    (void)snprintf(ret_path, 64, "%s/%s", root, name);
    assert(sctd_dir_make(ret_path, &err) == 0);
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    make_folder(plain, "plain");
    make_folder(packed, "packed");
    make_folder(copies, "copies");
    for (int k = 0; k < SLICES; k++) {
        struct made m = {.encoding = {.implicit_vr = false}};
        made_slice(&m, k);
        write_slice(plain, k, &m);
        write_slice(copies, k, &m);
        write_slice(copies, k + SLICES, &m);
        write_packed(k);
    }
    assert(torture_run(assemble, plain) > 20);
    assert(torture_run(assemble, packed) > 30);
    assert(torture_run(assemble, copies) > 25);
    sctd_dir_remove(root);
    return 0;
}
