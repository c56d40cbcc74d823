/*
 * elements.h - a small data set: elements in the order of their tags, written in explicit VR little
 * endian (PS3.5 7.1.2).
 *
 * Values are kept as the bytes that are written, so that what is copied from a source stays as it was.
 * Sequences are kept encoded, items with explicit lengths.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dicom_element {
    uint32_t tag; /* group << 16 | element */
    uint32_t size;
    char vr[3];
    char *value; /* owned; followed by a NUL that does not count */
};

struct dicom_elements {
    struct dicom_element *element; /* owned; tags rise */
    size_t n, capacity;
};

void dicom_elements_fini(struct dicom_elements *elements); /* leaves it empty */

/* NULL if there is none. */
const struct dicom_element *dicom_elements_find(const struct dicom_elements *elements,
                                                uint32_t tag);

/*
 * Put an element in its place, instead of the one that has its tag.  A value of odd length gets the
 * padding of its VR; an even one is kept as it is.
 * Errors of all that add: SCTD_ENOMEM, SCTD_EINVAL (a value or a list beyond its limit).
 */
SCTD_NODISCARD int dicom_elements_set(struct dicom_elements *elements, uint32_t tag, const char *vr,
                                      const void *value, size_t size, struct sctd_error *err);
SCTD_NODISCARD int dicom_elements_set_text(struct dicom_elements *elements, uint32_t tag,
                                           const char *vr, const char *text,
                                           struct sctd_error *err);
SCTD_NODISCARD int dicom_elements_set_u16(struct dicom_elements *elements, uint32_t tag,
                                          uint16_t value, struct sctd_error *err);
/* A sequence of the items that dicom_elements_add_item put into `items`. */
SCTD_NODISCARD int dicom_elements_set_items(struct dicom_elements *elements, uint32_t tag,
                                            const struct sctd_buf *items, struct sctd_error *err);

/* Append the element's header: what stands before `size` bytes of value. */
SCTD_NODISCARD int dicom_elements_add_header(struct sctd_buf *buf, uint32_t tag, const char *vr,
                                             uint32_t size, struct sctd_error *err);
/* Append both lists in the order of their tags; where both have a tag, `over` wins.  over may be NULL. */
SCTD_NODISCARD int dicom_elements_encode(struct sctd_buf *buf, const struct dicom_elements *base,
                                         const struct dicom_elements *over, struct sctd_error *err);
/* Append the list as one item of a sequence. */
SCTD_NODISCARD int dicom_elements_add_item(struct sctd_buf *items,
                                           const struct dicom_elements *item,
                                           struct sctd_error *err);

#ifdef __cplusplus
}
#endif
