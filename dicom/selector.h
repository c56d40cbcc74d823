/*
 * selector.h - which frames of a mixed series a selector picks, and what there is to pick from.
 *
 * Thread safety: pure functions.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dicom/instance.h"
#include "dicom/series.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_SELECTOR_KEYS = DICOM_SELECT_STACK + 1 };

/* What a frame has where the attribute is missing; a selector may ask for it. */
#define DICOM_SELECTOR_NONE "none"

bool dicom_selector_matches(const struct dicom_selector *selector, const struct dicom_frame *frame);

/* "echo" and so on; never NULL. */
const char *dicom_selector_key_name(enum dicom_selector_key key);

/* What a frame has under a key, as the value of a selector that picks it. */
void dicom_selector_describe(char *ret_value, size_t room, enum dicom_selector_key key,
                             const struct dicom_frame *frame);

#ifdef __cplusplus
}
#endif
