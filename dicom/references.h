/*
 * references.h - lists of SOP instances as normalized services name them, with stated limits.
 *
 * Storage commitment (PS3.4 J) and performed procedure steps (PS3.4 F.7) name instances in items of sequences.
 * They are collected during a walk (prescan.h): each item must have one valid UID of either kind.
 *
 * Thread safety: an object belongs to one thread at a time.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/prescan.h"
#include "dicom/source.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DICOM_REFERENCES_MAX = 65536,
    DICOM_REFERENCES_BYTES_MAX = 8 << 20, /* of the data set that has them */
};

struct dicom_reference {
    char series_uid[DICOM_UID_SIZE]; /* of a performed series; else "" */
    char sop_class_uid[DICOM_UID_SIZE], sop_instance_uid[DICOM_UID_SIZE];
    uint16_t
        reason; /* why it is not committed (PS3.3 C.14.1.1); 0: it is, or that is not the question */
};

struct dicom_references {
    struct dicom_reference *item; /* [n], owned; NULL if there are none */
    size_t n;
    size_t capacity;
};
void dicom_references_fini(struct dicom_references *references); /* leaves it empty */

/* An item begins; it has the given reason.  Errors: SCTD_EINVAL (too many of them), SCTD_ENOMEM. */
SCTD_NODISCARD int dicom_references_add(struct dicom_references *references, uint16_t reason,
                                        struct sctd_error *err);
/*
 * An element directly within the item that was added last: Referenced SOP Class and Instance UID are taken,
 * others let pass.  Errors: SCTD_EDATA (no UID, or there twice).
 */
SCTD_NODISCARD int dicom_references_take(struct dicom_references *references,
                                         const struct dicom_element *element,
                                         struct sctd_error *err);
/* Whether each from `first` on has both UIDs.  Errors: SCTD_EDATA. */
SCTD_NODISCARD int dicom_references_check(const struct dicom_references *references, size_t first,
                                          struct sctd_error *err);

/*
 * What the readers of such data sets need for the elements around: each is there once, and is what it must be.
 * A UID that was read before is not "".  Errors: SCTD_EDATA naming the element.
 */
SCTD_NODISCARD int dicom_references_once(bool *has, const char *name, struct sctd_error *err);
SCTD_NODISCARD int dicom_references_sequence(bool *has, const char *name,
                                             const struct dicom_element *element,
                                             struct sctd_error *err);
SCTD_NODISCARD int dicom_references_uid(char uid[DICOM_UID_SIZE], const char *name,
                                        const struct dicom_element *element,
                                        struct sctd_error *err);

#ifdef __cplusplus
}
#endif
