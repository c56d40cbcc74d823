/* utf8.h - the one test of whether bytes are well-formed UTF-8, and what makes them so. */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The length of the well-formed sequence (Unicode 15, table 3-7) at the start of `bytes`, of which
 * `left` >= 1 may be read; 0 if it is ill-formed or cut off.
 */
size_t utf8_length(const void *bytes, size_t left);

/* How many characters a well-formed text has. */
size_t utf8_count(const char *text);
/* Whether it holds a C0 or C1 control or DEL. */
bool utf8_has_control(const char *text);

/* Whether all of it is well-formed. */
bool utf8_is_text(const char *text);

/* '?' for all that would break a line or drive a terminal: C0 and C1 controls, DEL, bytes that are no UTF-8. */
void utf8_clean(char *text);

#ifdef __cplusplus
}
#endif
