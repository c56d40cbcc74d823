/* SPDX-License-Identifier: Apache-2.0 */
/* The names of checks, and their report as JSON and as one line. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/model/section.h"
#include "engine/quality.h"

enum { PLACE_SIZE = 32, VERDICTS = 3, ITEM_SIZE = 128 };

static const char *const check_names[QUALITY_CHECKS] = {
    [QUALITY_AIR_OUTSIDE] = "air-outside",
    [QUALITY_HOLES] = "holes",
    [QUALITY_SLICE_JUMP] = "slice-jump",
    [QUALITY_OUTLINE] = "outline",
    [QUALITY_FIELD_OF_VIEW] = "field-of-view",
    [QUALITY_SATURATION] = "saturation",
    [QUALITY_TISSUE] = "tissue",
    [QUALITY_INTENSITY] = "intensity",
};

static const char *const units[QUALITY_CHECKS] = {
    [QUALITY_AIR_OUTSIDE] = "%", [QUALITY_HOLES] = "ml",        [QUALITY_SLICE_JUMP] = "HU",
    [QUALITY_OUTLINE] = "mm",    [QUALITY_FIELD_OF_VIEW] = "%", [QUALITY_SATURATION] = "%",
    [QUALITY_TISSUE] = "%",      [QUALITY_INTENSITY] = "1",
};

static const char *const verdict_names[VERDICTS] = {
    [QUALITY_PASSED] = "passed",
    [QUALITY_FAILED] = "failed",
    [QUALITY_MEASURED] = "measured",
};

const char *quality_check_name(enum quality_check check)
{
    return check < QUALITY_CHECKS ? check_names[check] : "";
}

const char *quality_check_unit(enum quality_check check)
{
    return check < QUALITY_CHECKS ? units[check] : "";
}

const char *quality_verdict_name(enum quality_verdict verdict)
{
    return verdict <= QUALITY_MEASURED ? verdict_names[verdict] : "";
}

static const char *verdict_of(const struct quality_report *report)
{
    if (!report->is_checked) {
        return "measured";
    }
    return report->needs_review ? "review" : "passed";
}

/* Writing */

static void write_finding(const struct quality_finding *finding, struct json_writer *writer)
{
    json_write_object_begin(writer, NULL);
    json_write_string(writer, "check", quality_check_name(finding->check));
    json_write_string(writer, "what", finding->what);
    json_write_string(writer, "verdict", quality_verdict_name(finding->verdict));
    json_write_double(writer, "value", finding->value);
    json_write_double(writer, "low", finding->low);
    json_write_double(writer, "high", finding->high);
    json_write_string(writer, "unit", finding->unit);
    json_write_double(writer, "hu_low", finding->hu_low);
    json_write_double(writer, "hu_high", finding->hu_high);
    json_write_double(writer, "z_mm", finding->z_mm);
    json_write_string(writer, "text", finding->text);
    json_write_object_end(writer);
}

void quality_report_write_members(const struct quality_report *report, struct json_writer *writer)
{
    json_write_string(writer, "verdict", verdict_of(report));
    json_write_array_begin(writer, "checks");
    for (size_t i = 0; i < report->n; i++) {
        write_finding(&report->finding[i], writer);
    }
    json_write_array_end(writer);
}

int quality_report_write(struct sctd_buf *text, const struct quality_report *report,
                         struct sctd_error *err)
{
    struct json_writer w = json_writer_make(text, false, err);
    json_write_object_begin(&w, NULL);
    quality_report_write_members(report, &w);
    json_write_object_end(&w);
    return json_writer_finish(&w);
}

/* Reading */

/* null: `absent`. */
static int get_number(double *ret_value, double absent, const struct section *s, const char *key,
                      struct sctd_error *err)
{
    const struct json_node *node = json_find(s->json, s->node, key);
    if (node != NULL && node->type == JSON_NULL) {
        *ret_value = absent;
        return 0;
    }
    return section_get_number(ret_value, s, key, err);
}

static int get_numbers(struct quality_finding *finding, const struct section *s,
                       struct sctd_error *err)
{
    int r = get_number(&finding->value, (double)NAN, s, "value", err);
    r = r < 0 ? r : get_number(&finding->low, -(double)INFINITY, s, "low", err);
    r = r < 0 ? r : get_number(&finding->high, (double)INFINITY, s, "high", err);
    r = r < 0 ? r : get_number(&finding->hu_low, (double)NAN, s, "hu_low", err);
    r = r < 0 ? r : get_number(&finding->hu_high, (double)NAN, s, "hu_high", err);
    return r < 0 ? r : get_number(&finding->z_mm, (double)NAN, s, "z_mm", err);
}

static bool is_printable(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            return false;
        }
    }
    return true;
}

static int read_finding(struct quality_finding *finding, const struct section *s,
                        struct sctd_error *err)
{
    static const char *const known[] = {"check", "what",   "verdict", "value", "low", "high",
                                        "unit",  "hu_low", "hu_high", "z_mm",  "text"};
    int check = 0;
    int verdict = 0;
    int unit = 0;
    int r = SECTION_CHECK_KEYS(s, known, err);
    r = r < 0 ? r : section_get_word(&check, s, "check", check_names, QUALITY_CHECKS, err);
    r = r < 0 ? r : section_get_word(&verdict, s, "verdict", verdict_names, VERDICTS, err);
    r = r < 0 ? r : section_get_word(&unit, s, "unit", &units[check], 1, err);
    r = r < 0 ? r : section_get_text(finding->what, sizeof finding->what, s, "what", err);
    r = r < 0 ? r : section_get_text(finding->text, sizeof finding->text, s, "text", err);
    r = r < 0 ? r : get_numbers(finding, s, err);
    if (r < 0) {
        return r;
    }
    if (!is_printable(finding->what) || !is_printable(finding->text)) {
        return section_place(sctd_error(err, SCTD_EDATA, "a text is no printable ASCII"), s->name,
                             err);
    }
    finding->check = (enum quality_check)check;
    finding->verdict = (enum quality_verdict)verdict;
    finding->unit = units[check];
    return 0;
}

static int read_findings(struct quality_report *report, const struct section *root,
                         struct sctd_error *err)
{
    const struct json_node *array = NULL;
    int r = json_get_array(&array, root->json, root->node, "checks", err);
    if (r < 0) {
        return r;
    }
    if (array->count > QUALITY_FINDINGS_MAX) {
        return sctd_error(err, SCTD_EDATA, "\"checks\" has %u elements, at most %d may be",
                          array->count, (int)QUALITY_FINDINGS_MAX);
    }
    const struct json_node *node = json_first(root->json, array);
    for (; r == 0 && node != NULL; node = json_next(root->json, node)) {
        char name[PLACE_SIZE];
        (void)snprintf(name, sizeof name, "checks[%zu]", report->n);
        const struct section s = {root->json, node, name};
        r = read_finding(&report->finding[report->n], &s, err);
        report->needs_review |= report->finding[report->n].verdict == QUALITY_FAILED;
        report->n++;
    }
    return r;
}

int quality_report_read(struct quality_report *ret_report, const char *text, size_t size,
                        struct sctd_error *err)
{
    sctd_auto(json_freep) struct json *json = NULL;
    struct quality_report report = {.n = 0};
    char verdict[16] = "";
    int r = section_parse_root(&json, text, size, QUALITY_JSON_MAX, err);
    if (r < 0) {
        return r;
    }
    const struct section root = {json, json_get_root(json), ""};
    r = section_get_text(verdict, sizeof verdict, &root, "verdict", err);
    if (r == 0) {
        r = read_findings(&report, &root, err);
    }
    if (r < 0) {
        return r;
    }
    report.is_checked = strcmp(verdict, "measured") != 0;
    if (strcmp(verdict, verdict_of(&report)) != 0) {
        return sctd_error(err, SCTD_EDATA, "\"verdict\" is \"%s\", which its checks do not say",
                          verdict);
    }
    *ret_report = report;
    return 0;
}

/* One line */

static void describe(char text[ITEM_SIZE], const struct quality_finding *f)
{
    const char *unit = f->check == QUALITY_INTENSITY ? "" : f->unit;
    const bool of_what = f->what[0] != '\0';
    int n = snprintf(text, ITEM_SIZE, "%s%s%s", quality_check_name(f->check), of_what ? " " : "",
                     f->what);
    if (!isfinite(f->value)) {
        (void)snprintf(text + n, (size_t)(ITEM_SIZE - n), " not measured");
        return;
    }
    n += snprintf(text + n, (size_t)(ITEM_SIZE - n), fabs(f->value) < 1000.0 ? " %.4g" : " %.0f",
                  f->value);
    n += snprintf(text + n, (size_t)(ITEM_SIZE - n), "%s%s", *unit == '\0' ? "" : " ", unit);
    if (isfinite(f->low)) {
        (void)snprintf(text + n, (size_t)(ITEM_SIZE - n), " (%g to %g)", f->low, f->high);
    } else {
        (void)snprintf(text + n, (size_t)(ITEM_SIZE - n), " (at most %g)", f->high);
    }
}

void quality_report_summarise(const struct quality_report *report, char *text, size_t size)
{
    static const char more[] = ", ...";
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < report->n; i++) {
        char item[ITEM_SIZE];
        if (report->finding[i].verdict != QUALITY_FAILED) {
            continue;
        }
        describe(item, &report->finding[i]);
        const char *comma = used == 0 ? "" : ", ";
        const size_t length = strlen(comma) + strlen(item);
        if (used + length + sizeof more > size) {
            (void)snprintf(text + used, size - used, "%s", used == 0 ? "..." : more);
            return;
        }
        (void)snprintf(text + used, size - used, "%s%s", comma, item);
        used += length;
    }
}
