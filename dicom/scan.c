/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/scan.h"

#include <errno.h>
#include <fts.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dicom/charset.h"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/refusal.h"
#include "dicom/series.h"
#include "dicom/source.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum { FILES_MAX = 200000 };

#define CLASS_DICOMDIR "1.2.840.10008.1.3.10"

/* Echo times that differ by less than this factor are one. */
#define ECHO_TIME_STEP 1.02

/* A run of dicom_scan.order. */
struct series {
    size_t first, count;
};

struct dicom_scan {
    struct dicom_scanned *file; /* owned; in the order in which they were found */
    size_t n_files, room;
    size_t *order;         /* owned; files by series */
    struct series *series; /* owned; by their first file */
    size_t n_series;
    size_t skipped;
};

void dicom_scan_free(struct dicom_scan *scan)
{
    if (scan == NULL) {
        return;
    }
    for (size_t i = 0; i < scan->n_files; i++) {
        free(scan->file[i].path);
        dicom_instance_fini(&scan->file[i].instance);
    }
    free(scan->file);
    free(scan->order);
    free(scan->series);
    free(scan);
}

static void free_doubles(double **numbers)
{
    free(*numbers);
}

/* Room for one file more. */
static int make_room(struct dicom_scan *scan, struct sctd_error *err)
{
    if (scan->n_files < scan->room) {
        return 0;
    }
    if (scan->n_files >= FILES_MAX) {
        return sctd_error(err, SCTD_EINVAL, "more than %d files", FILES_MAX);
    }
    const size_t room = scan->room == 0 ? 64 : scan->room * 2;
    struct dicom_scanned *more = realloc(scan->file, room * sizeof *more);
    if (more == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu instances", room);
    }
    scan->file = more;
    scan->room = room;
    return 0;
}

/*
 * What begins as DICOM and cannot be opened as it is an instance without a series, so that its loss is
 * told; what is neither is skipped.
 */
static int read_file(struct dicom_scanned *ret_file, const char *path, struct sctd_error *err)
{
    struct sctd_error why = {0};
    struct dicom_part10 file = {0};
    int r = dicom_part10_open(&file, path, &why);
    if (r == SCTD_EIO || r == SCTD_ENOMEM) {
        *err = why;
        return r;
    }
    if (r == DICOM_PART10_NO_DICOM) {
        return r;
    }
    struct dicom_instance instance = {.frame = NULL};
    if (r == 0) {
        r = dicom_instance_read(&instance, &file, err);
        const bool has_meta = file.transfer_syntax_uid[0] != '\0';
        dicom_part10_close(&file);
        if (r < 0) {
            return r;
        }
        const bool is_instance =
            instance.sop_class_uid[0] != '\0' || instance.series_instance_uid[0] != '\0';
        if ((!is_instance && !has_meta) || strcmp(instance.sop_class_uid, CLASS_DICOMDIR) == 0) {
            dicom_instance_fini(&instance);
            return DICOM_PART10_NO_DICOM;
        }
    } else {
        instance.is_damaged = true;
        (void)dicom_refusal_set(&instance.damage, DICOM_REFUSAL_BAD_ATTRIBUTE, "%s", why.text);
    }
    ret_file->instance = instance;
    return 0;
}

static int add_file(struct dicom_scan *scan, const char *path, struct sctd_error *err)
{
    int r = make_room(scan, err);
    if (r < 0) {
        return r;
    }
    struct dicom_scanned file = {.path = strdup(path)};
    if (file.path == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a path");
    }
    r = read_file(&file, path, err);
    if (r != 0) {
        free(file.path);
        scan->skipped += r == DICOM_PART10_NO_DICOM ? 1 : 0;
        return r < 0 ? r : 0;
    }
    scan->file[scan->n_files++] = file;
    return 0;
}

static int compare_entries(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static const char *reason(int number)
{
    const char *text = strerrordesc_np(number);
    return text == NULL ? "unknown error" : text;
}

/* A link to a file is one; a link to a folder is passed by. */
static int add_link(struct dicom_scan *scan, const FTSENT *entry, struct sctd_error *err)
{
    struct stat st;
    if (stat(entry->fts_accpath, &st) == 0 && S_ISREG(st.st_mode)) {
        return add_file(scan, entry->fts_path, err);
    }
    scan->skipped++;
    return 0;
}

static int add_entry(struct dicom_scan *scan, const FTSENT *entry, struct sctd_error *err)
{
    switch (entry->fts_info) {
    case FTS_F:
        return add_file(scan, entry->fts_path, err);
    case FTS_SL:
        return add_link(scan, entry, err);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
    case FTS_SLNONE:
        return sctd_error(err, SCTD_EIO, "%.160s: %s", entry->fts_path, reason(entry->fts_errno));
    case FTS_DEFAULT: /* a socket, a pipe, a device */
        scan->skipped++;
        return 0;
    default:
        return 0;
    }
}

static int walk_path(struct dicom_scan *scan, const char *path, struct sctd_error *err)
{
    char *copy = strdup(path);
    if (copy == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a path");
    }
    char *const roots[] = {copy, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, compare_entries);
    int r = 0;
    if (fts == NULL) {
        r = errno == ENOMEM ? sctd_error(err, SCTD_ENOMEM, "searching a folder")
                            : sctd_error(err, SCTD_EIO, "%.160s: %s", path, reason(errno));
    }
    errno = 0;
    const FTSENT *entry = r == 0 ? fts_read(fts) : NULL;
    while (r == 0 && entry != NULL) {
        r = add_entry(scan, entry, err);
        errno = 0;
        entry = r == 0 ? fts_read(fts) : NULL;
    }
    if (r == 0 && errno != 0) {
        r = sctd_error(err, SCTD_EIO, "%.160s: %s", path, reason(errno));
    }
    if (fts != NULL) {
        (void)fts_close(fts);
    }
    free(copy);
    return r;
}

static int compare_by_series(const void *a, const void *b, void *arg)
{
    const struct dicom_scan *scan = arg;
    const size_t x = *(const size_t *)a;
    const size_t y = *(const size_t *)b;
    const int uids = strcmp(scan->file[x].instance.series_instance_uid,
                            scan->file[y].instance.series_instance_uid);
    return uids != 0 ? uids : (x > y) - (x < y);
}

static int compare_by_first(const void *a, const void *b, void *arg)
{
    const struct dicom_scan *scan = arg;
    const size_t x = scan->order[((const struct series *)a)->first];
    const size_t y = scan->order[((const struct series *)b)->first];
    return (x > y) - (x < y);
}

static int group(struct dicom_scan *scan, struct sctd_error *err)
{
    const size_t n = scan->n_files;
    scan->order = calloc(n + 1, sizeof *scan->order);
    scan->series = calloc(n + 1, sizeof *scan->series);
    if (scan->order == NULL || scan->series == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "the order of %zu instances", n);
    }
    for (size_t i = 0; i < n; i++) {
        scan->order[i] = i;
    }
    qsort_r(scan->order, n, sizeof *scan->order, compare_by_series, scan);
    for (size_t i = 0; i < n; i++) {
        const char *uid = scan->file[scan->order[i]].instance.series_instance_uid;
        const char *before =
            i == 0 ? NULL : scan->file[scan->order[i - 1]].instance.series_instance_uid;
        if (before == NULL || strcmp(before, uid) != 0) {
            scan->series[scan->n_series++] = (struct series){.first = i, .count = 0};
        }
        scan->series[scan->n_series - 1].count++;
    }
    qsort_r(scan->series, scan->n_series, sizeof *scan->series, compare_by_first, scan);
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Which of the sorted times `time` is, counting times that are as good as equal once. */
static int32_t rank_of(const double *times, size_t n, double time)
{
    int32_t rank = 1;
    for (size_t i = 1; i < n && times[i] <= time; i++) {
        rank += times[i] > times[i - 1] * ECHO_TIME_STEP ? 1 : 0;
    }
    return rank;
}

static size_t count_distinct(const double *sorted, size_t n, double step)
{
    size_t distinct = n > 0 ? 1 : 0;
    for (size_t i = 1; i < n; i++) {
        distinct += sorted[i] > sorted[i - 1] * step ? 1 : 0;
    }
    return distinct;
}

/* The echo times and numbers of a series' frames. */
struct echoes {
    double *time, *number; /* sorted once they are complete */
    size_t n_times, n_numbers;
};

static void add_echoes(struct echoes *echoes, const struct dicom_instance *instance)
{
    for (int32_t k = 0; k < instance->n_frames; k++) {
        const struct dicom_frame *f = &instance->frame[k];
        if (f->echo_time > 0) {
            echoes->time[echoes->n_times++] = f->echo_time;
        }
        if (f->echo_number > 0) {
            echoes->number[echoes->n_numbers++] = f->echo_number;
        }
    }
}

static void renumber_echoes(struct dicom_instance *instance, const struct echoes *echoes)
{
    for (int32_t k = 0; k < instance->n_frames; k++) {
        struct dicom_frame *f = &instance->frame[k];
        f->echo_number = f->echo_time > 0 ? rank_of(echoes->time, echoes->n_times, f->echo_time)
                                          : DICOM_NO_NUMBER;
    }
}

/*
 * Enhanced instances have echo times and no echo numbers, and some scanners give all echoes one number: the
 * times in their order are the numbers then.
 */
static int number_echoes(struct dicom_scan *scan, size_t series, struct sctd_error *err)
{
    size_t n_frames = 0;
    const struct series *s = &scan->series[series];
    for (size_t i = 0; i < s->count; i++) {
        n_frames += (size_t)scan->file[scan->order[s->first + i]].instance.n_frames;
    }
    sctd_auto(free_doubles) double *times = calloc(n_frames + 1, sizeof *times);
    sctd_auto(free_doubles) double *numbers = calloc(n_frames + 1, sizeof *numbers);
    if (times == NULL || numbers == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "echo times of %zu frames", n_frames);
    }
    struct echoes echoes = {.time = times, .number = numbers};
    for (size_t i = 0; i < s->count; i++) {
        add_echoes(&echoes, &scan->file[scan->order[s->first + i]].instance);
    }
    qsort(times, echoes.n_times, sizeof *times, compare_doubles);
    qsort(numbers, echoes.n_numbers, sizeof *numbers, compare_doubles);
    if (count_distinct(times, echoes.n_times, ECHO_TIME_STEP) <=
        count_distinct(numbers, echoes.n_numbers, 1)) {
        return 0;
    }
    for (size_t i = 0; i < s->count; i++) {
        renumber_echoes(&scan->file[scan->order[s->first + i]].instance, &echoes);
    }
    return 0;
}

int dicom_scan_paths(struct dicom_scan **ret_scan, const char *const *paths, size_t n_paths,
                     struct sctd_error *err)
{
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a scan");
    }
    int r = 0;
    for (size_t i = 0; i < n_paths && r == 0; i++) {
        r = walk_path(scan, paths[i], err);
    }
    if (r == 0) {
        r = group(scan, err);
    }
    for (size_t i = 0; i < scan->n_series && r == 0; i++) {
        r = number_echoes(scan, i, err);
    }
    if (r < 0) {
        return r;
    }
    *ret_scan = sctd_steal(&scan);
    return 0;
}

size_t dicom_scan_get_series_count(const struct dicom_scan *scan)
{
    return scan->n_series;
}

size_t dicom_scan_get_skipped(const struct dicom_scan *scan)
{
    return scan->skipped;
}

size_t dicom_scan_get_instance_count(const struct dicom_scan *scan, size_t series)
{
    return scan->series[series].count;
}

const struct dicom_scanned *dicom_scan_get_instance(const struct dicom_scan *scan, size_t series,
                                                    size_t i)
{
    return &scan->file[scan->order[scan->series[series].first + i]];
}

void dicom_scan_get_series(const struct dicom_scan *scan, size_t series,
                           struct dicom_series_facts *ret_facts)
{
    const size_t n = dicom_scan_get_instance_count(scan, series);
    const struct dicom_instance *first = &dicom_scan_get_instance(scan, series, 0)->instance;
    struct dicom_series_facts facts = {.instances = (int32_t)n};
    (void)snprintf(facts.series_instance_uid, DICOM_UID_SIZE, "%s", first->series_instance_uid);
    (void)snprintf(facts.study_instance_uid, DICOM_UID_SIZE, "%s", first->study_instance_uid);
    dicom_charset_to_utf8(facts.modality, sizeof facts.modality, first->modality, "");
    dicom_charset_to_utf8(facts.series_description, sizeof facts.series_description,
                          first->series_description, first->character_set);
    dicom_charset_to_utf8(facts.manufacturer, sizeof facts.manufacturer, first->manufacturer,
                          first->character_set);
    dicom_charset_to_utf8(facts.station_name, sizeof facts.station_name, first->station_name,
                          first->character_set);
    dicom_charset_to_utf8(facts.body_part_examined, sizeof facts.body_part_examined,
                          first->body_part_examined, "");
    if (first->n_frames > 0) {
        dicom_charset_to_utf8(facts.image_type, sizeof facts.image_type, first->frame[0].image_type,
                              "");
    }
    for (size_t i = 0; i < n; i++) {
        facts.frames += dicom_scan_get_instance(scan, series, i)->instance.n_frames;
    }
    *ret_facts = facts;
}
