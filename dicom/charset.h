/*
 * charset.h - texts of a data set in UTF-8, for people and programs; objects keep their bytes.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * `text` in the first of the sets of `character_set` (the value of Specific Character Set, "" for none) as
 * UTF-8; ret_utf8 has `room` bytes.  What the set does not have, controls, and escapes to further sets
 * become '?'; what does not fit is cut off between characters.
 */
void dicom_charset_to_utf8(char *ret_utf8, size_t room, const char *text,
                           const char *character_set);

#ifdef __cplusplus
}
#endif
