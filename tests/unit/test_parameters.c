/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/engine.h"
#include "server/config.h"
#include "server/convert.h"
#include "server/parameters.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct sctd_error err;
static struct manifest manifest = {.name = "head",
                                   .version = "1",
                                   .weights_sha256 = SHA,
                                   .height = 256,
                                   .width = 256,
                                   .recipe = {.modality = "MR"}};

static struct parameters make(const struct config_rule *rule)
{
    struct parameters p;
    const int r = parameters_make(&p, rule, "fp32", &manifest, &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    assert(r == 0);
    return p;
}

static void write(char *text, size_t size, const struct parameters *p)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf buf = sctd_buf_make(PARAMETERS_TEXT_MAX);
    assert(parameters_write(&buf, p, &err) == 0);
    (void)snprintf(text, size, "%s", sctd_buf_get_text(&buf));
}

static char echo[] = "echo=1", image_type[] = "image-type=W";
static char *both[] = {echo, image_type};

static void what_a_rule_asks_for_comes_back_from_its_text(void)
{
    char text[PARAMETERS_TEXT_MAX + 1];
    char again[PARAMETERS_TEXT_MAX + 1];
    char description[] = "sCT \"t1\" caf\xc3\xa9";
    const struct config_rule rule = {.name = description,
                                     .select = both,
                                     .select_count = 2,
                                     .grid = CONFIG_GRID_AXIAL,
                                     .series_description = description,
                                     .series_number_offset = INT32_MAX,
                                     .rescale_intercept = -1024};
    const struct parameters p = make(&rule);
    struct parameters q;
    write(text, sizeof text, &p);
    assert(parameters_read(&q, text, &err) == 0);
    assert(q.axial && q.n_select == 2 && strcmp(q.select[1], image_type) == 0);
    assert(strcmp(q.precision, "fp32") == 0 && strcmp(q.series_description, description) == 0);
    assert(q.series_number_offset == INT32_MAX && q.rescale_intercept == -1024);
    assert(strcmp(q.work_sha256, p.work_sha256) == 0);
    assert(!q.is_checked && strstr(text, "checked") == NULL);
    write(again, sizeof again, &q);
    assert(strcmp(text, again) == 0);
}

static void what_is_checked_says_so(void)
{
    char text[PARAMETERS_TEXT_MAX + 1];
    const struct config_rule rule = {.select_count = 0};
    struct manifest limited = manifest;
    struct parameters p;
    struct parameters q;
    quality_limits_default(&limited.quality);
    assert(parameters_make(&p, &rule, "fp32", &limited, &err) == 0);
    write(text, sizeof text, &p);
    assert(parameters_read(&q, text, &err) == 0 && q.is_checked);
    assert(parameters_check(&q, &limited, &err) == 0);
    limited.quality.outline_mm += 1; /* what the objects say of their checks is another thing */
    assert(parameters_check(&q, &limited, &err) == SCTD_EDATA);
}

static void options_are_what_the_parameters_say(void)
{
    struct dicom_selector selector[PARAMETERS_SELECT_MAX];
    struct convert_options options;
    const struct config_rule rule = {
        .select = both, .select_count = 1, .series_number_offset = 7, .rescale_intercept = 0};
    struct parameters p = make(&rule);
    assert(parameters_to_options(&options, selector, &p, &err) == 0);
    assert(options.n_selectors == 1 && options.selector == selector);
    assert(options.grid == CONVERT_GRID_SOURCE && options.sct.series_description == NULL);
    assert(options.sct.series_number_offset == 7 && options.sct.rescale_intercept == 0);
    p.axial = true;
    (void)snprintf(p.series_description, sizeof p.series_description, "mine");
    assert(parameters_to_options(&options, selector, &p, &err) == 0);
    assert(options.grid == CONVERT_GRID_AXIAL);
    assert(strcmp(options.sct.series_description, "mine") == 0);
    (void)snprintf(p.select[0], sizeof p.select[0], "nonsense");
    assert(parameters_to_options(&options, selector, &p, &err) == SCTD_EINVAL);
}

/* All that changes the objects changes the text, and the hash where the text does not name it. */
static void what_changes_the_result_changes_the_hash(void)
{
    const struct config_rule rule = {.select_count = 0};
    const struct parameters p = make(&rule);
    assert(parameters_check(&p, &manifest, &err) == 0);
    struct manifest other = manifest;
    other.recipe.clip_low += 1;
    assert(parameters_check(&p, &other, &err) == SCTD_EDATA);
    assert(strstr(err.text, "reprocess") != NULL);
    struct parameters q = p;
    q.rescale_intercept = -1024;
    assert(parameters_check(&q, &manifest, &err) == SCTD_EDATA);
    q = p;
    (void)snprintf(q.precision, sizeof q.precision, "bf16");
    assert(parameters_check(&q, &manifest, &err) == SCTD_EDATA);
    assert(parameters_check(&p, &manifest, &err) == 0);
}

static void what_is_too_long_is_refused(void)
{
    struct parameters p;
    char long_text[101];
    memset(long_text, 'x', 100);
    long_text[100] = '\0';
    char *many[PARAMETERS_SELECT_MAX + 1];
    for (size_t i = 0; i <= PARAMETERS_SELECT_MAX; i++) {
        many[i] = echo;
    }
    char *one[] = {long_text};
    const struct config_rule rules[] = {
        {.name = echo, .select = many, .select_count = PARAMETERS_SELECT_MAX + 1},
        {.name = echo, .select = one, .select_count = 1},
        {.name = echo, .series_description = long_text},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        assert(parameters_make(&p, &rules[i], "fp32", &manifest, &err) == SCTD_EINVAL);
    }
    const struct config_rule rule = {
        .name = echo, .select = many, .select_count = PARAMETERS_SELECT_MAX};
    assert(parameters_make(&p, &rule, "fp32", &manifest, &err) == 0);
    assert(parameters_make(&p, &rule, long_text, &manifest, &err) == SCTD_EINVAL);
}

/* `text` with its first `from` replaced by `to`. */
static const char *changed(const char *text, const char *from, const char *to)
{
    static char room[2 * PARAMETERS_TEXT_MAX];
    const char *at = strstr(text, from);
    assert(at != NULL);
    (void)snprintf(room, sizeof room, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return room;
}

static void a_damaged_text_is_refused(void)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"\"precision\"", "\"decision\""},
        {"\"fp32\"", "32"},
        {"\"fp32\"", "\"a precision of many letters\""},
        {"\"source\"", "\"oblique\""},
        {"\"source\"", "\"an overlong grid\""},
        {"[\"echo=1\"]", "\"echo=1\""},
        {"[\"echo=1\"]", "[1]"},
        {"[\"echo=1\"]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"},
        {"\"series_number_offset\":1000", "\"series_number_offset\":2147483648"},
        {"\"series_number_offset\":1000", "\"series_number_offset\":-2147483649"},
        {"\"series_number_offset\":1000", "\"series_number_offset\":1.5"},
        {"\"work_sha256\":\"", "\"work_sha256\":\"0"},
        {"}", ""},
    };
    char text[PARAMETERS_TEXT_MAX + 1];
    const struct config_rule rule = {
        .select = both, .select_count = 1, .series_number_offset = 1000};
    const struct parameters p = make(&rule);
    struct parameters q = {.n_select = 3};
    write(text, sizeof text, &p);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert(parameters_read(&q, changed(text, rows[i].from, rows[i].to), &err) == SCTD_EDATA);
        assert(strstr(err.text, "the job's parameters") != NULL);
    }
    assert(parameters_read(&q, "", &err) == SCTD_EDATA);
    assert(parameters_read(&q, "[]", &err) == SCTD_EDATA);
    assert(q.n_select == 3);
    assert(parameters_read(&q, text, &err) == 0 && q.n_select == 1);
}

int main(void)
{
    what_a_rule_asks_for_comes_back_from_its_text();
    what_is_checked_says_so();
    options_are_what_the_parameters_say();
    what_changes_the_result_changes_the_hash();
    what_is_too_long_is_refused();
    a_damaged_text_is_refused();
    return 0;
}
