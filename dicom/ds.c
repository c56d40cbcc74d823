/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/ds.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"

enum { MAX_TEXT = 64, MAX_CHARACTERS = DICOM_DS_SIZE - 1, CANDIDATE_SIZE = 512 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * The value as sctd_parse_f64 wants it: no blanks, no plus, digits on both sides of the point.  Each
 * character becomes at most two.
 */
static void spell_out(char number[2 * MAX_TEXT + 1], const char *text, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        const char before = (char)(i == 0 ? '\0' : text[i - 1]);
        const char after = (char)(i + 1 == size ? '\0' : text[i + 1]);
        if (text[i] == '+' && i == 0 && after != '-') {
            continue;
        }
        const bool leads = i == 0 || (i == 1 && (before == '+' || before == '-'));
        if (text[i] == '.' && leads && is_digit(after)) {
            number[n++] = '0';
        }
        if (text[i] == '.' && is_digit(before) && (i + 1 == size || after == 'e' || after == 'E')) {
            continue;
        }
        number[n++] = text[i];
    }
    number[n] = '\0';
}

int dicom_ds_parse(double *ret_value, const char *text, size_t size, struct sctd_error *err)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\0')) {
        size--;
    }
    while (size > 0 && *text == ' ') {
        text++;
        size--;
    }
    char number[2 * MAX_TEXT + 1];
    if (size == 0 || size > MAX_TEXT) {
        return sctd_error(err, SCTD_EDATA, "a decimal string of %zu characters is no number", size);
    }
    spell_out(number, text, size);
    double value = 0;
    const int r = sctd_parse_f64(&value, number, err);
    if (r == SCTD_EINVAL) {
        return sctd_error(err, SCTD_EDATA, "decimal string \"%.*s\" is not a number", (int)size,
                          text);
    }
    if (r == 0) {
        *ret_value = value;
    }
    return r;
}

bool dicom_ds_is_valid(const char *text, size_t size)
{
    double value = 0;
    struct sctd_error ignored = {0};
    return size <= MAX_CHARACTERS && dicom_ds_parse(&value, text, size, &ignored) == 0;
}

/* Remove zeros at the end of a fraction, and its point if nothing is left of it. */
static void strip_zeros(char *fraction_end, const char *rest)
{
    char *end = fraction_end;
    while (end[-1] == '0') {
        end--;
    }
    if (end[-1] == '.') {
        end--;
    }
    memmove(end, rest, strlen(rest) + 1);
}

/* Without exponent and with as many decimals as fit; false if none does. */
static bool write_fixed(char text[CANDIDATE_SIZE], double value)
{
    int n = CANDIDATE_SIZE;
    int decimals = MAX_CHARACTERS - 1;
    while (decimals > 0 && (n <= 0 || n > MAX_CHARACTERS)) {
        n = snprintf(text, CANDIDATE_SIZE, "%.*f", --decimals, value);
    }
    if (n <= 0 || n > MAX_CHARACTERS) {
        return false;
    }
    if (decimals > 0) {
        strip_zeros(text + n, "");
    }
    return true;
}

/* As printf writes it, turned to an exponent with neither plus nor leading zeros; false if it is too long. */
static bool shorten_exponent(char *text, int decimals)
{
    char *e = strchr(text, 'e');
    if (e == NULL) {
        return false;
    }
    const char *digits = e + 2;
    while (digits[0] == '0' && digits[1] != '\0') {
        digits++;
    }
    char exponent[8];
    (void)snprintf(exponent, sizeof exponent, "e%s%s", e[1] == '-' ? "-" : "", digits);
    if ((size_t)(e - text) + strlen(exponent) > MAX_CHARACTERS) {
        return false;
    }
    if (decimals > 0) {
        strip_zeros(e, exponent);
    } else {
        memcpy(e, exponent, strlen(exponent) + 1);
    }
    return true;
}

/* With an exponent and as many decimals as fit; false if none does. */
static bool write_exponent(char text[CANDIDATE_SIZE], double value)
{
    for (int decimals = MAX_CHARACTERS - 4; decimals >= 0; decimals--) {
        (void)snprintf(text, CANDIDATE_SIZE, "%.*e", decimals, value);
        if (shorten_exponent(text, decimals)) {
            return true;
        }
    }
    return false;
}

static double get_distance(const char *text, double value)
{
    struct sctd_error ignored = {0};
    double read = (double)INFINITY;
    (void)!sctd_parse_f64(&read, text, &ignored);
    return fabs(read - value);
}

static void write_nearest(char ret_text[DICOM_DS_SIZE], double value)
{
    char fixed[CANDIDATE_SIZE];
    char exponent[CANDIDATE_SIZE];
    const bool has_fixed = write_fixed(fixed, value);
    const bool has_exponent = write_exponent(exponent, value);
    const char *best = has_fixed ? fixed : exponent;
    if (has_fixed && has_exponent) {
        best = get_distance(exponent, value) < get_distance(fixed, value) ? exponent : fixed;
    }
    if (strcmp(best, "-0") == 0) {
        best = "0";
    }
    memcpy(ret_text, best, strlen(best) + 1);
}

int dicom_ds_format(char ret_text[DICOM_DS_SIZE], double value, struct sctd_error *err)
{
    if (!isfinite(value)) {
        return sctd_error(err, SCTD_EINVAL, "a decimal string holds finite numbers only");
    }
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) {
        return sctd_error(err, SCTD_ENOMEM, "locale");
    }
    const locale_t before = uselocale(c); /* for the decimal point */
    write_nearest(ret_text, value);
    (void)uselocale(before);
    freelocale(c);
    return 0;
}
