/* SPDX-License-Identifier: Apache-2.0 */
#include "server/convert_quality.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dicom/quality_page.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "dicom/uid.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/work.h"
#include "engine/engine.h"
#include "server/preview.h"

enum { LINE_SIZE = 81, LINES_MAX = 3 * QUALITY_FINDINGS_MAX };

int convert_quality_write(const struct quality_report *report, const char *series_uid,
                          const char *folder, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(QUALITY_JSON_MAX + 256);
    struct json_writer w = json_writer_make(&text, false, err);
    json_write_object_begin(&w, NULL);
    json_write_string(&w, "sct_series_instance_uid", series_uid);
    quality_report_write_members(report, &w);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    r = r < 0 ? r : sctd_path_join(path, folder, CONVERT_QUALITY_FILE, err);
    return r == 0 ? sctd_file_replace(path, text.data, text.size, err) : r;
}

/* Whether the text is of this sCT, and judges it. */
static int check_report(const struct quality_report *report, const char *text, size_t size,
                        const char *series_uid, struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    const char *is = NULL;
    int r = json_parse(&json, text, size, err);
    r = r < 0 ? r : json_get_string(&is, json, json_get_root(json), "sct_series_instance_uid", err);
    if (r == 0 && (strcmp(is, series_uid) != 0 || !report->is_checked)) {
        r = sctd_error(err, SCTD_EDATA, "it is no report of the sCT that it lies beside");
    }
    return r;
}

int convert_quality_read(struct quality_report *ret_report, const char *series_uid,
                         const char *folder, struct sctd_error *err)
{
    char path[SCTD_PATH_MAX];
    struct sctd_map map;
    int r = sctd_path_join(path, folder, CONVERT_QUALITY_FILE, err);
    r = r < 0 ? r : sctd_map_open(&map, path, err);
    if (r < 0) {
        return r;
    }
    r = quality_report_read(ret_report, map.data, map.size, err);
    r = r < 0 ? r : check_report(ret_report, map.data, map.size, series_uid, err);
    sctd_map_close(&map);
    if (r < 0) {
        sctd_error_prefix(err, "%.120s", path);
    }
    return r;
}

static size_t count(const struct quality_report *report, enum quality_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n; i++) {
        n += report->finding[i].verdict == verdict ? 1 : 0;
    }
    return n;
}

void convert_quality_describe(const struct quality_report *report, char *text, size_t size)
{
    if (report->needs_review) {
        quality_report_summarise(report, text, size);
    } else {
        (void)snprintf(text, size, "%zu checks passed", count(report, QUALITY_PASSED));
    }
}

/* The page */

struct lines {
    char text[LINES_MAX][LINE_SIZE];
    const char *line[LINES_MAX];
    size_t n;
};

/* How much of the text fits into `room` letters, up to the end of a word if one is not too long. */
static size_t find_break(const char *text, size_t room)
{
    size_t size = strlen(text);
    if (size > room) {
        size = room;
        while (size > room / 2 && text[size] != ' ') {
            size--;
        }
    }
    return size;
}

/* As many lines as the text needs. */
static void add_text(struct lines *lines, const char *text)
{
    const char *indent = "";
    while (*text != '\0' && lines->n < LINES_MAX) {
        const size_t size = find_break(text, LINE_SIZE - 1 - strlen(indent));
        lines->line[lines->n] = lines->text[lines->n];
        (void)snprintf(lines->text[lines->n++], LINE_SIZE, "%s%.*s", indent, (int)size, text);
        text += size;
        text += strspn(text, " ");
        indent = "    ";
    }
}

static void add_findings(struct lines *lines, const struct quality_report *report,
                         enum quality_verdict verdict, const char *mark)
{
    for (size_t i = 0; i < report->n; i++) {
        char text[QUALITY_TEXT_SIZE + 16];
        if (report->finding[i].verdict == verdict) {
            (void)snprintf(text, sizeof text, "%s %s", mark, report->finding[i].text);
            add_text(lines, text);
        }
    }
}

static void add_head(struct lines *lines, const struct convert_page *page)
{
    char text[LINE_SIZE * 3];
    const struct sct_model *m = page->sct->model;
    const size_t failed = count(page->report, QUALITY_FAILED);
    (void)snprintf(text, sizeof text,
                   "This synthetic CT needs review: %zu of its %zu checks failed.", failed,
                   failed + count(page->report, QUALITY_PASSED));
    add_text(lines, text);
    (void)snprintf(text, sizeof text, "%s, model %s@%s%s", m->software, m->name, m->version,
                   m->research_only ? ", for research only" : "");
    add_text(lines, text);
    (void)snprintf(text, sizeof text, "series %s", page->sct->series_uid);
    add_text(lines, text);
}

static int draw(struct preview_image *ret_image, const struct convert_page *page,
                struct sctd_error *err)
{
    struct lines lines = {.n = 0};
    add_head(&lines, page);
    add_findings(&lines, page->report, QUALITY_FAILED, "FAILED");
    add_findings(&lines, page->report, QUALITY_PASSED, "passed");
    return preview_draw(ret_image, page->preview, lines.line, lines.n, err);
}

int convert_quality_page_folder(char *ret_folder, const char *output, const char *sct_series_uid,
                                struct sctd_error *err)
{
    char series_uid[DICOM_UID_SIZE];
    char instance_uid[DICOM_UID_SIZE];
    int r = dicom_uid_for_page(series_uid, instance_uid, sct_series_uid, err);
    return r < 0 ? r : sctd_path_join(ret_folder, output, series_uid, err);
}

static int write_page(const struct convert_page *page, const char *folder, struct sctd_error *err)
{
    const struct sct_request *sct = page->sct;
    char series_uid[DICOM_UID_SIZE];
    char instance_uid[DICOM_UID_SIZE];
    struct preview_image image = {.width = 0};
    int r = dicom_uid_for_page(series_uid, instance_uid, sct->series_uid, err);
    r = r < 0 ? r : draw(&image, page, err);
    if (r < 0) {
        return r;
    }
    const struct quality_page_request request = {
        .pixel = image.pixel,
        .width = image.width,
        .height = image.height,
        .source = sct->source,
        .n_sources = sct->n_sources,
        .model = sct->model,
        .options = sct->options,
        .quality = sct->quality,
        .date_time = sct->date_time,
        .sct_series_uid = sct->series_uid,
        .sct_instance_uid = sct->instance_uid,
        .n_sct_instances = page->n_instances,
        .series_uid = series_uid,
        .instance_uid = instance_uid,
    };
    r = quality_page_write(&request, folder, err);
    preview_image_fini(&image);
    return r;
}

int convert_quality_write_page(const struct convert_page *page, const char *output,
                               struct sctd_error *err)
{
    char folder[SCTD_PATH_MAX];
    struct sctd_work work = {.fd = -1};
    int r = convert_quality_page_folder(folder, output, page->sct->series_uid, err);
    r = r < 0 ? r : sctd_work_make(&work, output, ".page", err);
    if (r < 0) {
        return r;
    }
    r = write_page(page, work.path, err);
    if (r == 0) {
        sctd_dir_remove(folder);
        r = sctd_work_install(&work, folder, err);
    }
    if (r < 0) {
        sctd_work_remove(&work);
    }
    return r;
}
