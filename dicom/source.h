/*
 * source.h - which instance, and which frame of it, one slice of a volume came from.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_UID_SIZE = 65 }; /* the longest UID, 64 characters (PS3.5 6.2), and its NUL */

struct dicom_source {
    const char *path; /* of the file; borrowed */
    int32_t frame;    /* from 0; 0 in a single-frame instance */
    char sop_class_uid[DICOM_UID_SIZE];
    char sop_instance_uid[DICOM_UID_SIZE];
};

#ifdef __cplusplus
}
#endif
