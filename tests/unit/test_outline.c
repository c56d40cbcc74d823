/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/image/outline.h"
#include "engine/image/resize.h"

enum { PIXELS_MAX = 256 };

/* in: '.' air, '#' body.  want: 'o' the outline. */
static void check(const char *const *in, const char *const *want, int32_t rows)
{
    struct sctd_error err = {.code = SCTD_OK};
    const int32_t columns = (int32_t)strlen(in[0]);
    float value[PIXELS_MAX] = {0.0F};
    bool is_on[PIXELS_MAX];
    for (int32_t i = 0; i < rows * columns; i++) {
        value[i] = in[i / columns][i % columns] == '#' ? 0.0F : -1000.0F;
    }
    assert(outline_find(is_on, value, (struct resize_size){rows, columns}, OUTLINE_BODY_HU, &err) ==
           0);
    for (int32_t i = 0; i < rows * columns; i++) {
        assert(is_on[i] == (want[i / columns][i % columns] == 'o'));
    }
}

static void lungs_are_within_the_body(void)
{
    static const char *const in[] = {"........", ".######.", ".##..##.",
                                     ".##..##.", ".######.", "........"};
    static const char *const want[] = {"........", ".oooooo.", ".o....o.",
                                       ".o....o.", ".oooooo.", "........"};
    check(in, want, 6);
}

static void a_gap_lets_the_air_in(void)
{
    static const char *const in[] = {"........", ".##.###.", ".##..##.",
                                     ".##..##.", ".######.", "........"};
    static const char *const want[] = {"........", ".oo.ooo.", ".oo..oo.",
                                       ".oo..oo.", ".oooooo.", "........"};
    check(in, want, 6);
}

static void a_body_that_leaves_the_slice_has_no_line_at_its_border(void)
{
    static const char *const in[] = {"####", "####", "....", "...."};
    static const char *const want[] = {"....", "oooo", "....", "...."};
    check(in, want, 4);
    static const char *const all[] = {"##", "##"};
    static const char *const none[] = {"..", ".."};
    check(all, none, 2);
    check(none, none, 2);
}

int main(void)
{
    lungs_are_within_the_body();
    a_gap_lets_the_air_in();
    a_body_that_leaves_the_slice_has_no_line_at_its_border();
    return 0;
}
