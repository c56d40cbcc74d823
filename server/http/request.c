/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/request.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/parse.h"
#include "engine/base/utf8.h"
#include "server/http/reply.h"
#include "server/http/uri.h"

enum { UTF8_MAX = 4 }; /* bytes of a character */

static bool refuse(struct request *request, const char *name, const char *expected)
{
    reply_problem(&request->reply, 400, "parameter \"%s\": %s", name, expected);
    return false;
}

bool request_get_int(struct request *request, const char *name, int64_t min, int64_t max,
                     int64_t *value)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *text = uri_get(&request->uri, name);
    if (text == NULL) {
        return true;
    }
    return sctd_parse_i64(value, text, min, max, &err) == 0 || refuse(request, name, err.text);
}

bool request_get_double(struct request *request, const char *name, double min, double max,
                        double *value)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *text = uri_get(&request->uri, name);
    double number = 0;
    if (text == NULL) {
        return true;
    }
    if (sctd_parse_f64(&number, text, &err) < 0) {
        return refuse(request, name, err.text);
    }
    if (!(number >= min && number <= max)) {
        char expected[80];
        (void)snprintf(expected, sizeof expected, "%g to %g is expected", min, max);
        return refuse(request, name, expected);
    }
    *value = number;
    return true;
}

bool request_get_choice(struct request *request, const char *name, const char *const *names, int n,
                        int *index)
{
    const char *text = uri_get(&request->uri, name);
    if (text == NULL) {
        return true;
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            *index = i;
            return true;
        }
    }
    char expected[200] = "one of these is expected:";
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(expected);
        (void)snprintf(expected + used, sizeof expected - used, "%s %s", i == 0 ? "" : ",",
                       names[i]);
    }
    return refuse(request, name, expected);
}

bool request_get_bool(struct request *request, const char *name, bool *value)
{
    static const char *const names[] = {"false", "true"};
    int index = *value ? 1 : 0;
    const bool good = request_get_choice(request, name, names, 2, &index);
    *value = index == 1;
    return good;
}

bool request_get_text(struct request *request, const char *name, size_t max, const char **ret_text)
{
    const char *text = uri_get(&request->uri, name);
    *ret_text = text;
    if (text != NULL && (text[0] == '\0' || utf8_count(text) > max || utf8_has_control(text))) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "1 to %zu characters are expected", max);
        return refuse(request, name, expected);
    }
    return true;
}

/* "2026-01-31T12:00:00[.5]Z" or with an offset (RFC 3339 5.6). */
bool request_get_time(struct request *request, const char *name, int64_t *wall_ms)
{
    enum { OFFSET_SIZE = 6 };
    static const char expected[] = "a time is expected as in 2026-01-31T12:00:00Z";
    const char *text = uri_get(&request->uri, name);
    struct tm parts = {.tm_isdst = 0};
    if (text == NULL) {
        return true;
    }
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (at == NULL || at - text < (ptrdiff_t)strlen("2026-01-31T12:00:00")) {
        return refuse(request, name, expected);
    }
    if (*at == '.') {
        const size_t digits = strspn(at + 1, "0123456789");
        at += digits > 0 ? digits + 1 : 0;
    }
    int64_t offset_s = 0;
    if ((*at == '+' || *at == '-') && strlen(at) == OFFSET_SIZE && at[3] == ':') {
        struct tm offset = {.tm_isdst = 0};
        const char *end = strptime(at + 1, "%H:%M", &offset);
        if (end == NULL || *end != '\0') {
            return refuse(request, name, expected);
        }
        offset_s =
            (*at == '-' ? -1 : 1) * ((int64_t)offset.tm_hour * 3600 + (int64_t)offset.tm_min * 60);
    } else if (strcmp(at, "Z") != 0 && strcmp(at, "z") != 0) {
        return refuse(request, name, expected);
    }
    const int64_t seconds = (int64_t)timegm(&parts) - offset_s;
    *wall_ms = seconds > 0 ? seconds * 1000 : 0;
    return true;
}

bool request_get_uid(struct request *request, const char *name, const char **ret_uid)
{
    enum { UID_MAX = 64 };
    const char *text = uri_get(&request->uri, name);
    *ret_uid = text;
    if (text != NULL && (text[0] == '\0' || strlen(text) > UID_MAX ||
                         strspn(text, "0123456789.") != strlen(text))) {
        return refuse(request, name, "a UID is expected: 1 to 64 digits and dots");
    }
    return true;
}

bool request_get_json(struct request *request, const char *const *keys, size_t n, bool required,
                      struct json **ret_json)
{
    struct sctd_error err = {.code = SCTD_OK};
    struct json *json = NULL;
    *ret_json = NULL;
    if (request->body.size == 0) {
        if (required) {
            reply_problem(&request->reply, 400, "a JSON object is expected as the body");
        }
        return !required;
    }
    if (json_parse(&json, request->body.data, request->body.size, &err) < 0 ||
        json_check_keys(json, json_get_root(json), keys, n, &err) < 0) {
        json_free(json);
        reply_problem(&request->reply, 400, "the body: %s", err.text);
        return false;
    }
    *ret_json = json;
    return true;
}

bool request_get_member(struct request *request, const struct json *json, const char *key,
                        char *ret_text, size_t size)
{
    struct sctd_error err = {.code = SCTD_OK};
    const char *text = "";
    ret_text[0] = '\0';
    if (json == NULL || json_find(json, json_get_root(json), key) == NULL) {
        return true;
    }
    if (json_get_string(&text, json, json_get_root(json), key, &err) < 0) {
        reply_problem(&request->reply, 400, "the body: %s", err.text);
        return false;
    }
    if (utf8_count(text) > (size - 1) / UTF8_MAX || utf8_has_control(text)) {
        reply_problem(&request->reply, 400, "the body: \"%s\": one line of at most %zu characters",
                      key, (size - 1) / UTF8_MAX);
        return false;
    }
    (void)snprintf(ret_text, size, "%s", text);
    return true;
}

bool request_get_whole(struct request *request, const struct json *json, const char *key,
                       int64_t min, int64_t max, int64_t *value)
{
    struct sctd_error err = {.code = SCTD_OK};
    double number = 0;
    if (json == NULL || json_find(json, json_get_root(json), key) == NULL) {
        return true;
    }
    if (json_get_number(&number, json, json_get_root(json), key, &err) < 0 ||
        !(number >= (double)min && number < (double)max + 1) || number != floor(number)) {
        reply_problem(&request->reply, 400,
                      "the body: \"%s\": a whole number from %lld to %lld is expected", key,
                      (long long)min, (long long)max);
        return false;
    }
    *value = (int64_t)number;
    return true;
}
