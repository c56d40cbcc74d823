/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/model/quality_limits.h"

#include "tests/support/temporary.h"

static struct sctd_error err;

#define SCALARS                                                                                    \
    "\"air_outside_percent\": 0.5, \"hole_ml\": 3, \"slice_jump_hu\": 60.25, \"outline_mm\": 8,"   \
    "\"field_of_view_percent\": 0, \"saturation_percent\": 100"

static const char sound[] =
    "{" SCALARS ", \"tissues\": [{\"name\": \"bone\", \"hu\": [250, 32767], \"percent\": [2, 9.5]},"
    "{\"name\": \"0.a-b_c\", \"hu\": [-1000, -250], \"percent\": [0, 0]}],"
    "\"intensity\": [{\"percentile\": 0, \"range\": [0, 1]}, {\"percentile\": 50.5, \"range\": "
    "[0.25, 0.25]}]}";

static int parse(struct quality_limits *ret_limits, const char *text)
{
    sctd_auto(json_freep) struct json *json = NULL;
    int r = json_parse(&json, text, strlen(text), &err);
    return r < 0 ? r : quality_limits_parse(ret_limits, json, json_get_root(json), &err);
}

static void every_key_is_read(void)
{
    struct quality_limits q;
    assert(parse(&q, sound) == 0);
    assert(q.is_set && q.n_tissues == 2 && q.n_intensity == 2);
    assert(fabs(q.air_outside_percent - 0.5) < 1e-12 && fabs(q.hole_ml - 3.0) < 1e-12);
    assert(fabs(q.slice_jump_hu - 60.25) < 1e-12 && fabs(q.outline_mm - 8.0) < 1e-12);
    assert(fabs(q.field_of_view_percent) < 1e-12 && fabs(q.saturation_percent - 100.0) < 1e-12);
    assert(strcmp(q.tissue[0].name, "bone") == 0 && q.tissue[0].hu_high > 32766.0);
    assert(fabs(q.tissue[0].percent_high - 9.5) < 1e-12);
    assert(fabs(q.intensity[1].percentile - 50.5) < 1e-12 && q.intensity[1].high < 0.26);
}

static void format(struct sctd_buf *text, const struct quality_limits *limits)
{
    struct json_writer w = json_writer_make(text, false, &err);
    json_write_object_begin(&w, NULL);
    quality_limits_write_members(limits, &w);
    json_write_object_end(&w);
    int r = json_writer_finish(&w);
    assert(r == 0);
}

static void what_is_written_reads_back_the_same(void)
{
    struct quality_limits q;
    struct quality_limits back;
    sctd_auto(sctd_buf_fini) struct sctd_buf once = sctd_buf_make(8192);
    sctd_auto(sctd_buf_fini) struct sctd_buf twice = sctd_buf_make(8192);
    assert(parse(&q, sound) == 0);
    format(&once, &q);
    assert(parse(&back, once.data) == 0);
    format(&twice, &back);
    assert(strcmp(once.data, twice.data) == 0 && strstr(once.data, "60.25") != NULL);
}

/* The sound limits with one piece of text in place of another. */
static void must_refuse(const char *from, const char *to, const char *named)
{
    char text[2048];
    struct quality_limits q;
    const char *at = strstr(sound, from);
    assert(at != NULL);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sound), sound, to, at + strlen(from));
    memset(&q, 0x5A, sizeof q);
    int r = parse(&q, text);
    if (r != SCTD_EDATA || strstr(err.text, named) == NULL) {
        (void)fprintf(stderr, "%s -> %s: %d %s\n", from, to, r, err.text);
    }
    assert(r == SCTD_EDATA && strstr(err.text, named) != NULL);
    for (size_t i = 0; i < sizeof q; i++) {
        assert(((const unsigned char *)&q)[i] == 0x5A); /* untouched */
    }
}

static void what_is_not_as_documented_is_refused_by_name(void)
{
    static const struct {
        const char *from, *to, *named;
    } changes[] = {
        {"\"hole_ml\": 3,", "", "hole_ml"},
        {"\"hole_ml\": 3,", "\"hole_ml\": 3, \"holes\": 1,", "holes"},
        {"\"hole_ml\": 3,", "\"hole_ml\": 3, \"hole_ml\": 3,", "hole_ml"},
        {"\"hole_ml\": 3,", "\"hole_ml\": \"3\",", "hole_ml"},
        {"\"hole_ml\": 3,", "\"hole_ml\": null,", "hole_ml"},
        {"\"hole_ml\": 3,", "\"hole_ml\": -1,", "quality.hole_ml"},
        {"\"hole_ml\": 3,", "\"hole_ml\": 100001,", "quality.hole_ml"},
        {"\"air_outside_percent\": 0.5", "\"air_outside_percent\": 100.5", "air_outside_percent"},
        {"60.25", "65535", "slice_jump_hu"},
        {"\"outline_mm\": 8", "\"outline_mm\": 10001", "outline_mm"},
        {"\"field_of_view_percent\": 0", "\"field_of_view_percent\": 101", "field_of_view_percent"},
        {"\"saturation_percent\": 100", "\"saturation_percent\": -0.1", "saturation_percent"},
        {"[{\"name\": \"bone\"", "[5, {\"name\": \"bone\"", "quality.tissues[0]"},
        {"\"name\": \"bone\",", "", "quality.tissues[0]"},
        {"\"name\": \"bone\",", "\"name\": \"bone\", \"x\": 1,", "quality.tissues[0]"},
        {"\"bone\"", "\"Bone\"", "quality.tissues[0].name"},
        {"\"bone\"", "\"\"", "quality.tissues[0].name"},
        {"\"bone\"", "\"-bone\"", "quality.tissues[0].name"},
        {"\"bone\"", "\"bone of which nobody has heard so far\"", "name"},
        {"\"0.a-b_c\"", "\"bone\"", "two are called \"bone\""},
        {"[250, 32767]", "[250, 32768]", "quality.tissues[0].hu"},
        {"[250, 32767]", "[250, 250]", "quality.tissues[0].hu"},
        {"[250, 32767]", "[250]", "\"hu\""},
        {"[2, 9.5]", "[9.5, 2]", "quality.tissues[0].percent"},
        {"[2, 9.5]", "[-2, 9.5]", "quality.tissues[0].percent"},
        {"[2, 9.5]", "[2, 100.1]", "quality.tissues[0].percent"},
        {"\"percentile\": 50.5", "\"percentile\": 0", "quality.intensity[1].percentile"},
        {"\"percentile\": 50.5", "\"percentile\": 100.5", "quality.intensity[1].percentile"},
        {"[0.25, 0.25]", "[0.25, 1.25]", "quality.intensity[1].range"},
        {"[0.25, 0.25]", "[0.25, 0.125]", "quality.intensity[1].range"},
        {"[0.25, 0.25]", "0.25", "\"range\""},
        {", \"tissues\":", ", \"tissue\":", "tissue"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        must_refuse(changes[i].from, changes[i].to, changes[i].named);
    }
}

static void lists_have_a_most(void)
{
    char text[4096] = "{" SCALARS ", \"intensity\": [], \"tissues\": [";
    struct quality_limits q;
    for (int i = 0; i <= QUALITY_TISSUES_MAX; i++) {
        const size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used,
                       "%s{\"name\": \"t%d\", \"hu\": [0, 1], \"percent\": [0, 1]}",
                       i == 0 ? "" : ", ", i);
    }
    strncat(text, "]}", sizeof text - strlen(text) - 1);
    assert(parse(&q, text) == SCTD_EDATA && strstr(err.text, "at most 8") != NULL);
}

static void default_limits_are_sound(void)
{
    struct quality_limits q;
    quality_limits_default(&q);
    assert(q.is_set && q.n_tissues == 0 && q.n_intensity == 0 && q.outline_mm > 0.0);
    assert(quality_limits_check(&q, &err) == 0);
}

static void unset_limits_are_not_looked_at(void)
{
    const struct quality_limits q = {.hole_ml = -1.0};
    assert(quality_limits_check(&q, &err) == 0);
}

static void limits_that_are_no_numbers_are_refused(void)
{
    struct quality_limits q;
    quality_limits_default(&q);
    q.outline_mm = (double)NAN;
    assert(quality_limits_check(&q, &err) == SCTD_EDATA);
    assert(strstr(err.text, "outline_mm") != NULL);
    quality_limits_default(&q);
    q.n_tissues = QUALITY_TISSUES_MAX + 1;
    assert(quality_limits_check(&q, &err) == SCTD_EDATA);
}

static void file_holds_the_object_alone(void)
{
    char folder[] = TEMPORARY("sctd-test-limits");
    char path[SCTD_PATH_MAX];
    struct quality_limits q;
    assert(mkdtemp(folder) != NULL);
    assert(sctd_path_join(path, folder, "limits.json", &err) == 0);
    assert(quality_limits_read(&q, path, &err) == SCTD_EIO);
    assert(sctd_file_replace(path, sound, sizeof sound - 1, &err) == 0);
    assert(quality_limits_read(&q, path, &err) == 0 && q.n_tissues == 2);
    assert(sctd_file_replace(path, "{}", 2, &err) == 0);
    assert(quality_limits_read(&q, path, &err) == SCTD_EDATA);
    assert(strstr(err.text, "limits.json: quality: ") != NULL);
    sctd_dir_remove(folder);
}

int main(void)
{
    every_key_is_read();
    what_is_written_reads_back_the_same();
    what_is_not_as_documented_is_refused_by_name();
    lists_have_a_most();
    default_limits_are_sound();
    unset_limits_are_not_looked_at();
    limits_that_are_no_numbers_are_refused();
    file_holds_the_object_alone();
    return 0;
}
