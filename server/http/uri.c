/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/uri.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"
#include "engine/base/utf8.h"

/* The next byte of *at, decoded; -1: it is none.  *ret_plain: it stood there as itself. */
static int take(const char **at, bool *ret_plain)
{
    const char *p = *at;
    *ret_plain = *p != '%';
    if (*ret_plain) {
        *at = p + 1;
        return (unsigned char)*p > ' ' && (unsigned char)*p < 0x7f ? (unsigned char)*p : -1;
    }
    const int high = sctd_hex_digit(p[1]);
    const int low = high < 0 ? -1 : sctd_hex_digit(p[2]);
    if (low < 0) {
        return -1;
    }
    *at = p + 3;
    const int byte = high * 16 + low;
    return byte < ' ' || byte == 0x7f ? -1 : byte;
}

/* Decode up to a delimiter of `ends` or the end; what was written ends with NUL at *out. */
static int decode(const char **at, const char *ends, char **out, bool plus)
{
    while (**at != '\0' && strchr(ends, **at) == NULL) {
        bool plain = false;
        const int byte = take(at, &plain);
        if (byte < 0) {
            return -1;
        }
        const unsigned char one = plain && plus && byte == '+' ? ' ' : (unsigned char)byte;
        memcpy((*out)++, &one, 1);
    }
    *(*out)++ = '\0';
    return 0;
}

static bool has_dots(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/.")) != NULL; at++) {
        const char *after = at + (at[2] == '.' ? 3 : 2);
        if (*after == '/' || *after == '\0') {
            return true;
        }
    }
    return false;
}

static int parse_params(struct uri *uri, const char *at, char *out, struct sctd_error *err)
{
    while (*at != '\0') {
        if (uri->n == URI_PARAMS_MAX) {
            return sctd_error(err, SCTD_EDATA, "more than %d parameters", URI_PARAMS_MAX);
        }
        struct uri_param *param = &uri->param[uri->n];
        param->name = out;
        int r = decode(&at, "=&", &out, true);
        param->value = out - 1;
        if (r == 0 && *at == '=') {
            at++;
            param->value = out;
            r = decode(&at, "&", &out, true);
        }
        if (r < 0 || !utf8_is_text(param->name) || !utf8_is_text(param->value)) {
            return sctd_error(err, SCTD_EDATA, "a parameter is no percent-encoded UTF-8 text");
        }
        if (uri_get(uri, param->name) != NULL) {
            return sctd_error(err, SCTD_EDATA, "parameter \"%.64s\" is there twice", param->name);
        }
        uri->n++;
        at += *at == '&';
    }
    return 0;
}

int uri_parse(struct uri *ret_uri, const char *target, struct sctd_error *err)
{
    ret_uri->n = 0;
    ret_uri->path = "";
    if (target[0] != '/') {
        return sctd_error(err, SCTD_EDATA, "the request's target is no absolute path");
    }
    /* Decoded text is never longer than what it came from, plus a NUL for each of its parts, which a delimiter
     * stood for. */
    if (strlen(target) + 2 > sizeof ret_uri->text) {
        return sctd_error(err, SCTD_EDATA, "the request's target is longer than %d bytes",
                          URI_SIZE_MAX - 2);
    }
    const char *at = target;
    char *out = ret_uri->text;
    if (decode(&at, "?", &out, false) < 0 || !utf8_is_text(ret_uri->text) ||
        has_dots(ret_uri->text) || strchr(ret_uri->text, '\\') != NULL) {
        return sctd_error(err, SCTD_EDATA, "the path is not one of ours");
    }
    const int r = *at == '?' ? parse_params(ret_uri, at + 1, out, err) : 0;
    if (r == 0) {
        ret_uri->path = ret_uri->text;
    }
    return r;
}

const char *uri_get(const struct uri *uri, const char *name)
{
    for (size_t i = 0; i < uri->n; i++) {
        if (strcmp(uri->param[i].name, name) == 0) {
            return uri->param[i].value;
        }
    }
    return NULL;
}
