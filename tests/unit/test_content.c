/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/content.h"
#include "dicom/prescan.h"
#include "engine/base/error.h"
#include "engine/base/file.h"

#include "tests/support/made_dicom.h"
#include "tests/support/temporary.h"

static char root[] = TEMPORARY("test_content");
static char one_path[64], other_path[64];

static bool is_same(const struct made *one, const struct made *other)
{
    struct sctd_error err = {0};
    bool same = false;
    made_write(one, one_path);
    made_write(other, other_path);
    assert(dicom_content_is_same(&same, one_path, other_path, &err) == 0);
    return same;
}

static struct made make(struct dicom_encoding encoding, const char *transfer_syntax_uid)
{
    struct made m = {.encoding = encoding};
    if (transfer_syntax_uid != NULL) {
        made_meta(&m, transfer_syntax_uid);
    }
    made_slice(&m, 2);
    return m;
}

static void one_data_set_in_four_encodings_is_the_same(void)
{
    const struct dicom_encoding implicit = {.implicit_vr = true};
    const struct dicom_encoding little = {.implicit_vr = false};
    const struct dicom_encoding big = {.big_endian = true};
    const struct made first = make(little, "1.2.840.10008.1.2.1");
    const struct made others[] = {make(little, "1.2.840.10008.1.2.1"), make(little, NULL),
                                  make(implicit, "1.2.840.10008.1.2"),
                                  make(big, "1.2.840.10008.1.2.2")};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert(is_same(&first, &others[i]));
    }
}

static void each_difference_is_one(void)
{
    const struct made first = make((struct dicom_encoding){.implicit_vr = false}, NULL);
    struct made other = first;
    other.bytes[other.size - 1] ^= 1; /* a pixel */
    assert(!is_same(&first, &other));
    other = first;
    other.size -= 2; /* fewer pixels */
    other.bytes[other.size - 10] = 6;
    assert(!is_same(&first, &other));
    other = first;
    made_text(&other, 0x7FE10010, "LO", "more");
    assert(!is_same(&first, &other));
    struct made less = {.encoding = {.implicit_vr = false}};
    made_slice_headers(&less, 2, 0);
    assert(!is_same(&first, &less));
}

static void how_values_are_padded_does_not_count(void)
{
    struct made one = {.encoding = {.implicit_vr = false}};
    struct made other = {.encoding = {.implicit_vr = false}};
    made_text(&one, 0x00080016, "UI", "1.2.3");
    made_element(&other, 0x00080000, "UL", "\x0A\0\0\0", 4); /* a group length */
    made_element(&other, 0x00080016, "UI", "1.2.3 ", 6);
    made_element(&other, 0xFFFCFFFC, "OB", "\0\0\0\0", 4);
    assert(is_same(&one, &other));
    other = (struct made){.encoding = {.implicit_vr = false}};
    made_element(&other, 0x00080016, "UI", "1.2.30", 6);
    assert(!is_same(&one, &other));
}

static void items_are_told_apart_from_what_follows_them(void)
{
    struct made in = {.encoding = {.implicit_vr = false}};
    struct made behind = {.encoding = {.implicit_vr = false}};
    made_header(&in, 0x00081140, "SQ", MADE_UNDEFINED);
    made_item(&in, MADE_UNDEFINED);
    made_u16(&in, 0x00280010, 1);
    made_item_end(&in);
    made_sequence_end(&in);
    made_header(&behind, 0x00081140, "SQ", 8);
    made_item(&behind, 0);
    made_u16(&behind, 0x00280010, 1);
    assert(!is_same(&in, &behind));
    struct made known = {.encoding = {.implicit_vr = false}};
    made_header(&known, 0x00081140, "SQ", 18);
    made_item(&known, 10);
    made_u16(&known, 0x00280010, 1);
    assert(is_same(&in, &known));
}

static void what_cannot_be_read_is_an_error(void)
{
    struct sctd_error err = {0};
    bool same = false;
    struct made one = make((struct dicom_encoding){.implicit_vr = false}, NULL);
    made_write(&one, one_path);
    assert(dicom_content_is_same(&same, one_path, "/nowhere", &err) == SCTD_EIO);
    struct made junk = {.encoding = {.implicit_vr = false}};
    made_bytes(&junk, "junk", 4);
    made_write(&junk, other_path);
    assert(dicom_content_is_same(&same, one_path, other_path, &err) == SCTD_EDATA);
    one.size -= 20;
    made_text(&one, 0x00290010, "XX", "damage");
    made_write(&one, other_path);
    assert(dicom_content_is_same(&same, one_path, other_path, &err) == SCTD_EDATA && !same);
}

int main(void)
{
    assert(mkdtemp(root) != NULL);
    (void)snprintf(one_path, sizeof one_path, "%s/one", root);
    (void)snprintf(other_path, sizeof other_path, "%s/other", root);
    one_data_set_in_four_encodings_is_the_same();
    each_difference_is_one();
    how_values_are_padded_does_not_count();
    items_are_told_apart_from_what_follows_them();
    what_cannot_be_read_is_an_error();
    sctd_dir_remove(root);
    return 0;
}
