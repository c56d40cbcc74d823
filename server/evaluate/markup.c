/* SPDX-License-Identifier: Apache-2.0 */
#include "server/evaluate/markup.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

void markup_put(struct markup *m, const char *format, ...)
{
    char piece[2048];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (m->failed < 0) {
        return;
    }
    m->failed = n < 0 || (size_t)n >= sizeof piece
                    ? sctd_error(m->err, SCTD_EINVAL, "a piece of the report is too long")
                    : sctd_buf_append(m->buf, piece, (size_t)n, m->err);
}

void markup_put_text(struct markup *m, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        switch (*at) {
        case '&':
            markup_put(m, "&amp;");
            break;
        case '<':
            markup_put(m, "&lt;");
            break;
        case '>':
            markup_put(m, "&gt;");
            break;
        case '"':
            markup_put(m, "&quot;");
            break;
        case '\'':
            markup_put(m, "&#39;");
            break;
        default:
            markup_put(m, "%c", *at);
            break;
        }
    }
}

void markup_put_png(struct markup *m, const unsigned char *png, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    markup_put(m, "data:image/png;base64,");
    for (size_t at = 0; at < size; at += 3) {
        const size_t n = size - at < 3 ? size - at : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) {
            bits = bits << 8 | (i < n ? png[at + i] : 0U);
        }
        char four[5] = {digits[bits >> 18 & 63], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
                        digits[bits & 63], '\0'};
        if (n < 3) {
            four[3] = '=';
        }
        if (n < 2) {
            four[2] = '=';
        }
        markup_put(m, "%s", four);
    }
}
