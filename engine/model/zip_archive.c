/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model/zip_archive.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/model/checkpoint_text.h"
#include "engine/model/little_endian.h"

/* Section numbers are APPNOTE's: 4.3.7 local header, 4.3.12 central, 4.3.14-16 end records. */
enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1,
};

#define LOCAL_MAGIC     0x04034B50U
#define CENTRAL_MAGIC   0x02014B50U
#define END_MAGIC       0x06054B50U
#define END64_MAGIC     0x06064B50U
#define LOCATOR64_MAGIC 0x07064B50U

enum {
    FLAG_ENCRYPTED = 1U << 0,
    FLAG_DESCRIPTOR =
        1U << 3, /* the local header leaves CRC and sizes to a record after the data */
    FLAG_PATCH = 1U << 5,
    FLAG_STRONG = 1U << 6,
    FLAG_MASKED = 1U << 13,
};

#define CRC_POLYNOMIAL 0xEDB88320U

struct zip_archive {
    const uint8_t *bytes;
    size_t size;
    struct zip_entry *entries; /* [n], by rising name */
    size_t n;
    uint32_t crc_table[8][256]; /* [k][b]: b followed by k zero bytes */
};

/* Where the central directory lies. */
struct directory {
    uint64_t offset;
    uint64_t size;
    uint64_t n;
};

/* The bytes that an entry takes, from its local header to the end of its data. */
struct span {
    size_t begin, end;
    const struct zip_entry *entry;
};

struct central {
    uint32_t flags, method, crc32;
    uint64_t stored, size, local;
    size_t name_len, extra_len, comment_len;
    const char *name;
};

static void crc_table_init(uint32_t table[8][256])
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1U) != 0 ? CRC_POLYNOMIAL : 0U);
        }
        table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t b = 0; b < 256; b++) {
            const uint32_t crc = table[k - 1][b];
            table[k][b] = (crc >> 8) ^ table[0][crc & 0xFFU];
        }
    }
}

uint32_t zip_archive_crc32(const struct zip_archive *archive, const uint8_t *bytes, size_t size)
{
    const uint32_t(*t)[256] = archive->crc_table;
    uint32_t crc = 0xFFFFFFFFU;
    for (; size >= 8; bytes += 8, size -= 8) {
        const uint32_t low = crc ^ little_endian_load32(bytes);
        crc = t[7][low & 0xFFU] ^ t[6][(low >> 8) & 0xFFU] ^ t[5][(low >> 16) & 0xFFU] ^
              t[4][low >> 24] ^ t[3][bytes[4]] ^ t[2][bytes[5]] ^ t[1][bytes[6]] ^ t[0][bytes[7]];
    }
    for (; size > 0; bytes++, size--) {
        crc = (crc >> 8) ^ t[0][(crc ^ *bytes) & 0xFFU];
    }
    return crc ^ 0xFFFFFFFFU;
}

/* The end record is the last thing in the file, but for a comment of stated length. */
static int find_end(size_t *ret_at, const struct zip_archive *a, struct sctd_error *err)
{
    if (a->size < END_BYTES) {
        return sctd_error(err, SCTD_EDATA, "zip: %zu bytes are too few for an archive", a->size);
    }
    const size_t last = a->size - END_BYTES;
    const size_t first = last > COMMENT_MAX ? last - COMMENT_MAX : 0;
    for (size_t at = last + 1; at-- > first;) {
        const uint8_t *p = a->bytes + at;
        if (little_endian_load32(p) == END_MAGIC && little_endian_load16(p + 20) == last - at) {
            *ret_at = at;
            return 0;
        }
    }
    return sctd_error(err, SCTD_EDATA,
                      "zip: no end record in the last %zu of %zu bytes (truncated?)",
                      a->size - first, a->size);
}

/* A field of the end record stands for itself, or is all ones where ZIP64's says it. */
static bool fields_agree(uint64_t narrow, uint64_t ones, uint64_t wide)
{
    return narrow == ones || narrow == wide;
}

static int read_end64(struct directory *dir, size_t *ret_at, const struct zip_archive *a,
                      size_t end_at, struct sctd_error *err)
{
    const size_t locator_at = end_at - LOCATOR64_BYTES;
    const uint8_t *locator = a->bytes + locator_at;
    const uint64_t at = little_endian_load64(locator + 8);
    if (locator_at < END64_BYTES || at > locator_at - END64_BYTES) {
        return sctd_error(err, SCTD_EDATA, "zip: ZIP64 end record at offset %llu is out of place",
                          (unsigned long long)at);
    }
    const uint8_t *p = a->bytes + at;
    const bool one_disk = little_endian_load32(locator + 4) == 0 &&
                          little_endian_load32(locator + 16) <= 1 &&
                          little_endian_load32(p + 16) == 0 && little_endian_load32(p + 20) == 0;
    if (little_endian_load32(p) != END64_MAGIC || !one_disk ||
        little_endian_load64(p + 4) != locator_at - at - 12 ||
        little_endian_load64(p + 24) != little_endian_load64(p + 32)) {
        return sctd_error(err, SCTD_EDATA, "zip: ZIP64 end record at offset %llu is not sound",
                          (unsigned long long)at);
    }
    const struct directory wide = {.n = little_endian_load64(p + 32),
                                   .size = little_endian_load64(p + 40),
                                   .offset = little_endian_load64(p + 48)};
    if (!fields_agree(dir->n, UINT16_MAX, wide.n) ||
        !fields_agree(dir->size, UINT32_MAX, wide.size) ||
        !fields_agree(dir->offset, UINT32_MAX, wide.offset)) {
        return sctd_error(err, SCTD_EDATA, "zip: the end record and ZIP64's disagree");
    }
    *dir = wide;
    *ret_at = (size_t)at;
    return 0;
}

static int read_end(struct directory *ret_dir, const struct zip_archive *a, struct sctd_error *err)
{
    size_t at = 0;
    int r = find_end(&at, a, err);
    if (r < 0) {
        return r;
    }
    const uint8_t *p = a->bytes + at;
    if (little_endian_load32(p + 4) != 0 ||
        little_endian_load16(p + 8) != little_endian_load16(p + 10)) {
        return sctd_error(err, SCTD_EDATA, "zip: an archive of several disks is not read");
    }
    struct directory dir = {.n = little_endian_load16(p + 10),
                            .size = little_endian_load32(p + 12),
                            .offset = little_endian_load32(p + 16)};
    if (at >= LOCATOR64_BYTES && little_endian_load32(p - LOCATOR64_BYTES) == LOCATOR64_MAGIC) {
        r = read_end64(&dir, &at, a, at, err);
        if (r < 0) {
            return r;
        }
    }
    if (dir.offset > at || dir.size != at - dir.offset) {
        return sctd_error(err, SCTD_EDATA,
                          "zip: the directory of %llu bytes at offset %llu does not end at %zu",
                          (unsigned long long)dir.size, (unsigned long long)dir.offset, at);
    }
    if (dir.n > dir.size / CENTRAL_BYTES) {
        return sctd_error(err, SCTD_EDATA,
                          "zip: a directory of %llu bytes cannot hold %llu entries",
                          (unsigned long long)dir.size, (unsigned long long)dir.n);
    }
    *ret_dir = dir;
    return 0;
}

/* Section 4.5.3: of the three 64-bit values, those follow whose 32-bit fields are all ones. */
static void widen(struct central *c, const uint8_t *value, size_t len)
{
    uint64_t *fields[] = {&c->size, &c->stored, &c->local};
    for (size_t i = 0; i < 3; i++) {
        if (*fields[i] == UINT32_MAX && len >= sizeof(uint64_t)) {
            *fields[i] = little_endian_load64(value);
            value += sizeof(uint64_t);
            len -= sizeof(uint64_t);
        }
    }
}

static int read_zip64_extra(struct central *c, const uint8_t *extra, struct sctd_error *err)
{
    const uint8_t *end = extra + c->extra_len;
    while (end - extra >= 4) {
        const size_t len = little_endian_load16(extra + 2);
        const bool wide = little_endian_load16(extra) == EXTRA_ZIP64;
        extra += 4;
        if ((size_t)(end - extra) < len) {
            return sctd_error(err, SCTD_EDATA, "zip: entry %s: an extra field is cut short",
                              checkpoint_quote(c->name, c->name_len).text);
        }
        if (wide) {
            widen(c, extra, len);
            return 0;
        }
        extra += len;
    }
    return 0;
}

/* Read the central header at *at and step over it. */
static int read_central(struct central *ret_c, size_t *at, size_t end, const struct zip_archive *a,
                        struct sctd_error *err)
{
    const uint8_t *p = a->bytes + *at;
    if (end - *at < CENTRAL_BYTES || little_endian_load32(p) != CENTRAL_MAGIC) {
        return sctd_error(err, SCTD_EDATA, "zip: no directory entry at offset %zu", *at);
    }
    struct central c = {
        .flags = little_endian_load16(p + 8),
        .method = little_endian_load16(p + 10),
        .crc32 = little_endian_load32(p + 16),
        .stored = little_endian_load32(p + 20),
        .size = little_endian_load32(p + 24),
        .name_len = little_endian_load16(p + 28),
        .extra_len = little_endian_load16(p + 30),
        .comment_len = little_endian_load16(p + 32),
        .local = little_endian_load32(p + 42),
        .name = (const char *)p + CENTRAL_BYTES,
    };
    const size_t len = CENTRAL_BYTES + c.name_len + c.extra_len + c.comment_len;
    if (end - *at < len) {
        return sctd_error(err, SCTD_EDATA, "zip: the directory entry at offset %zu is cut short",
                          *at);
    }
    if (c.name_len == 0 || !checkpoint_text_is_utf8(c.name, c.name_len) ||
        checkpoint_text_has_control(c.name, c.name_len)) {
        return sctd_error(err, SCTD_EDATA,
                          "zip: the name in the directory entry at offset %zu is not text", *at);
    }
    int r = read_zip64_extra(&c, p + CENTRAL_BYTES + c.name_len, err);
    if (r < 0) {
        return r;
    }
    *at += len;
    *ret_c = c;
    return 0;
}

static int check_kind(const struct central *c, struct sctd_error *err)
{
    const struct checkpoint_quote name = checkpoint_quote(c->name, c->name_len);
    if ((c->flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED)) != 0) {
        return sctd_error(err, SCTD_EDATA, "zip: entry %s is encrypted", name.text);
    }
    if ((c->flags & FLAG_PATCH) != 0) {
        return sctd_error(err, SCTD_EDATA, "zip: entry %s is a patch", name.text);
    }
    if (c->method != 0) {
        return sctd_error(err, SCTD_EDATA,
                          "zip: entry %s is compressed (method %u); only stored entries are read",
                          name.text, c->method);
    }
    if (c->stored != c->size) {
        return sctd_error(err, SCTD_EDATA, "zip: entry %s is stored, yet %llu bytes become %llu",
                          name.text, (unsigned long long)c->stored, (unsigned long long)c->size);
    }
    return 0;
}

/* Sizes of a local header count only where no descriptor or ZIP64 field stands in for them. */
static bool local_agrees(const uint8_t *local, const struct central *c)
{
    const uint32_t flags = little_endian_load16(local + 6);
    const bool sized = (flags & FLAG_DESCRIPTOR) == 0;
    return little_endian_load32(local) == LOCAL_MAGIC && flags == c->flags &&
           little_endian_load16(local + 8) == c->method &&
           little_endian_load16(local + 26) == c->name_len &&
           memcmp(local + LOCAL_BYTES, c->name, c->name_len) == 0 &&
           (!sized || (little_endian_load32(local + 14) == c->crc32 &&
                       fields_agree(little_endian_load32(local + 18), UINT32_MAX, c->stored) &&
                       fields_agree(little_endian_load32(local + 22), UINT32_MAX, c->size)));
}

/* limit: where the central directory begins; no entry reaches beyond. */
static int locate_data(struct zip_entry *ret_entry, const struct central *c, size_t limit,
                       const struct zip_archive *a, struct sctd_error *err)
{
    const struct checkpoint_quote name = checkpoint_quote(c->name, c->name_len);
    if (limit < LOCAL_BYTES + c->name_len || c->local > limit - LOCAL_BYTES - c->name_len) {
        return sctd_error(err, SCTD_EDATA, "zip: entry %s begins at offset %llu, beyond the data",
                          name.text, (unsigned long long)c->local);
    }
    const uint8_t *local = a->bytes + c->local;
    if (!local_agrees(local, c)) {
        return sctd_error(err, SCTD_EDATA,
                          "zip: entry %s: the header at offset %llu does not agree with the "
                          "directory",
                          name.text, (unsigned long long)c->local);
    }
    const size_t data_at =
        (size_t)c->local + LOCAL_BYTES + c->name_len + little_endian_load16(local + 28);
    if (data_at > limit || c->size > limit - data_at) {
        return sctd_error(err, SCTD_EDATA, "zip: entry %s of %llu bytes reaches beyond the data",
                          name.text, (unsigned long long)c->size);
    }
    *ret_entry = (struct zip_entry){.name = c->name,
                                    .name_len = c->name_len,
                                    .data = a->bytes + data_at,
                                    .size = (size_t)c->size,
                                    .crc32 = c->crc32};
    return 0;
}

static int read_entries(struct span *spans, struct zip_archive *a, const struct directory *dir,
                        struct sctd_error *err)
{
    size_t at = (size_t)dir->offset;
    const size_t end = at + (size_t)dir->size;
    for (size_t i = 0; i < a->n; i++) {
        struct central c;
        int r = read_central(&c, &at, end, a, err);
        if (r == 0) {
            r = check_kind(&c, err);
        }
        if (r == 0) {
            r = locate_data(&a->entries[i], &c, (size_t)dir->offset, a, err);
        }
        if (r < 0) {
            return r;
        }
        const size_t data_end = (size_t)(a->entries[i].data - a->bytes) + a->entries[i].size;
        spans[i] =
            (struct span){.begin = (size_t)c.local, .end = data_end, .entry = &a->entries[i]};
    }
    if (at != end) {
        return sctd_error(err, SCTD_EDATA, "zip: %zu bytes of the directory are no entries",
                          end - at);
    }
    return 0;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a;
    const struct span *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static int compare_text(const char *a, size_t a_len, const char *b, size_t b_len)
{
    const int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    if (order != 0) {
        return order;
    }
    return (a_len > b_len) - (a_len < b_len);
}

static int compare_entries(const void *a, const void *b)
{
    const struct zip_entry *x = a;
    const struct zip_entry *y = b;
    return compare_text(x->name, x->name_len, y->name, y->name_len);
}

/* Sorts both lists on the way; spans points into entries, so that one is done with first. */
static int check_entries(struct span *spans, struct zip_archive *a, struct sctd_error *err)
{
    qsort(spans, a->n, sizeof *spans, compare_spans);
    for (size_t i = 1; i < a->n; i++) {
        if (spans[i].begin < spans[i - 1].end) {
            const struct zip_entry *x = spans[i - 1].entry;
            const struct zip_entry *y = spans[i].entry;
            return sctd_error(err, SCTD_EDATA, "zip: entries %s and %s overlap at offset %zu",
                              checkpoint_quote(x->name, x->name_len).text,
                              checkpoint_quote(y->name, y->name_len).text, spans[i].begin);
        }
    }
    qsort(a->entries, a->n, sizeof *a->entries, compare_entries);
    for (size_t i = 1; i < a->n; i++) {
        if (compare_entries(&a->entries[i - 1], &a->entries[i]) == 0) {
            return sctd_error(err, SCTD_EDATA, "zip: entry %s is there twice",
                              checkpoint_quote(a->entries[i].name, a->entries[i].name_len).text);
        }
    }
    return 0;
}

static void span_freep(struct span **spans)
{
    free(*spans);
}

int zip_archive_parse(struct zip_archive **ret_archive, const void *bytes, size_t size,
                      struct sctd_error *err)
{
    sctd_auto(zip_archive_freep) struct zip_archive *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "zip: archive");
    }
    a->bytes = bytes;
    a->size = size;
    struct directory dir;
    int r = read_end(&dir, a, err);
    if (r < 0) {
        return r;
    }
    if (dir.n == 0) {
        return sctd_error(err, SCTD_EDATA, "zip: the archive is empty");
    }
    a->n = (size_t)dir.n;
    a->entries = calloc(a->n, sizeof *a->entries);
    sctd_auto(span_freep) struct span *spans = calloc(a->n, sizeof *spans);
    if (a->entries == NULL || spans == NULL) {
        return sctd_error(err, SCTD_ENOMEM, "zip: directory of %zu entries", a->n);
    }
    r = read_entries(spans, a, &dir, err);
    if (r == 0) {
        r = check_entries(spans, a, err);
    }
    if (r < 0) {
        return r;
    }
    crc_table_init(a->crc_table);
    *ret_archive = sctd_steal(&a);
    return 0;
}

void zip_archive_free(struct zip_archive *archive)
{
    if (archive == NULL) {
        return;
    }
    free(archive->entries);
    free(archive);
}

size_t zip_archive_get_count(const struct zip_archive *archive)
{
    return archive->n;
}

const struct zip_entry *zip_archive_get(const struct zip_archive *archive, size_t i)
{
    return &archive->entries[i];
}

const struct zip_entry *zip_archive_find(const struct zip_archive *archive, const char *name,
                                         size_t name_len)
{
    const struct zip_entry key = {.name = name, .name_len = name_len};
    return bsearch(&key, archive->entries, archive->n, sizeof key, compare_entries);
}

int zip_archive_verify(const struct zip_archive *archive, const struct zip_entry *entry,
                       struct sctd_error *err)
{
    const uint32_t crc = zip_archive_crc32(archive, entry->data, entry->size);
    if (crc == entry->crc32) {
        return 0;
    }
    const struct checkpoint_quote name = checkpoint_quote(entry->name, entry->name_len);
    if (entry->crc32 == 0) {
        return sctd_error(err, SCTD_EDATA,
                          "zip: entry %s has no CRC-32 (save it again with "
                          "torch.serialization.set_crc32_options(True))",
                          name.text);
    }
    return sctd_error(err, SCTD_EDATA,
                      "zip: entry %s is damaged: its CRC-32 is %08x, the directory says %08x",
                      name.text, crc, entry->crc32);
}
