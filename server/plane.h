/*
 * plane.h - the three planes as radiologists see them, and grey values of what lies in them.
 *
 * The patient's right is on the left, the front on top or to the left, the head on top.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

enum { PLANES = 3, PLANE_WHITE = 255 };

/* How a plane lies in the patient, and what stands at its edges. */
struct plane {
    const char *name;
    int right, down;  /* patient axes that its rows and columns run along */
    double down_sign; /* +1 or -1 along it; rows always run along +right */
    char left, top, end, bottom;
};
extern const struct plane plane_views[PLANES]; /* axial, coronal, sagittal */

/* The patient axis that a plane's slices count along. */
static inline int plane_through(const struct plane *plane)
{
    return 3 - plane->right - plane->down;
}

struct plane_window {
    double low, high; /* black, white */
};
/* Linear between the two, rounded to the nearest; NaN is black. */
unsigned char plane_shade(float value, const struct plane_window *window);

#ifdef __cplusplus
}
#endif
