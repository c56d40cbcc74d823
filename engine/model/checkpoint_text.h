/*
 * checkpoint_text.h - text found in files nobody vouches for: is it sound, and how to print it.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the bytes are UTF-8 (RFC 3629: shortest forms, no surrogates); empty text is. */
bool checkpoint_text_is_utf8(const char *text, size_t len);

/* Whether a byte is a control character of ASCII (0 ... 31, 127), NUL among them. */
bool checkpoint_text_has_control(const char *text, size_t len);

/* A piece of text made fit for one line of an error: printable ASCII, cut short with "...". */
struct checkpoint_quote {
    char text[72];
};

/* To be used in the full expression that asks for it: checkpoint_quote(name, len).text. */
struct checkpoint_quote checkpoint_quote(const char *text, size_t len);

#ifdef __cplusplus
}
#endif
