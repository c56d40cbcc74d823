/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dicom/series.h"
#include "dicom/source.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "server/convert.h"
#include "server/convert_batch.h"

static struct convert_row rows[4];

static void fill(void)
{
    for (int i = 0; i < 4; i++) {
        rows[i] = (struct convert_row){.outcome = (enum convert_outcome)i, .seconds = 1.25 * i};
        (void)snprintf(rows[i].facts.series_instance_uid, DICOM_UID_SIZE, "1.2.%d", i);
        (void)snprintf(rows[i].facts.modality, sizeof rows[i].facts.modality, "MR");
        (void)snprintf(rows[i].result.series_uid, DICOM_UID_SIZE, "2.25.%d", i);
        (void)snprintf(rows[i].result.folder, sizeof rows[i].result.folder, "out/2.25.%d", i);
        rows[i].facts.instances = 30 + i;
        rows[i].result.instances = 30 + i;
    }
    (void)snprintf(rows[0].facts.series_description, sizeof rows[0].facts.series_description,
                   "t1\x1b[2J \xc2\x9b\x37 K\xc3\xb6rper\n");
    (void)snprintf(rows[0].preview, sizeof rows[0].preview, "look.png");
    rows[0].result.stage_s[CONVERT_NETWORK] = 0.5;
    rows[CONVERT_OUTCOME_REFUSED].result.refusal =
        (struct dicom_refusal){DICOM_REFUSAL_MISSING_SLICE, "no slice between 3 and 9 mm"};
    rows[CONVERT_OUTCOME_FAILED].error =
        (struct sctd_error){.code = SCTD_EIO, .text = "out: No space left on device"};
}

static void table_says_what_came_of_each_series(void)
{
    FILE *out = tmpfile();
    static char text[65536];
    assert(out != NULL);
    convert_batch_print(rows, 4, out);
    assert(fseek(out, 0, SEEK_SET) == 0);
    const size_t size = fread(text, 1, sizeof text - 1, out);
    text[size] = '\0';
    assert(fclose(out) == 0);
    static const char expected[] =
        "series  modality  instances   seconds  result                  description\n"
        "     1  MR               30       0.0  converted               "
        "t1?[2J ??7 K\xc3\xb6rper?\n"
        "     2  MR               31       1.2  there                   \n"
        "     3  MR               32       2.5  missing-slice           \n"
        "     4  MR               33       3.8  io                      \n"
        "1: 1.2.0 -> out/2.25.0 (30 instances)\n"
        "1: preview look.png\n"
        "2: 1.2.1 -> out/2.25.1 (31 instances, converted before)\n"
        "3: 1.2.2: no slice between 3 and 9 mm\n"
        "4: 1.2.3: out: No space left on device\n";
    assert(strcmp(text, expected) == 0);
}

static const char *text_of(const struct json *json, const struct json_node *row, const char *key)
{
    struct sctd_error err = {0};
    const char *text = NULL;
    return json_get_string(&text, json, row, key, &err) == 0 ? text : "";
}

static bool has_text(const struct json *json, const struct json_node *row, const char *key,
                     const char *text)
{
    return strcmp(text_of(json, row, key), text) == 0;
}

static struct json *written(void)
{
    struct sctd_error err = {0};
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(1 << 20);
    struct json_writer w = json_writer_make(&buf, true, &err);
    json_write_object_begin(&w, NULL);
    convert_batch_write(rows, 4, &w);
    json_write_object_end(&w);
    struct json *json = NULL;
    assert(json_writer_finish(&w) == 0 && json_parse(&json, buf.data, buf.size, &err) == 0);
    return json;
}

static const struct json_node *row_of(const struct json *json, int i)
{
    const struct json_node *row = json_first(json, json_find(json, json_get_root(json), "series"));
    for (; i > 0; i--) {
        row = json_next(json, row);
    }
    return row;
}

static void json_has_the_same_facts(void)
{
    struct sctd_error err = {0};
    sctd_auto(json_freep) struct json *json = written();
    const struct json_node *row = row_of(json, 0);
    assert(has_text(json, row, "outcome", "converted"));
    assert(has_text(json, row, "folder", "out/2.25.0"));
    assert(has_text(json, row, "sct_series_instance_uid", "2.25.0"));
    assert(has_text(json, row, "preview", "look.png"));
    double network = 0.0;
    const struct json_node *stages = json_find(json, row, "stage_seconds");
    assert(json_get_number(&network, json, stages, "network", &err) == 0);
    assert(network > 0.49 && network < 0.51);
    assert(has_text(json, row_of(json, 1), "outcome", "there"));
    assert(json_next(json, row_of(json, 3)) == NULL);
}

static void json_says_why_there_is_no_result(void)
{
    sctd_auto(json_freep) struct json *json = written();
    const struct json_node *row = row_of(json, 2);
    assert(has_text(json, row, "outcome", "refused"));
    assert(has_text(json, row, "code", "missing-slice"));
    assert(has_text(json, row, "reason", "no slice between 3 and 9 mm"));
    assert(json_find(json, row, "folder") == NULL);
    row = row_of(json, 3);
    assert(has_text(json, row, "outcome", "failed"));
    assert(has_text(json, row, "code", "io"));
    assert(json_find(json, row, "stage_seconds") == NULL);
}

int main(void)
{
    fill();
    table_says_what_came_of_each_series();
    json_has_the_same_facts();
    json_says_why_there_is_no_result();
    return 0;
}
