/*
 * zip_archive.h - the entries of a ZIP or ZIP64 archive in memory (PKWARE APPNOTE 6.3.10).
 *
 * Reads what PyTorch writes and nothing more: one disk, no encryption, every entry stored as it is.
 * The central directory is the truth; each local header must agree with it.  Names are UTF-8 without
 * control characters, none twice, and no two entries share a byte.  Nothing is decompressed, so a
 * zip bomb has nothing to expand; the only memory taken is one struct for each entry, less than the
 * 76 bytes of headers that the entry has in the archive.
 *
 * Thread safety: an archive is immutable once parsed and may be shared.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zip_archive;

struct zip_entry {
    const char *name; /* points into the archive; not NUL-terminated */
    size_t name_len;
    const uint8_t *data; /* points into the archive; may be unaligned */
    size_t size;
    uint32_t crc32; /* what the archive says; zip_archive_verify compares */
};

/*
 * Read the directory of the archive in bytes[0 ... size), which must outlive *ret_archive.
 * *ret_archive: the caller frees it.  The data of the entries is not read: see zip_archive_verify.
 * Errors: SCTD_EDATA (not a ZIP file, truncated, compressed, encrypted, overlapping, a name twice:
 * names the entry), SCTD_ENOMEM.
 */
SCTD_NODISCARD int zip_archive_parse(struct zip_archive **ret_archive, const void *bytes,
                                     size_t size, struct sctd_error *err);
void zip_archive_free(struct zip_archive *archive); /* NULL is a no-op */
static inline void zip_archive_freep(struct zip_archive **archive)
{
    zip_archive_free(*archive);
}

size_t zip_archive_get_count(const struct zip_archive *archive);
/* i-th entry, by rising name. */
const struct zip_entry *zip_archive_get(const struct zip_archive *archive, size_t i);
/* By name; NULL if there is none. */
const struct zip_entry *zip_archive_find(const struct zip_archive *archive, const char *name,
                                         size_t name_len);

/* Compare the CRC-32 of an entry's data with the directory's. Errors: SCTD_EDATA. */
SCTD_NODISCARD int zip_archive_verify(const struct zip_archive *archive,
                                      const struct zip_entry *entry, struct sctd_error *err);

/* The CRC-32 of ISO 3309, as ZIP uses it. */
uint32_t zip_archive_crc32(const struct zip_archive *archive, const uint8_t *bytes, size_t size);

#ifdef __cplusplus
}
#endif
