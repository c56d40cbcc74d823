/*
 * prescan.h - one bounded pass over the bytes of a data set, which says where each element lies.
 *
 * What a stranger sends is read by this walk and by nothing else before it has passed: it recurses nowhere,
 * allocates nothing, believes no length beyond the bytes that are there, and stops at sequences nested
 * deeper than DICOM_DEPTH_MAX (PS3.5 7).  DCMTK 3.6.7 overflows its stack on nested sequences.
 *
 * Thread safety: calls share nothing.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DICOM_DEPTH_MAX = 32 };

/* Tags as group << 16 | element. */
#define DICOM_TAG_ITEM       0xFFFEE000U
#define DICOM_TAG_PIXEL_DATA 0x7FE00010U

struct dicom_encoding {
    bool implicit_vr;
    bool big_endian;
};

/* One step of the way down to an element. */
struct dicom_level {
    uint32_t sequence; /* its tag */
    int32_t item;      /* from 0 */
};

/*
 * An element, or the beginning of an item (tag DICOM_TAG_ITEM, no value).  A sequence is seen itself (no
 * value), then its items with what is in them.
 */
struct dicom_element {
    uint32_t tag;
    char vr[3]; /* "" if the encoding does not tell */
    bool big_endian;
    bool is_sequence;
    bool is_encapsulated; /* Pixel Data as items (PS3.5 A.4): value is the first item's header */
    bool is_truncated;    /* Pixel Data of which the bytes end too early: value is what is there */
    const unsigned char *value;
    size_t size;
    size_t offset;                  /* of the element in the bytes */
    int depth;                      /* 0: the data set itself */
    const struct dicom_level *path; /* [depth] */
};

/* Not 0: the walk ends and gives this back. */
typedef int (*dicom_element_fn)(void *arg, const struct dicom_element *element,
                                struct sctd_error *err);

/*
 * Walk over a data set without its file meta information.  `on_element` may be NULL.
 * Errors: SCTD_EDATA (says at which byte, and what is wrong there), and what on_element returns.
 */
SCTD_NODISCARD int dicom_prescan(const void *bytes, size_t size, struct dicom_encoding encoding,
                                 dicom_element_fn on_element, void *arg, struct sctd_error *err);

/* The number of `size` bytes (1 ... 8) at p. */
uint64_t dicom_prescan_read(const unsigned char *p, size_t size, bool big_endian);
/* Whether two characters are a value representation (PS3.5 6.2). */
bool dicom_prescan_is_vr(const unsigned char *p);

#ifdef __cplusplus
}
#endif
