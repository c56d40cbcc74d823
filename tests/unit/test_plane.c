/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <math.h>

#include "server/plane.h"

static void grey_is_linear_and_rounded_to_the_nearest(void)
{
    const struct plane_window window = {-160.0, 240.0};
    for (int grey = 0; grey <= PLANE_WHITE; grey++) {
        const double value = -160.0 + 400.0 * grey / PLANE_WHITE;
        assert(plane_shade((float)value, &window) == grey);
        assert(plane_shade((float)(value + 0.78), &window) == grey); /* half a step is 0.784 */
        assert(grey == PLANE_WHITE || plane_shade((float)(value + 0.79), &window) == grey + 1);
    }
}

static void what_lies_beyond_is_black_or_white_and_nothing_is_black(void)
{
    const struct plane_window window = {0.0, 1.0};
    const struct plane_window none = {1.0, 1.0};
    assert(plane_shade(-1e30F, &window) == 0 && plane_shade(1e30F, &window) == PLANE_WHITE);
    assert(plane_shade(NAN, &window) == 0 && plane_shade(1.0F, &none) == 0);
    assert(plane_shade(HUGE_VALF, &window) == PLANE_WHITE);
}

static void slices_count_along_the_axis_that_is_left(void)
{
    assert(plane_through(&plane_views[0]) == 2 && plane_through(&plane_views[1]) == 1);
    assert(plane_through(&plane_views[2]) == 0);
}

int main(void)
{
    grey_is_linear_and_rounded_to_the_nearest();
    what_lies_beyond_is_black_or_white_and_nothing_is_black();
    slices_count_along_the_axis_that_is_left();
    return 0;
}
