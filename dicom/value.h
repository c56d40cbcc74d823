/*
 * value.h - what the bytes of an element say: texts and numbers (PS3.5 6.2).
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/prescan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most values of one element that are read as numbers. */
enum { DICOM_NUMBERS_MAX = 8 };

/*
 * The value as text without the blanks and NULs around it; ret_text has `room` bytes, NUL included.
 * False if it does not fit or has a NUL within; ret_text is "" then.
 */
bool dicom_value_text(char *ret_text, size_t room, const struct dicom_element *element);

/*
 * All values of a DS or IS, of any length, or of a FL, FD, US, SS, UL or SL (`vr` counts if the element
 * tells none).
 * Returns how many there are, 0 if the element is empty, or -1: a value is no finite number, or there are
 * more than DICOM_NUMBERS_MAX.
 */
int dicom_value_numbers(double ret_number[DICOM_NUMBERS_MAX], const struct dicom_element *element,
                        const char *vr);

#ifdef __cplusplus
}
#endif
