/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

size_t utf8_length(const void *bytes, size_t left)
{
    const unsigned char *p = bytes;
    const unsigned char c = *p;
    size_t n = 0;
    if (c < 0x80) {
        return 1;
    }
    if (c >= 0xc2 && c <= 0xdf) {
        n = 2;
    } else if (c >= 0xe0 && c <= 0xef) {
        n = 3;
    } else if (c >= 0xf0 && c <= 0xf4) {
        n = 4;
    }
    if (n == 0 || left < n) {
        return 0;
    }
    const bool overlong = (c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90);
    const bool beyond = (c == 0xed && p[1] > 0x9f) || (c == 0xf4 && p[1] > 0x8f);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return overlong || beyond ? 0 : n;
}

void utf8_clean(char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        const unsigned char *p = (const unsigned char *)text;
        size_t n = utf8_length(p, left);
        const bool control = p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
        if (n == 0 || control) {
            *text = '?';
            n = 1;
        }
        text += n;
        left -= n;
    }
}

bool utf8_is_text(const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        const size_t n = utf8_length(text, left);
        if (n == 0) {
            return false;
        }
        text += n;
        left -= n;
    }
    return true;
}

size_t utf8_count(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0U) != 0x80;
    }
    return n;
}

bool utf8_has_control(const char *text)
{
    enum { SPACE = 0x20, DEL = 0x7f, C1_LEAD = 0xc2, C1_END = 0xa0 };
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c < SPACE || *c == DEL || (*c == C1_LEAD && c[1] < C1_END)) {
            return true;
        }
    }
    return false;
}
