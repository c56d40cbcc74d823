/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/parse.h"
#include "engine/base/utf8.h"

enum { DOUBLE_SIZE = 48 };

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

/* What must stand for the character `c` in a string, or "". */
static void escape_of(char to[8], unsigned char c)
{
    *to = '\0';
    if (c < 0x20 || c == '"' || c == '\\') {
        (void)snprintf(to, 8, c < 0x20 ? "\\u%04x" : "\\%c", c);
    }
}

static void put_quoted(struct json_writer *w, const char *text)
{
    const char *end = text + strlen(text);
    const char *run = text;
    size_t n = 1;
    put_text(w, "\"");
    for (const char *p = text; p < end && n > 0; p += n) {
        char escape[8];
        escape_of(escape, (unsigned char)*p);
        n = utf8_length(p, (size_t)(end - p));
        if (*escape != '\0') {
            put(w, run, (size_t)(p - run));
            put_text(w, escape);
            run = p + 1;
        }
    }
    if (n == 0 && w->failed == 0) {
        w->failed = sctd_error(w->err, SCTD_EINVAL, "json: a text that is no UTF-8: %.80s", text);
    }
    put(w, run, (size_t)(end - run));
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

static bool reads_as(const char *text, double value)
{
    struct sctd_error ignored = {0};
    double back = 0;
    uint64_t bits[2] = {0, 0};
    /* Few digits of the largest numbers read as infinite, which the parser refuses. */
    if (sctd_parse_f64(&back, text, &ignored) < 0) {
        return false;
    }
    memcpy(&bits[0], &back, sizeof back);
    memcpy(&bits[1], &value, sizeof value);
    return bits[0] == bits[1];
}

/*
 * The shortest digits that read back as the same number; without an exponent where people would
 * write it so.
 */
static void format_double(char text[DOUBLE_SIZE], double value)
{
    int digits = 0;
    do {
        (void)snprintf(text, DOUBLE_SIZE, "%.*e", digits, value);
    } while (!reads_as(text, value) && digits++ < 16);

    struct sctd_error ignored = {0};
    const char *e = strchr(text, 'e');
    int64_t exponent = 0;
    if (e != NULL && sctd_parse_i64(&exponent, e + 1, -5, 16, &ignored) == 0) {
        const int decimals = digits > exponent ? digits - (int)exponent : 0;
        (void)snprintf(text, DOUBLE_SIZE, "%.*f", decimals, value);
    }
}

void json_write_double(struct json_writer *w, const char *key, double value)
{
    char text[DOUBLE_SIZE] = "null";
    int r = 0;
    if (isfinite(value)) {
        const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (c == (locale_t)0) {
            r = sctd_error(w->err, SCTD_ENOMEM, "locale");
        } else {
            const locale_t before = uselocale(c); /* for the decimal point of snprintf */
            format_double(text, value);
            (void)uselocale(before);
            freelocale(c);
        }
    }
    w->failed = w->failed < 0 ? w->failed : r;
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
