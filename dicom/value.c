/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/value.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dicom/prescan.h"
#include "engine/base/error.h"
#include "engine/base/parse.h"

enum { NUMBER_TEXT_MAX = 64 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\0';
}

/* Narrow [*begin, *end) to what is no blank. */
static void trim(const char **begin, const char **end)
{
    while (*begin < *end && is_blank(**begin)) {
        ++*begin;
    }
    while (*begin < *end && is_blank(*(*end - 1))) {
        --*end;
    }
}

bool dicom_value_text(char *ret_text, size_t room, const struct dicom_element *element)
{
    ret_text[0] = '\0';
    const char *begin = (const char *)element->value;
    if (begin == NULL) {
        return true;
    }
    const char *end = begin + element->size;
    trim(&begin, &end);
    const size_t n = (size_t)(end - begin);
    if (n >= room || memchr(begin, '\0', n) != NULL) {
        return false;
    }
    memcpy(ret_text, begin, n);
    ret_text[n] = '\0';
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One DS or IS: a sign of either kind, and a point with digits on one side at least. */
static bool parse_decimal(double *ret_number, const char *begin, const char *end)
{
    char text[NUMBER_TEXT_MAX];
    size_t n = 0;
    trim(&begin, &end);
    for (const char *p = begin; p < end; p++) {
        if (n + 4 > sizeof text) {
            return false;
        }
        const bool after = p + 1 < end && is_digit(p[1]);
        const bool before = n > 0 && is_digit(text[n - 1]);
        if (*p == '+' && p == begin) {
            continue;
        }
        if (*p != '.') {
            text[n++] = *p;
            continue;
        }
        if (!before && !after) {
            return false;
        }
        if (!before) {
            text[n++] = '0';
        }
        text[n++] = '.';
        if (!after) {
            text[n++] = '0';
        }
    }
    text[n] = '\0';
    struct sctd_error err;
    return sctd_parse_f64(ret_number, text, &err) == 0;
}

static int parse_decimals(double *ret_number, const struct dicom_element *e)
{
    const char *begin = (const char *)e->value;
    const char *end = begin + e->size;
    trim(&begin, &end);
    if (begin == end) {
        return 0;
    }
    for (int n = 0; n < DICOM_NUMBERS_MAX; n++) {
        const char *stop = memchr(begin, '\\', (size_t)(end - begin));
        if (!parse_decimal(&ret_number[n], begin, stop == NULL ? end : stop)) {
            return -1;
        }
        if (stop == NULL) {
            return n + 1;
        }
        begin = stop + 1;
    }
    return -1;
}

/* The value of `size` bytes as `vr` has it. */
static double read_binary(const unsigned char *p, size_t size, const char *vr, bool big_endian)
{
    const uint64_t bits = dicom_prescan_read(p, size, big_endian);
    if (strcmp(vr, "FD") == 0) {
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    if (strcmp(vr, "FL") == 0) {
        const uint32_t low = (uint32_t)bits;
        float value = 0;
        memcpy(&value, &low, sizeof value);
        return (double)value;
    }
    if (strcmp(vr, "SS") == 0) {
        return (double)(int16_t)(uint16_t)bits;
    }
    return strcmp(vr, "SL") == 0 ? (double)(int32_t)(uint32_t)bits : (double)bits;
}

static int read_binaries(double *ret_number, const struct dicom_element *e, size_t size,
                         const char *vr)
{
    const int n = (int)(e->size / size);
    for (int k = 0; k < n; k++) {
        ret_number[k] = read_binary(e->value + (size_t)k * size, size, vr, e->big_endian);
        if (!isfinite(ret_number[k])) {
            return -1;
        }
    }
    return n;
}

int dicom_value_numbers(double ret_number[DICOM_NUMBERS_MAX], const struct dicom_element *element,
                        const char *vr)
{
    static const struct {
        const char *vr;
        size_t size;
    } binary[] = {{"US", 2}, {"SS", 2}, {"UL", 4}, {"SL", 4}, {"FL", 4}, {"FD", 8}};

    if (element->size == 0) {
        return 0;
    }
    const bool told = element->vr[0] != '\0' && strcmp(element->vr, "UN") != 0;
    const char *as = told ? element->vr : vr;
    if (strcmp(as, "DS") == 0 || strcmp(as, "IS") == 0) {
        return parse_decimals(ret_number, element);
    }
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
        const size_t size = binary[i].size;
        if (strcmp(as, binary[i].vr) != 0) {
            continue;
        }
        if (element->size % size != 0 || element->size / size > DICOM_NUMBERS_MAX) {
            return -1;
        }
        return read_binaries(ret_number, element, size, as);
    }
    return -1;
}
