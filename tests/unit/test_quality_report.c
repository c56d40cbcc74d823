/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/model/quality_limits.h"
#include "engine/quality.h"

static struct sctd_error err;

static struct quality_report make(void)
{
    const double none = (double)NAN;
    return (struct quality_report){
        .is_checked = true,
        .needs_review = true,
        .n = 4,
        .finding = {
            {QUALITY_OUTLINE, QUALITY_FAILED, "", 23.1, -(double)INFINITY, 15.0, "mm", none, none,
             -37.5, "the outline"},
            {QUALITY_HOLES, QUALITY_PASSED, "", 0.0, -(double)INFINITY, 10.0, "ml", none, none,
             none, "no void"},
            {QUALITY_TISSUE, QUALITY_FAILED, "bone", 1.0 / 3.0, 2.0, 9.5, "%", 250.0, 32767.0, none,
             "bone"},
            {QUALITY_INTENSITY, QUALITY_FAILED, "50", none, 0.1, 0.2, "1", none, none, none,
             "not measured"},
        }};
}

static int read_back(struct quality_report *ret_report, const char *text)
{
    return quality_report_read(ret_report, text, strlen(text), &err);
}

static void what_is_written_reads_back_the_same(void)
{
    const struct quality_report report = make();
    struct quality_report back;
    sctd_auto(sctd_buf_fini) struct sctd_buf once = sctd_buf_make(QUALITY_JSON_MAX);
    sctd_auto(sctd_buf_fini) struct sctd_buf twice = sctd_buf_make(QUALITY_JSON_MAX);
    assert(quality_report_write(&once, &report, &err) == 0);
    assert(strstr(once.data, "{\"verdict\":\"review\",\"checks\":[{\"check\":\"outline\"") != NULL);
    assert(read_back(&back, once.data) == 0);
    assert(back.n == 4 && back.is_checked && back.needs_review);
    assert(back.finding[2].value > 0.33 && strcmp(back.finding[2].what, "bone") == 0);
    assert(isnan(back.finding[3].value) && isinf(back.finding[0].low) &&
           isnan(back.finding[1].z_mm));
    assert(quality_report_write(&twice, &back, &err) == 0);
    assert(strcmp(once.data, twice.data) == 0);
}

static void report_without_limits_says_so(void)
{
    struct quality_report report = {.n = 1};
    struct quality_report back;
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(QUALITY_JSON_MAX);
    report.finding[0] = make().finding[1];
    report.finding[0].verdict = QUALITY_MEASURED;
    assert(quality_report_write(&text, &report, &err) == 0);
    assert(strstr(text.data, "\"verdict\":\"measured\"") != NULL);
    assert(read_back(&back, text.data) == 0 && !back.is_checked && !back.needs_review);
}

/* The largest report there can be. */
static void full_report_fits(void)
{
    struct quality_report report = make();
    sctd_auto(sctd_buf_fini) struct sctd_buf text = sctd_buf_make(QUALITY_JSON_MAX);
    report.n = 6 + QUALITY_TISSUES_MAX + QUALITY_PERCENTILES_MAX;
    for (size_t i = 0; i < report.n; i++) {
        struct quality_finding *f = &report.finding[i];
        *f = make().finding[2];
        f->value = f->low = f->high = f->hu_low = f->hu_high = f->z_mm = -1.0 / 3.0;
        memset(f->what, 'w', sizeof f->what - 1);
        memset(f->text, 't', sizeof f->text - 1);
    }
    assert(report.n <= QUALITY_FINDINGS_MAX);
    assert(quality_report_write(&text, &report, &err) == 0);
}

static void must_refuse(const char *from, const char *to, const char *named)
{
    const struct quality_report report = make();
    struct quality_report back = {.n = 77};
    char text[QUALITY_JSON_MAX];
    sctd_auto(sctd_buf_fini) struct sctd_buf sound = sctd_buf_make(QUALITY_JSON_MAX);
    assert(quality_report_write(&sound, &report, &err) == 0);
    const char *at = strstr(sound.data, from);
    assert(at != NULL);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sound.data), sound.data, to,
                   at + strlen(from));
    int r = read_back(&back, text);
    if (r != SCTD_EDATA || strstr(err.text, named) == NULL) {
        (void)fprintf(stderr, "%s -> %s: %d %s\n", from, to, r, err.text);
    }
    assert(r == SCTD_EDATA && strstr(err.text, named) != NULL && back.n == 77);
}

static void what_no_report_says_is_refused(void)
{
    static const struct {
        const char *from, *to, *named;
    } changes[] = {
        {"\"verdict\":\"review\"", "\"verdict\":\"passed\"", "verdict"},
        {"\"verdict\":\"review\"", "\"verdict\":\"good\"", "verdict"},
        {"\"verdict\":\"review\",", "", "verdict"},
        {"\"verdict\":\"failed\"", "\"verdict\":\"fine\"", "checks[0]"},
        {"\"check\":\"outline\"", "\"check\":\"inline\"", "checks[0]"},
        {"\"unit\":\"mm\"", "\"unit\":\"ml\"", "unit"},
        {"\"z_mm\":-37.5", "\"z_mm\":\"low\"", "z_mm"},
        {"\"z_mm\":-37.5,", "", "z_mm"},
        {"\"z_mm\":-37.5,", "\"z_mm\":-37.5,\"y_mm\":1,", "y_mm"},
        {"the outline", "the\\nout", "printable"},
        {"\"bone\"", "\"b\xc3\xa9\"", "printable"},
        {"\"checks\":[", "\"checks\":[1,", "checks[0]"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        must_refuse(changes[i].from, changes[i].to, changes[i].named);
    }
    struct quality_report back;
    assert(read_back(&back, "{\"verdict\": \"passed\"}") == SCTD_EDATA);
    assert(read_back(&back, "[]") == SCTD_EDATA);
    assert(read_back(&back, "{\"verdict\": \"passed\", \"checks\": [], \"model\": 1}") == 0);
}

static void too_many_checks_are_refused(void)
{
    struct quality_report back;
    char text[1024] = "{\"verdict\": \"passed\", \"checks\": [1";
    for (int i = 0; i < QUALITY_FINDINGS_MAX; i++) {
        strncat(text, ",1", sizeof text - strlen(text) - 1);
    }
    strncat(text, "]}", sizeof text - strlen(text) - 1);
    assert(read_back(&back, text) == SCTD_EDATA && strstr(err.text, "at most 32") != NULL);
}

static void summary_names_what_failed(void)
{
    const struct quality_report report = make();
    char text[200];
    quality_report_summarise(&report, text, sizeof text);
    assert(strcmp(text, "outline 23.1 mm (at most 15), tissue bone 0.3333 % (2 to 9.5), "
                        "intensity 50 not measured") == 0);
    quality_report_summarise(&report, text, 40);
    assert(strcmp(text, "outline 23.1 mm (at most 15), ...") == 0);
    quality_report_summarise(&report, text, 10);
    assert(strcmp(text, "...") == 0);
    quality_report_summarise(&report, text, 1);
    assert(text[0] == '\0');
    const struct quality_report sound = {.is_checked = true};
    quality_report_summarise(&sound, text, sizeof text);
    assert(text[0] == '\0');
}

static void everything_has_a_name(void)
{
    for (int c = 0; c < QUALITY_CHECKS; c++) {
        assert(quality_check_name((enum quality_check)c)[0] != '\0');
        assert(quality_check_unit((enum quality_check)c)[0] != '\0');
    }
    assert(strcmp(quality_check_name(QUALITY_AIR_OUTSIDE), "air-outside") == 0);
    assert(strcmp(quality_verdict_name(QUALITY_FAILED), "failed") == 0);
}

int main(void)
{
    what_is_written_reads_back_the_same();
    report_without_limits_says_so();
    full_report_fits();
    what_no_report_says_is_refused();
    too_many_checks_are_refused();
    summary_names_what_failed();
    everything_has_a_name();
    return 0;
}
