/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/json.h"

static void put(struct json_writer *w, const char *text, size_t size)
{
    if (w->failed == 0) {
        w->failed = sctd_buf_append(w->buf, text, size, w->err);
    }
}

static void put_text(struct json_writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_line(struct json_writer *w)
{
    if (w->pretty) {
        put_text(w, "\n");
        for (int i = 0; i < w->depth; i++) {
            put_text(w, "  ");
        }
    }
}

static void put_quoted(struct json_writer *w, const char *text)
{
    put_text(w, "\"");
    const char *run = text;
    const char *p = text;
    for (; *p != '\0'; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        char escape[8];
        (void)snprintf(escape, sizeof escape, c < 0x20 ? "\\u%04x" : "\\%c", c);
        put(w, run, (size_t)(p - run));
        put_text(w, escape);
        run = p + 1;
    }
    put(w, run, (size_t)(p - run));
    put_text(w, "\"");
}

/* What stands before a value. */
static void begin_value(struct json_writer *w, const char *key)
{
    if (w->comma) {
        put_text(w, ",");
    }
    if (w->depth > 0) {
        put_line(w);
    }
    if (key != NULL) {
        put_quoted(w, key);
        put_text(w, w->pretty ? ": " : ":");
    }
    w->comma = true;
}

static void open_group(struct json_writer *w, const char *key, const char *bracket)
{
    begin_value(w, key);
    put_text(w, bracket);
    w->depth++;
    w->comma = false;
}

static void close_group(struct json_writer *w, const char *bracket)
{
    const bool empty = !w->comma;
    w->depth--;
    if (!empty) {
        put_line(w);
    }
    put_text(w, bracket);
    w->comma = true;
}

void json_write_object_begin(struct json_writer *w, const char *key)
{
    open_group(w, key, "{");
}

void json_write_object_end(struct json_writer *w)
{
    close_group(w, "}");
}

void json_write_array_begin(struct json_writer *w, const char *key)
{
    open_group(w, key, "[");
}

void json_write_array_end(struct json_writer *w)
{
    close_group(w, "]");
}

void json_write_string(struct json_writer *w, const char *key, const char *value)
{
    begin_value(w, key);
    put_quoted(w, value);
}

void json_write_int(struct json_writer *w, const char *key, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    begin_value(w, key);
    put_text(w, text);
}

static uint64_t bits_of(double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The shortest digits that read back as the same number. */
static void format_double(char *text, size_t size, double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, size, "%.*g", digits, value);
        const double back = strtod(text, NULL); // lint-allow: the locale is C here
        if (bits_of(back) == bits_of(value)) {
            return;
        }
    }
}

void json_write_double(struct json_writer *w, const char *key, double value)
{
    char text[40] = "null";
    if (isfinite(value)) {
        const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (c != (locale_t)0) {
            const locale_t before = uselocale(c);
            format_double(text, sizeof text, value);
            (void)uselocale(before);
            freelocale(c);
        }
    }
    begin_value(w, key);
    put_text(w, text);
}

void json_write_bool(struct json_writer *w, const char *key, bool value)
{
    begin_value(w, key);
    put_text(w, value ? "true" : "false");
}

void json_write_null(struct json_writer *w, const char *key)
{
    begin_value(w, key);
    put_text(w, "null");
}

int json_writer_finish(const struct json_writer *w)
{
    return w->failed;
}
