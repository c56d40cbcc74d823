/* SPDX-License-Identifier: Apache-2.0 */
#include "server/exposition.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/buf.h"

const double exposition_seconds[EXPOSITION_SECONDS] = {0.05, 0.1, 0.25, 0.5, 1,   2.5, 5,    10,
                                                       20,   30,  60,   120, 300, 600, 1800, 3600};

void exposition_observe(struct exposition_histogram *histogram, double seconds)
{
    size_t i = 0;
    if (!isfinite(seconds)) {
        return;
    }
    while (i < EXPOSITION_SECONDS && seconds > exposition_seconds[i]) {
        i++;
    }
    histogram->count[i]++;
    histogram->sum += seconds;
}

static void put(struct exposition *e, const char *text)
{
    if (e->failed == 0) {
        e->failed = sctd_buf_text(e->buf, text, e->err);
    }
}

void exposition_family(struct exposition *e, const char *name, const char *type, const char *help)
{
    e->name = name;
    if (e->failed == 0) {
        e->failed =
            sctd_buf_printf(e->buf, e->err, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    }
}

/* Backslash, quote and line feed have to be escaped in a label's value. */
static void put_label(struct exposition *e, const char *name, const char *value)
{
    char one[2] = "";
    put(e, name);
    put(e, "=\"");
    for (; *value != '\0'; value++) {
        one[0] = *value;
        put(e, *value == '\\' ? "\\\\" : *value == '"' ? "\\\"" : *value == '\n' ? "\\n" : one);
    }
    put(e, "\"");
}

static void put_number(struct exposition *e, double value)
{
    char text[40];
    if (isnan(value)) {
        put(e, "NaN");
        return;
    }
    if (isinf(value)) {
        put(e, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    (void)snprintf(text, sizeof text, "%.17g", value);
    put(e, text);
}

static void put_sample(struct exposition *e, const char *suffix,
                       const struct exposition_label *labels, size_t n, double value)
{
    const char *before = "{";
    put(e, e->name);
    put(e, suffix);
    for (size_t i = 0; i < n; i++) {
        if (labels[i].name != NULL) {
            put(e, before);
            put_label(e, labels[i].name, labels[i].value);
            before = ",";
        }
    }
    put(e, *before == ',' ? "} " : " ");
    put_number(e, value);
    put(e, "\n");
}

void exposition_sample(struct exposition *e, struct exposition_label a, struct exposition_label b,
                       double value)
{
    const struct exposition_label labels[] = {a, b};
    put_sample(e, "", labels, 2, value);
}

void exposition_write_histogram(struct exposition *e, struct exposition_label label,
                                const struct exposition_histogram *histogram)
{
    struct exposition_label labels[] = {label, {"le", NULL}};
    char bound[40];
    int64_t sum = 0;
    for (size_t i = 0; i <= EXPOSITION_SECONDS; i++) {
        sum += histogram->count[i];
        if (i < EXPOSITION_SECONDS) {
            (void)snprintf(bound, sizeof bound, "%g", exposition_seconds[i]);
        }
        labels[1].value = i < EXPOSITION_SECONDS ? bound : "+Inf";
        put_sample(e, "_bucket", labels, 2, (double)sum);
    }
    put_sample(e, "_sum", labels, 1, histogram->sum);
    put_sample(e, "_count", labels, 1, (double)sum);
}

int exposition_finish(const struct exposition *e)
{
    return e->failed;
}
