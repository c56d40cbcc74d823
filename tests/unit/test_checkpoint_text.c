/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "engine/model/checkpoint_text.h"

static void only_the_shortest_form_of_a_character_is_utf8(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"", true},
        {"plain", true},
        {"\x7f", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc1\xbf", false},         /* a long form of one byte */
        {"\xe0\x9f\xbf", false},     /* of two */
        {"\xf0\x8f\xbf\xbf", false}, /* of three */
        {"\xed\xa0\x80", false},     /* a surrogate */
        {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
        {"\xc3(", false},
        {"\xe2\x82(", false},
        {"ok\xe2\x82", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert(checkpoint_text_is_utf8(cases[i].text, strlen(cases[i].text)) == cases[i].good);
    }
}

static void control_characters_are_noticed(void)
{
    assert(!checkpoint_text_has_control("caf\xc3\xa9", 5));
    assert(checkpoint_text_has_control("a\0b", 3));
    assert(checkpoint_text_has_control("a\x1b", 2));
    assert(checkpoint_text_has_control("\x7f", 1));
}

static void a_quote_is_one_short_printable_line(void)
{
    assert(strcmp(checkpoint_quote("a\n\x1b\xc3z", 5).text, "a???z") == 0);
    assert(strcmp(checkpoint_quote(NULL, 0).text, "") == 0);
    char text[100];
    memset(text, 'x', sizeof text);
    const size_t room = sizeof(struct checkpoint_quote) - sizeof "...";
    assert(strlen(checkpoint_quote(text, room).text) == room);
    const struct checkpoint_quote cut = checkpoint_quote(text, room + 1);
    assert(strlen(cut.text) == room + 3);
    assert(strcmp(cut.text + room - 1, "x...") == 0);
}

int main(void)
{
    only_the_shortest_form_of_a_character_is_utf8();
    control_characters_are_noticed();
    a_quote_is_one_short_printable_line();
    return 0;
}
