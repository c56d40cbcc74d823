/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>

#include "server/font.h"

static bool looks_like(char letter, const char *const picture[FONT_HEIGHT])
{
    bool same = true;
    for (int row = 0; row < FONT_HEIGHT; row++) {
        for (int column = 0; column < FONT_WIDTH; column++) {
            same = same && font_has_dot(letter, column, row) == (picture[row][column] == '#');
        }
    }
    return same;
}

static void letters_read_from_left_to_right_and_from_the_top(void)
{
    static const char *const f[FONT_HEIGHT] = {"#####", "#    ", "#    ", "#### ",
                                               "#    ", "#    ", "#    "};
    static const char *const four[FONT_HEIGHT] = {"   # ", "  ## ", " # # ", "#  # ",
                                                  "#####", "   # ", "   # "};
    assert(looks_like('F', f) && !looks_like('E', f));
    assert(looks_like('4', four));
}

static bool look_the_same(char a, char b)
{
    bool same = true;
    for (int i = 0; i < FONT_HEIGHT * FONT_WIDTH; i++) {
        same = same && font_has_dot(a, i % FONT_WIDTH, i / FONT_WIDTH) ==
                           font_has_dot(b, i % FONT_WIDTH, i / FONT_WIDTH);
    }
    return same;
}

static void no_two_letters_look_the_same(void)
{
    int alike = 0;
    for (int a = ' '; a <= '~'; a++) {
        for (int b = ' '; b < a; b++) {
            alike += look_the_same((char)a, (char)b) ? 1 : 0;
        }
    }
    assert(alike == 0);
}

static void what_is_no_ascii_looks_like_a_question_mark(void)
{
    assert(look_the_same('\n', '?') && look_the_same('\x7f', '?'));
    assert(look_the_same('\xc3', '?') && look_the_same('\0', '?'));
}

static void nothing_lies_outside_a_letter(void)
{
    assert(!font_has_dot('#', -1, 2) && !font_has_dot('#', FONT_WIDTH, 2));
    assert(!font_has_dot('#', 1, -1) && !font_has_dot('#', 1, FONT_HEIGHT));
}

int main(void)
{
    letters_read_from_left_to_right_and_from_the_top();
    no_two_letters_look_the_same();
    what_is_no_ascii_looks_like_a_question_mark();
    nothing_lies_outside_a_letter();
    return 0;
}
