/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/ds.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

/* The texts are Python's decimal module rounding the double's exact value half to even. */
static void numbers_become_the_nearest_decimal_of_16_characters(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "0"},
        {1.0, "1"},
        {-1024.0, "-1024"},
        {0.1, "0.1"},
        {100.0, "100"},
        {0.666666686534882, "0.66666668653488"},
        {-142.505487236053, "-142.50548723605"},
        {-0.0217883751691557, "-0.0217883751692"},
        {0.999032176441525, "0.99903217644152"},
        {1e-5, "0.00001"},
        {1.23456789012345678e-5, "1.23456789012e-5"},
        {-1e-20, "-1e-20"},
        {-2.2204460492503131e-16, "-2.220446049e-16"},
        {123456789012345678.0, "1.23456789012e17"},
        {1e300, "1e300"},
        {999999999999999.9, "1000000000000000"},
        {1234567.8901234567, "1234567.89012346"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[DICOM_DS_SIZE];
        struct sctd_error err = {0};
        assert(dicom_ds_format(text, cases[i].value, &err) == 0);
        if (strcmp(text, cases[i].text) != 0) {
            (void)fprintf(stderr, "%.17g: %s, not %s\n", cases[i].value, text, cases[i].text);
            abort();
        }
    }
}

static void millimetres_come_back_to_a_millionth(void)
{
    struct sctd_rng rng = {3};
    for (int i = 0; i < 20000; i++) {
        const double value =
            ((double)sctd_rng_uniform(&rng) - 0.5 + (double)sctd_rng_uniform(&rng) / 16777216.0) *
            4000.0;
        char text[DICOM_DS_SIZE];
        struct sctd_error err = {0};
        double back = 0;
        assert(dicom_ds_format(text, value, &err) == 0);
        assert(dicom_ds_is_valid(text, strlen(text)));
        assert(dicom_ds_parse(&back, text, strlen(text), &err) == 0);
        assert(fabs(back - value) < 1e-9);
    }
}

static void every_spelling_of_the_standard_is_read(void)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1},     {"+1.5", 1.5},    {".5", 0.5},        {"-.5", -0.5},
                 {"5.", 5},    {"+5.e1", 50},    {" 2 ", 2},         {"2\0", 2},
                 {"1E2", 100}, {"-1e-2", -0.01}, {"000012.50", 12.5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = -1;
        struct sctd_error err = {0};
        assert(dicom_ds_parse(&value, cases[i].text, strlen(cases[i].text), &err) == 0);
        assert(fabs(value - cases[i].value) < 1e-12);
    }
}

static void what_is_no_number_is_refused(void)
{
    static const char *const texts[] = {"",  " ",   ".",     "+",   "1,5", "1 2",  "nan",
                                        "e", "inf", "1e999", "0x1", "--1", "1..2", "+-1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = -1;
        struct sctd_error err = {0};
        assert(dicom_ds_parse(&value, texts[i], strlen(texts[i]), &err) == SCTD_EDATA);
        assert(!dicom_ds_is_valid(texts[i], strlen(texts[i])));
    }
    char text[DICOM_DS_SIZE] = "kept";
    struct sctd_error err = {0};
    assert(dicom_ds_format(text, (double)NAN, &err) == SCTD_EINVAL);
    assert(dicom_ds_format(text, (double)-INFINITY, &err) == SCTD_EINVAL);
    assert(strcmp(text, "kept") == 0);
}

static void long_values_are_read_but_not_valid(void)
{
    static const char text[] = "-91.4495864331908"; /* 17 characters */
    double value = 0;
    struct sctd_error err = {0};
    assert(dicom_ds_parse(&value, text, strlen(text), &err) == 0);
    assert(fabs(value + 91.4495864331908) < 1e-13);
    assert(!dicom_ds_is_valid(text, strlen(text)));
    assert(dicom_ds_is_valid(text, strlen(text) - 1));
    char longest[65];
    memset(longest, '1', sizeof longest);
    assert(dicom_ds_parse(&value, longest, 64, &err) == 0);
    assert(dicom_ds_parse(&value, longest, 65, &err) == SCTD_EDATA);
}

int main(void)
{
    numbers_become_the_nearest_decimal_of_16_characters();
    millimetres_come_back_to_a_millionth();
    every_spelling_of_the_standard_is_read();
    what_is_no_number_is_refused();
    long_values_are_read_but_not_valid();
    return 0;
}
