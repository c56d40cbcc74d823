/*
 * font.h - printable ASCII as dots, five by seven.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FONT_WIDTH = 5,
    FONT_HEIGHT = 7,
    FONT_ADVANCE = 6, /* from one letter to the next */
};

/* Whether the dot in a column and a row, from the top left, belongs to the letter.  Letters that are not
 * printable ASCII look like '?'. */
bool font_has_dot(char letter, int column, int row);

#ifdef __cplusplus
}
#endif
