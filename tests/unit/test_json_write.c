/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/rng.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The double alone as JSON. */
static void write_number(struct sctd_buf *buf, double value)
{
    struct sctd_error err = {0};
    buf->size = 0;
    struct json_writer w = json_writer_make(buf, false, &err);
    json_write_double(&w, NULL, value);
    assert(json_writer_finish(&w) == 0);
}

static void numbers_are_short_and_as_people_write_them(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {-0.0, "-0"},
                 {1.0, "1"},
                 {99.0, "99"},
                 {100.0, "100"},
                 {-1024.0, "-1024"},
                 {2000.0, "2000"},
                 {0.1, "0.1"},
                 {0.00005, "0.00005"},
                 {0.000001, "1e-06"},
                 {1.5e-7, "1.5e-07"},
                 {123456.75, "123456.75"},
                 {1.0 / 3.0, "0.3333333333333333"},
                 {1e16, "10000000000000000"},
                 {1e17, "1e+17"},
                 {0x1p53, "9007199254740992"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {5e-324, "5e-324"}};
    struct sctd_buf buf = sctd_buf_make(64);
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_number(&buf, cases[i].value);
        assert(strcmp(buf.data, cases[i].text) == 0);
    }
    sctd_buf_fini(&buf);
}

static void any_number_reads_back_to_the_last_bit(void)
{
    struct sctd_buf buf = sctd_buf_make(64);
    struct sctd_rng rng = {3};
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = sctd_rng_next(&rng);
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0) { /* sizes that occur, too */
            value = ldexp((double)(int64_t)bits, -50 - i % 40);
        }
        if (!isfinite(value)) {
            continue;
        }
        write_number(&buf, value);
        struct sctd_error err = {0};
        sctd_auto(json_freep) struct json *json = NULL;
        assert(json_parse(&json, buf.data, buf.size, &err) == 0);
        uint64_t back = 0;
        memcpy(&back, &json_get_root(json)->number, sizeof back);
        memcpy(&bits, &value, sizeof bits);
        assert(back == bits);
    }
    sctd_buf_fini(&buf);
}

/* Skipped where the system has no locale with a decimal comma. */
static void the_decimal_point_does_not_depend_on_the_locale(void)
{
    // NOLINTBEGIN(concurrency-mt-unsafe): one thread
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "fr_FR.UTF-8") == NULL) {
        (void)fprintf(stdout, "no locale with a decimal comma\n");
        return;
    }
    struct sctd_buf buf = sctd_buf_make(64);
    write_number(&buf, 0.5);
    assert(strcmp(buf.data, "0.5") == 0);
    sctd_buf_fini(&buf);
    (void)setlocale(LC_ALL, "C");
    // NOLINTEND(concurrency-mt-unsafe)
}

static void a_text_that_is_no_utf8_is_told_at_the_end(void)
{
    static const char *const texts[] = {"a\xff", "\xc3", "\xed\xa0\x80|", "\xc0\x80"};
    for (size_t i = 0; i < COUNT(texts) + 1; i++) {
        struct sctd_error err = {0};
        struct sctd_buf buf = sctd_buf_make(200);
        struct json_writer w = json_writer_make(&buf, false, &err);
        json_write_object_begin(&w, NULL);
        json_write_string(&w, "\xe2\x82\xac", i < COUNT(texts) ? texts[i] : "\xf0\x9f\x98\x80\n");
        json_write_object_end(&w);
        assert(json_writer_finish(&w) == (i < COUNT(texts) ? SCTD_EINVAL : 0));
        sctd_buf_fini(&buf);
    }
}

static void a_key_that_is_no_utf8_is_told_too(void)
{
    struct sctd_error err = {0};
    struct sctd_buf buf = sctd_buf_make(200);
    struct json_writer w = json_writer_make(&buf, false, &err);
    json_write_object_begin(&w, NULL);
    json_write_null(&w, "k\xff");
    json_write_object_end(&w);
    assert(json_writer_finish(&w) == SCTD_EINVAL && strstr(err.text, "k?") != NULL);
    sctd_buf_fini(&buf);
}

int main(void)
{
    numbers_are_short_and_as_people_write_them();
    any_number_reads_back_to_the_last_bit();
    the_decimal_point_does_not_depend_on_the_locale();
    a_text_that_is_no_utf8_is_told_at_the_end();
    a_key_that_is_no_utf8_is_told_too();
    return 0;
}
