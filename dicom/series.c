/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/series.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/checks.h"
#include "dicom/content.h"
#include "dicom/geometry.h"
#include "dicom/instance.h"
#include "dicom/pixels.h"
#include "dicom/refusal.h"
#include "dicom/scan.h"
#include "dicom/selector.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/volume.h"

enum { MIN_SLICES_DEFAULT = 4, MIN_SLICES = 2 };

#define SPACING_TOLERANCE_DEFAULT 0.01
#define VOLUME_BYTES_MAX          ((size_t)2 << 30)
#define AIR_HU                    (-1024.0F)

struct dicom_series {
    struct volume *volume; /* owned; NULL once it is taken */
    struct volume_grid grid;
    struct dicom_source *source; /* owned; [grid.dim[2]] */
    const char *modality;
};

/* One run of dicom_series_assemble. */
struct assembly {
    struct dicom_series_options options;  /* defaults filled in */
    const struct dicom_scanned **scanned; /* owned; instances without copies */
    size_t n_scanned;
    struct dicom_candidate *candidate; /* owned; frames that are left */
    size_t n;
    struct dicom_slice_place *place; /* owned; [n], index: of the candidate */
    struct dicom_pixels *pixels;     /* owned; the file that was read last */
    const struct dicom_scanned *open;
    struct dicom_refusal *refusal;
    struct sctd_error *err;
};

static void fini_assembly(struct assembly *a)
{
    free((void *)a->scanned);
    free(a->candidate);
    free(a->place);
    dicom_pixels_close(a->pixels);
}

static int check_options(struct assembly *a, const struct dicom_series_options *options,
                         struct sctd_error *err)
{
    struct dicom_series_options *o = &a->options;
    *o = *options;
    if (o->modality != NULL && strcmp(o->modality, "MR") != 0 && strcmp(o->modality, "CT") != 0) {
        return sctd_error(err, SCTD_EINVAL, "modality \"%.16s\" is not MR or CT", o->modality);
    }
    if (!(o->spacing_tolerance >= 0 && o->spacing_tolerance < 0.5)) {
        return sctd_error(err, SCTD_EINVAL, "spacing tolerance %g is not from 0 to 0.5",
                          o->spacing_tolerance);
    }
    if (o->min_slices < 0) {
        return sctd_error(err, SCTD_EINVAL, "minimum of %d slices", o->min_slices);
    }
    o->spacing_tolerance =
        o->spacing_tolerance > 0 ? o->spacing_tolerance : SPACING_TOLERANCE_DEFAULT;
    o->min_slices = o->min_slices == 0 ? MIN_SLICES_DEFAULT : o->min_slices;
    o->min_slices = o->min_slices < MIN_SLICES ? MIN_SLICES : o->min_slices;
    return 0;
}

static int compare_uids(const void *a, const void *b)
{
    const struct dicom_scanned *x = *(const struct dicom_scanned *const *)a;
    const struct dicom_scanned *y = *(const struct dicom_scanned *const *)b;
    const int uids = strcmp(x->instance.sop_instance_uid, y->instance.sop_instance_uid);
    return uids != 0 ? uids : (x > y) - (x < y);
}

/* Take the instances of the series; of copies of one instance the first. */
static int collect_instances(struct assembly *a, const struct dicom_scan *scan, size_t series)
{
    const size_t n = dicom_scan_get_instance_count(scan, series);
    a->scanned = (const struct dicom_scanned **)calloc(n, sizeof *a->scanned);
    if (a->scanned == NULL) {
        return sctd_error(a->err, SCTD_ENOMEM, "%zu instances", n);
    }
    for (size_t i = 0; i < n; i++) {
        a->scanned[i] = dicom_scan_get_instance(scan, series, i);
    }
    qsort((void *)a->scanned, n, sizeof *a->scanned, compare_uids);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct dicom_scanned *now = a->scanned[i];
        const struct dicom_scanned *before = kept == 0 ? NULL : a->scanned[kept - 1];
        if (before == NULL || now->instance.is_damaged || before->instance.is_damaged ||
            strcmp(before->instance.sop_instance_uid, now->instance.sop_instance_uid) != 0) {
            a->scanned[kept++] = now;
            continue;
        }
        bool same = false;
        const int r = dicom_content_is_same(&same, before->path, now->path, a->err);
        if (r < 0 && r != SCTD_EDATA) {
            return r;
        }
        if (!same) {
            return dicom_refusal_set(a->refusal, DICOM_REFUSAL_CONFLICTING_INSTANCE,
                                     "two instances have SOP Instance UID %s and differ",
                                     now->instance.sop_instance_uid);
        }
    }
    a->n_scanned = kept;
    return 0;
}

static int collect_frames(struct assembly *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_scanned; i++) {
        const struct dicom_instance *instance = &a->scanned[i]->instance;
        if (instance->n_frames < 1) {
            return dicom_refusal_set(a->refusal, DICOM_REFUSAL_BAD_ATTRIBUTE,
                                     "no frame is described in the functional groups");
        }
        n += (size_t)instance->n_frames;
    }
    a->candidate = calloc(n + 1, sizeof *a->candidate);
    if (a->candidate == NULL) {
        return sctd_error(a->err, SCTD_ENOMEM, "%zu frames", n);
    }
    a->n = 0;
    for (size_t i = 0; i < a->n_scanned; i++) {
        for (int32_t k = 0; k < a->scanned[i]->instance.n_frames; k++) {
            a->candidate[a->n++] = (struct dicom_candidate){.from = a->scanned[i], .frame = k};
        }
    }
    return 0;
}

static bool is_selected(const struct assembly *a, const struct dicom_candidate *candidate)
{
    const struct dicom_frame *frame = dicom_candidate_get_frame(candidate);
    for (size_t i = 0; i < a->options.n_selectors; i++) {
        if (!dicom_selector_matches(&a->options.selector[i], frame)) {
            return false;
        }
    }
    return true;
}

static int select_frames(struct assembly *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        kept += is_selected(a, &a->candidate[i]) ? 1 : 0;
    }
    if (kept == 0) {
        const int r = dicom_check_nothing_selected(a->candidate, a->n, &a->options, a->refusal);
        return r == 0 ? DICOM_SERIES_REFUSED : r;
    }
    kept = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (is_selected(a, &a->candidate[i])) {
            a->candidate[kept++] = a->candidate[i];
        }
    }
    a->n = kept;
    return 0;
}

static size_t pixels_of(const struct assembly *a)
{
    const struct dicom_pixel_format *format = &a->candidate[0].from->instance.format;
    return (size_t)format->rows * (size_t)format->columns;
}

static int read_frame(struct assembly *a, const struct dicom_candidate *candidate, float *ret_value,
                      size_t *ret_padding)
{
    if (a->open != candidate->from) {
        dicom_pixels_close(a->pixels);
        a->pixels = NULL;
        a->open = NULL;
        const int r = dicom_pixels_open(&a->pixels, candidate->from->path,
                                        &candidate->from->instance, a->refusal, a->err);
        if (r != 0) {
            return r;
        }
        a->open = candidate->from;
    }
    return dicom_pixels_read(a->pixels, candidate->frame, ret_value, ret_padding, a->refusal,
                             a->err);
}

static void free_floats(float **values)
{
    free(*values);
}

static int refuse_size(const struct assembly *a, size_t slices)
{
    const struct dicom_pixel_format *format = &a->candidate[0].from->instance.format;
    return dicom_refusal_set(a->refusal, DICOM_REFUSAL_TOO_LARGE,
                             "%d x %d x %zu voxels are more than 2 GiB", format->columns,
                             format->rows, slices);
}

/* Whether two frames have the same pixels; only one of them is kept then. */
static int compare_frames(struct assembly *a, size_t one, size_t other, bool *ret_same)
{
    const size_t n = pixels_of(a);
    if (n > VOLUME_BYTES_MAX / sizeof(float) / 2) {
        return refuse_size(a, 2);
    }
    sctd_auto(free_floats) float *x = malloc(n * sizeof *x);
    sctd_auto(free_floats) float *y = malloc(n * sizeof *y);
    if (x == NULL || y == NULL) {
        return sctd_error(a->err, SCTD_ENOMEM, "two frames of %zu pixels", n);
    }
    size_t padding = 0;
    int r = read_frame(a, &a->candidate[one], x, &padding);
    if (r == 0) {
        r = read_frame(a, &a->candidate[other], y, &padding);
    }
    if (r == 0) {
        *ret_same = memcmp(x, y, n * sizeof *x) == 0;
    }
    return r;
}

static bool is_same_place(const struct dicom_slice_place *x, const struct dicom_slice_place *y)
{
    double square = 0;
    for (int i = 0; i < 3; i++) {
        square += (x->position[i] - y->position[i]) * (x->position[i] - y->position[i]);
    }
    return square <= DICOM_SAME_POSITION_MM * DICOM_SAME_POSITION_MM;
}

/* Of slices at one position with the same pixels one is kept. */
static int drop_duplicates(struct assembly *a)
{
    size_t kept = 1;
    for (size_t i = 1; i < a->n; i++) {
        if (!is_same_place(&a->place[kept - 1], &a->place[i])) {
            a->place[kept++] = a->place[i];
            continue;
        }
        bool same = false;
        const int r = compare_frames(a, a->place[kept - 1].index, a->place[i].index, &same);
        if (r != 0) {
            return r;
        }
        if (!same) {
            return dicom_refusal_set(a->refusal, DICOM_REFUSAL_DUPLICATE_POSITION,
                                     "two different slices at %.2f mm", a->place[i].along);
        }
    }
    a->n = kept;
    return 0;
}

/* Sort the slices into a->place and make the grid. */
static int fit_grid(struct assembly *a, struct volume_grid *ret_grid)
{
    const struct dicom_frame *first = dicom_candidate_get_frame(&a->candidate[0]);
    struct volume_grid grid = {0};
    if (!dicom_geometry_axes(grid.axis, first->orientation)) {
        return dicom_refusal_set(a->refusal, DICOM_REFUSAL_NO_GEOMETRY,
                                 "Image Orientation (Patient) is no pair of perpendicular unit "
                                 "vectors");
    }
    a->place = calloc(a->n + 1, sizeof *a->place);
    if (a->place == NULL) {
        return sctd_error(a->err, SCTD_ENOMEM, "%zu slices", a->n);
    }
    for (size_t i = 0; i < a->n; i++) {
        memcpy(a->place[i].position, dicom_candidate_get_frame(&a->candidate[i])->position,
               sizeof a->place[i].position);
        a->place[i].index = i;
    }
    dicom_geometry_sort(a->place, a->n, grid.axis[2]);
    int r = drop_duplicates(a);
    if (r != 0) {
        return r;
    }
    if (a->n < (size_t)a->options.min_slices) {
        return dicom_refusal_set(a->refusal, DICOM_REFUSAL_TOO_FEW_SLICES,
                                 "%zu slices, at least %d are needed", a->n, a->options.min_slices);
    }
    if (!dicom_geometry_fit(&grid.step[2], a->refusal, a->place, a->n,
                            (const double(*)[3])grid.axis, a->options.spacing_tolerance)) {
        return DICOM_SERIES_REFUSED;
    }
    const struct dicom_pixel_format *format = &a->candidate[0].from->instance.format;
    if (a->n > INT32_MAX || a->n > VOLUME_BYTES_MAX / sizeof(float) / pixels_of(a)) {
        return refuse_size(a, a->n);
    }
    grid.dim[0] = format->columns;
    grid.dim[1] = format->rows;
    grid.dim[2] = (int32_t)a->n;
    grid.step[0] = first->spacing[1];
    grid.step[1] = first->spacing[0];
    memcpy(grid.origin, a->place[0].position, sizeof grid.origin);
    *ret_grid = grid;
    return 0;
}

/* CT: air.  MR: the lowest value of all, or 0 if there is nothing but padding. */
static void fill_padding(struct volume *volume, size_t n, bool is_ct)
{
    float fill = is_ct ? AIR_HU : INFINITY;
    for (size_t i = 0; i < n && !is_ct; i++) {
        fill = volume->voxel[i] < fill ? volume->voxel[i] : fill;
    }
    fill = isinf(fill) ? 0.0F : fill;
    for (size_t i = 0; i < n; i++) {
        if (isnan(volume->voxel[i])) {
            volume->voxel[i] = fill;
        }
    }
}

static int decode(struct assembly *a, struct volume *volume)
{
    const size_t pixels = pixels_of(a);
    size_t padding = 0;
    for (size_t k = 0; k < a->n; k++) {
        const struct dicom_candidate *candidate = &a->candidate[a->place[k].index];
        size_t more = 0;
        const int r = read_frame(a, candidate, volume->voxel + k * pixels, &more);
        if (r != 0) {
            return r;
        }
        padding += more;
    }
    if (padding > 0) {
        fill_padding(volume, a->n * pixels, dicom_instance_is_ct(&a->candidate[0].from->instance));
    }
    return 0;
}

static int list_sources(const struct assembly *a, struct dicom_series *series)
{
    series->source = calloc(a->n, sizeof *series->source);
    if (series->source == NULL) {
        return sctd_error(a->err, SCTD_ENOMEM, "%zu sources", a->n);
    }
    for (size_t k = 0; k < a->n; k++) {
        const struct dicom_candidate *candidate = &a->candidate[a->place[k].index];
        const struct dicom_instance *instance = &candidate->from->instance;
        struct dicom_source *source = &series->source[k];
        source->path = candidate->from->path;
        source->frame = candidate->frame;
        memcpy(source->sop_class_uid, instance->sop_class_uid, DICOM_UID_SIZE);
        memcpy(source->sop_instance_uid, instance->sop_instance_uid, DICOM_UID_SIZE);
    }
    return 0;
}

/* The checks in the order in which an operator would want to hear of them. */
static int check_all(struct assembly *a, struct volume_grid *ret_grid)
{
    int r = dicom_check_instances(a->scanned, a->n_scanned, &a->options, a->refusal);
    if (r == 0) {
        r = collect_frames(a);
    }
    if (r == 0) {
        r = select_frames(a);
    }
    if (r == 0) {
        r = dicom_check_images(a->candidate, a->n, a->refusal);
    }
    if (r == 0) {
        r = dicom_check_one_volume(a->candidate, a->n, &a->options, a->refusal);
    }
    if (r == 0) {
        r = dicom_check_grid(a->candidate, a->n, a->refusal);
    }
    return r == 0 ? fit_grid(a, ret_grid) : r;
}

int dicom_series_assemble(struct dicom_series **ret_series, const struct dicom_scan *scan,
                          size_t series, const struct dicom_series_options *options,
                          struct dicom_refusal *ret_refusal, struct sctd_error *err)
{
    sctd_auto(fini_assembly) struct assembly a = {.refusal = ret_refusal, .err = err};
    sctd_auto(dicom_series_freep) struct dicom_series *s = NULL;
    int r = check_options(&a, options, err);
    if (r == 0 && series >= dicom_scan_get_series_count(scan)) {
        return sctd_error(err, SCTD_EINVAL, "no series %zu", series);
    }
    if (r == 0) {
        r = collect_instances(&a, scan, series);
    }
    if (r != 0) {
        return r;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a series");
    }
    r = check_all(&a, &s->grid);
    if (r == 0) {
        s->modality = dicom_instance_is_ct(&a.candidate[0].from->instance) ? "CT" : "MR";
        r = volume_new(&s->volume, &s->grid, err);
    }
    if (r == 0) {
        r = list_sources(&a, s);
    }
    if (r == 0 && !a.options.headers_only) {
        r = decode(&a, s->volume);
    }
    if (r != 0) {
        return r;
    }
    *ret_series = sctd_steal(&s);
    return 0;
}

void dicom_series_free(struct dicom_series *series)
{
    if (series == NULL) {
        return;
    }
    volume_free(series->volume);
    free(series->source);
    free(series);
}

const struct volume *dicom_series_get_volume(const struct dicom_series *series)
{
    return series->volume;
}

struct volume *dicom_series_take_volume(struct dicom_series *series)
{
    return sctd_steal(&series->volume);
}

const struct volume_grid *dicom_series_get_grid(const struct dicom_series *series)
{
    return &series->grid;
}

const struct dicom_source *dicom_series_get_sources(const struct dicom_series *series)
{
    return series->source;
}

const char *dicom_series_get_modality(const struct dicom_series *series)
{
    return series->modality;
}
