/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/utf8.h"

enum { LAST = 0x10ffff };

/* The sequence of a code point by its definition; its length. */
static size_t encode(unsigned char to[4], uint32_t c)
{
    const size_t n = c < 0x80 ? 1 : (c < 0x800 ? 2 : (c < 0x10000 ? 3 : 4));
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1;) {
        to[i] = (unsigned char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    to[0] = (unsigned char)(lead[n] | c);
    return n;
}

static void every_code_point_but_surrogates_is_well_formed(void)
{
    for (uint32_t c = 0; c <= LAST + 1000; c++) {
        unsigned char bytes[4] = {0};
        const size_t n = encode(bytes, c);
        const int good = c <= LAST && (c < 0xd800 || c > 0xdfff);
        assert(utf8_length(bytes, n) == (good ? n : 0));
        assert(n == 1 || utf8_length(bytes, n - 1) == 0);
    }
}

/* Of all runs of three bytes as many are well-formed from their start as there are such sequences. */
static void nothing_else_is_well_formed(void)
{
    size_t found[5] = {0};
    for (uint32_t i = 0; i < 1U << 24; i++) {
        const unsigned char bytes[3] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8),
                                        (unsigned char)i};
        found[utf8_length(bytes, 3)]++;
    }
    assert(found[1] == (size_t)0x80 << 16);
    assert(found[2] == (size_t)(0x800 - 0x80) << 8);
    assert(found[3] == 0x10000 - 0x800 - 0x800);
    assert(found[4] == 0);
}

static void no_byte_beyond_those_left_is_read(void)
{
    static const unsigned char leads[] = {0xc3, 0xe2, 0xf0, 0xff, 0x80};
    for (size_t i = 0; i < sizeof leads; i++) {
        unsigned char *one = malloc(1);
        assert(one != NULL);
        *one = leads[i];
        assert(utf8_length(one, 1) == 0);
        free(one);
    }
}

static void what_breaks_a_line_or_is_no_utf8_becomes_a_question_mark(void)
{
    static const struct {
        const char *dirty, *clean;
    } rows[] = {
        {"", ""},
        {"caf\xc3\xa9 \xe2\x82\xac", "caf\xc3\xa9 \xe2\x82\xac"},
        {"a\nb\r\t\x1b[2J\x7f", "a?b???[2J?"},
        {"\xc2\x9b\xc2\xa0", "??\xc2\xa0"}, /* C1 control, no-break space */
        {"cut \xe2\x82", "cut ??"},
        {"\xff\xc3[", "??["},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%s", rows[i].dirty);
        utf8_clean(text);
        assert(strcmp(text, rows[i].clean) == 0);
    }
}

int main(void)
{
    what_breaks_a_line_or_is_no_utf8_becomes_a_question_mark();
    every_code_point_but_surrogates_is_well_formed();
    nothing_else_is_well_formed();
    no_byte_beyond_those_left_is_read();
    return 0;
}
