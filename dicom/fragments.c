/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/fragments.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/part10.h"
#include "dicom/prescan.h"
#include "dicom/refusal.h"
#include "dicom/series.h"
#include "engine/base/attr.h"
#include "engine/base/error.h"

enum { ITEM_HEADER_SIZE = 8, OFFSET_SIZE = 4, FRAGMENTS_MAX = 1 << 20 };

void dicom_fragments_fini(struct dicom_fragments *fragments)
{
    free(fragments->fragment);
    free(fragments->first);
    free(fragments->joined);
    *fragments = (struct dicom_fragments){.fragment = NULL};
}

/* The item at *at, which moves behind it; false if there is none that is whole. */
static bool next_item(struct dicom_fragment *ret_item, const unsigned char *value, size_t size,
                      size_t *at)
{
    if (size - *at < ITEM_HEADER_SIZE || dicom_prescan_read(value + *at, 2, false) != 0xFFFE ||
        dicom_prescan_read(value + *at + 2, 2, false) != 0xE000) {
        return false;
    }
    const uint64_t length = dicom_prescan_read(value + *at + 4, 4, false);
    if (length > size - *at - ITEM_HEADER_SIZE) {
        return false;
    }
    *ret_item = (struct dicom_fragment){.offset = *at + ITEM_HEADER_SIZE, .size = (size_t)length};
    *at += ITEM_HEADER_SIZE + (size_t)length;
    return true;
}

static size_t count_items(const unsigned char *value, size_t size)
{
    struct dicom_fragment item;
    size_t at = 0;
    size_t n = 0;
    while (n <= FRAGMENTS_MAX && next_item(&item, value, size, &at)) {
        n++;
    }
    return n;
}

/* The fragment whose item header is at `offset`, from `from` on; n if there is none. */
static size_t find_fragment(const struct dicom_fragments *f, size_t from, size_t offset)
{
    size_t i = from;
    while (i < f->n && f->fragment[i].offset - ITEM_HEADER_SIZE < offset) {
        i++;
    }
    return i < f->n && f->fragment[i].offset - ITEM_HEADER_SIZE == offset ? i : f->n;
}

/* Frames as the basic offset table has them; offsets count from the end of its item. */
static bool apply_offsets(struct dicom_fragments *f, struct dicom_fragment table)
{
    const size_t base = table.offset + table.size;
    if (table.size != (size_t)f->of.n_frames * OFFSET_SIZE) {
        return false;
    }
    for (size_t i = 0; i < (size_t)f->of.n_frames; i++) {
        const unsigned char *entry = f->of.value + table.offset + i * OFFSET_SIZE;
        const size_t offset = (size_t)dicom_prescan_read(entry, OFFSET_SIZE, false);
        f->first[i] = find_fragment(f, i == 0 ? 0 : f->first[i - 1] + 1, base + offset);
        if (f->first[i] == f->n) {
            return false;
        }
    }
    return f->first[0] == 0;
}

/* Frames begin where a fragment begins as a code stream does. */
static bool apply_starts(struct dicom_fragments *f)
{
    const unsigned char second = f->of.compression == DICOM_COMPRESSION_JPEG_2000 ? 0x4F : 0xD8;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const unsigned char *p = f->of.value + f->fragment[i].offset;
        if (f->fragment[i].size < 2 || p[0] != 0xFF || p[1] != second) {
            continue;
        }
        if (n == (size_t)f->of.n_frames) {
            return false;
        }
        f->first[n++] = i;
    }
    return n == (size_t)f->of.n_frames && f->first[0] == 0;
}

static int assign(struct dicom_fragments *f, struct dicom_fragment table,
                  struct dicom_refusal *ret_refusal)
{
    const size_t n_frames = (size_t)f->of.n_frames;
    const bool can_join = f->of.compression != DICOM_COMPRESSION_RLE;
    if (f->n < n_frames) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_TRUNCATED_PIXELS,
                                 "Pixel Data has %zu fragments for %zu frames", f->n, n_frames);
    }
    f->first[n_frames] = f->n;
    if (n_frames == 1 || n_frames == f->n) {
        for (size_t i = 0; i < n_frames; i++) {
            f->first[i] = i;
        }
        return 0;
    }
    if (can_join && (apply_offsets(f, table) || apply_starts(f))) {
        return 0;
    }
    return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                             "which of %zu fragments belong to which of %zu frames is not told",
                             f->n, n_frames);
}

int dicom_fragments_find(struct dicom_fragments *ret_fragments, const struct dicom_encapsulated *of,
                         struct dicom_refusal *ret_refusal, struct sctd_error *err)
{
    sctd_auto(dicom_fragments_fini) struct dicom_fragments f = {.of = *of};
    struct dicom_fragment table = {0};
    size_t at = 0;
    const size_t items = count_items(of->value, of->size);
    if (items > FRAGMENTS_MAX) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_UNDECODABLE_PIXELS,
                                 "Pixel Data has more than %d fragments", FRAGMENTS_MAX);
    }
    if (items < 2 || !next_item(&table, of->value, of->size, &at)) {
        return dicom_refusal_set(ret_refusal, DICOM_REFUSAL_TRUNCATED_PIXELS,
                                 "Pixel Data has no fragments");
    }
    f.fragment = calloc(items - 1, sizeof *f.fragment);
    f.first = calloc((size_t)of->n_frames + 1, sizeof *f.first);
    if (f.fragment == NULL || f.first == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu fragments", items - 1);
    }
    while (f.n < items - 1 && next_item(&f.fragment[f.n], of->value, of->size, &at)) {
        f.n++;
    }
    const int r = assign(&f, table, ret_refusal);
    if (r == 0) {
        *ret_fragments = f;
        f = (struct dicom_fragments){.fragment = NULL};
    }
    return r;
}

int dicom_fragments_get(struct dicom_fragments *fragments, int32_t frame,
                        const unsigned char **ret_bytes, size_t *ret_size, struct sctd_error *err)
{
    const unsigned char *value = fragments->of.value;
    const size_t begin = fragments->first[frame];
    const size_t end = fragments->first[frame + 1];
    size_t size = 0;
    for (size_t i = begin; i < end; i++) {
        size += fragments->fragment[i].size;
    }
    if (end - begin == 1) {
        *ret_bytes = value + fragments->fragment[begin].offset;
        *ret_size = size;
        return 0;
    }
    unsigned char *joined = realloc(fragments->joined, size + 1);
    if (joined == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "a frame in %zu fragments", end - begin);
    }
    fragments->joined = joined;
    size_t at = 0;
    for (size_t i = begin; i < end; i++) {
        memcpy(joined + at, value + fragments->fragment[i].offset, fragments->fragment[i].size);
        at += fragments->fragment[i].size;
    }
    *ret_bytes = joined;
    *ret_size = size;
    return 0;
}
