/*
 * accept.h - which storage classes and transfer syntaxes are taken: those that can be assembled (series.h).
 *
 * Thread safety: constants.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_VERIFICATION_CLASS "1.2.840.10008.1.1"

/* SOP classes of images; *ret_n: how many. */
const char *const *dicom_accept_classes(size_t *ret_n);

/* Whether a series with this Modality may hold such images; "": nobody says. */
bool dicom_accept_modality(const char *modality);

/* Transfer syntaxes, the preferred one first; without `all` only little endian without compression. */
const char *const *dicom_accept_syntaxes(bool all, size_t *ret_n);

#ifdef __cplusplus
}
#endif
