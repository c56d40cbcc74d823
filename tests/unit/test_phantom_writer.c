/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/phantom_writer.h"
#include "dicom/uid.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"

#include "tests/support/temporary.h"

enum { COLUMNS = 5, ROWS = 4, SLICES = 3 };

static const struct volume_grid axial = {.dim = {COLUMNS, ROWS, SLICES},
                                         .step = {1.5, 1.25, 2.5},
                                         .origin = {-10, 20.5, -30.25},
                                         .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};

static struct volume *make_image(const float *first, size_t n)
{
    struct sctd_error err = {0};
    struct volume *image = NULL;
    assert(volume_new(&image, &axial, &err) == 0);
    memcpy(image->voxel, first, n * sizeof *first);
    return image;
}

static struct dicom_phantom_request ask(const struct volume *image, enum dicom_phantom_kind kind)
{
    return (struct dicom_phantom_request){.image = image,
                                          .kind = kind,
                                          .seed = 7,
                                          .orientation = "axial",
                                          .fill = -1024.0F,
                                          .software = "sctd test"};
}

static void make_folder(char *ret_path, size_t size)
{
    (void)snprintf(ret_path, size, TEMPORARY("sctd-phantom"));
    assert(mkdtemp(ret_path) != NULL);
}

static int count_files(const char *folder)
{
    DIR *dir = opendir(folder);
    assert(dir != NULL);
    int n = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        n += e->d_name[0] != '.' ? 1 : 0;
    }
    assert(closedir(dir) == 0);
    return n;
}

static struct dicom_phantom_uids uids_of(const struct volume *image, enum dicom_phantom_kind kind,
                                         uint64_t seed)
{
    struct dicom_phantom_uids uids;
    struct dicom_phantom_request r = ask(image, kind);
    r.seed = seed;
    dicom_phantom_get_uids(&r, &uids);
    assert(dicom_uid_is_valid(uids.study) && dicom_uid_is_valid(uids.series));
    assert(dicom_uid_is_valid(uids.frame_of_reference));
    assert(strcmp(uids.study, uids.frame_of_reference) != 0);
    return uids;
}

static bool same_patient(const struct dicom_phantom_uids *a, const struct dicom_phantom_uids *b)
{
    return strcmp(a->study, b->study) == 0 &&
           strcmp(a->frame_of_reference, b->frame_of_reference) == 0;
}

static void seed_makes_the_study_and_kind_and_grid_the_series(void)
{
    struct volume *image = make_image((const float[]){0}, 1);
    const struct dicom_phantom_uids ct = uids_of(image, DICOM_PHANTOM_CT, 7);
    const struct dicom_phantom_uids mr = uids_of(image, DICOM_PHANTOM_MR, 7);
    const struct dicom_phantom_uids cbct = uids_of(image, DICOM_PHANTOM_CBCT, 7);
    const struct dicom_phantom_uids other = uids_of(image, DICOM_PHANTOM_CT, 8);
    image->grid.origin[2] += 0.5;
    const struct dicom_phantom_uids moved = uids_of(image, DICOM_PHANTOM_CT, 7);
    assert(same_patient(&ct, &mr) && same_patient(&ct, &cbct) && same_patient(&ct, &moved));
    assert(strcmp(ct.study, other.study) != 0);
    assert(strcmp(ct.frame_of_reference, other.frame_of_reference) != 0);
    assert(strcmp(ct.series, mr.series) != 0 && strcmp(ct.series, cbct.series) != 0);
    assert(strcmp(mr.series, cbct.series) != 0 && strcmp(ct.series, other.series) != 0);
    assert(strcmp(ct.series, moved.series) != 0);
    volume_free(image);
}

/* The last bytes of a file of ours are its pixels. */
static void stored_values_of(const char *folder, int16_t *ret_stored)
{
    char path[SCTD_PATH_MAX];
    struct sctd_error err = {0};
    struct sctd_map map;
    assert(sctd_path_join(path, folder, "0001.dcm", &err) == 0);
    assert(sctd_map_open(&map, path, &err) == 0);
    const size_t size = sizeof *ret_stored * COLUMNS * ROWS;
    memcpy(ret_stored, (const char *)map.data + map.size - size, size);
    sctd_map_close(&map);
}

static void values_are_rounded_and_clamped_to_what_a_kind_stores(void)
{
    static const float values[] = {-2000.0F, -1024.0F, -0.4F, 0.6F, 3000.2F, 5000.0F};
    static const int16_t stored[3][6] = {
        [DICOM_PHANTOM_CT] = {0, 0, 1024, 1025, 4024, 4095},
        [DICOM_PHANTOM_MR] = {0, 0, 0, 1, 3000, 4095},
        [DICOM_PHANTOM_CBCT] = {-24, -24, 1000, 1001, 4000, 4071},
    };
    struct volume *image = make_image(values, 6);
    for (int kind = 0; kind < 3; kind++) {
        char folder[64];
        struct sctd_error err = {0};
        int16_t got[COLUMNS * ROWS];
        make_folder(folder, sizeof folder);
        const struct dicom_phantom_request r = ask(image, (enum dicom_phantom_kind)kind);
        assert(dicom_phantom_write_series(&r, folder, &err) == 0);
        assert(count_files(folder) == SLICES);
        stored_values_of(folder, got);
        assert(memcmp(got, stored[kind], sizeof stored[kind]) == 0);
        sctd_dir_remove(folder);
    }
    volume_free(image);
}

static void nan_is_refused_and_nothing_is_left(void)
{
    char folder[64];
    struct sctd_error err = {0};
    struct volume *image = make_image((const float[]){0}, 1);
    make_folder(folder, sizeof folder);
    image->voxel[COLUMNS * ROWS * SLICES - 1] = NAN;
    const struct dicom_phantom_request r = ask(image, DICOM_PHANTOM_CT);
    assert(dicom_phantom_write_series(&r, folder, &err) == SCTD_EINVAL);
    assert(count_files(folder) == 0);
    sctd_dir_remove(folder);
    volume_free(image);
}

static void missing_folder_is_an_input_output_error(void)
{
    struct sctd_error err = {0};
    struct volume *image = make_image((const float[]){0}, 1);
    const struct dicom_phantom_request r = ask(image, DICOM_PHANTOM_MR);
    assert(dicom_phantom_write_series(&r, "/nonexistent/folder", &err) == SCTD_EIO);
    volume_free(image);
}

int main(void)
{
    seed_makes_the_study_and_kind_and_grid_the_series();
    values_are_rounded_and_clamped_to_what_a_kind_stores();
    nan_is_refused_and_nothing_is_left();
    missing_folder_is_an_input_output_error();
    return 0;
}
