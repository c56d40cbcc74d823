/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

const char *const *dicom_accept_classes(size_t *ret_n)
{
    static const char *const classes[] = {
        "1.2.840.10008.5.1.4.1.1.4",   /* MR Image Storage */
        "1.2.840.10008.5.1.4.1.1.2",   /* CT Image Storage */
        "1.2.840.10008.5.1.4.1.1.4.1", /* Enhanced MR Image Storage */
        "1.2.840.10008.5.1.4.1.1.2.1", /* Enhanced CT Image Storage */
    };
    *ret_n = sizeof classes / sizeof classes[0];
    return classes;
}

bool dicom_accept_modality(const char *modality)
{
    return *modality == '\0' || strcmp(modality, "MR") == 0 || strcmp(modality, "CT") == 0;
}

const char *const *dicom_accept_syntaxes(bool all, size_t *ret_n)
{
    enum { PLAIN = 2 };
    static const char *const syntaxes[] = {
        "1.2.840.10008.1.2.1",    /* explicit VR little endian */
        "1.2.840.10008.1.2",      /* implicit VR little endian */
        "1.2.840.10008.1.2.2",    /* explicit VR big endian */
        "1.2.840.10008.1.2.1.99", /* deflated */
        "1.2.840.10008.1.2.5",    /* RLE */
        "1.2.840.10008.1.2.4.70", /* JPEG lossless, first-order prediction */
        "1.2.840.10008.1.2.4.57", /* JPEG lossless */
        "1.2.840.10008.1.2.4.80", /* JPEG-LS lossless */
        "1.2.840.10008.1.2.4.90", /* JPEG 2000 lossless */
        "1.2.840.10008.1.2.4.50", /* JPEG baseline */
        "1.2.840.10008.1.2.4.51", /* JPEG extended */
        "1.2.840.10008.1.2.4.81", /* JPEG-LS near-lossless */
        "1.2.840.10008.1.2.4.91", /* JPEG 2000 */
    };
    *ret_n = all ? sizeof syntaxes / sizeof syntaxes[0] : PLAIN;
    return syntaxes;
}
