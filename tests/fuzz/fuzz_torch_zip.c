/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a zip file of torch.save; then the same with every CRC-32 put right, so that changed
 * data gets past the check.
 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/safetensors.h"
#include "engine/model/torch_file.h"
#include "engine/model/zip_archive.h"

enum { CENTRAL = 46, CENTRAL_CRC_AT = 16, LOCAL = 30, LOCAL_CRC_AT = 14, FLAG_DESCRIPTOR = 8 };

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int try_zip(const uint8_t *data, size_t size)
{
    struct sctd_error err = {0};
    struct torch_file *file = NULL;
    int r = torch_file_parse_zip(&file, data, size, &err);
    assert(r == 0 || ((int)err.code == r && err.text[0] != '\0'));
    assert(r == 0 || r == SCTD_EDATA || r == SCTD_ENOMEM);
    for (size_t i = 0; r == 0 && i < torch_file_get_count(file); i++) {
        const struct tensor_view *t = torch_file_get(file, i);
        const uint8_t *values = t->data;
        assert(strlen(t->name) < TENSOR_NAME_MAX);
        assert(t->bytes == tensor_view_count(t) * tensor_dtype_size(t->dtype));
        assert(values >= data && t->bytes <= size - (size_t)(values - data));
    }
    torch_file_free(file);
    return r;
}

static void put32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

/* The entry's header in the central directory, found by its name; NULL if it is not there. */
static uint8_t *find_central(uint8_t *bytes, size_t size, const struct zip_entry *entry)
{
    for (size_t at = 0; at + CENTRAL + entry->name_len <= size; at++) {
        uint8_t *p = bytes + at;
        if (memcmp(p, "PK\1\2", 4) == 0 && memcmp(p + CENTRAL, entry->name, entry->name_len) == 0 &&
            (const char *)p + CENTRAL == entry->name) {
            return p;
        }
    }
    return NULL;
}

static void repair(uint8_t *bytes, size_t size)
{
    struct sctd_error err = {0};
    sctd_auto(zip_archive_freep) struct zip_archive *archive = NULL;
    if (zip_archive_parse(&archive, bytes, size, &err) < 0) {
        return;
    }
    for (size_t i = 0; i < zip_archive_get_count(archive); i++) {
        const struct zip_entry *entry = zip_archive_get(archive, i);
        uint8_t *central = find_central(bytes, size, entry);
        if (central == NULL) {
            continue;
        }
        const uint32_t crc = zip_archive_crc32(archive, entry->data, entry->size);
        const size_t local = (size_t)central[42] | (size_t)central[43] << 8 |
                             (size_t)central[44] << 16 | (size_t)central[45] << 24;
        put32(central + CENTRAL_CRC_AT, crc);
        if (local <= size - LOCAL && (bytes[local + 6] & FLAG_DESCRIPTOR) == 0) {
            put32(bytes + local + LOCAL_CRC_AT, crc);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (try_zip(data, size) == 0 || size < LOCAL) {
        return 0;
    }
    uint8_t *copy = malloc(size);
    if (copy != NULL) {
        memcpy(copy, data, size);
        repair(copy, size);
        (void)try_zip(copy, size);
    }
    free(copy);
    return 0;
}
