/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "dicom/charset.h"
#include "engine/base/utf8.h"

/* The bytes are Python's codecs'. */
static void texts_of_each_set_become_utf8(void)
{
    static const struct {
        const char *set, *text, *utf8;
    } cases[] = {
        {"", "Pelvis", "Pelvis"},
        {"ISO_IR 6", "Pelvis", "Pelvis"},
        {"ISO_IR 100", "M\xFCller", "M\xC3\xBCller"},
        {"ISO 2022 IR 100", "M\xFCller", "M\xC3\xBCller"},
        {"ISO_IR 100 ", "\xE9", "\xC3\xA9"},
        {"ISO_IR 100\\ISO 2022 IR 87", "\xE9", "\xC3\xA9"},
        {"ISO_IR 101", "\xB1", "\xC4\x85"},
        {"ISO_IR 126", "\xC4", "\xCE\x94"},
        {"ISO_IR 138", "\xE0", "\xD7\x90"},
        {"ISO_IR 144", "\xBB", "\xD0\x9B"},
        {"ISO_IR 192", "\xE5\xB1\xB1", "\xE5\xB1\xB1"},
        {"GB18030", "\xCD\xF5", "\xE7\x8E\x8B"},
        {"ISO_IR 13", "\xD4\xCF", "\xEF\xBE\x94\xEF\xBE\x8F"},
        {"\\ISO 2022 IR 87", "Yamada", "Yamada"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char utf8[64];
        dicom_charset_to_utf8(utf8, sizeof utf8, cases[i].text, cases[i].set);
        if (strcmp(utf8, cases[i].utf8) != 0) {
            (void)fprintf(stderr, "%s: %s\n", cases[i].set, utf8);
        }
        assert(strcmp(utf8, cases[i].utf8) == 0);
    }
}

static void what_the_set_does_not_have_is_a_question_mark(void)
{
    static const struct {
        const char *set, *text, *utf8;
    } cases[] = {
        {"", "M\xFCller", "M?ller"},
        {"unheard of", "M\xFCller", "M?ller"},
        {"ISO_IR 192", "M\xFCller", "M?ller"},
        {"ISO_IR 192", "a\xE5\xB1", "a??"},
        {"ISO_IR 192", "a\xFA\x8B\x8B\x8B\x8B", "a?????"},
        {"ISO_IR 100", "a\x85", "a??"},
        {"ISO_IR 100", "a\nb\x1B$B", "a?b?$B"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char utf8[64];
        dicom_charset_to_utf8(utf8, sizeof utf8, cases[i].text, cases[i].set);
        assert(strcmp(utf8, cases[i].utf8) == 0);
    }
}

static void what_does_not_fit_is_cut_between_characters(void)
{
    for (size_t room = 1; room < 12; room++) {
        char utf8[16];
        memset(utf8, 'x', sizeof utf8);
        dicom_charset_to_utf8(utf8, room, "\xE9\xE9\xE9\xE9", "ISO_IR 100");
        assert(strlen(utf8) == (room - 1 < 8 ? (room - 1) / 2 * 2 : 8));
        assert(utf8[room] == 'x');
    }
}

static bool is_utf8(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        const size_t n = utf8_length(text, left);
        if (n == 0) {
            return false;
        }
        text += n;
        left -= n;
    }
    return true;
}

static void a_question_mark_needs_room_as_well(void)
{
    for (size_t room = 1; room < 8; room++) {
        char utf8[16];
        memset(utf8, 'x', sizeof utf8);
        dicom_charset_to_utf8(utf8, room, "abc\xFC\xFC", "");
        assert(strncmp(utf8, "abc??", room - 1) == 0);
        assert(strlen(utf8) == (room < 6 ? room - 1 : 5) && utf8[room] == 'x');
    }
}

static void all_bytes_become_valid_utf8(void)
{
    static const char *const names[] = {"",        "ISO_IR 100", "ISO_IR 192",
                                        "GB18030", "ISO_IR 13",  "ISO_IR 166"};
    const int n = (int)(sizeof names / sizeof *names);
    for (int i = 0; i < n * 255 * 255; i++) {
        const int pair = i / n;
        const char text[3] = {(char)(1 + pair % 255), (char)(1 + pair / 255), '\0'};
        char utf8[16];
        dicom_charset_to_utf8(utf8, sizeof utf8, text, names[i % n]);
        assert(utf8[0] != '\0' && is_utf8(utf8));
    }
}

int main(void)
{
    texts_of_each_set_become_utf8();
    what_the_set_does_not_have_is_a_question_mark();
    what_does_not_fit_is_cut_between_characters();
    a_question_mark_needs_room_as_well();
    all_bytes_become_valid_utf8();
    return 0;
}
