/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/zip_archive.h"

enum { ROOM = 4096, LOCAL = 30, CENTRAL = 46, END = 22, END64 = 56, LOCATOR64 = 20 };

/* The CRC-32 of "123456789", the check value of every description of it. */
static const char check_text[] = "123456789";
#define CHECK_CRC 0xCBF43926U

/* An archive of two entries, "a/data.pkl" and "a/data/0", both check_text, ready to be spoilt. */
struct archive {
    uint8_t bytes[ROOM];
    size_t size;
    size_t local[2], central[2], end, end64; /* offsets */
};

static const char *const names[2] = {"a/data.pkl", "a/data/0"};

static void put(struct archive *a, size_t at, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        a->bytes[at + i] = (uint8_t)value;
        value >>= 8;
    }
}

static void append(struct archive *a, const void *bytes, size_t n)
{
    assert(a->size + n <= ROOM);
    memcpy(a->bytes + a->size, bytes, n);
    a->size += n;
}

static void append_entry(struct archive *a, int i)
{
    const size_t at = a->size;
    a->local[i] = at;
    a->size += LOCAL;
    put(a, at, 0x04034B50, 4);
    put(a, at + 14, CHECK_CRC, 4);
    put(a, at + 18, strlen(check_text), 4);
    put(a, at + 22, strlen(check_text), 4);
    put(a, at + 26, strlen(names[i]), 2);
    append(a, names[i], strlen(names[i]));
    append(a, check_text, strlen(check_text));
}

static void append_central(struct archive *a, int i)
{
    const size_t at = a->size;
    a->central[i] = at;
    a->size += CENTRAL;
    put(a, at, 0x02014B50, 4);
    put(a, at + 16, CHECK_CRC, 4);
    put(a, at + 20, strlen(check_text), 4);
    put(a, at + 24, strlen(check_text), 4);
    put(a, at + 28, strlen(names[i]), 2);
    put(a, at + 42, a->local[i], 4);
    append(a, names[i], strlen(names[i]));
}

static void append_end64(struct archive *a)
{
    const size_t at = a->size;
    a->end64 = at;
    a->size += END64;
    put(a, at, 0x06064B50, 4);
    put(a, at + 4, END64 - 12, 8);
    put(a, at + 24, 2, 8);
    put(a, at + 32, 2, 8);
    put(a, at + 40, at - a->central[0], 8);
    put(a, at + 48, a->central[0], 8);
    put(a, a->size, 0x07064B50, 4);
    put(a, a->size + 8, at, 8);
    put(a, a->size + 16, 1, 4);
    a->size += LOCATOR64;
}

static struct archive *new_archive(bool zip64)
{
    struct archive *a = calloc(1, sizeof *a);
    assert(a != NULL);
    append_entry(a, 0);
    append_entry(a, 1);
    append_central(a, 0);
    append_central(a, 1);
    const size_t central_end = a->size;
    if (zip64) {
        append_end64(a);
    }
    a->end = a->size;
    a->size += END;
    put(a, a->end, 0x06054B50, 4);
    put(a, a->end + 8, 2, 2);
    put(a, a->end + 10, 2, 2);
    put(a, a->end + 12, central_end - a->central[0], 4);
    put(a, a->end + 16, a->central[0], 4);
    return a;
}

/* The result of parsing a copy of exactly the archive's size, which is freed. */
static int parse(const struct archive *a, struct sctd_error *err)
{
    uint8_t *copy = malloc(a->size > 0 ? a->size : 1);
    assert(copy != NULL);
    memcpy(copy, a->bytes, a->size);
    sctd_auto(zip_archive_freep) struct zip_archive *zip = NULL;
    int r = zip_archive_parse(&zip, copy, a->size, err);
    assert((zip == NULL) == (r < 0));
    for (size_t i = 0; r == 0 && i < zip_archive_get_count(zip); i++) {
        r = zip_archive_verify(zip, zip_archive_get(zip, i), err);
    }
    free(copy);
    return r;
}

static void expect_refusal(struct archive *a, const char *text)
{
    struct sctd_error err = {0};
    assert(parse(a, &err) == SCTD_EDATA);
    if (strstr(err.text, text) == NULL) {
        (void)fprintf(stderr, "\"%s\" is not in \"%s\"\n", text, err.text);
        assert(false);
    }
    free(a);
}

/* An archive with `n` bytes at `*at` (an offset in the struct) + `field` set to value. */
static struct archive *spoil(bool zip64, size_t part, size_t field, uint64_t value, size_t n)
{
    struct archive *a = new_archive(zip64);
    size_t at = 0;
    memcpy(&at, (const char *)a + part, sizeof at);
    put(a, at + field, value, n);
    return a;
}

#define SPOIL(part, field, value, n)   spoil(false, offsetof(struct archive, part), field, value, n)
#define SPOIL64(part, field, value, n) spoil(true, offsetof(struct archive, part), field, value, n)

static void expect_both_entries(bool zip64)
{
    struct sctd_error err = {0};
    struct archive *a = new_archive(zip64);
    struct zip_archive *zip = NULL;
    assert(zip_archive_parse(&zip, a->bytes, a->size, &err) == 0);
    assert(zip_archive_get_count(zip) == 2);
    for (int i = 0; i < 2; i++) {
        const struct zip_entry *e = zip_archive_find(zip, names[i], strlen(names[i]));
        assert(e != NULL && e->size == strlen(check_text));
        assert(e->data == a->bytes + a->local[i] + LOCAL + strlen(names[i]));
        assert(zip_archive_verify(zip, e, &err) == 0);
    }
    assert(zip_archive_find(zip, "a/data", 6) == NULL);
    assert(zip_archive_find(zip, "", 0) == NULL);
    zip_archive_free(zip);
    free(a);
}

static void stored_entries_are_found_by_name(void)
{
    expect_both_entries(false);
    expect_both_entries(true);
}

static void sizes_may_be_left_to_zip64_fields_and_descriptors(void)
{
    struct sctd_error err = {0};
    struct archive *a = new_archive(true);
    for (int i = 0; i < 2; i++) { /* the local headers say nothing */
        put(a, a->local[i] + 6, 8, 2);
        put(a, a->local[i] + 14, 0, 12);
        put(a, a->central[i] + 8, 8, 2);
    }
    put(a, a->end + 8, UINT32_MAX, 4); /* both counts */
    put(a, a->end + 12, UINT32_MAX, 4);
    put(a, a->end + 16, UINT32_MAX, 4);
    assert(parse(a, &err) == 0);

    /* the last central header gets a ZIP64 field with the size, the stored size and the offset */
    memmove(a->bytes + a->end64 + 28, a->bytes + a->end64, a->size - a->end64);
    const size_t extra = a->end64;
    a->size += 28;
    a->end64 += 28;
    put(a, extra, 1, 2);
    put(a, extra + 2, 24, 2);
    put(a, extra + 4, strlen(check_text), 8);
    put(a, extra + 12, strlen(check_text), 8);
    put(a, extra + 20, a->local[1], 8);
    put(a, a->central[1] + 20, UINT64_MAX, 8);
    put(a, a->central[1] + 42, UINT32_MAX, 4);
    put(a, a->central[1] + 30, 28, 2);
    put(a, a->end64 + 40, a->end64 - a->central[0], 8);
    put(a, a->end64 + END64 + 8, a->end64, 8);
    assert(parse(a, &err) == 0);
    put(a, extra + 4, UINT64_MAX, 8);
    put(a, extra + 12, UINT64_MAX, 8);
    expect_refusal(a, "entry a/data/0 of 18446744073709551615 bytes reaches beyond the data");
}

static void a_comment_may_follow(void)
{
    struct sctd_error err = {0};
    struct archive *a = new_archive(false);
    put(a, a->end + 20, 5, 2);
    append(a, "hello", 5);
    assert(parse(a, &err) == 0);
    put(a, a->end + 20, 6, 2);
    expect_refusal(a, "no end record");
}

static void what_is_not_stored_plainly_is_refused_by_name(void)
{
    expect_refusal(SPOIL(central[1], 10, 8, 2), "entry a/data/0 is compressed (method 8)");
    expect_refusal(SPOIL(central[0], 8, 1, 2), "entry a/data.pkl is encrypted");
    expect_refusal(SPOIL(central[0], 8, 1U << 6, 2), "entry a/data.pkl is encrypted");
    expect_refusal(SPOIL(central[0], 8, 1U << 5, 2), "entry a/data.pkl is a patch");
    expect_refusal(SPOIL(central[0], 24, 1U << 30, 4), "9 bytes become 1073741824");
}

static void damaged_data_is_refused(void)
{
    expect_refusal(SPOIL(local[1], LOCAL + 8 + 3, 'x', 1),
                   "entry a/data/0 is damaged: its CRC-32 is");
    struct archive *a = new_archive(false);
    put(a, a->local[0] + 14, 0, 4);
    put(a, a->central[0] + 16, 0, 4);
    expect_refusal(a, "entry a/data.pkl has no CRC-32");
}

static void headers_that_disagree_are_refused(void)
{
    static const size_t fields[] = {0, 6, 8, 14, 18, 22, 26, LOCAL};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        expect_refusal(SPOIL(local[1], fields[i], 0x55, 1),
                       "entry a/data/0: the header at offset 49 does not agree");
    }
    expect_refusal(SPOIL(local[1], 28, 0xFFFF, 2), "reaches beyond the data");
    expect_refusal(SPOIL(central[1], 42, 0xFFFFFF, 4), "begins at offset 16777215");
    expect_refusal(SPOIL(central[1], 42, 0xFFFFFFFF, 4), "begins at offset 4294967295");
    expect_refusal(SPOIL(central[1], 0, 0, 1), "no directory entry at offset");
    expect_refusal(SPOIL(central[1], 32, 1, 2), "is cut short");
    expect_refusal(SPOIL(central[0], 28, 0xFFFF, 2), "is cut short");
}

static void entries_that_overlap_are_refused(void)
{
    struct archive *a = new_archive(false);
    /* one entry's data is the other's header: sizes grow in both headers */
    put(a, a->local[0] + 18, 40, 4);
    put(a, a->local[0] + 22, 40, 4);
    put(a, a->central[0] + 20, 40, 4);
    put(a, a->central[0] + 24, 40, 4);
    expect_refusal(a, "entries a/data.pkl and a/data/0 overlap at offset 49");
}

static void a_name_twice_is_refused(void)
{
    struct archive *a = new_archive(false);
    memcpy(a->bytes + a->local[0] + LOCAL, "a/data/0ab", 10);
    memcpy(a->bytes + a->central[0] + CENTRAL, "a/data/0ab", 10);
    struct sctd_error err = {0};
    assert(parse(a, &err) == 0); /* a name that begins with another is not the same */
    free(a);

    a = calloc(1, sizeof *a);
    assert(a != NULL);
    append_entry(a, 1);
    const size_t first = a->local[1];
    append_entry(a, 1);
    a->local[0] = a->local[1];
    a->local[1] = first;
    append_central(a, 1);
    const size_t directory = a->central[1];
    a->local[1] = a->local[0];
    append_central(a, 1);
    a->end = a->size;
    a->size += END;
    put(a, a->end, 0x06054B50, 4);
    put(a, a->end + 8, 2, 2);
    put(a, a->end + 10, 2, 2);
    put(a, a->end + 12, a->end - directory, 4);
    put(a, a->end + 16, directory, 4);
    expect_refusal(a, "entry a/data/0 is there twice");
}

static void names_that_are_not_text_are_refused(void)
{
    expect_refusal(SPOIL(central[0], CENTRAL, '\n', 1), "is not text");
    expect_refusal(SPOIL(central[0], CENTRAL, 0xFF, 1), "is not text");
    expect_refusal(SPOIL(central[0], 28, 0, 2), "is not text");
}

static void an_unsound_end_record_is_refused(void)
{
    expect_refusal(SPOIL(end, 0, 0, 1), "no end record");
    expect_refusal(SPOIL(end, 4, 1, 2), "several disks");
    expect_refusal(SPOIL(end, 8, 1, 2), "several disks");
    expect_refusal(SPOIL(end, 12, 0xFFFFFFFF, 4), "does not end at");
    expect_refusal(SPOIL(end, 16, 0xFFFFFFFF, 4), "does not end at");
    expect_refusal(SPOIL(end, 8, 0xFFFFFFFF, 4), "cannot hold 65535 entries");
    expect_refusal(SPOIL(end, 8, 0, 4), "the archive is empty");
    expect_refusal(SPOIL(end, 8, 0x10001, 4), "bytes of the directory are no entries");
    expect_refusal(SPOIL64(end64, 0, 0, 1), "is not sound");
    expect_refusal(SPOIL64(end64, 4, UINT64_MAX, 8), "is not sound");
    expect_refusal(SPOIL64(end64, 16, 1, 4), "is not sound");
    expect_refusal(SPOIL64(end64, 24, 3, 8), "is not sound");
    expect_refusal(SPOIL64(end64, 40, 1, 8), "the end record and ZIP64's disagree");
    expect_refusal(SPOIL64(end64, END64 + 8, UINT64_MAX, 8), "is out of place");
    struct archive *a = new_archive(true);
    put(a, a->end + 8, UINT32_MAX, 4);
    put(a, a->end64 + 24, UINT64_MAX, 8);
    put(a, a->end64 + 32, UINT64_MAX, 8);
    expect_refusal(a, "cannot hold 18446744073709551615 entries");
}

static void expect_truncations_refused(bool zip64)
{
    struct archive *a = new_archive(zip64);
    for (size_t n = a->size; n-- > 0;) {
        struct sctd_error err = {0};
        a->size = n;
        assert(parse(a, &err) == SCTD_EDATA);
    }
    free(a);
}

static void every_truncation_is_refused(void)
{
    expect_truncations_refused(false);
    expect_truncations_refused(true);
}

static void crc32_of_any_length_is_right(void)
{
    struct sctd_error err = {0};
    struct archive *a = new_archive(false);
    struct zip_archive *zip = NULL;
    assert(zip_archive_parse(&zip, a->bytes, a->size, &err) == 0);
    const uint8_t *text = (const uint8_t *)check_text;
    assert(zip_archive_crc32(zip, text, 0) == 0);
    assert(zip_archive_crc32(zip, text, 1) == 0x83DCEFB7);
    assert(zip_archive_crc32(zip, text, 9) == CHECK_CRC);
    zip_archive_free(zip);
    free(a);
}

int main(void)
{
    stored_entries_are_found_by_name();
    sizes_may_be_left_to_zip64_fields_and_descriptors();
    a_comment_may_follow();
    what_is_not_stored_plainly_is_refused_by_name();
    damaged_data_is_refused();
    headers_that_disagree_are_refused();
    entries_that_overlap_are_refused();
    a_name_twice_is_refused();
    names_that_are_not_text_are_refused();
    an_unsound_end_record_is_refused();
    every_truncation_is_refused();
    crc32_of_any_length_is_right();
    return 0;
}
