/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/parse.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Texts that are no whole number, signed or not. */
static const char *const not_whole[] = {"",    " ",     " 1",  "1 ",  "1a",  "a",   "0x10", "1.0",
                                        "1e3", "1,000", "--1", "+-1", "- 1", "\t1", "1\n",  "\xb2"};

static void whole_numbers_are_read_up_to_both_limits(void)
{
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {{"0", 0},
                 {"-0", 0},
                 {"+7", 7},
                 {"-7", -7},
                 {"007", 7},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"-9223372036854775807", -INT64_MAX}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sctd_error err = {0};
        int64_t value = 99;
        assert(sctd_parse_i64(&value, cases[i].text, INT64_MIN, INT64_MAX, &err) == 0);
        assert(value == cases[i].value);
    }
}

static void whole_numbers_beyond_the_type_are_refused(void)
{
    static const char *const texts[] = {"9223372036854775808", "-9223372036854775809",
                                        "18446744073709551616", "99999999999999999999999999"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sctd_error err = {0};
        int64_t value = 99;
        assert(sctd_parse_i64(&value, texts[i], INT64_MIN, INT64_MAX, &err) == SCTD_EINVAL);
        assert(value == 99);
    }
}

static void whole_numbers_outside_the_range_are_refused_with_the_range(void)
{
    struct sctd_error err = {0};
    int64_t value = 99;
    assert(sctd_parse_i64(&value, "5", 5, 6, &err) == 0 && value == 5);
    assert(sctd_parse_i64(&value, "6", 5, 6, &err) == 0 && value == 6);
    assert(sctd_parse_i64(&value, "4", 5, 6, &err) == SCTD_EINVAL);
    assert(sctd_parse_i64(&value, "7", 5, 6, &err) == SCTD_EINVAL);
    assert(value == 6);
    assert(strstr(err.text, "\"7\"") != NULL && strstr(err.text, "from 5 to 6") != NULL);
    assert(sctd_parse_i64(&value, "-1", 0, 6, &err) == SCTD_EINVAL);
}

static void text_that_is_no_whole_number_is_refused(void)
{
    for (size_t i = 0; i < COUNT(not_whole); i++) {
        struct sctd_error err = {0};
        int64_t value = 99;
        uint64_t natural = 99;
        assert(sctd_parse_i64(&value, not_whole[i], INT64_MIN, INT64_MAX, &err) == SCTD_EINVAL);
        assert(sctd_parse_u64(&natural, not_whole[i], UINT64_MAX, &err) == SCTD_EINVAL);
        assert(value == 99 && natural == 99);
    }
}

static void unsigned_numbers_have_no_sign_and_a_limit(void)
{
    struct sctd_error err = {0};
    uint64_t value = 99;
    assert(sctd_parse_u64(&value, "18446744073709551615", UINT64_MAX, &err) == 0);
    assert(value == UINT64_MAX);
    assert(sctd_parse_u64(&value, "18446744073709551616", UINT64_MAX, &err) == SCTD_EINVAL);
    assert(sctd_parse_u64(&value, "-1", UINT64_MAX, &err) == SCTD_EINVAL);
    assert(sctd_parse_u64(&value, "+1", UINT64_MAX, &err) == SCTD_EINVAL);
    assert(sctd_parse_u64(&value, "104", 104, &err) == 0 && value == 104);
    assert(sctd_parse_u64(&value, "105", 104, &err) == SCTD_EINVAL);
    assert(sctd_parse_u64(&value, "1", 0, &err) == SCTD_EINVAL);
    assert(sctd_parse_u64(&value, "0", 0, &err) == 0 && value == 0);
}

/* Equal to the last bit, the sign of zero included. */
static bool same_bits(double a, double b)
{
    uint64_t left = 0;
    uint64_t right = 0;
    memcpy(&left, &a, sizeof left);
    memcpy(&right, &b, sizeof right);
    return left == right;
}

static void numbers_are_read_to_the_last_bit(void)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"0", 0.0},
                 {"-0", -0.0},
                 {"-1.5", -1.5},
                 {"0.1", 0.1},
                 {"1e3", 1000.0},
                 {"1E+3", 1000.0},
                 {"25e-1", 2.5},
                 {"1.7976931348623157e308", DBL_MAX},
                 {"2.2250738585072014e-308", DBL_MIN},
                 {"5e-324", 0x1p-1074},
                 {"1e-999", 0.0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sctd_error err = {0};
        double value = 99.0;
        assert(sctd_parse_f64(&value, cases[i].text, &err) == 0);
        assert(same_bits(value, cases[i].value));
    }
}

static void text_that_is_no_finite_number_is_refused(void)
{
    static const char *const texts[] = {
        "",    "-",   "+1",    ".5", "1.", "1e", "1e+",  "e1",    "nan",    "inf",      "-inf",
        "0x1", "1,5", "1.5.5", "1 ", " 1", "1f", "1e5 ", "1e999", "-1e999", "infinity", "1e1.0"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sctd_error err = {0};
        double value = 99.0;
        assert(sctd_parse_f64(&value, texts[i], &err) == SCTD_EINVAL);
        assert(same_bits(value, 99.0));
    }
}

int main(void)
{
    whole_numbers_are_read_up_to_both_limits();
    whole_numbers_beyond_the_type_are_refused();
    whole_numbers_outside_the_range_are_refused_with_the_range();
    text_that_is_no_whole_number_is_refused();
    unsigned_numbers_have_no_sign_and_a_limit();
    numbers_are_read_to_the_last_bit();
    text_that_is_no_finite_number_is_refused();
    return 0;
}
