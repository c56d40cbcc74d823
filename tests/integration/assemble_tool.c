/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dicom/series.h makes of files, as JSON for the scripts of this folder.
 *
 * usage: assemble_tool [--modality M] [--select K=V]... [--min N] [--tolerance T] [--headers-only]
 *                      [--dump PREFIX] PATH...
 * --dump writes the voxels of series k to PREFIX.k, float32 in the order of memory.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/series.h"
#include "dicom/source.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/volume.h"

enum { SELECTORS_MAX = 8, JSON_BYTES_MAX = 64 << 20 };

struct words {
    struct dicom_series_options options;
    struct dicom_selector selector[SELECTORS_MAX];
    const char *dump;
    const char *const *path;
    size_t n_paths;
};

static int read_word(struct words *w, const char *option, const char *value, struct sctd_error *err)
{
    if (strcmp(option, "--modality") == 0) {
        w->options.modality = value;
    } else if (strcmp(option, "--min") == 0) {
        w->options.min_slices = (int32_t)strtol(value, NULL, 10);
    } else if (strcmp(option, "--tolerance") == 0) {
        w->options.spacing_tolerance = strtod(value, NULL);
    } else if (strcmp(option, "--dump") == 0) {
        w->dump = value;
    } else if (strcmp(option, "--select") == 0 && w->options.n_selectors < SELECTORS_MAX) {
        return dicom_selector_parse(&w->selector[w->options.n_selectors++], value, err);
    } else {
        return sctd_error(err, SCTD_EINVAL, "option %s", option);
    }
    return 0;
}

static int read_words(struct words *w, int argc, char **argv, struct sctd_error *err)
{
    int i = 1;
    w->options.selector = w->selector;
    while (i < argc && strncmp(argv[i], "--", 2) == 0) {
        if (strcmp(argv[i], "--headers-only") == 0) {
            w->options.headers_only = true;
            i++;
            continue;
        }
        const int r = i + 1 < argc ? read_word(w, argv[i], argv[i + 1], err)
                                   : sctd_error(err, SCTD_EINVAL, "%s wants a value", argv[i]);
        if (r < 0) {
            return r;
        }
        i += 2;
    }
    w->path = (const char *const *)argv + i;
    w->n_paths = (size_t)(argc - i);
    return 0;
}

static void write_doubles(struct json_writer *j, const char *key, const double *value, size_t n)
{
    json_write_array_begin(j, key);
    for (size_t i = 0; i < n; i++) {
        json_write_double(j, NULL, value[i]);
    }
    json_write_array_end(j);
}

static void write_grid(struct json_writer *j, const struct volume_grid *grid)
{
    json_write_array_begin(j, "dim");
    for (int i = 0; i < 3; i++) {
        json_write_int(j, NULL, grid->dim[i]);
    }
    json_write_array_end(j);
    write_doubles(j, "step", grid->step, 3);
    write_doubles(j, "origin", grid->origin, 3);
    json_write_array_begin(j, "axis");
    for (int i = 0; i < 3; i++) {
        write_doubles(j, NULL, grid->axis[i], 3);
    }
    json_write_array_end(j);
}

static void write_sources(struct json_writer *j, const struct dicom_series *series)
{
    const struct dicom_source *source = dicom_series_get_sources(series);
    json_write_array_begin(j, "sources");
    for (int32_t k = 0; k < dicom_series_get_grid(series)->dim[2]; k++) {
        json_write_object_begin(j, NULL);
        json_write_string(j, "path", source[k].path);
        json_write_int(j, "frame", source[k].frame);
        json_write_string(j, "sop_class_uid", source[k].sop_class_uid);
        json_write_string(j, "sop_instance_uid", source[k].sop_instance_uid);
        json_write_object_end(j);
    }
    json_write_array_end(j);
}

static int dump_voxels(const char *prefix, size_t k, const struct volume *v, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    const size_t n = (size_t)v->grid.dim[0] * (size_t)v->grid.dim[1] * (size_t)v->grid.dim[2];
    (void)snprintf(path, sizeof path, "%s.%zu", prefix, k);
    return sctd_file_replace(path, v->voxel, n * sizeof *v->voxel, err);
}

static int write_series(struct json_writer *j, const struct words *w, const struct dicom_scan *scan,
                        size_t k)
{
    struct dicom_series_facts facts;
    struct dicom_refusal refusal;
    sctd_auto(dicom_series_freep) struct dicom_series *series = NULL;
    dicom_scan_get_series(scan, k, &facts);
    json_write_object_begin(j, NULL);
    json_write_string(j, "series_instance_uid", facts.series_instance_uid);
    json_write_string(j, "study_instance_uid", facts.study_instance_uid);
    json_write_string(j, "modality", facts.modality);
    json_write_string(j, "series_description", facts.series_description);
    json_write_string(j, "manufacturer", facts.manufacturer);
    json_write_int(j, "instances", facts.instances);
    json_write_int(j, "frames", facts.frames);
    int r = dicom_series_assemble(&series, scan, k, &w->options, &refusal, j->err);
    if (r == DICOM_SERIES_REFUSED) {
        json_write_string(j, "refusal", dicom_refusal_name(refusal.code));
        json_write_string(j, "text", refusal.text);
        r = 0;
    } else if (r == 0) {
        json_write_string(j, "assembled_modality", dicom_series_get_modality(series));
        write_grid(j, dicom_series_get_grid(series));
        write_sources(j, series);
        if (w->dump != NULL) {
            r = dump_voxels(w->dump, k, dicom_series_get_volume(series), j->err);
        }
    }
    json_write_object_end(j);
    return r;
}

static int run(const struct words *w, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(JSON_BYTES_MAX);
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    struct json_writer j = json_writer_make(&buf, true, err);
    int r = dicom_scan_paths(&scan, w->path, w->n_paths, err);
    if (r < 0) {
        return r;
    }
    json_write_object_begin(&j, NULL);
    json_write_int(&j, "skipped", (int64_t)dicom_scan_get_skipped(scan));
    json_write_array_begin(&j, "series");
    for (size_t k = 0; k < dicom_scan_get_series_count(scan) && r == 0; k++) {
        r = write_series(&j, w, scan, k);
    }
    json_write_array_end(&j);
    json_write_object_end(&j);
    if (r == 0) {
        r = json_writer_finish(&j);
    }
    if (r == 0) {
        (void)fprintf(stdout, "%s\n", sctd_buf_get_text(&buf));
    }
    return r;
}

int main(int argc, char **argv)
{
    struct sctd_error err = {0};
    struct words words = {.dump = NULL};
    int r = read_words(&words, argc, argv, &err);
    if (r == 0) {
        r = run(&words, &err);
    }
    if (r < 0) {
        (void)fprintf(stderr, "assemble_tool: %s: %s\n", sctd_code_name(err.code), err.text);
    }
    return r < 0 ? 1 : 0;
}
