/* made_page.h - a request for a quality page beside a made-up source, which a test then spoils. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stdio.h>

#include "dicom/quality_page.h"
#include "dicom/sct_writer.h"
#include "dicom/source.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/made_dicom.h"

enum { MADE_PAGE_PIXELS = 5 * 3 };

struct made_page {
    char path[SCTD_PATH_MAX]; /* of the source */
    char out[SCTD_PATH_MAX];  /* an empty folder */
    struct dicom_source source[1];
    unsigned char pixel[MADE_PAGE_PIXELS];
    struct sct_model model;
    struct sct_options options;
    struct sct_quality quality;
    char sct_instance_uid[2][DICOM_UID_SIZE];
    struct quality_page_request request;
};

static inline void made_page_write_source(const struct made_page *page)
{
    static struct made m;
    m = (struct made){.size = 0};
    made_meta(&m, "1.2.840.10008.1.2.1");
    made_slice(&m, 0);
    made_write(&m, page->path);
}

/* Everything as it should be.  folder: an existing one for the source and for `out`. */
static inline void made_page_start(struct made_page *page, const char *folder)
{
    struct sctd_error err = {0};
    *page = (struct made_page){
        .source = {{.sop_class_uid = "1.2.840.10008.5.1.4.1.1.4", .sop_instance_uid = "1.2.3.1"}},
        .model = {.name = "head",
                  .version = "1",
                  .sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                  .software = "sctd test"},
        .quality = {.needs_review = true, .text = "holes 12 ml (at most 5)"},
        .sct_instance_uid = {"2.25.11", "2.25.12"}};
    assert(sctd_path_join(page->path, folder, "source", &err) == 0);
    assert(sctd_path_join(page->out, folder, "out", &err) == 0);
    assert(sctd_dir_make(page->out, &err) == 0);
    made_page_write_source(page);
    page->source[0].path = page->path;
    for (unsigned i = 0; i < MADE_PAGE_PIXELS; i++) {
        page->pixel[i] = (unsigned char)(17 * i);
    }
    page->request = (struct quality_page_request){
        .pixel = page->pixel,
        .width = 5,
        .height = 3,
        .source = page->source,
        .n_sources = 1,
        .model = &page->model,
        .options = &page->options,
        .quality = &page->quality,
        .date_time = "20250203040506.123456",
        .sct_series_uid = "2.25.1",
        .sct_instance_uid = (const char(*)[DICOM_UID_SIZE])page->sct_instance_uid,
        .n_sct_instances = 2,
        .series_uid = "2.25.2",
        .instance_uid = "2.25.3"};
}
