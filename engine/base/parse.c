/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/base/parse.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

/* The digits of `text` as a number of at most `max`; false if it is none. */
static bool read_digits(uint64_t *ret_value, const char *text, uint64_t max)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9') {
            return false;
        }
        const uint64_t digit = (uint64_t)(*p - '0');
        if (digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

int sctd_parse_u64(uint64_t *ret_value, const char *text, uint64_t max, struct sctd_error *err)
{
    uint64_t value = 0;
    if (!read_digits(&value, text, max)) {
        return sctd_error(err, SCTD_EINVAL, "\"%.40s\" is not a number from 0 to %llu", text,
                          (unsigned long long)max);
    }
    *ret_value = value;
    return 0;
}

int sctd_parse_i64(int64_t *ret_value, const char *text, int64_t min, int64_t max,
                   struct sctd_error *err)
{
    const bool negative = *text == '-';
    const char *digits = text + (*text == '-' || *text == '+' ? 1 : 0);
    uint64_t size = 0;
    const uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    bool ok = read_digits(&size, digits, limit);
    const int64_t value = !negative ? (int64_t)size : (size == 0 ? 0 : -(int64_t)(size - 1) - 1);
    ok = ok && value >= min && value <= max;
    if (!ok) {
        return sctd_error(err, SCTD_EINVAL, "\"%.40s\" is not a whole number from %lld to %lld",
                          text, (long long)min, (long long)max);
    }
    *ret_value = value;
    return 0;
}

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

/* Whether the text is -?digits[.digits][e[+-]digits]. */
static bool is_number(const char *p)
{
    p += *p == '-' ? 1 : 0;
    const char *end = skip_digits(p);
    if (end == p) {
        return false;
    }
    if (*end == '.') {
        p = end + 1;
        end = skip_digits(p);
        if (end == p) {
            return false;
        }
    }
    if (*end == 'e' || *end == 'E') {
        p = end + 1 + (end[1] == '+' || end[1] == '-' ? 1 : 0);
        end = skip_digits(p);
        if (end == p) {
            return false;
        }
    }
    return *end == '\0';
}

int sctd_parse_f64(double *ret_value, const char *text, struct sctd_error *err)
{
    double value = (double)INFINITY;
    if (is_number(text)) {
        locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        if (c == (locale_t)0) {
            return sctd_error(err, SCTD_ENOMEM, "locale");
        }
        value = strtod_l(text, NULL, c);
        freelocale(c);
    }
    if (!isfinite(value)) {
        return sctd_error(err, SCTD_EINVAL, "\"%.40s\" is not a number", text);
    }
    *ret_value = value;
    return 0;
}

int sctd_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

int sctd_parse_hex(void *bytes, size_t room, const char *text, size_t *ret_n)
{
    unsigned char *to = bytes;
    const size_t digits = strlen(text);
    if (digits % 2 != 0 || digits / 2 > room) {
        return SCTD_EINVAL;
    }
    for (size_t i = 0; i < digits / 2; i++) {
        const int high = sctd_hex_digit(text[2 * i]);
        const int low = sctd_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return SCTD_EINVAL;
        }
        to[i] = (unsigned char)(high << 4 | low);
    }
    *ret_n = digits / 2;
    return 0;
}
