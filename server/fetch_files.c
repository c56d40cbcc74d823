/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fetch_files.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/found.h"
#include "dicom/instance.h"
#include "dicom/part10.h"
#include "dicom/query.h"
#include "dicom/receiver.h"
#include "dicom/scan.h"
#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "server/fetch_messages.h"

/* What both paths begin with, up to a folder. */
static void keep_common(char folder[SCTD_PATH_MAX], const char *path)
{
    size_t n = 0;
    size_t end = 0;
    while (folder[n] != '\0' && folder[n] == path[n]) {
        n++;
        if (folder[n - 1] == '/') {
            end = n - 1;
        }
    }
    if (folder[n] == '\0' && path[n] == '/') {
        end = n;
    }
    folder[end == 0 ? 1 : end] = '\0';
}

static void find_folder(char ret_folder[SCTD_PATH_MAX], const struct dicom_scan *scan,
                        size_t series)
{
    const size_t n = dicom_scan_get_instance_count(scan, series);
    for (size_t i = 0; i < n; i++) {
        const char *path = dicom_scan_get_instance(scan, series, i)->path;
        if (i == 0) {
            (void)snprintf(ret_folder, SCTD_PATH_MAX, "%s", path);
        }
        char *slash = i == 0 ? strrchr(ret_folder, '/') : NULL;
        if (slash != NULL) {
            slash[slash == ret_folder ? 1 : 0] = '\0';
        }
        keep_common(ret_folder, path);
    }
}

static int compare_uids(const void *a, const void *b)
{
    const char *const *x = (const char *const *)a;
    const char *const *y = (const char *const *)b;
    return strcmp(*x, *y);
}

/* Instances, each once however many files hold it; -1: no memory. */
static int32_t count_instances(const struct dicom_scan *scan, size_t series)
{
    const size_t n = dicom_scan_get_instance_count(scan, series);
    const char **uids = (const char **)calloc(n + 1, sizeof *uids);
    int32_t count = 0;
    if (uids == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        uids[i] = dicom_scan_get_instance(scan, series, i)->instance.sop_instance_uid;
    }
    qsort((void *)uids, n, sizeof *uids, compare_uids);
    for (size_t i = 0; i < n; i++) {
        count += i == 0 || strcmp(uids[i], uids[i - 1]) != 0 ? 1 : 0;
    }
    free((void *)uids);
    return count;
}

static void describe(struct fetch_found *found, const struct dicom_scan *scan, size_t series)
{
    struct dicom_series_facts facts;
    dicom_scan_get_series(scan, series, &facts);
    *found = (struct fetch_found){.series = {.images = count_instances(scan, series)}};
    struct dicom_found *s = &found->series;
    (void)snprintf(s->study_uid, sizeof s->study_uid, "%s", facts.study_instance_uid);
    (void)snprintf(s->series_uid, sizeof s->series_uid, "%s", facts.series_instance_uid);
    (void)snprintf(s->modality, sizeof s->modality, "%s", facts.modality);
    (void)snprintf(s->series_description, sizeof s->series_description, "%s",
                   facts.series_description);
    (void)snprintf(s->manufacturer, sizeof s->manufacturer, "%s", facts.manufacturer);
    (void)snprintf(s->station, sizeof s->station, "%s", facts.station_name);
    (void)snprintf(s->body_part, sizeof s->body_part, "%s", facts.body_part_examined);
    (void)snprintf(found->image_type, sizeof found->image_type, "%s", facts.image_type);
    find_folder(found->folder, scan, series);
}

int fetch_files_scan(const char *folder, const struct fetch_files_sink *sink,
                     struct dicom_query_result *ret_result, struct sctd_error *err)
{
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    int r = dicom_scan_paths(&scan, &folder, 1, err);
    if (r < 0) {
        return r;
    }
    const size_t n = dicom_scan_get_series_count(scan);
    for (size_t i = 0; i < n && *sink->stop == 0; i++) {
        struct fetch_found found;
        describe(&found, scan, i);
        if (!sink->found(sink->arg, &found)) {
            break;
        }
    }
    *ret_result = (struct dicom_query_result){.end = DICOM_QUERY_DONE};
    return 0;
}

static const char *syntax_of(const struct dicom_part10 *file)
{
    return file->transfer_syntax_uid[0] != '\0' ? file->transfer_syntax_uid
           : file->encoding.implicit_vr         ? "1.2.840.10008.1.2"
           : file->encoding.big_endian          ? "1.2.840.10008.1.2.2"
                                                : "1.2.840.10008.1.2.1";
}

/* One file as if a peer had sent it; *ret_answer says what it would have heard. */
static int read_file(const struct dicom_scanned *scanned, const struct dicom_receiver_sink *sink,
                     struct dicom_receiver_answer *ret_answer, struct sctd_error *err)
{
    struct dicom_part10 file;
    int r = dicom_part10_open(&file, scanned->path, err);
    if (r != 0) {
        return r < 0 ? r : sctd_error(err, SCTD_EDATA, "%.160s: no DICOM any more", scanned->path);
    }
    const struct dicom_store_request request = {
        .sop_class_uid = scanned->instance.sop_class_uid,
        .sop_instance_uid = scanned->instance.sop_instance_uid,
        .transfer_syntax_uid = syntax_of(&file),
        .move_originator_ae = "",
    };
    /* The spool holds what a peer would have sent, deflated as it is; a file's is inflated here. */
    if (file.inflated != NULL) {
        r = sctd_error(err, SCTD_EDATA, "%.160s: a deflated data set", scanned->path);
    } else if (sink->begin(sink->arg, &request, ret_answer)) {
        (void)sink->write(sink->arg, file.data, file.size);
        sink->end(sink->arg, ret_answer);
    }
    dicom_part10_close(&file);
    return r;
}

static void count(struct dicom_query_result *result, const struct dicom_receiver_answer *answer)
{
    if (answer->status == DICOM_STORE_SUCCESS) {
        result->completed++;
        return;
    }
    result->failed++;
    const bool passes = answer->status == DICOM_STORE_OUT_OF_RESOURCES;
    result->end = passes ? DICOM_QUERY_FAILED : DICOM_QUERY_REFUSED;
    (void)snprintf(result->reason, sizeof result->reason, "an instance is not taken: %s",
                   answer->comment);
}

static int read_series(const struct dicom_scan *scan, size_t series,
                       const struct fetch_files_sink *sink, struct dicom_query_result *result,
                       struct sctd_error *err)
{
    const size_t n = dicom_scan_get_instance_count(scan, series);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n && result->end != DICOM_QUERY_FAILED; i++) {
        struct dicom_receiver_answer answer = {.status = DICOM_STORE_SUCCESS};
        r = read_file(dicom_scan_get_instance(scan, series, i), sink->instances, &answer, err);
        if (r == 0 && (answer.stop || *sink->stop != 0)) {
            result->end = DICOM_QUERY_FAILED;
            (void)snprintf(result->reason, sizeof result->reason,
                           answer.stop ? "nothing can be kept now" : "stopped");
        } else if (r == 0) {
            count(result, &answer);
        }
        sink->moving(sink->arg);
    }
    if (r == 0 && result->completed == (int32_t)n) { /* files; but several may hold one instance */
        result->completed = count_instances(scan, series);
    }
    return r < 0 || result->completed >= 0
               ? r
               : sctd_error(err, SCTD_ENOMEM, "the instances of %zu files", n);
}

int fetch_files_read(const char *folder, const char *series_uid,
                     const struct fetch_files_sink *sink, struct dicom_query_result *ret_result,
                     struct sctd_error *err)
{
    sctd_auto(dicom_scan_freep) struct dicom_scan *scan = NULL;
    struct dicom_query_result result = {.end = DICOM_QUERY_DONE};
    int r = dicom_scan_paths(&scan, &folder, 1, err);
    if (r < 0) {
        return r;
    }
    const size_t n = dicom_scan_get_series_count(scan);
    size_t at = 0;
    struct dicom_series_facts facts = {.instances = 0};
    for (; at < n && strcmp(facts.series_instance_uid, series_uid) != 0; at++) {
        dicom_scan_get_series(scan, at, &facts);
    }
    if (strcmp(facts.series_instance_uid, series_uid) != 0) {
        return sctd_error(err, SCTD_EDATA, "%.160s has the series no more", folder);
    }
    r = read_series(scan, at - 1, sink, &result, err);
    if (r == 0) {
        *ret_result = result;
    }
    return r;
}
