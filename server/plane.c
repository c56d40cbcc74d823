/* SPDX-License-Identifier: Apache-2.0 */
#include "server/plane.h"

#include <math.h>

const struct plane plane_views[PLANES] = {
    {"axial", 0, 1, 1.0, 'R', 'A', 'L', 'P'},
    {"coronal", 0, 2, -1.0, 'R', 'H', 'L', 'F'},
    {"sagittal", 1, 2, -1.0, 'A', 'H', 'P', 'F'},
};

unsigned char plane_shade(float value, const struct plane_window *window)
{
    const double at = ((double)value - window->low) / (window->high - window->low);
    if (isnan(at)) {
        return 0;
    }
    return (unsigned char)lround(fmin(fmax(at, 0.0), 1.0) * PLANE_WHITE);
}
