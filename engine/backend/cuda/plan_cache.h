/*
 * plan_cache.h - which engine of cuDNN each convolution takes, kept from one start to the next.
 *
 * One file for each device, driver, library version and network; in it, for each convolution's shape, a
 * choice and cuDNN's own text of it, if it is cuDNN's; for each product's shape cuBLASLt's algorithm in hex.  A file that is missing, damaged, too large or another's is an empty
 * cache: choices are then made anew.  The choice stays the same as long as the file does, so that a
 * network's results are the same bits from one start to the next.
 *
 * Format: "SCTDPLN1", the header's and each entry's lengths in little-endian 32 bits before their bytes,
 * and at the end the SHA-256 of all before it.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h> // IWYU pragma: export
#include <stddef.h>  // IWYU pragma: export
#include <stdint.h>  // IWYU pragma: export

#include "engine/base/error.h" // IWYU pragma: export

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PLAN_CACHE_MAX_ENTRIES = 1024,
    PLAN_CACHE_MAX_KEY = 512,
    PLAN_CACHE_MAX_TEXT = 4 * 1024 * 1024,
    PLAN_CACHE_MAX_FILE = 256 * 1024 * 1024,
};

struct plan_cache_entry {
    char *key; /* a convolution's shape; owned */
    char
        choice; /* how it is made: 'f'used, 'b'are, 'p'lain, our 'o'wn for 64 channels; a product: 'm' */
    char *text;  /* cuDNN's, NUL-terminated; owned; "" where there is none */
    size_t size; /* of text, without the NUL */
};

struct plan_cache {
    struct plan_cache_entry *entry;
    int32_t n;
    bool changed; /* since it was read */
};

void plan_cache_fini(struct plan_cache *cache);

/*
 * Read `path` into an empty cache.  header: what the file must have been written for.  Returns whether
 * there was one; if not, *err says why, and the cache is empty.  Errors: SCTD_ENOMEM.
 */
SCTD_NODISCARD int plan_cache_read(struct plan_cache *ret_cache, const char *path,
                                   const char *header, bool *ret_found, struct sctd_error *err);

/* The same from memory. */
SCTD_NODISCARD int plan_cache_parse(struct plan_cache *ret_cache, const void *bytes, size_t size,
                                    const char *header, struct sctd_error *err);

/* Replace the file durably.  Errors: SCTD_EIO, SCTD_ENOMEM, SCTD_EINVAL (too large). */
SCTD_NODISCARD int plan_cache_write(const struct plan_cache *cache, const char *path,
                                    const char *header, struct sctd_error *err);

/* NULL: there is none. */
const struct plan_cache_entry *plan_cache_find(const struct plan_cache *cache, const char *key);

/* Add an entry, or replace that of the key.  Errors: SCTD_ENOMEM, SCTD_EINVAL (a limit). */
SCTD_NODISCARD int plan_cache_put(struct plan_cache *cache, const char *key, char choice,
                                  const char *text, struct sctd_error *err);

#ifdef __cplusplus
}
#endif
