/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dicom/prescan.h"
#include "dicom/value.h"

static struct dicom_element element_of(const void *value, size_t size, const char *vr)
{
    struct dicom_element e = {.value = value, .size = size};
    memcpy(e.vr, vr, strlen(vr) + 1);
    return e;
}

static int read_text(double *ret_number, const char *text)
{
    const struct dicom_element e = element_of(text, strlen(text), "DS");
    return dicom_value_numbers(ret_number, &e, "DS");
}

static void texts_are_trimmed_and_bounded(void)
{
    char text[6];
    static const char padded[] = "  abc \0";
    struct dicom_element e = element_of(padded, sizeof padded - 1, "LO");
    assert(dicom_value_text(text, sizeof text, &e) && strcmp(text, "abc") == 0);
    e = element_of("abcde", 5, "LO");
    assert(dicom_value_text(text, sizeof text, &e) && strcmp(text, "abcde") == 0);
    e = element_of("abcdef", 6, "LO");
    assert(!dicom_value_text(text, sizeof text, &e) && text[0] == '\0');
    e = element_of("a\0b", 3, "LO");
    assert(!dicom_value_text(text, sizeof text, &e) && text[0] == '\0');
    e = element_of(NULL, 0, "LO");
    assert(dicom_value_text(text, sizeof text, &e) && text[0] == '\0');
}

static void decimals_are_read_as_writers_write_them(void)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1},
                 {" 1.5 ", 1.5},
                 {"+2", 2},
                 {"-.5", -0.5},
                 {"5.", 5},
                 {"1e2", 100},
                 {"-1.25E-1", -0.125},
                 {"007", 7},
                 {"0.69999998807907104", 0.69999998807907104}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double number[DICOM_NUMBERS_MAX] = {0};
        assert(read_text(number, cases[i].text) == 1);
        assert(fabs(number[0] - cases[i].value) < 1e-15);
    }
}

static void several_decimals_are_counted(void)
{
    double number[DICOM_NUMBERS_MAX];
    assert(read_text(number, "1\\ 2 \\3 ") == 3);
    assert(fabs(number[0] - 1) + fabs(number[1] - 2) + fabs(number[2] - 3) < 1e-15);
    assert(read_text(number, "1\\2\\3\\4\\5\\6\\7\\8") == DICOM_NUMBERS_MAX);
    assert(read_text(number, "1\\2\\3\\4\\5\\6\\7\\8\\9") == -1);
    assert(read_text(number, "") == 0);
    assert(read_text(number, "  ") == 0);
}

static void what_is_no_finite_number_is_refused(void)
{
    static const char *const texts[] = {"x", "1,5", "1 2", "nan",  "inf",   "1e999", ".",
                                        "-", "1\\", "\\1", "0x10", "1.2.3", "--1"};
    double number[DICOM_NUMBERS_MAX];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert(read_text(number, texts[i]) == -1);
    }
    char longer[100];
    memset(longer, '1', sizeof longer);
    const struct dicom_element e = element_of(longer, sizeof longer, "DS");
    assert(dicom_value_numbers(number, &e, "DS") == -1);
}

static void binary_numbers_are_read_in_both_orders(void)
{
    static const unsigned char bytes[8] = {0x80, 1, 0, 0, 0, 0, 0, 0};
    static const struct {
        const char *vr;
        size_t size;
        bool big_endian;
        double value;
    } cases[] = {
        {"US", 2, false, 384},        {"US", 2, true, 32769}, {"SS", 2, true, -32767},
        {"UL", 4, true, 0x80010000U}, {"UL", 4, false, 384},  {"SL", 4, true, -2147418112.0},
    };
    double number[DICOM_NUMBERS_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dicom_element e = element_of(bytes, cases[i].size, cases[i].vr);
        e.big_endian = cases[i].big_endian;
        assert(dicom_value_numbers(number, &e, "IS") == 1);
        assert(fabs(number[0] - cases[i].value) < 1e-9);
        memset(e.vr, 0, sizeof e.vr); /* implicit: the caller knows */
        assert(dicom_value_numbers(number, &e, cases[i].vr) == 1);
        assert(fabs(number[0] - cases[i].value) < 1e-9);
    }
}

static void floating_point_has_to_be_finite(void)
{
    static const unsigned char bytes[8] = {0x80, 1};
    double number[DICOM_NUMBERS_MAX];
    static const unsigned char one_and_half[8] = {0, 0, 0, 0, 0, 0, 0xF8, 0x3F};
    static const unsigned char minus_two[4] = {0, 0, 0, 0xC0};
    static const unsigned char infinite[4] = {0, 0, 0x80, 0x7F};
    struct dicom_element e = element_of(one_and_half, 8, "FD");
    assert(dicom_value_numbers(number, &e, "DS") == 1 && fabs(number[0] - 1.5) < 1e-15);
    e = element_of(minus_two, 4, "FL");
    assert(dicom_value_numbers(number, &e, "DS") == 1 && fabs(number[0] + 2) < 1e-15);
    e = element_of(infinite, 4, "FL");
    assert(dicom_value_numbers(number, &e, "DS") == -1);
    e = element_of(bytes, 3, "US");
    assert(dicom_value_numbers(number, &e, "DS") == -1);
    e = element_of(bytes, 8, "OB");
    assert(dicom_value_numbers(number, &e, "DS") == -1);
}

int main(void)
{
    texts_are_trimmed_and_bounded();
    decimals_are_read_as_writers_write_them();
    several_decimals_are_counted();
    what_is_no_finite_number_is_refused();
    binary_numbers_are_read_in_both_orders();
    floating_point_has_to_be_finite();
    return 0;
}
