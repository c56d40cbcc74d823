/* SPDX-License-Identifier: Apache-2.0 */
#include "server/record.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/parse.h"

enum { RAW_MAX = 4096 }; /* a path */

static void write_hex(struct json_writer *w, const char *key, const unsigned char *bytes,
                      size_t size)
{
    static const char digit[] = "0123456789abcdef";
    char text[2 * RAW_MAX + 1];
    size = size < RAW_MAX ? size : RAW_MAX;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digit[bytes[i] >> 4];
        text[2 * i + 1] = digit[bytes[i] & 15];
    }
    text[2 * size] = '\0';
    json_write_string(w, key, text);
}

static void write_field(struct json_writer *w, const struct record_field *f, const void *from)
{
    int32_t i32 = 0;
    int64_t i64 = 0;
    double number = 0;
    bool flag = false;
    switch (f->kind) {
    case RECORD_TEXT:
        json_write_string(w, f->key, from);
        break;
    case RECORD_BYTES:
        write_hex(w, f->key, from, f->size);
        break;
    case RECORD_RAW:
        write_hex(w, f->key, from, strnlen(from, f->size));
        break;
    case RECORD_I32:
        memcpy(&i32, from, sizeof i32);
        json_write_int(w, f->key, i32);
        break;
    case RECORD_I64:
        memcpy(&i64, from, sizeof i64);
        json_write_int(w, f->key, i64);
        break;
    case RECORD_DOUBLE:
        memcpy(&number, from, sizeof number);
        json_write_double(w, f->key, number);
        break;
    case RECORD_BOOL:
        memcpy(&flag, from, sizeof flag);
        json_write_bool(w, f->key, flag);
        break;
    }
}

void record_write(struct json_writer *w, const struct record *record, const void *object)
{
    for (size_t i = 0; i < record->n; i++) {
        const struct record_field *f = &record->field[i];
        write_field(w, f, (const char *)object + f->offset);
    }
}

static int read_text(void *to, const struct record_field *f, const char *text,
                     struct sctd_error *err)
{
    size_t n = strlen(text);
    bool fits = false;
    if (f->kind == RECORD_TEXT) {
        fits = n < f->size;
        memcpy(to, text, fits ? n + 1 : 0);
    } else if (f->kind == RECORD_BYTES) {
        fits = sctd_parse_hex(to, f->size, text, &n) == 0 && n == f->size;
    } else {
        fits = sctd_parse_hex(to, f->size - 1, text, &n) == 0;
        memset((char *)to + (fits ? n : 0), 0, 1);
        fits = fits && strlen(to) == n;
    }
    return fits ? 0 : sctd_error(err, SCTD_EDATA, "\"%s\" does not fit or is no hex", f->key);
}

static int read_double(double *to, const struct record_field *f, const struct json *json,
                       const struct json_node *node, struct sctd_error *err)
{
    const struct json_node *member = json_find(json, node, f->key);
    if (member != NULL && member->type == JSON_NULL) {
        *to = (double)NAN;
        return 0;
    }
    return json_get_number(to, json, node, f->key, err);
}

static int read_field(void *to, const struct record_field *f, const struct json *json,
                      const struct json_node *node, struct sctd_error *err)
{
    const char *text = "";
    int64_t whole = 0;
    double number = 0;
    bool flag = false;
    int r = 0;
    switch (f->kind) {
    case RECORD_TEXT:
    case RECORD_BYTES:
    case RECORD_RAW:
        r = json_get_string(&text, json, node, f->key, err);
        return r < 0 ? r : read_text(to, f, text, err);
    case RECORD_I32:
    case RECORD_I64:
        r = json_get_int(&whole, json, node, f->key, err);
        if (r == 0 && f->kind == RECORD_I32 && (whole < INT32_MIN || whole > INT32_MAX)) {
            r = sctd_error(err, SCTD_EDATA, "\"%s\" does not fit", f->key);
        }
        if (r == 0 && f->kind == RECORD_I32) {
            memcpy(to, &(int32_t){(int32_t)whole}, sizeof(int32_t));
        } else if (r == 0) {
            memcpy(to, &whole, sizeof whole);
        }
        return r;
    case RECORD_DOUBLE:
        r = read_double(&number, f, json, node, err);
        memcpy(to, &number, r == 0 ? sizeof number : 0);
        return r;
    case RECORD_BOOL:
        r = json_get_bool(&flag, json, node, f->key, err);
        memcpy(to, &flag, r == 0 ? sizeof flag : 0);
        return r;
    }
    return sctd_error(err, SCTD_EINVAL, "\"%s\" has no kind", f->key);
}

int record_read(void *ret_object, const struct record *record, const struct json *json,
                const struct json_node *node, struct sctd_error *err)
{
    for (size_t i = 0; i < record->n; i++) {
        const struct record_field *f = &record->field[i];
        int r = read_field((char *)ret_object + f->offset, f, json, node, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
