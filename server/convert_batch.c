/* SPDX-License-Identifier: Apache-2.0 */
#include "server/convert_batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "server/convert.h"
#include "server/progress.h"

const char *convert_batch_outcome_name(enum convert_outcome outcome)
{
    static const char *const names[] = {
        [CONVERT_OUTCOME_CONVERTED] = "converted",
        [CONVERT_OUTCOME_THERE] = "there",
        [CONVERT_OUTCOME_REFUSED] = "refused",
        [CONVERT_OUTCOME_FAILED] = "failed",
    };
    return names[outcome];
}

/* Running */

static void show_progress(void *arg, enum convert_stage stage, int64_t done, int64_t total)
{
    progress_report(arg, convert_stage_name(stage), done, total);
}

/* The preview's name for a series: the given one, or with a number before its ".png". */
static int name_preview(char *ret_path, const struct convert_batch *batch, size_t series, size_t n,
                        struct sctd_error *err)
{
    const size_t length = strlen(batch->preview);
    const bool png = length > 4 && strcmp(batch->preview + length - 4, ".png") == 0;
    const int stem = (int)(png ? length - 4 : length);
    if (length + 32 > SCTD_PATH_MAX) {
        return sctd_error(err, SCTD_EINVAL, "path %.100s... is too long", batch->preview);
    }
    if (n == 1) {
        (void)snprintf(ret_path, SCTD_PATH_MAX, "%s", batch->preview);
    } else {
        (void)snprintf(ret_path, SCTD_PATH_MAX, "%.*s-%zu%s", stem, batch->preview, series + 1,
                       png ? ".png" : "");
    }
    return 0;
}

static int convert_row(struct convert_row *row, const struct convert_batch *batch, size_t series,
                       struct progress *progress)
{
    char preview[SCTD_PATH_MAX] = "";
    const size_t n = dicom_scan_get_series_count(batch->scan);
    const struct convert_job job = {
        .scan = batch->scan,
        .series = series,
        .network = batch->network,
        .options = batch->options,
        .output = batch->output,
        .preview = batch->preview == NULL ? NULL : preview,
        .on_progress = show_progress,
        .arg = progress,
    };
    int r = batch->preview == NULL ? 0 : name_preview(preview, batch, series, n, &row->error);
    if (r == 0) {
        r = convert_series(&row->result, &job, &row->error);
    }
    if (r == 0 && batch->preview != NULL) {
        (void)snprintf(row->preview, sizeof row->preview, "%s", preview);
    }
    return r;
}

static enum convert_outcome outcome_of(int r)
{
    switch (r) {
    case 0:
        return CONVERT_OUTCOME_CONVERTED;
    case CONVERT_REFUSED:
        return CONVERT_OUTCOME_REFUSED;
    case CONVERT_THERE:
        return CONVERT_OUTCOME_THERE;
    default:
        return CONVERT_OUTCOME_FAILED;
    }
}

static const char *find_code(const struct convert_row *row)
{
    switch (row->outcome) {
    case CONVERT_OUTCOME_REFUSED:
        return dicom_refusal_name(row->result.refusal.code);
    case CONVERT_OUTCOME_FAILED:
        return sctd_code_name(row->error.code);
    case CONVERT_OUTCOME_CONVERTED:
    case CONVERT_OUTCOME_THERE:
    default:
        return "";
    }
}

/* Why there is no result; NULL where there is one. */
static const char *find_reason(const struct convert_row *row)
{
    switch (row->outcome) {
    case CONVERT_OUTCOME_REFUSED:
        return row->result.refusal.text;
    case CONVERT_OUTCOME_FAILED:
        return row->error.text;
    case CONVERT_OUTCOME_CONVERTED:
    case CONVERT_OUTCOME_THERE:
    default:
        return NULL;
    }
}

static bool needs_review(const struct convert_row *row)
{
    return row->outcome != CONVERT_OUTCOME_FAILED && row->result.quality.needs_review;
}

size_t convert_batch_count_reviews(const struct convert_row *rows, size_t n)
{
    size_t reviews = 0;
    for (size_t i = 0; i < n; i++) {
        reviews += needs_review(&rows[i]) ? 1 : 0;
    }
    return reviews;
}

size_t convert_batch_run(struct convert_row *rows, const struct convert_batch *batch,
                         struct progress *progress)
{
    const size_t n = dicom_scan_get_series_count(batch->scan);
    size_t without = 0;
    for (size_t i = 0; i < n; i++) {
        struct convert_row *row = &rows[i];
        *row = (struct convert_row){.outcome = CONVERT_OUTCOME_FAILED};
        dicom_scan_get_series(batch->scan, i, &row->facts);
        if (i > 0 && rows[i - 1].error.code == SCTD_EDEVICE) {
            row->error = rows[i - 1].error;
            without++;
            continue;
        }
        char job[PROGRESS_TEXT_MAX];
        (void)snprintf(job, sizeof job, "series %zu of %zu", i + 1, n);
        progress_set_job(progress, job);
        const double start_s = sctd_now_s();
        row->outcome = outcome_of(convert_row(row, batch, i, progress));
        row->seconds = sctd_now_s() - start_s;
        const char *reason = find_reason(row);
        without += reason != NULL ? 1 : 0;
        progress_say(progress, "%s: %s in %.1f s%s%s%s", job,
                     convert_batch_outcome_name(row->outcome), row->seconds,
                     needs_review(row) ? ", needs review" : "", reason == NULL ? "" : ": ",
                     reason == NULL ? "" : reason);
    }
    return without;
}

/* Printing */

/* A text from a header may hold what a terminal obeys: control characters, in UTF-8's two ranges. */
static const char *make_plain(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        const unsigned char following = (unsigned char)at[1];
        if (c < 0x20 || c == 0x7f) {
            *at = '?';
        } else if (c == 0xc2 && following >= 0x80 && following < 0xa0) {
            at[0] = '?';
            at[1] = '?';
        }
    }
    return text;
}

static void print_row(const struct convert_row *row, size_t number, FILE *out)
{
    char modality[sizeof row->facts.modality];
    char description[sizeof row->facts.series_description];
    memcpy(modality, row->facts.modality, sizeof modality);
    memcpy(description, row->facts.series_description, sizeof description);
    const char *code = find_code(row);
    (void)fprintf(out, "%6zu  %-8s  %9d  %8.1f  %-22s  %s\n", number, make_plain(modality),
                  row->facts.instances, row->seconds,
                  needs_review(row) ? "needs-review"
                  : *code == '\0'   ? convert_batch_outcome_name(row->outcome)
                                    : code,
                  make_plain(description));
}

/* What failed, and where it is shown. */
static void print_review(const struct convert_row *row, size_t number, FILE *out)
{
    const struct quality_report *report = &row->result.quality;
    for (size_t i = 0; i < report->n; i++) {
        if (report->finding[i].verdict == QUALITY_FAILED) {
            (void)fprintf(out, "%zu: needs review: %s\n", number, report->finding[i].text);
        }
    }
    if (report->needs_review) {
        (void)fprintf(out, "%zu: quality page %s\n", number, row->result.page_folder);
    }
}

static void print_note(const struct convert_row *row, size_t number, FILE *out)
{
    const char *reason = find_reason(row);
    const char *uid = row->facts.series_instance_uid;
    if (reason != NULL) {
        (void)fprintf(out, "%zu: %s: %s\n", number, uid, reason);
        return;
    }
    (void)fprintf(out, "%zu: %s -> %s (%d instance%s%s)\n", number, uid, row->result.folder,
                  row->result.instances, row->result.instances == 1 ? "" : "s",
                  row->outcome == CONVERT_OUTCOME_THERE ? ", converted before" : "");
    print_review(row, number, out);
    if (row->preview[0] != '\0') {
        (void)fprintf(out, "%zu: preview %s\n", number, row->preview);
    }
}

void convert_batch_print(const struct convert_row *rows, size_t n, FILE *out)
{
    (void)fprintf(out, "%6s  %-8s  %9s  %8s  %-22s  %s\n", "series", "modality", "instances",
                  "seconds", "result", "description");
    for (size_t i = 0; i < n; i++) {
        print_row(&rows[i], i + 1, out);
    }
    for (size_t i = 0; i < n; i++) {
        print_note(&rows[i], i + 1, out);
    }
}

static void write_result(const struct convert_row *row, struct json_writer *w)
{
    const struct convert_result *result = &row->result;
    json_write_string(w, "sct_series_instance_uid", result->series_uid);
    json_write_int(w, "sct_instances", result->instances);
    json_write_string(w, "folder", result->folder);
    if (row->preview[0] != '\0') {
        json_write_string(w, "preview", row->preview);
    }
    if (result->quality.is_checked) {
        json_write_object_begin(w, "quality");
        quality_report_write_members(&result->quality, w);
        json_write_object_end(w);
    }
    if (result->quality.needs_review) {
        json_write_string(w, "quality_page_folder", result->page_folder);
    }
    json_write_double(w, "tilt_degrees", result->tilt_degrees);
    json_write_bool(w, "resampled", result->resampled);
}

static void write_row(const struct convert_row *row, struct json_writer *w)
{
    json_write_object_begin(w, NULL);
    json_write_string(w, "series_instance_uid", row->facts.series_instance_uid);
    json_write_string(w, "study_instance_uid", row->facts.study_instance_uid);
    json_write_string(w, "modality", row->facts.modality);
    json_write_string(w, "description", row->facts.series_description);
    json_write_int(w, "instances", row->facts.instances);
    json_write_string(w, "outcome", convert_batch_outcome_name(row->outcome));
    if (find_reason(row) != NULL) {
        json_write_string(w, "code", find_code(row));
        json_write_string(w, "reason", find_reason(row));
    } else {
        write_result(row, w);
    }
    json_write_double(w, "seconds", row->seconds);
    if (row->outcome != CONVERT_OUTCOME_FAILED) {
        json_write_object_begin(w, "stage_seconds");
        for (int s = 0; s < CONVERT_STAGES; s++) {
            json_write_double(w, convert_stage_name((enum convert_stage)s), row->result.stage_s[s]);
        }
        json_write_object_end(w);
    }
    json_write_object_end(w);
}

void convert_batch_write(const struct convert_row *rows, size_t n, struct json_writer *w)
{
    json_write_array_begin(w, "series");
    for (size_t i = 0; i < n; i++) {
        write_row(&rows[i], w);
    }
    json_write_array_end(w);
}
