/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/input.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dicom/instance.h"
#include "dicom/scan.h"
#include "dicom/series.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/volume.h"
#include "engine/engine.h"

void evaluate_input_fini(struct evaluate_input *input)
{
    volume_free(input->volume);
    *input = (struct evaluate_input){.volume = NULL};
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t n = strlen(path);
    const size_t m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

static int read_nifti(struct evaluate_input *input, const char *path, struct sctd_error *err)
{
    struct sctd_map map;
    int r = sctd_map_open(&map, path, err);
    if (r == 0) {
        r = nifti_parse(&input->volume, map.data, map.size, err);
        sctd_map_close(&map);
    }
    return r;
}

/* The file of the data stands beside that of the header. */
static int read_data_file(struct evaluate_input *input, const struct metaimage *image,
                          const char *path, struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    char data[SCTD_PATH_MAX];
    const char *slash = strrchr(path, '/');
    const int length = slash == NULL ? 0 : (int)(slash - path) + 1;
    (void)snprintf(folder, sizeof folder, "%.*s", length, path);
    struct sctd_map map;
    int r = sctd_path_join(data, folder, image->data_file, err);
    r = r < 0 ? r : sctd_map_open(&map, data, err);
    if (r == 0) {
        r = metaimage_decode(&input->volume, image, map.data, map.size, err);
        sctd_map_close(&map);
    }
    return r;
}

static int read_metaimage(struct evaluate_input *input, const char *path, struct sctd_error *err)
{
    struct sctd_map map;
    struct metaimage image;
    int r = sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = metaimage_parse(&image, map.data, map.size, err);
    if (r == 0 && image.data_file[0] == '\0') {
        r = metaimage_decode(&input->volume, &image,
                             (const unsigned char *)map.data + image.header_size,
                             map.size - image.header_size, err);
    } else if (r == 0) {
        r = read_data_file(input, &image, path, err);
    }
    sctd_map_close(&map);
    return r;
}

static int read_series(struct evaluate_input *input, const struct dicom_scan *scan,
                       struct sctd_error *err)
{
    sctd_auto(dicom_series_freep) struct dicom_series *series = NULL;
    const struct dicom_series_options options = {
        .modality = "CT", .min_slices = 1, .own_objects = true};
    struct dicom_refusal refusal;
    int r = dicom_series_assemble(&series, scan, 0, &options, &refusal, err);
    if (r == DICOM_SERIES_REFUSED) {
        return sctd_error(err, SCTD_EDATA, "%s: %s", dicom_refusal_name(refusal.code),
                          refusal.text);
    }
    if (r < 0) {
        return r;
    }
    const struct dicom_instance *first = &dicom_scan_get_instance(scan, 0, 0)->instance;
    input->is_dicom = true;
    input->patient = first->patient_id;
    (void)snprintf(input->frame_of_reference, sizeof input->frame_of_reference, "%s",
                   first->frame_of_reference_uid);
    input->volume = dicom_series_take_volume(series);
    return 0;
}

static int read_dicom(struct evaluate_input *input, const char *path, struct sctd_error *err)
{
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    int r = dicom_scan_paths(&scan, &path, 1, err);
    if (r < 0) {
        return r;
    }
    const size_t n = dicom_scan_get_series_count(scan);
    if (n != 1) {
        return sctd_error(err, SCTD_EDATA,
                          "%zu DICOM series are there: give a folder that holds one, or a .nii, "
                          ".nii.gz, .mha or .mhd file",
                          n);
    }
    return read_series(input, scan, err);
}

int evaluate_input_read(struct evaluate_input *ret_input, const char *path,
                        enum evaluate_input_kind kind, struct sctd_error *err)
{
    sctd_auto(evaluate_input_fini) struct evaluate_input input = {.volume = NULL};
    int r = 0;
    if (has_ending(path, ".nii") || has_ending(path, ".nii.gz")) {
        r = read_nifti(&input, path, err);
    } else if (has_ending(path, ".mha") || has_ending(path, ".mhd")) {
        r = read_metaimage(&input, path, err);
    } else if (kind == EVALUATE_INPUT_LABELS) {
        r = sctd_error(err, SCTD_EDATA,
                       "masks and label maps are read from .nii, .nii.gz, .mha and .mhd files");
    } else {
        r = read_dicom(&input, path, err);
    }
    if (r < 0) {
        sctd_error_prefix(err, "%.100s", path);
        return r;
    }
    *ret_input = input;
    input = (struct evaluate_input){.volume = NULL};
    return 0;
}
