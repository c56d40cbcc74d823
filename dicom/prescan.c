/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/prescan.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/base/error.h"

#define UNDEFINED_LENGTH 0xFFFFFFFFU
#define TAG_ITEM_END     0xFFFEE00DU
#define TAG_SEQUENCE_END 0xFFFEE0DDU

enum { HEADER_SIZE = 8 };

/* A sequence that is open, and the item of it that is. */
struct open_sequence {
    size_t end; /* of the sequence, or of what it is in if its length is undefined */
    size_t item_end;
    bool is_bounded; /* its length is defined */
    bool in_item;
    bool is_item_bounded;
    struct dicom_encoding outside; /* to return to */
};

struct walk {
    const unsigned char *bytes;
    size_t size;
    size_t at;
    struct dicom_encoding encoding;
    struct open_sequence open[DICOM_DEPTH_MAX];
    struct dicom_level path[DICOM_DEPTH_MAX];
    int depth;
    bool has_pixels; /* Pixel Data has been met in the data set itself */
    dicom_element_fn on_element;
    void *arg;
    struct sctd_error *err;
};

uint64_t dicom_prescan_read(const unsigned char *p, size_t size, bool big_endian)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | p[big_endian ? i : size - 1 - i];
    }
    return value;
}

bool dicom_prescan_is_vr(const unsigned char *p)
{
    static const char known[] =
        "AEASATCSDADSDTFDFLISLOLTOBODOFOLOVOWPNSHSLSQSSSTSVTMUCUIULUNURUSUTUV";
    for (size_t i = 0; i + 1 < sizeof known; i += 2) {
        if (memcmp(known + i, p, 2) == 0) {
            return true;
        }
    }
    return false;
}

/* Those with two reserved bytes and a length of four (PS3.5 7.1.2). */
static bool is_long_vr(const char *vr)
{
    static const char known[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    for (size_t i = 0; i + 1 < sizeof known; i += 2) {
        if (memcmp(known + i, vr, 2) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t read_tag(const struct walk *w, size_t at)
{
    const bool big_endian = w->encoding.big_endian;
    return (uint32_t)(dicom_prescan_read(w->bytes + at, 2, big_endian) << 16 |
                      dicom_prescan_read(w->bytes + at + 2, 2, big_endian));
}

static uint32_t read_length(const struct walk *w, size_t at)
{
    return (uint32_t)dicom_prescan_read(w->bytes + at, 4, w->encoding.big_endian);
}

/* Up to where the bytes belong to the innermost thing that is open. */
static size_t limit_of(const struct walk *w)
{
    if (w->depth == 0) {
        return w->size;
    }
    const struct open_sequence *s = &w->open[w->depth - 1];
    return s->in_item ? s->item_end : s->end;
}

static int fault(const struct walk *w, const char *what)
{
    return sctd_error(w->err, SCTD_EDATA, "damaged data set at byte %zu: %s", w->at, what);
}

static int emit(const struct walk *w, struct dicom_element *e)
{
    e->big_endian = w->encoding.big_endian;
    e->offset = w->at;
    e->depth = w->depth;
    e->path = w->path;
    return w->on_element == NULL ? 0 : w->on_element(w->arg, e, w->err);
}

static void close_sequence(struct walk *w)
{
    w->depth--;
    w->encoding = w->open[w->depth].outside;
}

/* The header of an item, or the end of the sequence. */
static int step_between_items(struct walk *w)
{
    struct open_sequence *s = &w->open[w->depth - 1];
    if (w->at == s->end && s->is_bounded) {
        close_sequence(w);
        return 0;
    }
    if (s->end - w->at < HEADER_SIZE) {
        return fault(w, "a sequence is not closed");
    }
    const uint32_t tag = read_tag(w, w->at);
    const uint32_t length = read_length(w, w->at + 4);
    if (tag == TAG_SEQUENCE_END) {
        if (s->is_bounded) {
            return fault(w, "a sequence of known length is closed twice");
        }
        w->at += HEADER_SIZE;
        close_sequence(w);
        return 0;
    }
    if (tag != DICOM_TAG_ITEM) {
        return fault(w, "no item where one must be");
    }
    const size_t left = s->end - w->at - HEADER_SIZE;
    s->is_item_bounded = length != UNDEFINED_LENGTH;
    if (s->is_item_bounded && length > left) {
        return fault(w, "an item is longer than what is left");
    }
    if (w->path[w->depth - 1].item == INT32_MAX) {
        return fault(w, "too many items");
    }
    w->path[w->depth - 1].item++;
    struct dicom_element e = {.tag = DICOM_TAG_ITEM};
    const int r = emit(w, &e);
    w->at += HEADER_SIZE;
    s->item_end = s->is_item_bounded ? w->at + length : s->end;
    s->in_item = true;
    return r;
}

/* Go into the sequence `e` whose content begins at w->at + header. */
static int open_sequence(struct walk *w, struct dicom_element *e, size_t header, uint32_t length)
{
    const struct open_sequence s = {
        .is_bounded = length != UNDEFINED_LENGTH,
        .end = length == UNDEFINED_LENGTH ? limit_of(w) : w->at + header + length,
        .outside = w->encoding,
    };
    if (w->depth == DICOM_DEPTH_MAX) {
        return fault(w, "sequences are nested deeper than 32");
    }
    e->is_sequence = true;
    const int r = emit(w, e);
    if (r != 0) {
        return r;
    }
    /* What is not known to be a sequence, UN, has its content in implicit little endian (PS3.5 6.2.2). */
    if (strcmp(e->vr, "UN") == 0) {
        w->encoding = (struct dicom_encoding){.implicit_vr = true};
    }
    w->open[w->depth] = s;
    w->path[w->depth] = (struct dicom_level){.sequence = e->tag, .item = -1};
    w->depth++;
    w->at += header;
    return 0;
}

/* Pixel Data as a basic offset table and fragments, each an item, to a delimiter. */
static int step_over_fragments(struct walk *w, struct dicom_element *e, size_t header)
{
    const size_t begin = w->at + header;
    const size_t limit = limit_of(w);
    size_t at = begin;
    while (true) {
        if (limit - at < HEADER_SIZE) {
            e->is_truncated = true;
            break;
        }
        const uint32_t tag = read_tag(w, at);
        const uint32_t length = read_length(w, at + 4);
        if (tag == TAG_SEQUENCE_END) {
            break;
        }
        if (tag != DICOM_TAG_ITEM || length == UNDEFINED_LENGTH) {
            return fault(w, "Pixel Data is no list of fragments");
        }
        if (length > limit - at - HEADER_SIZE) {
            e->is_truncated = true;
            break;
        }
        at += HEADER_SIZE + length;
    }
    e->is_encapsulated = true;
    e->value = w->bytes + begin;
    e->size = at - begin;
    const int r = emit(w, e);
    w->at = e->is_truncated ? limit : at + HEADER_SIZE;
    return r;
}

/*
 * Implicit VR does not tell sequences apart, and a reader with a dictionary would go into them: what
 * begins with an item is taken for one.
 */
static bool looks_like_sequence(const struct walk *w, const struct dicom_element *e, size_t header,
                                uint32_t length)
{
    const bool untold = e->vr[0] == '\0' || strcmp(e->vr, "UN") == 0;
    if (!untold || length < HEADER_SIZE || e->tag == DICOM_TAG_PIXEL_DATA) {
        return false;
    }
    const bool big_endian = e->vr[0] == '\0' && w->encoding.big_endian;
    const unsigned char *p = w->bytes + w->at + header;
    return dicom_prescan_read(p, 2, big_endian) == DICOM_TAG_ITEM >> 16 &&
           dicom_prescan_read(p + 2, 2, big_endian) == (DICOM_TAG_ITEM & 0xFFFFU);
}

static int step_over_value(struct walk *w, struct dicom_element *e, size_t header, uint32_t length)
{
    const bool is_pixels = e->tag == DICOM_TAG_PIXEL_DATA;
    if (length == UNDEFINED_LENGTH) {
        if (is_pixels && (strcmp(e->vr, "OB") == 0 || strcmp(e->vr, "OW") == 0)) {
            return step_over_fragments(w, e, header);
        }
        if (e->vr[0] == '\0' || strcmp(e->vr, "SQ") == 0 || strcmp(e->vr, "UN") == 0) {
            return open_sequence(w, e, header, length);
        }
        return fault(w, "a value of undefined length");
    }
    const size_t left = limit_of(w) - w->at - header;
    const bool is_sequence = strcmp(e->vr, "SQ") == 0;
    if (length > left && (is_sequence || !is_pixels || w->depth > 0)) {
        return fault(w, "a value is longer than what is left");
    }
    if (is_sequence || looks_like_sequence(w, e, header, length)) {
        return open_sequence(w, e, header, length);
    }
    e->is_truncated = length > left;
    e->value = w->bytes + w->at + header;
    e->size = e->is_truncated ? left : length;
    const int r = emit(w, e);
    w->at += header + e->size;
    return r;
}

/* The end of an item that its delimiter tells. */
static int step_over_item_end(struct walk *w)
{
    struct open_sequence *s = w->depth == 0 ? NULL : &w->open[w->depth - 1];
    if (s == NULL || s->is_item_bounded) {
        return fault(w, "the end of an item where none can be");
    }
    s->in_item = false;
    w->at += HEADER_SIZE;
    return 0;
}

static int step_over_element(struct walk *w)
{
    const size_t left = limit_of(w) - w->at;
    if (left < HEADER_SIZE) {
        return fault(w, "the data set ends within an element");
    }
    struct dicom_element e = {.tag = read_tag(w, w->at)};
    if (e.tag == TAG_ITEM_END) {
        return step_over_item_end(w);
    }
    if (e.tag >> 16 == 0xFFFE) {
        return fault(w, "an item outside a sequence");
    }
    w->has_pixels = w->has_pixels || (w->depth == 0 && e.tag == DICOM_TAG_PIXEL_DATA);
    if (w->encoding.implicit_vr) {
        return step_over_value(w, &e, HEADER_SIZE, read_length(w, w->at + 4));
    }
    if (!dicom_prescan_is_vr(w->bytes + w->at + 4)) {
        return fault(w, "no value representation");
    }
    memcpy(e.vr, w->bytes + w->at + 4, 2);
    if (!is_long_vr(e.vr)) {
        const bool big_endian = w->encoding.big_endian;
        return step_over_value(w, &e, HEADER_SIZE,
                               (uint32_t)dicom_prescan_read(w->bytes + w->at + 6, 2, big_endian));
    }
    if (left < HEADER_SIZE + 4) {
        return fault(w, "the data set ends within an element");
    }
    return step_over_value(w, &e, HEADER_SIZE + 4, read_length(w, w->at + HEADER_SIZE));
}

/* Some writers fill up the last block of a file with zeros. */
static bool is_padding(const struct walk *w)
{
    for (size_t i = w->at; i < w->size; i++) {
        if (w->bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

int dicom_prescan(const void *bytes, size_t size, struct dicom_encoding encoding,
                  dicom_element_fn on_element, void *arg, struct sctd_error *err)
{
    struct walk w = {
        .bytes = bytes,
        .size = size,
        .encoding = encoding,
        .on_element = on_element,
        .arg = arg,
        .err = err,
    };
    int r = 0;
    while (r == 0) {
        struct open_sequence *s = w.depth == 0 ? NULL : &w.open[w.depth - 1];
        if (s != NULL && s->in_item && s->is_item_bounded && w.at == s->item_end) {
            s->in_item = false;
        } else if (s != NULL && !s->in_item) {
            r = step_between_items(&w);
        } else if (s == NULL && (w.at == size || (w.has_pixels && is_padding(&w)))) {
            break;
        } else {
            r = step_over_element(&w);
        }
    }
    return r;
}
