/*
 * attributes.h - a small data set: elements in the order of their tags, written in explicit VR little
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

struct dicom_attribute {
    uint32_t tag; /* group << 16 | element */
    uint32_t size;
    char vr[3];
    char *value; /* owned; followed by a NUL that does not count */
};

/* Of the items of one sequence: also the most that is kept of one value. */
enum { DICOM_ATTRIBUTE_MAX_SIZE = 64 << 20 };

struct dicom_attributes {
    struct dicom_attribute *attribute; /* owned; tags rise */
    size_t n, capacity;
};

void dicom_attributes_fini(struct dicom_attributes *set); /* leaves it empty */

/* NULL if there is none. */
const struct dicom_attribute *dicom_attributes_find(const struct dicom_attributes *set,
                                                    uint32_t tag);

/* The value without the padding at its end, "" if there is none; its first characters if it is longer. */
void dicom_attributes_get_text(char *ret_text, size_t room, const struct dicom_attributes *set,
                               uint32_t tag);

/*
 * Put an element in its place, instead of the one that has its tag.  A value of odd length gets the
 * padding of its VR; an even one is kept as it is.
 * Errors of all that add: SCTD_ENOMEM, SCTD_EINVAL (a value or a list beyond its limit).
 */
SCTD_NODISCARD int dicom_attributes_set(struct dicom_attributes *set, uint32_t tag, const char *vr,
                                        const void *value, size_t size, struct sctd_error *err);
SCTD_NODISCARD int dicom_attributes_set_text(struct dicom_attributes *set, uint32_t tag,
                                             const char *vr, const char *text,
                                             struct sctd_error *err);
/* Attributes with values that are known beforehand. */
struct dicom_text_attribute {
    uint32_t tag;
    const char *vr;
    const char *text;
};
SCTD_NODISCARD int dicom_attributes_set_texts(struct dicom_attributes *set,
                                              const struct dicom_text_attribute *text, size_t n,
                                              struct sctd_error *err);
SCTD_NODISCARD int dicom_attributes_set_u16(struct dicom_attributes *set, uint32_t tag,
                                            uint16_t value, struct sctd_error *err);
/* n values of VR UL. */
SCTD_NODISCARD int dicom_attributes_set_u32(struct dicom_attributes *set, uint32_t tag,
                                            const uint32_t *value, size_t n,
                                            struct sctd_error *err);
/* A value of VR AT: a tag. */
SCTD_NODISCARD int dicom_attributes_set_tag(struct dicom_attributes *set, uint32_t tag,
                                            uint32_t value, struct sctd_error *err);
/* A coded entry (PS3.3 8.8). */
struct dicom_code {
    const char *value, *scheme, *meaning;
};
SCTD_NODISCARD int dicom_attributes_add_code_item(struct sctd_buf *items,
                                                  const struct dicom_code *code,
                                                  struct sctd_error *err);
/* A sequence of one code. */
SCTD_NODISCARD int dicom_attributes_set_code(struct dicom_attributes *set, uint32_t tag,
                                             const struct dicom_code *code, struct sctd_error *err);
/* A sequence of one item. */
SCTD_NODISCARD int dicom_attributes_set_item(struct dicom_attributes *set, uint32_t tag,
                                             const struct dicom_attributes *item,
                                             struct sctd_error *err);
/* A sequence of the items that dicom_attributes_add_item put into `items`. */
SCTD_NODISCARD int dicom_attributes_set_items(struct dicom_attributes *set, uint32_t tag,
                                              const struct sctd_buf *items, struct sctd_error *err);

/* Put a copy of another list's attribute in its place. */
SCTD_NODISCARD int dicom_attributes_copy(struct dicom_attributes *set,
                                         const struct dicom_attribute *attribute,
                                         struct sctd_error *err);
/* Put copies of all attributes of another list in their places. */
SCTD_NODISCARD int dicom_attributes_copy_all(struct dicom_attributes *set,
                                             const struct dicom_attributes *from,
                                             struct sctd_error *err);
/* A tag that is not there is no error. */
void dicom_attributes_remove(struct dicom_attributes *set, uint32_t tag);

/* Append the element's header: what stands before `size` bytes of value. */
SCTD_NODISCARD int dicom_attributes_add_header(struct sctd_buf *buf, uint32_t tag, const char *vr,
                                               uint32_t size, struct sctd_error *err);
/* Append both lists in the order of their tags; where both have a tag, `over` wins.  over may be NULL. */
SCTD_NODISCARD int dicom_attributes_encode(struct sctd_buf *buf,
                                           const struct dicom_attributes *base,
                                           const struct dicom_attributes *over,
                                           struct sctd_error *err);
/* Append the list as one item of a sequence. */
SCTD_NODISCARD int dicom_attributes_add_item(struct sctd_buf *items,
                                             const struct dicom_attributes *item,
                                             struct sctd_error *err);

#ifdef __cplusplus
}
#endif
