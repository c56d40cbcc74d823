/* SPDX-License-Identifier: Apache-2.0 */
/* sctd phantom: a series of a made-up patient. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/phantom_writer.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/volume.h"
#include "engine/engine.h"
#include "server/cmd.h"
#include "server/options.h"

enum { MATRIX_MIN = 16, MATRIX_MAX = 1024, SLICES_MAX = 2000, JSON_BYTES_MAX = 1 << 16 };
#define VOXELS_MAX     ((int64_t)1 << 28) /* 1 GiB */
#define SPACING_MIN_MM 0.1
#define SPACING_MAX_MM 50.0

static const char command[] = "sctd phantom";

/* In the order of enum phantom_orientation, and how much has to be covered across the slices. */
static const struct {
    const char *name;
    double cover_mm;
} orientations[] = {{"axial", 190}, {"sagittal", 410}, {"coronal", 300}, {"oblique", 230}};

static const struct {
    const char *name;
    enum phantom_kind engine;
    enum dicom_phantom_kind dicom;
} kinds[] = {{"mr", PHANTOM_MR, DICOM_PHANTOM_MR},
             {"cbct", PHANTOM_CBCT, DICOM_PHANTOM_CBCT},
             {"ct", PHANTOM_CT, DICOM_PHANTOM_CT}};

struct words {
    const char *kind, *orientation, *output;
    int64_t seed, slices, matrix;
    double spacing_mm[3];
    bool json;
};

static int parse(struct words *words, int argc, char **argv, struct sctd_error *err)
{
    const struct option table[] = {
        {.name = "kind",
         .kind = OPTION_CHOICE,
         .target = (void *)&words->kind,
         .argument = "mr|cbct|ct",
         .help = "what the series is; of one seed, all three are of one patient (default: mr)",
         .choices = "mr|cbct|ct"},
        {.name = "seed",
         .kind = OPTION_NUMBER,
         .target = &words->seed,
         .argument = "N",
         .help = "which patient (default: 1)",
         .min = 0,
         .max = INT64_MAX},
        {.name = "slices",
         .kind = OPTION_NUMBER,
         .target = &words->slices,
         .argument = "N",
         .help = "how many (default: as many as cover the pelvis)",
         .min = 1,
         .max = SLICES_MAX},
        {.name = "matrix",
         .kind = OPTION_NUMBER,
         .target = &words->matrix,
         .argument = "N",
         .help = "rows and columns of a slice (default: 256)",
         .min = MATRIX_MIN,
         .max = MATRIX_MAX},
        {.name = "spacing",
         .kind = OPTION_DECIMALS,
         .target = words->spacing_mm,
         .argument = "X,Y,Z",
         .help = "mm along a row, down a column, from slice to slice (default: 1.6,1.6,3)",
         .count = 3},
        {.name = "orientation",
         .kind = OPTION_CHOICE,
         .target = (void *)&words->orientation,
         .argument = "O",
         .help = "axial, sagittal, coronal or oblique (default: axial)",
         .choices = "axial|sagittal|coronal|oblique"},
        {.name = "output",
         .kind = OPTION_TEXT,
         .target = (void *)&words->output,
         .argument = "DIR",
         .help = "a new or an empty folder",
         .required = true},
        {.name = "json", .kind = OPTION_FLAG, .target = &words->json, .help = "print JSON"},
    };
    const struct options options = {
        .command = command,
        .summary =
            "Make a DICOM series of a made-up pelvis, for tests and demonstrations: MR, cone-beam\n"
            "CT, or the exact CT.  The same options make the same files; every file says that it\n"
            "is a phantom.",
        .option = table,
        .n = sizeof table / sizeof table[0],
    };
    char **operands = NULL;
    return options_parse(&options, argc, argv, &operands, err);
}

static int make_grid(struct volume_grid *ret_grid, const struct words *words,
                     struct sctd_error *err)
{
    size_t orientation = 0;
    while (strcmp(orientations[orientation].name, words->orientation) != 0) {
        orientation++;
    }
    for (int a = 0; a < 3; a++) {
        if (words->spacing_mm[a] < SPACING_MIN_MM || words->spacing_mm[a] > SPACING_MAX_MM) {
            return sctd_error(err, SCTD_EINVAL, "--spacing has %g mm: use %g to %g mm",
                              words->spacing_mm[a], SPACING_MIN_MM, SPACING_MAX_MM);
        }
    }
    int64_t slices = words->slices;
    if (slices == 0) {
        slices = (int64_t)ceil(orientations[orientation].cover_mm / words->spacing_mm[2]);
    }
    if (slices > SLICES_MAX) {
        return sctd_error(err, SCTD_EINVAL,
                          "%lld slices of %g mm cover the pelvis: give --slices of at most %d",
                          (long long)slices, words->spacing_mm[2], SLICES_MAX);
    }
    if (slices * words->matrix * words->matrix > VOXELS_MAX) {
        return sctd_error(err, SCTD_EINVAL,
                          "%lld slices of %lld x %lld are too many voxels: use at most %lld",
                          (long long)slices, (long long)words->matrix, (long long)words->matrix,
                          (long long)VOXELS_MAX);
    }
    phantom_make_grid(ret_grid, (enum phantom_orientation)orientation, (int32_t)words->matrix,
                      (int32_t)slices, words->spacing_mm);
    return 0;
}

/* Make the folder, or find it empty. */
static int prepare_folder(const char *path, struct sctd_error *err)
{
    int32_t n = 0;
    bool exists = false;
    int r = sctd_dir_count(&n, &exists, path, err);
    if (r == 0 && n > 0) {
        r = sctd_error(err, SCTD_EINVAL,
                       "--output %.128s is not empty: give a new or an empty folder", path);
    }
    return r < 0 || exists ? r : sctd_dir_make(path, err);
}

static int print_json(const struct words *words, const struct volume_grid *grid,
                      const struct dicom_phantom_uids *uids, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_BYTES_MAX);
    struct json_writer w = json_writer_make(&buf, true, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "output", words->output);
    json_write_string(&w, "kind", words->kind);
    json_write_int(&w, "seed", words->seed);
    json_write_string(&w, "orientation", words->orientation);
    json_write_int(&w, "instances", grid->dim[2]);
    json_write_int(&w, "rows", grid->dim[1]);
    json_write_int(&w, "columns", grid->dim[0]);
    json_write_array_begin(&w, "spacing_mm");
    for (int a = 0; a < 3; a++) {
        json_write_double(&w, NULL, grid->step[a]);
    }
    json_write_array_end(&w);
    json_write_string(&w, "study_instance_uid", uids->study);
    json_write_string(&w, "series_instance_uid", uids->series);
    json_write_string(&w, "frame_of_reference_uid", uids->frame_of_reference);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    if (r == 0) {
        (void)fprintf(stdout, "%s\n", sctd_buf_get_text(&buf));
    }
    return r;
}

static int make_series(const struct words *words, struct sctd_error *err)
{
    size_t kind = 0;
    while (strcmp(kinds[kind].name, words->kind) != 0) {
        kind++;
    }
    struct volume_grid grid;
    int r = make_grid(&grid, words, err);
    if (r == 0) {
        r = prepare_folder(words->output, err);
    }
    if (r < 0) {
        return r;
    }

    sctd_auto(phantom_freep) struct phantom *phantom = NULL;
    sctd_auto(volume_freep) struct volume *image = NULL;
    r = phantom_new(&phantom, (uint64_t)words->seed, err);
    if (r == 0) {
        r = volume_new(&image, &grid, err);
    }
    if (r == 0) {
        r = phantom_render(phantom, kinds[kind].engine, image, NULL, err);
    }
    if (r < 0) {
        return r;
    }
    struct phantom_facts facts;
    phantom_get_facts(phantom, &facts);
    const struct dicom_phantom_request request = {.image = image,
                                                  .kind = kinds[kind].dicom,
                                                  .seed = (uint64_t)words->seed,
                                                  .female = facts.female,
                                                  .t2 = facts.t2,
                                                  .orientation = words->orientation,
                                                  .fill = facts.cbct_fill,
                                                  .software = "sctd " SCTD_VERSION};
    r = dicom_phantom_write_series(&request, words->output, err);
    if (r < 0) {
        return r;
    }
    struct dicom_phantom_uids uids;
    dicom_phantom_get_uids(&request, &uids);
    if (words->json) {
        return print_json(words, &grid, &uids, err);
    }
    (void)fprintf(stdout, "%s: %d slices of %d x %d, %s %s of seed %lld, series %s\n",
                  words->output, grid.dim[2], grid.dim[1], grid.dim[0], words->orientation,
                  words->kind, (long long)words->seed, uids.series);
    return 0;
}

int cmd_phantom(int argc, char **argv)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct words words = {.kind = "mr",
                          .orientation = "axial",
                          .seed = 1,
                          .matrix = 256,
                          .spacing_mm = {1.6, 1.6, 3.0}};
    int r = parse(&words, argc, argv, &err);
    if (r == OPTIONS_HELP) {
        return CMD_OK;
    }
    if (r == 0) {
        r = make_series(&words, &err);
    }
    return r < 0 ? cmd_fail(command, &err) : CMD_OK;
}
