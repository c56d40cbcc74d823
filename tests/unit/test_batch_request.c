/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/found.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/batch_request.h"

static struct sctd_error err;

static int read(struct batch_request *ret_request, const char *text)
{
    err = (struct sctd_error){.code = SCTD_OK};
    return batch_request_read(ret_request, text, strlen(text), &err);
}

static const char whole[] =
    "{\"source\":{\"pacs\":\"archive\"},\"select\":{\"from\":\"20240101\",\"to\":\"20240131\","
    "\"patient\":\"P1\",\"accession\":\"A1\",\"modality\":\"MR\",\"description\":\"t[12]\","
    "\"station\":\"MR*\",\"protocol\":\"head?\",\"min_images\":10,\"max_images\":300,\"limit\":7,"
    "\"studies\":[\"1.2.3\",\"1.2.4\"],\"series\":[\"1.2.5\"]},\"name\":\"cohort\","
    "\"model\":\"head@2\",\"rule\":\"head-mr\",\"moves\":3,\"per_hour\":60,\"hold\":true,"
    "\"force\":true,\"deliver\":[\"pacs\",\"plan\"],\"method\":\"move\",\"hours\":\"22:00-06:30\"}";

static void what_is_read_is_written_as_it_was(void)
{
    sctd_auto(batch_request_fini) struct batch_request q = batch_request_make();
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BATCH_REQUEST_TEXT_MAX);
    assert(read(&q, whole) == 0);
    assert(q.source == BATCH_PACS && strcmp(q.place, "archive") == 0 && q.moves == 3);
    assert(q.from_minute == 1320 && q.to_minute == 390 && q.n_destinations == 2);
    assert(batch_request_write(&text, &q, &err) == 0);
    assert(strcmp(sctd_buf_get_text(&text), whole) == 0);
}

/* The same request said otherwise has the same text, by which it is known. */
static void the_order_of_keys_and_uids_does_not_matter(void)
{
    sctd_auto(batch_request_fini) struct batch_request a = batch_request_make();
    sctd_auto(batch_request_fini) struct batch_request b = batch_request_make();
    sctd_auto(sctd_buf_fini) struct sctd_buf x = sctd_buf_make(BATCH_REQUEST_TEXT_MAX);
    sctd_auto(sctd_buf_fini) struct sctd_buf y = sctd_buf_make(BATCH_REQUEST_TEXT_MAX);
    assert(read(&a, "{\"source\":{\"pacs\":\"p\"},\"moves\":1,\"select\":{\"studies\":[\"1.2\","
                    "\"1.10\"],\"modality\":\"MR\"}}") == 0);
    assert(read(&b, "{\"select\":{\"modality\":\"MR\",\"studies\":[\"1.10\",\"1.2\"]},\"source\":"
                    "{\"pacs\":\"p\"},\"hold\":false}") == 0);
    assert(batch_request_write(&x, &a, &err) == 0 && batch_request_write(&y, &b, &err) == 0);
    assert(strcmp(sctd_buf_get_text(&x), sctd_buf_get_text(&y)) == 0);
}

static void nonsense_is_refused_by_name(void)
{
    static const char *const rows[][2] = {
        {"[]", "a batch is an object"},
        {"{\"select\":{}}", "with a source"},
        {"{\"source\":{}}", "source"},
        {"{\"source\":{\"held\":false}}", "source"},
        {"{\"source\":{\"held\":true,\"pacs\":\"a\"}}", "source"},
        {"{\"source\":{\"pacs\":\"\"}}", "source"},
        {"{\"source\":{\"held\":true},\"sauce\":1}", "sauce is no key"},
        {"{\"source\":{\"held\":true},\"select\":{\"colour\":1}}", "select.colour is no key"},
        {"{\"source\":{\"held\":true},\"moves\":0}", "moves: a number from 1"},
        {"{\"source\":{\"held\":true},\"moves\":17}", "moves"},
        {"{\"source\":{\"held\":true},\"moves\":1.5}", "moves"},
        {"{\"source\":{\"held\":true},\"hold\":1}", "hold: true or false"},
        {"{\"source\":{\"held\":true},\"method\":\"get\"}", "method: of a PACS only"},
        {"{\"source\":{\"held\":true},\"method\":\"carrier pigeon\"}", "method: auto"},
        {"{\"source\":{\"held\":true},\"select\":{\"patient\":\"x\"}}", "patient"},
        {"{\"source\":{\"held\":true},\"select\":{\"from\":\"20240101\"}}", "from and to"},
        {"{\"source\":{\"folder\":\"data\"}}", "a path from the root"},
        {"{\"source\":{\"folder\":\"/data\"},\"select\":{\"protocol\":\"x\"}}", "protocol"},
        {"{\"source\":{\"pacs\":\"a\"}}", "would list the whole PACS"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"modality\":\"MR\"}}", "whole PACS"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"from\":\"2024-01-01\"}}", "from"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"from\":\"20241301\"}}", "dates as"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"from\":\"20240230\",\"to\":\"20240101\"}}",
         "dates as"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"from\":\"20240102\",\"to\":\"20240101\"}}",
         "later than"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"patient\":\"A\\\\B\"}}", "backslashes"},
        {"{\"source\":{\"pacs\":\"a\"},\"select\":{\"studies\":[\"1..2\"]}}", "entry 1 is no UID"},
        {"{\"source\":{\"held\":true},\"select\":{\"description\":\"(\"}}", "regular expression"},
        {"{\"source\":{\"held\":true},\"select\":{\"min_images\":9,\"max_images\":8}}",
         "do not fit"},
        {"{\"source\":{\"held\":true},\"keep\":true,\"deliver\":[\"a\"]}", "not both"},
        {"{\"source\":{\"held\":true},\"hours\":\"22-6\"}", "hours"},
        {"{\"source\":{\"held\":true},\"hours\":\"22:00-24:01\"}", "hours"},
        {"{\"source\":{\"held\":true},\"hours\":\"24:00-06:00\"}", "hours"},
        {"{\"source\":{\"held\":true},\"hours\":\"22:60-06:00\"}", "hours"},
        {"{\"source\":{\"held\":true},\"hours\":\"22:00-06:00 \"}", "hours"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct batch_request q = batch_request_make();
        const int r = read(&q, rows[i][0]);
        if (r != SCTD_EINVAL || strstr(err.text, rows[i][1]) == NULL) {
            (void)fprintf(stderr, "%s: %d %s\n", rows[i][0], r, err.text);
        }
        assert(r == SCTD_EINVAL && strstr(err.text, rows[i][1]) != NULL);
    }
}

static void hours_may_go_over_midnight(void)
{
    static const int32_t rows[][4] = {
        {0, 0, 700, 0},        {480, 1020, 480, 0},  {480, 1020, 1020, 900}, {480, 1020, 479, 1},
        {1320, 360, 1320, 0},  {1320, 360, 1439, 0}, {1320, 360, 0, 0},      {1320, 360, 359, 0},
        {1320, 360, 360, 960}, {1320, 360, 1319, 1}, {0, 1440, 1439, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert(batch_request_wait_minutes(rows[i][0], rows[i][1], rows[i][2]) == rows[i][3]);
    }
}

static bool wants(const char *select, const struct dicom_found *found)
{
    char text[512];
    struct batch_request q = batch_request_make();
    struct batch_filter filter;
    (void)snprintf(text, sizeof text,
                   "{\"source\":{\"pacs\":\"a\"},\"select\":{\"from\":\"20240101\"%s}}", select);
    assert(read(&q, text) == 0);
    assert(batch_request_filter_open(&filter, &q, &err) == 0);
    const bool is_wanted = batch_request_filter_wants(&filter, found);
    batch_request_filter_close(&filter);
    batch_request_fini(&q);
    return is_wanted;
}

static void every_condition_counts(void)
{
    const struct dicom_found found = {.study_uid = "1.2",
                                      .series_uid = "1.2.3",
                                      .study_date = "20240615",
                                      .accession = "A7",
                                      .patient_id = "P[1]",
                                      .modality = "MR",
                                      .series_description = "T1 axial",
                                      .station = "MRAWP7",
                                      .protocol = "head",
                                      .images = 100};
    static const char *const yes[] = {
        "",
        ",\"to\":\"20240615\"",
        ",\"accession\":\"A7\"",
        ",\"patient\":\"P[1]\"",
        ",\"patient\":\"p*\"",
        ",\"modality\":\"MR\"",
        ",\"description\":\"^t[12].*AX\"",
        ",\"station\":\"mr??p*\"",
        ",\"protocol\":\"*ea*\"",
        ",\"min_images\":100,\"max_images\":100",
        ",\"studies\":[\"1.2\"],\"series\":[\"1.2.2\",\"1.2.3\",\"1.2.4\"]",
    };
    static const char *const no[] = {
        ",\"to\":\"20240614\"",     ",\"accession\":\"A\"",    ",\"patient\":\"P1\"",
        ",\"modality\":\"CT\"",     ",\"description\":\"T2\"", ",\"station\":\"mr?p*\"",
        ",\"protocol\":\"he\"",     ",\"min_images\":101",     ",\"max_images\":99",
        ",\"studies\":[\"1.2.9\"]", ",\"series\":[\"1.2\"]",
    };
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        assert(wants(yes[i], &found));
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        assert(!wants(no[i], &found));
    }
    struct dicom_found undated = found;
    undated.study_date[0] = '\0';
    assert(!wants("", &undated));
}

static void a_description_names_no_patient(void)
{
    sctd_auto(batch_request_fini) struct batch_request q = batch_request_make();
    char text[240];
    assert(read(&q, whole) == 0);
    batch_request_describe(text, sizeof text, &q);
    assert(strstr(text, "PACS archive, 20240101 to 20240131, one patient") == text);
    assert(strstr(text, "P1") == NULL && strstr(text, "A1") == NULL);
}

static void check_shown(const char *request, bool identity, const char *wanted)
{
    sctd_auto(batch_request_fini) struct batch_request q = batch_request_make();
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(BATCH_REQUEST_TEXT_MAX);
    struct json_writer w = json_writer_make(&text, false, &err);
    assert(read(&q, request) == 0);
    batch_request_show(&w, NULL, &q, identity);
    assert(json_writer_finish(&w) == 0);
    assert(strcmp(sctd_buf_get_text(&text), wanted) == 0);
}

static void what_may_name_a_patient_is_shown_to_some_alone(void)
{
    static const char folder[] = "{\"source\":{\"folder\":\"/data/DOE_JOHN\"},\"keep\":true}";
    check_shown(folder, false, "{\"source\":{\"folder\":null},\"select\":{},\"keep\":true}");
    check_shown(folder, true,
                "{\"source\":{\"folder\":\"/data/DOE_JOHN\"},\"select\":{},\"keep\":true}");
    static const char one[] = "{\"source\":{\"pacs\":\"a\"},\"select\":{\"patient\":\"P1\","
                              "\"accession\":\"A1\",\"modality\":\"MR\",\"studies\":[\"1.2.3\"],"
                              "\"series\":[\"1.2.5\",\"1.2.6\"]},\"hours\":\"22:00-06:30\"}";
    check_shown(one, false,
                "{\"source\":{\"pacs\":\"a\"},\"select\":{\"patient\":null,\"accession\":null,"
                "\"modality\":\"MR\",\"studies\":1,\"series\":2},\"hours\":\"22:00-06:30\"}");
    check_shown(one, true,
                "{\"source\":{\"pacs\":\"a\"},\"select\":{\"patient\":\"P1\",\"accession\":\"A1\","
                "\"modality\":\"MR\",\"studies\":1,\"series\":2},\"hours\":\"22:00-06:30\"}");
}

int main(void)
{
    what_may_name_a_patient_is_shown_to_some_alone();
    what_is_read_is_written_as_it_was();
    the_order_of_keys_and_uids_does_not_matter();
    nonsense_is_refused_by_name();
    hours_may_go_over_midnight();
    every_condition_counts();
    a_description_names_no_patient();
    return 0;
}
