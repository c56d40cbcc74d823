/* SPDX-License-Identifier: Apache-2.0 */
#include "dicom/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/tags.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"

enum { MAX_ELEMENTS = 4096, FIRST_CAPACITY = 64, MAX_NUMBERS = 8 };
static const uint32_t item_tag = 0xfffee000U;

void dicom_attributes_fini(struct dicom_attributes *set)
{
    for (size_t i = 0; i < set->n; i++) {
        free(set->attribute[i].value);
    }
    free(set->attribute);
    *set = (struct dicom_attributes){0};
}

/* The first place whose tag is not below `tag`. */
static size_t find_place(const struct dicom_attributes *set, uint32_t tag)
{
    size_t low = 0;
    size_t high = set->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (set->attribute[middle].tag < tag) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct dicom_attribute *dicom_attributes_find(const struct dicom_attributes *set,
                                                    uint32_t tag)
{
    const size_t place = find_place(set, tag);
    return place < set->n && set->attribute[place].tag == tag ? &set->attribute[place] : NULL;
}

void dicom_attributes_get_text(char *ret_text, size_t room, const struct dicom_attributes *set,
                               uint32_t tag)
{
    const struct dicom_attribute *from = dicom_attributes_find(set, tag);
    size_t size = from == NULL ? 0 : from->size;
    while (size > 0 && (from->value[size - 1] == ' ' || from->value[size - 1] == '\0')) {
        size--;
    }
    size = size < room ? size : room - 1;
    if (size > 0) {
        memcpy(ret_text, from->value, size);
    }
    ret_text[size] = '\0';
}

static int reserve_one(struct dicom_attributes *set, struct sctd_error *err)
{
    if (set->n < set->capacity) {
        return 0;
    }
    if (set->n >= MAX_ELEMENTS) {
        return sctd_error(err, SCTD_EINVAL, "more than %d elements in a data set", MAX_ELEMENTS);
    }
    const size_t capacity = set->capacity == 0 ? FIRST_CAPACITY : 2 * set->capacity;
    struct dicom_attribute *attribute = realloc(set->attribute, capacity * sizeof *attribute);
    if (attribute == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "%zu elements", capacity);
    }
    set->attribute = attribute;
    set->capacity = capacity;
    return 0;
}

/* Numbers have even sizes; of the rest, text is padded with a blank (PS3.5 6.2). */
static char get_padding(const char *vr)
{
    static const char *const zero[] = {"UI", "OB", "UN"};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) {
        if (strcmp(vr, zero[i]) == 0) {
            return '\0';
        }
    }
    return ' ';
}

int dicom_attributes_set(struct dicom_attributes *set, uint32_t tag, const char *vr,
                         const void *value, size_t size, struct sctd_error *err)
{
    if (size > DICOM_ATTRIBUTE_MAX_SIZE) {
        return sctd_error(err, SCTD_EINVAL, "element (%04x,%04x) has %zu bytes", tag >> 16,
                          tag & 0xffffU, size);
    }
    int r = reserve_one(set, err);
    if (r < 0) {
        return r;
    }
    char *copy = malloc(size + 2);
    if (copy == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "element of %zu bytes", size);
    }
    if (size > 0) {
        memcpy(copy, value, size);
    }
    copy[size] = get_padding(vr);
    size += size % 2;
    copy[size] = '\0';

    const size_t place = find_place(set, tag);
    struct dicom_attribute *at = &set->attribute[place];
    if (place < set->n && at->tag == tag) {
        free(at->value);
    } else {
        memmove(at + 1, at, (set->n - place) * sizeof *at);
        set->n++;
    }
    *at = (struct dicom_attribute){.tag = tag, .size = (uint32_t)size, .value = copy};
    memcpy(at->vr, vr, 2);
    return 0;
}

int dicom_attributes_set_text(struct dicom_attributes *set, uint32_t tag, const char *vr,
                              const char *text, struct sctd_error *err)
{
    return dicom_attributes_set(set, tag, vr, text, strlen(text), err);
}

int dicom_attributes_set_texts(struct dicom_attributes *set,
                               const struct dicom_text_attribute *text, size_t n,
                               struct sctd_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = dicom_attributes_set_text(set, text[i].tag, text[i].vr, text[i].text, err);
    }
    return r;
}

int dicom_attributes_copy(struct dicom_attributes *set, const struct dicom_attribute *attribute,
                          struct sctd_error *err)
{
    return dicom_attributes_set(set, attribute->tag, attribute->vr, attribute->value,
                                attribute->size, err);
}

int dicom_attributes_copy_all(struct dicom_attributes *set, const struct dicom_attributes *from,
                              struct sctd_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < from->n; i++) {
        r = dicom_attributes_copy(set, &from->attribute[i], err);
    }
    return r;
}

int dicom_attributes_set_u16(struct dicom_attributes *set, uint32_t tag, uint16_t value,
                             struct sctd_error *err)
{
    const unsigned char bytes[2] = {(unsigned char)(value & 0xffU), (unsigned char)(value >> 8)};
    return dicom_attributes_set(set, tag, "US", bytes, sizeof bytes, err);
}

int dicom_attributes_set_u32(struct dicom_attributes *set, uint32_t tag, const uint32_t *value,
                             size_t n, struct sctd_error *err)
{
    unsigned char bytes[4 * MAX_NUMBERS];
    if (n > MAX_NUMBERS) {
        return sctd_error(err, SCTD_EINVAL, "%zu numbers: at most %d are written", n,
                          (int)MAX_NUMBERS);
    }
    for (size_t i = 0; i < 4 * n; i++) {
        bytes[i] = (unsigned char)(value[i / 4] >> 8 * (i % 4) & 0xffU);
    }
    return dicom_attributes_set(set, tag, "UL", bytes, 4 * n, err);
}

int dicom_attributes_set_tag(struct dicom_attributes *set, uint32_t tag, uint32_t value,
                             struct sctd_error *err)
{
    const unsigned char bytes[4] = {(unsigned char)(value >> 16 & 0xffU),
                                    (unsigned char)(value >> 24), (unsigned char)(value & 0xffU),
                                    (unsigned char)(value >> 8 & 0xffU)};
    return dicom_attributes_set(set, tag, "AT", bytes, sizeof bytes, err);
}

int dicom_attributes_set_items(struct dicom_attributes *set, uint32_t tag,
                               const struct sctd_buf *items, struct sctd_error *err)
{
    return dicom_attributes_set(set, tag, "SQ", items->data, items->size, err);
}

void dicom_attributes_remove(struct dicom_attributes *set, uint32_t tag)
{
    const size_t place = find_place(set, tag);
    if (place >= set->n || set->attribute[place].tag != tag) {
        return;
    }
    struct dicom_attribute *at = &set->attribute[place];
    free(at->value);
    memmove(at, at + 1, (set->n - place - 1) * sizeof *at);
    set->n--;
}

static bool has_long_header(const char *vr)
{
    static const char *const names[] = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                        "SV", "UC", "UN", "UR", "UT", "UV"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(vr, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static size_t put_number(unsigned char *bytes, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    return size;
}

int dicom_attributes_add_header(struct sctd_buf *buf, uint32_t tag, const char *vr, uint32_t size,
                                struct sctd_error *err)
{
    unsigned char bytes[12];
    size_t n = put_number(bytes, tag >> 16, 2);
    n += put_number(bytes + n, tag & 0xffffU, 2);
    const bool fits = has_long_header(vr) || size <= UINT16_MAX;
    const char *written = fits ? vr : "UN"; /* as PS3.5 6.2.2 has it for a value this long */
    memcpy(bytes + n, written, 2);
    n += 2;
    if (has_long_header(written)) {
        n += put_number(bytes + n, 0, 2);
        n += put_number(bytes + n, size, 4);
    } else {
        n += put_number(bytes + n, size, 2);
    }
    return sctd_buf_append(buf, bytes, n, err);
}

static int encode_one(struct sctd_buf *buf, const struct dicom_attribute *e, struct sctd_error *err)
{
    int r = dicom_attributes_add_header(buf, e->tag, e->vr, e->size, err);
    return r < 0 ? r : sctd_buf_append(buf, e->value, e->size, err);
}

int dicom_attributes_encode(struct sctd_buf *buf, const struct dicom_attributes *base,
                            const struct dicom_attributes *over, struct sctd_error *err)
{
    static const struct dicom_attributes none = {0};
    over = over == NULL ? &none : over;
    size_t i = 0;
    size_t j = 0;
    while (i < base->n || j < over->n) {
        const bool from_over =
            i == base->n || (j < over->n && over->attribute[j].tag <= base->attribute[i].tag);
        const struct dicom_attribute *e = from_over ? &over->attribute[j] : &base->attribute[i];
        int r = encode_one(buf, e, err);
        if (r < 0) {
            return r;
        }
        i += i < base->n && base->attribute[i].tag == e->tag ? 1 : 0;
        j += from_over ? 1 : 0;
    }
    return 0;
}

int dicom_attributes_add_item(struct sctd_buf *items, const struct dicom_attributes *item,
                              struct sctd_error *err)
{
    unsigned char bytes[8];
    size_t n = put_number(bytes, item_tag >> 16, 2);
    n += put_number(bytes + n, item_tag & 0xffffU, 2);
    n += put_number(bytes + n, 0, 4); /* the length, once it is known */
    const size_t start = items->size + n;
    int r = sctd_buf_append(items, bytes, n, err);
    if (r == 0) {
        r = dicom_attributes_encode(items, item, NULL, err);
    }
    if (r == 0) {
        unsigned char length[4];
        put_number(length, (uint32_t)(items->size - start), sizeof length);
        memcpy(items->data + start - sizeof length, length, sizeof length);
    }
    return r;
}

int dicom_attributes_set_item(struct dicom_attributes *set, uint32_t tag,
                              const struct dicom_attributes *item, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf items = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    int r = dicom_attributes_add_item(&items, item, err);
    return r < 0 ? r : dicom_attributes_set_items(set, tag, &items, err);
}

int dicom_attributes_add_code_item(struct sctd_buf *items, const struct dicom_code *code,
                                   struct sctd_error *err)
{
    const struct dicom_text_attribute texts[] = {{TAG_CODE_VALUE, "SH", code->value},
                                                 {TAG_CODING_SCHEME_DESIGNATOR, "SH", code->scheme},
                                                 {TAG_CODE_MEANING, "LO", code->meaning}};
    sctd_auto(dicom_attributes_fini) struct dicom_attributes item = {0};
    int r = dicom_attributes_set_texts(&item, texts, sizeof texts / sizeof *texts, err);
    return r < 0 ? r : dicom_attributes_add_item(items, &item, err);
}

int dicom_attributes_set_code(struct dicom_attributes *set, uint32_t tag,
                              const struct dicom_code *code, struct sctd_error *err)
{
    sctd_auto(sctd_buf_fini) struct sctd_buf items = sctd_buf_make(DICOM_ATTRIBUTE_MAX_SIZE);
    int r = dicom_attributes_add_code_item(&items, code, err);
    return r < 0 ? r : dicom_attributes_set_items(set, tag, &items, err);
}
