/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/prescan.h"
#include "engine/base/error.h"
#include "engine/base/rng.h"

#include "tests/support/made_dicom.h"

enum { SEEN_MAX = 64 };

/* What a walk told. */
struct seen {
    size_t n;
    struct dicom_element element[SEEN_MAX];
    int32_t item[SEEN_MAX]; /* of the innermost sequence; -1 in none */
    int stop_at;            /* fail at this element; -1: never */
};

static int look(void *arg, const struct dicom_element *e, struct sctd_error *err)
{
    struct seen *seen = arg;
    if ((int)seen->n == seen->stop_at) {
        return sctd_error(err, SCTD_EDATA, "enough");
    }
    assert(seen->n < SEEN_MAX);
    seen->item[seen->n] = e->depth == 0 ? -1 : e->path[e->depth - 1].item;
    seen->element[seen->n++] = *e;
    return 0;
}

static int walk(struct seen *ret_seen, const struct made *m, size_t size)
{
    struct sctd_error err = {0};
    *ret_seen = (struct seen){.stop_at = -1};
    /* A copy of exactly this size lets a sanitizer see a read beyond it. */
    unsigned char *copy = malloc(size + (size == 0 ? 1 : 0));
    assert(copy != NULL);
    memcpy(copy, m->bytes, size);
    const int r = dicom_prescan(copy, size, m->encoding, look, ret_seen, &err);
    assert(r == 0 || (r == SCTD_EDATA && strstr(err.text, "byte") != NULL));
    free(copy);
    return r;
}

static const struct dicom_encoding encodings[] = {
    {.implicit_vr = false, .big_endian = false},
    {.implicit_vr = true, .big_endian = false},
    {.implicit_vr = false, .big_endian = true},
};

static void elements_are_seen_in_every_encoding(void)
{
    for (size_t i = 0; i < 3; i++) {
        struct made m = {.encoding = encodings[i]};
        struct seen seen;
        made_text(&m, 0x00080060, "CS", "MR");
        made_u16(&m, 0x00280010, 258);
        made_element(&m, DICOM_TAG_PIXEL_DATA, "OW", "abcd", 4);
        assert(walk(&seen, &m, m.size) == 0);
        assert(seen.n == 3 && seen.element[0].tag == 0x00080060 && seen.element[0].size == 2);
        assert(seen.element[1].tag == 0x00280010 &&
               seen.element[1].big_endian == encodings[i].big_endian);
        assert(strcmp(seen.element[0].vr, encodings[i].implicit_vr ? "" : "CS") == 0);
        assert(!seen.element[2].is_truncated && !seen.element[2].is_encapsulated);
    }
}

static void expect_element(const struct seen *seen, size_t at, uint32_t tag, int depth,
                           int32_t item)
{
    assert(at < seen->n && seen->element[at].tag == tag);
    assert(seen->element[at].depth == depth && seen->item[at] == item);
}

static void sequences_of_both_kinds_of_length_are_gone_through(void)
{
    for (size_t i = 0; i < 3; i++) {
        struct made m = {.encoding = encodings[i]};
        struct seen seen;
        made_header(&m, 0x00081140, "SQ", MADE_UNDEFINED);
        made_item(&m, MADE_UNDEFINED);
        made_u16(&m, 0x00080005, 1);
        made_item_end(&m);
        made_item(&m, 10);
        made_u16(&m, 0x00080006, 1);
        made_sequence_end(&m);
        made_header(&m, 0x00081150, "SQ", 8);
        made_item(&m, 0);
        made_u16(&m, 0x00100010, 1);
        assert(walk(&seen, &m, m.size) == 0 && seen.n == 8);
        expect_element(&seen, 0, 0x00081140, 0, -1);
        expect_element(&seen, 1, DICOM_TAG_ITEM, 1, 0);
        expect_element(&seen, 2, 0x00080005, 1, 0);
        expect_element(&seen, 3, DICOM_TAG_ITEM, 1, 1);
        expect_element(&seen, 4, 0x00080006, 1, 1);
        expect_element(&seen, 5, 0x00081150, 0, -1);
        expect_element(&seen, 6, DICOM_TAG_ITEM, 1, 0);
        expect_element(&seen, 7, 0x00100010, 0, -1);
        assert(seen.element[0].is_sequence && !seen.element[2].is_sequence);
    }
}

static void an_unknown_sequence_is_implicit_inside(void)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    struct seen seen;
    made_header(&m, 0x00291010, "UN", MADE_UNDEFINED);
    m.encoding.implicit_vr = true;
    made_item(&m, MADE_UNDEFINED);
    made_text(&m, 0x00080060, "", "MR");
    made_item_end(&m);
    made_sequence_end(&m);
    m.encoding.implicit_vr = false;
    made_u16(&m, 0x00300010, 1);
    assert(walk(&seen, &m, m.size) == 0);
    assert(seen.n == 4 && seen.element[2].tag == 0x00080060 && seen.element[2].size == 2);
    assert(strcmp(seen.element[3].vr, "US") == 0);
}

static void sequences_are_nested_to_32_and_no_deeper(void)
{
    for (int depth = DICOM_DEPTH_MAX; depth <= DICOM_DEPTH_MAX + 1; depth++) {
        struct made m = {.encoding = {.implicit_vr = false}};
        struct seen seen;
        struct sctd_error err = {0};
        for (int i = 0; i < depth; i++) {
            made_header(&m, 0x00081140, "SQ", MADE_UNDEFINED);
            made_item(&m, MADE_UNDEFINED);
        }
        for (int i = 0; i < depth; i++) {
            made_item_end(&m);
            made_sequence_end(&m);
        }
        const int r = dicom_prescan(m.bytes, m.size, m.encoding, NULL, NULL, &err);
        assert(r == (depth == DICOM_DEPTH_MAX ? 0 : SCTD_EDATA));
        (void)seen;
    }
}

static void every_cut_is_told(void)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    struct seen seen;
    made_header(&m, 0x00081140, "SQ", MADE_UNDEFINED);
    made_item(&m, MADE_UNDEFINED);
    made_header(&m, 0x00081150, "SQ", 18);
    made_item(&m, 10);
    made_u16(&m, 0x00080005, 1);
    made_item_end(&m);
    made_sequence_end(&m);
    made_text(&m, 0x00100010, "PN", "Doe^Jane");
    const size_t sequence = m.size - 16;
    for (size_t n = 1; n < m.size; n++) {
        assert(walk(&seen, &m, n) == (n == sequence ? 0 : SCTD_EDATA));
    }
}

static void lengths_beyond_the_bytes_are_not_believed(void)
{
    static const uint32_t lengths[] = {9, 0xFFFE, 0xFFFFFFFEU, 0x80000000U};
    struct seen seen;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct made m = {.encoding = {.implicit_vr = true}};
        made_header(&m, 0x00100010, "", lengths[i]);
        made_bytes(&m, "12345678", 8);
        assert(walk(&seen, &m, m.size) == SCTD_EDATA);
        m = (struct made){.encoding = {.implicit_vr = false}};
        made_header(&m, 0x00081140, "SQ", MADE_UNDEFINED);
        made_item(&m, lengths[i]);
        made_bytes(&m, "12345678", 8);
        assert(walk(&seen, &m, m.size) == SCTD_EDATA);
    }
}

static void pixels_that_end_too_early_are_marked(void)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    struct seen seen;
    made_header(&m, DICOM_TAG_PIXEL_DATA, "OW", 100);
    made_bytes(&m, "1234", 4);
    assert(walk(&seen, &m, m.size) == 0);
    assert(seen.n == 1 && seen.element[0].is_truncated && seen.element[0].size == 4);
}

static void pixels_that_are_a_sequence_never_end_beyond_the_bytes(void)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    struct seen seen;
    made_header(&m, DICOM_TAG_PIXEL_DATA, "SQ", 100);
    assert(walk(&seen, &m, m.size) == SCTD_EDATA && seen.n == 0);
    made_item(&m, 92);
    assert(walk(&seen, &m, m.size) == SCTD_EDATA && seen.n == 0);
}

static void fragments_are_one_value(void)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    struct seen seen;
    made_header(&m, DICOM_TAG_PIXEL_DATA, "OB", MADE_UNDEFINED);
    made_item(&m, 0);
    made_item(&m, 4);
    made_bytes(&m, "abcd", 4);
    const size_t whole = m.size;
    made_sequence_end(&m);
    made_u16(&m, 0xFFFCFFFC, 0);
    assert(walk(&seen, &m, m.size) == 0);
    assert(seen.n == 2 && seen.element[0].is_encapsulated && !seen.element[0].is_truncated);
    assert(seen.element[0].size == whole - 12);
    for (size_t n = 12; n < whole + 8; n++) {
        assert(walk(&seen, &m, n) == 0 && seen.element[0].is_truncated);
    }
    m.bytes[whole - 6] = 0xFF; /* a length that is not there any more */
    assert(walk(&seen, &m, m.size) == 0 && seen.element[0].is_truncated);
}

static void zeros_may_follow_pixels_and_nothing_else(void)
{
    struct made m = {.encoding = {.implicit_vr = true}};
    struct seen seen;
    static const unsigned char zeros[30] = {0};
    made_element(&m, DICOM_TAG_PIXEL_DATA, "", "abcd", 4);
    made_bytes(&m, zeros, sizeof zeros);
    assert(walk(&seen, &m, m.size) == 0 && seen.n == 1);
    m.bytes[m.size - 1] = 1;
    assert(walk(&seen, &m, m.size) == SCTD_EDATA);
    m = (struct made){.encoding = {.implicit_vr = false}};
    made_text(&m, 0x00080060, "CS", "MR");
    made_bytes(&m, zeros, sizeof zeros);
    assert(walk(&seen, &m, m.size) == SCTD_EDATA);
}

static void delimiters_without_a_sequence_are_damage(void)
{
    struct seen seen;
    struct made m = {.encoding = {.implicit_vr = false}};
    made_item_end(&m);
    assert(walk(&seen, &m, m.size) == SCTD_EDATA);
    m = (struct made){.encoding = {.implicit_vr = false}};
    made_sequence_end(&m);
    assert(walk(&seen, &m, m.size) == SCTD_EDATA);
    m = (struct made){.encoding = {.implicit_vr = false}};
    made_header(&m, 0x00081140, "SQ", 16);
    made_item(&m, 0);
    made_sequence_end(&m); /* its length had told it already */
    assert(walk(&seen, &m, m.size) == SCTD_EDATA);
}

static void the_walk_ends_where_its_caller_wants(void)
{
    struct made m = {.encoding = {.implicit_vr = false}};
    struct sctd_error err = {0};
    struct seen seen = {.stop_at = 1};
    made_u16(&m, 0x00280010, 1);
    made_u16(&m, 0x00280011, 1);
    assert(dicom_prescan(m.bytes, m.size, m.encoding, look, &seen, &err) == SCTD_EDATA);
    assert(strcmp(err.text, "enough") == 0 && seen.n == 1);
}

static void junk_does_no_harm(void)
{
    struct sctd_rng rng = {7};
    struct made whole = {.encoding = {.implicit_vr = false}};
    struct sctd_error err = {0};
    made_slice(&whole, 0);
    for (int turn = 0; turn < 20000; turn++) {
        unsigned char bytes[512];
        const size_t n = whole.size < sizeof bytes ? whole.size : sizeof bytes;
        memcpy(bytes, whole.bytes, n);
        for (int i = 0; i < 1 + turn % 4; i++) {
            const size_t at = (size_t)(sctd_rng_uniform(&rng) * (float)n);
            bytes[at < n ? at : 0] = (unsigned char)(sctd_rng_uniform(&rng) * 256.0F);
        }
        const int r = dicom_prescan(bytes, n, encodings[turn % 3], NULL, NULL, &err);
        assert(r == 0 || r == SCTD_EDATA);
    }
}

static void numbers_are_read_in_both_orders(void)
{
    static const unsigned char bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert(dicom_prescan_read(bytes, 2, false) == 0x0201);
    assert(dicom_prescan_read(bytes, 2, true) == 0x0102);
    assert(dicom_prescan_read(bytes, 8, true) == 0x0102030405060708U);
    assert(dicom_prescan_is_vr((const unsigned char *)"SQ"));
    assert(!dicom_prescan_is_vr((const unsigned char *)"QS"));
    assert(!dicom_prescan_is_vr((const unsigned char *)"EA")); /* not across two of the list */
}

int main(void)
{
    elements_are_seen_in_every_encoding();
    sequences_of_both_kinds_of_length_are_gone_through();
    an_unknown_sequence_is_implicit_inside();
    sequences_are_nested_to_32_and_no_deeper();
    every_cut_is_told();
    lengths_beyond_the_bytes_are_not_believed();
    pixels_that_end_too_early_are_marked();
    pixels_that_are_a_sequence_never_end_beyond_the_bytes();
    fragments_are_one_value();
    zeros_may_follow_pixels_and_nothing_else();
    delimiters_without_a_sequence_are_damage();
    the_walk_ends_where_its_caller_wants();
    junk_does_no_harm();
    numbers_are_read_in_both_orders();
    return 0;
}
