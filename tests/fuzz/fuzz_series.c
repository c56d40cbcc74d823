/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the files of a series: it is assembled or refused, and the volume is sound.
 *
 * The first byte says what is asked for, the rest is one file that is written FILES times, with digits of its
 * number in place of MARK: one input is a whole series that way.  If SEVERAL is set, it is a row of files
 * instead, each after its length in two bytes.
 */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom/series.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"

#include "tests/support/temporary.h"

enum { FILES = 4, FILES_MAX = 8, FILE_MAX = 1 << 16 };
enum { SEVERAL = 1, WANT_CT = 2, HEADERS_ONLY = 4, TWO_ARE_ENOUGH = 8, SELECT = 16 };

#define MARK "90009"

static char folder[64];

static void remove_folder(void)
{
    sctd_dir_remove(folder);
}

static void make_folder(void)
{
    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "%s", TEMPORARY_IN("/dev/shm", "fuzz_series"));
        assert(mkdtemp(folder) != NULL);
        assert(atexit(remove_folder) == 0);
    }
}

static void write_file(int k, const unsigned char *bytes, size_t size)
{
    char path[sizeof folder + 16];
    (void)snprintf(path, sizeof path, "%s/%d", folder, k);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    (void)close(fd);
}

static void remove_files(void)
{
    for (int k = 0; k < FILES_MAX; k++) {
        char path[sizeof folder + 16];
        (void)snprintf(path, sizeof path, "%s/%d", folder, k);
        (void)unlink(path);
    }
}

static void number_marks(unsigned char *bytes, size_t size, int k)
{
    for (size_t i = 0; i + sizeof MARK <= size; i++) {
        if (memcmp(bytes + i, MARK, sizeof MARK - 1) == 0) {
            bytes[i + sizeof MARK - 1] = (unsigned char)('1' + k);
        }
    }
}

/* The same file under FILES numbers. */
static void write_series(const unsigned char *data, size_t size)
{
    static unsigned char copy[FILE_MAX];
    size = size > FILE_MAX ? FILE_MAX : size;
    for (int k = 0; k < FILES; k++) {
        memcpy(copy, data, size);
        number_marks(copy, size, k);
        write_file(k, copy, size);
    }
}

static void write_files(const unsigned char *data, size_t size)
{
    size_t at = 0;
    for (int k = 0; k < FILES_MAX && size - at >= 2; k++) {
        size_t n = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        n = n > size - at ? size - at : n;
        write_file(k, data + at, n);
        at += n;
    }
}

static void check_series(const struct dicom_series *series, const char *modality)
{
    const struct volume *volume = dicom_series_get_volume(series);
    const struct dicom_source *source = dicom_series_get_sources(series);
    const struct volume_grid *grid = &volume->grid;
    const size_t n = (size_t)grid->dim[0] * (size_t)grid->dim[1] * (size_t)grid->dim[2];
    assert(n > 0 && grid->dim[2] >= 2);
    for (int i = 0; i < 3; i++) {
        assert(grid->dim[i] > 0 && grid->step[i] > 0 && isfinite(grid->origin[i]));
    }
    for (size_t i = 0; i < n; i++) {
        assert(isfinite(volume->voxel[i]));
    }
    for (int32_t k = 0; k < grid->dim[2]; k++) {
        assert(source[k].path != NULL && source[k].frame >= 0);
        assert(strlen(source[k].sop_instance_uid) > 0 && strlen(source[k].sop_class_uid) > 0);
    }
    assert(modality == NULL || strcmp(modality, dicom_series_get_modality(series)) == 0);
}

static void assemble(const struct dicom_scan *scan, size_t k, unsigned asked)
{
    static const struct dicom_selector selector = {.key = DICOM_SELECT_ECHO, .value = "1"};
    const struct dicom_series_options options = {
        .modality = (asked & WANT_CT) != 0 ? "CT" : NULL,
        .selector = &selector,
        .n_selectors = (asked & SELECT) != 0 ? 1 : 0,
        .min_slices = (asked & TWO_ARE_ENOUGH) != 0 ? 2 : 0,
        .headers_only = (asked & HEADERS_ONLY) != 0,
    };
    struct sctd_error err = {0};
    struct dicom_refusal refusal = {.text = ""};
    struct dicom_series_facts facts;
    sctd_auto(dicom_series_freep) struct dicom_series *series = NULL;
    dicom_scan_get_series(scan, k, &facts);
    assert(facts.instances > 0 && facts.frames >= 0);
    const int r = dicom_series_assemble(&series, scan, k, &options, &refusal, &err);
    if (r == 0) {
        check_series(series, options.modality);
        return;
    }
    assert(series == NULL);
    if (r == DICOM_SERIES_REFUSED) {
        assert(strlen(refusal.text) > 0 &&
               strcmp(dicom_refusal_name(refusal.code), "unknown") != 0);
    } else {
        assert(r == SCTD_ENOMEM);
    }
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    make_folder();
    const unsigned asked = data[0];
    if ((asked & SEVERAL) != 0) {
        write_files(data + 1, size - 1);
    } else {
        write_series(data + 1, size - 1);
    }
    const char *const paths[] = {folder};
    struct sctd_error err = {0};
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    const int r = dicom_scan_paths(&scan, paths, 1, &err);
    assert(r == 0 || r == SCTD_ENOMEM);
    for (size_t k = 0; r == 0 && k < dicom_scan_get_series_count(scan); k++) {
        assemble(scan, k, asked);
    }
    remove_files();
    return 0;
}
